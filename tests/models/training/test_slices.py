"""Labelled cases as samples: where things are, what they are worth, who is held out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.datasets import Case, CaseData
from cardiac_motion.errors import InputError
from cardiac_motion.labels import Label
from cardiac_motion.phantom.clips import VIEWS
from cardiac_motion.training.slices import LabelledSlices, case_samples, hold_out, read_slices

SPACING = (8.0, 1.0, 2.0)


def _case(
    frames: int = 8, *, is_pair: bool = False, drawn: Mapping[int, frozenset[Label]] | None = None
) -> CaseData:
    """A bright disc of 20 mm radius at (80, 120) mm that pulses; and a slice without it."""
    y, x = np.mgrid[:160, :120] * np.array(SPACING[1:])[:, None, None]
    radius = np.hypot(y - 80, x - 120)
    images = np.zeros((frames, 2, 160, 120), np.float32)
    labels = np.zeros((2, 160, 120), np.uint8)
    for t in range(frames):
        images[t, 0] = 1000 * (radius < 20 - 5 * np.sin(np.pi * t / frames)) + t
    labels[0][radius < 20] = Label.LV
    affine = np.diag([*SPACING[::-1], 1.0])
    cine = Cine(images, affine, np.arange(frames) * 0.04)
    return CaseData(cine, {0: labels}, is_pair=is_pair, drawn=drawn)


def _distances(size: int) -> npt.NDArray[np.float64]:
    """From the middle of a sample, mm."""
    y, x = (np.mgrid[:size, :size] - (size - 1) / 2) * 1.4
    return np.hypot(y, x)


def test_samples_hold_the_heart_in_their_middle_at_its_size() -> None:
    first, second = case_samples(_case(), view="sax", frames=1, size=128)
    assert (first.images.shape, first.labels.shape, first.view) == ((1, 128, 128), (128, 128), VIEWS.index("sax"))
    assert first.known == frozenset({Label.LV})
    away = _distances(128)
    # The region is found to within a pixel or two of its blurred motion.
    assert (first.labels[away < 15] == Label.LV).all()
    assert (first.labels[away > 25] == 0).all()
    assert (first.labels > 0).sum() * 1.4**2 == pytest.approx(np.pi * 20**2, rel=0.03)
    # Image and label agree to the pixel.
    bright = first.images[0] > 127
    assert (bright != (first.labels > 0)).mean() < 0.005
    assert not second.labels.any()


def test_the_neighbours_are_around_the_labelled_frame() -> None:
    data = _case()
    clip = case_samples(data, view="sax", frames=3, size=128)[0]
    areas = (clip.images > 127).sum(axis=(1, 2))
    # End-diastole in the middle, the frame before it being the last of the cycle.
    assert areas[1] > areas[0] > 0
    assert areas[1] > areas[2] > 0
    still = case_samples(_case(2, is_pair=True), view="sax", frames=3, size=64)[0]
    assert (still.images[0] == still.images[1]).all()


def test_a_finer_image_is_smoothed_rather_than_picked_from() -> None:
    noise = np.random.default_rng(0).normal(500, 100, (2, 1, 400, 400)).astype(np.float32)
    cine = Cine(noise, np.diag([0.35, 0.35, 8, 1.0]), np.array([0, 0.5]))
    data = CaseData(cine, {0: np.zeros((1, 400, 400), np.uint8)})
    sample = case_samples(data, view="sax", frames=1, size=64)[0]
    # Rescaled to its own range; the means of 16 pixels vary by a quarter, and by little from one to the next.
    assert np.percentile(sample.images, 99.5) == 255
    row = sample.images[0].astype(float)
    assert abs(np.corrcoef(row[:, 1:].ravel(), row[:, :-1].ravel())[0, 1]) < 0.5


def _cases(patients: int) -> list[Case]:
    data = _case()
    return [
        Case(f"{p}-{k}", f"patient {p}", has_labels=True, read=lambda: data)
        for p in range(patients)
        for k in (0, 1)
    ]


def test_patients_are_held_out_whole() -> None:
    training, validation = hold_out(_cases(10))
    assert len(training) == 16
    assert len(validation) == 4
    assert not {case.patient for case in training} & {case.patient for case in validation}
    assert [case.id for case in hold_out(_cases(10))[1]] == [case.id for case in validation]
    few = hold_out(_cases(7))
    assert few[0] is few[1]


def test_cases_are_read_and_what_does_not_belong_is_left_out() -> None:
    data = _case(drawn={0: frozenset({Label.LV, Label.MYO})})
    cases = [
        Case("a", "a", has_labels=True, read=lambda: data),
        Case("b", "b", has_labels=False, read=lambda: pytest.fail("it has no labels")),
        Case("c", "c", has_labels=True, read=lambda: pytest.fail("another view"), view="4ch"),
    ]
    fractions: list[float] = []
    slices = read_slices(cases, size=64, progress=lambda fraction, _message: fractions.append(fraction))
    assert len(slices) == 2
    assert slices[0].known == {Label.LV, Label.MYO}
    assert fractions == [1.0]
    assert slices.identity == read_slices(cases, size=64).identity
    assert slices.identity != read_slices(cases, size=32).identity
    with pytest.raises(InputError, match="at least one labelled slice"):
        LabelledSlices([])
