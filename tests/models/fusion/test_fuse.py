"""Segmentation and propagation made to agree, on a stack of which both know only a part."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from cardiac_motion.errors import Cancelled, InputError
from cardiac_motion.fusion import Fused, fuse
from cardiac_motion.fusion.calibration import unconventional
from cardiac_motion.labels import Label
from cardiac_motion.metrics import dice_stack
from cardiac_motion.propagation import propagate

ES = 6


def mean_dice(truth: npt.NDArray[np.uint8], found: npt.NDArray[np.uint8]) -> float:
    return float(np.mean([dice_stack(truth == s, found == s) for s in (Label.MYO, Label.LV)]))


@pytest.fixture(scope="module")
def fused(heart: Any) -> Fused:
    return fuse(heart.segmentation(), heart.motion(), {0: heart.truth()[0]})


def test_it_is_better_than_propagation_and_keeps_the_key_frame(heart: Any, fused: Fused) -> None:
    truth = heart.truth()
    alone = propagate(heart.motion(), {0: truth[0]})
    np.testing.assert_array_equal(fused.labels[0], truth[0])
    assert mean_dice(truth[ES], alone[ES]) < 0.8
    assert mean_dice(truth[ES], fused.labels[ES]) > 0.94
    for t in range(1, heart.frames):
        # Where the motion errs by less, what remains of the cavity's size could be a convention.
        assert mean_dice(truth[t], fused.labels[t]) > max(0.86, mean_dice(truth[t], alone[t]))


def test_the_size_of_the_cavity_is_the_motions_as_far_as_conventions_differ(heart: Any) -> None:
    """A network that agrees at the key frame, and draws the contracted cavity further out than motion does."""
    motion = replace(heart, know=1.0).motion()
    truth, seen = heart.truth(), heart.segmentation().probabilities
    wider = heart.segmentation(bias_mm=1.5).probabilities
    seen[1:] = wider[1:]
    network = seen[ES].argmax(axis=0) == Label.LV
    found = fuse(replace(heart.segmentation(), probabilities=seen), motion, {0: truth[0]}).labels[ES] == Label.LV
    true = truth[ES] == Label.LV
    assert network[:3].sum() / true[:3].sum() > 1.25
    assert found[:3].sum() / true[:3].sum() < 1.05


def test_without_a_wall_drawn_the_size_of_the_cavity_is_the_motions_too(heart: Any) -> None:
    drawn = np.where(heart.truth() == Label.LV, Label.LV, 0).astype(np.uint8)
    drawn[:, :, 2:9, 20:36] = Label.RV
    seen, wider = heart.segmentation().probabilities, heart.segmentation(bias_mm=1.5).probabilities
    seen[1:] = wider[1:]
    given = replace(heart.segmentation(), probabilities=seen)
    found = fuse(given, replace(heart, know=1.0).motion(), {0: drawn[0]}).labels[ES, :3] == Label.LV
    assert found.sum() / (drawn[ES, :3] == Label.LV).sum() < 1.07


@pytest.mark.parametrize(("wrong_mm", "share"), [(0.0, 0.0), (1.0, 0.0), (2.75, 0.5), (5.0, 1.0)])
def test_a_difference_beyond_conventions_is_a_fault(heart: Any, wrong_mm: float, share: float) -> None:
    away = heart.distance().astype(np.float32)
    spacing = heart.motion().spacing[1:]
    carried = np.clip(away - 16, -20, 20)[None]
    seen = 1 / (1 + np.exp((away[None] - 16 - wrong_mm) / 0.7))
    moved, fault = unconventional(seen.astype(np.float32), carried, spacing, 20.0)
    assert fault[0] == pytest.approx(share, abs=0.3)
    radius = np.sqrt((moved[0] > 0.5).sum() * spacing[0] * spacing[1] / np.pi)
    assert radius == pytest.approx(16 + fault[0] * wrong_mm, abs=0.5)


def test_the_ventricle_leaves_the_basal_slice_and_comes_back(heart: Any, fused: Fused) -> None:
    base = (fused.labels[:, -1] == Label.LV).any(axis=(1, 2))
    assert np.flatnonzero(~base).tolist() == list(heart.gone)
    assert (fused.labels[:, :-1] == Label.LV).any(axis=(2, 3)).all()
    np.testing.assert_array_equal(fused.held[Label.LV][:, -1], base)


def test_a_slice_that_the_key_frame_leaves_empty_gains_the_ventricle(heart: Any) -> None:
    truth = heart.truth()
    alone = propagate(heart.motion(), {ES: truth[ES]})
    found = fuse(heart.segmentation(), heart.motion(), {ES: truth[ES]})
    np.testing.assert_array_equal(found.labels[ES], truth[ES])
    assert not alone[0, -1].any()
    assert dice_stack(truth[0, -1] == Label.LV, found.labels[0, -1] == Label.LV) > 0.95


def test_two_key_frames_are_both_kept_and_fix_what_lies_between(heart: Any) -> None:
    truth = heart.truth()
    drawn = truth[ES].copy()
    drawn[-1] = truth[ES, 0]  # the reader says that the base is there at ES, whatever the network sees
    found = fuse(heart.segmentation(), heart.motion(), {0: truth[0], ES: drawn})
    np.testing.assert_array_equal(found.labels[0], truth[0])
    np.testing.assert_array_equal(found.labels[ES], drawn)
    assert (found.labels[:, -1] == Label.LV).any(axis=(1, 2)).all()
    assert not found.entropy[[0, ES]].any()


@pytest.mark.parametrize("bias", [-2.0, 2.0])
def test_a_bias_at_the_key_frame_is_taken_out_of_the_others(heart: Any, fused: Fused, bias: float) -> None:
    seen = heart.segmentation(bias_mm=bias)
    found = fuse(seen, heart.motion(), {0: heart.truth()[0]})
    without, biased, corrected = (
        float((labels[ES, 1] == Label.LV).sum()) for labels in (fused.labels, seen.labels, found.labels)
    )
    assert abs(biased / without - 1) > 0.15
    assert abs(corrected / without - 1) < 0.1
    assert found.bias_mm[Label.LV,][1] == pytest.approx(bias, abs=0.5)


def test_where_a_wide_cavity_has_left_the_slice_no_wall_is_left_in_its_place(heart: Any) -> None:
    truth = heart.truth()
    seen = heart.segmentation()
    around = heart.segmentation(bias_mm=0.0).probabilities
    for t in heart.gone:
        # What is seen of it looks like muscle all over.
        around[t, :, -1] = around[0, :, 0]
        around[t, 2, -1] += around[t, 3, -1]
        around[t, 3, -1] = 0
    found = fuse(replace(seen, probabilities=around), heart.motion(), {0: truth[0]})
    assert not found.labels[ES, -1].any()
    assert found.held[Label.MYO][ES, :-1].all()


def test_a_worthless_segmentation_changes_next_to_nothing(heart: Any) -> None:
    truth = heart.truth()
    alone = propagate(heart.motion(), {0: truth[0]})
    found = fuse(heart.segmentation(worthless=True), heart.motion(), {0: truth[0]})
    assert max(trust.max() for trust in found.trust.values()) == 0
    for t in range(heart.frames):
        assert mean_dice(alone[t], found.labels[t]) > 0.98


def test_noise_of_single_frames_is_less_than_in_the_segmentation(heart: Any) -> None:
    truth, seen = heart.truth(), heart.segmentation(noise_mm=1.5)
    found = fuse(seen, heart.motion(), {0: truth[0], ES: truth[ES]})
    others = [t for t in range(heart.frames) if t not in (0, ES)]
    scores = [np.mean([mean_dice(truth[t], labels[t]) for t in others]) for labels in (seen.labels, found.labels)]
    assert scores[1] > scores[0] + 0.02


def test_only_what_is_drawn_is_labelled(heart: Any) -> None:
    truth = heart.truth()
    cavity = np.where(truth == Label.LV, truth, 0).astype(np.uint8)
    found = fuse(heart.segmentation(), heart.motion(), {0: cavity[0]})
    assert found.structures == (Label.LV,)
    assert set(np.unique(found.labels)) == {0, int(Label.LV)}
    assert dice_stack(cavity[ES] > 0, found.labels[ES] > 0) > 0.92


def test_what_the_network_does_not_know_is_carried(heart: Any) -> None:
    drawn = heart.truth()[0]
    drawn[:, 2:7, 2:12] = Label.LA
    found = fuse(heart.segmentation(), heart.motion(), {0: drawn})
    alone = propagate(heart.motion(), {0: drawn})
    for t in range(1, heart.frames):
        assert dice_stack(alone[t] == Label.LA, found.labels[t] == Label.LA) > 0.9
    assert dice_stack(heart.truth()[ES] == Label.LV, found.labels[ES] == Label.LV) > 0.92


def test_entropy_is_in_nats_and_grows_with_the_uncertainty_of_the_motion(heart: Any, fused: Fused) -> None:
    assert fused.entropy.dtype == np.float32
    assert 0 <= fused.entropy.min() < fused.entropy.max() <= math.log(3) + 1e-5
    unsure = np.full(heart.truth().shape, 6.0, np.float32)
    wider = fuse(heart.segmentation(), heart.motion(), {0: heart.truth()[0]}, uncertainty_mm=unsure)
    assert wider.entropy[1].mean() > 1.5 * fused.entropy[1].mean()


def test_a_long_axis_view_keeps_its_ventricle(heart: Any) -> None:
    found = fuse(heart.segmentation(), heart.motion(), {0: heart.truth()[0]}, is_short_axis=False)
    assert found.held[Label.LV].all()
    assert (found.labels == Label.LV).any(axis=(2, 3)).all()


def test_in_a_long_axis_view_the_network_has_a_say_in_where_the_pool_ends(heart: Any) -> None:
    """Its border with the atrium moves with the valve, and is no convention."""
    seen, wider = heart.segmentation().probabilities, heart.segmentation(bias_mm=1.5).probabilities
    seen[1:] = wider[1:]
    given, motion = replace(heart.segmentation(), probabilities=seen), replace(heart, know=1.0).motion()
    across, along = (
        fuse(given, motion, {0: heart.truth()[0]}, is_short_axis=is_short_axis).labels[ES, :3] == Label.LV
        for is_short_axis in (True, False)
    )
    assert along.sum() > 1.08 * across.sum()


def test_all_frames_drawn_are_all_kept(heart: Any) -> None:
    drawn = {t: labels for t, labels in enumerate(heart.truth()) if labels.any()}
    np.testing.assert_array_equal(fuse(heart.segmentation(), heart.motion(), drawn).labels, heart.truth())


def test_what_does_not_fit_is_refused(heart: Any) -> None:
    seen, motion, keys = heart.segmentation(), heart.motion(), {0: heart.truth()[0]}
    for given, message in (
        (replace(seen, frames=(0, 1)), "all 12 frames segmented, got 2"),
        (replace(seen, probabilities=None), "probabilities, got labels alone"),
        (replace(seen, labels=seen.labels[..., :-1]), r"\(T, Z, Y, X\) = \(12, 4, 56, 56\)"),
    ):
        with pytest.raises(InputError, match=message):
            fuse(given, motion, keys)
    with pytest.raises(InputError, match="at least one key frame"):
        fuse(seen, motion, {})
    with pytest.raises(InputError, match="uncertainties of shape"):
        fuse(seen, motion, keys, uncertainty_mm=np.zeros((2, 2, 2, 2), np.float32))


def test_it_can_be_cancelled(heart: Any) -> None:
    def stop(fraction: float, _message: str) -> None:
        if fraction > 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        fuse(heart.segmentation(), heart.motion(), {0: heart.truth()[0]}, progress=stop)
