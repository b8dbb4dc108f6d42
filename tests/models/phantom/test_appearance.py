"""Appearance: each switch does what it says and nothing else, and texture goes with the material."""

from __future__ import annotations

from dataclasses import fields as dataclass_fields
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from cardiac_motion import fields
from cardiac_motion.labels import Label
from cardiac_motion.phantom import TEST_SEEDS, AppearanceOptions, PhantomOptions, PhantomStudy, make_study
from cardiac_motion.phantom.artefacts import add_ghosts, add_noise, draw_artefacts
from cardiac_motion.phantom.model import draw_phantom
from cardiac_motion.phantom.tissues import Tissue, draw_contrast
from cardiac_motion.phantom.views import View, short_axis_view

SEED = TEST_SEEDS[5]
CLEAN = AppearanceOptions.clean()
SMALL = PhantomOptions(frames=5, slices=4, matrix=(72, 72), pixel_spacing=2.6, appearance=CLEAN)


def make(appearance: AppearanceOptions) -> PhantomStudy:
    return make_study(SEED, replace(SMALL, appearance=appearance))


def truth_of(study: PhantomStudy) -> list[npt.NDArray[np.generic]]:
    assert study.motion is not None
    return [study.labels, *study.motion]


@pytest.fixture(scope="module")
def clean() -> PhantomStudy:
    return make(CLEAN)


def test_a_seed_always_gives_the_same_study(clean: PhantomStudy) -> None:
    again = make(CLEAN)
    assert np.array_equal(again.cine.frames, clean.cine.frames)
    assert again.cine.content_hash == clean.cine.content_hash
    for a, b in zip(truth_of(again), truth_of(clean), strict=True):
        assert np.array_equal(a, b)
    first, second = (make(AppearanceOptions()) for _ in range(2))
    assert np.array_equal(first.cine.frames, second.cine.frames)


def test_another_seed_gives_another_study(clean: PhantomStudy) -> None:
    other = make_study(SEED + 1, SMALL)
    assert not np.array_equal(other.cine.frames, clean.cine.frames)
    assert other.parameters["heart"] != clean.parameters["heart"]


@pytest.mark.parametrize(
    "name", ["bias_field", "flow_dephasing", "ghosting", "noise", "texture", "slice_thickness", "random_contrast"]
)
def test_switches_of_the_image_leave_the_truth_alone(clean: PhantomStudy, name: str) -> None:
    other = make(replace(CLEAN, **{name: not getattr(CLEAN, name)}))
    difference = np.abs(other.cine.frames - clean.cine.frames)
    assert difference.max() > 0.002 * clean.cine.frames.max()
    assert (other.labels != clean.labels).mean() < 1e-4
    for a, b in zip(truth_of(other)[1:], truth_of(clean)[1:], strict=True):
        assert a == pytest.approx(b, abs=1e-2)
    if name in {"flow_dephasing", "ghosting"}:
        # Neither touches what rests and is not in the way of the ghosts: they change some places only.
        assert (difference < 1e-3).mean() > 0.1


def test_flow_changes_blood_alone(clean: PhantomStudy) -> None:
    other = make(replace(CLEAN, flow_dephasing=True, slice_thickness=False))
    still = make(replace(CLEAN, slice_thickness=False))
    difference = np.abs(other.cine.frames - still.cine.frames) / clean.cine.frames.max()
    assert difference[clean.labels == Label.LV].mean() > 0.005
    assert difference[clean.labels == Label.MYO].mean() < 0.2 * difference[clean.labels == Label.LV].mean()


def test_breath_holds_move_each_slice_by_its_shift(clean: PhantomStudy) -> None:
    other = make(replace(CLEAN, breath_hold_shifts=True))
    assert not clean.slice_shifts_mm.any()
    assert other.slice_shifts_mm.any()
    checked = 0
    for k, shift in enumerate(other.slice_shifts_mm):
        for t in (0, 2):
            was, now = (s.labels[t, k] == Label.LV for s in (clean, other))
            if min(was.sum(), now.sum()) < 60:
                continue
            moved = np.argwhere(now).mean(axis=0) - np.argwhere(was).mean(axis=0)
            assert moved * np.array(clean.cine.spacing[1:]) == pytest.approx(shift, abs=0.4)
            checked += 1
    assert checked >= 4


def test_mistriggered_frames_show_and_state_another_phase() -> None:
    options = replace(SMALL, frames=8, slices=8, motion_truth=True)
    on = replace(options, appearance=replace(CLEAN, mistriggering=True))
    seed = next(s for s in TEST_SEEDS if draw_artefacts(s, _view(s, on), 8, on.appearance).jitter.any())
    right, wrong = (make_study(seed, o) for o in (options, on))
    assert right.motion is not None
    assert wrong.motion is not None
    changed = 0
    for t, k in np.ndindex(wrong.phases.shape):
        shown = round(float(wrong.phases[t, k]) * 8) % 8
        changed += shown != t
        assert np.array_equal(wrong.labels[t, k], right.labels[shown, k])
        assert np.abs(wrong.cine.frames[t, k] - right.cine.frames[shown, k]).max() < 0.5
        assert np.abs(wrong.motion[0][t, :, k] - right.motion[0][shown, :, k]).max() < 1e-3
    assert changed > 0
    assert not (wrong.phases[0] % 1).any()


def _view(seed: int, options: PhantomOptions) -> View:
    return short_axis_view(draw_phantom(seed, options), options)


def test_switching_one_artefact_does_not_redraw_another() -> None:
    options = PhantomOptions()
    view = _view(SEED, options)
    everything = draw_artefacts(SEED, view, 25, AppearanceOptions())
    for name in ("bias_field", "ghosting", "noise", "mistriggering", "breath_hold_shifts"):
        less = draw_artefacts(SEED, view, 25, replace(AppearanceOptions(), **{name: False}))
        differing = {
            f.name
            for f in dataclass_fields(less)
            if not np.array_equal(np.asarray(getattr(less, f.name)), np.asarray(getattr(everything, f.name)))
        }
        expected = {
            "bias_field": {"gradient", "curvature"},
            "ghosting": {"ghost"},
            "noise": {"noise"},
            "mistriggering": {"jitter"},
            "breath_hold_shifts": {"shifts"},
        }[name]
        assert differing <= expected
        assert differing or name == "mistriggering"


def test_noise_is_rician() -> None:
    generator = torch.Generator().manual_seed(3)
    empty = add_noise(torch.zeros(200, 300), 0.1, generator)
    # Rayleigh where there is no signal.
    assert float(empty.mean()) == pytest.approx(0.1 * np.sqrt(np.pi / 2), rel=0.02)
    bright = add_noise(torch.ones(200, 300), 0.1, generator)
    assert float(bright.std()) == pytest.approx(0.1, rel=0.03)
    assert float(bright.mean()) == pytest.approx(1 + 0.1**2 / 2, abs=2e-3)


def test_ghosts_are_copies_of_what_moves() -> None:
    view = _view(SEED, SMALL)
    artefacts = replace(
        draw_artefacts(SEED, view, 2, AppearanceOptions()), ghost=0.1, ghost_axis=1, ghost_shift=0.25
    )
    frames = torch.zeros(2, 8, 16)
    frames[:, 2, 3] = 5.0  # bright but still
    frames[0, 4, 8] = 2.0  # moves: mean 1, deviation +1 and -1
    ghosted = add_ghosts(frames, artefacts)
    assert ghosted[:, 4, 12].tolist() == pytest.approx([0.1, -0.1])
    assert ghosted[:, 4, 4].tolist() == pytest.approx([-0.1, 0.1])
    ghosted[:, 4, [4, 12]] = 0
    assert torch.equal(ghosted, frames)


def test_texture_is_carried_by_the_material() -> None:
    options = PhantomOptions(
        frames=4,
        slices=3,
        matrix=(128, 128),
        pixel_spacing=1.0,
        through_plane=False,
        appearance=replace(CLEAN, slice_thickness=False),
    )
    study = make_study(SEED, options)
    assert study.motion is not None
    es, k = study.es_frame, 1
    first = torch.from_numpy(study.cine.frames[0, k].copy())[None, None]
    field = fields.to_voxels(torch.from_numpy(study.motion[0][es, 1:, k].copy())[None], study.cine.spacing[1:])
    carried = fields.warp(first, field)[0, 0].numpy()
    wall = study.labels[es, k] == Label.MYO
    still_wall = wall & (study.labels[0, k] == Label.MYO)
    inner = wall.copy()
    for axis in (0, 1):
        for shift in (-2, 2):
            inner &= np.roll(wall, shift, axis)
    assert inner.sum() > 100
    assert (inner & still_wall).sum() > 50
    with_motion = np.corrcoef(carried[inner], study.cine.frames[es, k][inner])[0, 1]
    both = inner & still_wall
    without = np.corrcoef(study.cine.frames[0, k][both], study.cine.frames[es, k][both])[0, 1]
    assert with_motion > 0.95
    assert without < 0.8


def test_bssfp_contrast_has_its_order() -> None:
    for seed in range(20):
        signal = draw_contrast(np.random.default_rng(seed), random=False, texture=True).signal
        assert signal[Tissue.LUNG] < signal[Tissue.MYOCARDIUM] < 0.6 * signal[Tissue.LV_BLOOD]
        assert signal[Tissue.FAT] > 1.5 * signal[Tissue.MYOCARDIUM]


def test_random_contrast_puts_any_tissue_anywhere() -> None:
    signals = np.array(
        [draw_contrast(np.random.default_rng(s), random=True, texture=True).signal for s in range(200)]
    )
    assert signals.min(axis=0).max() < 0.2
    assert signals.max(axis=0).min() > 1.0
    brighter = signals[:, Tissue.MYOCARDIUM] > signals[:, Tissue.LV_BLOOD]
    assert 0.3 < brighter.mean() < 0.7


def test_without_texture_no_tissue_has_any() -> None:
    contrast = draw_contrast(np.random.default_rng(0), random=False, texture=False)
    assert not any(contrast.texture)
