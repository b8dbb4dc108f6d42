"""Labels made anatomically plausible: pieces, holes, rings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from cardiac_motion.labels import Label
from cardiac_motion.segmentation.anatomy import bridge_gaps, drop_bare_ends, tidy, tidy_slice
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

SPACING = (1.4, 1.4)


def _heart() -> npt.NDArray[np.uint8]:
    y, x = np.mgrid[:64, :64]
    away = np.hypot(y - 32, x - 36)
    labels = np.where((np.hypot(y - 32, x - 20) < 14) & (away >= 16), Label.RV, 0)
    labels[away < 16] = Label.MYO
    labels[away < 9] = Label.LV
    return labels.astype(np.uint8)


def test_a_plausible_slice_stays_as_it_is() -> None:
    np.testing.assert_array_equal(tidy_slice(_heart(), SPACING), _heart())


@pytest.mark.parametrize("label", [Label.RV, Label.MYO, Label.LV, Label.LA, Label.RA])
def test_the_smaller_piece_goes(label: Label) -> None:
    labels = _heart()
    labels[2:10, 50:58] = label
    expected = _heart()
    if label in (Label.LA, Label.RA):
        expected[2:10, 50:58] = label  # the only piece of its kind
    np.testing.assert_array_equal(tidy_slice(labels, SPACING), expected)


def test_noise_is_no_structure() -> None:
    labels = np.zeros((32, 32), np.uint8)
    labels[10:13, 10:14] = Label.LV  # 23.5 mm²
    assert not tidy_slice(labels, SPACING).any()
    labels[13, 10:14] = Label.LV
    assert (tidy_slice(labels, SPACING) == Label.LV).sum() == 16


def test_holes_are_filled_with_what_is_around_them() -> None:
    labels = _heart()
    labels[30:33, 35:38] = Label.BACKGROUND  # within the LV
    labels[31:33, 47:49] = Label.BACKGROUND  # within the wall
    labels[31:33, 12:14] = Label.BACKGROUND  # within the RV
    labels[36:38, 36:38] = Label.MYO  # a papillary muscle: part of the LV
    np.testing.assert_array_equal(tidy_slice(labels, SPACING), _heart())


def test_what_the_ring_encloses_is_lv_or_wall() -> None:
    labels = _heart()
    y, x = np.mgrid[:64, :64]
    between = (np.hypot(y - 32, x - 36) < 11) & (np.hypot(y - 32, x - 36) >= 9)
    labels[between] = Label.BACKGROUND
    tidied = tidy_slice(labels, SPACING)
    assert (tidied[between] == Label.MYO).all()
    # In a long-axis view the wall is no ring, and nothing is added to it.
    assert (tidy_slice(labels, SPACING, wall_encloses=False)[between] == Label.BACKGROUND).all()


def test_an_rv_around_the_lv_does_not_swallow_it() -> None:
    labels = _heart()
    y, x = np.mgrid[:64, :64]
    ring = (np.hypot(y - 32, x - 36) < 20) & (labels == Label.BACKGROUND)
    labels[ring] = Label.RV
    tidied = tidy_slice(labels, SPACING)
    np.testing.assert_array_equal(tidied == Label.LV, labels == Label.LV)
    np.testing.assert_array_equal(tidied == Label.MYO, labels == Label.MYO)


def _bare(share: float) -> npt.NDArray[np.uint8]:
    """A heart whose wall is gone but for about this share of its ring."""
    labels = _heart()
    y, x = np.mgrid[:64, :64]
    turn = np.arctan2(y - 32, x - 36) / (2 * np.pi) % 1
    labels[(labels == Label.MYO) & (turn >= share)] = Label.BACKGROUND
    return labels


def test_a_pool_without_a_wall_at_the_end_of_a_stack_goes() -> None:
    heart, bare = _heart(), _bare(0.15)
    empty = np.zeros_like(heart)
    found = drop_bare_ends(np.stack([empty, bare, heart, heart, bare]))
    assert [(plane == Label.LV).any() for plane in found] == [False, False, True, True, False]
    for label in (Label.RV, Label.MYO):
        np.testing.assert_array_equal(found[1] == label, bare == label)
    np.testing.assert_array_equal(found[2], heart)


@pytest.mark.parametrize(
    "stack",
    [
        # The outflow tract takes half of the ring.
        [_heart(), _heart(), _bare(0.5)],
        # In the middle of the stack, where the network has missed the wall.
        [_heart(), _bare(0.1), _heart()],
        # No wall anywhere: nothing is told by it.
        [_bare(0.0), _bare(0.0), _bare(0.0)],
        [_bare(0.0)],
        [np.zeros((64, 64), np.uint8)],
    ],
)
def test_other_pools_stay(stack: list[npt.NDArray[np.uint8]]) -> None:
    np.testing.assert_array_equal(drop_bare_ends(np.stack(stack)), np.stack(stack))


def test_stacks_are_tidied_slice_by_slice() -> None:
    labels = np.stack([_heart(), np.zeros((64, 64), np.uint8), _heart().T])
    np.testing.assert_array_equal(tidy(np.stack([labels, labels]), (8.0, *SPACING)), np.stack([labels, labels]))


@pytest.mark.parametrize("seen", [0.0, 2.4])
def test_a_cavity_that_has_all_but_closed_is_no_hole_in_the_wall(seen: float) -> None:
    y, x = np.mgrid[:64, :64] - 31.5
    away = np.hypot(y, x) * 1.4
    labels = np.where((away < 14) & (away > 2.4), Label.MYO, 0).astype(np.uint8)
    labels[away < seen] = Label.LV
    tidied = tidy_slice(labels, (1.4, 1.4))
    assert (tidied[away <= 2.4] == Label.LV).all()
    assert (tidied[away > 14] == 0).all()
    # Along the long axis the wall encloses nothing.
    assert not (tidy_slice(labels, (1.4, 1.4), wall_encloses=False) == Label.LV).any()


def test_no_hole_is_left_where_noise_within_a_structure_went() -> None:
    labels = _heart()
    labels[31:33, 12:14] = Label.RA
    np.testing.assert_array_equal(tidy_slice(labels, SPACING), _heart())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_whatever_comes_in_has_one_piece_of_each_structure_and_no_holes_in_the_cavities(
    seed: int, wall_encloses: bool
) -> None:
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=(6, 40, 40)), (0, 3, 3))
    tidied = tidy_slice(smooth.argmax(axis=0).astype(np.uint8), SPACING, wall_encloses=wall_encloses)
    for label in Label:
        mask = tidied == label
        # The wall along the long axis may be in pieces.
        if label != Label.BACKGROUND and (wall_encloses or label != Label.MYO):
            assert ndimage.label(mask, structure=np.ones((3, 3)))[1] <= 1
        if label not in (Label.BACKGROUND, Label.MYO):
            assert not (ndimage.binary_fill_holes(mask) & (tidied == Label.BACKGROUND)).any()
    pool = tidied == Label.LV
    np.testing.assert_array_equal(ndimage.binary_fill_holes(pool), pool)
    again = tidy_slice(tidied, SPACING, wall_encloses=wall_encloses)
    np.testing.assert_array_equal(again == Label.LV, pool)


def test_a_pool_missed_between_others_is_found_where_it_is_likely() -> None:
    stack = np.stack([_heart()] * 5)
    y, x = np.mgrid[:64, :64]
    likely = np.where(np.hypot(y - 32, x - 36) < 8, 0.3, 0.0)
    likely[4:20, 4:20] = 0.9  # elsewhere
    pool = np.stack([likely] * 5)
    missed = stack.copy()

    missed[2] = np.where(missed[2] == Label.LV, Label.MYO, missed[2])
    missed[4] = np.where(missed[4] == Label.LV, Label.MYO, missed[4])
    found = bridge_gaps(missed, pool, (8.0, *SPACING))
    assert (found[2] == Label.LV).sum() == (likely == 0.3).sum()
    assert (found[2] > 0).sum() == (missed[2] > 0).sum()
    # The last slice has none on both sides; the others are as they were.
    for z in (0, 1, 3, 4):
        np.testing.assert_array_equal(found[z], missed[z])
    np.testing.assert_array_equal(bridge_gaps(stack, pool, (8.0, *SPACING)), stack)


@pytest.mark.parametrize(("height", "radius"), [(0.05, 8), (0.9, 1)])
def test_a_gap_stays_where_the_network_sees_nothing(height: float, radius: float) -> None:
    stack = np.stack([_heart()] * 3)
    stack[1] = 0
    y, x = np.mgrid[:64, :64]
    pool = np.stack([np.where(np.hypot(y - 32, x - 36) < radius, height, 0.0)] * 3)
    np.testing.assert_array_equal(bridge_gaps(stack, pool, (8.0, *SPACING)), stack)
    np.testing.assert_array_equal(bridge_gaps(np.zeros_like(stack), pool, (8.0, *SPACING)), 0)


def test_the_wall_of_a_long_axis_view_may_be_in_two_pieces() -> None:
    labels = np.zeros((64, 64), np.uint8)
    labels[10:50, 20:40] = Label.LV
    labels[10:50, 14:20] = labels[10:30, 40:46] = Label.MYO
    labels[55:60, 40:46] = Label.MYO  # an eighth of the larger wall: not the heart's
    found = tidy_slice(labels, (1.4, 1.4), wall_encloses=False)
    assert (found[10:50, 14:20] == Label.MYO).all()
    assert (found[10:30, 40:46] == Label.MYO).all()
    assert not found[55:60, 40:46].any()
    assert not (tidy_slice(labels, (1.4, 1.4))[10:30, 40:46] == Label.MYO).any()
