"""Curves over the cycle, one value a frame: what sticks out of them, and their extremes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cardiac_motion.errors import InputError

Curve = npt.NDArray[np.float64]

FEWEST = 16
"""Frames of a cycle from which on a single frame that sticks out cannot be end-systole."""
_MOST_OUTLIERS = 1 / 3
"""Share of the frames that may stick out; where more do, it is not single frames that are wrong."""


def end_diastole(volume: npt.ArrayLike) -> int:
    """Frame of the largest volume of a ventricle (T,); single frames that stick out do not count."""
    return int(np.argmax(without_outliers(volume)))


def end_systole(volume: npt.ArrayLike) -> int:
    """Frame of the smallest volume of a ventricle (T,); single frames that stick out do not count."""
    return int(np.argmin(without_outliers(volume)))


def without_outliers(volume: npt.ArrayLike) -> Curve:
    """The curve with frames that cannot be right replaced by what their neighbours say: (T,).

    An empty frame of a curve that is not empty throughout is one without labels. A frame sticks out where it is
    above both its neighbours in time, or below both, by more than a quarter of the curve's range; no heart does
    that between two frames of a cine. Where more than a third of the frames do, nothing says which are right,
    and all are left as they are. The curve closes on itself. One of fewer than 16 frames, in which it may well
    happen at end-systole, only has its empty frames replaced.

    Raises:
        InputError: not a curve of finite, non-negative volumes, at least one of them above zero.
    """
    curve = np.array(volume, dtype=np.float64)
    if curve.ndim != 1 or not np.isfinite(curve).all() or (curve < 0).any() or not curve.any():
        raise InputError(
            f"expected a volume curve (T,) of finite, non-negative values that are not all zero, got {volume!r}"
        )
    frames = len(curve)
    known = np.flatnonzero(curve)
    curve = np.interp(np.arange(frames), known, curve[known], period=frames)
    if frames < FEWEST:
        return curve
    before, after = np.roll(curve, 1), np.roll(curve, -1)
    excess = np.maximum(curve - np.maximum(before, after), np.minimum(before, after) - curve)
    # The range without the extremes themselves, or a spike would set its own threshold.
    low, high = np.sort(curve)[[1, -2]]
    sticks_out = excess > 0.25 * (high - low)
    if sticks_out.mean() > _MOST_OUTLIERS:
        return curve
    return np.where(sticks_out, (before + after) / 2, curve)
