"""DICOM files into cases: on a real server, and the unpacking and the process by themselves."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import requests
from cardiac_motion.dicom.cine_series import CineSeries
from cardiac_motion.dicom.writer import Layout, write_dicom
from cardiac_motion.errors import Cancelled
from cardiac_motion.io import read_cine
from CardiacMotionLib.client import Client

from monailabel_app.lib.errors import RequestError, TooLarge, Unprocessable
from monailabel_app.lib.imports import runner
from monailabel_app.lib.imports.archive import unpack
from monailabel_app.lib.imports.runner import run_import
from monailabel_app.lib.imports.task import ImportTask
from tests.server.conftest import Study

IDENTITY = (b"Phantom^", b"PHANTOM-", b"Smith", b"2.25.")
MAX_BYTES = 2**26


@pytest.fixture(scope="module")
def dicom(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study as DICOM, named after its patient."""
    folder = tmp_path_factory.mktemp("dicom") / "Smith^John"
    write_dicom([CineSeries(study.cine, "sax")], folder, seed=4)
    return folder


@pytest.fixture(scope="module")
def archive(dicom: Path) -> bytes:
    return zipped({f"Smith^John/{path.relative_to(dicom)}": path.read_bytes() for path in dicom.rglob("*.dcm")})


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return buffer.getvalue()


def sent(address: str, content: bytes, route: str = "/datastore/dicom", **params: Any) -> requests.Response:
    files = {"file": ("dicom.zip", content)}
    return requests.post(f"{address}{route}", files=files, data={"params": json.dumps(params)}, timeout=120)


def refused(answer: requests.Response, status: int, code: str) -> str:
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], set(error)) == (status, code, {"code", "message", "field"}), error
    return str(error["message"])


def ids(client: Client, address: str) -> set[str]:
    everything = requests.get(f"{address}/datastore/?output=all", timeout=60).json()
    return set(everything["objects"])


def test_a_zip_of_dicom_becomes_cases_without_a_name(
    client: Client, address: str, study: Study, archive: bytes, studies: Path, tmp_path: Path
) -> None:
    answer = sent(address, archive, case="heart-1")
    assert answer.status_code == 200, answer.text
    (case,) = answer.json()["cases"]
    assert (case["image"], case["view"], case["shape"]) == ("heart-1_sax", "sax", list(study.cine.shape))
    assert case["rr_seconds"] == pytest.approx([study.cine.cycle_seconds] * 3, abs=1e-3)
    client.get_image("heart-1_sax", tmp_path / "back.nii.gz")
    back = read_cine(tmp_path / "back.nii.gz")
    assert back.affine == pytest.approx(study.cine.affine, abs=1e-3)
    assert back.frames == pytest.approx(study.cine.frames, abs=float(study.cine.frames.max()) / 65535)
    info = requests.get(f"{address}/datastore/image/info?image=heart-1_sax", timeout=60).json()
    assert set(info["dicom"]) == {"view", "rr_seconds", "notes"}

    kept = [path for path in studies.rglob("*") if path.is_file()]
    for path in kept:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        assert not any(word in content or word.decode() in path.name for word in IDENTITY), path
    assert not any((studies / ".cardiac_motion" / "scratch").iterdir())
    assert not any(path.suffix in {".dcm", ".zip"} for path in kept)


def test_the_same_files_make_the_same_cases_and_others_are_refused(
    client: Client, address: str, archive: bytes, dicom: Path
) -> None:
    first = sent(address, archive).json()["cases"]
    renamed = zipped({str(n): path.read_bytes() for n, path in enumerate(sorted(dicom.rglob("*.dcm")))})
    assert sent(address, renamed).json()["cases"] == first
    assert first[0]["image"].startswith("dicom-")
    before = ids(client, address)
    client.put_image("heart-2_sax", read_any(address, first[0]["image"], dicom.parent))
    assert sent(address, archive, case="heart-2").status_code == 200

    changed = {}
    for path in dicom.rglob("*.dcm"):
        ds = pydicom.dcmread(path)
        ds.PixelData = (ds.pixel_array + 1).tobytes()
        changed[str(path)] = as_bytes(ds)
    message = refused(sent(address, zipped(relative(changed)), case="heart-2"), 409, "conflict")
    assert "heart-2_sax" in message
    assert ids(client, address) == before | {"heart-2_sax"}


def relative(files: dict[str, bytes]) -> dict[str, bytes]:
    return {str(number): content for number, content in enumerate(files.values())}


def read_any(address: str, image: str, folder: Path) -> Path:
    path = folder / "any.nii.gz"
    path.write_bytes(requests.get(f"{address}/datastore/image?image={image}", timeout=60).content)
    return path


def as_bytes(ds: pydicom.Dataset) -> bytes:
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, ds)
    return buffer.getvalue()


def test_what_is_wrong_with_the_files_is_told_by_their_names_in_the_zip(
    client: Client, address: str, dicom: Path
) -> None:
    before = ids(client, address)
    files = {f"a/{path.relative_to(dicom)}": path.read_bytes() for path in sorted(dicom.rglob("*.dcm"))}
    broken = sorted(files)[7]
    files[broken] = files[broken][:-500]
    message = refused(sent(address, zipped(files)), 422, "bad_dicom")
    assert broken in message
    assert "scratch" not in message
    message = refused(sent(address, zipped({"notes.txt": b"no heart"})), 422, "bad_dicom")
    assert "cine" in message
    assert ids(client, address) == before
    answer = sent(address, zipped(files), case="rest", keep_going=True).json()
    assert [case["shape"][1] for case in answer["cases"]] in ([1], [2])
    assert any(broken in left["files"] and left["is_error"] for left in answer["left"])


def test_an_import_is_a_job_too(client: Client, address: str, archive: bytes) -> None:
    answer = sent(address, archive, "/jobs/datastore/dicom", case="job")
    assert answer.status_code == 202
    job = answer.json()["job"]
    while not (state := client.job(job)).is_finished:
        pass
    assert state.state == "done"
    result = requests.get(f"{address}/jobs/{job}/result", timeout=60).json()
    assert [case["image"] for case in result["cases"]] == ["job_sax"]


@pytest.mark.parametrize(
    ("params", "status"),
    [({"case": "../x"}, 400), ({"case": "x.nii"}, 400), ({"all": True}, 422), ({"keep_going": "yes"}, 422)],
)
def test_parameters_are_checked_before_anything_is_kept(
    address: str, archive: bytes, params: dict[str, Any], status: int
) -> None:
    assert sent(address, archive, **params).status_code == status


# Unpacking


def test_names_in_a_zip_decide_over_nothing(tmp_path: Path) -> None:
    names = ["a/b/IM1", "a/b/IM1 ", "CON", "x" * 3000, "new\nline", "Ö/ü"]
    (tmp_path / "in.zip").write_bytes(zipped({name: name.encode() for name in names}))
    out = tmp_path / "out"
    out.mkdir()
    found = unpack(tmp_path / "in.zip", out, max_files=1000, max_bytes=MAX_BYTES)
    assert [(out / own).read_bytes().decode() for own in found] == names
    assert sorted(path.name for path in out.iterdir()) == list(found) == [f"file-{n:06d}" for n in range(6)]
    assert all(shown.isprintable() and len(shown) <= 80 for shown in found.values())


@pytest.mark.parametrize(
    ("name", "change", "kind"),
    [
        ("../evil", None, Unprocessable),
        ("a/../../evil", None, Unprocessable),
        ("/etc/evil", None, Unprocessable),
        ("..\\evil", None, Unprocessable),
        ("C:\\evil", None, Unprocessable),
        ("\\\\host\\share\\evil", None, Unprocessable),
        ("link", lambda entry: setattr(entry, "external_attr", 0o120777 << 16), Unprocessable),
        ("bzip2", lambda entry: setattr(entry, "compress_type", zipfile.ZIP_BZIP2), Unprocessable),
        ("lzma", lambda entry: setattr(entry, "compress_type", zipfile.ZIP_LZMA), Unprocessable),
    ],
)
def test_entries_that_are_no_plain_files_are_refused(
    tmp_path: Path, name: str, change: Callable[[zipfile.ZipInfo], None] | None, kind: type[RequestError]
) -> None:
    entry = zipfile.ZipInfo(name)
    if change is not None:
        change(entry)
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as target:
        target.writestr("sound", b"sound")
        target.writestr(entry, b"content", compress_type=entry.compress_type)
    (tmp_path / "out").mkdir()
    with pytest.raises(kind) as raised:
        unpack(tmp_path / "in.zip", tmp_path / "out", max_files=1000, max_bytes=MAX_BYTES)
    assert raised.value.code == "bad_zip"
    assert not any((tmp_path / "out").iterdir())


def test_an_archive_that_is_too_much_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in.zip").write_bytes(zipped({str(n): bytes(2**16) for n in range(64)}))
    (tmp_path / "out").mkdir()
    with pytest.raises(TooLarge) as raised:
        unpack(tmp_path / "in.zip", tmp_path / "out", max_files=63, max_bytes=2**30)
    assert raised.value.code == "too_many_files"
    with pytest.raises(TooLarge, match="4194303 bytes unpacked"):
        unpack(tmp_path / "in.zip", tmp_path / "out", max_files=64, max_bytes=2**22 - 1)
    assert not any((tmp_path / "out").iterdir())


def test_sizes_that_lie_and_files_that_overlap_are_no_way_round_the_limits(tmp_path: Path) -> None:
    whole = bytearray(zipped({"bomb": bytes(2**24)}))
    at = whole.index(b"PK\x01\x02")
    for place in (22, at + 24):  # the unpacked size, in the entry and in the directory
        whole[place : place + 4] = (1000).to_bytes(4, "little")
    (tmp_path / "lie.zip").write_bytes(whole)
    (tmp_path / "out").mkdir()
    with pytest.raises(Unprocessable):
        unpack(tmp_path / "lie.zip", tmp_path / "out", max_files=1000, max_bytes=MAX_BYTES)
    assert sum(path.stat().st_size for path in (tmp_path / "out").iterdir()) <= 1000


# The process


@pytest.fixture
def task(tmp_path: Path, archive: bytes) -> ImportTask:
    (tmp_path / "in.zip").write_bytes(archive)
    (tmp_path / "work").mkdir()
    return ImportTask(
        archive=str(tmp_path / "in.zip"),
        folder=str(tmp_path / "work"),
        all_stacks=False,
        keep_going=False,
        max_files=1000,
        max_bytes=2**26,
        max_voxels=2**22,
        max_frames=50,
        memory_bytes=2**33,
        seconds=300,
    )


def changed(task: ImportTask, **change: Any) -> ImportTask:
    return ImportTask(**{**json.loads(task.to_argument()), **change})


def test_limits_hold_in_the_process(task: ImportTask) -> None:
    with pytest.raises(TooLarge, match="at most 1000 voxels"):
        run_import(changed(task, max_voxels=1000), seconds=300, report=lambda *_: None)


@pytest.mark.skipif(os.name != "posix", reason="not run: only POSIX systems limit the memory of a process")
def test_too_much_memory_is_refused(task: ImportTask, study: Study, tmp_path: Path) -> None:
    large = replace(study.cine, frames=np.zeros((5, 2, 1024, 1024), np.float32))
    write_dicom([CineSeries(large, "sax")], tmp_path / "large", seed=1)
    content = {path.name: path.read_bytes() for path in (tmp_path / "large" / "001_sax").iterdir()}
    content |= {f"1{path.name}": path.read_bytes() for path in (tmp_path / "large" / "002_sax").iterdir()}
    (tmp_path / "in.zip").write_bytes(zipped(content))
    run_import(changed(task, max_voxels=2**24), seconds=300, report=lambda *_: None)
    (other := tmp_path / "other").mkdir()
    with pytest.raises((TooLarge, Unprocessable), match=r"[mM]emory"):
        run_import(
            changed(task, folder=str(other), max_voxels=2**24, memory_bytes=2**24),
            seconds=120,
            report=lambda *_: None,
        )


def test_an_import_that_takes_too_long_or_is_cancelled_is_ended(
    task: ImportTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Remembered(subprocess.Popen):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            started.append(self)

    monkeypatch.setattr(runner.subprocess, "Popen", Remembered)
    with pytest.raises(Unprocessable) as raised:
        run_import(task, seconds=0.0, report=lambda *_: None)
    assert raised.value.code == "takes_too_long"

    def cancel(share: float, _message: str) -> None:
        if share > 0:
            raise Cancelled("no more of it")

    (other := Path(task.folder).parent / "other").mkdir()
    with pytest.raises(Cancelled):
        run_import(changed(task, folder=str(other)), seconds=300, report=cancel)
    assert [process.poll() is not None for process in started] == [True, True]


@pytest.mark.skipif(os.name != "posix", reason="not run: only POSIX systems tell of signals")
def test_files_that_bring_the_process_down_leave_the_server_alive(
    task: ImportTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = f"import os; os.kill(os.getpid(), {int(signal.SIGSEGV)})"
    real = subprocess.Popen
    monkeypatch.setattr(
        runner.subprocess, "Popen", lambda _command, **named: real([sys.executable, "-c", crash], **named)
    )
    with pytest.raises(Unprocessable, match="ended the process"):
        run_import(task, seconds=300, report=lambda *_: None)


def test_voxels_are_those_of_the_files_in_any_layout(task: ImportTask, study: Study, tmp_path: Path) -> None:
    folder = tmp_path / "one series"
    write_dicom([CineSeries(study.cine, "sax")], folder, seed=5, enhanced=True, layout=Layout.SLICE_MAJOR)
    content = zipped({path.name: path.read_bytes() for path in folder.rglob("*.dcm")})
    (tmp_path / "in.zip").write_bytes(content)
    shares: list[float] = []
    found = run_import(task, seconds=300, report=lambda share, _message: shares.append(share))
    (cine,) = found["cines"]
    values = read_cine(Path(task.folder) / "cines" / cine["file"])
    assert np.abs(values.frames - study.cine.frames).max() <= float(study.cine.frames.max()) / 65535
    assert shares == sorted(shares)
    assert shares[-1] >= 0.9
