"""Contours on every frame of a cine cardiac MR."""

from importlib.metadata import version

__version__ = version("cardiac-motion")
