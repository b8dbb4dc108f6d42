"""Contours on every frame of a cine cardiac MR."""

import os
from importlib.metadata import version

# Threads that wait should sleep. By default they spin, so that two programs on the same cores slow each other down
# tenfold. OpenMP reads this once, when torch is first imported; whoever sets it beforehand has their way.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = version("cardiac-motion")
