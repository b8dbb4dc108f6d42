"""Shifts of slices: what was put in is found again but for its mean and trend; nothing is found where none is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from cardiac_motion.errors import InputError
from cardiac_motion.labels import Label
from cardiac_motion.slice_alignment import LARGEST_MM, estimate_shifts, separate_shifts

SPACING = (9.0, 1.4, 1.5)


def _ring(centre: tuple[float, float], radius: float = 18, wall: float = 9) -> npt.NDArray[np.uint8]:
    """A slice of a ventricle; centre in mm (y, x)."""
    y, x = np.mgrid[:110, :104] * np.array(SPACING[1:])[:, None, None]
    away = np.hypot(y - centre[0], x - centre[1])
    return np.where(away < radius, Label.LV, np.where(away < radius + wall, Label.MYO, 0)).astype(np.uint8)


def _stack(shifts: npt.NDArray[np.float64], bend: float = 0.0) -> npt.NDArray[np.uint8]:
    u = np.linspace(-1, 1, len(shifts))
    return np.stack(
        [_ring((75 + 4 * u[k] + bend * u[k] ** 2 + dy, 78 - 6 * u[k] + dx)) for k, (dy, dx) in enumerate(shifts)]
    )


def _without_trend(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    z = np.arange(len(values))
    return values - np.stack([np.polyval(np.polyfit(z, column, 1), z) for column in values.T], axis=1)


def test_shifts_are_found_below_a_pixel_but_for_mean_and_trend() -> None:
    true = np.random.default_rng(4).uniform(-8, 8, (9, 2))
    found = estimate_shifts(_stack(true), SPACING)
    assert np.abs(found.shifts_mm - _without_trend(true)).max() < 0.5
    assert found.observed.all()
    assert not found.limited.any()
    assert found.notes == []
    assert 2 < found.spread_mm < 8


@pytest.mark.parametrize("bend", [0.0, 1.5, -2.0])
def test_a_straight_or_slightly_bent_axis_without_shifts_stays(bend: float) -> None:
    found = estimate_shifts(_stack(np.zeros((9, 2)), bend), SPACING)
    assert np.abs(found.shifts_mm).max() < 0.2


def test_errors_of_the_outermost_contours_move_nothing() -> None:
    errors = np.random.default_rng(5).normal(0, 0.2, (9, 2))
    errors[0], errors[-1] = (0.9, -0.6), (-1.7, 1.2)
    found = estimate_shifts(_stack(errors), SPACING)
    assert (found.shifts_mm == 0).all()
    assert found.observed.all()
    # A breath-hold that was off is more than such an error: less of it will do in the middle.
    for z, size in ((4, 3), (8, 9)):
        moved = errors.copy()
        moved[z] += (size, 0)
        assert np.linalg.norm(estimate_shifts(_stack(moved), SPACING).shifts_mm, axis=1).argmax() == z


def test_a_tilt_and_a_shift_of_the_whole_heart_are_not_shifts() -> None:
    trend = np.linspace(-6, 6, 8)[:, None] * [1, -1] + 3
    assert np.abs(estimate_shifts(_stack(trend), SPACING).shifts_mm).max() < 0.2


def test_slices_without_lv_are_interpolated_and_said() -> None:
    true = np.random.default_rng(1).uniform(-6, 6, (10, 2))
    labels = _stack(true)
    labels[[0, 5, 9]] = 0
    found = estimate_shifts(labels, SPACING)
    assert found.observed.tolist() == [False, *[True] * 4, False, *[True] * 3, False]
    assert found.shifts_mm[5] == pytest.approx((found.shifts_mm[4] + found.shifts_mm[6]) / 2)
    assert np.abs(found.shifts_mm[[0, 9]]).max() == 0
    assert found.notes == [
        "slices 0, 5, 9 do not show the LV well enough; their shifts are interpolated, zero beyond the others"
    ]


def test_contours_of_the_cavity_alone_suffice() -> None:
    labels = _stack(np.random.default_rng(4).uniform(-8, 8, (9, 2)))
    cavity = np.where(labels == Label.LV, labels, 0).astype(np.uint8)
    found = estimate_shifts(cavity, SPACING)
    np.testing.assert_array_equal(found.shifts_mm, estimate_shifts(labels, SPACING).shifts_mm)
    assert found.observed.all()
    with pytest.raises(InputError, match="expected at least 4 slices that show the LV, got 3"):
        estimate_shifts(cavity[:3], SPACING)


def test_a_slice_through_the_valve_is_not_observed() -> None:
    true = np.zeros((8, 2))
    labels = _stack(true)
    half = labels[7]
    half[:, 52:] = 0  # the outflow tract: half of the ring, its centre far aside
    found = estimate_shifts(labels, SPACING)
    assert not found.observed[7]
    assert np.abs(found.shifts_mm).max() < 0.2


def test_an_implausible_shift_is_limited_and_said() -> None:
    true = np.zeros((9, 2))
    true[4] = (30, 0)
    found = estimate_shifts(_stack(true), SPACING)
    assert found.limited.tolist() == [False] * 4 + [True] + [False] * 4
    assert np.linalg.norm(found.shifts_mm[4]) == pytest.approx(LARGEST_MM)
    assert "slices 4 seemed to be shifted by more than 15 mm" in found.notes[-1]


def test_systole_does_not_count() -> None:
    true = np.random.default_rng(2).uniform(-5, 5, (8, 2))
    diastole = _stack(true)
    systole = np.stack([_ring((75, 60 + 3.0 * k), radius=9) for k in range(8)])
    both = estimate_shifts(np.stack([diastole, systole, diastole]), SPACING)
    assert both.shifts_mm == pytest.approx(estimate_shifts(diastole, SPACING).shifts_mm)


def test_three_slices_are_too_few() -> None:
    with pytest.raises(InputError, match="expected at least 4 slices that show the LV with its wall, got 3"):
        estimate_shifts(_stack(np.zeros((3, 2))), SPACING)
    with pytest.raises(InputError, match=r"expected labels \(T, Z, Y, X\) or \(Z, Y, X\), got shape"):
        estimate_shifts(np.zeros((4, 4), np.uint8), SPACING)


def test_the_sum_of_shifts_and_of_shifts_times_height_is_zero() -> None:
    heights = np.array([0.0, 8, 16, 32, 40, 48])
    shifts, spread = separate_shifts(heights, np.random.default_rng(0).normal(0, 4, (6, 2)))
    assert shifts.sum(axis=0) == pytest.approx(0, abs=1e-9)
    assert heights @ shifts == pytest.approx(0, abs=1e-9)
    assert spread > 0
