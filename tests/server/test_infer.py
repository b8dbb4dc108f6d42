"""The infer task and its jobs, on a real server: values and geometry against the package itself."""

from __future__ import annotations

import io
import json
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import requests
from cardiac_motion.errors import Cancelled
from cardiac_motion.io import read_cine, read_labels, write_cine, write_labels
from cardiac_motion.io.motion_folder import read_motion
from cardiac_motion.labels import Label
from cardiac_motion.pipeline import Propagated, propagate_cine
from cardiac_motion.registration.base import with_options
from cardiac_motion.registration.registry import motion_model
from CardiacMotionLib.client import Client, InferAnswer, ServerRefused

from tests.server.conftest import QUICK, Study

IMAGE = "infer.case-1"
SLOW = {"iterations": 3000, "levels": 2}


@pytest.fixture(scope="module")
def here(study: Study) -> Callable[[dict[int, Any]], Propagated]:
    """What the package gives for key frames of the study, as it reads its file."""
    model, cine = motion_model(), read_cine(study.image)
    options = with_options(model.default_options, QUICK)
    return lambda keys: propagate_cine(cine, keys, model, options=options)


@pytest.fixture(autouse=True)
def uploaded(client: Client, study: Study) -> str:
    """The study's image is on the server."""
    return client.put_image(IMAGE, study.image)


def labels_of(answer: InferAnswer, folder: Path) -> Any:
    path = folder / answer.name
    answer.save(path)
    return read_labels(path)


def refused(client: Client, params: dict[str, Any], label: Path | None) -> ServerRefused:
    with pytest.raises(ServerRefused) as raised:
        client.infer("motion", IMAGE, params, label=label)
    return raised.value


def test_a_contoured_frame_comes_back_as_labels_of_all_frames(
    client: Client, study: Study, here: Callable[[dict[int, Any]], Propagated], tmp_path: Path
) -> None:
    answer = client.infer("motion", IMAGE, {"key_frames": [0], "options": QUICK}, label=study.ed)
    expected = here({0: study.labels[0]})
    found = labels_of(answer, tmp_path)
    assert (found.labels == expected.labels).all()
    assert (found.labels[0] == study.labels[0]).all()
    assert np.allclose(found.affine, study.cine.affine, atol=1e-4)
    header: Any = nib.load(tmp_path / answer.name).header
    assert header.get_data_dtype() == np.uint8
    assert float(header["pixdim"][4]) == pytest.approx(np.diff(study.cine.frame_times).mean(), rel=1e-4)
    summary = expected.summary()
    for name in ("model", "reference", "ed", "es", "key_frames", "volumes_ml", "mass_g", "folds", "warnings"):
        assert answer.params[name] == json.loads(json.dumps(summary[name])), name
    assert answer.params["ejection_fraction"]["LV"] == pytest.approx(summary["ejection_fraction"]["LV"])


def test_another_contour_uses_the_motion_that_is_known(
    client: Client, study: Study, here: Callable[[dict[int, Any]], Propagated], tmp_path: Path
) -> None:
    client.infer("motion", IMAGE, {"key_frames": [0], "options": QUICK}, label=study.ed)
    again = client.infer("motion", IMAGE, {"key_frames": [0, 3], "options": QUICK}, label=study.label)
    assert again.params["motion_from_cache"] is True
    assert again.params["key_frames"] == [0, 3]
    assert (labels_of(again, tmp_path).labels == here({t: study.labels[t] for t in (0, 3)}).labels).all()


def test_the_frames_of_a_4d_label_that_are_not_empty_are_the_key_frames(
    client: Client, study: Study, tmp_path: Path
) -> None:
    drawn = np.zeros_like(study.labels)
    drawn[[1, 4]] = study.labels[[1, 4]]
    path = tmp_path / "drawn.seq.nrrd"
    write_labels(path, drawn, study.cine)
    answer = client.infer("motion", IMAGE, {"options": QUICK}, label=path)
    found = labels_of(answer, tmp_path).labels
    assert answer.params["key_frames"] == [1, 4]
    assert (found[[1, 4]] == study.labels[[1, 4]]).all()


def test_a_saved_label_can_be_named_instead(client: Client, study: Study, tmp_path: Path) -> None:
    client.save_label(IMAGE, "original", study.ed, {"key_frames": [0]})
    answer = client.infer("motion", IMAGE, {"label_tag": "original", "options": QUICK})
    assert answer.params["key_frames"] == [0]
    assert (labels_of(answer, tmp_path).labels[0] == study.labels[0]).all()


def test_everything_comes_as_a_zip(client: Client, study: Study, tmp_path: Path) -> None:
    params = {"key_frames": [0], "options": QUICK, "output": "all", "reference": 1}
    answer = client.infer("motion", IMAGE, params, label=study.ed)
    with zipfile.ZipFile(io.BytesIO(answer.file or b"")) as archive:
        archive.extractall(tmp_path)
    motion = read_motion(tmp_path / "motion")
    assert (motion.reference, motion.shape) == (1, study.cine.shape)
    assert motion.model == "recursive"
    assert (read_labels(tmp_path / "labels.nii.gz").labels[0] == study.labels[0]).all()


def test_what_is_unusual_about_the_image_is_told(client: Client, study: Study, tmp_path: Path) -> None:
    path = tmp_path / "cine.nii.gz"
    image: Any = nib.load(study.image)
    image.header["pixdim"][4] = 0
    nib.save(image, path)
    client.put_image("no-times", path)
    answer = client.infer("motion", "no-times", {"key_frames": [0], "options": QUICK}, label=study.ed)
    assert any("when its frames were taken" in warning for warning in answer.params["warnings"])


def test_a_heart_that_does_not_eject_is_told(client: Client, study: Study, tmp_path: Path) -> None:
    path = tmp_path / "still.nii.gz"
    write_labels(path, np.repeat(study.labels[:1], len(study.labels), axis=0), study.cine)
    answer = client.infer("motion", IMAGE, {"options": QUICK}, label=path)
    assert answer.params["ejection_fraction"]["LV"] == 0
    assert any("0.0 % of LV is implausible" in warning for warning in answer.params["warnings"])


@pytest.mark.parametrize(
    ("params", "status", "code", "says"),
    [
        ({}, 422, "unprocessable", "a 3D label needs exactly one key frame, got 0"),
        ({"key_frames": [0, 1]}, 422, "unprocessable", "exactly one key frame, got 2"),
        ({"key_frames": [5]}, 422, "unprocessable", "frames from 0 to 4, got 5"),
        ({"key_frames": [-1]}, 422, "unprocessable", "frames from 0 to 4, got -1"),
        ({"key_frames": [1.5]}, 422, "bad_params", "key_frames.0"),
        ({"key_frames": "0"}, 422, "bad_params", "key_frames"),
        ({"key_frames": [0], "reference": 9}, 422, "unprocessable", "reference"),
        ({"key_frames": [0], "reference": True}, 422, "bad_params", "reference"),
        ({"key_frames": [0], "model": "voxelmorph9"}, 404, "unknown_model", "there are recursive"),
        ({"key_frames": [0], "options": {"iterations": 0}}, 422, "unprocessable", "iterations"),
        ({"key_frames": [0], "options": {"no": 1}}, 422, "unprocessable", "unknown option no"),
        ({"key_frames": [0], "align": 1}, 422, "bad_params", "align"),
        ({"key_frames": [0], "refine": 5}, 422, "unprocessable", "cannot refine"),
        ({"key_frames": [0], "image": "/etc/passwd"}, 422, "bad_params", "no parameter 'image'"),
        ({"key_frames": [0], "device": "cuda"}, 422, "bad_params", "no parameter 'device'"),
        ({"key_frames": [0], "label_tag": "final"}, 422, "bad_params", "got both"),
    ],
)
def test_parameters_are_held_to_what_they_can_be(
    client: Client, study: Study, params: dict[str, Any], status: int, code: str, says: str
) -> None:
    error = refused(client, params, study.ed)
    assert (error.status, error.code) == (status, code)
    assert says in str(error)


def test_labels_have_to_fit(client: Client, study: Study, tmp_path: Path) -> None:
    assert "expected a label of at least one frame" in str(refused(client, {}, None))
    moved = study.cine.affine.copy()
    moved[0, 3] += 30
    other = type(study.cine)(study.cine.frames, moved, study.cine.frame_times)
    write_labels(tmp_path / "moved.nii.gz", study.labels[0], other)
    error = refused(client, {"key_frames": [0]}, tmp_path / "moved.nii.gz")
    assert error.status == 422
    assert "does not lie on the voxels of the cine" in str(error)
    write_labels(tmp_path / "nine.nii.gz", np.where(study.labels[0] == Label.LV, 9, 0), study.cine)
    assert "label values [9]" in str(refused(client, {"key_frames": [0]}, tmp_path / "nine.nii.gz"))
    write_labels(tmp_path / "none.nii.gz", 0 * study.labels, study.cine)
    assert "every frame is empty" in str(refused(client, {}, tmp_path / "none.nii.gz"))
    (tmp_path / "garbage.nii.gz").write_bytes(b"not an image" * 99)
    error = refused(client, {"key_frames": [0]}, tmp_path / "garbage.nii.gz")
    assert error.status == 422
    assert str(tmp_path) not in str(error)


def test_a_job_has_progress_and_the_same_answer(client: Client, study: Study, tmp_path: Path) -> None:
    write_cine(
        tmp_path / "other.nii.gz",
        type(study.cine)(study.cine.frames + 1, study.cine.affine, study.cine.frame_times),
    )
    client.put_image("job-case", tmp_path / "other.nii.gz")
    seen: list[float] = []
    params = {"key_frames": [0], "options": {"iterations": 60, "levels": 2}}
    answer = client.run_job(
        "motion", "job-case", params, label=study.ed, progress=lambda f, _m: seen.append(f), poll_seconds=0.02
    )
    assert seen == sorted(seen)
    assert len(set(seen)) > 2
    assert answer.params["motion_from_cache"] is False
    assert (labels_of(answer, tmp_path).labels[0] == study.labels[0]).all()


def test_a_job_is_cancelled_by_its_progress(client: Client, study: Study) -> None:
    jobs: list[str] = []
    start = client.start_job

    def remember(*args: Any, **named: Any) -> str:
        jobs.append(start(*args, **named))
        return jobs[-1]

    def stop(fraction: float, _message: str) -> None:
        if fraction > 0:
            raise Cancelled

    client.start_job = remember  # type: ignore[method-assign]
    with pytest.raises(Cancelled):
        client.run_job(
            "motion", IMAGE, {"key_frames": [0], "options": SLOW}, label=study.ed, progress=stop, poll_seconds=0.02
        )
    end = time.monotonic() + 20
    while not client.job(jobs[0]).is_finished:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert client.job(jobs[0]).state == "cancelled"
    with pytest.raises(ServerRefused, match="was cancelled"):
        client.job_result(jobs[0])


def test_small_requests_are_answered_while_a_job_runs_and_its_result_is_409_until_it_is_done(
    client: Client, study: Study
) -> None:
    # Its motion is known, so that it does not wait for the device.
    client.infer("motion", IMAGE, {"key_frames": [0], "options": QUICK}, label=study.ed)
    job = client.start_job("motion", IMAGE, {"key_frames": [0], "options": SLOW}, label=study.ed)
    waiting = client.start_job(
        "motion", IMAGE, {"key_frames": [0], "options": {**SLOW, "levels": 1}}, label=study.ed
    )
    with pytest.raises(ServerRefused) as raised:
        client.job_result(job)
    assert raised.value.status == 409
    answer = client.infer("motion", IMAGE, {"key_frames": [0], "options": QUICK}, label=study.ed)
    assert answer.params["motion_from_cache"] is True
    assert client.info()["cardiac_motion"]["api"] == 1
    states = {client.job(each).state for each in (job, waiting)}
    assert states == {"queued", "running"}
    for each in (job, waiting):
        client.cancel_job(each)


def test_an_infer_whose_client_leaves_is_cancelled(
    address: str, client: Client, study: Study, studies: Path
) -> None:
    scratch = studies / ".cardiac_motion" / "scratch"
    before = set(scratch.iterdir())  # results of jobs are kept for a while

    def leave() -> None:
        with study.ed.open("rb") as file, pytest.raises(requests.Timeout):
            requests.post(
                f"{address}/infer/motion",
                params={"image": IMAGE},
                data={"params": json.dumps({"key_frames": [0], "options": {**SLOW, "seed": 5}})},
                files={"label": ("label.nii.gz", file)},
                timeout=(5, 0.5),
            )

    thread = threading.Thread(target=leave)
    thread.start()
    thread.join()
    end = time.monotonic() + 20
    while set(scratch.iterdir()) - before:
        assert time.monotonic() < end
        time.sleep(0.05)
    # The device is free again.
    answer = client.infer(
        "motion", IMAGE, {"key_frames": [0], "options": {**QUICK, "iterations": 2}}, label=study.ed
    )
    assert answer.params["motion_from_cache"] is False


def test_unknown_tasks_images_and_jobs_are_named(client: Client, study: Study) -> None:
    for call, says in (
        (
            lambda: client.infer("nothing", IMAGE, {}, label=study.ed),
            "there is no model 'nothing'; there are motion",
        ),
        (lambda: client.infer("motion", "nobody", {}, label=study.ed), "no image"),
        (lambda: client.job("0" * 32), "no such job"),
    ):
        with pytest.raises(ServerRefused, match=says) as raised:
            call()
        assert raised.value.status == 404


def test_a_file_that_cannot_be_read_is_never_the_next_case(
    client: Client, study: Study, studies: Path, tmp_path: Path
) -> None:
    (studies / "a-broken.nii.gz").write_bytes(b"no image" * 100)
    write_cine(
        tmp_path / "b.nii.gz", type(study.cine)(study.cine.frames + 7, study.cine.affine, study.cine.frame_times)
    )
    client.put_image("b-sound", tmp_path / "b.nii.gz")
    for strategy in ("first", "random", "random"):
        found = client.next_case(strategy)
        assert found is not None
        assert found["id"] != "a-broken"
    with pytest.raises(ServerRefused) as raised:
        client.infer("motion", "a-broken", {"key_frames": [0]}, label=study.ed)
    assert raised.value.status == 422
    (studies / "a-broken.nii.gz").unlink()


def test_what_was_carried_when_it_was_saved_is_carried_anew(client: Client, study: Study, tmp_path: Path) -> None:
    client.save_label(IMAGE, "original", study.label, {"key_frames": [0]})
    answer = client.infer("motion", IMAGE, {"label_tag": "original", "options": QUICK})
    assert answer.params["key_frames"] == [0]
    both = client.infer("motion", IMAGE, {"label_tag": "original", "key_frames": [0, 2], "options": QUICK})
    assert both.params["key_frames"] == [0, 2]


def test_a_label_of_an_image_that_was_replaced_is_not_carried(
    client: Client, study: Study, studies: Path, tmp_path: Path
) -> None:
    cines = [type(study.cine)(study.cine.frames + n, study.cine.affine, study.cine.frame_times) for n in (11, 12)]
    write_cine(tmp_path / "one.nii.gz", cines[0])
    sha256 = client.put_image("swapped", tmp_path / "one.nii.gz")
    client.save_label("swapped", "final", study.label, {"image_sha256": f"SHA256:{sha256}"})
    write_cine(studies / "swapped.nii.gz", cines[1])
    with pytest.raises(ServerRefused, match="saved for another image") as raised:
        client.infer("motion", "swapped", {"label_tag": "final", "options": QUICK})
    assert (raised.value.status, raised.value.code) == (409, "other_image")


def test_what_is_sent_as_something_else_than_json_is_said_to_be(address: str) -> None:
    answer = requests.post(f"{address}/activelearning/first", data="{}", timeout=20)
    assert answer.status_code == 422
    assert "application/json" in answer.json()["error"]["message"]
    assert requests.head(f"{address}/datastore/label?image={IMAGE}&version=99", timeout=20).status_code == 404
