"""Every file that is damaged or is no cine gives one clear InputError that names it, and nothing else."""

from __future__ import annotations

import gzip
import os
import struct
import tracemalloc
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - the customary name
from cardiac_motion.cine import Cine
from cardiac_motion.errors import GeometryWarning, InputError
from cardiac_motion.io import MAX_VOXELS, load_cine, read_cine, read_frame, read_labels, write_cine, write_labels

MakeCine = Callable[..., Cine]
Edit = Callable[[bytearray], None]

VOXELS = 352
"""Byte of the first voxel in what we write."""


def put(offset: int, form: str, *values: float) -> Edit:
    """Overwrite numbers in a NIfTI header; see nifti1.h for the offsets."""
    return lambda data: struct.pack_into("<" + form, data, offset, *values)


def cut(n_bytes: int) -> Edit:
    def edit(data: bytearray) -> None:
        del data[-n_bytes:]

    return edit


def both(*edits: Edit) -> Edit:
    def edit(data: bytearray) -> None:
        for each in edits:
            each(data)

    return edit


def no_form(*edits: Edit) -> Edit:
    """Leave qform and sform unset, so that pixdim counts."""
    return both(put(252, "hh", 0, 0), *edits)


BAD_NIFTI: dict[str, tuple[Edit, str]] = {
    "empty": (bytearray.clear, "not a NIfTI file"),
    "something else": (lambda data: data.__setitem__(slice(0, 9), b"GIF89a   "), "not a NIfTI file"),
    "cut in the header": (lambda data: data.__delitem__(slice(200, None)), "after 200 of 348 bytes: truncated"),
    "cut before the voxels": (
        lambda data: data.__delitem__(slice(348, None)),
        "ends before its first voxel: truncated",
    ),
    "cut in the voxels": (cut(100), "promises 720 bytes of voxels, but it holds 620 bytes: truncated"),
    "analyze": (put(344, "4s", b"\0\0\0\0"), "not a NIfTI file: its header has the mark"),  # type: ignore[arg-type]
    "half of a pair": (put(344, "4s", b"ni1\0"), r"half of a \.hdr/\.img pair"),  # type: ignore[arg-type]
    "more frames than there are": (put(48, "h", 40), "promises 7200 bytes of voxels, but it holds 720"),
    "fewer frames than there are": (put(48, "h", 3), "holds more than the 540 bytes"),
    "far more voxels": (put(42, "4h", 30000, 30000, 30000, 30000), f"more than the {MAX_VOXELS}"),
    "no voxels": (put(42, "h", 0), "at least one voxel"),
    "negative size": (put(42, "h", -5), "at least one voxel"),
    "no axes": (put(40, "h", 0), "has 0 axes"),
    "too many axes": (put(40, "h", 300), "has 300 axes"),
    "one frame in four axes": (
        both(put(48, "h", 1), cut(540)),
        r"one frame only, size \(X, Y, Z, T\) = \(5, 6, 3, 1\)",
    ),
    "one frame in three axes": (
        both(put(40, "h", 3), cut(540)),
        r"third axis is time, the file has to say \(X, Y, 1, T\)",
    ),
    "vectors": (put(40, "6h", 5, 5, 6, 3, 2, 2), "several values per voxel"),
    "complex": (put(70, "hh", 32, 64), "complex numbers"),
    "colours": (put(70, "hh", 128, 24), "RGB colours"),
    "unknown type": (put(70, "hh", 77, 16), "unknown type 77"),
    "voxels nowhere": (put(108, "f", 1e30), "first voxel at byte 1e.30"),
    "voxels at no number": (put(108, "f", np.nan), "first voxel at byte nan"),
    "infinite intercept": (put(112, "ff", 2.0, np.inf), "shifts them by inf"),
    "values out of range": (put(112, "ff", 1e38, 0.0), "NaN or infinite"),
    "zero spacing": (no_form(put(80, "fff", 1.5, 0.0, 8.0)), r"spacing must be positive, got \(x, y, z\)"),
    "zero spacing in the qform": (
        both(put(252, "hh", 1, 0), put(80, "fff", 0.0, 1.5, 8.0)),
        "spacing must be positive",
    ),
    "negative spacing in the qform": (
        both(put(252, "hh", 1, 0), put(80, "fff", -1.5, 1.5, 8.0)),
        "qform makes no sense",
    ),
    "impossible quaternion": (both(put(252, "hh", 1, 0), put(256, "fff", 3.0, 3.0, 3.0)), "qform makes no sense"),
    "zero column in the sform": (put(280, "12f", 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 8, 0), "spacing must be positive"),
    "sform of zeros": (put(280, "12f", *[0.0] * 12), "spacing must be positive"),
    "flat sform": (put(280, "12f", 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 8, 0), "cannot be inverted"),
    "NaN in the sform": (put(280, "f", np.nan), "finite"),
    "unknown unit of length": (put(123, "B", 8 | 5), "unknown unit 5"),
}


def check_bad(path: Path, message: str) -> None:
    """Reading fails with one line that begins with the file's name, and leaves no warning but ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GeometryWarning)
        with pytest.raises(InputError, match=message) as caught:
            read_cine(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("case", BAD_NIFTI)
@pytest.mark.parametrize("compressed", [False, True])
def test_bad_nifti(tmp_path: Path, make_cine: MakeCine, case: str, compressed: bool) -> None:
    edit, message = BAD_NIFTI[case]
    write_cine(tmp_path / "good.nii", make_cine())
    data = bytearray((tmp_path / "good.nii").read_bytes())
    edit(data)
    path = tmp_path / ("bad.nii.gz" if compressed else "bad.nii")
    path.write_bytes(gzip.compress(data, 1) if compressed else data)
    check_bad(path, message)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["cine.nii", "cine.nrrd"])
def test_values_that_are_no_numbers(tmp_path: Path, make_cine: MakeCine, value: float, name: str) -> None:
    cine = make_cine(whole=False)
    if name == "cine.nii":
        write_cine(tmp_path / name, cine)
        data = bytearray((tmp_path / name).read_bytes())
        struct.pack_into("<f", data, VOXELS + 40, value)
        (tmp_path / name).write_bytes(data)
    else:
        image = sitk.GetImageFromArray(np.where(cine.frames > 900, value, cine.frames), isVector=False)
        sitk.WriteImage(image, tmp_path / name)
    check_bad(tmp_path / name, "every voxel must be a finite number, got [0-9]+ that are NaN or infinite")


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
@pytest.mark.parametrize("name", ["cine.nii.gz", "cine.seq.nrrd"])
def test_truncated_compressed_files(tmp_path: Path, make_cine: MakeCine, share: float, name: str) -> None:
    write_cine(tmp_path / name, make_cine((6, 3, 20, 20)))
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(len(data) * share)])
    check_bad(tmp_path / name, "truncated")


@pytest.mark.parametrize("name", ["cine.nii.gz", "cine.seq.nrrd"])
def test_damaged_compressed_data(tmp_path: Path, make_cine: MakeCine, name: str) -> None:
    write_cine(tmp_path / name, make_cine((6, 3, 20, 20)))
    data = bytearray((tmp_path / name).read_bytes())
    data[-400] ^= 0xFF
    (tmp_path / name).write_bytes(data)
    check_bad(tmp_path / name, "compressed data are damaged|holds more than|truncated")


def test_a_wrong_checksum_is_noticed(tmp_path: Path, make_cine: MakeCine) -> None:
    write_cine(tmp_path / "cine.nii.gz", make_cine())
    data = bytearray((tmp_path / "cine.nii.gz").read_bytes())
    data[-6] ^= 0xFF
    (tmp_path / "cine.nii.gz").write_bytes(data)
    check_bad(tmp_path / "cine.nii.gz", "CRC")


def peak_bytes(path: Path, message: str) -> int:
    tracemalloc.start()
    try:
        check_bad(path, message)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def promise(shape: tuple[int, int, int, int]) -> bytes:
    """A header of 16-bit voxels of any shape (T, Z, Y, X)."""
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape(shape[::-1])
    header.set_sform(np.diag([1.5, 1.5, 8, 1]), code=1)
    header["pixdim"][1:4] = [1.5, 1.5, 8]
    header["magic"] = b"n+1"
    header["vox_offset"] = VOXELS
    return header.binaryblock + b"\0" * 4


HALF_A_GIGABYTE = (64, 16, 512, 512)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_great_promise_is_not_believed_before_it_is_kept(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / "cine.nii"
    content = promise(HALF_A_GIGABYTE) + b"\1" * 1000
    path.write_bytes(gzip.compress(content) if compressed else content)
    assert peak_bytes(path, "promises 536870912 bytes of voxels, but it holds .* truncated") < 2**22


def test_a_great_promise_that_deflate_could_keep(tmp_path: Path) -> None:
    """Enough bytes on disk that the promise is possible: memory grows with what is there only."""
    noise = np.random.default_rng(0).bytes(600_000)
    (tmp_path / "cine.nii.gz").write_bytes(gzip.compress(promise(HALF_A_GIGABYTE) + noise))
    assert peak_bytes(tmp_path / "cine.nii.gz", "but it holds 600000 bytes: truncated") < 2**26


def test_what_follows_the_promised_voxels_is_not_unpacked(tmp_path: Path) -> None:
    """A hundred megabytes behind the voxels of a small cine."""
    content = promise((2, 1, 6, 10)) + b"\0" * 100_000_000
    (tmp_path / "cine.nii.gz").write_bytes(gzip.compress(content, 1))
    message = "holds more than the 240 bytes of voxels that its header promises"
    assert peak_bytes(tmp_path / "cine.nii.gz", message) < 2**22


BAD_NRRD: dict[str, tuple[str, str, str]] = {
    "something else": ("NRRD0005", "MetaData", "not a NRRD file"),
    "newer version": ("NRRD0005", "NRRD0009", "header is damaged: Unsupported NRRD file version"),
    "no sizes": ("sizes:", "content:", "lacks sizes"),
    "sizes that are none": ("sizes: 4 5 6 3", "sizes: 4 five 6 3", "header is damaged"),
    "negative size": ("sizes: 4 5 6 3", "sizes: 4 5 -6 3", "at least one voxel"),
    "one size too few": ("sizes: 4 5 6 3", "sizes: 4 5 6", "3 sizes for 4 axes"),
    "more frames than there are": ("sizes: 4 5 6 3", "sizes: 5 5 6 3", "5 frames|index values for 5|truncated"),
    "more slices than there are": ("sizes: 4 5 6 3", "sizes: 4 5 6 4", "truncated"),
    "far more voxels": ("sizes: 4 5 6 3", "sizes: 4 50000 50000 3", f"more than the {MAX_VOXELS}"),
    "unknown type": ("type: short", "type: block", "holds values of type 'block'"),
    "no byte order": ("endian: little", "content: x", "endian None"),
    "unknown encoding": ("encoding: gzip", "encoding: bzip2", "encoded as 'bzip2'; expected raw or gzip"),
    "raw where it is gzip": ("encoding: gzip", "encoding: raw", "but it holds .* bytes: truncated"),
    "voxels elsewhere": ("endian: little", "endian: little\ndata file: voxels.raw", "voxels are in another file"),
    "voxels elsewhere, by an absolute path": (
        "endian: little",
        "endian: little\ndatafile: /etc/hostname",
        "voxels are in another file",
    ),
    "voxels in a list of files": ("kinds: list", "data file: LIST\nkinds: list", "voxels are in another file"),
    "voxels in a row of files": (
        "endian: little",
        "endian: little\ndata file: v%02d.raw 1 4 1",
        "voxels are in another file",
    ),
    "skipped bytes": ("endian: little", "endian: little\nbyte skip: 4", "skips lines or bytes"),
    "unknown space": ("left-posterior-superior", "scanner-xyz", "space is 'scanner-xyz'; expected one of"),
    "colours": ("kinds: list", "kinds: RGB-color", "holds a RGB-color per voxel"),
    "vectors": ("kinds: list", "kinds: vector", "holds a vector per voxel"),
    "two axes without direction": (
        "space directions: none (",
        "space directions: none none (",
        "5 space directions",
    ),
    "no direction at all": ("space directions:", "content:", "neither space directions nor spacings"),
    "no axes to tell apart": ("space directions:", "kinds:", "Duplicate header field|damaged"),
    "origin in the plane": ("space origin: (", "space origin: (7,", "origin has 4 coordinates"),
    "origin nowhere": ("space origin: (", "space origin: (nan,", "4 coordinates"),
    "a repeated field": ("endian: little", "endian: little\nendian: little", "Duplicate header field"),
    "unbalanced quotes": ('labels: "time" ""', 'labels: "time" "', "header is damaged"),
    "text without meaning": ("endian: little", "endian: little\nlonely words", "no field of a NRRD file"),
    "units for another number of axes": ('units: "s" ""', 'units: "s"', "3 units for 4 axes"),
    "times that go back": ("0.031 0.062", "0.062 0.031", "index values must increase"),
    "times that stand still": ("0.031 0.062", "0.031 0.031", "index values must increase"),
    "a time too few": (" 0.031", "", "3 index values for 4 frames"),
    "overlapping segments": ("axis 0 index type", "Segment0_ID:=1\naxis 0 index type", "segments overlap"),
}


@pytest.mark.parametrize("case", BAD_NRRD)
def test_bad_nrrd(tmp_path: Path, make_cine: MakeCine, case: str) -> None:
    old, new, message = BAD_NRRD[case]
    path = tmp_path / "cine.seq.nrrd"
    write_cine(path, make_cine())
    header, voxels = path.read_bytes().split(b"\n\n", maxsplit=1)
    assert old.encode() in header
    path.write_bytes(header.replace(old.encode(), new.encode(), 1) + b"\n\n" + voxels)
    check_bad(path, message)


def directions(*vectors: str) -> bytes:
    return ("space directions: none " + " ".join(vectors)).encode()


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (directions("(0,0,0)", "(0,1,0)", "(0,0,8)"), "spacing must be positive"),
        (directions("(1,1,0)", "(1,1,0)", "(0,0,8)"), "cannot be inverted"),
        (directions("(1,0)", "(0,1)", "(1,1)"), "space has 2 dimensions"),
        (directions("(1,0,0)", "none", "(0,0,8)"), "has 2 axes in space out of 4"),
        (directions("(1,0,0,0)", "(0,1,0,0)", "(0,0,8,0)"), "mix space and time"),
        (b"space directions: (1,0,0,1) (0,1,0,0) (0,0,8,1) (0,0,0,1)", "mix space and time"),
    ],
)
def test_bad_directions(tmp_path: Path, make_cine: MakeCine, new: bytes, message: str) -> None:
    path = tmp_path / "cine.seq.nrrd"
    write_cine(path, make_cine())
    header, voxels = path.read_bytes().split(b"\n\n", maxsplit=1)
    lines = [new if line.startswith(b"space directions") else line for line in header.split(b"\n")]
    path.write_bytes(b"\n".join(lines) + b"\n\n" + voxels)
    check_bad(path, message)


@pytest.mark.parametrize("name", ["cine.nii", "cine.nii.gz", "cine.seq.nrrd"])
def test_more_voxels_than_the_caller_allows(tmp_path: Path, make_cine: MakeCine, name: str) -> None:
    """Refused by the header alone: what follows it is not even looked at."""
    path = tmp_path / name
    cine = make_cine((4, 3, 6, 5))
    write_cine(path, cine)
    assert load_cine(path, max_voxels=360)[0].shape == cine.shape
    write_labels(path, np.zeros(cine.shape, dtype=np.uint8), cine)
    assert read_labels(path, max_voxels=360).labels.shape == cine.shape
    # The damage at the end would be found first if the voxels were read before the refusal.
    path.write_bytes(path.read_bytes()[:-5])
    for read in (load_cine, read_labels):
        with pytest.raises(InputError, match="promises 360 voxels, more than the 359 that are read"):
            read(path, max_voxels=359)


def test_notes_in_place_of_a_warning(tmp_path: Path, make_cine: MakeCine) -> None:
    write_cine(tmp_path / "cine.nii", make_cine(shear=0.02))
    cine, notes = load_cine(tmp_path / "cine.nii")
    assert [note[:20] for note in notes] == ["its axes are skewed "]
    with pytest.warns(GeometryWarning, match=r"cine\.nii: its axes are skewed") as caught:
        assert read_cine(tmp_path / "cine.nii").content_hash == cine.content_hash
    assert str(caught[0].message) == f"{tmp_path / 'cine.nii'}: {notes[0]}"
    assert caught[0].filename == __file__


def test_a_nrrd_that_ends_in_its_header(tmp_path: Path, make_cine: MakeCine) -> None:
    path = tmp_path / "cine.nrrd"
    write_cine(path, make_cine())
    path.write_bytes(path.read_bytes()[:200])
    check_bad(path, "ends within its header")


def test_a_3d_nrrd_is_no_cine(tmp_path: Path, make_cine: MakeCine) -> None:
    cine = make_cine()
    write_labels(tmp_path / "label.nrrd", np.zeros(cine.shape[1:], dtype=np.uint8), cine)
    check_bad(tmp_path / "label.nrrd", r"one 3D image of size \(X, Y, Z\) = \(5, 6, 3\)")


@pytest.mark.parametrize("name", ["colours.nii.gz", "colours.nrrd"])
def test_colours_that_itk_wrote(tmp_path: Path, name: str) -> None:
    image = sitk.GetImageFromArray(np.zeros((4, 6, 5, 3), dtype=np.uint8), isVector=True)
    sitk.WriteImage(image, tmp_path / name)
    check_bad(tmp_path / name, "colour|RGB|vector|several values per voxel")


def test_missing_file(tmp_path: Path) -> None:
    check_bad(tmp_path / "nowhere.nii", "does not exist")


@pytest.mark.parametrize(
    ("name", "hint"), [("cine.mha", ""), ("cine", ""), ("IM0001.dcm", "DICOM has to be imported")]
)
def test_unknown_ending(tmp_path: Path, name: str, hint: str) -> None:
    (tmp_path / name).write_bytes(b"anything")
    check_bad(tmp_path / name, r"expected a file that ends in \.nii, \.nii\.gz, \.nrrd or \.seq\.nrrd.*" + hint)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.skipif(getattr(os, "geteuid", int)() == 0, reason="the administrator may read everything")
def test_file_without_permission(tmp_path: Path, make_cine: MakeCine) -> None:
    write_cine(tmp_path / "cine.nii", make_cine())
    (tmp_path / "cine.nii").chmod(0)
    check_bad(tmp_path / "cine.nii", "cannot be read: Permission denied")


def test_a_disk_that_fails(tmp_path: Path, make_cine: MakeCine, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cine(tmp_path / "cine.nii", make_cine())

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "open", fail)
    check_bad(tmp_path / "cine.nii", "cannot be read: Input/output error")


@pytest.mark.parametrize("name", ["cine.mha", "cine.img", "cine.nhdr"])
def test_writing_to_an_unknown_ending(tmp_path: Path, make_cine: MakeCine, name: str) -> None:
    with pytest.raises(InputError, match=r"cannot write .*expected a name that ends in \.nii"):
        write_cine(tmp_path / name, make_cine())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["cine.nii", "cine.nii.gz", "cine.seq.nrrd", "cine"])
def test_a_write_that_fails_leaves_nothing(
    tmp_path: Path, make_cine: MakeCine, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    replace, rename = Path.replace, Path.rename

    def fail(self: Path, target: Path) -> Path:
        if target.parent == tmp_path:
            raise OSError(28, "No space left on device")
        return (replace if self.is_file() else rename)(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(InputError, match=r"cannot write .*No space left"):
        write_cine(tmp_path / name, make_cine())
    assert not list(tmp_path.iterdir())


def test_nifti_has_no_room_for_very_long_axes(tmp_path: Path) -> None:
    cine = Cine(np.zeros((2, 1, 4, 40000), dtype=np.float32), np.eye(4), np.array([0.0, 0.3]))
    with pytest.raises(InputError, match="at most 32767 voxels along an axis"):
        write_cine(tmp_path / "cine.nii", cine)
    write_cine(tmp_path / "cine.nrrd", cine)


@pytest.mark.parametrize("name", ["cine.nii", "cine.seq.nrrd"])
def test_random_damage_raises_nothing_else(tmp_path: Path, make_cine: MakeCine, name: str) -> None:
    """Random bytes in the header: the file is read, or refused with an InputError; nothing else gets out."""
    write_cine(tmp_path / name, make_cine())
    good = (tmp_path / name).read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(250):
        data = bytearray(good)
        for place in rng.integers(0, min(len(data), 700), size=rng.integers(1, 4)):
            data[place] = rng.choice(np.frombuffer(b"\0\xff 0-1(),:\nenai", dtype=np.uint8))
        (tmp_path / name).write_bytes(data)
        for read in (read_cine, read_labels, read_frame):
            with warnings.catch_warnings(), suppress(InputError):
                warnings.simplefilter("ignore", GeometryWarning)
                refused += 1
                read(tmp_path / name)
                refused -= 1
    assert 250 < refused < 750
