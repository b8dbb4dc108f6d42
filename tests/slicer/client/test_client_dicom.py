"""The client's import of DICOM files, on a real server."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.dicom.cine_series import CineSeries
from cardiac_motion.dicom.writer import write_dicom
from CardiacMotionLib.client import BadCall, Cancelled, Client, ServerRefused, pack_dicom

from monailabel_app.local_server import local_server


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    studies = tmp_path_factory.mktemp("studies")
    with local_server(studies, options=["--threads", "1"]) as address, Client(address) as connected:
        yield connected


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    frames = np.random.default_rng(1).integers(0, 1000, (4, 2, 16, 20)).astype(np.float32)
    cine = Cine(frames, np.diag([2.0, 2.0, 8.0, 1.0]), np.arange(4) * 0.2)
    write_dicom([CineSeries(cine, "sax", rr_seconds=(0.8, 0.9))], tmp_path / "dicom", seed=1)
    return tmp_path / "dicom"


def test_a_folder_becomes_cases(client: Client, folder: Path, tmp_path: Path) -> None:
    assert client.offer().imports == ("dicom",)
    # Before all years that zips know.
    os.utime(next(folder.rglob("*.dcm")), (0, 0))
    assert pack_dicom(folder, tmp_path / "dicom.zip") == 8
    shares: list[float] = []
    answer = client.import_dicom(
        tmp_path / "dicom.zip", case="one", progress=lambda share, _message: shares.append(share)
    )
    (case,) = answer.cases
    # Planes at right angles to the body are none of the heart's views.
    assert (case.image, case.view, case.shape, answer.left) == ("one_other", "other", (4, 2, 16, 20), ())
    assert sorted(case.rr_seconds) == pytest.approx([0.8, 0.9])
    assert shares[-1] == 1.0
    client.get_image("one_other", tmp_path / "image.nii.gz")


def test_refusals_and_cancelling(client: Client, folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        archive.writestr("notes.txt", "no heart")
    with pytest.raises(ServerRefused) as raised:
        client.import_dicom(tmp_path / "none.zip")
    assert (raised.value.code, raised.value.field) == ("bad_dicom", "file")
    pack_dicom(folder, tmp_path / "dicom.zip")
    with pytest.raises(Cancelled):
        client.import_dicom(tmp_path / "dicom.zip", case="two", cancelled=lambda: True)
    with pytest.raises(ServerRefused) as raised:
        client.get_image("two_other", tmp_path / "x")
    assert raised.value.status == 404


def test_what_cannot_be_packed_is_told(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadCall, match="has none"):
        pack_dicom(tmp_path / "empty", tmp_path / "x.zip")
    with pytest.raises(BadCall, match="expected a folder"):
        pack_dicom(tmp_path / "nowhere", tmp_path / "x.zip")
    with pytest.raises(Cancelled):
        pack_dicom(folder, tmp_path / "x.zip", cancelled=lambda: True)
    assert not list(tmp_path.glob("*.zip"))
