"""Evaluation of motion models on labelled cines and pairs: scores, tests, tables, figures."""

from cardiac_motion.evaluation.cases import Case, case_of
from cardiac_motion.evaluation.comparison import Comparison, compare_with_truth, comparison_table
from cardiac_motion.evaluation.report import EvaluationReport
from cardiac_motion.evaluation.run import evaluate_case, evaluate_folder
from cardiac_motion.evaluation.scores import UNREGISTERED
from cardiac_motion.evaluation.significance import PairedTest, paired_test

__all__ = [
    "UNREGISTERED",
    "Case",
    "Comparison",
    "EvaluationReport",
    "PairedTest",
    "case_of",
    "compare_with_truth",
    "comparison_table",
    "evaluate_case",
    "evaluate_folder",
    "paired_test",
]
