"""`cardiac-motion import`."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.cli import main
from cardiac_motion.dicom.cine_series import CineSeries
from cardiac_motion.dicom.writer import write_dicom
from cardiac_motion.io import read_cine

IDENTITY = ("Mustermann", "Erika", "MRN-4711", "19640812", "St. Elsewhere", "20260102")


@pytest.fixture
def dicom(tmp_path: Path) -> Path:
    """A short-axis cine of a patient whose every tag says who they are."""
    normal = np.array([0.5, -0.6, 0.62]) / np.linalg.norm([0.5, -0.6, 0.62])
    row = np.cross(normal, [0.0, 0.0, 1.0]) / np.linalg.norm(np.cross(normal, [0.0, 0.0, 1.0]))
    affine = np.eye(4)
    affine[:3, :3] = np.stack([1.4 * row, 1.4 * np.cross(normal, row), 8.0 * normal], axis=1)
    frames = np.random.default_rng(0).integers(0, 900, (6, 3, 16, 20)).astype(np.float32)
    cine = Cine(frames, affine, np.arange(6) * 0.13)
    write_dicom([CineSeries(cine, "sax")], tmp_path / "dicom", seed=1)
    for path in (tmp_path / "dicom").rglob("*.dcm"):
        ds = pydicom.dcmread(path)
        ds.PatientName, ds.PatientID, ds.PatientBirthDate = "Mustermann^Erika", "MRN-4711", "19640812"
        ds.InstitutionName, ds.StudyDate, ds.AcquisitionDate = "St. Elsewhere", "20260102", "20260102"
        ds.SeriesDescription = "Mustermann cine sax 20260102"
        ds.save_as(path)
    return tmp_path / "dicom"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["import", *(str(a) for a in arguments)])
    captured = capsys.readouterr()
    assert isinstance(stop.value.code, int)
    return stop.value.code, captured.out, captured.err


def test_import_writes_a_file_per_view_and_nothing_about_the_patient(
    capsys: pytest.CaptureFixture[str], dicom: Path, tmp_path: Path
) -> None:
    (dicom / "Mustermann.txt").write_text("Erika")
    code, out, err = run(capsys, dicom, "-o", tmp_path / "out")
    assert (code, err) == (0, "")
    assert "sax: 3 slices of 6 frames, heart cycle 0.780 s, series 1, 2, 3" in out
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["import.json", "sax.nii.gz"]
    text = (tmp_path / "out" / "import.json").read_text()
    summary = json.loads(text)
    (cine,) = summary["cines"]
    assert (cine["view"], cine["shape"], cine["rr_seconds"]) == ("sax", [6, 3, 16, 20], [0.78] * 3)
    assert summary["left"] == [{"reason": "not DICOM", "is_error": False, "series": [], "n_files": 1}]
    np.testing.assert_allclose(read_cine(tmp_path / "out" / "sax.nii.gz").frame_times, cine["frame_times_s"])
    held = text.encode() + gzip.decompress((tmp_path / "out" / "sax.nii.gz").read_bytes())
    # On the terminal names of files are shown, and nothing else of the patient.
    for word in IDENTITY:
        assert word.encode() not in held
        assert word not in out.replace("Mustermann.txt", "")


def test_a_broken_folder_is_one_line_and_no_output(
    capsys: pytest.CaptureFixture[str], dicom: Path, tmp_path: Path
) -> None:
    gone = sorted(dicom.rglob("*.dcm"))[2]
    gone.unlink()
    code, out, err = run(capsys, dicom, "-o", tmp_path / "out")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "a phase is missing: 5 of 6 frames, none between 130 and 390 ms" in err
    assert not any(word in err for word in IDENTITY)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dicom"]
    code, out, err = run(capsys, dicom, "-o", tmp_path / "out", "--keep-going", "--json")
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert [each["shape"] for each in result["cines"]] == [[6, 2, 16, 20]]
    assert "slices may be missing" in result["cines"][0]["notes"][0]
    assert [each["is_error"] for each in result["left"]] == [True]
    assert result["left"][0]["files"]


def test_import_replaces_an_import_and_nothing_else(
    capsys: pytest.CaptureFixture[str], dicom: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "out"
    assert run(capsys, dicom, "-o", out)[0] == 0
    assert run(capsys, dicom, "-o", out, "--all")[0] == 0
    (out / "notes.txt").write_text("mine")
    code, _, err = run(capsys, dicom, "-o", out)
    assert code == 2
    assert "notes.txt" in err
    code, _, err = run(capsys, dicom, "-o", dicom / "out")
    assert code == 2
    assert "DICOM folder" in err
