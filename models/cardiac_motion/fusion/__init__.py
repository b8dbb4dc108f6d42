"""Segmentation of every frame and propagation from key frames, made to agree."""

from cardiac_motion.fusion.fuse import Fused, FusionOptions, fuse

__all__ = ["Fused", "FusionOptions", "fuse"]
