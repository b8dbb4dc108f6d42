"""Segmentation of a cine as the command line and the server call it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cardiac_motion import pipeline_segmentation
from cardiac_motion.cine import Cine
from cardiac_motion.cli.segment import describe, probability_steps
from cardiac_motion.errors import Cancelled, InputError
from cardiac_motion.labels import Label
from cardiac_motion.metrics import dice_stack
from cardiac_motion.motion_cache import MotionCache
from cardiac_motion.networks.unet import ModifiedUNet
from cardiac_motion.phantom import TEST_SEEDS, PhantomOptions, PhantomStudy, make_study
from cardiac_motion.pipeline_segmentation import Segmented, segment_cine, segmentation_names
from cardiac_motion.registration.recursive.model import RecursiveModel
from cardiac_motion.registration.recursive.options import RecursiveOptions
from cardiac_motion.segmentation.network import NetworkSegmentation, SegmentationOptions
from cardiac_motion.weights import save_weights

FAST = RecursiveOptions(iterations=2, levels=1)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a network that has learned nothing."""
    torch.manual_seed(0)
    config = {"classes": 4, "width": 4, "levels": 3}
    path = tmp_path_factory.mktemp("weights") / "unet.pt"
    save_weights(path, ModifiedUNet(**config).state_dict(), model="unet", network="unet", config=config)
    return path


@pytest.fixture(scope="module")
def study() -> PhantomStudy:
    options = PhantomOptions(frames=6, slices=3, matrix=(96, 96), pixel_spacing=2.4, motion_truth=False)
    return make_study(TEST_SEEDS[2], options)


@pytest.fixture(scope="module")
def drawn(study: PhantomStudy) -> np.ndarray:
    return np.where(study.labels <= Label.LV, study.labels, 0).astype(np.uint8)


def probabilities_of(found: Segmented, steps: np.ndarray) -> np.ndarray:
    """Probabilities (F, K, Z, Y, X) of the frames that were segmented."""
    return np.asarray(steps[:, list(found.frames)].swapaxes(0, 1) / 255)


def test_all_frames_are_segmented_and_summed_up(study: PhantomStudy, weights: Path) -> None:
    found = segment_cine(study.cine, weights=weights)
    assert found.labels.shape == study.cine.shape
    assert (found.entropy, found.key_frames, found.frames) == (None, (), tuple(range(6)))
    summary = json.loads(json.dumps(found.summary(), allow_nan=False))
    version = int(NetworkSegmentation.version)
    assert summary["model"] == {"name": "unet", "version": version, "weights": found.weights_checksum}
    assert summary["frames"] == [0, 1, 2, 3, 4, 5]
    assert set(summary["seconds"]) == {"segmentation"}
    assert {"ed", "es", "ejection_fraction", "mass_g", "volumes_ml", "warnings", "key_frames"} <= set(summary)


def test_some_frames_have_no_volumes(study: PhantomStudy, weights: Path) -> None:
    found = segment_cine(study.cine, frames=[4, 1], weights=weights, options=SegmentationOptions(entropy=True))
    assert found.frames == (1, 4)
    assert found.entropy is not None
    assert found.labels.shape == found.entropy.shape == (2, *study.cine.shape[1:])
    assert (found.volumes_ml, found.function) == ({}, None)
    assert found.summary()["ejection_fraction"] == {}


def test_probabilities_are_kept_if_asked_for(study: PhantomStudy, weights: Path) -> None:
    assert segment_cine(study.cine, frames=[2], weights=weights).probabilities is None
    wanted = SegmentationOptions(probabilities=True, tidy=False)
    found = segment_cine(study.cine, frames=[4, 1], weights=weights, options=wanted)
    given, region = found.probabilities, found.region
    assert given is not None
    assert region is not None
    assert (given.shape, given.dtype) == ((2, 4, 3, *region.shape), np.float32)
    np.testing.assert_allclose(given.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(given.argmax(axis=1), region.crop(found.labels))
    steps = probability_steps(found, given, study.cine)
    assert (steps.shape, steps.dtype) == ((4, *study.cine.shape), np.uint8)
    whole = probabilities_of(found, steps)
    np.testing.assert_allclose(region.crop(whole), given, atol=0.5 / 255 + 1e-6)
    outside = np.ones(study.cine.shape[2:], bool)
    region.crop(outside)[...] = False
    assert outside.any()
    assert (whole[:, 0][..., outside] == 1).all()
    assert not whole[:, 1:][..., outside].any()


def test_probabilities_of_fused_are_those_of_its_entropy(
    study: PhantomStudy, drawn: np.ndarray, weights: Path
) -> None:
    arguments: dict[str, Any] = {
        "model": "fused",
        "frames": [0, 2],
        "key_frames": {0: drawn[0]},
        "motion_options": FAST,
        "weights": weights,
    }
    found = segment_cine(study.cine, options=SegmentationOptions(entropy=True, probabilities=True), **arguments)
    given, region = found.probabilities, found.region
    assert given is not None
    assert region is not None
    assert found.entropy is not None
    assert given.shape == (2, 1 + len(found.structures), 3, *region.shape)
    clipped = given[1].clip(1e-7, 1)
    np.testing.assert_allclose(-(clipped * np.log(clipped)).sum(axis=0), region.crop(found.entropy[1]), atol=1e-5)
    steps = probability_steps(found, given, study.cine)
    np.testing.assert_array_equal(probabilities_of(found, steps)[0].argmax(axis=0), drawn[0])
    assert set(np.unique(steps[:, 0])) == {0, 255}
    without = segment_cine(study.cine, **arguments)
    assert without.probabilities is None
    np.testing.assert_array_equal(without.labels, found.labels)


def test_fused_keeps_the_key_frames_and_says_with_what_it_was_made(
    study: PhantomStudy, drawn: np.ndarray, weights: Path, tmp_path: Path
) -> None:
    steps: list[float] = []
    found = segment_cine(
        study.cine,
        model="fused",
        key_frames={0: drawn[0], 3: drawn[3]},
        options=SegmentationOptions(entropy=True),
        motion_options=FAST,
        cache=MotionCache(tmp_path),
        weights=weights,
        progress=lambda fraction, _message: steps.append(fraction),
    )
    np.testing.assert_array_equal(found.labels[[0, 3]], drawn[[0, 3]])
    assert found.entropy is not None
    assert not found.entropy[[0, 3]].any()
    assert found.entropy[1].any()
    assert steps == sorted(steps)
    assert 0 <= steps[0] < steps[-1] <= 1
    summary = found.summary()
    assert summary["model"]["name"] == "fused"
    assert summary["motion"] == {"name": "recursive", "version": int(RecursiveModel.version), "from_cache": False}
    assert summary["key_frames"] == [0, 3]
    assert set(summary["seconds"]) == {"segmentation", "motion", "fusion"}
    # A network that has learned nothing is said to be of no use, and the motion decides.
    assert any("agrees little" in warning for warning in summary["warnings"])
    again = segment_cine(
        study.cine,
        model="fused",
        frames=[1],
        key_frames={0: drawn[0], 3: drawn[3]},
        motion_options=FAST,
        cache=MotionCache(tmp_path),
        weights=weights,
    )
    assert again.motion is not None
    assert again.motion["from_cache"]
    np.testing.assert_array_equal(again.labels[0], found.labels[1])


def test_bad_input_is_refused_before_the_work(study: PhantomStudy, drawn: np.ndarray, weights: Path) -> None:
    cine = study.cine

    def never(_fraction: float, _message: str) -> None:
        raise AssertionError("the work has begun")

    for given, message in (
        ({"model": "magic"}, "unknown segmentation model 'magic'; there are unet, deunet, fused"),
        ({"frames": [9]}, "frames from 0 to 5, got 9"),
        ({"model": "fused"}, "at least one key frame, got none"),
        ({"model": "fused", "key_frames": {9: drawn[0]}}, "from 0 to 5, got key frame 9"),
        ({"model": "fused", "key_frames": {0: drawn[0, :2]}}, r"\(Z, Y, X\) = \(3, 96, 96\) for frame 0"),
        ({"model": "fused", "key_frames": {0: 0 * drawn[0]}}, "empty label for frame 0"),
        ({"key_frames": {0: drawn[0]}}, "unet segments from the image alone"),
        ({"model": "fused", "key_frames": {0: drawn[0]}, "motion_model": "no"}, "unknown motion model"),
    ):
        with pytest.raises(InputError, match=message):
            segment_cine(cine, weights=weights, progress=never, **given)


def test_missing_weights_are_named(
    study: PhantomStudy, drawn: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline_segmentation, "shipped_weights", lambda: ("deunet",))
    assert segmentation_names() == ("deunet",)
    with pytest.raises(InputError, match=r"unknown segmentation model 'magic'; there are deunet$"):
        segment_cine(study.cine, model="magic")
    with pytest.raises(
        InputError, match=r"needs the weights of unet, which are not there.*have weights are deunet"
    ):
        segment_cine(study.cine)
    with pytest.raises(InputError, match="fused needs the weights of unet"):
        segment_cine(study.cine, model="fused", key_frames={0: drawn[0]})
    monkeypatch.setattr(pipeline_segmentation, "shipped_weights", lambda: ("unet", "voxelmorph"))
    assert segmentation_names() == ("unet", "fused")


def test_a_cine_of_one_slice_is_no_short_axis_stack(study: PhantomStudy, weights: Path) -> None:
    cine = Cine(study.cine.frames[:, :1], study.cine.affine, study.cine.frame_times)
    with pytest.raises(InputError, match="view sax"):
        segment_cine(cine, weights=weights)


def test_it_can_be_cancelled(study: PhantomStudy, drawn: np.ndarray, weights: Path) -> None:
    def stop(fraction: float, _message: str) -> None:
        if fraction > 0.1:
            raise Cancelled

    with pytest.raises(Cancelled):
        segment_cine(study.cine, model="fused", key_frames={0: drawn[0]}, weights=weights, progress=stop)


def _segmented(labels: np.ndarray) -> Segmented:
    return Segmented(
        frames=tuple(range(len(labels))),
        labels=labels,
        entropy=None,
        structures=(Label.RV, Label.MYO, Label.LV),
        model="unet",
        version="1",
        weights_checksum=None,
        key_frames=(),
        seconds={},
        warnings=(),
        n_frames=len(labels),
        spacing=(8.0, 1.5, 1.5),
    )


def test_phases_are_found_in_spite_of_a_frame_that_failed() -> None:
    t = np.arange(20)
    counts = np.rint(500 + 300 * np.cos(2 * np.pi * (t - 1) / 20)).astype(int)
    counts[5] = 0  # nothing was found here
    counts[14] = 1200
    labels = np.zeros((20, 1600), np.uint8)
    for row, count in zip(labels, counts, strict=True):
        row[:count] = Label.LV
    found = _segmented(labels.reshape(20, 2, 20, 40))
    function = found.function
    assert function is not None
    assert (function.ed, function.es) == (1, 11)
    assert function.ventricles[Label.LV].ejection_fraction == pytest.approx(75.0)
    assert found.summary()["warnings"] == []
    still = replace(found, labels=np.repeat(found.labels[:1], 20, axis=0), warnings=("one",)).summary()["warnings"]
    assert (still[0], len(still)) == ("one", 2)
    assert "an ejection fraction of 0.0 % of LV is implausible" in still[1]
    nothing = _segmented(np.zeros((4, 2, 8, 8), np.uint8))
    assert (nothing.function, nothing.volumes_ml) == (None, {})
    assert replace(nothing, n_frames=9).summary()["ed"] is None


def test_phases_of_a_single_slice_are_those_of_its_area() -> None:
    t = np.arange(20)
    labels = np.zeros((20, 1600), np.uint8)
    for row, count in zip(labels, np.rint(500 + 300 * np.cos(2 * np.pi * (t - 1) / 20)).astype(int), strict=True):
        row[:count] = Label.RV
    single = _segmented(labels.reshape(20, 1, 40, 40))
    assert (single.volumes_ml, single.function, single.phases) == ({}, None, (1, 11))
    summary = single.summary()
    assert (summary["ed"], summary["es"], summary["ejection_fraction"]) == (1, 11, {})
    assert "ED frame 1, ES frame 11, by the area" in describe(summary, 20)
    assert replace(single, n_frames=21).summary()["ed"] is None
    assert replace(single, labels=np.zeros_like(single.labels)).summary()["es"] is None


def test_a_gap_among_the_slices_and_a_frame_without_lv_are_said() -> None:
    labels = np.zeros((3, 4, 12, 12), np.uint8)
    labels[:, 0, 3:9, 3:9] = labels[:, 2, 3:9, 3:9] = Label.LV
    labels[1, 1, 3:9, 3:9] = Label.LV
    assert pipeline_segmentation._gaps((0, 4, 8), labels) == [
        "no LV was found in a slice between others that hold it, in frames 0, 8"
    ]
    labels[1] = 0
    assert pipeline_segmentation._gaps((0, 4, 8), labels)[0] == "no LV was found in frames 4"
    (nothing,) = pipeline_segmentation._gaps((0, 4, 8), np.zeros_like(labels))
    assert nothing.startswith("no LV was found in any frame")


def test_shipped_weights_find_the_heart_of_a_phantom() -> None:
    options = PhantomOptions(frames=6, slices=5, pixel_spacing=1.6, matrix=(176, 176), motion_truth=False)
    study = make_study(TEST_SEEDS[0], options)
    truth = np.where(study.labels <= Label.LV, study.labels, 0).astype(np.uint8)
    alone = segment_cine(study.cine, frames=[0])
    assert dice_stack(truth[0] == Label.LV, alone.labels[0] == Label.LV) > 0.75
    fused = segment_cine(study.cine, model="fused", key_frames={0: truth[0]}, motion_options=FAST)
    np.testing.assert_array_equal(fused.labels[0], truth[0])
    # With a motion of little worth, what is right at ES comes from the network.
    still = dice_stack(truth[3] == Label.LV, truth[0] == Label.LV)
    assert dice_stack(truth[3] == Label.LV, fused.labels[3] == Label.LV) > still + 0.05
