"""The extension's own tables say what the package says."""

from __future__ import annotations

import numpy as np
import pytest
from cardiac_motion import labels
from cardiac_motion.io import timing as package_timing
from CardiacMotionLib import timing
from CardiacMotionLib.structures import BY_NAME, STRUCTURES, VENTRICLES


def test_names_values_and_colours_are_those_of_the_package() -> None:
    assert {s.name: (s.value, s.colour) for s in STRUCTURES} == {
        label.name: (label.value, labels.COLOURS[label]) for label in labels.STRUCTURES
    }
    assert [s.value for s in STRUCTURES] == [1, 2, 3, 4, 5]
    assert set(VENTRICLES) < set(BY_NAME)


def test_terminology_has_a_category_and_a_type_of_its_own_for_each_structure() -> None:
    entries = [s.terminology.split("~") for s in STRUCTURES]
    assert {tuple(entry[:2]) for entry in entries} == {
        ("Segmentation category and type - DICOM master list", "SCT^123037004^Anatomical Structure")
    }
    assert len({entry[2] for entry in entries}) == len(STRUCTURES)
    assert all(len(entry) == 7 and entry[2].startswith("SCT^") for entry in entries)


@pytest.mark.parametrize("step", [0.031, 31.0, 31000.0, 1.0, 300.0, 0.3, 2.0, 5000.0, 0.0039, 0.0041])
@pytest.mark.parametrize("unit", ["s", "ms", "us", None])
def test_frame_times_are_guessed_as_the_package_does(step: float, unit: str | None) -> None:
    values = tuple(step * t for t in range(7))
    ours, note = timing.frame_times(values, 7)
    theirs, _ = package_timing.frame_times(package_timing.Timing(values, unit), 7)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert (note is not None) == (step in {1.0, 2.0, 0.0039})


@pytest.mark.parametrize("values", [None, [0.0, 0.03], [0.0, 0.03, 0.02], [0.0, float("nan"), 0.06]])
def test_times_that_are_none_are_spread_over_a_second(values: list[float] | None) -> None:
    times, note = timing.frame_times(values, 3)
    np.testing.assert_allclose(times, [0, 1 / 3, 2 / 3])
    assert note
    assert "spread" in note
