"""Reliability R(d) = Pr(Dice > d)."""

from __future__ import annotations

import numpy as np
import pytest
from cardiac_motion.errors import InputError
from cardiac_motion.metrics import reliability, reliability_curve


def test_reliability_by_hand() -> None:
    dice = [0.5, 0.8, 0.8, 0.9]
    assert reliability(dice, 0.0) == 1
    assert reliability(dice, 0.5) == 0.75  # higher than, not as high as
    assert reliability(dice, 0.79) == 0.75
    assert reliability(dice, 0.8) == 0.25
    assert reliability(dice, 0.9) == 0


def test_cases_without_a_dice_are_left_out() -> None:
    assert reliability([0.5, np.nan, 0.9, np.nan], 0.7) == 0.5
    thresholds, curve = reliability_curve([np.nan, np.nan])
    assert len(thresholds) == 101
    assert np.isnan(curve).all()


def test_the_curve_falls_from_one_to_zero_and_its_area_is_the_mean_dice() -> None:
    dice = np.random.default_rng(0).beta(8, 2, size=(50, 3))
    thresholds, curve = reliability_curve(dice, np.linspace(0, 1, 20_001))
    assert curve[0] == 1
    assert curve[-1] == 0
    assert (np.diff(curve) <= 0).all()
    area = float(((curve[1:] + curve[:-1]) / 2 * np.diff(thresholds)).sum())
    assert area == pytest.approx(dice.mean(), abs=1e-4)


def test_the_curve_agrees_with_counting() -> None:
    dice = np.random.default_rng(1).integers(0, 11, 40) / 10  # many ties
    thresholds, curve = reliability_curve(dice, np.arange(11) / 10)
    np.testing.assert_array_equal(curve, [(dice > d).mean() for d in thresholds])


@pytest.mark.parametrize("wrong", [[0.5, 1.2], [-0.1], [81.0]])
def test_what_is_no_dice_is_refused(wrong: list[float]) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        reliability(wrong, 0.5)
