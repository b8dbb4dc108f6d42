"""A synthetic beating heart of which labels, motion, strain and volumes are known."""

from cardiac_motion.phantom.options import AppearanceOptions, PhantomOptions
from cardiac_motion.phantom.seeds import REPORT_SEEDS, TEST_SEEDS, TRAINING_SEEDS_START, TUNING_SEEDS
from cardiac_motion.phantom.strain import Strain
from cardiac_motion.phantom.study import PhantomStudy, PhantomView, make_study
from cardiac_motion.phantom.training import TrainingSlices, training_slices

__all__ = [
    "REPORT_SEEDS",
    "TEST_SEEDS",
    "TRAINING_SEEDS_START",
    "TUNING_SEEDS",
    "AppearanceOptions",
    "PhantomOptions",
    "PhantomStudy",
    "PhantomView",
    "Strain",
    "TrainingSlices",
    "make_study",
    "training_slices",
]
