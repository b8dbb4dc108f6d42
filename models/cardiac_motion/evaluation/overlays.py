"""Figure of contours at ES: the truth, what was carried there, and the unregistered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cardiac_motion.analysis.film import outlines
from cardiac_motion.evaluation.curves import new_figure
from cardiac_motion.evaluation.snapshots import Snapshot
from cardiac_motion.labels import COLOURS, STRUCTURES, Label

_SLICES = 4
_UNREGISTERED: dict[str, Any] = {"color": "yellow", "linewidth": 0.8, "linestyle": (0, (2, 2))}


def show_slice(ax: Any, image: npt.NDArray[np.floating], spacing: tuple[float, float, float], **style: Any) -> Any:
    """Show a slice (Y, X) in its true proportions, without axes."""
    shown = ax.imshow(image, aspect=spacing[1] / spacing[2], **{"cmap": "gray", **style})
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_xlim(-0.5, image.shape[1] - 0.5)
    ax.set_ylim(image.shape[0] - 0.5, -0.5)
    return shown


def draw_outline(ax: Any, labels: npt.NDArray[np.integer], structure: Label, **style: Any) -> None:
    """Draw the outline of one structure of a slice (Y, X)."""
    for line in outlines(labels == structure):
        ax.plot(line[:, 1], line[:, 0], **style)


def rows_of_slices(
    rows: Sequence[tuple[str, Sequence[int]]], *, size: tuple[float, float]
) -> tuple[Figure, list[dict[int, Any]]]:
    """A figure with a row of slices for each title, their numbers below them.

    Args:
        rows: title, and the slices to show.
        size: of a slice with what is around it, width and height in inches.

    Returns:
        The figure, and for each row the axes by slice.
    """
    columns = max(len(slices) for _, slices in rows)
    figure = new_figure(size[0] * columns + 0.4, size[1] * len(rows) + 0.6)
    found = []
    for part, (title, slices) in zip(figure.subfigures(len(rows), 1, squeeze=False)[:, 0], rows, strict=True):
        part.suptitle(title, fontsize=10)
        axes = part.subplots(1, columns, squeeze=False)[0]
        for ax in axes[len(slices) :]:
            ax.set_axis_off()
        found.append(dict(zip(slices, axes, strict=False)))
        for z, ax in found[-1].items():
            ax.set_xlabel(f"slice {z}", fontsize=8)
    return figure, found


def contour_legend(
    figure: Figure, structures: Sequence[Label], method: str, further: Sequence[Line2D] = ()
) -> None:
    """Below the figure: the outlines that a method found, in their colours, the truth, and further lines."""
    handles = [Line2D([], [], color=COLOURS[s], linewidth=1.8, label=f"{s.name}, {method}") for s in structures]
    handles += [Line2D([], [], color="white", linewidth=0.8, label="truth"), *further]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(handles),
        fontsize=8,
        facecolor="0.25",
        labelcolor="white",
        framealpha=1,
    )


def overlay_figure(cases: Sequence[tuple[str, Snapshot]], model: str) -> Figure:
    """A row for each case with a few slices at ES.

    Args:
        cases: title of the row, and the case.
        model: whose labels to show.
    """
    rows = [(title, case.shown_slices(_SLICES)) for title, case in cases]
    figure, axes = rows_of_slices(rows, size=(2.7, 3.05))
    for (_, case), row in zip(cases, axes, strict=True):
        for z, ax in row.items():
            show_slice(ax, case.target_image[z], case.spacing, **case.window)
            # The wall's inner line is the cavity's too, which is drawn over it.
            for structure in sorted(case.structures):
                draw_outline(ax, case.source_labels[z], structure, **_UNREGISTERED)
                draw_outline(ax, case.models[model].labels[z], structure, color=COLOURS[structure], linewidth=1.8)
                draw_outline(ax, case.target_labels[z], structure, color="white", linewidth=0.8)
    shown = [
        labels[slices]
        for (_, case), (_, slices) in zip(cases, rows, strict=True)
        for labels in (case.models[model].labels, case.target_labels)
    ]
    structures = [s for s in STRUCTURES if any((labels == s).any() for labels in shown)]
    contour_legend(figure, structures, model, [Line2D([], [], label="unregistered", **_UNREGISTERED)])
    return figure
