"""Images: what lies in the folder, what is uploaded, and what is refused."""

from __future__ import annotations

import gzip
import hashlib
import logging
import os
import shutil
import struct
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.io import load_cine, write_cine

from monailabel_app.lib.datastore import LocalDatastore
from monailabel_app.lib.datastore.images import ImageFolder
from monailabel_app.lib.errors import Conflict, NotFound, RequestError, Unprocessable

MakeCine = Callable[..., Cine]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def settle(folder: Path) -> None:
    """Make a folder one that has not changed for long."""
    os.utime(folder, ns=(10**18, 10**18))


@pytest.mark.parametrize("name", ["a.nii.gz", "a.seq.nrrd", "b.nii"])
def test_an_image_keeps_its_bytes(store: LocalDatastore, studies: Path, files: Path, name: str) -> None:
    record = store.add_image_file("case-1", files / name, info={"site": "x"})
    ending = name[1:]
    assert record.path == studies / f"case-1{ending}"
    assert record.path.read_bytes() == (files / name).read_bytes()
    assert record.sha256 == sha256(files / name)
    assert record.to_json() == {
        "site": "x",
        "ts": int((studies / f"case-1{ending}").stat().st_mtime),
        "name": f"case-1{ending}",
        "checksum": f"SHA256:{sha256(files / name)}",
    }
    case = store.case("case-1")
    assert (case.id, case.cine.name, case.sha256) == ("case-1", "case-1", record.sha256)
    assert case.cine.content_hash == load_cine(files / name)[0].content_hash
    assert case.notes == ()
    assert list(store.scratch_path.iterdir()) == []


def test_an_upload_without_an_ending(store: LocalDatastore, studies: Path, files: Path) -> None:
    with store.scratch_file() as upload:
        shutil.copyfile(files / "a.seq.nrrd", upload)
        with pytest.raises(RequestError, match="expected a file whose name ends in"):
            store.add_image_file("a", upload)
        store.add_image_file("a", upload, ending=".seq.nrrd")
    assert (studies / "a.seq.nrrd").read_bytes() == (files / "a.seq.nrrd").read_bytes()
    assert (studies / "a.seq.nrrd").stat().st_nlink == 1


def test_the_same_bytes_again_change_nothing(store: LocalDatastore, studies: Path, files: Path) -> None:
    first = store.add_image_file("a", files / "a.nii.gz", info={"note": "first"})
    before = (studies / "a.nii.gz").stat()
    again = store.add_image_file("a", files / "a.nii.gz", info={"note": "second"})
    assert again.sha256 == first.sha256
    assert again.info == {"note": "first"}
    assert (studies / "a.nii.gz").stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("name", ["b.nii.gz", "b.nii", "a.seq.nrrd"])
def test_another_content_under_the_id(store: LocalDatastore, studies: Path, files: Path, name: str) -> None:
    store.add_image_file("a", files / "a.nii.gz")
    with pytest.raises(Conflict, match="another image a"):
        store.add_image_file("a", files / name)
    assert [path.name for path in studies.glob("a.*")] == ["a.nii.gz"]
    assert sha256(studies / "a.nii.gz") == sha256(files / "a.nii.gz")


@pytest.mark.parametrize("kind", ["folder", "dangling link", "link that leads out"])
def test_what_is_no_image_is_not_replaced(store: LocalDatastore, studies: Path, files: Path, kind: str) -> None:
    place = studies / "a.nii.gz"
    if kind == "folder":
        place.mkdir()
    else:
        place.symlink_to(files / "b.nii.gz" if kind == "link that leads out" else studies / "nowhere.nii.gz")
    assert store.list_images() == []
    with pytest.raises(Conflict, match="something else under the name"):
        store.add_image_file("a", files / "a.nii.gz")
    assert place.is_dir() if kind == "folder" else place.is_symlink()
    assert list((store.data_folder / "images").iterdir()) == []


def test_an_image_put_there_by_hand_at_the_last_moment_stays(
    store: LocalDatastore, studies: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def late(source: Any, target: Any) -> None:
        if Path(target).parent == studies:
            shutil.copyfile(files / "b.nii.gz", target)
        link(source, target)

    monkeypatch.setattr(os, "link", late)
    with pytest.raises(Conflict):
        store.add_image_file("a", files / "a.nii.gz", info={"note": "of the upload"})
    assert sha256(studies / "a.nii.gz") == sha256(files / "b.nii.gz")
    assert store.find_image("a").sha256 == sha256(files / "b.nii.gz")
    assert store.find_image("a").info == {}


def test_a_disk_without_hard_links(
    store: LocalDatastore, studies: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with store.scratch_folder() as folder:
        shutil.copyfile(files / "a.nii.gz", folder / "upload.nii.gz")
        store.add_image_file("a", folder / "upload.nii.gz")
    assert sha256(studies / "a.nii.gz") == sha256(files / "a.nii.gz")
    with pytest.raises(Conflict):
        store.add_image_file("a", files / "b.nii.gz")


def lying_nifti(shape: tuple[int, int, int, int]) -> bytes:
    """A header that promises sizes (X, Y, Z, T), and hardly any voxels."""
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape(shape)
    header.set_sform(np.diag([1, 1, 8, 1]), code=1)
    header["magic"], header["vox_offset"] = b"n+1", 352
    return bytes(header.binaryblock) + b"\0" * 400


BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "nothing": (".nii", lambda: b""),
    "garbage": (".nii.gz", lambda: b"GIF89a" * 99),
    "garbage in a gzip": (".nii.gz", lambda: gzip.compress(b"GIF89a" * 99)),
    "NIfTI that promises 10^18 voxels": (".nii.gz", lambda: gzip.compress(lying_nifti((30000,) * 4))),
    "NIfTI above the limit": (".nii.gz", lambda: gzip.compress(lying_nifti((64, 64, 2, 9)) + b"\0" * 10**7)),
    "NIfTI below the limit": (".nii.gz", lambda: gzip.compress(lying_nifti((64, 64, 2, 8)))),
    "more than it promises": (".nii.gz", lambda: gzip.compress(lying_nifti((4, 4, 2, 2)) + b"\0" * 10**8, 1)),
    "NRRD that promises 10^15 voxels": (
        ".nrrd",
        lambda: (
            b"NRRD0005\ntype: short\ndimension: 4\nspace: LPS\nsizes: 9 50000 50000 50000\nendian: little\n"
            b"encoding: gzip\nspace directions: none (1,0,0) (0,1,0) (0,0,8)\nkinds: list domain domain domain\n\n"
            + gzip.compress(b"\0" * 10**6)
        ),
    ),
    "NRRD whose voxels are another file": (
        ".seq.nrrd",
        lambda: (
            b"NRRD0005\ntype: uchar\ndimension: 4\nspace: LPS\nsizes: 2 4 4 2\nencoding: raw\n"
            b"data file: /etc/passwd\nspace directions: none (1,0,0) (0,1,0) (0,0,8)\n"
            b"kinds: list domain domain domain\n\n"
        ),
    ),
    "NRRD with an endless header": (".nrrd", lambda: b"NRRD0005\n" + (b"#" * 63 + b"\n") * 2**17),
    "one frame": (".nii", lambda: lying_nifti((4, 4, 2, 1))[:416]),
}


@pytest.mark.parametrize("case", BOMBS)
def test_bad_files_are_refused_without_a_trace(
    store: LocalDatastore, studies: Path, tmp_path: Path, case: str
) -> None:
    ending, content = BOMBS[case]
    path = tmp_path / f"Mustermann{ending}"
    path.write_bytes(content())
    with pytest.raises(Unprocessable) as caught:
        store.add_image_file("a", path)
    assert caught.value.field == "image"
    assert caught.value.message.startswith("the image: ")
    assert not any(place in caught.value.message for place in (str(tmp_path), "Mustermann", ".cardiac_motion"))
    assert store.list_images() == []
    assert list(studies.glob("*.n*")) == []
    assert list(store.scratch_path.iterdir()) == []
    # The same file put there by hand is an image of the list that cannot be read.
    shutil.copyfile(path, studies / f"b{ending}")
    assert store.list_images() == ["b"]
    with pytest.raises(Unprocessable) as caught:
        store.case("b")
    assert str(studies) not in caught.value.message


def test_more_frames_than_allowed(store: LocalDatastore, make_cine: MakeCine, tmp_path: Path) -> None:
    write_cine(tmp_path / "a.nii.gz", make_cine(shape=(9, 1, 4, 4)))
    with pytest.raises(Unprocessable, match="at most 8 frames; got 9") as caught:
        store.add_image_file("a", tmp_path / "a.nii.gz")
    assert caught.value.code == "too_many_frames"
    write_cine(tmp_path / "b.nii.gz", make_cine(shape=(8, 1, 4, 4)))
    store.add_image_file("b", tmp_path / "b.nii.gz")


@pytest.mark.parametrize(
    "info", [{"a": float("nan")}, {"a": float("inf")}, {"a": object()}, {"a": "\ud800"}, [1], {"a": {1, 2}}]
)
def test_notes_are_plain_json(store: LocalDatastore, files: Path, info: Any) -> None:
    with pytest.raises(Unprocessable, match="expected a JSON object") as caught:
        store.add_image_file("a", files / "a.nii.gz", info=info)
    assert caught.value.field == "info"
    nested: Any = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(Unprocessable):
        store.add_image_file("a", files / "a.nii.gz", info={"a": nested})
    assert store.list_images() == []


def test_files_that_are_dropped_in(
    studies: Path, files: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("one.nii.gz", "two.NII", "three.seq.nrrd", "three.nrrd", "Jane Doe.nii.gz", ".hidden.nii.gz"):
        shutil.copyfile(files / "a.nii.gz", studies / name)
    (studies / "README.md").write_text("hello")
    (studies / "folder.nii.gz").mkdir()
    os.mkfifo(studies / "pipe.nii")
    (studies / "inside.nii.gz").symlink_to("one.nii.gz")
    (studies / "outside.nii.gz").symlink_to(files / "b.nii.gz")
    (studies / "loop.nii.gz").symlink_to("loop.nii.gz")
    shutil.copyfile(files / "a.nii.gz", studies / "two.nii.gz")
    with LocalDatastore(studies) as store, caplog.at_level(logging.DEBUG):
        assert store.list_images() == ["inside", "one", "three", "two"]
        assert Path(store.get_image_uri("three")).name == "three.seq.nrrd"
        assert Path(store.get_image_uri("two")).name == "two.nii.gz"
        assert store.case("inside").cine.n_frames == 4
        with pytest.raises(NotFound, match="no image outside"):
            store.case("outside")
        store.refresh()
    assert not any(name in caplog.text for name in ("Jane", "Doe", "outside", "one", "pipe"))


def test_an_image_that_cannot_be_read_is_told_once(
    studies: Path, files: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (studies / "Jane-Doe.nii.gz").write_bytes(b"no cine")
    shutil.copyfile(files / "a.nii.gz", studies / "a.nii.gz")
    with LocalDatastore(studies) as store, caplog.at_level(logging.INFO):
        for case in ("Jane-Doe", "a", "Jane-Doe"):
            with suppress(RequestError):
                store.case(case)
        told = [record.message for record in caplog.records if "no cine that can be read" in record.message]
        assert len(told) == 1
        assert "of 7 bytes" in told[0]
        # Another content is other news.
        (studies / "Jane-Doe.nii.gz").write_bytes(b"no cine either")
        with pytest.raises(RequestError):
            store.case("Jane-Doe")
    assert "of 14 bytes" in caplog.text
    assert "Jane" not in caplog.text
    assert str(studies) not in caplog.text


def test_files_that_come_and_go(store: LocalDatastore, studies: Path, files: Path) -> None:
    assert store.status()["total"] == 0
    shutil.copyfile(files / "a.nii.gz", studies / "a.nii.gz")
    assert store.status()["total"] == 1
    assert store.case("a").sha256 == sha256(files / "a.nii.gz")
    # Replaced in its place: neither the cine nor the checksum may be the old one.
    shutil.copyfile(files / "b.nii.gz", studies / "a.nii.gz")
    assert store.case("a").sha256 == store.find_image("a").sha256 == sha256(files / "b.nii.gz")
    assert store.case("a").cine.content_hash == load_cine(files / "b.nii.gz")[0].content_hash
    (studies / "a.nii.gz").unlink()
    for ask in (store.case, store.find_image):
        with pytest.raises(NotFound, match="there is no image a"):
            ask("a")
    assert store.list_images() == []


def test_the_folder_is_listed_only_when_it_changed(
    studies: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copyfile(files / "a.nii.gz", studies / "a.nii.gz")
    listings = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listings.append(path) or scandir(path))  # type: ignore[func-returns-value]
    folder = ImageFolder(studies)
    settle(studies)
    for _ in range(3):
        assert list(folder.files()) == ["a"]
    assert len(listings) == 1
    # A folder changed a moment ago may change once more within one tick of the clock.
    shutil.copyfile(files / "b.nii", studies / "b.nii")
    now = time.time_ns()
    os.utime(studies, ns=(now, now))
    assert list(folder.files()) == ["a", "b"]
    shutil.copyfile(files / "b.nii", studies / "c.nii")
    os.utime(studies, ns=(now, now))
    assert list(folder.files()) == ["a", "b", "c"]
    assert len(listings) == 3


def test_one_reading_serves_all_who_ask_at_once(
    store: LocalDatastore, case_a: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_threads, readings, asked = 6, [], threading.Barrier(6)

    def slow(path: Path, **limits: int) -> Any:
        readings.append(path)
        time.sleep(0.2)
        return load_cine(path, **limits)

    def ask() -> Any:
        asked.wait()
        return store.case(case_a)

    monkeypatch.setattr("monailabel_app.lib.datastore.cases.load_cine", slow)
    with ThreadPoolExecutor(n_threads) as pool:
        cases = [future.result() for future in [pool.submit(ask) for _ in range(n_threads)]]
    assert len(readings) == 1
    assert all(case is cases[0] for case in cases)


def test_a_reading_that_fails_is_tried_again(
    store: LocalDatastore, studies: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = (files / "b.nii").read_bytes()
    (studies / "a.nii").write_bytes(content[:-10])
    for _ in range(2):
        with pytest.raises(Unprocessable, match="truncated"):
            store.case("a")
    (studies / "a.nii").write_bytes(content)
    assert store.case("a").cine.n_frames == 4


def test_an_image_that_changes_while_it_is_read(
    store: LocalDatastore, studies: Path, files: Path, case_a: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changed_meanwhile(path: Path, **limits: int) -> Any:
        read = load_cine(path, **limits)
        shutil.copyfile(files / "b.nii.gz", path)
        os.utime(path, ns=(1, 1))
        return read

    with monkeypatch.context() as patch:
        patch.setattr("monailabel_app.lib.datastore.cases.load_cine", changed_meanwhile)
        with pytest.raises(Conflict, match="being changed"):
            store.case(case_a)
    assert store.case(case_a).sha256 == sha256(files / "b.nii.gz")
    assert store.case(case_a).cine.content_hash == load_cine(files / "b.nii.gz")[0].content_hash


def test_memory_is_bounded(studies: Path, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readings: list[str] = []

    def counted(path: Path, **limits: int) -> Any:
        readings.append(Path(path).name)
        return load_cine(path, **limits)

    for name in "abc":
        shutil.copyfile(files / "a.nii.gz", studies / f"{name}.nii.gz")
    one = load_cine(files / "a.nii.gz")[0].frames.nbytes
    monkeypatch.setattr("monailabel_app.lib.datastore.cases.load_cine", counted)
    with LocalDatastore(studies, cache_bytes=2 * one) as store:
        for name in "abacab":
            store.case(name)
    assert "".join(name[0] for name in readings) == "abcb"
    with LocalDatastore(studies, cache_bytes=one - 1) as store:
        store.case("a")
        store.case("a")
    assert len(readings) == 6


def test_checksums_are_computed_once(studies: Path, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    computed = []

    def counted(path: Path) -> str:
        computed.append(path.name)
        return sha256(path)

    monkeypatch.setattr("monailabel_app.lib.datastore.records.sha256_of", counted)
    shutil.copyfile(files / "a.nii.gz", studies / "a.nii.gz")
    with LocalDatastore(studies) as store:
        assert "checksum" not in store.json()["objects"]["a"]["image"]["info"]
        assert store.find_image("a").info == {}
        assert computed == []
        assert store.find_image("a").sha256 == sha256(files / "a.nii.gz")
        assert store.json()["objects"]["a"]["image"]["info"] == store.get_image_info("a")
    with LocalDatastore(studies) as store:
        assert store.find_image("a").sha256 == sha256(files / "a.nii.gz")
        assert computed == ["a.nii.gz"]
        os.utime(studies / "a.nii.gz", ns=(5, 5))
        # What strategies ask of every image reads none of them.
        assert store.get_image_info("a") == {"ts": 0, "name": "a.nii.gz"}
        assert computed == ["a.nii.gz"]
        assert store.find_image("a").to_json()["ts"] == 0
        assert computed == ["a.nii.gz"] * 2
        assert store.get_image_info("a") == store.find_image("a").to_json()
        assert computed == ["a.nii.gz"] * 2


def test_uploads_of_one_id_at_once(store: LocalDatastore, studies: Path, files: Path) -> None:
    """One content wins whole; who sent it is told so, and who sent the other is told that."""
    start = threading.Barrier(8)

    def upload(name: str) -> str:
        start.wait()
        try:
            return store.add_image_file("a", files / name).sha256
        except Conflict:
            return "conflict"

    names = ["a.nii.gz", "b.nii.gz"] * 4
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(upload, names))
    won = sha256(studies / "a.nii.gz")
    assert answers == [won if sha256(files / name) == won else "conflict" for name in names]
    assert sorted(set(answers)) == sorted({won, "conflict"})
    assert [path.name for path in studies.glob("a*")] == ["a.nii.gz"]


def test_geometry_that_was_understood_is_noted(store: LocalDatastore, files: Path, tmp_path: Path) -> None:
    data = bytearray((files / "b.nii").read_bytes())
    struct.pack_into("<hh", data, 252, 0, 0)
    (tmp_path / "x.nii").write_bytes(data)
    store.add_image_file("x", tmp_path / "x.nii")
    assert any("no orientation" in note for note in store.case("x").notes)
