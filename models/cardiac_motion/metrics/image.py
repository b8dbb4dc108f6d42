"""Likeness of images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import correlate1d

from cardiac_motion.errors import InputError
from cardiac_motion.metrics.checks import FloatArray

WINDOW = 11
SIGMA = 1.5


def _as_images(truth: npt.ArrayLike, image: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    first, second = np.asarray(truth, dtype=np.float64), np.asarray(image, dtype=np.float64)
    if first.shape != second.shape or first.size == 0:
        raise InputError(f"expected two images of one shape, got {first.shape} and {second.shape}")
    return first, second


def rmse(truth: npt.ArrayLike, image: npt.ArrayLike, mask: npt.ArrayLike | None = None) -> float:
    """Root of the mean squared difference of two images, in their unit of intensity.

    Papers give it for images scaled to 0..1; scale both by one and the same factor before.

    Args:
        truth: any shape.
        image: as ``truth``.
        mask: voxels that count, a shape that broadcasts to the image's; all by default. Empty gives NaN.
    """
    first, second = _as_images(truth, image)
    squares = (first - second) ** 2
    if mask is not None:
        squares = squares[np.broadcast_to(np.asarray(mask, dtype=np.bool_), squares.shape)]
    return float(np.sqrt(squares.mean())) if squares.size else float("nan")


def _window_mean(image: FloatArray) -> FloatArray:
    """Gaussian mean over 11 x 11 windows that lie inside the image, (Y - 10, X - 10)."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    kernel = np.exp(-(offsets**2) / (2 * SIGMA**2))
    kernel /= kernel.sum()
    edge = WINDOW // 2
    for axis in (0, 1):
        image = correlate1d(image, kernel, axis=axis)
    return image[edge:-edge, edge:-edge]


def ssim_per_slice(truth: npt.ArrayLike, image: npt.ArrayLike, *, data_range: float | None = None) -> FloatArray:
    """Structural similarity of each slice in 2D, from -1 to 1: (Z,).

    The mean over all 11 x 11 Gaussian windows (sigma 1.5) that lie inside the slice, with K1 = 0.01, K2 = 0.03.

    Args:
        truth: (Z, Y, X), Y and X at least 11.
        image: as ``truth``.
        data_range: range of the intensities; by default that of the truth, over the whole stack.

    Raises:
        InputError: shapes that differ or are too small, or a range that is not positive.

    Source: Wang et al. 2004, section III.
    """
    first, second = _as_images(truth, image)
    if first.ndim != 3 or min(first.shape[1:]) < WINDOW:
        raise InputError(f"expected slices (Z, Y, X) of at least {WINDOW} x {WINDOW} pixels, got {first.shape}")
    extent = float(first.max() - first.min()) if data_range is None else float(data_range)
    if not extent > 0:
        raise InputError(f"the range of intensities must be positive, got {extent}")
    c1, c2 = (0.01 * extent) ** 2, (0.03 * extent) ** 2
    values = []
    for a, b in zip(first, second, strict=True):
        mean_a, mean_b = _window_mean(a), _window_mean(b)
        variances = _window_mean(a * a + b * b) - mean_a**2 - mean_b**2
        covariance = _window_mean(a * b) - mean_a * mean_b
        luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
        values.append((luminance * (2 * covariance + c2) / (variances + c2)).mean())
    return np.array(values)


def ssim_slices(truth: npt.ArrayLike, image: npt.ArrayLike, *, data_range: float | None = None) -> float:
    """Structural similarity of a stack: the mean over its slices, each in 2D. See `ssim_per_slice`."""
    return float(ssim_per_slice(truth, image, data_range=data_range).mean())
