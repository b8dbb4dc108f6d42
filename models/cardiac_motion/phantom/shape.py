"""The shape map: from scanner-aligned heart coordinates to canonical ones, in which the LV axis is straight.

It bends the long axis and gives each heart its own form by shears within planes of constant z, each of which
shifts x by a function of (y, z) or y by a function of (x, z). So its Jacobian is exactly 1, its inverse is in
closed form, and heights z are kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Shape:
    """Coefficients of the shape map, mm and radians per mm."""

    length: float
    bend: tuple[float, float]
    """Deviation of the axis in x and y at mid-height from the chord through apex and base."""
    amplitude: tuple[float, float]
    frequency: tuple[float, float]
    phase: tuple[float, float]
    drift: tuple[float, float]

    def _axis(self, z: Tensor) -> Tensor:
        # A parabola through apex and base, held constant in direction beyond half a length outside of them.
        u = (z / self.length).clamp(-0.3, 1.5)
        return 4 * u * (1 - u)

    def _shear(self, other: Tensor, z: Tensor, i: int) -> Tensor:
        angle = other * self.frequency[i] + (self.phase[i] + self.drift[i] * z)
        return torch.sin(angle) * self.amplitude[i]

    def to_canonical(self, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Canonical x and y of points given in heart coordinates."""
        axis = self._axis(z)
        x = x - self.bend[0] * axis
        y = y - self.bend[1] * axis
        x = x - self._shear(y, z, 0)
        return x, y - self._shear(x, z, 1)

    def from_canonical(self, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse of `to_canonical`, exactly."""
        y = y + self._shear(x, z, 1)
        x = x + self._shear(y, z, 0)
        axis = self._axis(z)
        return x + self.bend[0] * axis, y + self.bend[1] * axis


def draw_shape(rng: np.random.Generator, length: float) -> Shape:
    """Draw a curvature of the axis and an individual form."""
    return Shape(
        length=length,
        bend=(float(rng.uniform(-4, 1)), float(rng.uniform(-3, 3))),
        amplitude=(float(rng.uniform(1, 3.5)), float(rng.uniform(1, 3.5))),
        frequency=(2 * math.pi / float(rng.uniform(80, 140)), 2 * math.pi / float(rng.uniform(80, 140))),
        phase=(float(rng.uniform(0, 2 * math.pi)), float(rng.uniform(0, 2 * math.pi))),
        drift=(float(rng.uniform(-0.02, 0.02)), float(rng.uniform(-0.02, 0.02))),
    )
