"""Affines of image files: how far two grids lie apart, skewed axes, RAS and LPS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

Affine = npt.NDArray[np.float64]

RAS_TO_LPS: Affine = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Turns a RAS affine or point (nibabel, NIfTI) into an LPS one (ITK, DICOM), and back."""

SKEW_TOLERANCE = 1e-4
"""Largest cosine between two axes that still counts as a right angle; ITK's own limit for NIfTI files."""


@dataclass(frozen=True)
class CornerDistance:
    """How far the corners of one grid lie from the same corners of another."""

    voxels: float
    """Largest distance along one axis, in voxels of the first grid."""
    mm: float
    """Largest Euclidean distance."""


def corner_distance(affine: Affine, other: Affine, shape: Sequence[int]) -> CornerDistance:
    """Largest distance between the eight outer corners of two grids of the same shape (Z, Y, X).

    Corners bound every other point of the grid, so that a small distance there means the same grid. Infinite where
    it is beyond numbers.
    """
    z, y, x = shape
    corners = np.array([(*c, 1.0) for c in product((-0.5, x - 0.5), (-0.5, y - 0.5), (-0.5, z - 0.5))]).T
    with np.errstate(over="ignore", invalid="ignore"):
        difference = (other - affine) @ corners
        voxels = np.abs(np.linalg.solve(affine[:3, :3], difference[:3])).max()
        mm = np.linalg.norm(difference[:3], axis=0).max()
    return CornerDistance(*(float(each) if np.isfinite(each) else np.inf for each in (voxels, mm)))


def skew(affine: Affine) -> float:
    """Largest cosine between two axes of the grid: 0 where all are at right angles."""
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return float(np.abs(directions.T @ directions - np.eye(3)).max())


def nearest_orthonormal(affine: Affine, shape: Sequence[int] | None = None) -> Affine:
    """The affine with axes at right angles that is nearest to a skewed one; same voxel size and handedness.

    The directions are the orthonormal factor of the polar decomposition, the nearest in the Frobenius norm
    (Higham 1986). For formats and programs that know no skewed axes.

    Args:
        affine: (4, 4).
        shape: (Z, Y, X) of the image, to keep its centre where it is; without it, the first voxel stays.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    u, _, vt = np.linalg.svd(affine[:3, :3] / spacing)
    straight = np.eye(4)
    straight[:3, :3] = (u @ vt) * spacing
    fixed = np.zeros(3) if shape is None else (np.array(shape[::-1], dtype=np.float64) - 1) / 2
    straight[:3, 3] = affine[:3, :3] @ fixed + affine[:3, 3] - straight[:3, :3] @ fixed
    return straight


def straightening(affine: Affine, shape: Sequence[int]) -> CornerDistance:
    """How far the corners move where a program replaces a skewed grid by one with right angles.

    The larger of the two usual ways: the centre kept, or the first voxel kept.
    """
    ways = [corner_distance(affine, nearest_orthonormal(affine, fixed), shape) for fixed in (None, shape)]
    return CornerDistance(max(way.voxels for way in ways), max(way.mm for way in ways))


def describe_skew(affine: Affine, shape: Sequence[int]) -> str | None:
    """A sentence about axes that are not at right angles, or None where they are."""
    cosine = skew(affine)
    if cosine <= SKEW_TOLERANCE:
        return None
    angle = np.degrees(np.arcsin(min(cosine, 1.0)))
    distance = straightening(affine, shape).mm
    return (
        f"its axes are skewed by {angle:.3g} degrees, read as they stand; programs that demand right angles, as "
        f"ITK and Slicer do, refuse it or place its corners up to {distance:.2g} mm elsewhere"
    )
