"""A motion estimated on the aligned cine: shifts from a segmentation made once, told apart in the cache."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from cardiac_motion import pipeline_alignment, pipeline_segmentation
from cardiac_motion.cine import Cine
from cardiac_motion.errors import InputError
from cardiac_motion.evaluation.aligned import AlignedMotion
from cardiac_motion.labels import Label
from cardiac_motion.motion import Motion
from cardiac_motion.motion_cache import MotionCache
from cardiac_motion.pipeline import motion_key, propagate_cine
from cardiac_motion.pipeline_alignment import (
    MotionAlignment,
    alignment_for_motion,
    frames_for_shifts,
    model_for_shifts,
    shifts_of_labels,
)
from cardiac_motion.pipeline_segmentation import segment_cine
from cardiac_motion.registration.base import silent
from cardiac_motion.registration.recursive.options import RecursiveOptions
from cardiac_motion.segmentation.base import Segmentation
from cardiac_motion.segmentation.network import SegmentationOptions
from cardiac_motion.shift_files import ShiftCache

T, Z, SIDE = 4, 7, 80
PLACES = np.array([(0, 0), (5, 0), (0, -4), (-4, 3), (0, 6), (3, 0), (0, 0)])
"""Pixels of 1.5 mm by which the slices are displaced."""


def _labels(radius: float = 10, slices: int = Z) -> npt.NDArray[np.uint8]:
    y, x = np.mgrid[:SIDE, :SIDE]
    away = np.stack([np.hypot(y - 40 - dy, x - 40 - dx) for dy, dx in PLACES])
    rings = np.where(away < radius, Label.LV, np.where(away < radius + 5, Label.MYO, 0)).astype(np.uint8)
    rings[slices:] = 0
    return rings


@pytest.fixture
def cine() -> Cine:
    frames = 100.0 * (_labels()[None] == Label.LV) + np.random.default_rng(0).random((T, Z, SIDE, SIDE))
    return Cine(frames.astype(np.float32), np.diag([1.5, 1.5, 8.0, 1.0]), 0.04 * np.arange(T))


class Drawing:
    """A segmentation model that knows the answer."""

    name, version, views, weights_checksum, default_options = "drawing", "1", ("sax",), "0" * 64, None

    def __init__(self, labels: npt.NDArray[np.uint8]) -> None:
        self.labels, self.calls = labels, 0

    def segment(
        self, cine: Cine, *, frames: Sequence[int] | None = None, options: Any = None, progress: Any = silent
    ) -> Segmentation:
        self.calls += 1
        progress(0.0, "drawing")
        progress(1.0, "drawing")
        chosen = tuple(range(cine.n_frames)) if frames is None else tuple(frames)
        classes = (Label.BACKGROUND, Label.MYO, Label.LV)
        one = np.stack([self.labels == each for each in classes]).astype(np.float32)
        return Segmentation(
            chosen,
            np.stack([self.labels] * len(chosen)),
            classes[1:],
            "drawing",
            "1",
            probabilities=np.stack([one] * len(chosen)),
        )


class Lifting:
    """A motion model that sees everything move by a slice along z and half a pixel along x."""

    name, version, views, weights_checksum, default_options = "lifting", "1", ("sax",), None, RecursiveOptions()

    def __init__(self, along_z: float = 8.0) -> None:
        self.along_z, self.seen = along_z, []  # type: ignore[var-annotated]

    def estimate(self, cine: Cine, *, reference: int = 0, options: Any = None, progress: Any = silent) -> Motion:
        self.seen.append(cine.shape)
        progress(0.0, "lifting")
        progress(1.0, "lifting")
        field = np.zeros((cine.n_frames, 3, *cine.shape[1:]), np.float32)
        field[1:, 0], field[1:, 2] = self.along_z, 0.75
        about: dict[str, Any] = {
            "affine": cine.affine,
            "frame_times": cine.frame_times,
            "image_hash": cine.content_hash,
        }
        return Motion(-field, field, reference=0, model=self.name, version=self.version, **about)


def test_the_segmentation_is_made_once_and_its_shifts_are_kept(cine: Cine, tmp_path: Path) -> None:
    model, cache = Drawing(_labels()), ShiftCache.beside(MotionCache(tmp_path))
    first = alignment_for_motion(cine, model=model, cache=cache)
    again = alignment_for_motion(cine, model=model, cache=cache)
    assert model.calls == 1
    one, other = first.of(cine), again.of(cine)
    assert one is not None
    assert other is not None
    assert one.settings == other.settings
    assert first.summary() == again.summary()
    expected = PLACES * 1.5
    line = np.stack([np.polyval(np.polyfit(range(Z), column, 1), range(Z)) for column in expected.T], axis=1)
    assert np.abs(one.shifts_mm - (expected - line)).max() < 0.8
    alignment_for_motion(Cine(cine.frames + 1, cine.affine, cine.frame_times), model=model, cache=cache)
    assert model.calls == 2


def test_the_motion_is_estimated_aligned_and_given_on_the_native_grid(cine: Cine, tmp_path: Path) -> None:
    motions, model = MotionCache(tmp_path), Lifting()
    aligned = MotionAlignment(shifts_of_labels(cine, _labels()))
    alignment = aligned.of(cine)
    assert alignment is not None
    given = {0: _labels()}
    plain = propagate_cine(cine, given, model, cache=motions)
    found = propagate_cine(cine, given, model, alignment=alignment, cache=motions)
    again = propagate_cine(cine, given, model, alignment=alignment, cache=motions)
    assert model.seen == [cine.shape, (T, *alignment.shape)]
    assert (plain.from_cache, found.from_cache, again.from_cache) == (False, False, True)
    assert found.motion.shape == cine.shape
    assert (found.labels[0] == given[0]).all()
    assert (again.motion.from_reference == found.motion.from_reference).all()
    # A point of slice z comes to lie in the next one, displaced as that one is.
    step = alignment.shifts_mm[1:] - alignment.shifts_mm[:-1]
    assert found.motion.from_reference[1, 1, :-1, 40, 40] == pytest.approx(step[:, 0], abs=1e-4)
    assert found.motion.from_reference[1, 2, :-1, 40, 40] == pytest.approx(step[:, 1] + 0.75, abs=1e-4)
    assert aligned.warnings(found.motion) == []


def test_the_key_of_a_motion_holds_the_shifts(cine: Cine) -> None:
    alignment = MotionAlignment(shifts_of_labels(cine, _labels())).of(cine)
    still = shifts_of_labels(cine, np.roll(_labels(), 0))
    assert alignment is not None
    nothing = type(alignment)(np.zeros((Z, 2)), cine.spacing, (SIDE, SIDE))
    other = type(alignment)(alignment.shifts_mm * 0.9, cine.spacing, (SIDE, SIDE))
    keys = [
        motion_key(cine, Lifting(), reference=0, options=RecursiveOptions(), alignment=each)
        for each in (None, nothing, alignment, other, MotionAlignment(still).of(cine))
    ]
    assert keys[0] == keys[1], "an alignment that moves nothing is none"
    assert keys[2] == keys[4]
    assert len(set(keys)) == 3


def test_too_few_slices_are_told_and_the_motion_is_not_aligned(cine: Cine) -> None:
    found = alignment_for_motion(cine, model=Drawing(_labels(slices=3)))
    assert found.of(cine) is None
    assert found.summary() is None
    (warning,) = found.warnings(Lifting().estimate(cine))
    assert warning.startswith("the slices were not aligned: expected at least 4 slices")


def test_drawn_contours_serve_where_the_segmentation_does_not(cine: Cine, tmp_path: Path) -> None:
    model, cache = Drawing(_labels(slices=3)), ShiftCache.beside(MotionCache(tmp_path))
    assert alignment_for_motion(cine, model=model, drawn={0: _labels(slices=3)}, cache=cache).kept is None
    found = alignment_for_motion(cine, model=model, drawn={0: _labels(), 2: _labels(radius=6)}, cache=cache)
    assert found.kept is not None
    expected = shifts_of_labels(cine, _labels()).shifts
    assert (found.kept.shifts.shifts_mm == expected.shifts_mm).all(), "diastole alone"
    (warning,) = found.warnings(Lifting().estimate(cine))
    assert warning.startswith("the slices were aligned by contours drawn on frames 0, 2; of the segmentation: exp")
    # A contour that is corrected later is no reason to estimate the motion anew.
    later = alignment_for_motion(cine, model=model, drawn={0: np.roll(_labels(), 3, axis=1)}, cache=cache)
    assert later.kept is not None
    assert (later.kept.shifts.shifts_mm == expected.shifts_mm).all()
    assert later.warnings(Lifting().estimate(cine)) == [warning]
    assert model.calls == 2
    # One that was half drawn at first is.
    half = ShiftCache.beside(MotionCache(tmp_path / "half"))
    for slices, observed in ((4, 4), (Z, Z), (5, Z)):
        drawn = {0: _labels(slices=slices)}
        kept = alignment_for_motion(cine, model=Drawing(_labels(slices=3)), drawn=drawn, cache=half).kept
        assert kept is not None
        assert kept.shifts.observed.sum() == observed
    # Nor does a drawing count where the segmentation suffices.
    seen = alignment_for_motion(cine, model=Drawing(_labels()), drawn={0: np.roll(_labels(), 3, axis=1)})
    assert seen.kept is not None
    assert seen.kept.source["from"] == "segmentation"


@pytest.mark.parametrize("slices", [Z, 3])
def test_fused_has_its_motion_estimated_with_the_slices_aligned(
    cine: Cine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slices: int
) -> None:
    model, motion = Drawing(_labels(slices=slices)), Lifting()
    monkeypatch.setattr(pipeline_segmentation, "_network", lambda *_: model)
    monkeypatch.setattr(pipeline_segmentation.motion_models, "motion_model", lambda _: motion)
    arguments: dict[str, Any] = {"model": "fused", "key_frames": {0: _labels()}, "cache": MotionCache(tmp_path)}
    segment_cine(cine, **arguments)
    found = segment_cine(cine, **arguments, align=True)
    again = segment_cine(cine, **arguments, align=True)
    alignment = MotionAlignment(shifts_of_labels(cine, _labels())).of(cine)
    assert alignment is not None
    assert motion.seen == [cine.shape, (T, *alignment.shape)]
    assert (found.motion or {})["from_cache"] is False
    assert (again.motion or {})["from_cache"] is True
    assert any("contours drawn on frames 0;" in each for each in found.warnings) == (slices < Z)
    # One segmentation of all frames does for both.
    assert model.calls == 3
    shifts = found.summary()["slice_shifts"]
    assert shifts == again.summary()["slice_shifts"]
    assert np.array(shifts["shifts_mm"]) == pytest.approx(alignment.shifts_mm, abs=1e-6)
    assert "slice_shifts" not in segment_cine(cine, **arguments).summary()
    # Shifts are those of the segmentation as it usually is, whatever is asked for.
    other = {**arguments, "cache": MotionCache(tmp_path / "other")}
    segment_cine(cine, **other, align=True, options=SegmentationOptions(tidy=False))
    assert model.calls == 6


def test_only_fused_and_only_stacks_are_aligned(cine: Cine) -> None:
    with pytest.raises(InputError, match="aligned for the motion of fused; unet estimates none"):
        segment_cine(cine, align=True)
    single = Cine(cine.frames[:, :1], cine.affine, cine.frame_times)
    with pytest.raises(InputError, match="a single slice has no neighbours"):
        segment_cine(single, model="fused", key_frames={0: _labels()[:1]}, align=True)


def test_a_model_is_scored_with_the_slices_aligned(cine: Cine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_alignment, "model_for_shifts", lambda: Drawing(_labels()))
    native, steps = Lifting(), []
    model = AlignedMotion(native)
    found = model.estimate(cine, progress=lambda fraction, _message: steps.append(fraction))
    alignment = MotionAlignment(shifts_of_labels(cine, _labels())).of(cine)
    assert alignment is not None
    assert native.seen == [(T, *alignment.shape)]
    found.check_belongs_to(cine)
    assert np.ptp(found.from_reference[1, 1, :, 40, 40]) > 2
    single = Cine(cine.frames[:, :1], cine.affine, cine.frame_times)
    model.estimate(single)
    assert native.seen[1] == single.shape
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (0, 1)
    monkeypatch.setattr(pipeline_alignment, "model_for_shifts", lambda: Drawing(_labels(slices=3)))
    model.estimate_by({0: _labels()}, cine)
    assert native.seen[2] == (T, *alignment.shape), "by the drawing where the segmentation does not suffice"
    model.estimate(cine)
    assert native.seen[3] == cine.shape
    told = ("a single slice has no neighbours", "the slices were not aligned: expected at least 4")
    assert [any(text in each for text in told) for each in model.unaligned] == [True, True]


def test_nothing_to_correct_and_nothing_to_gain_are_told(cine: Cine) -> None:
    straight = np.stack([_labels()[0]] * Z)
    still = alignment_for_motion(cine, model=Drawing(straight))
    assert still.of(cine) is None
    assert still.warnings(Lifting().estimate(cine)) == [
        "no misalignment of the slices was found; nothing was moved"
    ]
    moved = MotionAlignment(shifts_of_labels(cine, _labels()))
    in_plane = Lifting(along_z=0.0).estimate(cine)
    assert any("estimated slice by slice" in warning for warning in moved.warnings(in_plane))


def test_a_single_slice_and_missing_weights_are_refused(cine: Cine, monkeypatch: pytest.MonkeyPatch) -> None:
    single = Cine(cine.frames[:, :1], cine.affine, cine.frame_times)
    with pytest.raises(InputError, match="a single slice has no neighbours"):
        alignment_for_motion(single, model=Drawing(_labels()[:1]))
    monkeypatch.setattr(pipeline_alignment, "shipped_weights", lambda: ())
    with pytest.raises(InputError, match="'unet', whose weights are not there; expected them, or labels"):
        model_for_shifts()


@pytest.mark.parametrize("frames", [2, 12, 13, 25, 50])
def test_frames_for_the_segmentation_are_spread_over_the_cycle(frames: int) -> None:
    chosen = frames_for_shifts(frames)
    assert chosen[0] == 0
    assert len(chosen) == len(set(chosen)) == min(frames, 12)
    assert max(np.diff([*chosen, frames])) <= -(-frames // min(frames, 12)) + 1
