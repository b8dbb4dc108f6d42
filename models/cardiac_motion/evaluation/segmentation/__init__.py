"""Evaluation of segmentation models on the labelled frames of cines: scores, volumes, folds, papers' tables."""

from cardiac_motion.evaluation.segmentation.folds import merge_folds, read_report
from cardiac_motion.evaluation.segmentation.report import SegmentationReport
from cardiac_motion.evaluation.segmentation.run import evaluate_segmentation

__all__ = ["SegmentationReport", "evaluate_segmentation", "merge_folds", "read_report"]
