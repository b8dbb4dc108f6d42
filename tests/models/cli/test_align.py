"""`align`, `align-back`, and `propagate` with aligned slices, as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from cardiac_motion import pipeline_alignment
from cardiac_motion.cine import Cine
from cardiac_motion.cli import main
from cardiac_motion.io import read_cine, read_labels, write_cine, write_labels
from cardiac_motion.labels import Label
from cardiac_motion.shift_files import read_shifts

PLACES = np.array([(0, 0), (4, 0), (0, -5), (-4, 3), (0, 5), (3, 0)])
"""Pixels of 1.5 mm by which the slices are displaced."""


def _labels(radius: float) -> np.ndarray:
    y, x = np.mgrid[:72, :76]
    away = np.stack([np.hypot(y - 36 - dy, x - 38 - dx) for dy, dx in PLACES])
    return np.where(away < radius, Label.LV, np.where(away < radius + 5, Label.MYO, 0)).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stack")
    labels = np.stack([_labels(r) for r in (11, 10.5, 8, 10.5)])
    noise = np.random.default_rng(0).integers(0, 20, labels.shape)
    cine = Cine((60.0 * labels + noise).astype(np.float32), np.diag([1.5, 1.5, 8, 1.0]), 0.05 * np.arange(4))
    write_cine(path / "cine.nii.gz", cine)
    write_labels(path / "labels.nii.gz", labels, cine)
    write_labels(path / "ed.nii.gz", labels[0], cine)
    single = Cine(cine.frames[:, 2:3], cine.affine, cine.frame_times)
    write_cine(path / "single.nii.gz", single)
    write_labels(path / "single_labels.nii.gz", labels[:, 2:3], single)
    few = Cine(cine.frames[:, :3], cine.affine, cine.frame_times)
    write_cine(path / "few.nii.gz", few)
    write_labels(path / "few_labels.nii.gz", labels[:, :3], few)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    captured = capsys.readouterr()
    assert isinstance(stop.value.code, int)
    return stop.value.code, captured.out, captured.err


def test_a_stack_is_aligned_and_labels_come_back_exactly(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    before = (folder / "cine.nii.gz").read_bytes()
    made = {name: tmp_path / name for name in ("a.nii.gz", "s.json", "l.nii.gz", "p.png")}
    code, out, err = run(
        capsys, "align", folder / "cine.nii.gz", "--labels", folder / "labels.nii.gz", "-o", made["a.nii.gz"],
        "--shifts", made["s.json"], "--labels-out", made["l.nii.gz"], "--picture", made["p.png"], "--json",
    )  # fmt: skip
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert (folder / "cine.nii.gz").read_bytes() == before
    assert any("cannot be observed" in warning for warning in result["warnings"])
    assert result["shifts_mm"] == read_shifts(made["s.json"]).shifts.shifts_mm.tolist()
    aligned, native = read_cine(made["a.nii.gz"]), read_cine(folder / "cine.nii.gz")
    assert aligned.shape[:2] == native.shape[:2]
    assert aligned.shape[2] > native.shape[2]
    moved = read_labels(made["l.nii.gz"]).labels[0] == Label.LV
    centres = np.array([np.argwhere(plane).mean(axis=0) for plane in moved])
    line = np.stack([np.polyval(np.polyfit(range(6), column, 1), range(6)) for column in centres.T], axis=1)
    assert np.abs(centres - line).max() < 1
    assert made["p.png"].stat().st_size > 10_000
    code, out, err = run(
        capsys, "align-back", folder / "cine.nii.gz", made["l.nii.gz"], "--shifts", made["s.json"],
        "-o", tmp_path / "b.nii.gz", "--json",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert (read_labels(tmp_path / "b.nii.gz").labels == read_labels(folder / "labels.nii.gz").labels).all()
    assert json.loads(out)["voxels"] == np.count_nonzero(read_labels(folder / "labels.nii.gz").labels)


def test_labels_of_one_frame_suffice_and_the_text_says_what_was_found(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    code, out, _ = run(
        capsys, "align", folder / "cine.nii.gz", "--labels", f"{folder}/ed.nii.gz@0", "-o", tmp_path / "a.nii.gz",
        "--labels-out", tmp_path / "l.nii.gz",
    )  # fmt: skip
    assert code == 0
    assert "slice 1: +" in out
    assert "linear trend (the tilt of its axis) cannot be observed" in out
    assert read_labels(tmp_path / "l.nii.gz").labels.shape[0] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["align", "{c}", "--labels", "{l}", "-o", "{c}"], "the cine is"),
        (["align", "{c}", "--labels", "{l}", "-o", "{l}"], "the labels is"),
        (["align", "{c}", "--labels", "{l}", "-o", "{a}", "--shifts", "{a}"], "path of its own"),
        (["align", "{c}", "--labels", "{l}", "-o", "{t}/a.txt"], "expected a name that ends in"),
        (["align", "{c}", "--labels", "{l}", "-o", "{a}", "--picture", "{t}/p.gif"], "ends in .png"),
        (["align", "{c}", "--labels", "{f}/ed.nii.gz@7", "-o", "{a}"], "frames 0 to 3, got frame 7"),
        (["align", "{c}", "--labels", "{f}/ed.nii.gz", "-o", "{a}", "--picture", "{t}/p.png"], "ed.nii.gz@0"),
        (["align", "{c}", "--labels", "{f}/few_labels.nii.gz", "-o", "{a}"], "has size"),
        (["align", "{c}", "-o", "{a}", "--labels-out", "{t}/l.nii.gz"], "expected --labels, got none"),
        (["align", "{c}", "-o", "{a}", "--model", "magic"], "unknown segmentation model 'magic'"),
        (["align", "{c}", "-o", "{a}"], "'unet', whose weights are not there"),
        (
            ["align", "{f}/single.nii.gz", "--labels", "{f}/single_labels.nii.gz", "-o", "{a}"],
            "a single slice has no neighbours",
        ),
        (
            ["align", "{f}/few.nii.gz", "--labels", "{f}/few_labels.nii.gz", "-o", "{a}"],
            "at least 4 slices that show the LV with its wall, got 3",
        ),
        (["align-back", "{c}", "{l}", "--shifts", "{t}/none", "-o", "{b}"], "cannot read the shifts"),
        (["align-back", "{c}", "{l}", "--shifts", "{l}", "-o", "{b}"], "expected shifts of slices"),
        (["propagate", "{c}", "--labels", "{f}/ed.nii.gz@0", "-o", "{b}", "--align"], "weights are not there"),
        (["propagate", "{f}/single.nii.gz", "--labels", "{f}/single_labels.nii.gz@0", "-o", "{b}",
          "--align"], "a single slice has no neighbours"),
    ],
)  # fmt: skip
def test_bad_input_ends_in_2_with_one_line_and_nothing_written(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    tmp_path: Path,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.setattr(pipeline_alignment, "shipped_weights", lambda: ())
    names = {"c": folder / "cine.nii.gz", "l": folder / "labels.nii.gz", "f": folder, "t": tmp_path}
    names |= {"a": tmp_path / "a.nii.gz", "b": tmp_path / "b.nii.gz"}
    kept = {path: path.read_bytes() for path in folder.iterdir()}
    code, out, err = run(capsys, *(argument.format(**names) for argument in arguments))
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
    assert {path: path.read_bytes() for path in folder.iterdir()} == kept


def test_labels_on_the_native_grid_are_no_labels_of_the_aligned_one(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    common = ("align", folder / "cine.nii.gz", "--labels", folder / "labels.nii.gz", "-o", tmp_path / "a.nii.gz")
    run(capsys, *common, "--shifts", tmp_path / "s.json")
    native = ("align-back", folder / "cine.nii.gz", folder / "labels.nii.gz", "--shifts", tmp_path / "s.json")
    code, _, err = run(capsys, *native, "-o", tmp_path / "b.nii.gz")
    assert code == 2
    assert "aligned" in err
    other = ("align-back", folder / "few.nii.gz", folder / "few_labels.nii.gz", "--shifts", tmp_path / "s.json")
    code, _, err = run(capsys, *other, "-o", tmp_path / "b.nii.gz")
    assert code == 2
    assert "belong to another image" in err


def test_labels_are_propagated_by_a_motion_of_the_aligned_cine(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    cine, ed = folder / "cine.nii.gz", f"{folder}/ed.nii.gz@0"
    aligned = ("align", cine, "--labels", folder / "labels.nii.gz", "-o", tmp_path / "a.nii.gz")
    run(capsys, *aligned, "--shifts", tmp_path / "s.json")
    fast = ("--option", "iterations=4", "--option", "levels=2", "--option", "dimensions=3", "--json")
    common = ("propagate", cine, "--labels", ed, "-o", tmp_path / "l.nii.gz", *fast)
    plain = json.loads(run(capsys, *common)[1])
    first = json.loads(run(capsys, *common, "--shifts", tmp_path / "s.json")[1])
    again = json.loads(run(capsys, *common, "--shifts", tmp_path / "s.json")[1])
    assert [each["motion_from_cache"] for each in (plain, first, again)] == [False, False, True]
    assert first["slice_shifts"]["shifts_mm"] == read_shifts(tmp_path / "s.json").shifts.shifts_mm.tolist()
    assert "slice_shifts" not in plain
    labels = read_labels(tmp_path / "l.nii.gz").labels
    assert (labels[0] == read_labels(folder / "ed.nii.gz").labels[0]).all()
    assert labels.shape == read_cine(cine).shape
