"""The part of a slice that a segmentation network sees, resampled to its pixels, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as nn_functional

from cardiac_motion.phantom.clips import PIXEL_MM
from cardiac_motion.working_grid import Region

LOWEST, HIGHEST = 1.0, 99.5
"""Percentiles between which intensities are seen, as those of the clips for training."""


@dataclass(frozen=True)
class Window:
    """A region of the native plane, and the size at which a network sees it.

    Attributes:
        region: in native pixels.
        size: (Y, X) in the network's pixels, of 1.4 mm or nearly so, a multiple of what the network asks for.
        plane: (Y, X) of the native plane.
    """

    region: Region
    size: tuple[int, int]
    plane: tuple[int, int]

    @classmethod
    def of(cls, region: Region, plane: tuple[int, int], spacing: tuple[float, float], multiple: int) -> Window:
        """The window of a region; spacing (y, x) in mm.

        At least twice the multiple large: a network that comes down to a single pixel has nothing to normalise.
        """
        sizes = [
            max(2 * multiple, multiple * round(n * mm / PIXEL_MM / multiple))
            for n, mm in zip(region.shape, spacing, strict=True)
        ]
        return cls(region, (sizes[0], sizes[1]), plane)

    def see(self, images: npt.NDArray[np.floating]) -> Tensor:
        """What the network sees of one slice over time, (T, Y, X) native: (T, *size), from 0 to 1.

        Intensities are scaled between percentiles over all T frames, so that a frame looks the same whatever
        frames are asked for.
        """
        part = np.ascontiguousarray(self.region.crop(images), dtype=np.float32)
        low, high = np.percentile(part, (LOWEST, HIGHEST))
        part = np.clip((part - low) / max(float(high - low), 1e-6), 0, 1)
        seen: Tensor = nn_functional.interpolate(
            torch.from_numpy(part)[:, None], size=self.size, mode="bilinear", align_corners=False, antialias=True
        )
        return seen[:, 0]

    def back(self, probabilities: Tensor) -> Tensor:
        """Probabilities (B, K, *size) on the pixels of the region, (B, K, *region.shape)."""
        result: Tensor = nn_functional.interpolate(
            probabilities, size=self.region.shape, mode="bilinear", align_corners=False
        )
        return result
