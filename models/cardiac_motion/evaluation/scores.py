"""Scores of labels and fields against the truth, as plain rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cardiac_motion.labels import Label
from cardiac_motion.metrics import (
    dice_shared_slices,
    dice_stack,
    folds,
    hausdorff_per_slice,
    mean_contour_distance,
    mean_where_defined,
    rmse,
    sd_log_jacobian,
    ssim_slices,
    surface_distances,
)

UNREGISTERED = "unregistered"
"""The labels and the image of the source frame as they are: what every figure is to be seen against."""

Volume = npt.NDArray[np.float32]
Labels = npt.NDArray[np.integer]
Spacing = tuple[float, float, float]
Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class StructureScore:
    """One structure at one frame; NaN where a measure is not defined (see `cardiac_motion.metrics`).

    Attributes:
        dice_shared: over the slices that hold the structure at both frames, source and target.
        dice_stack: over the whole stack.
        hausdorff_3d: mm, 3D, whole stack.
        hausdorff_2d: mm, 2D, mean over the slices that both masks hold.
        hausdorff95_3d: mm, 3D, whole stack.
        assd_3d: mm, 3D, whole stack.
        mean_contour_distance: mm, 2D, mean over the slices that both masks hold.
    """

    dice_shared: float
    dice_stack: float
    hausdorff_3d: float
    hausdorff_2d: float
    hausdorff95_3d: float
    assd_3d: float
    mean_contour_distance: float


@dataclass(frozen=True)
class ImageScore:
    """The source image warped into a frame against that frame, within the heart's box, intensities 0 to 1."""

    rmse: float
    ssim: float


@dataclass(frozen=True)
class FieldScore:
    """The field to the source frame.

    Attributes:
        folds: share of folded voxels of the whole grid.
        folded_voxels: their number.
        sd_log_jacobian: of log |J|, within the heart's box.
    """

    folds: float
    folded_voxels: int
    sd_log_jacobian: float


def score_structure(
    structure: Label, truth: Labels, predicted: Labels, source: Labels, spacing: Spacing
) -> StructureScore:
    """Score labels (Z, Y, X) of one frame for one structure.

    Args:
        structure: which.
        truth: at the target frame.
        predicted: what was carried there.
        source: the truth at the frame it was carried from.
        spacing: (z, y, x) mm.
    """
    true, found, start = structure_masks(structure, truth, predicted, source)
    surfaces = surface_distances(true, found, spacing)
    return StructureScore(
        dice_shared=dice_shared_slices(true, found, start),
        dice_stack=dice_stack(true, found),
        hausdorff_3d=surfaces.hausdorff,
        hausdorff_2d=mean_where_defined(hausdorff_per_slice(true, found, spacing)),
        hausdorff95_3d=surfaces.hausdorff95,
        assd_3d=surfaces.assd,
        mean_contour_distance=mean_contour_distance(true, found, spacing),
    )


def structure_masks(structure: Label, *labels: Labels) -> list[npt.NDArray[np.bool_]]:
    """Masks of a structure in several labels (Z, Y, X), all cut to the box in the plane that holds it in each.

    Overlap and distances depend on what is inside that box alone; whole slices would cost ten times as much.
    """
    masks = [each == structure for each in labels]
    _, y, x = box_of(np.logical_or.reduce(masks), margin=(0, 1, 1))
    return [mask[:, y, x] for mask in masks]


def score_image(truth: Volume, warped: Volume, box: Box) -> ImageScore:
    """Score a warped frame (Z, Y, X) against the true one, both with intensities from 0 to 1, in a box."""
    return ImageScore(rmse(truth[box], warped[box]), ssim_slices(truth[box], warped[box], data_range=1.0))


def score_field(displacement: Volume, spacing: Spacing, box: Box) -> FieldScore:
    """Score a displacement (3, Z, Y, X) in mm; |J| in a box, folds everywhere."""
    share = folds(displacement, spacing)
    inside = np.zeros(displacement.shape[1:], dtype=np.bool_)
    inside[box] = True
    return FieldScore(
        folds=share,
        folded_voxels=round(share * inside.size),
        sd_log_jacobian=sd_log_jacobian(displacement, spacing, mask=inside),
    )


def box_of(mask: npt.NDArray[np.bool_], margin: Iterable[int]) -> Box:
    """The smallest box (z, y, x) that holds a mask, with a margin in voxels; the whole grid for an empty one."""
    bounds = []
    for axis, extra in enumerate(margin):
        others = tuple(a for a in range(3) if a != axis)
        places = np.flatnonzero(mask.any(axis=others))
        size = mask.shape[axis]
        bounds.append(
            slice(max(0, int(places[0]) - extra), min(size, int(places[-1]) + 1 + extra))
            if places.size
            else slice(0, size)
        )
    z, y, x = bounds
    return z, y, x


def heart_box(labels: Labels, spacing: Spacing, *, margin_mm: float = 20.0) -> Box:
    """All slices, and in the plane what the labels (T, Z, Y, X) of all frames reach, with a margin."""
    margins = (labels.shape[1], *(max(6, round(margin_mm / s)) for s in spacing[1:]))
    return box_of((np.asarray(labels) > 0).any(axis=0), margins)


def scaled(frames: Volume) -> Volume:
    """Intensities from 0 to 1 between the 1st and 99th percentile of all frames, cut off there."""
    low, high = np.percentile(frames, (1, 99))
    result: Volume = np.clip((frames - low) / max(float(high - low), 1e-6), 0, 1).astype(np.float32)
    return result
