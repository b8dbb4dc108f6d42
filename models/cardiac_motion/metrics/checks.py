"""Checks of what the measures are given, and means that skip what is not defined."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cardiac_motion.errors import InputError

Mask = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]


def as_masks(truth: npt.ArrayLike, predicted: npt.ArrayLike, *, dims: Sequence[int] = (2, 3)) -> tuple[Mask, Mask]:
    """Two boolean masks of one shape with 2 or 3 axes.

    Raises:
        InputError: another shape or number of axes, or a label map with values beside 0 and 1 in place of a mask.
    """
    first, second = np.asarray(truth), np.asarray(predicted)
    if first.shape != second.shape or first.ndim not in dims:
        axes = " or ".join("(Y, X)" if d == 2 else "(Z, Y, X)" for d in dims)
        raise InputError(f"expected two masks of one shape, {axes}, got {first.shape} and {second.shape}")
    return _as_mask(first), _as_mask(second)


def _as_mask(array: npt.NDArray[np.generic]) -> Mask:
    if array.dtype == np.bool_:
        return array.astype(np.bool_, copy=False)
    if not np.isin(array, (0, 1)).all():
        raise InputError(f"a mask holds one structure, values 0 and 1, got values {np.unique(array)[:6].tolist()}")
    return array == 1


def check_spacing(spacing: Sequence[float], dims: int) -> tuple[float, ...]:
    """The spacing as floats, or InputError if it is not one positive number per axis."""
    values = tuple(float(s) for s in spacing)
    if len(values) != dims or not all(np.isfinite(v) and v > 0 for v in values):
        raise InputError(f"expected {dims} positive spacings in mm, one per axis, got {list(values)}")
    return values


def mean_where_defined(values: npt.ArrayLike) -> float:
    """Mean over the values that are not NaN; NaN if there is none."""
    array = np.asarray(values, dtype=np.float64)
    defined = array[~np.isnan(array)]
    return float(defined.mean()) if defined.size else float("nan")
