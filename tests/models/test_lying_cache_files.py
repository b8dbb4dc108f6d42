"""Files in the cache of motions that are whole archives, and lie; as fuzzing found them: absent, and removed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cardiac_motion.motion_cache import MotionCache

KEY = "a" * 64


@pytest.fixture
def path(tmp_path: Path, disc: Any) -> Path:
    """A file of the cache."""
    assert MotionCache(tmp_path).put(KEY, disc.motion())
    return tmp_path / f"{KEY}.npz"


def as_npy(array: Any) -> bytes:
    np.save(buffer := io.BytesIO(), array, allow_pickle=True)
    return buffer.getvalue()


def npy_header(text: str) -> bytes:
    return b"\x93NUMPY\x01\0" + (len(text) + 1).to_bytes(2, "little") + text.encode() + b"\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("about", as_npy(np.array("[" * 100_000))),
        ("affine", as_npy(np.eye(4).astype("U8"))),
        ("affine", as_npy(np.eye(4).astype(object))),
        ("to_reference", npy_header("{" * 9)),
        ("frame_times", npy_header("{'descr': '<f8', 'fortran_order': False, 'shape': (2147483648,), }")),
        ("from_reference", b""),
    ],
    ids=["nested", "text", "objects", "no header", "a promise", "nothing"],
)
def test_arrays_of_something_else(path: Path, name: str, content: bytes) -> None:
    """Neither parsed as Python, nor given the memory that they ask for."""
    with zipfile.ZipFile(path) as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for each, data in (members | {f"{name}.npy": content}).items():
            archive.writestr(each, data)
    assert MotionCache(path.parent).get(KEY) is None
    assert not path.exists()


@pytest.mark.parametrize("shape", [[8, 2, 99_999, 99_999], [8, 2, -1, 5], [8, 2, 30, 30], [8, 2]])
def test_grids_that_the_fields_do_not_fit_into(path: Path, shape: list[int]) -> None:
    change_about(path, lambda text: text.replace('"shape": [8, 2, 48, 44]', f'"shape": {shape}'))
    assert MotionCache(path.parent).get(KEY) is None


def test_a_field_that_begins_before_the_grid(path: Path) -> None:
    """Indices from the end would put it at the other side."""
    change_about(path, lambda text: text.replace('"start": [0, 0, 0]', '"start": [0, -48, 0]'))
    assert MotionCache(path.parent).get(KEY) is None


def change_about(path: Path, change: Callable[[str], str]) -> None:
    with np.load(path) as entry:
        arrays = dict(entry)
    text = str(arrays["about"])
    assert change(text) != text
    np.savez(path, **(arrays | {"about": np.array(change(text))}))


def test_what_is_compressed(path: Path) -> None:
    """So that no small file becomes gigabytes."""
    with np.load(path) as entry:
        arrays = dict(entry)
    np.savez_compressed(path, **arrays)
    assert MotionCache(path.parent).get(KEY) is None


@pytest.mark.parametrize(("place", "value"), [(10, 99), (8, 0x21), (6, 0xFF)])
def test_kinds_of_zip_that_nobody_reads(path: Path, place: int, value: int) -> None:
    """Another compression, encryption, or version in the directory at the end."""
    content = bytearray(path.read_bytes())
    content[content.find(b"PK\x01\x02") + place] = value
    path.write_bytes(content)
    assert MotionCache(path.parent).get(KEY) is None
    assert not path.exists()
