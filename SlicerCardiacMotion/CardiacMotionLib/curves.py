"""ED and ES of curves over the cycle, by the rules of the package, of which Slicer's Python need not have any."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from CardiacMotionLib.errors import InputError

Curve = npt.NDArray[np.float64]

_ENOUGH_FRAMES = 16
_SPIKE = 0.25
_MOST_SPIKES = 1 / 3
_HARMONICS = 4.0
_BEYOND_NOISE = 3.0
_REACH = 2


def without_outliers(volume: npt.ArrayLike) -> Curve:
    """The curve (T,), frames that cannot be right replaced by what their neighbours say.

    An empty frame is one that nobody has drawn. Of 16 frames or more, one that is above both its neighbours, or
    below both, by more than a quarter of the curve's range cannot be right, unless more than a third of them are
    so. The curve closes on itself.

    Raises:
        InputError: not a curve of finite volumes, none negative and not all of them zero.
    """
    curve = np.array(volume, dtype=np.float64)
    if curve.ndim != 1 or not np.isfinite(curve).all() or (curve < 0).any() or not curve.any():
        raise InputError(f"expected a volume curve (T,), finite, not negative and not all zero, got {volume!r}")
    frames = len(curve)
    drawn = np.flatnonzero(curve)
    curve = np.interp(np.arange(frames), drawn, curve[drawn], period=frames)
    if frames < _ENOUGH_FRAMES:
        return curve
    before, after = np.roll(curve, 1), np.roll(curve, -1)
    excess = np.maximum(curve - np.maximum(before, after), np.minimum(before, after) - curve)
    low, high = np.sort(curve)[[1, -2]]  # a spike must not set its own threshold
    sticks_out = excess > _SPIKE * (high - low)
    # Where so many do, nothing says which are right.
    return curve if sticks_out.mean() > _MOST_SPIKES else np.where(sticks_out, (before + after) / 2, curve)


def phases(volume: npt.ArrayLike) -> tuple[int, int]:
    """Frames of end-diastole and end-systole of a ventricle's volume curve (T,), in spite of noise.

    The extremes of the smoothed curve; where the curve has its own within two frames of them, beyond what noise
    explains, those. Frames that stick out or are empty are not chosen. A curve of fewer than 16 frames is taken as
    it is but for its empty frames.

    Raises:
        InputError: as `without_outliers`.
    """
    curve = without_outliers(volume)
    if len(curve) < _ENOUGH_FRAMES:
        return int(np.argmax(curve)), int(np.argmin(curve))
    is_own = curve == np.asarray(volume, dtype=np.float64)
    smooth, noise = _smoothed(curve), _noise(curve)
    return _peak(curve, smooth, is_own, noise), _peak(-curve, -smooth, is_own, noise)


def _smoothed(curve: Curve) -> Curve:
    """The curve without what is faster than about four harmonics of the cycle."""
    frames = len(curve)
    waves = np.fft.rfft(curve)
    speed = np.sin(np.pi * np.arange(len(waves)) / frames)
    limit = np.sin(np.pi * min(_HARMONICS / frames, 0.5))
    return np.asarray(np.fft.irfft(waves / (1 + (speed / limit) ** 4), n=frames))


def _noise(curve: Curve) -> float:
    """Standard deviation of the noise of single frames, from the curve's fourth differences."""
    for _ in range(4):
        curve = np.roll(curve, -1) - curve
    return float(1.4826 * np.median(np.abs(curve)) / np.sqrt(70))


def _peak(curve: Curve, smooth: Curve, is_own: npt.NDArray[np.bool_], noise: float) -> int:
    """The frame where a curve is largest, as `phases` says."""
    frames = len(curve)
    steps = sorted(range(-(frames // 2), frames - frames // 2), key=abs)
    near = [(int(np.argmax(smooth)) + step) % frames for step in steps]
    top = next((t for t in near if is_own[t]), near[0])
    best = max((t for t in near[: 2 * _REACH + 1] if is_own[t]), key=lambda t: float(curve[t]), default=top)
    return best if curve[best] - curve[top] > _BEYOND_NOISE * noise else top
