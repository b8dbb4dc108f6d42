"""The command line `cardiac-motion`."""

from cardiac_motion.cli.app import main

__all__ = ["main"]
