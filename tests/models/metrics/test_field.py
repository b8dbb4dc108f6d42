"""Measures of displacement fields: constructed folds, analytic maps, hand-checked values."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from cardiac_motion import fields
from cardiac_motion.errors import InputError
from cardiac_motion.metrics import (
    end_point_distance,
    end_point_error,
    folds,
    inverse_consistency_error,
    sd_log_jacobian,
    temporal_gradient,
)

Field = npt.NDArray[np.float32]
SPACING = (8.0, 1.4, 1.9)


def zeros(*shape: int) -> Field:
    return np.zeros(shape, dtype=np.float32)


def smooth_motion(frames: int = 3, shape: tuple[int, ...] = (5, 14, 16), seed: int = 0) -> Field:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(frames, len(shape), *shape, generator=generator, dtype=torch.float64)
    velocity = fields.gaussian_smooth(noise, 2.5) * 4
    velocity[:, 0] *= 0.3  # voxels are long across the slices
    return fields.to_mm(fields.exponential(velocity), SPACING[-len(shape) :]).numpy().astype(np.float32)


def linear_motion(shape: tuple[int, ...], matrix: npt.NDArray[np.float64]) -> Field:
    """u(x) = (A - 1) x in mm."""
    places = np.stack(np.meshgrid(*[np.arange(n) * s for n, s in zip(shape, SPACING, strict=True)], indexing="ij"))
    return np.einsum("ij,jzyx->izyx", matrix - np.eye(3), places).astype(np.float32)


# -------------------- folds


@pytest.mark.parametrize(("axis", "far"), [(0, 9.0), (1, 1.5), (2, 2.0)])
def test_one_voxel_pushed_past_its_neighbour_folds_both(axis: int, far: float) -> None:
    motion = zeros(3, 6, 9, 10)
    motion[axis, 3, 4, 5] = far  # a little more than a voxel
    assert folds(motion, SPACING) == 2 / (6 * 9 * 10)
    motion[axis, 3, 4, 5] = 0.99 * SPACING[axis]  # a little less
    assert folds(motion, SPACING) == 0


def test_a_determinant_of_zero_is_a_fold() -> None:
    motion = zeros(2, 8, 8)
    motion[1, 3, 3] = 2.0
    assert folds(motion, (1.0, 2.0)) == 2 / 64


def test_folded_blocks_are_counted_exactly() -> None:
    # Inside the block phi runs backwards along x (derivative -1). Its first column has a forward difference that
    # folds, and so has its last a backward one; the step back at its end is an expansion.
    motion = zeros(2, 20, 30)
    columns = np.arange(7, dtype=np.float32)
    motion[1, 5:15, 10:17] = -2 * columns
    share = 10 * 7 / 600
    assert folds(motion, (1.0, 1.0)) == pytest.approx(share)
    assert folds(np.stack([motion, zeros(2, 20, 30)]), (1.0, 1.0)) == pytest.approx(share / 2)
    mask = np.zeros((20, 30), dtype=np.bool_)
    mask[:, 16:18] = True  # the last folded column and one beside
    assert folds(motion, (1.0, 1.0), mask) == pytest.approx(10 / 40)


def test_a_checkerboard_counts_though_central_differences_see_none() -> None:
    y, x = np.indices((12, 14))
    motion = zeros(2, 12, 14)
    motion[1] = 0.6 * (1 - 2 * ((x + y) % 2))
    # At the left and right borders only every second pixel has a difference that folds.
    assert folds(motion, (1.0, 1.0)) == pytest.approx((12 * 12 + 12) / (12 * 14))
    assert folds(motion, (1.0, 1.3)) == 0
    central = fields.jacobian_determinant(torch.from_numpy(motion)[None])[0].numpy()
    assert (central[:, 1:-1] == 1).all()


def test_smooth_motion_has_no_folds_and_a_mirror_image_has_only_folds() -> None:
    assert folds(smooth_motion(), SPACING) == 0
    shape = (4, 6, 7)
    assert folds(linear_motion(shape, np.diag([1.0, 1.0, -1.0])), SPACING) == 1


def test_folds_do_not_depend_on_flips_permutations_or_the_unit() -> None:
    motion = np.random.default_rng(0).normal(0, 1.2, (3, 5, 8, 9)).astype(np.float32)
    share = folds(motion, SPACING)
    assert 0.1 < share < 0.9
    mirrored = motion[:, :, ::-1].copy()
    mirrored[1] *= -1
    assert folds(mirrored, SPACING) == share
    order = (2, 0, 1)
    turned = motion.transpose(0, *[i + 1 for i in order])[list(order)]
    assert folds(turned, [SPACING[i] for i in order]) == share
    assert folds(motion / 10, [s / 10 for s in SPACING]) == pytest.approx(share, abs=0.003)


def test_a_single_slice_folds_as_its_plane() -> None:
    flat = np.random.default_rng(1).normal(0, 0.5, (2, 9, 10))
    stack = np.concatenate([np.zeros((1, 9, 10)), flat])[:, None]
    assert 0 < folds(flat, SPACING[1:]) == folds(stack, SPACING)


# -------------------- smoothness


def test_sd_log_jacobian_is_zero_for_affine_motion_and_right_for_a_known_one() -> None:
    motion = linear_motion((4, 6, 7), np.array([[1.2, 0.0, 0.1], [0.0, 0.9, 0.0], [0.05, 0.0, 1.1]]))
    assert sd_log_jacobian(motion, SPACING) == pytest.approx(0, abs=1e-5)
    # phi_x = 2 x on one half and x on the other: |J| is 2 or 1, with one column of 1.5 between.
    piecewise = zeros(2, 5, 21)
    piecewise[1] = np.minimum(np.arange(21), 10)
    logarithms = np.log([2.0] * 10 + [1.5] + [1.0] * 10)
    assert sd_log_jacobian(piecewise, (1.0, 1.0)) == pytest.approx(logarithms.std())
    both = sd_log_jacobian(np.stack([piecewise, zeros(2, 5, 21)]), (1.0, 1.0))
    assert both == pytest.approx(logarithms.std() / 2)
    left = np.zeros((5, 21), dtype=np.bool_)
    left[:, :10] = True
    assert sd_log_jacobian(piecewise, (1.0, 1.0), left) == pytest.approx(0, abs=1e-12)
    assert math.isnan(sd_log_jacobian(piecewise, (1.0, 1.0), np.zeros((5, 21))))


def test_sd_log_jacobian_is_raised_by_a_fold() -> None:
    motion = smooth_motion(1)[0]
    folded = motion.copy()
    folded[2, 2, 7, 7] += 8
    assert math.isfinite(sd_log_jacobian(folded, SPACING))
    assert sd_log_jacobian(folded, SPACING) > 2 * sd_log_jacobian(motion, SPACING)


def test_temporal_gradient_by_hand() -> None:
    motion = zeros(4, 3, 2, 5, 6)
    motion[1, 1], motion[1, 2] = 3.0, 4.0  # 5 mm there, 5 mm back, nothing
    assert temporal_gradient(motion) == pytest.approx(10 / 3)
    mask = np.zeros((2, 5, 6), dtype=np.bool_)
    mask[0, 0, 0] = True
    motion[:, :, 0, 0, 0] = 0
    assert temporal_gradient(motion, mask) == 0
    assert math.isnan(temporal_gradient(motion, np.zeros((2, 5, 6))))
    flat = zeros(3, 2, 5, 6)
    flat[2] = 1.0
    assert temporal_gradient(flat) == pytest.approx(math.sqrt(2) / 2)


@pytest.mark.parametrize("shape", [(1, 3, 2, 5, 6), (1, 2, 5, 6), (4, 2, 2, 5, 6), (5, 6)])
def test_temporal_gradient_needs_a_sequence_of_fields(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="with T >= 2, got"):
        temporal_gradient(zeros(*shape))


# -------------------- accuracy


def test_end_point_error_by_hand() -> None:
    truth, motion = zeros(2, 3, 2, 4, 5), zeros(2, 3, 2, 4, 5)
    motion[0, 1], motion[0, 2] = 3.0, 4.0
    distances = end_point_distance(motion, truth)
    assert distances.shape == (2, 2, 4, 5)
    assert (distances[0] == 5).all()
    assert not distances[1].any()
    whole = np.ones((2, 4, 5), dtype=np.bool_)
    assert end_point_error(motion, truth, whole) == pytest.approx(2.5)
    per_frame = np.zeros((2, 2, 4, 5), dtype=np.bool_)
    per_frame[0, 0, 0, 0] = True
    assert end_point_error(motion, truth, per_frame) == pytest.approx(5)
    assert math.isnan(end_point_error(motion, truth, np.zeros((2, 4, 5))))
    assert end_point_error(motion[0, 1:, 0], truth[0, 1:, 0], whole[0], dims=2) == pytest.approx(5)


def test_inverse_consistency_error_by_hand() -> None:
    forward = zeros(3, 6, 12, 14)
    forward[1], forward[2] = 2.8, -1.9  # 2 pixels down, 1 to the left
    there_and_back = inverse_consistency_error(forward, -forward, SPACING)
    assert there_and_back.mean_mm == pytest.approx(0, abs=1e-6)
    only_there = inverse_consistency_error(forward, zeros(3, 6, 12, 14), SPACING)
    length = math.hypot(2.8, 1.9)
    assert only_there.largest_mm == pytest.approx(length, rel=1e-6)
    # From the first map, 10 of 12 rows and 13 of 14 columns stay inside; from the second, which stands still, all.
    assert only_there.mean_mm == pytest.approx(length, rel=1e-6)
    assert only_there.mean_voxels == pytest.approx(math.sqrt(5), rel=1e-6)


def test_inverse_consistency_error_leaves_out_what_moves_out_of_the_grid() -> None:
    forward, still = zeros(2, 10, 10), zeros(2, 10, 10)
    forward[0, 8:] = 5.0  # two rows go out of the image, where nothing is known
    forward[0, 4] = 0.4
    whole = inverse_consistency_error(forward, still, (1.0, 1.0))
    # First forward: 8 rows stay inside, one of them off by 0.4. First the field that stands still: all 10 rows,
    # off by what comes after it.
    assert whole.mean_mm == pytest.approx((10 * 0.4 + (10 * 0.4 + 20 * 5.0)) / (80 + 100), rel=1e-5)
    leaving = np.zeros((10, 10), dtype=np.bool_)
    leaving[8:] = True
    assert inverse_consistency_error(forward, still, (1.0, 1.0), leaving).mean_mm == pytest.approx(5.0)


def test_inverse_consistency_error_of_a_numerical_inverse_is_small() -> None:
    motion = smooth_motion(2)
    voxels = fields.to_voxels(torch.from_numpy(motion), SPACING)
    inverse = fields.to_mm(fields.invert(voxels, iterations=100).field, SPACING).numpy()
    result = inverse_consistency_error(motion, inverse, SPACING)
    assert result.mean_voxels < 0.02
    assert result.mean_mm < result.largest_mm
    identity = inverse_consistency_error(motion, np.zeros_like(motion), SPACING)
    assert result.mean_mm < 0.04 * identity.mean_mm  # what linear interpolation of the inverse leaves


def test_a_single_slice_is_not_lost_to_rounding() -> None:
    motion = zeros(3, 1, 8, 8)
    motion[0] = 1e-6
    motion[1] = 1.4
    result = inverse_consistency_error(motion, np.zeros_like(motion), SPACING)
    assert result.mean_voxels == pytest.approx(1.0, rel=1e-5)


def test_nothing_left_to_measure_is_nan() -> None:
    motion = zeros(3, 2, 6, 6)
    empty = np.zeros((2, 6, 6), dtype=np.bool_)
    result = inverse_consistency_error(motion, motion, SPACING, empty)
    assert math.isnan(result.mean_mm)
    assert math.isnan(result.mean_voxels)
    assert math.isnan(result.largest_mm)
    assert math.isnan(folds(motion, SPACING, empty))


# -------------------- what is refused


def test_fields_and_masks_that_do_not_fit_are_refused() -> None:
    motion = zeros(4, 3, 2, 6, 6)
    with pytest.raises(InputError, match=r"displacements \(\.\.\., 3, \*S\).* got \(4, 2, 6, 6\)"):
        folds(motion[:, 0], SPACING)
    with pytest.raises(InputError, match="floating-point numbers"):
        folds(motion.astype(np.int16), SPACING)
    with pytest.raises(InputError, match="floating-point numbers, got 0"):
        folds(motion[:0], SPACING)
    with pytest.raises(InputError, match=r"mask of shape \(2, 6, 6\) or \(4, 2, 6, 6\), got \(6, 6\)"):
        sd_log_jacobian(motion, SPACING, np.ones((6, 6)))
    with pytest.raises(InputError, match="3 positive spacings"):
        folds(motion, (8.0, 0.0, 1.9))
    with pytest.raises(InputError, match="two fields"):
        end_point_distance(motion, motion[:2])
    with pytest.raises(InputError, match="mask of shape"):
        end_point_error(motion, motion, np.ones((4, 2, 6)))
    with pytest.raises(InputError, match="two fields of one shape"):
        inverse_consistency_error(motion, motion[:2], SPACING)
