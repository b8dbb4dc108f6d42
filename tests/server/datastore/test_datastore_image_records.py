"""What is known of images beside their files, and ids that a disk may not tell apart."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cardiac_motion.cine import Cine

from monailabel_app.lib.datastore import LocalDatastore
from monailabel_app.lib.datastore.images import ImageFolder
from monailabel_app.lib.errors import Conflict, Damaged, NotFound

MakeCine = Callable[..., Cine]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff", b'{"info": 3, "sha256": "x"}', b"[" * 10**6])
def test_a_damaged_record_costs_notes_only(
    store: LocalDatastore, studies: Path, files: Path, content: bytes
) -> None:
    shutil.copyfile(files / "a.nii.gz", studies / "a.nii.gz")
    (store.data_folder / "images" / "a.json").write_bytes(content)
    assert store.find_image("a").sha256 == sha256(files / "a.nii.gz")
    store.update_image_info("a", {"strategy": {"first": {"ts": 1}}})
    assert json.loads((store.data_folder / "images" / "a.json").read_text())["info"] == {
        "strategy": {"first": {"ts": 1}}
    }


def refuse_to_open(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Whoever opens a file of this name gets what a file without permission gives."""
    original = Path.open

    def opened(self: Path, *args: Any, **options: Any) -> Any:
        if self.name == name:
            raise PermissionError(13, "Permission denied", str(self))
        return original(self, *args, **options)

    monkeypatch.setattr(Path, "open", opened)


def test_a_record_that_cannot_be_read_is_not_written_over(
    store: LocalDatastore, studies: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copyfile(files / "a.nii.gz", studies / "a.nii.gz")
    record = store.data_folder / "images" / "a.json"
    record.write_text('{"info": {"note": "kept"}}')
    with monkeypatch.context() as patch:
        refuse_to_open(patch, "a.json")
        assert store.find_image("a").sha256 == sha256(files / "a.nii.gz")
        assert store.get_image_info("a")["name"] == "a.nii.gz"
        with pytest.raises(Damaged, match="what is kept on the image a cannot be read"):
            store.update_image_info("a", {"note": "other"})
    assert store.get_image_info("a")["note"] == "kept"
    store.update_image_info("a", {"more": 1})
    assert store.find_image("a").info == {"note": "kept", "more": 1}


def test_a_folder_in_place_of_a_record(store: LocalDatastore, studies: Path, files: Path) -> None:
    shutil.copyfile(files / "a.nii.gz", studies / "a.nii.gz")
    (store.data_folder / "images" / "a.json").mkdir()
    assert store.find_image("a").sha256 == sha256(files / "a.nii.gz")
    assert store.get_image_info("a")["checksum"] == f"SHA256:{sha256(files / 'a.nii.gz')}"


def test_ids_that_differ_only_in_case(store: LocalDatastore, studies: Path, files: Path) -> None:
    """On other systems their labels would be one file."""
    store.add_image_file("case-a", files / "a.nii.gz")
    for name in ("a.nii.gz", "b.nii"):
        with pytest.raises(Conflict, match="an image case-a already, whose id differs from Case-A only in upper"):
            store.add_image_file("Case-A", files / name)
    assert store.list_images() == ["case-a"]
    assert [path.name for path in (store.data_folder / "images").iterdir()] == ["case-a.json"]
    # Put there by hand they are two, where the disk tells them apart, and each takes its own uploads.
    shutil.copyfile(files / "b.nii", studies / "CASE-A.nii")
    assert store.list_images() == ["CASE-A", "case-a"]
    store.add_image_file("case-a", files / "a.nii.gz")


def test_a_disk_that_folds_case_has_one_image_for_such_ids(
    studies: Path, files: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.nii.gz", "A.nii", "b.NII"):
        shutil.copyfile(files / "b.nii", studies / name)
    assert list(ImageFolder(studies).files()) == ["A", "a", "b"]
    with caplog.at_level(logging.WARNING):
        assert list(ImageFolder(studies, folds_case=True).files()) == ["a", "b"]
    assert "1 more files" in caplog.text


def test_notes_of_others(store: LocalDatastore, studies: Path, case_a: str) -> None:
    store.update_image_info(case_a, {"strategy": {"first": {"ts": 1}}, "dice": 0.5})
    store.update_image_info(case_a, {"dice": 0.7, "checksum": "no", "name": "no", "ts": -1, "path": "/etc"})
    info = store.get_image_info(case_a)
    assert info["strategy"] == {"first": {"ts": 1}}
    assert info["dice"] == 0.7
    assert info["name"] == "a.nii.gz"
    assert info["checksum"].startswith("SHA256:")
    assert info["ts"] > 0
    assert "path" not in info
    info["strategy"]["first"]["ts"] = 2
    assert store.get_image_info(case_a)["strategy"] == {"first": {"ts": 1}}
    with pytest.raises(NotFound):
        store.update_image_info("b", {})
    store.close()
    with LocalDatastore(studies) as again:
        assert again.get_image_info(case_a)["dice"] == 0.7
