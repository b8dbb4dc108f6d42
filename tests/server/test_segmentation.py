"""The infer tasks that segment, on a real server with the shipped weights: held against the package itself."""

from __future__ import annotations

import io
import json
import math
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
from cardiac_motion.errors import Cancelled
from cardiac_motion.io import read_cine, read_frame, read_labels, write_cine, write_labels
from cardiac_motion.io.images import read_image, write_image
from cardiac_motion.motion_cache import MotionCache
from cardiac_motion.pipeline_segmentation import Segmented, segment_cine
from cardiac_motion.registration.base import with_options
from cardiac_motion.registration.registry import motion_model
from cardiac_motion.segmentation.network import SegmentationOptions
from cardiac_motion.slice_alignment import estimate_shifts
from CardiacMotionLib.client import Client, InferAnswer, ServerRefused
from requests_toolbelt import MultipartDecoder

from monailabel_app.lib.configs.base import Shared
from monailabel_app.lib.configs.segmentation import Segmentation
from monailabel_app.lib.errors import as_request_error
from monailabel_app.lib.memory import KnownMotions
from tests.server.conftest import QUICK, Study

IMAGE = "segment.case-1"
SLOW = {"iterations": 3000, "levels": 2}


@pytest.fixture(scope="module")
def here(study: Study) -> Callable[..., Segmented]:
    """What the package gives for the study, as it reads its file."""
    cine = read_cine(study.image)
    return lambda **named: segment_cine(cine, **named)


@pytest.fixture(scope="module")
def everything(here: Callable[..., Segmented]) -> Segmented:
    """Of all frames, by unet."""
    return here(options=SegmentationOptions(entropy=True))


@pytest.fixture(autouse=True)
def uploaded(client: Client, study: Study) -> str:
    """The study's image is on the server."""
    return client.put_image(IMAGE, study.image)


def labels_of(answer: InferAnswer, folder: Path) -> Any:
    path = folder / answer.name
    answer.save(path)
    return read_labels(path)


def unpacked(answer: InferAnswer, folder: Path) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(answer.file)) as archive:
        archive.extractall(folder)
        return archive.namelist()


def test_every_frame_is_segmented(client: Client, study: Study, everything: Segmented, tmp_path: Path) -> None:
    answer = client.infer("unet", IMAGE, {})
    found = labels_of(answer, tmp_path)
    assert everything.labels.any()
    assert (found.labels == everything.labels).all()
    assert np.allclose(found.affine, study.cine.affine, atol=1e-4)
    summary = json.loads(json.dumps(everything.summary()))
    for name in (
        "model",
        "frames",
        "key_frames",
        "volumes_ml",
        "ejection_fraction",
        "mass_g",
        "ed",
        "es",
    ):
        assert answer.params[name] == summary[name], name
    assert answer.params["slice_shifts"] is None
    few = "no misalignment of the slices can be told: expected at least 4 slices that show the LV"
    (told,) = (each for each in answer.params["warnings"] if each not in summary["warnings"])
    assert told.startswith(few)
    assert answer.params["structures"] == ["RV", "MYO", "LV"]


def test_frames_that_are_not_asked_for_are_empty(client: Client, everything: Segmented, tmp_path: Path) -> None:
    answer = client.infer("unet", IMAGE, {"frames": [3, 1]})
    found = labels_of(answer, tmp_path).labels
    assert (found[[1, 3]] == everything.labels[[1, 3]]).all()
    assert not found[[0, 2, 4]].any()
    assert (answer.params["frames"], answer.params["volumes_ml"]) == ([1, 3], {})
    assert answer.params["slice_shifts"] is None
    assert not any("misalignment" in each for each in answer.params["warnings"])


def test_one_frame_is_a_3d_label(client: Client, everything: Segmented, tmp_path: Path) -> None:
    found = labels_of(client.infer("unet", IMAGE, {"frame": 2}), tmp_path)
    assert not found.is_4d
    assert (found.labels[0] == everything.labels[2]).all()


def test_deunet_is_hosted_beside_unet(
    client: Client, here: Callable[..., Segmented], everything: Segmented, tmp_path: Path
) -> None:
    answer = client.infer("deunet", IMAGE, {"frames": [2]})
    expected = here(model="deunet", frames=[2])
    assert (labels_of(answer, tmp_path).labels[2] == expected.labels[0]).all()
    assert answer.params["model"]["name"] == "deunet"
    assert answer.params["model"]["weights"] == expected.weights_checksum != everything.weights_checksum


def test_a_single_slice_is_segmented_as_a_long_axis_view(
    client: Client, study: Study, everything: Segmented, tmp_path: Path
) -> None:
    single = replace(study.cine, frames=study.cine.frames[:, 1:2])
    write_cine(tmp_path / "single.nii.gz", single)
    client.put_image("single-slice", tmp_path / "single.nii.gz")
    answer = client.infer("unet", "single-slice", {})
    expected = segment_cine(read_cine(tmp_path / "single.nii.gz"))
    found = labels_of(answer, tmp_path).labels
    assert (found == expected.labels).all()
    assert answer.params["structures"] == ["RV", "MYO", "LV", "LA", "RA"]
    assert answer.params["model"]["weights"] != everything.weights_checksum
    assert (answer.params["volumes_ml"], answer.params["slice_shifts"]) == ({}, None)
    # Unless it is said to be one of the short axis.
    told = client.infer("unet", "single-slice", {"options": {"view": "sax"}})
    assert told.params["structures"] == ["RV", "MYO", "LV"]
    assert told.params["model"]["weights"] == everything.weights_checksum


def test_entropy_comes_beside_the_labels(
    client: Client, study: Study, everything: Segmented, tmp_path: Path
) -> None:
    answer = client.infer("unet", IMAGE, {"entropy": True})
    assert unpacked(answer, tmp_path) == ["labels.nii.gz", "entropy.nii.gz"]
    assert (read_labels(tmp_path / "labels.nii.gz").labels == everything.labels).all()
    image = read_image(tmp_path / "entropy.nii.gz")
    assert everything.entropy is not None
    assert everything.entropy.max() > 0
    assert image.values.dtype == np.float32
    np.testing.assert_allclose(image.values, everything.entropy, atol=1e-6)
    np.testing.assert_allclose(image.affine, study.cine.affine, atol=1e-4)
    assert answer.params["entropy_max"] == pytest.approx(math.log(4), abs=1e-4)


def test_contours_and_segmentation_are_made_to_agree(
    client: Client, study: Study, here: Callable[..., Segmented], tmp_path: Path
) -> None:
    params = {"key_frames": [0, 2], "motion_options": QUICK}
    answer = client.infer("fused", IMAGE, params, label=study.label)
    options = with_options(motion_model().default_options, QUICK)
    expected = here(model="fused", key_frames={t: study.labels[t] for t in (0, 2)}, motion_options=options)
    found = labels_of(answer, tmp_path).labels
    assert (found == expected.labels).all()
    assert (found[[0, 2]] == study.labels[[0, 2]]).all()
    assert answer.params["key_frames"] == [0, 2]
    assert answer.params["motion"]["from_cache"] is False
    client.save_label(IMAGE, "original", study.ed, {"key_frames": [0]})
    saved = {"label_tag": "original", "motion_options": QUICK, "entropy": True, "frames": [1]}
    answer = client.infer("fused", IMAGE, saved)
    assert answer.params["key_frames"] == [0]
    assert answer.params["motion"]["from_cache"] is True
    unpacked(answer, tmp_path)
    assert not read_labels(tmp_path / "labels.nii.gz").labels[0].any()


def test_the_slices_shifts_are_told(client: Client, study: Study, tmp_path: Path) -> None:
    """Of more slices than the study has."""
    cine, labels = study.cine, np.concatenate([study.labels, study.labels], axis=1)
    taller = type(cine)(np.concatenate([cine.frames, cine.frames], axis=1), cine.affine, cine.frame_times)
    write_cine(tmp_path / "tall.nii.gz", taller)
    write_labels(tmp_path / "labels.nii.gz", labels, taller)
    client.put_image("tall", tmp_path / "tall.nii.gz")
    answer = client.infer("unet", "tall", {})
    found = labels_of(answer, tmp_path).labels
    expected = estimate_shifts(found, taller.spacing)
    told = answer.params["slice_shifts"]
    np.testing.assert_allclose(told["shifts_mm"], expected.shifts_mm, atol=1e-3)
    assert (told["observed"], told["notes"]) == (expected.observed.tolist(), expected.notes)


@pytest.mark.parametrize(
    ("task", "params", "status", "code", "field"),
    [
        ("unet", {"frames": [5]}, 422, "unprocessable", "frames"),
        ("unet", {"frames": [-1]}, 422, "unprocessable", "frames"),
        ("unet", {"frames": [1, 1]}, 422, "unprocessable", "frames"),
        ("unet", {"frames": []}, 422, "unprocessable", "frames"),
        ("unet", {"frames": "some"}, 422, "bad_params", "frames.literal['all']"),
        ("unet", {"frame": 5}, 422, "unprocessable", "frame"),
        ("unet", {"frame": True}, 422, "bad_params", "frame"),
        ("unet", {"frame": 1, "frames": [1]}, 422, "bad_params", "frame"),
        ("unet", {"entropy": 1}, 422, "bad_params", "entropy"),
        ("unet", {"options": {"flips": "maybe"}}, 422, "unprocessable", None),
        ("unet", {"options": {"probabilities": True}}, 422, "bad_params", "options.probabilities"),
        ("unet", {"options": {"weights": "/etc/passwd"}}, 422, "unprocessable", None),
        ("unet", {"model": "x"}, 422, "bad_params", "model"),
        ("unet", {"key_frames": [0]}, 422, "bad_params", "key_frames"),
        ("fused", {}, 422, "label_missing", "label"),
        ("fused", {"label_tag": "final"}, 404, "not_found", None),
        ("fused", {"motion_model": "none"}, 404, "unknown_model", "motion_model"),
        ("fused", {"motion_options": {"iterations": 0}}, 422, "unprocessable", None),
    ],
)
def test_parameters_are_held_to_what_they_can_be(
    client: Client, task: str, params: dict[str, Any], status: int, code: str, field: str | None
) -> None:
    with pytest.raises(ServerRefused) as raised:
        client.infer(task, IMAGE, params)
    error = raised.value
    assert (error.status, error.code) == (status, code)
    assert field is None or error.field == field


def test_a_label_for_a_model_that_takes_none_is_refused(client: Client, study: Study) -> None:
    with pytest.raises(ServerRefused, match="starts from no label") as raised:
        client.infer("unet", IMAGE, {}, label=study.ed)
    assert (raised.value.status, raised.value.field) == (422, "label")


def test_a_3d_image_gives_a_3d_label(address: str, study: Study, tmp_path: Path) -> None:
    """As a client sends it that knows nothing of cines; it is kept nowhere."""
    cine = study.cine
    write_image(
        tmp_path / "frame.nii.gz", cine.frames[0], cine.affine, frame_times=cine.frame_times, is_label=False
    )

    def post(task: str, image: str, path: Path) -> requests.Response:
        with path.open("rb") as file:
            files = {"file": (path.name, file)}
            return requests.post(f"{address}/infer/{task}", params={"image": image}, files=files, timeout=60)

    answer = post("unet", "", tmp_path / "frame.nii.gz")
    assert answer.status_code == 200, answer.text
    parts = MultipartDecoder.from_response(answer).parts
    (tmp_path / "label.nii.gz").write_bytes(parts[1].content)
    found = read_labels(tmp_path / "label.nii.gz")
    frame, affine = read_frame(tmp_path / "frame.nii.gz")
    still = type(cine)(np.stack([frame, frame]), affine, np.array([0.0, 1.0]))
    assert not found.is_4d
    assert (found.labels == segment_cine(still, frames=[0]).labels).all()
    assert found.labels.any()
    assert any("in its middle" in each for each in json.loads(parts[0].content)["warnings"])
    for task, image, path, says in (
        ("unet", IMAGE, tmp_path / "frame.nii.gz", "got both"),
        ("motion", "", tmp_path / "frame.nii.gz", "which motion does not take"),
        ("unet", "", study.image, "expected one 3D image"),
    ):
        refused = post(task, image, path)
        assert (refused.status_code, refused.json()["error"]["field"]) == (422, "file")
        assert says in refused.json()["error"]["message"]
        assert str(tmp_path) not in refused.text
    images = requests.get(f"{address}/datastore/?output=all", timeout=20).json()["objects"]
    assert "" not in images


def test_a_job_has_progress_and_is_cancelled_by_it(client: Client, study: Study) -> None:
    seen: list[float] = []
    answer = client.run_job("unet", IMAGE, {}, progress=lambda f, _m: seen.append(f), poll_seconds=0.02)
    assert answer.params["frames"] == [0, 1, 2, 3, 4]
    assert seen == sorted(seen)
    assert seen[-1] == 1.0

    def stop(fraction: float, _message: str) -> None:
        if fraction > 0.36:  # while it estimates the motion
            raise Cancelled

    params = {"key_frames": [0], "motion_options": SLOW}
    with pytest.raises(Cancelled):
        client.run_job("fused", IMAGE, params, label=study.ed, progress=stop, poll_seconds=0.02)
    # The device is free again.
    end = time.monotonic() + 30
    client.infer("unet", IMAGE, {"frame": 0})
    assert time.monotonic() < end


def test_info_lists_the_models_with_weights(client: Client) -> None:
    info, offer = client.info(), client.offer()
    found = {model.name: model for model in offer.models_of("segmentation")}
    assert {"unet", "fused"} <= set(found) <= set(offer.tasks)
    assert found["unet"].default_for == ("segmentation",)
    assert set(found["unet"].options["properties"]) == {"flips", "tidy", "view"}
    assert (info["models"]["unet"]["type"], info["models"]["unet"]["config"]) == ("segmentation", {"frame": 0})
    # What stock clients cannot drive has a type that they do not know.
    assert info["models"]["fused"]["type"] not in {
        "segmentation",
        "detection",
        "deepgrow",
        "deepedit",
        "scribbles",
    }


def test_without_weights_there_is_nothing_to_offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = Shared(KnownMotions(MotionCache(tmp_path), 1))
    for there, names in (((), set()), (("deunet",), {"deunet"}), (("unet",), {"unet", "fused"})):
        monkeypatch.setattr("cardiac_motion.pipeline_segmentation.shipped_weights", lambda there=there: there)
        assert set(Segmentation(shared).infer()) == names


def test_too_little_memory_is_told_as_such() -> None:
    for text in (
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried ...",
        "CUDA out of memory. Tried to allocate 2.00 GiB",
    ):
        error = as_request_error(RuntimeError(text))
        assert (error.status, error.code) == (422, "too_large")
    assert as_request_error(RuntimeError("shapes do not match")).status == 500
