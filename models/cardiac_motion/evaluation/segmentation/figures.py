"""Figures of an evaluation of segmentation: contours found and true at ED and ES, and box plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from cardiac_motion.evaluation.curves import boxes, counted_title
from cardiac_motion.evaluation.figure_folder import FigureFolder, best_median_worst, safe_name
from cardiac_motion.evaluation.overlays import contour_legend, draw_outline, rows_of_slices, show_slice
from cardiac_motion.evaluation.scores import heart_box, scaled
from cardiac_motion.evaluation.segmentation.cases import SegmentationCase
from cardiac_motion.evaluation.segmentation.results import CaseResult, by_patient, structures_of
from cardiac_motion.evaluation.segmentation.scores import MEASURES
from cardiac_motion.labels import COLOURS, Label

Volume = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]

_SLICES = 5


@dataclass(frozen=True, eq=False)
class _Frame:
    """ED or ES in the box of the heart, (Z, Y, X)."""

    time: str
    image: Volume
    truth: Labels
    found: Mapping[str, Labels]

    def shown_slices(self) -> list[int]:
        """Some slices, evenly from the first to the last that holds anything in the truth or that was found."""
        either = (self.truth > 0).any(axis=(1, 2))
        for labels in self.found.values():
            either |= (labels > 0).any(axis=(1, 2))
        held = np.flatnonzero(either)
        places = np.linspace(0, held.size - 1, min(_SLICES, held.size)).round().astype(int)
        return [int(z) for z in held[places]]


@dataclass(frozen=True, eq=False)
class _Kept:
    spacing: tuple[float, float, float]
    structures: tuple[Label, ...]
    frames: tuple[_Frame, ...]

    @property
    def window(self) -> dict[str, float]:
        """The intensities from black to white that show the heart best: `vmin` and `vmax` of matplotlib."""
        low, high = np.percentile(np.stack([frame.image for frame in self.frames]), (1, 99))
        return {"vmin": float(low), "vmax": float(max(high, low + 1e-3))}


class SegmentationGallery:
    """Collects, case by case, what the figures need: the heart at ED and ES, cropped, so that hundreds fit."""

    def __init__(self) -> None:
        self.cases: dict[str, _Kept] = {}

    def add(
        self, case: SegmentationCase, structures: Sequence[Label], found: Mapping[str, Mapping[int, Labels]]
    ) -> None:
        """Keep a case and what was found, by method and frame; of structures that are not scored, nothing."""
        times = {"ED": case.ed, "ES": case.es}
        shown = {time: frame for time, frame in times.items() if frame is not None} or {"": case.frames[0]}
        scored = np.array(structures, dtype=np.uint8)
        every = [case.truth[t] for t in shown.values()] + [
            each[t] for each in found.values() for t in shown.values()
        ]
        box = heart_box(np.stack(every) * np.isin(every, scored), case.cine.spacing)
        images = scaled(case.cine.frames)

        def cut(labels: Labels) -> Labels:
            part = labels[box]
            return np.where(np.isin(part, scored), part, np.uint8(0))

        frames = tuple(
            _Frame(
                f"{time} (frame {t})" if time else f"frame {t}",
                images[t][box].copy(),
                cut(case.truth[t]),
                {name: cut(each[t]) for name, each in found.items()},
            )
            for time, t in shown.items()
        )
        self.cases[case.name] = _Kept(case.cine.spacing, tuple(structures), frames)


def write_figures(folder: Path, cases: Sequence[CaseResult], gallery: SegmentationGallery) -> tuple[str, ...]:
    """Write every figure as PNG; returns their paths relative to the folder's parent, in reading order.

    For all cases: box plots over patients. For each method: contours of its best, median and worst case by Dice
    over whole stacks.

    Raises:
        InputError: the folder or a file in it cannot be written.
    """
    figures = FigureFolder(folder)
    figures.save("dice.png", box_figure(cases, "dice_stack"))
    figures.save("hausdorff.png", box_figure(cases, "hausdorff_stack"))
    for method in cases[0].methods:
        rows = [
            (f"{rank}: {case.name}, Dice {_mean_dice(method, case):.3f}", gallery.cases[case.name])
            for rank, case in best_median_worst(cases, partial(_mean_dice, method))
        ]
        figures.save(f"contours_{safe_name(method)}.png", contour_figure(rows, method))
    return tuple(figures.names)


def _mean_dice(method: str, case: CaseResult) -> float:
    return case.mean(method, "dice_stack", "all")


def box_figure(cases: Sequence[CaseResult], measure: str) -> Figure:
    """Box plots over all labelled frames, a point for each patient."""
    methods = list(cases[0].methods)
    structures = structures_of(cases)
    columns = {s.name: (s,) for s in structures} | ({"mean": tuple(structures)} if len(structures) > 1 else {})
    panels = []
    for name, column in columns.items():
        held = [case for case in cases if set(column) & set(case.structures)]
        values = {
            method: by_patient(held, lambda case, m=method, c=column: case.mean(m, measure, "all", c))  # type: ignore[misc]
            for method in methods
        }
        panels.append((counted_title(name, values), values))
    return boxes(panels, methods, f"{MEASURES[measure][0]}, over the whole stack")


def contour_figure(cases: Sequence[tuple[str, _Kept]], method: str) -> Figure:
    """Two rows for each case, ED and ES, with a few slices of each.

    Args:
        cases: title of the rows, and the case.
        method: whose contours to show.
    """
    frames = [(title, kept, frame) for title, kept in cases for frame in kept.frames]
    rows = [(f"{title}, {frame.time}", frame.shown_slices()) for title, _, frame in frames]
    figure, axes = rows_of_slices(rows, size=(2.3, 2.65))
    for (_, kept, frame), row in zip(frames, axes, strict=True):
        for z, ax in row.items():
            show_slice(ax, frame.image[z], kept.spacing, **kept.window)
            # The wall's inner line is the cavity's too, which is drawn over it.
            for structure in sorted(kept.structures):
                draw_outline(ax, frame.found[method][z], structure, color=COLOURS[structure], linewidth=1.8)
                draw_outline(ax, frame.truth[z], structure, color="white", linewidth=0.8)
    contour_legend(figure, [s for s in Label if any(s in kept.structures for _, kept in cases)], method)
    return figure
