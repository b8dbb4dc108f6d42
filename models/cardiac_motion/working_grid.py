"""Native image <-> what a method sees: the heart's region in-plane, intensities from 0 to 1, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cardiac_motion.errors import InputError

FloatImage = npt.NDArray[np.float32]

SMALLEST_EXTENT_MM = 160.0
"""Side of the smallest region: room for a normal heart and what moves with it."""
LARGEST_EXTENT_MM = 220.0
"""Side of the largest region; a dilated heart with both atria fits in."""
MARGIN_MM = 25.0
"""Kept free around what moves."""
_BLUR_MM = 14.0
_MOVING = 0.35
"""Share of the largest motion energy above which a place counts as moving."""


@dataclass(frozen=True)
class Region:
    """An in-plane rectangle of a stack: rows y0 to y1 and columns x0 to x1, the ends not included."""

    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X) of the region."""
        return self.y1 - self.y0, self.x1 - self.x0

    def crop(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The region of an array (..., Y, X), as a view."""
        return array[..., self.y0 : self.y1, self.x0 : self.x1]

    def embed(self, array: npt.NDArray[Any], shape: tuple[int, int]) -> npt.NDArray[Any]:
        """An array (..., *region) in the full plane (..., Y, X), zero outside the region."""
        if array.shape[-2:] != self.shape:
            raise ValueError(f"expected an array (..., {self.shape[0]}, {self.shape[1]}), got {array.shape}")
        full = np.zeros((*array.shape[:-2], *shape), dtype=array.dtype)
        self.crop(full)[...] = array
        return full


def normalise(frames: npt.NDArray[np.floating]) -> FloatImage:
    """Intensities to 0 to 1 between their 1st and 99th percentile, clipped; any shape.

    Raises:
        InputError: an image without contrast.
    """
    low, high = np.percentile(frames, (1, 99))
    if high <= low:
        low, high = float(frames.min()), float(frames.max())
    if high <= low:
        raise InputError(f"expected an image with some contrast, every voxel is {float(low):g}")
    return np.clip((frames - low) / (high - low), 0, 1).astype(np.float32)


def motion_energy(
    frames: npt.NDArray[np.floating], spacing: tuple[float, float, float]
) -> npt.NDArray[np.float64]:
    """How much each place in-plane changes over the cycle, blurred and weighted towards the middle: (Y, X).

    The standard deviation over time, mean over slices, blurred by 14 mm: noise and flow in small vessels
    average out, the beating heart does not. The weight falls to 0.6 at 30 % of the field of view from its
    middle, where the heart is planned to be; it keeps moving bowel or chest wall at the edge from winning.

    Args:
        frames: (T, Z, Y, X).
        spacing: (z, y, x) in mm.
    """
    change = frames.astype(np.float32).std(axis=0).mean(axis=0, dtype=np.float64)
    blurred = ndimage.gaussian_filter(change, (_BLUR_MM / spacing[1], _BLUR_MM / spacing[2]), mode="constant")
    offsets = [(np.arange(n) - (n - 1) / 2) / n for n in change.shape]
    squared = offsets[0][:, None] ** 2 + offsets[1][None, :] ** 2
    return blurred * np.exp(-squared / (2 * 0.3**2))


def _extent(low: float, high: float, size: int, spacing: float) -> tuple[int, int]:
    """Widen an interval of voxels to the wanted length in mm and move it into the image."""
    wanted = np.clip((high - low) * spacing + 2 * MARGIN_MM, SMALLEST_EXTENT_MM, LARGEST_EXTENT_MM)
    length = min(size, round(float(wanted) / spacing))
    start = round((low + high - length) / 2)
    start = min(max(start, 0), size - length)
    return start, start + length


def find_heart(frames: npt.NDArray[np.floating], spacing: tuple[float, float, float]) -> Region:
    """The in-plane region of the beating heart, found from the image alone.

    Args:
        frames: (T, Z, Y, X), at least two frames.
        spacing: (z, y, x) in mm.

    Returns:
        A region of 160 to 220 mm a side, less where the image is smaller. Where nothing moves, as in a single
        frame, the largest one in the middle.
    """
    energy = motion_energy(frames, spacing)
    if energy.max() <= 0:
        (y0, y1), (x0, x1) = (_extent(0, n, n, s) for n, s in zip(energy.shape, spacing[1:], strict=True))
        return Region(y0, y1, x0, x1)
    components, _ = ndimage.label(energy > _MOVING * energy.max())
    strongest = components[np.unravel_index(energy.argmax(), energy.shape)]
    rows, columns = ndimage.find_objects((components == strongest).astype(np.uint8))[0]
    y0, y1 = _extent(rows.start, rows.stop, energy.shape[0], spacing[1])
    x0, x1 = _extent(columns.start, columns.stop, energy.shape[1], spacing[2])
    return Region(y0, y1, x0, x1)
