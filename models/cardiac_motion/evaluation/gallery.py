"""All figures of an evaluation, written into one folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cardiac_motion.analysis.plots import save_figure
from cardiac_motion.errors import InputError
from cardiac_motion.evaluation.cases import Case
from cardiac_motion.evaluation.curves import box_figure, reliability_figure
from cardiac_motion.evaluation.field_figures import field_figure
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
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write figures to {folder}: {error}") from error
    names = []

    def keep(name: str, figure: object) -> None:
        save_figure(figure, folder / name)  # type: ignore[arg-type]
        names.append(f"{folder.name}/{name}")

    keep("reliability.png", reliability_figure(cases))
    keep("dice.png", box_figure(cases, "dice_shared"))
    keep("hausdorff.png", box_figure(cases, "hausdorff_2d"))
    for model in method_names(cases)[1:]:
        chosen = best_median_worst(cases, model)
        rows = [
            (f"{rank}: {case.name}, {_dice(case, model)}", gallery.snapshots[case.name]) for rank, case in chosen
        ]
        keep(f"overlays_{safe_name(model)}.png", overlay_figure(rows, model))
        for rank, case in chosen:
            title = f"{model}, {rank}: {case.name}, {_dice(case, model)}"
            figure = field_figure(gallery.snapshots[case.name], model, title=title)
            keep(f"field_{safe_name(model)}_{safe_name(case.name)}.png", figure)
    return tuple(names)


def best_median_worst(cases: Sequence[CaseResult], model: str) -> list[tuple[str, CaseResult]]:
    """The best, the median and the worst case by mean Dice at ES; fewer where there are fewer cases."""
    ranked = sorted(cases, key=lambda case: np.nan_to_num(case.mean(model, "dice_shared"), nan=-1.0), reverse=True)
    if len(ranked) == 1:
        return [("the only case", ranked[0])]
    if len(ranked) == 2:
        return [("best", ranked[0]), ("worst", ranked[1])]
    return [("best", ranked[0]), ("median", ranked[len(ranked) // 2]), ("worst", ranked[-1])]


def _dice(case: CaseResult, model: str) -> str:
    found, before = (case.mean(name, "dice_shared") for name in (model, UNREGISTERED))
    return f"Dice {found:.3f} (unregistered {before:.3f})"


def safe_name(name: str) -> str:
    """A name that any file system takes."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)
