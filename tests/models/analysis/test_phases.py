"""ED and ES of curves with noise."""

from __future__ import annotations

import numpy as np
import pytest
from cardiac_motion.analysis.curves import end_diastole, end_systole
from cardiac_motion.analysis.phases import noise_of, phases, smooth_cycle
from cardiac_motion.errors import InputError
from hypothesis import given, settings
from hypothesis import strategies as st


def beat(frames: int = 25, *, ed: int = 0, es: int = 9, esv: float = 60.0) -> np.ndarray:
    """A volume curve from 150 ml to `esv` and back, faster at first."""
    t = (np.arange(frames) - ed) % frames
    length = (es - ed) % frames
    systole = 0.5 * (1 + np.cos(np.pi * np.minimum(t / length, 1)))
    diastole = np.sin(0.5 * np.pi * np.clip((t - length) / (frames - length), 0, 1))
    return np.asarray(esv + (150 - esv) * np.where(t <= length, systole, diastole))


@settings(max_examples=50, deadline=None)
@given(frames=st.integers(20, 50), ed=st.integers(0, 49), share=st.floats(0.25, 0.5), ef=st.floats(0.2, 0.8))
def test_a_clean_curve_keeps_its_phases(frames: int, ed: int, share: float, ef: float) -> None:
    ed %= frames
    es = (ed + round(share * frames)) % frames
    found = phases(beat(frames, ed=ed, es=es, esv=150 * (1 - ef)))
    away = [min((a - b) % frames, (b - a) % frames) for a, b in zip(found, (ed, es), strict=True)]
    assert max(away) <= 1


def test_noise_moves_them_less_than_it_moves_the_extremes() -> None:
    rng = np.random.default_rng(1)
    systole: dict[str, list[int]] = {"extreme": [], "robust": []}
    excess: dict[str, list[float]] = {"extreme": [], "robust": []}
    for _ in range(300):
        curve = np.clip(beat() + rng.normal(0, 5, 25), 1, None)
        for name, (ed, es) in (
            ("extreme", (end_diastole(curve), end_systole(curve))),
            ("robust", phases(curve)),
        ):
            systole[name].append(abs(es - 9))
            excess[name].append(100 * (curve[ed] - curve[es]) / curve[ed] - 60)
    assert np.mean(systole["robust"]) < 0.75 * np.mean(systole["extreme"])
    assert max(systole["robust"]) <= 2
    # The extremes of a noisy curve lie further apart than the volumes do: a bias of the ejection fraction.
    assert abs(np.mean(excess["robust"])) < 0.7 * abs(np.mean(excess["extreme"]))


@pytest.mark.parametrize("frame", [0, 4, 9, 16])
@pytest.mark.parametrize("value", [0.0, 400.0])
def test_a_frame_that_cannot_be_right_is_never_taken(frame: int, value: float) -> None:
    curve = beat()
    curve[frame] = value
    ed, es = phases(curve)
    assert frame not in (ed, es)
    assert abs(es - 9) <= 1
    assert min(ed, 25 - ed) <= 1


def test_few_frames_are_taken_as_they_are() -> None:
    assert phases([120.0, 50.0]) == (0, 1)
    assert phases([80.0, 120.0, 50.0, 60.0]) == (1, 2)


@pytest.mark.parametrize("frames", [16, 17, 20, 50])
def test_where_most_frames_stick_out_there_are_phases_still(frames: int) -> None:
    curve = np.where(np.arange(frames) % 2, 100.0, 50.0)
    curve[3] = 120.0
    ed, es = phases(curve)
    assert ed == 3 or curve[ed] == 100.0
    assert curve[es] == 50.0
    assert end_diastole(curve) == 3


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 500), min_size=1, max_size=60).filter(any))
def test_every_curve_has_phases(values: list[float]) -> None:
    ed, es = phases(values)
    assert 0 <= ed < len(values)
    assert 0 <= es < len(values)


def test_what_is_no_curve_is_refused() -> None:
    with pytest.raises(InputError, match="volume curve"):
        phases([0.0, 0.0])


def test_smoothing_keeps_the_mean_and_slow_changes_and_takes_noise() -> None:
    t = 2 * np.pi * np.arange(30) / 30
    slow = 100 + 40 * np.cos(t)
    np.testing.assert_allclose(smooth_cycle(slow), slow, atol=0.3)
    fast = np.cos(15 * t)
    assert np.abs(smooth_cycle(fast)).max() < 0.05
    noisy = slow + np.random.default_rng(0).normal(0, 3, 30)
    assert smooth_cycle(noisy).mean() == pytest.approx(noisy.mean())
    # It has no seam: a curve that starts elsewhere is the same curve.
    np.testing.assert_allclose(np.roll(smooth_cycle(noisy), 7), smooth_cycle(np.roll(noisy, 7)))


def test_noise_is_estimated() -> None:
    rng = np.random.default_rng(2)
    found = [noise_of(beat(40, es=14) + rng.normal(0, 4, 40)) for _ in range(200)]
    assert np.mean(found) == pytest.approx(4, rel=0.15)
    assert noise_of(beat(40, es=14)) < 0.3
