"""What every heart has in common, imposed on labels slice by slice: nothing in pieces, no holes, walls around."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cardiac_motion.labels import Label

Labels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Probabilities = npt.NDArray[np.floating]

SMALLEST_MM2 = 25.0
"""Smaller pieces are noise."""
LEAST_PROBABILITY = 0.1
"""Of a pool that a slice must have because its neighbours do."""
BARE = 0.3
"""Share of a pool's border that is wall, below which it is none of the LV's: so were ten slices at the ends of
`unet`'s stacks of 26 phantoms (seeds 1020 to 1045, 12 frames each); in eight of them nothing that was found was
LV, in the others half."""
WALL_SHARE = 0.25
"""Of the largest piece of the wall of a long-axis view, that another piece must have to be wall, too."""


def tidy_slice(labels: Labels, spacing: tuple[float, float], *, wall_encloses: bool = True) -> Labels:
    """Labels (Y, X) of a slice made anatomically plausible.

    Each structure is its largest piece, without holes; other large pieces of the wall along the long axis stay;
    what the wall encloses is the LV's pool or wall; pieces of less than 25 mm² go, unless they are that.

    Args:
        labels: of one slice.
        spacing: (y, x) in mm.
        wall_encloses: of short-axis slices, in which the wall is a ring around the LV.
    """
    least = SMALLEST_MM2 / (spacing[0] * spacing[1])
    result = np.zeros_like(labels)
    others = (Label.RV, Label.LA, Label.RA)
    for label in others:
        mask = _largest(labels == label)
        if mask.sum() >= least:
            result[mask] = label
    pool = _largest(labels == Label.LV)
    # Along the long axis the walls are two pieces where the apex between them is not seen.
    wall = _largest(labels == Label.MYO, share=1.0 if wall_encloses else WALL_SHARE)
    if pool.sum() >= least:
        pool = _filled(pool)
        if wall_encloses:
            wall = _filled(wall | pool)
    wall &= ~pool
    if wall.sum() >= least:
        result[wall] = Label.MYO
        if wall_encloses and pool.sum() < least:
            # A cavity that has all but closed: what the ring encloses is its pool, however small.
            result[_filled(wall) & (result == Label.BACKGROUND)] = Label.LV
    if pool.sum() >= least:
        result[pool] = Label.LV
    for label in others:
        placed = result == label
        if not placed.any():
            continue
        # The wall may have cut it in two by now.
        mask = _largest(placed)
        result[placed & ~mask] = Label.BACKGROUND
        # Its own holes, where noise went as well, never another structure that it surrounds.
        result[_filled(mask) & (result == Label.BACKGROUND)] = label
    return result


def tidy(labels: Labels, spacing: tuple[float, float, float], *, wall_encloses: bool = True) -> Labels:
    """`tidy_slice` of every slice of labels (..., Y, X); spacing (z, y, x) in mm."""
    planes = labels.reshape(-1, *labels.shape[-2:])
    tidied = [tidy_slice(plane, spacing[1:], wall_encloses=wall_encloses) for plane in planes]
    return np.stack(tidied).reshape(labels.shape)


def drop_bare_ends(labels: Labels) -> Labels:
    """Labels of a short-axis stack without a pool at its end that has next to no wall around it.

    Beyond the base a network takes the atrium or the aorta for the pool. Where the next slice has no wall either,
    as in a contrast in which it sees none, that tells nothing, and the pool stays.

    Args:
        labels: (Z, Y, X), tidied up.
    """
    held = np.flatnonzero((labels == Label.LV).any(axis=(1, 2)))
    if len(held) < 2:
        return labels
    result = labels.copy()
    for end, inner in ((held[0], held[1]), (held[-1], held[-2])):
        if _walled(labels[end]) < BARE <= _walled(labels[inner]):
            result[end][labels[end] == Label.LV] = Label.BACKGROUND
    return result


def _walled(plane: Labels) -> float:
    """Share of the border of the LV's pool that is wall; 1 for a pool that fills the image."""
    pool = plane == Label.LV
    border = ndimage.binary_dilation(pool) & ~pool
    return float((plane[border] == Label.MYO).mean()) if border.any() else 1.0


def bridge_gaps(labels: Labels, pool: Probabilities, spacing: tuple[float, float, float]) -> Labels:
    """Labels of a short-axis stack in which no slice between others with an LV is without one.

    Where a network has missed the pool of such a slice, the pool is where its probability is more than half of its
    largest there, among what is LV or wall in the nearest slices on both sides. A slice in which the network sees
    nothing (less than `LEAST_PROBABILITY`), or only a speck, stays as it is.

    Args:
        labels: (Z, Y, X), tidied up.
        pool: (Z, Y, X), probability of the LV's pool.
        spacing: (z, y, x) in mm.
    """
    held = np.flatnonzero((labels == Label.LV).any(axis=(1, 2)))
    result = labels
    for z in set(range(held[0], held[-1])) - set(held) if len(held) else ():
        below, above = held[held < z].max(), held[held > z].min()
        near = np.isin(labels[[below, above]], (Label.LV, Label.MYO)).any(axis=0)
        likely = np.where(near, pool[z], 0)
        found = _largest((likely > 0.5 * likely.max()) & near)
        if likely.max() < LEAST_PROBABILITY or found.sum() * spacing[1] * spacing[2] < SMALLEST_MM2:
            continue
        result = result.copy() if result is labels else result
        plane = np.where(found, np.uint8(Label.LV), labels[z])
        result[z] = tidy_slice(plane, spacing[1:])
    return result


def _filled(mask: Mask) -> Mask:
    return np.asarray(ndimage.binary_fill_holes(mask), dtype=bool)


def _largest(mask: Mask, *, share: float = 1.0) -> Mask:
    """The largest piece of a mask, with those of at least this share of it; corners that touch join pixels."""
    pieces, count = ndimage.label(mask, structure=np.ones((3, 3)))
    if count < 2:
        return mask
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    if share < 1:
        return np.isin(pieces, np.flatnonzero(sizes >= share * sizes.max()))
    return np.asarray(pieces == sizes.argmax())
