"""The demonstration through a real server: what goes there, what comes back, and what is written."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.cli import main
from cardiac_motion.demo import CORRECTED, DRAWN
from cardiac_motion.errors import Cancelled
from cardiac_motion.io import read_cine, read_labels, write_labels
from cardiac_motion.phantom import TEST_SEEDS, PhantomOptions
from cardiac_motion.pipeline import propagate_cine
from cardiac_motion.registration.base import with_options
from cardiac_motion.registration.registry import motion_model
from CardiacMotionLib.client import BadAnswer, Client, ServerRefused

from monailabel_app.demo import phantom_demo, run_demo
from tests.server.conftest import Study

OPTIONS = {"iterations": 2, "levels": 2}
SMALL = PhantomOptions(frames=5, slices=2, matrix=(96, 96), pixel_spacing=2.4, motion_truth=False)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_phantom_through_to_saved_labels_table_curve_and_film(client: Client, tmp_path: Path) -> None:
    seen: list[tuple[float, str]] = []
    made = phantom_demo(
        client,
        tmp_path,
        seed=TEST_SEEDS[1],
        phantom=SMALL,
        options=OPTIONS,
        image_id="phantom",
        progress=lambda fraction, message: seen.append((fraction, message)),
    )
    assert names(tmp_path) == {"study", "labels.nii.gz", "report.json", "table.md", "volumes.png", "film.gif"}
    report = json.loads((tmp_path / "report.json").read_text())
    assert report == {**made.summary(), "written": report["written"]}
    fractions = [fraction for fraction, _ in seen]
    assert (np.diff(fractions) > -1e-9).all()
    assert fractions[-1] == pytest.approx(1)
    assert {"uploading the cine", "saving the labels"} <= {message for _, message in seen}

    # The same as without a server, and the corrected frame is the truth's.
    cine = read_cine(tmp_path / "study" / "cine.nii.gz")
    truth = read_labels(tmp_path / "study" / "labels.nii.gz").labels
    corrected = made.corrected_frame
    assert corrected is not None
    model = motion_model()
    options = with_options(model.default_options, OPTIONS)
    keys = {0: truth[0], corrected: truth[corrected]}
    expected = propagate_cine(cine, keys, model, options=options).labels
    found = read_labels(tmp_path / "labels.nii.gz").labels
    # The study on disk is NIfTI, with one time between frames and an affine in single precision.
    assert (found != expected).mean() < 1e-4
    assert (found[corrected] == truth[corrected]).all()
    runs = [report["runs"][name] for name in (DRAWN, CORRECTED)]
    assert [run["motion_from_cache"] for run in runs] == [False, True]
    assert [run["key_frames"] for run in runs] == [[0], sorted([0, corrected])]

    # On the server: the images, and the labels with what belongs to them.
    server = report["server"]
    assert server["address"] == client.address
    assert (server["jobs"], server["tag"], server["label_version"]) == (2, "final", 1)
    client.get_label("phantom", "final", tmp_path / "back.nii.gz", version=1)
    assert (read_labels(tmp_path / "back.nii.gz").labels == found).all()
    (version,) = client.label_versions("phantom")
    assert version["verified_frames"] == version["key_frames"] == sorted([0, corrected])
    assert version["model"] == runs[1]["model"]
    assert version["image_sha256"] == server["image_sha256"]
    assert {(entry["name"], entry["idx"]) for entry in version["label_info"]} >= {("MYO", 2), ("LV", 3)}
    client.get_image("phantom", tmp_path / "cine.seq.nrrd")
    assert (read_cine(tmp_path / "cine.seq.nrrd").frames == cine.frames).all()


def test_skewed_axes_and_uneven_times_survive(client: Client, study: Study, tmp_path: Path) -> None:
    skew = np.eye(4)
    skew[0, 1] = 0.02
    times = np.array([0, 0.03, 0.07, 0.1, 0.15])
    cine = Cine(study.cine.frames, study.cine.affine @ skew, times)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is unusual in it is told
        made = run_demo(client, tmp_path, cine, {1: study.labels[1]}, options=OPTIONS, image_id="skewed")
        client.get_image("skewed", tmp_path / "back.seq.nrrd")
        back = read_cine(tmp_path / "back.seq.nrrd")
    assert back.affine == pytest.approx(cine.affine, abs=1e-9)
    assert back.frame_times == pytest.approx(times, abs=1e-9)
    assert list(made.runs) == [DRAWN]
    assert (made.corrected_frame, made.comparison) == (None, ())
    assert made.further["server"]["jobs"] == 1


def test_a_file_of_ones_own_is_sent_as_it_is(client: Client, study: Study, tmp_path: Path) -> None:
    cine = read_cine(study.image)
    run_demo(client, tmp_path, cine, {0: study.labels[0]}, source=study.image, options=OPTIONS, image_id="own")
    client.get_image("own", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == study.image.read_bytes()
    other = Cine(cine.frames + 1, cine.affine, cine.frame_times)
    with pytest.raises(ServerRefused, match="409"):
        run_demo(client, tmp_path, other, {0: study.labels[0]}, image_id="own")


def test_cancelled_in_the_middle_nothing_is_saved(client: Client, study: Study, tmp_path: Path) -> None:
    def cancel(fraction: float, message: str) -> None:
        if fraction > 0.02:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        run_demo(client, tmp_path, study.cine, {0: study.labels[0]}, image_id="cancelled", progress=cancel)
    assert client.label_versions("cancelled") == []
    assert names(tmp_path) == set()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ("labels", "differs on 3 voxels of frames 2"),
        ("lost", "version 1 once among the saved labels, got it 0 times"),
        ("frames", r"expected verified_frames of the saved label to be \[0\], got \[0, 1\]"),
    ],
)
def test_what_does_not_come_back_as_it_was_saved_is_an_error(
    address: str, study: Study, tmp_path: Path, spoil: str, message: str
) -> None:
    class Spoiled(Client):
        def get_label(self, label_id: str, tag: str, to: Path, **named: Any) -> None:
            super().get_label(label_id, tag, to, **named)
            if spoil == "labels":
                labels = read_labels(to).labels.copy()
                labels[2, 1, 4, 5:8] = 5
                write_labels(to, labels, study.cine)

        def label_versions(self, label_id: str, **named: Any) -> list[dict[str, object]]:
            if spoil == "lost":
                return []
            versions = super().label_versions(label_id, **named)
            return [{**version, "verified_frames": [0, 1]} for version in versions]

    with Spoiled(address) as client, pytest.raises(BadAnswer, match=message):
        run_demo(client, tmp_path, study.cine, {0: study.labels[0]}, options=OPTIONS, image_id=f"spoiled-{spoil}")
    assert names(tmp_path) == set()


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    captured = capsys.readouterr()
    assert isinstance(stop.value.code, int)
    return stop.value.code, captured.out, captured.err


def test_the_command_on_ones_own_cine(
    capsys: pytest.CaptureFixture[str], study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    cache = Path(os.environ["CARDIAC_MOTION_CACHE"])
    code, out, err = run(
        capsys,
        *("demo", "-o", tmp_path / "d", "--cine", study.image, "--labels", f"{study.ed}@0"),
        *("--truth", study.label, "--json"),
    )
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert names(tmp_path / "d") == {"labels.nii.gz", "report.json", "table.md", "volumes.png", "film.gif"}
    corrected = result["corrected_frame"]
    labels = read_labels(tmp_path / "d" / "labels.nii.gz").labels
    assert (labels[corrected] == study.labels[corrected]).all()
    assert {row["method"] for row in result["comparison"]} == {"unregistered", DRAWN, CORRECTED}
    assert result["server"]["label_version"] == 1
    # The motion stays for the next time, and nothing else does.
    assert len(list(cache.glob("*.npz"))) == 1
    assert names(tmp_path / "temporary") == set()
    assert [child for child in psutil.Process().children() if str(tmp_path) in " ".join(child.cmdline())] == []


def test_the_command_refuses_before_it_starts_a_server(
    capsys: pytest.CaptureFixture[str], study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monailabel_app.demo.local_server", None)
    for arguments, message in (
        (["--cine", study.image], "both --cine and --labels"),
        (["--truth", study.label], "--truth belongs to --cine"),
        (["--model", "magic"], "unknown motion model 'magic'"),
        (["--cine", study.image, "--labels", study.label, "--truth", study.label], "all 5 of its frames"),
        (["--cine", study.image, "--labels", f"{study.ed}@9"], "frames 0 to 4, got frame 9"),
        (["--cine", study.image, "--labels", f"{study.ed}@0", "--truth", study.ed], "expected 4D labels"),
    ):
        code, out, err = run(capsys, "demo", "-o", tmp_path / "d", *arguments)
        assert (code, out) == (2, "")
        assert message in err
    assert names(tmp_path) == set()
