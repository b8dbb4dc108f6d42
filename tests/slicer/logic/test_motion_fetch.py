"""What a server sends as motion is unpacked into one folder, or refused."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.slicer.bed.session import Bed


@pytest.fixture
def fetch(bed: Bed) -> Any:
    return __import__("CardiacMotionLib.motion_fetch", fromlist=["unpack_motion"])


def test_only_the_motion_is_unpacked_and_nothing_beside_it(fetch: Any, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for name in ("labels.nii.gz", "motion/motion.json", "motion/deeper/x", "motion/../../evil", "/motion/y"):
            file.writestr(name, name)
    (tmp_path / "in").mkdir()
    fetch.unpack_motion(tmp_path / "a.zip", tmp_path / "in" / "motion")
    files = [
        path.relative_to(tmp_path / "in").as_posix() for path in (tmp_path / "in").rglob("*") if path.is_file()
    ]
    assert files == ["motion/motion.json"]
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("content", [b"", b"PK but no more", b"<html>"])
def test_what_is_no_zip_is_refused(fetch: Any, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ValueError, match="expected a zip with the motion"):
        fetch.unpack_motion(tmp_path / "a.zip", tmp_path / "motion")


def test_what_would_fill_the_disk_is_refused(fetch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("motion/large", bytes(1000))
    monkeypatch.setattr("CardiacMotionLib.zip_answers._MAX_BYTES", 999)
    with pytest.raises(ValueError, match="the motion that the server sent is larger"):
        fetch.unpack_motion(tmp_path / "a.zip", tmp_path / "motion")
    assert not list((tmp_path / "motion").iterdir())
