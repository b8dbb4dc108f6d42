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


def overlay_figure(cases: Sequence[tuple[str, Snapshot]], model: str) -> Figure:
    """A row for each case with a few slices at ES.

    Args:
        cases: title of the row, and the case.
        model: whose labels to show.
    """
    rows = [(title, case, case.shown_slices(_SLICES)) for title, case in cases]
    columns = max(len(slices) for _, _, slices in rows)
    figure = new_figure(2.7 * columns + 0.4, 3.05 * len(rows) + 0.6)
    parts = figure.subfigures(len(rows), 1, squeeze=False)[:, 0]
    for part, (title, case, slices) in zip(parts, rows, strict=True):
        part.suptitle(title, fontsize=10)
        axes = part.subplots(1, columns, squeeze=False)[0]
        for ax in axes[len(slices) :]:
            ax.set_axis_off()
        for ax, z in zip(axes, slices, strict=False):
            show_slice(ax, case.target_image[z], case.spacing, **case.window)
            # The wall's inner line is the cavity's too, which is drawn over it.
            for structure in sorted(case.structures):
                draw_outline(
                    ax, case.source_labels[z], structure, color="yellow", linewidth=0.8, linestyle=(0, (2, 2))
                )
                draw_outline(ax, case.models[model].labels[z], structure, color=COLOURS[structure], linewidth=1.8)
                draw_outline(ax, case.target_labels[z], structure, color="white", linewidth=0.8)
            ax.set_xlabel(f"slice {z}", fontsize=8)
    shown = [case.models[model].labels[slices] for _, case, slices in rows]
    shown += [case.target_labels[slices] for _, case, slices in rows]
    structures = [s for s in STRUCTURES if any((labels == s).any() for labels in shown)]
    handles = [Line2D([], [], color=COLOURS[s], linewidth=1.8, label=f"{s.name}, {model}") for s in structures]
    handles += [
        Line2D([], [], color="white", linewidth=0.8, label="truth"),
        Line2D([], [], color="yellow", linewidth=0.8, linestyle=(0, (2, 2)), label="unregistered"),
    ]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(handles),
        fontsize=8,
        facecolor="0.25",
        labelcolor="white",
        framealpha=1,
    )
    return figure
