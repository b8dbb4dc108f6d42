"""Distances between outlines: by hand, beside MONAI and surface-distance, and where they are not defined."""

from __future__ import annotations

import math
import warnings

import numpy as np
import numpy.typing as npt
import pytest
import torch
from cardiac_motion.errors import InputError
from cardiac_motion.metrics import (
    assd_3d,
    hausdorff95_3d,
    hausdorff_3d,
    hausdorff_per_slice,
    mean_contour_distance,
    mean_contour_distance_per_slice,
    surface_distances,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance
from scipy.ndimage import gaussian_filter

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # its own use of scipy
    import surface_distance

pytestmark = [
    # surface-distance reaches for old names of scipy, MONAI for an argument of its own that is to go.
    pytest.mark.filterwarnings("ignore:Please (use|import):DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:monai.metrics.utils get_mask_edges:FutureWarning"),
]

Mask = npt.NDArray[np.bool_]
SPACING = (8.0, 1.4, 1.9)


def blob(shape: tuple[int, ...], seed: int, level: float = 0.0) -> Mask:
    """A random shape of a few voxels' smoothness, holes and pieces included."""
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), (0.5, 2, 2)[-len(shape) :])
    return noise > level * noise.std()


def box(shape: tuple[int, ...], *ranges: tuple[int, int]) -> Mask:
    mask = np.zeros(shape, dtype=np.bool_)
    mask[tuple(slice(a, b) for a, b in ranges)] = True
    return mask


def monai_pair(truth: Mask, predicted: Mask) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(predicted)[None, None], torch.from_numpy(truth)[None, None]


def test_distances_of_a_shifted_box_by_hand() -> None:
    shape = (5, 14, 16)
    truth = box(shape, (1, 3), (2, 8), (2, 8))
    predicted = box(shape, (1, 3), (5, 11), (2, 8))  # 3 voxels of 1.4 mm along y
    assert hausdorff_3d(truth, predicted, SPACING) == pytest.approx(3 * 1.4)
    assert hausdorff_3d(truth, box(shape, (2, 4), (2, 8), (2, 8)), SPACING) == pytest.approx(8.0)
    np.testing.assert_allclose(hausdorff_per_slice(truth, predicted, SPACING), [np.nan, 4.2, 4.2, np.nan, np.nan])


def test_surface_distances_of_two_points_by_hand() -> None:
    truth, predicted = np.zeros((4, 9, 9)), np.zeros((4, 9, 9))
    truth[1, 2, 2] = 1
    predicted[1, 2, 2] = predicted[2, 5, 6] = 1
    far = math.sqrt(8.0**2 + (3 * 1.4) ** 2 + (4 * 1.9) ** 2)
    distances = surface_distances(truth, predicted, SPACING)
    assert distances.to_predicted.tolist() == [0]
    np.testing.assert_allclose(sorted(distances.to_truth), [0, far])
    assert distances.hausdorff == pytest.approx(far)
    assert distances.hausdorff95 == pytest.approx(0.95 * far)
    assert distances.assd == pytest.approx(far / 3)


@given(st.integers(0, 100_000))
@settings(max_examples=10, deadline=None)
def test_3d_distances_agree_with_monai(seed: int) -> None:
    truth, predicted = blob((6, 18, 16), seed), blob((6, 18, 16), seed + 1, level=0.8)
    pair = monai_pair(truth, predicted)
    hd = compute_hausdorff_distance(*pair, include_background=True, spacing=SPACING)
    hd95 = compute_hausdorff_distance(*pair, include_background=True, percentile=95, spacing=SPACING)
    assd = compute_average_surface_distance(*pair, include_background=True, symmetric=True, spacing=SPACING)
    assert hausdorff_3d(truth, predicted, SPACING) == pytest.approx(float(hd), rel=1e-5)
    assert hausdorff95_3d(truth, predicted, SPACING) == pytest.approx(float(hd95), rel=1e-5)
    assert assd_3d(truth, predicted, SPACING) == pytest.approx(float(assd), rel=1e-5)


@given(st.integers(0, 100_000))
@settings(max_examples=10, deadline=None)
def test_2d_distances_agree_with_monai(seed: int) -> None:
    truth, predicted = blob((2, 24, 22), seed), blob((2, 24, 22), seed + 1, level=0.8)
    expected = [
        float(compute_hausdorff_distance(*monai_pair(a, b), include_background=True, spacing=SPACING[1:]))
        for a, b in zip(truth, predicted, strict=True)
    ]
    np.testing.assert_allclose(hausdorff_per_slice(truth, predicted, SPACING), expected, rtol=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_3d_hausdorff_is_that_of_surface_distance_up_to_a_voxel(seed: int) -> None:
    # Its surfaces run through the corners of voxels, ours through the centres of border voxels: a point of the one
    # is within half a diagonal of a point of the other.
    truth, predicted = blob((6, 18, 16), seed, 0.5), blob((6, 18, 16), seed + 50, 1.0)
    theirs = surface_distance.compute_surface_distances(truth, predicted, SPACING)
    expected = surface_distance.compute_robust_hausdorff(theirs, 100)
    assert abs(hausdorff_3d(truth, predicted, SPACING) - expected) <= np.linalg.norm(SPACING)


@pytest.mark.parametrize("shift", [(0, 3, 0), (0, 0, 4), (1, 0, 0), (1, 2, 3)])
def test_3d_hausdorff_of_a_shifted_shape_is_exactly_that_of_surface_distance(shift: tuple[int, ...]) -> None:
    # For a convex shape and its shifted copy the definitions agree: the length of the shift.
    shape = (6, 20, 22)
    truth = box(shape, (1, 4), (3, 12), (4, 13))
    predicted = np.roll(truth, shift, axis=(0, 1, 2))
    theirs = surface_distance.compute_surface_distances(truth, predicted, SPACING)
    expected = surface_distance.compute_robust_hausdorff(theirs, 100)
    assert hausdorff_3d(truth, predicted, SPACING) == pytest.approx(expected)
    assert expected == pytest.approx(np.linalg.norm(np.multiply(shift, SPACING)))


@given(st.integers(0, 100_000))
@settings(max_examples=15, deadline=None)
def test_mean_contour_distance_agrees_with_surface_distance_in_2d(seed: int) -> None:
    truth, predicted = blob((3, 22, 25), seed), blob((3, 22, 25), seed + 1, level=0.8)
    expected = []
    for a, b in zip(truth, predicted, strict=True):
        distances = surface_distance.compute_surface_distances(a, b, SPACING[1:])
        expected.append(np.mean(surface_distance.compute_average_surface_distance(distances)))
    values = mean_contour_distance_per_slice(truth, predicted, SPACING)
    np.testing.assert_allclose(values, expected, rtol=1e-9)
    assert mean_contour_distance(truth, predicted, SPACING) == pytest.approx(np.mean(expected))


def test_mean_contour_distance_between_long_parallel_edges_is_their_gap() -> None:
    # Two half-planes 3 rows apart, but for the ends at the border of the image.
    truth, predicted = box((1, 40, 200), (0, 1), (0, 20), (0, 200)), box((1, 40, 200), (0, 1), (0, 23), (0, 200))
    rows = mean_contour_distance(truth, predicted, (8.0, 1.4, 1.4))
    whole = 200 * 1.4 * 3 * 1.4  # the edge between inside and outside
    around = (3 * 1.4) ** 2  # two ends, on average half the gap away, and the sides are shared
    perimeters = [2 * (200 + n) * 1.4 for n in (20, 23)]
    assert rows == pytest.approx(np.mean([whole / perimeters[0], (whole + around) / perimeters[1]]), rel=0.01)


def test_measures_of_a_mask_with_itself_are_zero_and_symmetric_with_another() -> None:
    truth, predicted = blob((4, 16, 16), 3), blob((4, 16, 16), 9)
    for measure in (hausdorff_3d, hausdorff95_3d, assd_3d, mean_contour_distance):
        assert measure(truth, truth, SPACING) == 0
        assert measure(truth, predicted, SPACING) == pytest.approx(measure(predicted, truth, SPACING))
        assert measure(truth, predicted, SPACING) > 0


def test_flips_permutations_and_units_of_length_change_nothing_physical() -> None:
    truth, predicted = blob((5, 16, 14), 1), blob((5, 16, 14), 2)
    for measure in (hausdorff_3d, hausdorff95_3d, assd_3d):
        value = measure(truth, predicted, SPACING)
        assert measure(truth[:, ::-1], predicted[:, ::-1], SPACING) == pytest.approx(value)
        turned = measure(truth.transpose(2, 0, 1), predicted.transpose(2, 0, 1), [SPACING[i] for i in (2, 0, 1)])
        assert turned == pytest.approx(value)
        assert measure(truth, predicted, [s / 10 for s in SPACING]) == pytest.approx(value / 10)
    flat = mean_contour_distance(truth, predicted, SPACING)
    turned = mean_contour_distance(truth.swapaxes(1, 2), predicted.swapaxes(1, 2), (8.0, 1.9, 1.4))
    assert turned == pytest.approx(flat)


def test_distances_to_an_empty_mask_are_not_defined() -> None:
    full, empty = box((3, 8, 8), (0, 3), (2, 5), (2, 5)), np.zeros((3, 8, 8), dtype=np.bool_)
    for truth, predicted in ((full, empty), (empty, full), (empty, empty)):
        for measure in (hausdorff_3d, hausdorff95_3d, assd_3d, mean_contour_distance):
            assert math.isnan(measure(truth, predicted, SPACING))
        distances = surface_distances(truth, predicted, SPACING)
        assert distances.to_predicted.size == distances.to_truth.size == 0
        assert np.isnan(hausdorff_per_slice(truth, predicted, SPACING)).all()


def test_mean_contour_distance_is_over_the_slices_that_both_hold() -> None:
    shape = (4, 20, 20)
    truth, predicted = box(shape, (0, 3), (4, 10), (4, 10)), box(shape, (1, 4), (4, 10), (4, 10))
    predicted[2] = np.roll(predicted[2], 3, axis=0)
    values = mean_contour_distance_per_slice(truth, predicted, SPACING)
    assert np.isnan(values).tolist() == [True, False, False, True]
    assert values[1] == 0
    assert mean_contour_distance(truth, predicted, SPACING) == pytest.approx(values[2] / 2)


def test_a_full_slice_has_its_outline_at_the_border_of_the_image() -> None:
    full = np.ones((1, 10, 12), dtype=np.bool_)
    smaller = box((1, 10, 12), (0, 1), (1, 9), (1, 11))
    # A ring of one pixel between two rectangles: the gap is a pixel, more at the corners.
    value = mean_contour_distance(full, smaller, (8.0, 1.0, 1.0))
    assert 0.9 < value < 1.1
    assert hausdorff_3d(full, smaller, (8.0, 1.0, 1.0)) == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (8.0, 0.0, 1.0), (8.0, -1.0, 1.0), (8.0, math.nan, 1.0)])
def test_spacing_that_makes_no_sense_is_refused(spacing: tuple[float, ...]) -> None:
    mask = np.ones((2, 4, 4), dtype=np.bool_)
    for measure in (hausdorff_3d, mean_contour_distance):
        with pytest.raises(InputError, match="3 positive spacings in mm"):
            measure(mask, mask, spacing)


def test_measures_in_3d_refuse_a_slice() -> None:
    flat = np.ones((4, 4), dtype=np.bool_)
    for measure in (hausdorff_3d, hausdorff95_3d, assd_3d, mean_contour_distance, hausdorff_per_slice):
        with pytest.raises(InputError, match=r"\(Z, Y, X\), got \(4, 4\)"):
            measure(flat, flat, (1.0, 1.0))
