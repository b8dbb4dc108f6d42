"""What a network takes for the heart far away from it, told by other slices of the stack, or by the rest of it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cardiac_motion.labels import Label

Labels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

REACH = 1.2
"""Radii of the left ventricle that a slice of it may lie away from the long axis; oblique stacks and different
breath holds need less."""
APART_MM = 8.0
"""Between chambers of one heart in a long-axis view: valve planes and septa are thinner."""
LEAST_SLICES = 3
"""Two slices that contradict each other do not tell which of them is wrong."""


def drop_strays(labels: Labels, spacing: tuple[float, float, float]) -> Labels:
    """Labels of a short-axis stack without pieces of the LV and its wall that lie far from the long axis.

    The axis is where most of the ventricle is: the geometric median of the slices' largest pieces, weighted by
    their areas, so that a few slices in which something else was taken for the heart do not move it. It is normal
    to the slices.

    Args:
        labels: (Z, Y, X), as the network gives them.
        spacing: (z, y, x) in mm.
    """
    ventricle = np.isin(labels, (Label.LV, Label.MYO))
    slices = [_pieces(plane) for plane in ventricle]
    largest = [
        (areas[best], centres[best]) for _, areas, centres in slices if len(areas) for best in [areas.argmax()]
    ]
    if len(largest) < LEAST_SLICES:
        return labels
    pixel = np.array(spacing[1:])
    areas = np.array([area for area, _ in largest])
    axis = _geometric_median(np.stack([centre for _, centre in largest]) * pixel, areas)
    reach = REACH * math.sqrt(areas.max() * pixel.prod() / math.pi)
    result = labels.copy()
    for z, (numbers, _, centres) in enumerate(slices):
        far = np.flatnonzero(np.linalg.norm(centres * pixel - axis, axis=1) > reach) + 1
        result[z][np.isin(numbers, far)] = Label.BACKGROUND
    return result


def drop_apart(labels: Labels, spacing: tuple[float, float, float]) -> Labels:
    """Labels of long-axis slices without what lies apart from the left ventricle: a heart is one body.

    A slice without the left ventricle keeps its largest body.

    Args:
        labels: (Z, Y, X), as the network gives them.
        spacing: (z, y, x) in mm.
    """
    result = labels.copy()
    for plane in result:
        if not plane.any():
            continue
        # Bodies are one where they come that close.
        near = ndimage.distance_transform_edt(plane == Label.BACKGROUND, sampling=spacing[1:]) <= APART_MM / 2
        numbers, _ = ndimage.label(near)
        ventricle = np.isin(plane, (Label.LV, Label.MYO))
        counted = numbers[ventricle] if ventricle.any() else numbers[plane != Label.BACKGROUND]
        plane[numbers != np.bincount(counted).argmax()] = Label.BACKGROUND
    return result


def _pieces(mask: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int32], Floats, Floats]:
    """Pieces of a mask (Y, X), numbered from 1, their areas in pixels (N,) and centres (N, 2)."""
    numbers, count = ndimage.label(mask, structure=np.ones((3, 3)))
    if count == 0:
        return numbers, np.zeros(0), np.zeros((0, 2))
    areas = np.bincount(numbers.ravel())[1:].astype(np.float64)
    centres = np.array(ndimage.center_of_mass(mask, numbers, range(1, count + 1)))
    return numbers, areas, centres


def _geometric_median(points: Floats, weights: Floats) -> Floats:
    """The point (2,) with the least weighted sum of distances to points (N, 2), by Weiszfeld's iteration."""
    median = np.average(points, axis=0, weights=weights)
    for _ in range(100):
        # A tenth of a millimetre keeps the weights finite where the median is one of the points.
        pulls = weights / np.maximum(np.linalg.norm(points - median, axis=1), 0.1)
        median = np.average(points, axis=0, weights=pulls)
    return np.asarray(median)
