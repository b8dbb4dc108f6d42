"""The course of the cycle, and the ejection fraction that was drawn."""

from __future__ import annotations

import numpy as np
import pytest
from cardiac_motion.errors import InputError
from cardiac_motion.labels import Label
from cardiac_motion.phantom import (
    REPORT_SEEDS,
    TEST_SEEDS,
    TRAINING_SEEDS_START,
    TUNING_SEEDS,
    AppearanceOptions,
    PhantomOptions,
)
from cardiac_motion.phantom.contraction import draw_ejection_fraction
from cardiac_motion.phantom.cycle import Curve, draw_cycle
from cardiac_motion.phantom.flow import flow_rates
from cardiac_motion.phantom.model import draw_phantom
from cardiac_motion.phantom.options import stream
from cardiac_motion.phantom.volumes import VolumeIntegrals


def test_seeds_are_apart() -> None:
    groups = (TUNING_SEEDS, TEST_SEEDS, REPORT_SEEDS)
    assert len(set().union(*groups)) == sum(len(group) for group in groups)
    assert all(len(group) >= 20 for group in groups)
    assert max(max(group) for group in groups) < TRAINING_SEEDS_START


def test_a_curve_passes_through_its_knots_and_repeats() -> None:
    curve = Curve((0.0, 0.4, 1.0), (0.0, 1.0, 0.0))
    assert [curve(p) for p in (0.0, 0.4, 1.4, -0.6)] == pytest.approx([0, 1, 1, 1])
    assert curve(0.2) == pytest.approx(0.5)


@pytest.mark.parametrize("seed", TEST_SEEDS[:4])
def test_the_cycle_has_its_phases(seed: int) -> None:
    cycle = draw_cycle(stream(seed, "cycle"), 25)
    phases = np.linspace(0, 1, 2001)
    values = np.array([cycle.contraction(p) for p in phases])
    rates = np.gradient(values, phases)

    systole = phases < cycle.end_systole
    assert (np.diff(values[systole]) >= 0).all()
    assert phases[values.argmax()] == pytest.approx(cycle.end_systole, abs=1e-3)
    assert (np.diff(values[~systole]) <= 1e-9).all()
    # Rapid filling, then a rest, then the kick of the atria: two peaks of inflow with little between them.
    inflow = -rates[~systole]
    early, late = inflow[: len(inflow) // 2].argmax(), len(inflow) - 1 - inflow[::-1][: len(inflow) // 3].argmax()
    between = inflow[early:late].min()
    assert between < 0.25 * min(inflow[early], inflow[late])
    assert inflow[early] > inflow[late]
    assert 0.55 < cycle.seconds < 1.3


def test_flow_follows_the_volume() -> None:
    cycle = draw_cycle(stream(1, "cycle"), 25)
    ejection, filling = flow_rates(cycle, cycle.end_systole / 2)
    assert ejection == pytest.approx(1, abs=0.1)
    assert filling == 0


@pytest.mark.parametrize("wanted", [0.15, 0.4, 0.75])
@pytest.mark.parametrize("through_plane", [True, False])
def test_the_ejection_fraction_is_reached(wanted: float, through_plane: bool) -> None:
    options = PhantomOptions(ejection_fraction=wanted, through_plane=through_plane)
    for seed in TEST_SEEDS[:2]:
        phantom = draw_phantom(seed, options)
        volumes = VolumeIntegrals(phantom)
        rest, end = volumes.at(0.0), volumes.at(phantom.cycle.end_systole)

        assert 1 - end[Label.LV] / rest[Label.LV] == pytest.approx(wanted, abs=2e-3)


def test_ejection_fractions_are_drawn_over_the_range() -> None:
    rng = stream(1, "fractions")
    drawn = [draw_ejection_fraction(rng) for _ in range(1000)]
    assert 0.15 <= min(drawn) < 0.25
    assert 0.74 < max(drawn) <= 0.75
    assert 0.45 < np.median(drawn) < 0.65


@pytest.mark.parametrize("seed", TEST_SEEDS[:2])
def test_volumes_over_the_cycle(seed: int) -> None:
    phantom = draw_phantom(seed, PhantomOptions())
    integrals = VolumeIntegrals(phantom)
    frames = [integrals.at(t / 10) for t in range(10)]
    curves = {label: np.array([f[label] for f in frames]) for label in frames[0]}
    rest, end = integrals.at(0.0), integrals.at(phantom.cycle.end_systole)

    assert np.ptp(curves[Label.MYO]) < 0.02 * curves[Label.MYO][0]
    assert end[Label.LV] <= curves[Label.LV].min() + 1e-6
    assert end[Label.RV] < rest[Label.RV]
    # The atria fill as the ventricles contract.
    assert end[Label.LA] > 1.05 * rest[Label.LA]
    assert end[Label.RA] > 1.05 * rest[Label.RA]
    # Sizes that people have, ml.
    assert 60 < rest[Label.LV] < 350
    assert 60 < rest[Label.RV] < 350
    assert 60 < rest[Label.MYO] < 350
    assert 30 < rest[Label.LA] < 180
    assert 30 < rest[Label.RA] < 200


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"frames": 3}, "at least 4 frames, got 3"),
        ({"slices": 0}, "at least 1 slice, got 0"),
        ({"ejection_fraction": 0.9}, "0.15 to 0.75, got 0.9"),
        ({"pixel_spacing": 0.0}, "pixel_spacing must be 0.1 to 50 mm, got 0.0"),
        ({"matrix": (8, 128)}, r"16 to 1024 pixels a side, got \(8, 128\)"),
    ],
)
def test_impossible_options_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PhantomOptions(**wrong)  # type: ignore[arg-type]


def test_negative_seeds_are_refused() -> None:
    with pytest.raises(InputError, match="from 0 up, got -1"):
        draw_phantom(-1, PhantomOptions(appearance=AppearanceOptions.clean()))
