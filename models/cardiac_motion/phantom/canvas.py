"""Painting tissues over each other at points of the material."""

from __future__ import annotations

import torch
from torch import Tensor

from cardiac_motion.phantom.tissues import Contrast, Tissue

_BLOOD = (
    Tissue.LV_BLOOD,
    Tissue.RV_BLOOD,
    Tissue.LA_BLOOD,
    Tissue.RA_BLOOD,
    Tissue.ARTERY,
    Tissue.VEIN,
)


class Canvas:
    """Signal, texture amplitude and blood fraction at points; what is painted later covers what was before.

    Args:
        like: any tensor of the points' shape.
        contrast: signals of the tissues.
        edge: mm over which one tissue passes into the next; about a pixel avoids jagged edges.
    """

    def __init__(self, like: Tensor, contrast: Contrast, *, edge: float) -> None:
        self.contrast = contrast
        self.edge = edge
        self.signal = torch.full_like(like, contrast.signal[Tissue.AIR])
        self.amplitude = torch.full_like(like, contrast.texture[Tissue.AIR])
        self.blood = torch.zeros_like(like)

    def paint(self, distance: Tensor, tissue: Tissue) -> None:
        """Paint a tissue where the signed distance (mm, negative inside) is below zero."""
        cover = (0.5 - distance / self.edge).clamp_(0, 1)
        values = (self.contrast.of(tissue), self.contrast.texture[tissue], float(tissue in _BLOOD))
        for layer, value in zip((self.signal, self.amplitude, self.blood), values, strict=True):
            layer.lerp_(layer.new_tensor(value), cover)


def highest(first: Tensor, *others: Tensor) -> Tensor:
    """Distance to an intersection: the largest of the distances."""
    for other in others:
        first = torch.maximum(first, other)
    return first


def ellipsoid(
    x: Tensor, y: Tensor, z: Tensor, centre: tuple[float, float, float], radii: tuple[float, float, float]
) -> Tensor:
    """Approximate signed distance to an ellipsoid, mm; exact on its surface."""
    u = ((x - centre[0]) / radii[0]).square()
    u = u + ((y - centre[1]) / radii[1]).square()
    u = u + ((z - centre[2]) / radii[2]).square()
    return (u.sqrt() - 1) * min(radii)


def capsule(
    x: Tensor,
    y: Tensor,
    z: Tensor,
    start: tuple[float, float, float],
    end: tuple[float, float, float],
    radius: float,
) -> Tensor:
    """Signed distance to a tube with round ends, mm."""
    dx, dy, dz = (b - a for a, b in zip(start, end, strict=True))
    px, py, pz = x - start[0], y - start[1], z - start[2]
    share = ((px * dx + py * dy + pz * dz) / (dx * dx + dy * dy + dz * dz)).clamp(0, 1)
    squared = (px - share * dx).square() + (py - share * dy).square() + (pz - share * dz).square()
    return squared.sqrt() - radius
