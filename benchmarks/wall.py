"""The wall compared in the directions in which the truth has one.

Labels made from contours can leave the septum out, where the wall borders on the RV: there is nothing to compare
with there, whatever a model draws. Directions are seen from the middle of the true LV, slice by slice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from cardiac_motion.labels import Label

Labels = npt.NDArray[np.uint8]

DIRECTIONS = 24
LEAST_PIXELS = 4
"""Of wall in a direction: fewer are the ends of a contour."""


@dataclass(frozen=True)
class Wall:
    """What there is of the wall in the slices that hold it.

    Attributes:
        share: of the directions in which the truth has wall.
        dice: in these directions.
        found_mm, true_mm: median thickness in these directions.
    """

    share: float
    dice: float
    found_mm: float
    true_mm: float


def wall_where_drawn(found: Labels, truth: Labels, spacing: tuple[float, float]) -> Wall:
    """Compare labels (Z, Y, X); spacing (y, x) in mm. Thickness is area over the length of the pool's arc."""
    drawn = 0
    possible = 0
    both = total = 0
    thicknesses: list[tuple[float, float]] = []
    for plane, true in zip(found, truth, strict=True):
        pool, wall = true == Label.LV, true == Label.MYO
        if not pool.any() or not wall.any():
            continue
        y, x = np.indices(true.shape)
        centre = np.argwhere(pool).mean(axis=0)
        angle = np.arctan2((y - centre[0]) * spacing[0], (x - centre[1]) * spacing[1])
        direction = ((angle + math.pi) / (2 * math.pi) * DIRECTIONS).astype(int) % DIRECTIONS
        has_wall = np.bincount(direction[wall], minlength=DIRECTIONS) >= LEAST_PIXELS
        possible, drawn = possible + DIRECTIONS, drawn + int(has_wall.sum())
        inside = has_wall[direction]
        model = plane == Label.MYO
        both += int((model & wall & inside).sum())
        total += int((model & inside).sum() + (wall & inside).sum())
        area = spacing[0] * spacing[1]
        radius = math.sqrt(pool.sum() * area / math.pi)
        for each in np.flatnonzero(has_wall):
            outer = [(mask & (direction == each)).sum() * area * DIRECTIONS / math.pi for mask in (model, wall)]
            thicknesses.append(
                (math.sqrt(radius**2 + outer[0]) - radius, math.sqrt(radius**2 + outer[1]) - radius)
            )
    found_mm, true_mm = np.median(np.array(thicknesses), axis=0)
    return Wall(drawn / possible, 2 * both / total, float(found_mm), float(true_mm))
