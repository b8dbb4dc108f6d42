"""Dice: by hand, beside MONAI, surface-distance, and where it is not defined."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import surface_distance
import torch
from cardiac_motion.errors import InputError
from cardiac_motion.metrics import dice_per_slice, dice_shared_slices, dice_stack, slices_holding
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import compute_dice

Mask = npt.NDArray[np.bool_]


def box(shape: tuple[int, ...], *ranges: tuple[int, int]) -> Mask:
    mask = np.zeros(shape, dtype=np.bool_)
    mask[tuple(slice(a, b) for a, b in ranges)] = True
    return mask


def random_masks(seed: int, shape: tuple[int, ...] = (4, 12, 11)) -> tuple[Mask, Mask]:
    generator = np.random.default_rng(seed)
    return generator.random(shape) > 0.6, generator.random(shape) > 0.5


def test_dice_by_hand() -> None:
    truth = box((3, 6, 6), (0, 2), (1, 4), (1, 4))  # 18 voxels
    predicted = box((3, 6, 6), (1, 3), (2, 5), (1, 4))  # 18 voxels, 6 in common
    assert dice_stack(truth, predicted) == pytest.approx(2 * 6 / 36)
    assert dice_stack(truth[0], truth[0]) == 1.0
    np.testing.assert_allclose(dice_per_slice(truth, predicted), [0, 2 * 6 / 18, 0])


@given(st.integers(0, 100_000))
@settings(max_examples=20, deadline=None)
def test_dice_agrees_with_monai_and_surface_distance(seed: int) -> None:
    truth, predicted = random_masks(seed)
    ours = dice_stack(truth, predicted)
    theirs = compute_dice(torch.from_numpy(predicted)[None, None], torch.from_numpy(truth)[None, None])
    assert ours == pytest.approx(float(theirs), abs=1e-6)
    assert ours == pytest.approx(surface_distance.compute_dice_coefficient(truth, predicted))
    assert ours == dice_stack(predicted, truth)
    for per_slice, a, b in zip(dice_per_slice(truth, predicted), truth, predicted, strict=True):
        assert per_slice == dice_stack(a, b)


def test_dice_of_two_empty_masks_is_not_defined_and_of_one_is_zero() -> None:
    empty, full = np.zeros((2, 5, 5), dtype=np.bool_), np.ones((2, 5, 5), dtype=np.bool_)
    assert math.isnan(dice_stack(empty, empty))
    assert dice_stack(full, empty) == 0
    assert dice_stack(empty, full) == 0
    half = full.copy()
    half[0] = False
    np.testing.assert_array_equal(dice_per_slice(half, half), [np.nan, 1])
    np.testing.assert_array_equal(dice_per_slice(half, full), [0, 1])


def test_shared_slices_leave_out_those_the_ventricle_has_left() -> None:
    shape = (5, 8, 8)
    source = box(shape, (1, 5), (2, 6), (2, 6))  # end-diastole: slices 1 to 4
    truth = box(shape, (2, 5), (3, 6), (3, 6))  # end-systole: the base has come down, slices 2 to 4
    predicted = box(shape, (1, 5), (3, 6), (3, 6))  # in-plane motion keeps slice 1
    assert slices_holding(truth, source).tolist() == [False, False, True, True, True]
    assert dice_stack(truth, predicted) == pytest.approx(2 * 27 / (27 + 36))
    assert dice_shared_slices(truth, predicted, source) == 1.0


def test_what_was_predicted_does_not_choose_the_slices() -> None:
    shape = (3, 6, 6)
    truth = box(shape, (0, 2), (1, 4), (1, 4))
    predicted = box(shape, (1, 2), (1, 4), (1, 4))  # lost the structure in a slice that holds it
    assert dice_shared_slices(truth, predicted, truth) == pytest.approx(2 * 9 / (18 + 9))
    assert math.isnan(dice_shared_slices(truth, predicted, box(shape, (2, 3), (1, 4), (1, 4))))


def test_masks_may_be_zeros_and_ones_of_any_type_but_not_label_maps() -> None:
    truth, predicted = random_masks(0)
    expected = dice_stack(truth, predicted)
    assert dice_stack(truth.astype(np.uint8), predicted.astype(np.float32)) == expected
    with pytest.raises(InputError, match="a mask holds one structure, values 0 and 1, got values"):
        dice_stack(np.arange(8).reshape(2, 2, 2), np.zeros((2, 2, 2)))


def test_masks_that_do_not_fit_are_refused() -> None:
    stack, flat = np.zeros((2, 3, 4)), np.zeros((3, 4))
    with pytest.raises(InputError, match=r"one shape, .* got \(2, 3, 4\) and \(3, 4\)"):
        dice_stack(stack, flat)
    with pytest.raises(InputError, match=r"\(Z, Y, X\), got \(3, 4\)"):
        dice_per_slice(flat, flat)
    with pytest.raises(InputError, match=r"got \(2, 2, 3, 4\)"):
        dice_stack(stack[None].repeat(2, 0), stack[None].repeat(2, 0))
    with pytest.raises(InputError, match=r"expected masks of one shape, \(Z, Y, X\)"):
        dice_shared_slices(stack, stack, flat)
