"""Volumes, ejection fraction and mass of the extension against those of the package."""

from __future__ import annotations

import numpy as np
import pytest
from cardiac_motion.analysis import curves as package_curves
from cardiac_motion.analysis import volumes as package
from cardiac_motion.analysis.phases import phases as package_phases
from cardiac_motion.labels import Label
from cardiac_motion.phantom import PhantomStudy
from CardiacMotionLib.curves import phases, without_outliers
from CardiacMotionLib.errors import InputError
from CardiacMotionLib.structures import STRUCTURES
from CardiacMotionLib.volumes import VolumeCurves, cardiac_function, is_drawn_throughout

SPACING = (9.5, 1.4, 1.25)


def _curves(labels: np.ndarray) -> VolumeCurves:
    curves = VolumeCurves(labels.shape, SPACING)
    for t, frame in enumerate(labels):
        curves.update(t, frame)
    return curves


def _as_package(volumes: dict[str, np.ndarray]) -> dict[Label, np.ndarray]:
    return {Label[name]: curve for name, curve in volumes.items()}


def test_volumes_of_the_phantom_are_those_of_the_package(study: PhantomStudy) -> None:
    ours = _curves(study.labels).millilitres
    theirs = package.volumes_ml(study.labels, SPACING)
    assert {"LV", "RV", "MYO"} <= set(ours) == {label.name for label in theirs}
    for name, curve in ours.items():
        np.testing.assert_allclose(curve, theirs[Label[name]])
    function, expected = cardiac_function(ours), package.cardiac_function(theirs)
    assert function is not None
    assert (function.ed, function.es, function.mass_g) == (expected.ed, expected.es, expected.mass_g)
    for name, ventricle in function.ventricles.items():
        assert vars(ventricle) == pytest.approx(vars(expected.ventricles[Label[name]]))
    assert set(function.ventricles) == {"LV", "RV"}


@pytest.mark.parametrize("seed", range(40))
def test_random_curves_with_gaps_and_spikes_are_read_as_the_package_does(seed: int) -> None:
    random = np.random.default_rng(seed)
    frames = int(random.integers(2, 31))
    phase = 2 * np.pi * (np.arange(frames) + random.random()) / frames
    curves: dict[str, np.ndarray] = {}
    for name in random.permutation(["LV", "RV", "MYO"])[: random.integers(1, 4)]:
        curve = 100 + 40 * np.cos(phase) + random.normal(0, 3, frames)
        curve[random.random(frames) < 0.1] = 0
        curve[random.random(frames) < 0.05] *= 2
        if curve.any():
            curves[str(name)] = curve
    if not set(curves) & {"LV", "RV"}:
        assert cardiac_function(curves) is None
        with pytest.raises(package.InputError):
            package.cardiac_function(_as_package(curves))
        return
    for curve in curves.values():
        np.testing.assert_array_equal(without_outliers(curve), package_curves.without_outliers(curve))
        assert phases(curve) == package_phases(curve)
    try:
        expected = package.cardiac_function(_as_package(curves))
    except package.InputError:
        guide = curves.get("LV", curves.get("RV"))
        assert guide is not None
        assert guide[package_phases(guide)[0]] == 0, "nothing is drawn where ED was filled in"
        function = cardiac_function(curves)
        assert function is None or "LV" not in function.ventricles
        return
    function = cardiac_function(curves)
    assert function is not None
    assert (function.ed, function.es, function.mass_g) == (expected.ed, expected.es, expected.mass_g)
    assert {n: vars(v) for n, v in function.ventricles.items()} == {
        label.name: pytest.approx(vars(v)) for label, v in expected.ventricles.items()
    }


def test_only_frames_that_changed_are_counted_again() -> None:
    class Labelled:
        """What `VolumeCurves.follow` needs of the labels of a cine."""

        def __init__(self) -> None:
            self.frames = np.zeros((4, 2, 6, 6), np.uint8)
            self.versions = [0, 0, 0, 0]
            self.read: list[int] = []

        def version(self, frame: int) -> int:
            return self.versions[frame]

        def labels(self, frame: int) -> np.ndarray:
            self.read.append(frame)
            return self.frames[frame]

    labelled, curves = Labelled(), VolumeCurves((4, 2, 6, 6), (10, 10, 10))
    assert curves.follow(labelled) == (0, 1, 2, 3)
    labelled.read.clear()
    labelled.frames[2, :, :3] = 3
    labelled.versions[2] += 1
    assert curves.follow(labelled) == (2,)
    assert curves.follow(labelled) == ()
    assert labelled.read == [2]
    np.testing.assert_array_equal(curves.millilitres["LV"], [0, 0, 36, 0])
    assert not is_drawn_throughout(curves.millilitres, "LV")
    for t in range(4):
        curves.update(t, np.full((2, 6, 6), 3, np.uint8))
    assert is_drawn_throughout(curves.millilitres, "LV")
    assert not is_drawn_throughout(curves.millilitres, "RV")


def test_a_single_slice_has_no_volume() -> None:
    curves = _curves(np.full((3, 1, 5, 5), 3, np.uint8))
    assert curves.millilitres == {}
    assert cardiac_function(curves.millilitres) is None


def test_frames_can_be_set_by_hand() -> None:
    volumes = {"LV": np.array([100.0, 60, 40, 80]), "MYO": np.array([90.0, 95, 100, 92])}
    function = cardiac_function(volumes, ed=3, es=1)
    assert function is not None
    assert (function.ed, function.es, function.ventricles["LV"].stroke_ml) == (3, 1, 20)
    assert function.ventricles["LV"].ejection_fraction == pytest.approx(25)
    assert function.mass_g == pytest.approx(92 * 1.05)
    with pytest.raises(InputError, match="counted from 0 to 3"):
        cardiac_function(volumes, ed=4)
    with pytest.raises(InputError, match="volume curve"):
        without_outliers([0.0, 0.0])


def test_every_structure_is_counted() -> None:
    labels = np.zeros((1, 2, 5, 6), np.uint8)
    for structure in STRUCTURES:
        labels[0, :, structure.value - 1, : structure.value] = structure.value
    curves = _curves(labels).millilitres
    assert {n: c[0] / np.prod(SPACING) * 1000 for n, c in curves.items()} == pytest.approx(
        {s.name: 2 * s.value for s in STRUCTURES}
    )
