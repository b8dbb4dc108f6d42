"""Measures of displacement fields.

A displacement is an array (..., D, *S) in mm along the array axes, D the number of axes of the grid: D = 3 with
S = (Z, Y, X), as in a motion, or D = 2 with S = (Y, X). Leading axes are frames, cases or nothing; the length of
``spacing`` gives D. A mask has the shape *S, or that with the leading axes.

**Folds**, stated once: the share of voxels at which any of the one-sided Jacobian determinants is <= 0. These are
the determinants with all combinations of forward and backward differences along the axes, 4 in 2D and 8 in 3D, on
the field's own grid; at the border the only difference that exists stands for both. Central differences would not
see a checkerboard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cardiac_motion import fields
from cardiac_motion.errors import InputError
from cardiac_motion.metrics.checks import FloatArray, Mask, check_spacing

SMALLEST_JACOBIAN = 1e-9
"""Floor of the Jacobian before its logarithm is taken, that of the Learn2Reg challenge."""


def _split(displacement: npt.ArrayLike, dims: int) -> npt.NDArray[np.floating]:
    """The fields as (N, D, *S), in the precision they have."""
    array = np.asarray(displacement)
    if array.ndim < dims + 1 or array.shape[-dims - 1] != dims:
        raise InputError(f"expected displacements (..., {dims}, *S) with {dims} axes in S, got {array.shape}")
    if array.size == 0 or not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"expected displacements in mm as floating-point numbers, got {array.size} {array.dtype}")
    return array.reshape(-1, *array.shape[-dims - 1 :])


def _masks(mask: npt.ArrayLike | None, shape: tuple[int, ...], dims: int) -> Mask:
    """The mask for each of the N fields: (N, *S); ``shape`` is that of the displacement."""
    full = shape[: -dims - 1] + shape[-dims:]
    chosen = np.ones(full, dtype=np.bool_) if mask is None else np.asarray(mask).astype(np.bool_)
    if chosen.shape not in (full, shape[-dims:]):
        raise InputError(f"expected a mask of shape {shape[-dims:]} or {full}, got {chosen.shape}")
    return np.broadcast_to(chosen, full).reshape(-1, *shape[-dims:])


def _in_voxels(displacement: npt.ArrayLike, spacing: Sequence[float]) -> Iterator[Tensor]:
    """One field after the other, (1, D, *S) in voxels, in double precision."""
    for field in _split(displacement, len(spacing)):
        yield fields.to_voxels(torch.from_numpy(field.astype(np.float64))[None], spacing)


def _per_voxel(
    measure: Callable[[Tensor], Tensor],
    displacement: npt.ArrayLike,
    spacing: Sequence[float],
    mask: npt.ArrayLike | None,
) -> list[FloatArray]:
    """Values of the measure at the voxels of the mask, one array for each field."""
    scale = check_spacing(spacing, len(spacing))
    masks = _masks(mask, np.shape(displacement), len(scale))
    return [
        measure(field)[0].numpy()[chosen]
        for field, chosen in zip(_in_voxels(displacement, scale), masks, strict=True)
    ]


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if values.size else float("nan")


def folds(displacement: npt.ArrayLike, spacing: Sequence[float], mask: npt.ArrayLike | None = None) -> float:
    """Share of voxels that are folded, from 0 to 1, over all the fields; defined at the top of this file.

    Args:
        displacement: (..., D, *S) in mm.
        spacing: mm, D numbers.
        mask: voxels that count; all by default. Empty gives NaN.
    """
    folded = _per_voxel(lambda u: fields.smallest_corner_jacobian(u) <= 0, displacement, spacing, mask)
    return _mean(np.concatenate(folded).astype(np.float64))


def sd_log_jacobian(
    displacement: npt.ArrayLike, spacing: Sequence[float], mask: npt.ArrayLike | None = None
) -> float:
    """Standard deviation of the natural logarithm of |J|, over voxels; the mean of it over the fields.

    |J| by central differences, one-sided at the borders, and at least 1e-9, so that a folded voxel raises the
    figure instead of being left out.

    Args:
        displacement: (..., D, *S) in mm.
        spacing: mm, D numbers.
        mask: voxels that count; all by default. A field without any is left out; none left gives NaN.

    Source: Leow et al. 2007; Learn2Reg (Hering et al. 2022).
    """
    logarithms = _per_voxel(
        lambda u: fields.jacobian_determinant(u).clamp_min(SMALLEST_JACOBIAN).log(), displacement, spacing, mask
    )
    return _mean(np.array([values.std() for values in logarithms if values.size]))


def temporal_gradient(displacement: npt.ArrayLike, mask: npt.ArrayLike | None = None) -> float:
    """Mean length of the difference of successive fields, mm per frame, over voxels and steps.

    mean over t and x of |u_{t+1}(x) - u_t(x)|; the step from the last frame to the first is not counted.

    Args:
        displacement: (T, D, *S) in mm, T >= 2.
        mask: voxels that count, *S; all by default. Empty gives NaN.

    Source: DragNet, tables 1 and 3, "temporal gradient of the displacement fields".
    """
    array = np.asarray(displacement)
    dims = array.ndim - 2
    if dims not in (2, 3) or array.shape[0] < 2 or array.shape[1] != dims:
        raise InputError(f"expected (T, 3, Z, Y, X) or (T, 2, Y, X) with T >= 2, got {array.shape}")
    chosen = _masks(mask, array.shape[1:], dims)[0]
    # One step at a time: the fields of a whole cine are large.
    lengths = [
        np.linalg.norm((after.astype(np.float64) - before)[:, chosen], axis=0) for before, after in pairwise(array)
    ]
    return _mean(np.concatenate(lengths))


def end_point_distance(displacement: npt.ArrayLike, truth: npt.ArrayLike, dims: int = 3) -> FloatArray:
    """Distance at each voxel between where two fields lead, |u(x) - u_true(x)|, mm: (..., *S).

    Args:
        displacement: (..., D, *S) in mm.
        truth: as ``displacement``.
        dims: D.
    """
    first, second = np.asarray(displacement), np.asarray(truth)
    if first.shape != second.shape or first.ndim < dims + 1 or first.shape[-dims - 1] != dims:
        raise InputError(f"expected two fields (..., {dims}, *S), got {first.shape} and {second.shape}")
    return np.linalg.norm(first.astype(np.float64) - second, axis=-dims - 1)


def end_point_error(
    displacement: npt.ArrayLike, truth: npt.ArrayLike, mask: npt.ArrayLike, dims: int = 3
) -> float:
    """Mean end-point distance over the voxels of a mask, mm; NaN if it is empty. See `end_point_distance`.

    For `to_reference` the mask is that of the structure at each frame, (T, Z, Y, X); for `from_reference` that at
    the reference frame, (Z, Y, X).
    """
    distances = end_point_distance(displacement, truth, dims)
    chosen = np.asarray(mask).astype(np.bool_)
    if chosen.shape not in (distances.shape, distances.shape[-dims:]):
        raise InputError(
            f"expected a mask of shape {distances.shape[-dims:]} or {distances.shape}, got {chosen.shape}"
        )
    return _mean(distances[np.broadcast_to(chosen, distances.shape)])


@dataclass(frozen=True)
class InverseConsistencyError:
    """How far there and back leads from where it began, over voxels whose way out ends inside the grid."""

    mean_voxels: float
    """Mean distance in voxels (pixels for a field without through-plane motion)."""
    mean_mm: float
    """Mean distance in mm."""
    largest_mm: float
    """Largest distance in mm."""


def inverse_consistency_error(
    forward: npt.ArrayLike, backward: npt.ArrayLike, spacing: Sequence[float], mask: npt.ArrayLike | None = None
) -> InverseConsistencyError:
    """|D_B(D_F(x)) - x| and |D_F(D_B(x)) - x|, both directions together.

    Voxels that the first of the two maps takes out of the grid are left out: there is no field to come back by.

    Args:
        forward: (..., D, *S) in mm.
        backward: as ``forward``.
        spacing: mm, D numbers.
        mask: voxels x that count; all by default. None left gives NaN.

    Source: Christensen and Johnson 2001.
    """
    if np.shape(forward) != np.shape(backward):
        raise InputError(f"expected two fields of one shape, got {np.shape(forward)} and {np.shape(backward)}")
    scale = check_spacing(spacing, len(spacing))
    masks = _masks(mask, np.shape(forward), len(scale))
    voxels, millimetres = [], []
    pairs = zip(_in_voxels(forward, scale), _in_voxels(backward, scale), masks, strict=True)
    for ahead, back, chosen in pairs:
        for first, second in ((ahead, back), (back, ahead)):
            inside = fields.stays_inside(first)[0, 0].numpy() & chosen
            error = fields.compose(second, first)
            voxels.append(error.norm(dim=1)[0].numpy()[inside])
            millimetres.append(fields.to_mm(error, scale).norm(dim=1)[0].numpy()[inside])
    in_voxels, in_mm = np.concatenate(voxels), np.concatenate(millimetres)
    return InverseConsistencyError(_mean(in_voxels), _mean(in_mm), float(in_mm.max()) if in_mm.size else np.nan)
