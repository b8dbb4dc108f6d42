"""Signed distances of nested regions: against SciPy, and back to labels."""

from __future__ import annotations

import numpy as np
import pytest
from cardiac_motion.labels import Label
from cardiac_motion.propagation.structure_distances import NestedRegions, capped_distance, signed_distance
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import distance_transform_edt, gaussian_filter


def random_masks(seed: int, shape: tuple[int, int, int] = (3, 40, 33)) -> np.ndarray:
    return gaussian_filter(np.random.default_rng(seed).normal(size=shape), (0, 3, 3)) > 0.03


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 999), dy=st.floats(0.5, 3), dx=st.floats(0.5, 3), cap=st.floats(4, 15),
)  # fmt: skip
def test_distances_are_scipys_up_to_the_cap(seed: int, dy: float, dx: float, cap: float) -> None:
    masks = random_masks(seed)
    found = capped_distance(masks, (dy, dx), cap)
    expected = [np.minimum(distance_transform_edt(~mask, sampling=(dy, dx)), cap) for mask in masks]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_signed_distance_is_zero_halfway_between_pixels_and_capped() -> None:
    mask = np.zeros((1, 5, 30), bool)
    mask[0, :, 10:25] = True
    row = signed_distance(mask, (2.0, 1.0), 4.0)[0, 2]
    np.testing.assert_allclose(row[5:15], [4, 3.5, 2.5, 1.5, 0.5, -0.5, -1.5, -2.5, -3.5, -4])


@pytest.mark.parametrize(("value", "expected"), [(False, 7.0), (True, -7.0)])
def test_a_mask_that_is_empty_or_full_is_a_cap_away(value: bool, expected: float) -> None:
    distance = signed_distance(np.full((2, 6, 5), value), (1.5, 1.0), 7.0)
    np.testing.assert_array_equal(distance, expected)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), values=st.sets(st.integers(1, 5), min_size=1))
def test_labels_come_back_as_they_were(seed: int, values: set[int]) -> None:
    """Whatever lies beside whatever, in speckles too."""
    rng = np.random.default_rng(seed)
    labels = rng.choice([0, *values], size=(2, 20, 17)).astype(np.uint8)
    regions = NestedRegions.of(np.unique(labels))
    distances = regions.distances(labels, (1.2, 1.7), 9.0)
    np.testing.assert_array_equal(regions.assign(distances), labels)


def test_a_region_within_another_is_farther_away_everywhere() -> None:
    labels = np.zeros((1, 30, 30), np.uint8)
    labels[0, 5:20, 5:20], labels[0, 8:17, 8:17], labels[0, 5:20, 20:27] = 2, 3, 1
    regions = NestedRegions.of([0, 1, 2, 3])
    union, left, right, cavity = regions.distances(labels, (1.0, 1.0), 10.0)[0]
    assert (cavity >= left).all()
    assert (left >= union).all()
    assert (right >= union).all()
    assert regions.structures == (Label.RV, Label.MYO, Label.LV)


def test_a_structure_that_is_absent_from_a_slice_is_a_cap_away_there() -> None:
    labels = np.zeros((2, 30, 30), np.uint8)
    labels[:, 5:20, 5:20] = 2
    labels[1, 8:17, 8:17] = 3
    distances = NestedRegions.of([2, 3]).distances(labels, (1.0, 1.0), 6.0)
    assert (distances[0, -1] == 6.0).all()
    assert distances[1, -1].min() < 0


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), values=st.sets(st.integers(1, 5), min_size=1))
def test_shares_add_up_to_one_and_are_those_of_the_labels_where_there_is_no_doubt(
    seed: int, values: set[int]
) -> None:
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=(6, 1, 40, 33)), (0, 0, 4, 4))
    labels = smooth.argmax(axis=0).astype(np.uint8)
    labels[~np.isin(labels, list(values))] = 0
    regions = NestedRegions.of(values)
    distances = regions.distances(labels, (1.2, 1.0), 10.0)
    soft, sharp = (regions.shares(1 / (1 + np.exp((distances / width).clip(-30, 30)))) for width in (2.0, 0.01))
    for shares in (soft, sharp):
        np.testing.assert_allclose(shares.sum(axis=0), 1, atol=1e-4)
        assert shares.min() > -1e-5
    np.testing.assert_array_equal(np.array([0, *regions.structures])[sharp.argmax(axis=0)], labels)
