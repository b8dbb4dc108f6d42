"""Linear interpolation of many small images, one after the other in the calling thread.

Spreading work this small over PyTorch's threads costs more than it gains, and on a busy machine a hundred times
more, because every operation then waits for the slowest thread. The caller spreads whole frames instead.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name

FloatArray = npt.NDArray[np.float32]


def normalised(places: Sequence[FloatArray], sizes: Sequence[int]) -> FloatArray:
    """Voxel coordinates as the grid that `sample_each` takes: (N, *S, D) float32.

    Args:
        places: per axis, in the order of the axes, (N, *S) voxel coordinates.
        sizes: voxels per axis of the image.
    """
    grid = np.empty((*places[0].shape, len(places)), np.float32)
    for i, (place, size) in enumerate(zip(places, sizes, strict=True)):
        # From -1 to 1 over the voxels' outer edges, the last axis first.
        np.multiply(place, np.float32(2 / size), out=grid[..., -1 - i])
        grid[..., -1 - i] += np.float32(1 / size - 1)
    return grid


def sample_each(images: FloatArray, grids: FloatArray) -> FloatArray:
    """Values of each image (N, C, *S') at the places of its grid (N, *S, D): (N, C, *S), border value outside."""
    values = np.empty((images.shape[0], images.shape[1], *grids.shape[1:-1]), np.float32)
    for image, grid, value in zip(images, grids, values, strict=True):
        found = F.grid_sample(
            torch.from_numpy(image)[None],
            torch.from_numpy(grid)[None],
            mode="bilinear",
            padding_mode="border",
            align_corners=False,
        )
        value[:] = found[0].numpy()
    return values
