"""Motion models, behind the protocol `MotionModel`."""
