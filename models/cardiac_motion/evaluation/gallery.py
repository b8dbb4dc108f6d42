"""All figures of an evaluation, written into one folder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cardiac_motion.evaluation.cases import Case
from cardiac_motion.evaluation.curves import box_figure, reliability_figure
from cardiac_motion.evaluation.field_figures import field_figure
from cardiac_motion.evaluation.figure_folder import FigureFolder, best_median_worst, safe_name
from cardiac_motion.evaluation.overlays import overlay_figure
from cardiac_motion.evaluation.results import CaseResult, method_names
from cardiac_motion.evaluation.scores import UNREGISTERED
from cardiac_motion.evaluation.snapshots import Snapshot
from cardiac_motion.motion import Motion


class Gallery:
    """Collects, case by case, what the figures of single cases need."""

    def __init__(self) -> None:
        self.snapshots: dict[str, Snapshot] = {}

    def add_case(self, case: Case) -> None:
        """Keep the images and the truth of a case."""
        self.snapshots[case.name] = Snapshot.of(case)

    def add_result(self, case: Case, name: str, labels: npt.NDArray[np.uint8], motion: Motion) -> None:
        """Keep what a model found on a case that was added."""
        self.snapshots[case.name].add(case, name, labels, motion)


def write_figures(folder: Path, cases: Sequence[CaseResult], gallery: Gallery) -> tuple[str, ...]:
    """Write every figure as PNG; returns their paths relative to the folder's parent, in reading order.

    For all cases: reliability and box plots. For each model: contours of its best, median and worst case by Dice,
    and the fields of the same cases.

    Raises:
        InputError: the folder or a file in it cannot be written.
    """
    figures = FigureFolder(folder)
    figures.save("reliability.png", reliability_figure(cases))
    figures.save("dice.png", box_figure(cases, "dice_shared"))
    figures.save("hausdorff.png", box_figure(cases, "hausdorff_2d"))
    for model in method_names(cases)[1:]:
        chosen = best_median_worst(cases, partial(_mean_dice, model))
        rows = [
            (f"{rank}: {case.name}, {_dice(case, model)}", gallery.snapshots[case.name]) for rank, case in chosen
        ]
        figures.save(f"overlays_{safe_name(model)}.png", overlay_figure(rows, model))
        for rank, case in chosen:
            title = f"{model}, {rank}: {case.name}, {_dice(case, model)}"
            figure = field_figure(gallery.snapshots[case.name], model, title=title)
            figures.save(f"field_{safe_name(model)}_{safe_name(case.name)}.png", figure)
    return tuple(figures.names)


def _mean_dice(model: str, case: CaseResult) -> float:
    return case.mean(model, "dice_shared")


def _dice(case: CaseResult, model: str) -> str:
    found, before = (_mean_dice(name, case) for name in (model, UNREGISTERED))
    return f"Dice {found:.3f} (unregistered {before:.3f})"
