"""Data sets of cardiac cines with labels: public ones as they are published, and folders of one's own.

`find_dataset` tells the layout from the folder; every layout gives the same `Case`, read only when it is asked
for. Labels come with the project's values (`cardiac_motion.labels`), frames count from 0. `split` and `folds` part
a data set by patient.
"""

from cardiac_motion.datasets.case import Case, CaseData, Dataset, SkippedCase
from cardiac_motion.datasets.find import find_dataset
from cardiac_motion.datasets.split_file import read_split, write_split
from cardiac_motion.datasets.splits import FRACTIONS, Split, folds, split

__all__ = [
    "FRACTIONS",
    "Case",
    "CaseData",
    "Dataset",
    "SkippedCase",
    "Split",
    "find_dataset",
    "folds",
    "read_split",
    "split",
    "write_split",
]
