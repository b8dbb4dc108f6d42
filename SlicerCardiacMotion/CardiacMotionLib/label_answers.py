"""Labels and other images of a cine that a server sent: before anything is written, all is known to be right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from CardiacMotionLib.affines import Affine, nearest_orthonormal, same_grid
from CardiacMotionLib.errors import InputError
from CardiacMotionLib.nifti import read_nifti
from CardiacMotionLib.segments import Labels
from CardiacMotionLib.structures import STRUCTURES

Shape = tuple[int, int, int, int]
_PLACE_VOXELS = 0.5
"""How far corners of what comes back may lie from those of the cine: less than a voxel."""


def read_labels(path: Path, shape: Shape, affine: Affine) -> Labels:
    """The labels (T, Z, Y, X) of an answer.

    Args:
        path: of the NIfTI file, which lies somewhere for a moment.
        shape: (T, Z, Y, X) of the cine.
        affine: (4, 4) of the cine.

    Raises:
        InputError: it cannot be read, or holds other labels than these can be.
    """
    values = read_values(path, shape, affine, "labels")
    labels = values.astype(np.uint8)
    if (labels != values).any() or labels.max() > len(STRUCTURES):
        wrong = values[(labels != values) | (labels > len(STRUCTURES))]
        raise InputError(
            f"expected whole label values from 0 to {len(STRUCTURES)} from the server, got {wrong.flat[0]:g} and "
            f"{wrong.size - 1} more that are none"
        )
    return labels


def read_values(path: Path, shape: Shape, affine: Affine, what: str) -> npt.NDArray[Any]:
    """Values (T, Z, Y, X) on the voxels of the cine; see `read_labels`, `what` names them in messages."""
    try:
        image = read_nifti(path)
    except InputError as error:
        # Where it lay for a moment is nobody's business.
        reason = str(error).removeprefix(f"{path}: ")
        raise InputError(f"the {what} that the server sent cannot be used: {reason}") from error
    if image.values.shape != shape:
        raise InputError(f"expected {what} {shape} from the server, got {image.values.shape}")
    # Where the cine is skewed, one of the two may have its axes put at right angles.
    grids = (image.affine, nearest_orthonormal(image.affine, shape[1:]))
    if not any(same_grid(affine, grid, shape[1:], tolerance=_PLACE_VOXELS) for grid in grids):
        raise InputError(f"expected {what} on the voxels of the cine from the server, got some that lie elsewhere")
    return image.values
