"""How a segmentation draws borders, compared with how a reader drew them on the key frames.

Readers and networks differ systematically: the border of the blood pool among the trabeculae, for instance, is a
matter of convention. On a key frame the difference is measured, in mm per slice and region, and taken out of the
segmentation of the other frames; what is left of it says how far the segmentation is to be believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from cardiac_motion.propagation.plane_sampling import normalised, sample_each
from cardiac_motion.propagation.structure_distances import signed_distance, without_staircase

Floats = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

LARGEST_MM = 4.0
"""A larger difference is no matter of convention."""
USUAL_MM = 2.0
"""Difference that is usual among conventions. The further a segmentation goes beyond, the less it is believed, as
what makes up for it at a key frame need not do so where the heart has contracted."""
FAULT_MM = 3.5
"""Difference from what motion carries that is no matter of convention but a fault of one of the two."""
SLICE_SHARE = 0.7
"""What a slice's own difference counts, against that of the whole stack."""
CONVENTION_MM = 0.5
"""Differences that are smaller than this are chance rather than convention, larger ones the other way
round; they are shrunk accordingly."""
WORTHLESS, TRUSTED = 0.6, 0.9
"""Dice on the key frame up to which a segmentation counts for nothing, and from which on it counts fully."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """What a key frame says about the segmentation.

    Attributes:
        bias_mm: (Z, C), how much further out than the reader it draws the border of each region.
        trust: (Z, C), from 0 to 1, how well it agrees with the reader once that has been taken out, and how usual
            that is.
    """

    bias_mm: Vector
    trust: Vector


def calibrate(seen: Floats, drawn: Mask, spacing: Sequence[float], cap_mm: float) -> Calibration:
    """Compare the segmentation of a key frame with what was drawn.

    Args:
        seen: (Z, C, Y, X), probability of each region.
        drawn: (Z, C, Y, X) bool.
        spacing: (y, x) in mm.
        cap_mm: where distances are cut off.
    """
    slices, regions = seen.shape[:2]
    planes = (slices * regions, *seen.shape[2:])
    at_reader = _distances(drawn.reshape(planes).astype(np.float32), spacing, cap_mm)
    bias = _further_out(seen.reshape(planes), at_reader, spacing, cap_mm).reshape(slices, regions)
    bias[np.abs(bias) > LARGEST_MM] = np.nan
    bias = _shrunk(bias)
    moved = move_borders(seen, bias, spacing, cap_mm) > 0.5
    both = (moved & drawn).sum(axis=(2, 3))
    total = moved.sum(axis=(2, 3)) + drawn.sum(axis=(2, 3))
    dice = np.where(drawn.any(axis=(2, 3)), 2 * both / np.maximum(total, 1), np.nan)
    usual = (USUAL_MM / np.maximum(np.abs(bias), USUAL_MM)) ** 2
    trust = usual * np.clip((dice - WORTHLESS) / (TRUSTED - WORTHLESS), 0, 1)
    # A slice without the region says nothing about borders: it takes what the stack says, else 0.
    return Calibration(bias, np.nan_to_num(np.where(np.isnan(trust), _medians(trust), trust)))


def unconventional(
    seen: Floats, carried: Floats, spacing: Sequence[float], cap_mm: float
) -> tuple[Floats, Vector]:
    """The segmentation of a region, of the size that propagation has it where the two differ as conventions do.

    How much of what contraction presses together belongs to the pool is a matter of convention, and one that a key
    frame at end-diastole does not show. Motion carries the reader's along. So the segmentation is asked for the
    form of the region, and for its size only as far as the difference is no matter of convention.

    Args:
        seen: (Z, Y, X), probability of the region.
        carried: (Z, Y, X), signed distance to it, mm, by propagation.
        spacing: (y, x) in mm.
        cap_mm: where distances are cut off.

    Returns:
        The segmentation with its borders moved, and (Z,) how far each slice's difference is a fault, 0 to 1.
    """
    difference = np.nan_to_num(_further_out(seen, carried, spacing, cap_mm))
    fault = np.clip((np.abs(difference) - USUAL_MM) / (FAULT_MM - USUAL_MM), 0, 1)
    return move_borders(seen[:, None], ((1 - fault) * difference)[:, None], spacing, cap_mm)[:, 0], fault


def _further_out(seen: Floats, drawn: Floats, spacing: Sequence[float], cap_mm: float) -> Vector:
    """By how many mm borders of probabilities (N, Y, X) lie outside those of signed distances; NaN for none."""
    difference = drawn - _distances(seen, spacing, cap_mm)
    border = (np.abs(drawn) < max(spacing)) & (seen > 0.5).any(axis=(1, 2), keepdims=True)
    offsets = [each[where] for each, where in zip(difference, border, strict=True)]
    return np.array([_middle(each) if len(each) else np.nan for each in offsets])


def move_borders(seen: Floats, bias_mm: Vector, spacing: Sequence[float], cap_mm: float) -> Floats:
    """Probabilities (Z, C, Y, X) with the border of each region moved inwards by so much, (Z, C) mm."""
    result = seen.copy()
    chosen = np.argwhere(np.abs(bias_mm) > 0.1 * min(spacing))
    if not len(chosen):
        return result
    planes = np.ascontiguousarray(seen[tuple(chosen.T)])
    distance = _distances(planes, spacing, cap_mm)
    # No further than half the way to a region's middle, or a small one would turn inside out.
    depth = -distance.min(axis=(1, 2), keepdims=True)
    by = np.clip(bias_mm[tuple(chosen.T)].reshape(-1, 1, 1), -LARGEST_MM, np.maximum(depth, 0) / 2)
    rows, columns = np.gradient(distance, *spacing, axis=(1, 2))
    length = np.maximum(np.hypot(rows, columns), 0.5)
    y, x = np.indices(planes.shape[1:], dtype=np.float32)
    places = [y + by * rows / length / spacing[0], x + by * columns / length / spacing[1]]
    grids = normalised([place.astype(np.float32) for place in places], planes.shape[1:])
    result[tuple(chosen.T)] = sample_each(planes[:, None], grids)[:, 0]
    return result


def _distances(planes: Floats, spacing: Sequence[float], cap_mm: float) -> Floats:
    return without_staircase(signed_distance(planes > 0.5, spacing, cap_mm), spacing)


def _middle(values: Floats) -> float:
    """Mean of the middle half: pixels make distances coarse, which a median does not even out."""
    return float(stats.trim_mean(values, 0.25))


def _shrunk(bias: Vector) -> Vector:
    """Each slice's own bias, drawn towards that of the stack and to zero; where there is none, the stack's."""
    middle = np.nan_to_num(_medians(bias))
    bias = np.where(np.isnan(bias), middle, SLICE_SHARE * bias + (1 - SLICE_SHARE) * middle)
    return np.asarray(bias**3 / (bias**2 + CONVENTION_MM**2))


def _medians(values: Vector) -> Vector:
    """Median (C,) over the slices that have a value; NaN without any."""
    known = [column[~np.isnan(column)] for column in values.T]
    return np.array([np.median(each) if len(each) else np.nan for each in known])
