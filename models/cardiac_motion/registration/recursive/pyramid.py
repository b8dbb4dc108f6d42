"""Gaussian pyramids of images, on grids given by the size of their voxels in mm."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from torch import Tensor

from cardiac_motion.fields import gaussian_smooth

TAPER_MM = 11.0
REDUCTION = 0.9
"""By which velocities are reduced, again and again, while their discrete field folds."""
SMALLEST_LEVEL = 8
"""Voxels along an axis that a coarse level keeps at least, if the image has as many."""


def level_shape(shape: Sequence[int], spacing: Sequence[float], voxel_mm: float) -> tuple[int, ...]:
    """Grid over the same extent with voxels of about this size.

    An axis whose own spacing is not much finer (slices 8 mm apart) stays as it is.
    """
    sizes = []
    for n, s in zip(shape, spacing, strict=True):
        shrink = voxel_mm / s
        sizes.append(n if shrink < 1.5 else max(min(n, SMALLEST_LEVEL), round(n / shrink)))
    return tuple(sizes)


def shrink(images: Tensor, shape: Sequence[int]) -> Tensor:
    """Images (N, C, *S) on a coarser grid over the same extent, low-passed by a Gaussian before."""
    if tuple(images.shape[2:]) == tuple(shape):
        return images
    factors = [old / new for old, new in zip(images.shape[2:], shape, strict=True)]
    smooth = gaussian_smooth(images, [0.42 * f if f > 1 else 0.0 for f in factors])
    mode = "bilinear" if images.ndim == 4 else "trilinear"
    return F.interpolate(smooth, size=tuple(shape), mode=mode, align_corners=False)


def border_window(shape: Sequence[int], spacing: Sequence[float], *, like: Tensor) -> Tensor:
    """A window (1, 1, *S), 1 inside and falling to 0 at the in-plane borders over 11 mm; 1 through the slices."""
    window = like.new_ones(1)
    for axis, (n, size) in enumerate(zip(shape, spacing, strict=True)):
        ramp = like.new_ones(n)
        if axis >= len(shape) - 2:
            place = torch.arange(n, dtype=like.dtype, device=like.device)
            ramp = (torch.minimum(place, n - 1 - place) * size / TAPER_MM).clamp(0, 1)
        window = window.unsqueeze(-1) * ramp
    return window[None]
