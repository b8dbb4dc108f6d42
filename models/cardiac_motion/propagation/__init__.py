"""Labels of all frames from those of one or several key frames, carried by the motion."""

from cardiac_motion.propagation.propagator import Propagator, propagate

__all__ = ["Propagator", "propagate"]
