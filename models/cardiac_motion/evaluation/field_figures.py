"""Figure of one displacement: differences of images, deformed grid, |J| and the field as a colour wheel."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure

from cardiac_motion import fields
from cardiac_motion.evaluation.curves import new_figure
from cardiac_motion.evaluation.overlays import draw_outline, show_slice
from cardiac_motion.evaluation.snapshots import Snapshot
from cardiac_motion.labels import COLOURS

_GRID_MM = 6.0
_LARGEST_LOG2 = 1.5
_FOLD_COLOUR = (1.0, 0.0, 1.0, 1.0)


def field_figure(case: Snapshot, model: str, *, title: str = "") -> Figure:
    """Six pictures of the middle slice from the source frame (ED) to the target frame (ES)."""
    found = case.models[model]
    z = case.middle_slice
    figure = new_figure(9.6, 8.0)
    # By hand: automatic layout does not see colour bars that lie inside the axes' own frame.
    figure.set_layout_engine("none")
    figure.suptitle(title, fontsize=11, y=0.985)
    axes = figure.subplots(
        2,
        3,
        gridspec_kw={"left": 0.015, "right": 0.985, "bottom": 0.08, "top": 0.92, "wspace": 0.06, "hspace": 0.28},
    )
    show_slice(axes[0, 0], case.source_image[z], case.spacing, **case.window)
    for structure in case.structures:
        draw_outline(axes[0, 0], case.source_labels[z], structure, color=COLOURS[structure], linewidth=1.4)
    axes[0, 0].set_title(f"ED with its labels, slice {z}", fontsize=9)
    before = case.source_image[z] - case.target_image[z]
    largest = max(0.1, float(np.percentile(np.abs(before), 99.5)))
    for ax, image, name in (
        (axes[0, 1], case.source_image[z], "before"),
        (axes[0, 2], found.warped[z], "after"),
    ):
        difference = image - case.target_image[z]
        shown = show_slice(ax, difference, case.spacing, cmap="RdBu", vmin=-largest, vmax=largest)
        rms = float(np.sqrt((difference**2).mean()))
        ax.set_title(f"ED − ES {name}, RMSE {rms:.3f}", fontsize=9)  # noqa: RUF001 - a minus sign
    _bar(figure, axes[0, 2], shown)
    _draw_grid(axes[1, 0], case, found.from_source, z)
    draw_jacobian(figure, axes[1, 1], found.from_source, case.spacing, z)
    draw_wheel(axes[1, 2], found.from_source, case.spacing, z)
    return figure


def _bar(figure: Figure, ax: Any, shown: Any, **style: Any) -> Any:
    """A colour bar below a picture that leaves the picture its size."""
    place = ax.inset_axes((0.05, -0.09, 0.9, 0.035))
    bar = figure.colorbar(shown, cax=place, orientation="horizontal", **style)
    place.tick_params(labelsize=8)
    return bar


def _draw_grid(ax: Any, case: Snapshot, displacement: npt.NDArray[np.float32], z: int) -> None:
    """A regular grid of the source frame where its points are at ES, over the image of ES."""
    show_slice(ax, case.target_image[z], case.spacing, **case.window)
    sizes = case.spacing[1:]
    y, x = np.mgrid[: displacement.shape[2], : displacement.shape[3]].astype(float)
    moved = [grid + displacement[i + 1, z] / sizes[i] for i, grid in enumerate((y, x))]
    step_y, step_x = (max(2, round(_GRID_MM / s)) for s in sizes)
    style = {"color": (0.4, 0.95, 1.0), "linewidth": 0.7}
    for row in range(0, y.shape[0], step_y):
        ax.plot(moved[1][row], moved[0][row], **style)
    for column in range(0, x.shape[1], step_x):
        ax.plot(moved[1][:, column], moved[0][:, column], **style)
    ax.set_title(f"grid of ED, {_GRID_MM:.0f} mm, moved to ES", fontsize=9)


def draw_jacobian(
    figure: Figure,
    ax: Any,
    displacement: npt.NDArray[np.float32],
    spacing: tuple[float, float, float],
    z: int,
) -> None:
    """|J| of a displacement (3, Z, Y, X) in mm on a slice, on a logarithmic scale; folded voxels magenta."""
    field = fields.to_voxels(torch.from_numpy(displacement.astype(np.float64))[None], spacing)
    determinant = fields.jacobian_determinant(field)[0, z].numpy()
    folded = (fields.smallest_corner_jacobian(field)[0, z] <= 0).numpy()
    logarithm = np.log2(np.maximum(determinant, 1e-6))
    shown = show_slice(ax, logarithm, spacing, cmap="PuOr_r", vmin=-_LARGEST_LOG2, vmax=_LARGEST_LOG2)
    mark = np.zeros((*folded.shape, 4))
    mark[folded] = _FOLD_COLOUR
    ax.imshow(mark, aspect=spacing[1] / spacing[2])
    bar = _bar(figure, ax, shown, extend="both")
    bar.set_ticks([-1.5, -1, -0.5, 0, 0.5, 1, 1.5], labels=["0.35", "0.5", "0.71", "1", "1.4", "2", "2.8"])
    ax.set_title(f"|J| from ED to ES; {int(folded.sum())} folded voxels (magenta)", fontsize=9)


def wheel_colours(
    y: npt.NDArray[np.floating], x: npt.NDArray[np.floating], largest: float
) -> npt.NDArray[np.float64]:
    """Colours (..., 3) of displacements: hue for the direction, white for none, full colour at ``largest``."""
    length = np.clip(np.hypot(y, x) / max(largest, 1e-9), 0, 1)
    hue = (np.arctan2(y, x) / (2 * np.pi)) % 1.0
    return hsv_to_rgb(np.stack([hue, length, np.full_like(hue, 0.95)], axis=-1))


def draw_wheel(
    ax: Any, displacement: npt.NDArray[np.float32], spacing: tuple[float, float, float], z: int
) -> None:
    """The in-plane displacement of a slice as colours, with the wheel as a legend and arrows over it."""
    down, right = displacement[1, z], displacement[2, z]
    largest = max(1.0, float(np.ceil(np.percentile(np.hypot(down, right), 99.5))))
    show_slice(ax, wheel_colours(down, right, largest), spacing)
    ax.set_title("displacement from ED to ES", fontsize=9)
    step = max(4, round(9.0 / spacing[1]))
    y, x = np.mgrid[step // 2 : down.shape[0] : step, step // 2 : down.shape[1] : step]
    ax.quiver(
        x,
        y,
        right[y, x] / spacing[2],
        down[y, x] / spacing[1],
        angles="xy",
        scale_units="xy",
        scale=1,
        width=0.004,
        color="0.15",
    )
    wheel = ax.inset_axes((0.74, 0.0, 0.26, 0.31), facecolor="white", zorder=5)
    rows, columns = np.mgrid[-1:1:101j, -1:1:101j]
    colours = np.concatenate([wheel_colours(rows, columns, 1.0), np.ones((101, 101, 1))], axis=-1)
    colours[np.hypot(rows, columns) > 1, 3] = 0
    wheel.imshow(colours)
    wheel.set(xticks=[], yticks=[], xlim=(-6, 106), ylim=(106, -28))
    wheel.text(50, -5, f"rim: {largest:.0f} mm", ha="center", va="bottom", fontsize=7.5)
