"""Overlap of masks: the Dice coefficient, and over which slices."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cardiac_motion.errors import InputError
from cardiac_motion.metrics.checks import FloatArray, Mask, as_masks


def _dice(truth: Mask, predicted: Mask) -> float:
    total = int(truth.sum()) + int(predicted.sum())
    return 2 * int((truth & predicted).sum()) / total if total else float("nan")


def dice_stack(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Dice over all voxels at once, 2 |A and B| / (|A| + |B|): the whole stack, in 3D.

    Slices that hold the structure in only one of the masks count fully; NaN if both masks are empty, 0 if one is.

    Args:
        truth: mask (Z, Y, X), or (Y, X) for one slice.
        predicted: mask of the same shape.

    Source: Dice 1945; recursive diffeomorphic registration, eq. (6).
    """
    return _dice(*as_masks(truth, predicted))


def slices_holding(*masks: npt.ArrayLike) -> Mask:
    """Which slices hold a voxel in every one of the masks (Z, Y, X): (Z,).

    Raises:
        InputError: no mask, or masks that are not stacks of one shape.
    """
    arrays = [np.asarray(mask) for mask in masks]
    if not arrays or any(a.ndim != 3 or a.shape != arrays[0].shape for a in arrays):
        raise InputError(f"expected masks of one shape, (Z, Y, X), got {[a.shape for a in arrays]}")
    held = [a.astype(np.bool_).any(axis=(1, 2)) for a in arrays]
    return np.logical_and.reduce(held)


def dice_shared_slices(truth: npt.ArrayLike, predicted: npt.ArrayLike, source: npt.ArrayLike) -> float:
    """Dice in 3D over the slices that hold the structure at both frames, source and target.

    A stack's base moves by about a slice over the cycle: slices that hold a ventricle at end-diastole hold none
    at end-systole, and no in-plane motion can take it away. This leaves them out. Which slices count depends on
    the two reference segmentations alone, never on the prediction. NaN if no slice is shared.

    Args:
        truth: mask (Z, Y, X), the reference at the target frame.
        predicted: mask (Z, Y, X), what was carried to the target frame.
        source: mask (Z, Y, X), the reference at the frame it was carried from.
    """
    first, second = as_masks(truth, predicted, dims=(3,))
    shared = slices_holding(first, source)
    return _dice(first[shared], second[shared])


def dice_per_slice(truth: npt.ArrayLike, predicted: npt.ArrayLike) -> FloatArray:
    """Dice of each slice in 2D: (Z,); NaN where both masks are empty, 0 where one is.

    Args:
        truth: mask (Z, Y, X).
        predicted: mask (Z, Y, X).
    """
    first, second = as_masks(truth, predicted, dims=(3,))
    return np.array([_dice(a, b) for a, b in zip(first, second, strict=True)])
