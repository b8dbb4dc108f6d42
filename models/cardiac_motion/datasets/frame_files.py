"""Frames that lie in files of their own: pairs of ED and ES, and where a single frame belongs in a cine."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cardiac_motion.cine import Cine
from cardiac_motion.errors import InputError
from cardiac_motion.io import CORNER_TOLERANCE, corner_distance, read_frame

PAIR_TIMES = (0.0, 0.3)
"""Seconds of the two frames of a pair, whose files have no times: about the length of systole."""

_SAME_FRAME = 1e-3
"""Largest difference, as a share of the cine's range, between voxels of one frame in two files: rounding."""


def read_pair(ed: Path, es: Path, *, name: str) -> Cine:
    """ED and ES of two files as a cine of two frames.

    Raises:
        InputError: whatever is wrong with a file, or the two differ in size or place.
    """
    (first, affine), (second, other) = (read_frame(path) for path in (ed, es))
    if first.shape != second.shape:
        raise InputError(f"{name}: ED and ES must have one size, got (Z, Y, X) = {first.shape} and {second.shape}")
    distance = corner_distance(affine, other, first.shape)
    if distance.voxels > CORNER_TOLERANCE:
        raise InputError(f"{name}: ED and ES must lie in one place, their corners are {distance.mm:.3g} mm apart")
    return Cine(np.stack([first, second]), affine, np.array(PAIR_TIMES), name=name)


def is_frame_of(path: Path, cine: Cine, frame: int) -> bool:
    """Whether a file of one frame has the voxels of that frame of a cine, wherever its header places them.

    Raises:
        InputError: whatever is wrong with the file.
    """
    voxels, _ = read_frame(path)
    if voxels.shape != cine.shape[1:]:
        return False
    return bool(np.abs(voxels - cine.frames[frame]).max() <= _SAME_FRAME * float(np.ptp(cine.frames)))


def find_frame(path: Path, cine: Cine) -> int:
    """The frame of a cine that a file holds, by its voxels.

    Raises:
        InputError: whatever is wrong with the file, or not exactly one frame of the cine is the same.
    """
    voxels, _ = read_frame(path)
    if voxels.shape != cine.shape[1:]:
        raise InputError(
            f"{path}: has size (X, Y, Z) = {voxels.shape[::-1]}, but the cine {cine.name} has {cine.shape[:0:-1]}"
        )
    differences = np.array([np.abs(voxels - frame).max() for frame in cine.frames])
    same = np.flatnonzero(differences <= _SAME_FRAME * float(np.ptp(cine.frames)))
    if len(same) != 1:
        found = f"frames {same.tolist()}" if len(same) else "none"
        raise InputError(f"{path}: expected the voxels of exactly one frame of the cine {cine.name}, got {found}")
    return int(same[0])
