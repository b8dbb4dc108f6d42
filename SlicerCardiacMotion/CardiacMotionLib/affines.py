"""Affines: voxel (i, j, k) to RAS in mm, as (4, 4) arrays; checks, distances, right angles."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import numpy.typing as npt

from CardiacMotionLib.errors import InputError

Affine = npt.NDArray[np.float64]

SAME_GRID_VOXELS = 0.01
"""How far the corners of two grids may lie apart and still be the same grid: rounding."""


def check_affine(affine: npt.ArrayLike) -> Affine:
    """The affine as (4, 4) float64, or an InputError that says what is wrong with it."""
    try:
        matrix = np.array(affine, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"its affine must be 4 x 4 numbers, got {affine!r}") from error
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or not np.allclose(matrix[3], (0, 0, 0, 1)):
        raise InputError(f"its affine must be 4 x 4, finite, with a last row (0, 0, 0, 1), got {matrix.tolist()}")
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if (lengths <= 1e-6).any():
        raise InputError(f"its voxel spacing must be positive, got (x, y, z) = {lengths.tolist()} mm")
    if abs(np.linalg.det(matrix[:3, :3] / lengths)) < 1e-3:
        raise InputError(f"its axes lie in a plane: {matrix[:3, :3].tolist()}")
    return matrix


def spacing_of(affine: Affine) -> tuple[float, float, float]:
    """Voxel size (z, y, x) in mm; for z the distance between slices, gap included."""
    x, y, z = np.linalg.norm(affine[:3, :3], axis=0)
    return float(z), float(y), float(x)


def same_grid(affine: Affine, other: Affine, shape: Sequence[int], *, tolerance: float = SAME_GRID_VOXELS) -> bool:
    """Whether two grids of one shape (Z, Y, X) are the same within so many voxels at their outer corners."""
    z, y, x = shape
    corners = np.array([(*c, 1.0) for c in product((-0.5, x - 0.5), (-0.5, y - 0.5), (-0.5, z - 0.5))]).T
    voxels = np.linalg.solve(affine[:3, :3], ((other - affine) @ corners)[:3])
    return bool(np.abs(voxels).max() <= tolerance)


def nearest_orthonormal(affine: Affine, shape: Sequence[int]) -> Affine:
    """The affine with axes at right angles nearest to a skewed one, the centre of the image (Z, Y, X) kept.

    By polar decomposition of the directions (Higham 1986).
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    u, _, vt = np.linalg.svd(affine[:3, :3] / spacing)
    straight = np.eye(4)
    straight[:3, :3] = (u @ vt) * spacing
    centre = (np.array(shape[::-1], dtype=np.float64) - 1) / 2
    straight[:3, 3] = affine[:3, :3] @ centre + affine[:3, 3] - straight[:3, :3] @ centre
    return straight
