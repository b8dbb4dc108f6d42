"""Figure of a stack along the long axis of the LV, before and after its slices were aligned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import ndimage

from cardiac_motion.aligned import SliceAlignment
from cardiac_motion.cine import Cine
from cardiac_motion.errors import InputError
from cardiac_motion.labels import COLOURS, STRUCTURES, Label
from cardiac_motion.slice_alignment import SliceShifts

Labels = npt.NDArray[np.uint8]
Vector = npt.NDArray[np.float64]

_REACH_MM = 75.0
"""Half the width of the planes."""
_STEP_MM = 0.7


@dataclass(frozen=True, eq=False)
class LongAxis:
    """A straight line through a stack, and a direction in its planes.

    Attributes:
        points: (Z, 2), (y, x) in native pixels, where the axis meets each slice.
        direction: (2,), (y, x), unit vector: towards the RV where it is labelled, else along x.
    """

    points: Vector
    direction: Vector

    @classmethod
    def of(cls, labels: Labels, spacing: tuple[float, float, float]) -> LongAxis:
        """The axis of the LV of a frame's labels (Z, Y, X): the line of least squares through its centres.

        Raises:
            InputError: fewer than two slices show the LV.
        """
        lv = labels == Label.LV
        held = np.flatnonzero(lv.any(axis=(1, 2)))
        if held.size < 2:
            raise InputError(f"expected at least 2 slices with the LV to find its long axis, got {held.size}")
        centres = np.array([ndimage.center_of_mass(lv[z]) for z in held])
        every = np.arange(len(labels))
        points = np.stack([np.polyval(np.polyfit(held, column, 1), every) for column in centres.T], axis=1)
        rv = (labels == Label.RV).any(axis=(1, 2)) & lv.any(axis=(1, 2))
        direction = np.array([0.0, 1.0])
        if rv.any():
            ways = [
                np.array(ndimage.center_of_mass(labels[z] == Label.RV)) - points[z] for z in np.flatnonzero(rv)
            ]
            way = np.mean(ways, axis=0) * spacing[1:]
            if np.linalg.norm(way) > 1:
                direction = way / np.linalg.norm(way)
        return cls(points, direction)


def alignment_figure(
    cine: Cine, frame: int, labels: Labels, alignment: SliceAlignment, shifts: SliceShifts, *, title: str = ""
) -> Figure:
    """Two planes along the long axis of the LV, at a right angle to each other: native above, aligned below.

    Each slice is a band as high as the slices are apart; nothing is interpolated between them. The shifts are
    drawn beside, in height with their slices.

    Args:
        cine: the native one.
        frame: to show.
        labels: (Z, Y, X) of that frame, whose outlines are drawn; they have to show the LV.
        alignment: of the cine.
        shifts: that it is made of, for what is known about each.
        title: above the figure.

    Raises:
        InputError: labels without the LV, or of another shape.
    """
    if labels.shape != cine.shape[1:]:
        raise InputError(f"expected labels (Z, Y, X) = {cine.shape[1:]}, got {labels.shape}")
    axis = LongAxis.of(labels, cine.spacing)
    offset = np.array([each.before for each in alignment.axes])
    image = cine.frames[frame]
    stacks = [
        ("native", image, labels, axis.points),
        ("aligned", alignment.image(image), alignment.labels(labels), axis.points + offset),
    ]
    low, high = np.percentile(image, (1, 99))
    figure = Figure(
        figsize=(12.5, 0.6 + 2 * min(4.6, max(2.2, 3.6 * len(image) * cine.spacing[0] / 110))), dpi=110
    )
    FigureCanvasAgg(figure)
    figure.set_layout_engine("constrained")
    grid = figure.subplots(2, 3, width_ratios=(1, 1, 0.55), squeeze=False)
    across = np.array([-axis.direction[1], axis.direction[0]])
    names = ("towards the RV", "across") if (labels == Label.RV).any() else ("along x", "along y")
    for row, (what, stack, drawn, points) in zip(grid, stacks, strict=True):
        for ax, way, name in zip(row, (axis.direction, across), names, strict=False):
            _show_plane(ax, stack, drawn, points, way, cine.spacing, {"vmin": low, "vmax": max(high, low + 1e-3)})
            ax.set_title(f"{what}, {name}", fontsize=10)
    _show_shifts(grid[0][2], shifts)
    structures = [structure for structure in STRUCTURES if (labels == structure).any()]
    handles = [Line2D([], [], color=COLOURS[s], linewidth=2, label=s.name) for s in structures]
    handles.append(Line2D([], [], color="white", linewidth=0.9, linestyle=(0, (4, 4)), label="axis"))
    _explain(grid[1][2], shifts, handles)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def _show_plane(
    ax: Any,
    stack: npt.NDArray[np.floating],
    labels: Labels,
    points: Vector,
    way: Vector,
    spacing: tuple[float, float, float],
    window: dict[str, float],
) -> None:
    """One reformatted plane: rows are slices, columns mm from the axis."""
    away = np.arange(-_REACH_MM, _REACH_MM + _STEP_MM / 2, _STEP_MM)
    pixels = way / np.array(spacing[1:])
    rows, masks = [], []
    for plane, drawn, point in zip(stack, labels, points, strict=True):
        places = [point[k] + away * pixels[k] for k in range(2)]
        inside = np.all([(p >= -0.5) & (p <= n - 0.5) for p, n in zip(places, plane.shape, strict=True)], axis=0)
        values = ndimage.map_coordinates(plane, places, order=1, mode="nearest")
        rows.append(np.where(inside, values, np.nan))
        masks.append(ndimage.map_coordinates(drawn, places, order=0, mode="constant", cval=0))
    height = spacing[0]
    extent = (away[0] - _STEP_MM / 2, away[-1] + _STEP_MM / 2, (len(rows) - 0.5) * height, -0.5 * height)
    ax.set_facecolor("0.2")
    ax.imshow(np.array(rows), extent=extent, cmap="gray", interpolation="nearest", aspect="equal", **window)
    for structure in STRUCTURES:
        for z, mask in enumerate(masks):
            steps = np.flatnonzero(np.diff(np.pad(mask == structure, 1).astype(np.int8)))
            for edge in steps:
                x = away[0] + (edge - 0.5) * _STEP_MM
                band = ((z - 0.5) * height, (z + 0.5) * height)
                ax.plot((x, x), band, color=COLOURS[structure], linewidth=2, solid_capstyle="butt")
    ax.axvline(0, color="white", linewidth=0.9, linestyle=(0, (4, 4)))
    ax.set_xlim(extent[0], extent[1])
    ax.set_ylim(extent[2], extent[3])
    ax.set_yticks(np.arange(len(rows)) * height, [str(z) for z in range(len(rows))], fontsize=8)
    ax.tick_params(axis="x", labelsize=8)
    ax.set_ylabel("slice", fontsize=9)
    ax.set_xlabel("mm from the axis", fontsize=9)


def _show_shifts(ax: Any, shifts: SliceShifts) -> None:
    """Both components for each slice; hollow where interpolated."""
    every = np.arange(len(shifts.shifts_mm))
    for k, (name, colour, marker) in enumerate((("y", "tab:purple", "o"), ("x", "tab:orange", "s"))):
        values = shifts.shifts_mm[:, k]
        ax.plot(values, every, color=colour, linewidth=0.8, zorder=1)
        for known in (True, False):
            chosen = shifts.observed == known
            ax.scatter(
                values[chosen],
                every[chosen],
                marker=marker,
                s=26,
                facecolors=colour if known else "white",
                edgecolors=colour,
                label=f"{name}, {'observed' if known else 'interpolated'}" if chosen.any() else None,
                zorder=2,
            )
    for z in np.flatnonzero(shifts.limited):
        ax.annotate("limited", (float(shifts.shifts_mm[z].max()), float(z)), fontsize=8, xytext=(5, -3),
                    textcoords="offset points")  # fmt: skip
    reach = max(1.0, 1.15 * float(np.abs(shifts.shifts_mm).max()))
    ax.set_xlim(-reach, reach)
    ax.set_ylim(len(every) - 0.5, -0.5)
    ax.set_yticks(every)
    ax.axvline(0, color="0.6", linewidth=0.8, zorder=0)
    ax.grid(axis="y", alpha=0.25)
    ax.tick_params(labelsize=8)
    ax.set_xlabel("shift, mm", fontsize=9)
    ax.set_ylabel("slice", fontsize=9)
    ax.set_title("shift of each slice", fontsize=10)
    ax.legend(fontsize=7.5, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)


def _explain(ax: Any, shifts: SliceShifts, handles: list[Line2D]) -> None:
    """A table of the shifts, and what the colours are."""
    ax.set_axis_off()
    lines = ["slice     y       x   (mm)"]
    for z, (y, x) in enumerate(shifts.shifts_mm):
        mark = " limited" if shifts.limited[z] else "" if shifts.observed[z] else " interpolated"
        lines.append(f"{z:4d}  {y:+6.1f}  {x:+6.1f} {mark}")
    size = 8.0 if len(lines) < 18 else 6.0
    ax.text(0.0, 1.0, "\n".join(lines), family="monospace", fontsize=size, va="top", transform=ax.transAxes)
    ax.legend(handles=handles, loc="lower left", fontsize=8, ncols=2, facecolor="0.35", labelcolor="white")
