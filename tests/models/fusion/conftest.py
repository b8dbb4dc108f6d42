"""A small stack that beats, a motion that follows it half way, a segmentation as good as is asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from cardiac_motion.labels import Label
from cardiac_motion.motion import Motion
from cardiac_motion.segmentation.base import Segmentation

SPACING = (8.0, 1.5, 1.4)


@dataclass(frozen=True)
class Beating:
    """A ring that contracts; its last slice is the base, which it leaves for some frames around end-systole.

    The motion knows of a share of the contraction, by default half, and nothing of the base.
    """

    frames: int = 12
    slices: int = 4
    size: int = 56
    gone: tuple[int, ...] = (3, 4, 5, 6)
    know: float = 0.5

    @property
    def scales(self) -> npt.NDArray[np.float64]:
        return np.array(1 - 0.2 * (1 - np.cos(2 * np.pi * np.arange(self.frames) / self.frames)))

    def distance(self) -> npt.NDArray[np.float64]:
        """From the axis, mm: (Y, X)."""
        y, x = ((np.arange(self.size) - (self.size - 1) / 2) * step for step in SPACING[1:])
        return np.hypot(y[:, None], x[None, :])

    def borders(self, frame: int) -> tuple[float, float]:
        """Radius of the cavity and of the wall, mm."""
        scale = float(self.scales[frame])
        return 18.0 * scale, 26.0 - 4.0 * (1 - scale)

    def truth(self) -> npt.NDArray[np.uint8]:
        labels = np.zeros((self.frames, self.slices, self.size, self.size), np.uint8)
        for t in range(self.frames):
            cavity, wall = self.borders(t)
            away = self.distance()
            plane = np.where(away < cavity, Label.LV, np.where(away < wall, Label.MYO, 0))
            labels[t] = plane
            if t in self.gone:
                labels[t, -1] = 0
        return labels

    def motion(self) -> Motion:
        shape = (self.frames, 3, self.slices, self.size, self.size)
        both = np.zeros((2, *shape), np.float32)
        y, x = ((np.arange(self.size) - (self.size - 1) / 2) * step for step in SPACING[1:])
        place = np.stack(np.broadcast_arrays(y[:, None], x[None, :]))[:, None]
        for t, scale in enumerate(1 - self.know * (1 - self.scales)):
            both[0, t, 1:] = (1 / scale - 1) * place
            both[1, t, 1:] = (scale - 1) * place
        return Motion(
            *both,
            reference=0,
            affine=np.diag([*SPACING[::-1], 1.0]),
            frame_times=0.08 * np.arange(self.frames),
            model="half",
            version="1",
            image_hash="0" * 64,
        )

    def segmentation(
        self, *, bias_mm: float = 0.0, worthless: bool = False, noise_mm: float = 0.0
    ) -> Segmentation:
        """Soft labels; borders further out by a bias, or in another place altogether."""
        rng = np.random.default_rng(0)
        found = np.zeros((self.frames, 4, self.slices, self.size, self.size), np.float32)
        for t in range(self.frames):
            for z in range(self.slices):
                cavity, wall = (border + rng.normal(0, noise_mm) for border in self.borders(t))
                away = self.distance() if not worthless else np.roll(self.distance(), 20, axis=1)
                inner = 1 / (1 + np.exp((away - cavity - bias_mm) / 0.7))
                outer = 1 / (1 + np.exp((away - wall) / 0.7))
                if t in self.gone and z == self.slices - 1:
                    inner, outer = 0.02 * inner, 0.05 * outer
                found[t, 0, z], found[t, 2, z], found[t, 3, z] = 1 - outer, outer - inner, inner
        found = np.clip(found, 0, 1)
        return Segmentation(
            frames=tuple(range(self.frames)),
            labels=found.argmax(axis=1).astype(np.uint8),
            structures=(Label.RV, Label.MYO, Label.LV),
            model="soft",
            version="1",
            probabilities=found / found.sum(axis=1, keepdims=True),
        )


@pytest.fixture(scope="module")
def heart() -> Beating:
    return Beating()
