"""Lagrangian strain of the myocardium, from the map itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cardiac_motion.phantom.deformation import Points
from cardiac_motion.phantom.model import Phantom


@dataclass(frozen=True)
class Strain:
    """Green-Lagrange strain E = (F^T F - I) / 2 in the directions of the left ventricle.

    Each array is (T, Z, Y, X), float32, at the voxels that are myocardium in frame 0, NaN elsewhere.
    """

    radial: npt.NDArray[np.float32]
    circumferential: npt.NDArray[np.float32]
    longitudinal: npt.NDArray[np.float32]

    def curves(self) -> dict[str, list[float]]:
        """Mean over the sampled myocardium for each frame, per direction."""
        result = {}
        for name in ("radial", "circumferential", "longitudinal"):
            values = getattr(self, name).reshape(len(self.radial), -1)
            inside = ~np.isnan(values[0])
            result[name] = [float(v) for v in values[:, inside].mean(axis=1)] if inside.any() else []
        return result


def deformation_gradient(phantom: Phantom, points: Points, phase: float, *, step: float = 1e-3) -> Tensor:
    """F = d phi / d X at material points (N,), heart coordinates: (N, 3, 3), float64, by central differences."""
    # (3, 2, 3, 1): component of the point, side, axis of the step.
    steps = step * torch.eye(3, dtype=torch.float64)[:, None, :, None] * torch.tensor([1.0, -1.0])[:, None, None]
    x, y, z = (p.double() + s for p, s in zip(points, steps, strict=True))
    moved = torch.stack(phantom.forward((x, y, z), phase))
    return ((moved[:, 0] - moved[:, 1]) / (2 * step)).permute(2, 0, 1)


def ventricle_directions(phantom: Phantom, points: Points) -> tuple[Tensor, Tensor, Tensor]:
    """Radial, circumferential and longitudinal unit vectors at points (N,): each (N, 3), heart coordinates.

    Longitudinal is the long axis (its chord); radial points away from the centre of the ventricle at this
    height, at a right angle to the axis; circumferential follows from both.
    """
    x, y, z = (p.double() for p in points)
    nought = torch.zeros_like(z)
    centre_x, centre_y = phantom.shape.from_canonical(nought, nought, z)
    radial = torch.stack([x - centre_x, y - centre_y, nought], dim=-1)
    radial = radial / radial.norm(dim=-1, keepdim=True).clamp_min(1e-9)
    longitudinal = torch.stack([nought, nought, nought + 1], dim=-1)
    return radial, torch.linalg.cross(longitudinal, radial, dim=-1), longitudinal


def ventricular_strain(phantom: Phantom, points: Points, phase: float) -> tuple[Tensor, Tensor, Tensor]:
    """Radial, circumferential and longitudinal Green-Lagrange strain at material points: each (N,)."""
    gradient = deformation_gradient(phantom, points, phase)
    tensor = (gradient.transpose(1, 2) @ gradient - torch.eye(3, dtype=torch.float64)) / 2
    radial, circumferential, longitudinal = (
        torch.einsum("ni,nij,nj->n", d, tensor, d) for d in ventricle_directions(phantom, points)
    )
    return radial, circumferential, longitudinal
