"""How a segmentation draws borders, measured on a key frame and taken out."""

from __future__ import annotations

import numpy as np
import pytest
from cardiac_motion.fusion.calibration import USUAL_MM, calibrate, move_borders

SPACING = (1.5, 1.2)
CAP = 10.0


def disc(radius: float, softness: float = 0.5) -> np.ndarray:
    """(1, 1, Y, X) probability."""
    y, x = ((np.arange(60) - 29.3) * step for step in SPACING)
    away = np.hypot(y[:, None], x[None, :])
    return (1 / (1 + np.exp((away - radius) / softness)))[None, None].astype(np.float32)


def radius_of(probability: np.ndarray) -> float:
    return float(np.sqrt(probability.sum() * SPACING[0] * SPACING[1] / np.pi))


@pytest.mark.parametrize("by", [-2.0, -0.5, 0.0, 1.0, 3.0])
def test_borders_move_by_so_much(by: float) -> None:
    moved = move_borders(disc(18), np.array([[by]]), SPACING, CAP)
    assert radius_of(moved) == pytest.approx(18 - by, abs=0.2)


def test_a_small_region_does_not_turn_inside_out() -> None:
    moved = move_borders(disc(4), np.array([[3.9]]), SPACING, CAP)
    assert 1.0 < radius_of(moved) < 3.5


@pytest.mark.parametrize("bias", [-2.5, 1.5, 3.0])
def test_a_bias_is_found(bias: float) -> None:
    found = calibrate(disc(18 + bias), disc(18) > 0.5, SPACING, CAP)
    # Drawn a little towards zero, the less the larger it is.
    assert found.bias_mm[0, 0] == pytest.approx(bias**3 / (bias**2 + 0.25), abs=0.25)
    # Nothing is left of it, but the largest is hardly a convention.
    usual = USUAL_MM / max(abs(found.bias_mm[0, 0]), USUAL_MM)
    assert found.trust[0, 0] == pytest.approx(usual**2, abs=0.05)


def test_a_small_difference_is_chance() -> None:
    found = calibrate(disc(18.3), disc(18) > 0.5, SPACING, CAP)
    assert abs(found.bias_mm[0, 0]) < 0.15
    assert found.trust[0, 0] > 0.95


def test_a_slice_of_its_own_is_drawn_towards_the_others() -> None:
    seen = np.concatenate([disc(20), disc(20), disc(20), disc(18)])
    drawn = np.concatenate([disc(18) > 0.5] * 4)
    bias = calibrate(seen, drawn, SPACING, CAP).bias_mm[:, 0]
    assert bias[0] > 1.6
    assert 0 < bias[3] < 0.7


def test_what_is_elsewhere_is_not_trusted_and_what_is_not_drawn_takes_the_others_word() -> None:
    elsewhere = np.roll(disc(12), 18, axis=3)
    assert calibrate(elsewhere, disc(12) > 0.5, SPACING, CAP).trust[0, 0] == 0
    nothing = np.zeros_like(disc(12))
    both = calibrate(np.concatenate([disc(12), nothing]), np.concatenate([disc(12), nothing]) > 0.5, SPACING, CAP)
    assert both.trust[:, 0].tolist() == [1.0, 1.0]
    assert both.bias_mm[:, 0].tolist() == pytest.approx([0, 0], abs=0.1)
    never = calibrate(disc(12), nothing > 0.5, SPACING, CAP)
    assert (never.trust[0, 0], never.bias_mm[0, 0]) == (0, 0)
