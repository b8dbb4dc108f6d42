"""Algebra of displacement fields, in 2D and 3D, differentiable.

A displacement field ``u`` is a tensor (B, D, *S): D = 2 with S = (Y, X), or D = 3 with S = (Z, Y, X). Its
components are in the order of the axes, (y, x) or (z, y, x), and **in voxels of its own grid**; it stands for
the map phi(x) = x + u(x). `to_mm` and `to_voxels` convert. Voxel centres lie at whole numbers; outside the
grid, images and fields take the value at the border.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from torch import Tensor

Interpolation = Literal["linear", "nearest"]


def _check(field: Tensor) -> None:
    if field.ndim not in (4, 5) or field.shape[1] != field.ndim - 2:
        raise ValueError(f"a displacement field is (B, 2, Y, X) or (B, 3, Z, Y, X), got {tuple(field.shape)}")


def identity_grid(shape: Sequence[int], *, like: Tensor | None = None) -> Tensor:
    """Voxel coordinates of a grid: (D, *shape), components in the order of the axes."""
    dtype = like.dtype if like is not None else torch.float32
    device = like.device if like is not None else None
    axes = [torch.arange(n, dtype=dtype, device=device) for n in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))


def _per_axis(field: Tensor, values: Sequence[float]) -> Tensor:
    """A tensor (1, D, 1, ...) that multiplies a field component by component."""
    if len(values) != field.shape[1]:
        raise ValueError(f"expected {field.shape[1]} values, one per axis, got {list(values)}")
    return field.new_tensor(list(values)).view(1, -1, *([1] * (field.ndim - 2)))


def to_mm(field: Tensor, spacing: Sequence[float]) -> Tensor:
    """Displacements (B, D, *S) from voxels to mm; spacing in the order of the axes."""
    return field * _per_axis(field, spacing)


def to_voxels(field: Tensor, spacing: Sequence[float]) -> Tensor:
    """Displacements (B, D, *S) from mm to voxels; spacing in the order of the axes."""
    return field / _per_axis(field, spacing)


def sample(image: Tensor, coordinates: Tensor, *, interpolation: Interpolation = "linear") -> Tensor:
    """Values of an image (B, C, *S') at voxel coordinates (B, D, *S): (B, C, *S), border value outside."""
    sizes = image.shape[2:]
    if coordinates.shape[1] != len(sizes):
        raise ValueError(f"expected {len(sizes)} coordinates per point, got {coordinates.shape[1]}")
    # grid_sample counts from -1 to 1 over the voxels' outer edges, and takes (x, y, z).
    normalised = [(2 * coordinates[:, i] + 1) / n - 1 for i, n in enumerate(sizes)]
    grid = torch.stack(normalised[::-1], dim=-1)
    mode = "bilinear" if interpolation == "linear" else "nearest"
    return F.grid_sample(image, grid.to(image.dtype), mode=mode, padding_mode="border", align_corners=False)


def warp(image: Tensor, field: Tensor, *, interpolation: Interpolation = "linear") -> Tensor:
    """Pull an image back: result(x) = image(x + u(x)).

    Args:
        image: (B, C, *S), or with batch 1 to warp one image by many fields.
        field: (B, D, *S) in voxels.
        interpolation: "linear", or "nearest" for label values.
    """
    _check(field)
    grid = identity_grid(field.shape[2:], like=field)
    if image.shape[0] == 1 and field.shape[0] > 1:
        image = image.expand(field.shape[0], *image.shape[1:])
    return sample(image, grid + field, interpolation=interpolation)


def compose(outer: Tensor, inner: Tensor) -> Tensor:
    """Displacement of phi_outer(phi_inner(x)): inner(x) + outer(x + inner(x)). Both (B, D, *S) in voxels."""
    _check(inner)
    return inner + warp(outer, inner)


def stays_inside(field: Tensor) -> Tensor:
    """Where phi(x) = x + u(x) lies within the grid, out to the edges of its voxels: (B, 1, *S), boolean."""
    _check(field)
    target = identity_grid(field.shape[2:], like=field) + field
    edges = _per_axis(field, [n - 0.5 for n in field.shape[2:]])
    return ((target >= -0.5) & (target <= edges)).all(dim=1, keepdim=True)


def exponential(velocity: Tensor, *, steps: int | None = None) -> Tensor:
    """Displacement exp(v) of a stationary velocity field, by scaling and squaring.

    Args:
        velocity: (B, D, *S) in voxels.
        steps: number of squarings; by default as many as make the first step shorter than a quarter voxel.

    Source: Arsigny et al. 2006; EXP in algorithm 1 of the recursive diffeomorphic registration paper.
    """
    _check(velocity)
    if steps is None:
        largest = float(velocity.detach().abs().max())
        steps = max(0, math.ceil(math.log2(max(largest, 1e-12) / 0.25)))
    field = velocity / 2**steps
    for _ in range(steps):
        field = compose(field, field)
    return field


@dataclass(frozen=True)
class Inverse:
    """A numerical inverse and how exact it is."""

    field: Tensor
    """(B, D, *S) in voxels."""
    residual: float
    """Largest |phi(phi^-1(x)) - x| in voxels, over points whose image lies inside the grid; NaN if none does."""


def invert(field: Tensor, *, iterations: int = 50, tolerance: float = 1e-3) -> Inverse:
    """Numerical inverse by the fixed point w(y) = -u(y + w(y)).

    A point that does not improve has its step halved, which keeps the iteration from oscillating where the
    field is steep. It ends at the tolerance (voxels, over all points) or after the given number of iterations.

    Source: Chen et al. 2008, "A simple fixed-point approach to invert a deformation field".
    """
    _check(field)
    inverse = -field
    damping = torch.ones_like(field[:, :1])
    previous = torch.full_like(damping, math.inf)
    best, best_error = inverse, previous
    for _ in range(iterations):
        error_field = inverse + warp(field, inverse)
        error = error_field.detach().norm(dim=1, keepdim=True)
        better = error < best_error
        best = torch.where(better, inverse, best)
        best_error = torch.where(better, error, best_error)
        if float(error.max()) < tolerance:
            break
        damping = torch.where(error > 0.9 * previous, damping * 0.5, damping).clamp_min(0.05)
        previous = error
        inverse = inverse - damping * error_field
    inside = stays_inside(best)
    residual = float(best_error[inside].max()) if bool(inside.any()) else math.nan
    return Inverse(best, residual)


def _forward_difference(field: Tensor, axis: int) -> Tensor:
    """Differences to the next voxel along a spatial axis; the last repeats the one before it."""
    dim = axis + 2
    if field.shape[dim] == 1:
        return torch.zeros_like(field)
    steps = field.diff(dim=dim)
    return torch.cat([steps, steps.narrow(dim, steps.shape[dim] - 1, 1)], dim=dim)


def _backward_difference(field: Tensor, axis: int) -> Tensor:
    dim = axis + 2
    if field.shape[dim] == 1:
        return torch.zeros_like(field)
    steps = field.diff(dim=dim)
    return torch.cat([steps.narrow(dim, 0, 1), steps], dim=dim)


def jacobian_matrix(field: Tensor, spacing: Sequence[float] | None = None) -> Tensor:
    """Jacobian of phi(x) = x + u(x) by central differences (one-sided at the borders): (B, D, D, *S).

    Entry [i, j] is d phi_i / d x_j. With ``spacing`` it is the one in mm; the determinant is the same.
    """
    _check(field)
    dims = field.shape[1]
    columns = [(_forward_difference(field, j) + _backward_difference(field, j)) / 2 for j in range(dims)]
    matrix = torch.stack(columns, dim=2)
    if spacing is not None:
        scale = field.new_tensor([[a / b for b in spacing] for a in spacing])
        matrix = matrix * scale.view(1, dims, dims, *([1] * dims))
    return matrix + torch.eye(dims, dtype=field.dtype, device=field.device).view(1, dims, dims, *([1] * dims))


def _determinant(columns: Sequence[Tensor]) -> Tensor:
    """Determinant of the matrix with these columns, each (B, D, *S): (B, *S)."""
    if len(columns) == 2:
        a, b = columns
        return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    a, b, c = columns
    return (a * torch.linalg.cross(b, c, dim=1)).sum(dim=1)


def jacobian_determinant(field: Tensor) -> Tensor:
    """|J| of phi(x) = x + u(x) by central differences, one-sided at the borders: (B, *S)."""
    matrix = jacobian_matrix(field)
    return _determinant([matrix[:, :, j] for j in range(field.shape[1])])


def smallest_corner_jacobian(field: Tensor) -> Tensor:
    """Smallest |J| over the one-sided corners of each voxel (4 in 2D, 8 in 3D): (B, *S).

    Every combination of forward and backward differences counts, so that a checkerboard, which central
    differences do not see, is caught. At a border the only difference that exists stands for both.
    """
    _check(field)
    dims = field.shape[1]
    unit = torch.eye(dims, dtype=field.dtype, device=field.device).view(dims, 1, dims, *([1] * dims))
    sides = [
        (_forward_difference(field, j) + unit[j], _backward_difference(field, j) + unit[j]) for j in range(dims)
    ]
    smallest: Tensor | None = None
    for columns in product(*sides):
        determinant = _determinant(columns)
        smallest = determinant if smallest is None else torch.minimum(smallest, determinant)
    if smallest is None:
        raise ValueError("a field has at least one axis")
    return smallest


def resample(field: Tensor, shape: Sequence[int]) -> Tensor:
    """A field (B, D, *S) on another grid over the same extent: (B, D, *shape), values in the new voxels."""
    _check(field)
    if tuple(field.shape[2:]) == tuple(shape):
        return field
    mode = "bilinear" if field.shape[1] == 2 else "trilinear"
    resized = F.interpolate(field, size=tuple(shape), mode=mode, align_corners=False)
    return resized * _per_axis(field, [new / old for new, old in zip(shape, field.shape[2:], strict=True)])


def multiply_along(matrix: Tensor, image: Tensor, dim: int) -> Tensor:
    """Multiply an image (B, C, *S) by a matrix (M, S[dim - 2]) along one spatial axis, 2 <= dim < 2 + len(S).

    For the sizes of cardiac images a linear filter as a banded matrix is several times faster on a CPU than
    torch's convolutions with one channel, forward and backward.
    """
    if dim == image.ndim - 1:
        return image @ matrix.T
    flat = image.flatten(dim + 1)
    return (matrix @ flat).unflatten(-1, image.shape[dim + 1 :])


def gaussian_smooth(image: Tensor, sigma: float | Sequence[float]) -> Tensor:
    """Gaussian low-pass of (B, C, *S), border values repeated; sigma in voxels, one or per axis, 0 for none."""
    dims = image.ndim - 2
    sigmas = [float(sigma)] * dims if isinstance(sigma, int | float) else [float(s) for s in sigma]
    if len(sigmas) != dims or min(sigmas) < 0:
        raise ValueError(f"expected {dims} non-negative sigmas, got {sigmas}")
    for axis, s in enumerate(sigmas):
        size = image.shape[axis + 2]
        if s == 0 or size == 1:
            continue
        radius = max(1, math.ceil(3 * s))
        offsets = torch.arange(-radius, radius + 1, device=image.device)
        kernel = torch.exp(-(offsets.to(image.dtype) ** 2) / (2 * s * s))
        kernel = kernel / kernel.sum()
        sources = (torch.arange(size, device=image.device)[:, None] + offsets).clamp(0, size - 1)
        matrix = image.new_zeros(size, size).scatter_add(1, sources, kernel.expand(size, -1))
        image = multiply_along(matrix, image, axis + 2)
    return image


def warp_points(points: Tensor, field: Tensor) -> Tensor:
    """Move points by a field: p + u(p).

    Args:
        points: (N, D) voxel coordinates in the order of the axes.
        field: (1, D, *S) in voxels.
    """
    _check(field)
    coordinates = points.T.reshape(1, field.shape[1], -1, *([1] * (field.shape[1] - 1))).to(field)
    moved = sample(field, coordinates)
    return points + moved.reshape(field.shape[1], -1).T.to(points)
