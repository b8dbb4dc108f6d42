"""A beating disc: a motion that is known both ways, point by point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from cardiac_motion.motion import Motion


@dataclass(frozen=True)
class BeatingDisc:
    """Each frame is the reference scaled in-plane about a centre and moved, both exactly known.

    Linear maps are reproduced exactly by linear interpolation, so that any error is one of sign, order, unit or
    axis. Positions are in mm along the array axes (y, x), from the first voxel.
    """

    shape: tuple[int, int, int, int]
    spacing: tuple[float, float, float]
    reference: int
    radius: float

    @property
    def scales(self) -> npt.NDArray[np.float64]:
        """Per frame; 1 at the reference, smaller towards the other end of the cycle."""
        phase = 2 * np.pi * (np.arange(self.shape[0]) - self.reference) / self.shape[0]
        return 1 - 0.12 * (1 - np.cos(phase))

    @property
    def shifts(self) -> npt.NDArray[np.float64]:
        """(T, 2) in mm; zero at the reference."""
        phase = 2 * np.pi * (np.arange(self.shape[0]) - self.reference) / self.shape[0]
        return np.stack([2.5 * np.sin(phase), 1.5 * (np.cos(phase) - 1)], axis=1)

    @property
    def centre(self) -> npt.NDArray[np.float64]:
        return np.array([(n - 1) * s / 2 for n, s in zip(self.shape[2:], self.spacing[1:], strict=True)]) - 1.0

    def positions(self) -> npt.NDArray[np.float64]:
        """(2, Z, Y, X) in mm."""
        y, x = (np.arange(n) * s for n, s in zip(self.shape[2:], self.spacing[1:], strict=True))
        plane = np.stack(np.meshgrid(y, x, indexing="ij"))
        return np.repeat(plane[:, None], self.shape[1], axis=1)

    def moved(self, points: npt.NDArray[np.float64], frame: int) -> npt.NDArray[np.float64]:
        """Where points (N, 2) in mm of the reference are in a frame."""
        return self.centre + self.scales[frame] * (points - self.centre) + self.shifts[frame]

    def fields(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """(to_reference, from_reference), each (T, 3, Z, Y, X) float32 in mm."""
        place = self.positions()
        centre = self.centre.reshape(2, 1, 1, 1)
        both = np.zeros((2, self.shape[0], 3, *self.shape[1:]), np.float32)
        for t, (scale, shift) in enumerate(zip(self.scales, self.shifts.reshape(-1, 2, 1, 1, 1), strict=True)):
            if t != self.reference:
                both[0, t, 1:] = centre + (place - shift - centre) / scale - place
                both[1, t, 1:] = (scale - 1) * (place - centre) + shift
        return both[0], both[1]

    def about(self, **changed: Any) -> dict[str, Any]:
        """What a `Motion` keeps beside its fields."""
        affine = np.diag([*self.spacing[::-1], 1.0])
        affine[:3, 3] = (12.0, -40.0, 7.0)
        given = {
            "reference": self.reference,
            "affine": affine,
            "frame_times": np.arange(self.shape[0]) * 0.04,
            "model": "disc",
            "version": "1",
            "image_hash": "0" * 64,
            "settings": {"levels": 2},
        }
        return given | changed

    def motion(self, **changed: Any) -> Motion:
        return Motion(*self.fields(), **self.about(**changed))

    def distance(self, frame: int) -> npt.NDArray[np.float64]:
        """(Z, Y, X): how far from the edge of the disc, in mm, negative inside."""
        middle = (self.centre + self.shifts[frame]).reshape(2, 1, 1, 1)
        return np.linalg.norm(self.positions() - middle, axis=0) - self.radius * self.scales[frame]

    def labels(self, frame: int, wall: float = 5.0) -> npt.NDArray[np.uint8]:
        """(Z, Y, X) uint8: LV cavity, myocardium around it, background."""
        outside = self.distance(frame)
        cavity = outside < -wall * self.scales[frame]
        return np.where(cavity, 3, np.where(outside < 0, 2, 0)).astype(np.uint8)


@pytest.fixture
def disc() -> BeatingDisc:
    """8 frames of 2 slices, pixels that are not square, reference in mid-cycle."""
    return BeatingDisc(shape=(8, 2, 48, 44), spacing=(8.0, 1.3, 1.5), reference=3, radius=20.0)
