"""Random textures in three dimensions, sampled at material coordinates so that the tissue carries them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from torch import Tensor

SIZE = 64
"""Edge of the periodic tile, voxels."""


@dataclass(frozen=True)
class Texture:
    """Two periodic noise tiles with mean 0 and standard deviation 1, of different grain."""

    tile: Tensor
    """(1, 2, SIZE + 1, SIZE + 1, SIZE + 1), channel 0 coarse, 1 fine; the first plane repeated at the end."""
    voxel: float
    """mm per voxel of the tile."""

    def at(self, x: Tensor, y: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Coarse and fine texture at points (any shape, mm)."""
        period = SIZE * self.voxel
        points = torch.stack([x, y, z], dim=-1).reshape(1, 1, 1, -1, 3)
        grid = torch.remainder(points / period, 1) * 2 - 1
        values = F.grid_sample(self.tile.to(x.dtype), grid, mode="bilinear", align_corners=True)
        coarse, fine = values[0, :, 0, 0].unbind(0)
        return coarse.reshape(x.shape), fine.reshape(x.shape)


def draw_texture(rng: np.random.Generator) -> Texture:
    """Draw the two tiles: noise of which a band of wavelengths is kept (about 8 to 30, and 4 to 10 mm)."""
    voxel = 1.7
    frequency = np.fft.fftfreq(SIZE, voxel)
    half = np.fft.rfftfreq(SIZE, voxel)
    k = np.sqrt(frequency[:, None, None] ** 2 + frequency[None, :, None] ** 2 + half**2)
    tiles = []
    for wavelength in (14.0, 6.0):
        spectrum = np.fft.rfftn(rng.standard_normal((SIZE, SIZE, SIZE)))
        u = k * wavelength
        tile = np.fft.irfftn(spectrum * u * np.exp(-u * u / 2), s=(SIZE, SIZE, SIZE), axes=(0, 1, 2))
        tiles.append(tile / tile.std())
    stacked = np.stack(tiles).astype(np.float32)
    closed = np.pad(stacked, ((0, 0), (0, 1), (0, 1), (0, 1)), mode="wrap")
    return Texture(torch.from_numpy(closed)[None], voxel)
