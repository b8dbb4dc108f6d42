"""Segmentation models, behind the protocol `SegmentationModel`."""
