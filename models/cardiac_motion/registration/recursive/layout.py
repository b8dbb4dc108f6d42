"""Between (T, Z, Y, X) and batches of slices or stacks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor

from cardiac_motion.fields import to_mm


def as_images(frames: Tensor, dimensions: int) -> Tensor:
    """Frames (T, Z, Y, X) as slices (T * Z, Y, X) in 2D; as they are, stacks (T, Z, Y, X), in 3D."""
    return frames.flatten(0, 1) if dimensions == 2 else frames


def as_stack(fields: Tensor, frames: int, spacing: tuple[float, float, float]) -> npt.NDArray[np.float32]:
    """Fields in voxels, (T * Z, 2, Y, X) of slices or (T, 3, Z, Y, X) of stacks, as (T, 3, Z, Y, X) in mm."""
    dimensions = fields.shape[1]
    mm = to_mm(fields, spacing[-dimensions:])
    if dimensions == 3:
        return mm.numpy()
    in_plane = mm.unflatten(0, (frames, -1)).transpose(1, 2).numpy()
    return np.concatenate([np.zeros_like(in_plane[:, :1]), in_plane], axis=1)
