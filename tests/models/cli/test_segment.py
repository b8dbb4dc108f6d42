"""`cardiac-motion segment`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
import torch
from cardiac_motion.cli import main
from cardiac_motion.cli import segment as command
from cardiac_motion.errors import InputError
from cardiac_motion.io import read_cine, read_labels, write_cine, write_labels
from cardiac_motion.labels import Label
from cardiac_motion.networks.unet import ModifiedUNet
from cardiac_motion.phantom import TEST_SEEDS, PhantomOptions, make_study
from cardiac_motion.weights import save_weights

FAST = ("--motion-option", "iterations=2", "--motion-option", "levels=1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cine of 5 frames, the labels of its first, and weights of a network that has learned nothing."""
    path = tmp_path_factory.mktemp("case")
    options = PhantomOptions(frames=5, slices=2, matrix=(96, 96), pixel_spacing=2.4, motion_truth=False)
    study = make_study(TEST_SEEDS[1], options)
    write_cine(path / "cine.nii.gz", study.cine)
    write_labels(path / "ed.nii.gz", np.where(study.labels[0] <= Label.LV, study.labels[0], 0), study.cine)
    torch.manual_seed(0)
    config = {"classes": 4, "width": 4, "levels": 3}
    save_weights(path / "w.pt", ModifiedUNet(**config).state_dict(), model="unet", network="unet", config=config)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["segment", *map(str, arguments)])
    captured = capsys.readouterr()
    assert isinstance(stop.value.code, int)
    return stop.value.code, captured.out, captured.err


def test_all_frames_with_entropy_and_table(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    outputs = ("-o", tmp_path / "l.nii.gz", "--entropy", tmp_path / "e.nii.gz", "--table", tmp_path / "t.csv")
    code, out, err = run(capsys, folder / "cine.nii.gz", "--weights", folder / "w.pt", *outputs, "--json")
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert (result["model"]["name"], result["frames"], result["key_frames"]) == ("unet", [0, 1, 2, 3, 4], [])
    labels, cine = read_labels(tmp_path / "l.nii.gz").labels, read_cine(folder / "cine.nii.gz")
    assert labels.shape == cine.shape
    doubts = read_cine(tmp_path / "e.nii.gz")
    assert 0 <= doubts.frames.min() < doubts.frames.max() <= np.log(4) + 1e-4
    np.testing.assert_allclose(doubts.affine, cine.affine, atol=1e-4)
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["LV_voxels"]) for row in rows] == [(frame == Label.LV).sum() for frame in labels]
    assert {"RV_ml", "MYO_ml", "LV_ml", "time_s"} <= set(rows[0])


def test_probabilities_of_every_class(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path) -> None:
    wanted = tmp_path / "p.nii.gz"
    arguments = (folder / "cine.nii.gz", "--weights", folder / "w.pt", "-o", tmp_path / "l.nii.gz")
    outputs = ("--probabilities", wanted, "--entropy", tmp_path / "e.nii.gz")
    code, out, _ = run(capsys, *arguments, *outputs, "--frames", "3,1", "--json")
    assert (code, json.loads(out)["written"]["probabilities"]) == (0, str(wanted))
    cine, image = read_cine(folder / "cine.nii.gz"), nib.nifti1.load(wanted)
    assert image.shape == (*cine.shape[::-1], 4)
    assert image.get_data_dtype() == np.uint8
    assert wanted.stat().st_size < 4 * cine.frames.size / 2
    doubts = nib.nifti1.load(tmp_path / "e.nii.gz")
    np.testing.assert_array_equal(image.affine, doubts.affine)
    assert image.header["pixdim"][:5].tolist() == doubts.header["pixdim"][:5].tolist()
    assert image.header.get_xyzt_units() == doubts.header.get_xyzt_units()
    found = image.get_fdata().T  # (K, T, Z, Y, X)
    assert not found[:, [0, 2, 4]].any()
    np.testing.assert_allclose(found[:, [1, 3]].sum(axis=0), 1, atol=4 * 0.5 / 255 + 1e-6)
    labels = read_labels(tmp_path / "l.nii.gz").labels
    held = labels[[1, 3]] > 0
    assert held.any()
    # The anatomy is tidied up after the probabilities, and two of them may be the same when rounded.
    asked = found[:, [1, 3]]
    chosen = np.take_along_axis(asked, labels[None, [1, 3]].astype(int), axis=0)[0]
    assert (chosen >= asked.max(axis=0) - 1e-6)[held].mean() > 0.8
    sure = read_cine(tmp_path / "e.nii.gz").frames[[1, 3]] == 0
    assert sure.any()
    assert (found[0, [1, 3]][sure] > 0.999).all()
    peer = SimpleITK.ReadImage(str(wanted))
    np.testing.assert_allclose(SimpleITK.GetArrayFromImage(peer), found, atol=1e-6)


@pytest.mark.parametrize("name", ["p.nrrd", "p.seq.nrrd", "p", "p.npy"])
def test_probabilities_are_nifti(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, name: str
) -> None:
    arguments = (folder / "cine.nii.gz", "--weights", folder / "w.pt", "-o", tmp_path / "l.nii.gz")
    code, out, err = run(capsys, *arguments, "--probabilities", tmp_path / name)
    assert (code, out, len(err.strip().splitlines())) == (2, "", 1)
    assert f"cannot write probabilities to {tmp_path / name}: expected a name that ends in .nii or .nii.gz" in err
    assert not list(tmp_path.iterdir())


def test_where_probabilities_cannot_be_written_nothing_is(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *_: object) -> None:
        path.write_bytes(b"half of it")
        raise InputError(f"cannot write {path}: No space left on device")

    monkeypatch.setattr(command, "write_probabilities", full)
    arguments = (folder / "cine.nii.gz", "--weights", folder / "w.pt", "-o", tmp_path / "new" / "l.nii.gz")
    code, out, err = run(capsys, *arguments, "--probabilities", tmp_path / "p.nii.gz")
    assert (code, out) == (2, "")
    assert f"cannot write {tmp_path / 'p.nii.gz'}: No space left" in err
    assert not list(tmp_path.iterdir())


def test_probabilities_of_fused_are_sure_of_what_was_drawn(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    cine = read_cine(folder / "cine.nii.gz")
    ed = read_labels(folder / "ed.nii.gz").labels[0]
    # Without an RV: its place among the classes is kept, and is zero.
    drawn = np.where(ed == Label.RV, 0, ed)
    write_labels(tmp_path / "drawn.nii.gz", drawn, cine)
    key = ("--model", "fused", "--labels", f"{tmp_path}/drawn.nii.gz@0", "--weights", folder / "w.pt", *FAST)
    outputs = ("-o", tmp_path / "l.nii.gz", "--probabilities", tmp_path / "p.nii")
    code, out, _ = run(capsys, folder / "cine.nii.gz", *key, *outputs, "--json")
    assert code == 0
    assert set(json.loads(out)["written"]) == {"labels", "probabilities"}
    found = nib.nifti1.load(tmp_path / "p.nii").get_fdata().T
    assert found.shape == (4, *cine.shape)
    assert not found[Label.RV].any()
    np.testing.assert_array_equal(found[:, 0] > 0.5, drawn == np.arange(4)[:, None, None, None])
    assert set(np.unique(found[:, 0]).round(6)) == {0, 1}
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=4 * 0.5 / 255 + 1e-6)
    labels = read_labels(tmp_path / "l.nii.gz").labels
    either = (labels > 0) | (found.argmax(axis=0) > 0)
    assert (labels == found.argmax(axis=0))[either].mean() > 0.95


def test_frames_that_are_not_asked_for_stay_empty_and_it_is_said(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    arguments = (folder / "cine.nii.gz", "--weights", folder / "w.pt", "-o", tmp_path / "l.nii.gz")
    code, out, _ = run(capsys, *arguments, "--frames", "3,1", "--flips")
    assert code == 0
    assert "2 of 5 frames" in out
    assert "frames other than 1, 3 were not asked for and are empty" in out
    labels = read_labels(tmp_path / "l.nii.gz").labels
    assert np.flatnonzero(labels.any(axis=(1, 2, 3))).tolist() == [1, 3]


def test_it_is_said_that_every_frame_of_a_4d_label_is_a_key_frame(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    cine = read_cine(folder / "cine.nii.gz")
    ed = read_labels(folder / "ed.nii.gz").labels
    write_labels(tmp_path / "all.nii.gz", np.repeat(ed, cine.n_frames, axis=0), cine)
    key = ("--model", "fused", "--labels", tmp_path / "all.nii.gz", "--weights", folder / "w.pt", *FAST)
    code, out, err = run(capsys, folder / "cine.nii.gz", *key, "-o", tmp_path / "l.nii.gz", "--json")
    assert (code, json.loads(out)["key_frames"]) == (0, [0, 1, 2, 3, 4])
    assert "all 5 of its frames that hold labels are key frames" in err


def test_fused_keeps_what_was_drawn(capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path) -> None:
    key = ("--model", "fused", "--labels", f"{folder}/ed.nii.gz@0", "--weights", folder / "w.pt", *FAST)
    arguments = (folder / "cine.nii.gz", *key, "-o", tmp_path / "l.nii.gz", "--json")
    first, second = (json.loads(run(capsys, *arguments)[1]) for _ in range(2))
    assert (first["model"]["name"], first["key_frames"]) == ("fused", [0])
    assert [each["motion"]["from_cache"] for each in (first, second)] == [False, True]
    labels = read_labels(tmp_path / "l.nii.gz").labels
    np.testing.assert_array_equal(labels[0], read_labels(folder / "ed.nii.gz").labels[0])
    assert labels.any(axis=(1, 2, 3)).all()
    code, out, err = run(capsys, *arguments[:-1])
    assert (code, err) == (0, "")
    assert "key frames 0, kept as they were drawn" in out
    assert "EF" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--frames", "1;2"], "expected all, or frames as 0,9"),
        (["--frames", "7"], "frames from 0 to 4, got 7"),
        (["--model", "magic"], "unknown segmentation model 'magic'"),
        (["--view", "top"], "'top' is not one of"),
        (["--view", "lax"], "taken for view lax"),
        (["--model", "fused"], "needs --labels FILE@FRAME"),
        (["--labels", "{folder}/ed.nii.gz@0"], "--labels is for --model fused"),
        (["--model", "fused", "--labels", "{folder}/ed.nii.gz"], "say which frame"),
        (["--motion-option", "levels=2"], "--motion-option is for --model fused"),
        (["--weights", "{folder}/no.pt"], "no.json beside the weights"),
        (["--table", "{folder}/cine.nii.gz"], "the cine is"),
        (["--probabilities", "{folder}/cine.nii.gz"], "the cine is"),
    ],
)
def test_bad_input_ends_in_2_with_one_line_and_nothing_written(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    given = [argument.format(folder=folder) for argument in arguments]
    if "--weights" not in given:
        given += ["--weights", str(folder / "w.pt")]
    code, out, err = run(capsys, folder / "cine.nii.gz", "-o", tmp_path / "l.nii.gz", *given)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
