"""What every heart has in common, imposed on labels slice by slice: nothing in pieces, no holes, walls around."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cardiac_motion.labels import Label

Labels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

SMALLEST_MM2 = 25.0
"""Smaller pieces are noise."""


def tidy_slice(labels: Labels, spacing: tuple[float, float], *, wall_encloses: bool = True) -> Labels:
    """Labels (Y, X) of a slice made anatomically plausible.

    Each structure is its largest piece, without holes; what the wall encloses is the LV's pool or wall; pieces of
    less than 25 mm² go.

    Args:
        labels: of one slice.
        spacing: (y, x) in mm.
        wall_encloses: of short-axis slices, in which the wall is a ring around the LV.
    """
    least = SMALLEST_MM2 / (spacing[0] * spacing[1])
    result = np.zeros_like(labels)
    for label in (Label.RV, Label.LA, Label.RA):
        mask = _largest(labels == label)
        if mask.sum() >= least:
            # Its own holes, never another structure that it surrounds.
            result[mask | (_filled(mask) & (labels == Label.BACKGROUND))] = label
    pool, wall = _largest(labels == Label.LV), _largest(labels == Label.MYO)
    if pool.sum() >= least:
        pool = _filled(pool)
        if wall_encloses:
            wall = _filled(wall | pool)
    wall &= ~pool
    if wall.sum() >= least:
        result[wall] = Label.MYO
    if pool.sum() >= least:
        result[pool] = Label.LV
    return result


def tidy(labels: Labels, spacing: tuple[float, float, float], *, wall_encloses: bool = True) -> Labels:
    """`tidy_slice` of every slice of labels (..., Y, X); spacing (z, y, x) in mm."""
    planes = labels.reshape(-1, *labels.shape[-2:])
    tidied = [tidy_slice(plane, spacing[1:], wall_encloses=wall_encloses) for plane in planes]
    return np.stack(tidied).reshape(labels.shape)


def _filled(mask: Mask) -> Mask:
    return np.asarray(ndimage.binary_fill_holes(mask), dtype=bool)


def _largest(mask: Mask) -> Mask:
    """The largest piece of a mask; pixels that touch at a corner belong together."""
    pieces, count = ndimage.label(mask, structure=np.ones((3, 3)))
    if count < 2:
        return mask
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray(pieces == sizes.argmax())
