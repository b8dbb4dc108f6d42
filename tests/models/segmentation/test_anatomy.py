"""Labels made anatomically plausible: pieces, holes, rings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from cardiac_motion.labels import Label
from cardiac_motion.segmentation.anatomy import tidy, tidy_slice
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


def test_stacks_are_tidied_slice_by_slice() -> None:
    labels = np.stack([_heart(), np.zeros((64, 64), np.uint8), _heart().T])
    np.testing.assert_array_equal(tidy(np.stack([labels, labels]), (8.0, *SPACING)), np.stack([labels, labels]))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_whatever_comes_in_has_one_piece_of_each_structure_and_no_holes_in_the_lv(seed: int) -> None:
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=(6, 40, 40)), (0, 3, 3))
    tidied = tidy_slice(smooth.argmax(axis=0).astype(np.uint8), SPACING)
    for label in (Label.RV, Label.LV, Label.LA, Label.RA):
        mask = tidied == label
        assert ndimage.label(mask, structure=np.ones((3, 3)))[1] <= 1 or label != Label.LV
    pool = tidied == Label.LV
    np.testing.assert_array_equal(ndimage.binary_fill_holes(pool), pool)
    np.testing.assert_array_equal(tidy_slice(tidied, SPACING) == Label.LV, pool)
