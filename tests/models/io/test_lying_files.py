"""Files that say what nobody means, as fuzzing found them: refused, or read as others read them; no noise."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from cardiac_motion.cine import Cine, check_affine
from cardiac_motion.errors import InputError
from cardiac_motion.io import load_cine, read_labels, write_cine

MakeCine = Callable[..., Cine]

SIGNALLING = struct.pack("<I", 0x7FA00000)
"""A NaN that makes the processor complain when it is converted."""


def nifti_with(path: Path, cine: Cine, place: int, content: bytes) -> Path:
    """A NIfTI file of the cine with other bytes at a place; see nifti1.h."""
    write_cine(path, cine)
    data = bytearray(path.read_bytes())
    data[place : place + len(content)] = content
    path.write_bytes(data)
    return path


def nrrd_with(path: Path, cine: Cine, old: str, new: str) -> Path:
    """A NRRD file of the cine with another header."""
    write_cine(path, cine)
    head, data = path.read_bytes().split(b"\n\n", 1)
    assert old.encode() in head
    path.write_bytes(head.replace(old.encode(), new.encode(), 1) + b"\n\n" + data)
    return path


@pytest.mark.parametrize(
    ("place", "content", "message"),
    [
        (252, struct.pack("<h", 511), "its qform is of the unknown kind 511"),
        (254, struct.pack("<h", 6), "its sform is of the unknown kind 6"),
        (254, struct.pack("<h", -1), "its sform is of the unknown kind -1"),
        (108, struct.pack("<f", 348), "first voxel at byte 348; expected 352 or a later one"),
        (108, struct.pack("<f", 352.5), r"first voxel at byte 352\.5"),
        (344, b"n+2\0", "has the mark"),
        (344, b"n+17", "has the mark"),
    ],
)
def test_nifti_headers_on_which_readers_differ(
    tmp_path: Path, make_cine: MakeCine, place: int, content: bytes, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_cine(nifti_with(tmp_path / "cine.nii", make_cine(), place, content))


def test_a_first_voxel_at_byte_0_stands_for_the_earliest(tmp_path: Path, make_cine: MakeCine) -> None:
    cine = make_cine()
    path = nifti_with(tmp_path / "cine.nii", cine, 108, struct.pack("<f", 0))
    np.testing.assert_array_equal(load_cine(path)[0].frames, cine.frames)


def test_line_ends_in_the_mark_of_nifti_2(tmp_path: Path, make_cine: MakeCine) -> None:
    cine = make_cine()
    image = nib.Nifti2Image(cine.frames.T, cine.affine)
    nib.save(image, tmp_path / "cine.nii")
    load_cine(tmp_path / "cine.nii")
    data = (tmp_path / "cine.nii").read_bytes()
    (tmp_path / "cine.nii").write_bytes(data.replace(b"n+2\0\r\n\x1a\n", b"n+2\0\n\n\x1a\n", 1))
    with pytest.raises(InputError, match="line ends in its mark"):
        load_cine(tmp_path / "cine.nii")


@pytest.mark.parametrize("scaled", [False, True])
def test_a_signalling_nan_is_refused_without_a_warning(
    tmp_path: Path, make_cine: MakeCine, *, scaled: bool
) -> None:
    cine = make_cine(whole=False)
    path = nifti_with(tmp_path / "cine.nii", cine, 400, SIGNALLING)
    if scaled:
        data = bytearray(path.read_bytes())
        struct.pack_into("<2f", data, 112, 2.0, 1.0)
        path.write_bytes(data)
    with pytest.raises(InputError, match="1 that are NaN"):
        load_cine(path)
    with pytest.raises(InputError, match="label values are whole numbers"):
        read_labels(path)


def test_a_signalling_nan_of_64_bits(tmp_path: Path, make_cine: MakeCine) -> None:
    cine = make_cine()
    values = cine.frames.astype(np.float64)
    values.view(np.uint64).flat[7] = 0x7FF4000000000000
    image = nib.Nifti1Image(np.zeros_like(values).T, cine.affine)
    data = bytearray(image.to_bytes())
    data[-values.nbytes :] = values.tobytes()
    (tmp_path / "cine.nii").write_bytes(data)
    with pytest.raises(InputError, match="1 that are NaN"):
        load_cine(tmp_path / "cine.nii")


def test_names_of_nrrd_fields_in_any_case(tmp_path: Path, make_cine: MakeCine) -> None:
    """The parser beneath knows lower case alone, and would lose the place of the image without a word."""
    cine = make_cine()
    path = nrrd_with(tmp_path / "cine.seq.nrrd", cine, "space origin", "SPACE Origin")
    np.testing.assert_allclose(load_cine(path)[0].affine, cine.affine, atol=1e-9)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("space origin", "spaee origin", "'spaee origin: .* which is no field of a NRRD file"),
        ("endian: little", "endian: little\nmodality: MR", "'modality: MR', which is no field"),
        (
            "axis 0 index type",
            "axis 0 index values:=1 2 3 4\naxis 0 index type",
            "two values of the key 'axis 0 in",
        ),
    ],
)
def test_nrrd_headers_that_nobody_understands(
    tmp_path: Path, make_cine: MakeCine, old: str, new: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_cine(nrrd_with(tmp_path / "cine.seq.nrrd", make_cine(), old, new))


def test_a_nrrd_without_origin_says_so(tmp_path: Path, make_cine: MakeCine) -> None:
    path = nrrd_with(tmp_path / "cine.seq.nrrd", make_cine(), "space origin", "#")
    cine, notes = load_cine(path)
    assert notes == ("its header has no space origin; its first voxel is taken to lie at 0, 0, 0",)
    assert cine.affine[:3, 3].tolist() == [0, 0, 0]


def test_a_voxel_size_beyond_numbers() -> None:
    with pytest.raises(InputError, match="voxel spacing must be finite"):
        check_affine(np.diag([1.5, 1e300, 8.0, 1.0]))


@pytest.mark.parametrize("read", [load_cine, read_labels])
def test_voxels_that_fit_into_memory_only_as_the_file_has_them(
    tmp_path: Path, make_cine: MakeCine, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], object]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError

    write_cine(tmp_path / "cine.nii", make_cine())
    monkeypatch.setattr("cardiac_motion.io.cines.Cine", full)
    monkeypatch.setattr("cardiac_motion.io.labels._as_labels", full)
    with pytest.raises(InputError, match=r"cine\.nii: too large for the memory of this machine"):
        read(tmp_path / "cine.nii")
