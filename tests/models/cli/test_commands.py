from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.cli import main
from cardiac_motion.cli.phantom import names_of
from cardiac_motion.io import read_cine, read_labels, write_cine, write_labels
from cardiac_motion.io.motion_folder import read_motion
from cardiac_motion.labels import Label
from cardiac_motion.phantom import TEST_SEEDS, PhantomOptions, PhantomStudy, make_study

FAST = ("--option", "iterations=2")


@pytest.fixture(scope="module")
def study() -> PhantomStudy:
    return make_study(TEST_SEEDS[1], PhantomOptions(frames=5, slices=2, matrix=(96, 96), pixel_spacing=2.4))


@pytest.fixture(scope="module")
def folder(study: PhantomStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("case")
    write_cine(path / "cine.nii.gz", study.cine)
    write_labels(path / "ed.nii.gz", study.labels[0], study.cine)
    write_labels(path / "cine_labels.nii.gz", study.labels, study.cine)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    captured = capsys.readouterr()
    assert isinstance(stop.value.code, int)
    return stop.value.code, captured.out, captured.err


def test_propagate_writes_labels_motion_and_table(
    capsys: pytest.CaptureFixture[str], folder: Path, study: PhantomStudy, tmp_path: Path
) -> None:
    code, out, err = run(
        capsys,
        "propagate",
        folder / "cine.nii.gz",
        "--labels",
        f"{folder}/ed.nii.gz@0",
        "-o",
        tmp_path / "l.nii.gz",
        "--motion",
        tmp_path / "motion",
        "--table",
        tmp_path / "t.csv",
        "--json",
        *FAST,
    )
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert result["key_frames"] == [0]
    assert result["folds"] == 0
    labels = read_labels(tmp_path / "l.nii.gz")
    assert labels.labels.shape == study.cine.shape
    assert (labels.labels[0] == study.labels[0]).all()
    motion = read_motion(tmp_path / "motion", read_cine(folder / "cine.nii.gz"))
    assert motion.model == "recursive"
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5
    assert float(rows[3]["LV_ml"]) == pytest.approx(result["volumes_ml"]["LV"][3], abs=1e-3)
    assert [row["key_frame"] for row in rows] == ["1", "0", "0", "0", "0"]


def test_a_second_contour_reuses_the_motion(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    common = ("propagate", folder / "cine.nii.gz", "-o", tmp_path / "l.nii.gz", "--json", *FAST)
    first = json.loads(run(capsys, *common, "--labels", f"{folder}/ed.nii.gz@0")[1])
    both = ("--labels", f"{folder}/ed.nii.gz@0", "--labels", f"{folder}/cine_labels.nii.gz@2")
    second = json.loads(run(capsys, *common, *both)[1])
    assert (first["motion_from_cache"], second["motion_from_cache"]) == (False, True)
    assert second["key_frames"] == [0, 2]
    code, out, err = run(capsys, *common, "--labels", f"{folder}/cine_labels.nii.gz")
    assert (code, json.loads(out)["key_frames"]) == (0, [0, 1, 2, 3, 4])
    assert err.startswith(
        "cardiac-motion: note: cine_labels.nii.gz is 4D and no frame was named: all 5 of its frames"
    )
    assert err.count("\n") == 1
    assert not json.loads(run(capsys, *common, "--no-cache", "--labels", f"{folder}/ed.nii.gz@0")[1])[
        "motion_from_cache"
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{cine}", "--labels", "{folder}/none.nii.gz@0", "-o", "{out}"], "none.nii.gz"),
        (["{folder}/none.nii.gz", "--labels", "{ed}@0", "-o", "{out}"], "none.nii.gz"),
        (["{cine}", "--labels", "{ed}", "-o", "{out}"], "say which frame"),
        (["{cine}", "--labels", "{ed}@9", "-o", "{out}"], "frames 0 to 4, got frame 9"),
        (["{cine}", "--labels", "{ed}@0", "-o", "{ed}/no/l.nii.gz"], "ed.nii.gz is a file"),
        (["{cine}", "--labels", "{ed}@0", "-o", "{out}", "--model", "magic"], "unknown motion model 'magic'"),
        (["{cine}", "--labels", "{ed}@0", "-o", "{out}", "--option", "colour=red"], "unknown option colour"),
        (["{cine}", "--labels", "{ed}@0", "-o", "{out}", "--option", "levels"], "NAME=VALUE, got 'levels'"),
        (
            ["{cine}", "--labels", "{ed}@0", "-o", "{out}", "--reference", "7"],
            "reference frame must be from 0 to 4",
        ),
        (["{cine}", "--labels", "{ed}@0", "-o", "{out}", "--option", "levels=2", "--option", "levels=3"], "twice"),
        (["{cine}", "-o", "{out}"], "--labels"),
        (["{cine}", "--labels", "{ed}@0", "-o", "{out}", "--frobnicate"], "--frobnicate"),
    ],
)
def test_bad_input_ends_in_2_with_one_line_and_nothing_written(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    names = {
        "cine": folder / "cine.nii.gz",
        "ed": folder / "ed.nii.gz",
        "out": tmp_path / "l.nii.gz",
        "folder": folder,
    }
    code, out, err = run(capsys, "propagate", *(a.format(**names) for a in arguments))
    assert code == 2
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert err.startswith("cardiac-motion: error: ")
    assert list(tmp_path.iterdir()) == []


def test_labels_on_another_grid_are_refused(
    capsys: pytest.CaptureFixture[str], folder: Path, study: PhantomStudy, tmp_path: Path
) -> None:
    other = Cine(study.cine.frames, study.cine.affine @ np.diag([1.2, 1, 1, 1]), study.cine.frame_times)
    write_labels(tmp_path / "other.nii.gz", study.labels[0], other)
    code, _, err = run(
        capsys,
        "propagate",
        folder / "cine.nii.gz",
        "--labels",
        f"{tmp_path}/other.nii.gz@0",
        "-o",
        tmp_path / "l.nii",
    )
    assert code == 2
    assert "other.nii.gz" in err


def test_a_warning_is_one_line_on_stderr(
    capsys: pytest.CaptureFixture[str], folder: Path, study: PhantomStudy, tmp_path: Path
) -> None:
    skew = np.eye(4)
    skew[0, 1] = 0.01
    skewed = Cine(study.cine.frames, study.cine.affine @ skew, study.cine.frame_times)
    write_cine(tmp_path / "skewed.nii.gz", skewed)
    write_labels(tmp_path / "ed.nii.gz", study.labels[0], skewed)
    code, out, err = run(
        capsys,
        "propagate",
        tmp_path / "skewed.nii.gz",
        "--labels",
        f"{tmp_path}/ed.nii.gz@0",
        "-o",
        tmp_path / "l.nrrd",
        "--json",
        *FAST,
    )
    assert code == 0
    assert json.loads(out)["key_frames"] == [0]
    lines = err.splitlines()
    assert lines
    assert len(set(lines)) == len(lines)
    assert all(line.startswith("cardiac-motion: warning: ") for line in lines)


def test_phantom_writes_a_study_that_reads_back(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = run(
        capsys,
        "phantom",
        "-o",
        tmp_path / "study",
        "--seed",
        "5",
        "--frames",
        "4",
        "--slices",
        "2",
        "--clean",
        "--json",
    )
    assert code == 0
    result = json.loads(out)
    cine = read_cine(tmp_path / "study" / "cine.nii.gz")
    assert list(cine.shape) == result["shape"]
    assert 15 <= result["ejection_fraction"] <= 75
    labels = read_labels(tmp_path / "study" / "labels.nii.gz").labels
    sizes = [(labels[t] == Label.LV).sum() for t in (0, result["es_frame"])]
    assert result["ejection_fraction_of_labels"] == pytest.approx(100 * (1 - sizes[1] / sizes[0]), abs=0.01)
    assert read_labels(tmp_path / "study" / "labels.nii.gz").labels.shape == cine.shape
    small = ("--seed", "5", "--frames", "4", "--slices", "2", "--matrix", "48", "--pixel-spacing", "4")
    assert run(capsys, "phantom", "-o", tmp_path / "small", *small, "--whole")[0] == 0
    whole = read_cine(tmp_path / "small" / "cine.nii.gz")
    assert whole.shape == (4, 2, 48, 48)
    assert whole.spacing[1:] == pytest.approx((4, 4))
    assert (whole.frames == np.rint(whole.frames)).all()
    assert whole.frames.max() > 100
    code, _, err = run(capsys, "phantom", "-o", tmp_path / "x", "--ejection-fraction", "0.99")
    assert code == 2
    assert "0.15 to 0.75" in err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(("kind", "files"), [((), 5 * 4), (("--enhanced",), 5)])
def test_phantom_writes_dicom_beside_its_study(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: tuple[str, ...], files: int
) -> None:
    few = ("--frames", "4", "--slices", "2", "--clean")
    code, _, err = run(capsys, "phantom", "-o", tmp_path / "study", "--dicom", *kind, *few)
    assert (code, err) == (0, "")
    assert len(list((tmp_path / "study" / "dicom").rglob("*.dcm"))) == files
    written = {path.name for path in (tmp_path / "study").iterdir()}
    assert {"cine.nii.gz", "2ch.nii.gz", "dicom"} < written
    assert {re.sub(r"\d", "", name) for name in written} == set(names_of(truth=False, dicom=True))


def test_phantom_makes_the_folders_above_and_replaces_a_study_and_nothing_else(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = tmp_path / "new" / "folders" / "study"
    arguments = (
        "phantom",
        "-o",
        study,
        "--frames",
        "4",
        "--slices",
        "2",
        "--matrix",
        "48",
        "--pixel-spacing",
        "4",
    )
    assert run(capsys, *arguments, "--truth", "--seed", "1")[0] == 0
    assert {re.sub(r"\d", "", path.name) for path in study.iterdir()} == set(names_of(truth=True, dicom=False))
    first = (study / "cine.nii.gz").read_bytes()
    assert run(capsys, *arguments, "--truth", "--seed", "2")[0] == 0
    second = (study / "cine.nii.gz").read_bytes()
    assert first != second
    # Another study would leave behind what it does not have itself: told before the work.
    monkeypatch.setattr("cardiac_motion.cli.phantom.make_study", None)
    code, _, err = run(capsys, *arguments, "--seed", "3")
    assert code == 2
    assert "which is no part of the new output" in err
    assert (study / "cine.nii.gz").read_bytes() == second
    code, _, err = run(capsys, "phantom", "-o", tmp_path / "other", "--enhanced")
    assert code == 2
    assert "expected --dicom with it" in err
    assert not (tmp_path / "other").exists()


def test_evaluate_makes_tables_with_the_unregistered_beside(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    code, out, err = run(capsys, "evaluate", folder, "-o", tmp_path / "e", *FAST)
    assert (code, err) == (0, "")
    assert "unregistered" in out
    assert "recursive" in (tmp_path / "e" / "summary.md").read_text()
    code, _, err = run(capsys, "evaluate", tmp_path / "nothing", "-o", tmp_path / "f")
    assert code == 2
    assert "nothing" in err


def test_the_installed_command_shows_its_version_and_help() -> None:
    command = [sys.executable, "-c", "from cardiac_motion.cli import main; main()"]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("cardiac-motion 0.")
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
    for name in ("demo", "propagate", "evaluate", "phantom"):
        assert name in done.stdout
