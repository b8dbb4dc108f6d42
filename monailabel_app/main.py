"""Where MONAI Label looks for the app."""

from monailabel_app.lib.app import CardiacMotionApp

__all__ = ["CardiacMotionApp"]
