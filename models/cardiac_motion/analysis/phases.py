"""End-diastole and end-systole of a curve with noise, as a segmentation of single frames gives it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cardiac_motion.analysis.curves import FEWEST, Curve, without_outliers

HARMONICS = 4.0
"""Harmonics of the cycle that a volume curve consists of; this one passes by half."""
BEYOND = 3.0
"""Standard deviations of the noise by which two frames differ only if their volumes do."""
_NEAR = 2
_MEDIAN_TO_SD = 1.4826


def smooth_cycle(curve: npt.ArrayLike, *, harmonics: float = HARMONICS) -> Curve:
    """A curve (T,) over the cycle, low-passed along the circle that time is.

    The harmonic k passes by 1 / (1 + (sin(pi k / T) / sin(pi h / T))^4), h that of the cut-off: what minimises the
    squared distance to the curve plus that of second differences, so that a jump where the cycle closes does not
    ring (Whittaker 1922; Eilers 2003, "A perfect smoother").
    """
    values = np.asarray(curve, dtype=np.float64)
    frames = len(values)
    spectrum = np.fft.rfft(values)
    cut = np.sin(np.pi * min(harmonics / frames, 0.5))
    ratio = np.sin(np.pi * np.arange(len(spectrum)) / frames) / cut
    return np.asarray(np.fft.irfft(spectrum / (1 + ratio**4), n=frames))


def phases(volume: npt.ArrayLike) -> tuple[int, int]:
    """Frames of end-diastole and end-systole of a ventricle's volume curve (T,), in spite of noise.

    Single frames that stick out do not count (`without_outliers`), and the curve is smoothed. Where the curve
    itself has its extreme within two frames of the smoothed one's, beyond what noise explains, that frame is
    taken: smoothing moves the sharp end of systole. Fewer than 16 frames are taken as they are.

    Raises:
        InputError: not a curve of finite, non-negative volumes, at least one of them above zero.
    """
    curve = without_outliers(volume)
    if len(curve) < FEWEST:
        return int(np.argmax(curve)), int(np.argmin(curve))
    smooth, noise = smooth_cycle(curve), noise_of(curve)
    kept = curve == np.asarray(volume, dtype=np.float64)
    return _extreme(curve, smooth, kept, noise), _extreme(-curve, -smooth, kept, noise)


def noise_of(curve: npt.ArrayLike) -> float:
    """Standard deviation of the noise of single frames of a cyclic curve (T,), from its fourth differences.

    A volume curve itself has hardly any, but where systole ends; the median takes no notice of that.
    """
    differences = np.asarray(curve, dtype=np.float64)
    for _ in range(4):
        differences = np.roll(differences, -1) - differences
    # Of independent noise of 1, fourth differences have a variance of 1 + 16 + 36 + 16 + 1.
    return float(_MEDIAN_TO_SD * np.median(np.abs(differences)) / np.sqrt(70))


def _extreme(curve: Curve, smooth: Curve, kept: npt.NDArray[np.bool_], noise: float) -> int:
    """The frame where a curve is largest, among those that were kept as they are, as `phases` says."""
    frames = len(curve)
    top = int(np.argmax(smooth))
    around = [(top + step) % frames for step in sorted(range(-(frames // 2), frames - frames // 2), key=abs)]
    top = next((t for t in around if kept[t]), top)
    best = max((t for t in around[: 2 * _NEAR + 1] if kept[t]), key=lambda t: float(curve[t]), default=top)
    return best if curve[best] - curve[top] > BEYOND * noise else top
