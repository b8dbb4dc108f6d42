"""What a method's fields are worth on one pair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from cardiac_motion import fields
from cardiac_motion.labels import Label
from cardiac_motion.metrics import (
    dice_shared_slices,
    dice_stack,
    end_point_error,
    folds,
    hausdorff_per_slice,
    inverse_consistency_error,
    mean_where_defined,
    sd_log_jacobian,
)

from benchmarks.methods import StackFields
from benchmarks.pairs import Pair

UNREGISTERED = "unregistered"


@dataclass(frozen=True)
class PairScore:
    """One method on one pair; NaN where a figure is not defined.

    Attributes:
        dice_shared: by structure, over the slices that hold it at both frames.
        dice_stack: by structure, over the whole stack.
        hausdorff: by structure, mm, 2D, mean over the slices that hold it at both frames.
        folded: number of folded pixels, of all slices.
        folds: their share.
        sd_log_jacobian: standard deviation of log |J|.
        inverse_error: mean inverse-consistency error in pixels, over the whole crop.
        inverse_error_heart: the same over the labelled structures.
        end_point_error: mean in the myocardium, mm, against the true displacement.
        seconds: for each slice.
    """

    dice_shared: Mapping[Label, float]
    dice_stack: Mapping[Label, float]
    hausdorff: Mapping[Label, float]
    folded: int
    folds: float
    sd_log_jacobian: float
    inverse_error: float
    inverse_error_heart: float
    end_point_error: float
    seconds: tuple[float, ...]


def warped_labels(
    labels: npt.NDArray[np.uint8], field: npt.NDArray[np.float32], pair: Pair
) -> npt.NDArray[np.uint8]:
    """Labels (Z, Y, X) pulled back by (Z, 2, Y, X) mm: at each pixel the class with the largest warped share."""
    values = np.array([Label.BACKGROUND, *pair.structures], dtype=np.uint8)
    shares = torch.from_numpy(np.stack([labels == value for value in values], axis=1).astype(np.float32))
    displacement = fields.to_voxels(torch.from_numpy(np.ascontiguousarray(field)), pair.spacing[1:])
    return values[fields.warp(shares, displacement).argmax(dim=1).numpy()]


def score(pair: Pair, found: StackFields | None) -> PairScore:
    """Score the fields of a pair; None stands for no registration."""
    field = np.zeros((len(pair.fixed), 2, *pair.fixed.shape[1:]), np.float32) if found is None else found.field
    moved = pair.moving_labels if found is None else warped_labels(pair.moving_labels, field, pair)
    in_plane = pair.spacing[1:]
    shared, stack, distance = {}, {}, {}
    for structure in pair.structures:
        truth, predicted, source = (a == structure for a in (pair.fixed_labels, moved, pair.moving_labels))
        held = truth.any(axis=(1, 2)) & source.any(axis=(1, 2))
        shared[structure] = dice_shared_slices(truth, predicted, source)
        stack[structure] = dice_stack(truth, predicted)
        distance[structure] = mean_where_defined(hausdorff_per_slice(truth, predicted, pair.spacing)[held])
    inverse_error, inverse_error_heart = np.nan, np.nan
    if found is not None and found.inverse is not None:
        heart = (pair.fixed_labels > 0) | (pair.moving_labels > 0)
        inverse_error = inverse_consistency_error(field, found.inverse, in_plane).mean_voxels
        inverse_error_heart = inverse_consistency_error(field, found.inverse, in_plane, mask=heart).mean_voxels
    share = folds(field, in_plane)
    truth_error = np.nan
    if pair.truth is not None:
        truth_error = end_point_error(field, pair.truth, pair.fixed_labels == Label.MYO, dims=2)
    return PairScore(
        dice_shared=shared,
        dice_stack=stack,
        hausdorff=distance,
        folded=round(share * field.size / 2),
        folds=share,
        sd_log_jacobian=sd_log_jacobian(field, in_plane),
        inverse_error=inverse_error,
        inverse_error_heart=inverse_error_heart,
        end_point_error=truth_error,
        seconds=() if found is None else found.seconds,
    )
