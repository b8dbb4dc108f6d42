"""The extension's NIfTI against nibabel and the package's own reader."""

from __future__ import annotations

import gzip
import warnings
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from cardiac_motion import io
from cardiac_motion.errors import InputError as PackageInputError
from cardiac_motion.io.nifti import write_nifti as package_write
from CardiacMotionLib.errors import InputError
from CardiacMotionLib.nifti import read_grid, read_nifti, write_nifti

from tests.slicer.logic.conftest import AFFINES

SHAPE = (3, 2, 6, 5)


def _package(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return io.read_cine(path)


def _nibabel(path: Path) -> Any:
    return nib.load(path)


def _values(dtype: str, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 120, SHAPE).astype(dtype)


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("header", [nib.Nifti1Header, nib.Nifti2Header])
def test_every_type_and_byte_order_is_read_as_the_package_reads_it(
    tmp_path: Path, dtype: str, order: str, header: Any
) -> None:
    head = header(endianness=order)
    head.set_data_dtype(np.dtype(order + dtype))
    kind = nib.Nifti1Image if header is nib.Nifti1Header else nib.Nifti2Image
    image = kind(_values(dtype).T, np.array(AFFINES["oblique"]), head)
    image.header.set_xyzt_units("mm", "msec")
    image.header["pixdim"][4] = 31
    path = tmp_path / "cine.nii.gz"
    image.to_filename(path)
    read, cine = read_nifti(path), _package(path)
    assert _nibabel(path).header.endianness == order
    np.testing.assert_array_equal(read.values, cine.frames)
    np.testing.assert_array_equal(read.affine, cine.affine)
    np.testing.assert_allclose(read.times, [0, 0.031, 0.062])
    assert read.values.dtype in {np.dtype(name) for name in ("u1", "i2", "u2", "f4")}
    assert read_grid(path)[0] == SHAPE


@pytest.mark.parametrize("affine", AFFINES)
@pytest.mark.parametrize("forms", ["both", "sform", "qform", "neither"])
@pytest.mark.parametrize("unit", ["mm", "micron", "meter"])
def test_the_grid_is_that_of_the_package(tmp_path: Path, affine: str, forms: str, unit: str) -> None:
    image = nib.Nifti1Image(_values("i2").T, None)
    matrix = np.array(AFFINES[affine])
    image.header.set_zooms((*np.linalg.norm(matrix[:3, :3], axis=0), 0.04))
    if forms in {"both", "qform"}:
        image.header.set_qform(matrix, code=1)
    if forms in {"both", "sform"}:
        image.header.set_sform(matrix, code=2)
    image.header.set_xyzt_units(unit, "sec")
    path = tmp_path / "cine.nii"
    image.to_filename(path)
    read, cine = read_nifti(path), _package(path)
    np.testing.assert_allclose(read.affine, cine.affine, rtol=1e-12, atol=1e-9)
    np.testing.assert_array_equal(read_grid(path)[1], read.affine)


def test_pixdim_wins_where_the_sform_is_a_bare_rotation(tmp_path: Path) -> None:
    image = nib.Nifti1Image(_values("i2").T, np.diag([-1.0, -1.0, 1.0, 1.0]))
    image.header["pixdim"][1:5] = (1.5, 1.25, 10, 0.03)
    path = tmp_path / "cine.nii"
    image.to_filename(path)
    read = read_nifti(path)
    np.testing.assert_allclose(read.affine, np.diag([-1.5, -1.25, 10, 1]))
    np.testing.assert_array_equal(read.affine, _package(path).affine)
    assert any("pixdim" in note for note in read.notes)


def test_slope_and_intercept_are_applied(tmp_path: Path) -> None:
    image = nib.Nifti1Image(_values("i2").T, np.eye(4))
    image.header.set_slope_inter(0.5, -7)
    path = tmp_path / "cine.nii"
    image.to_filename(path)
    read = read_nifti(path)
    np.testing.assert_array_equal(read.values, _package(path).frames)
    np.testing.assert_allclose(read.values.T, _nibabel(path).get_fdata(), rtol=1e-6)


@pytest.mark.parametrize("affine", AFFINES)
@pytest.mark.parametrize("name", ["out.nii", "out.nii.gz"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "f4"])
def test_what_is_written_is_read_by_nibabel_the_package_and_this_reader(
    tmp_path: Path, affine: str, name: str, dtype: str
) -> None:
    matrix, path = np.array(AFFINES[affine]), tmp_path / name
    write_nifti(path, _values(dtype), matrix, frame_seconds=0.0275)
    loaded = _nibabel(path)
    np.testing.assert_array_equal(np.asarray(loaded.dataobj).T, _values(dtype))
    assert loaded.get_data_dtype() == np.dtype(dtype)
    np.testing.assert_allclose(loaded.affine, matrix, atol=1e-5)
    cine = _package(path)
    np.testing.assert_array_equal(cine.affine, read_nifti(path).affine)
    np.testing.assert_allclose(cine.frame_times, np.arange(3) * 0.0275)
    np.testing.assert_allclose(read_nifti(path).times, cine.frame_times, atol=1e-12)
    np.testing.assert_array_equal(read_nifti(path).values, _values(dtype))
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("affine", AFFINES)
def test_the_qform_is_the_nearest_with_right_angles(tmp_path: Path, affine: str) -> None:
    matrix, path, theirs = np.array(AFFINES[affine]), tmp_path / "out.nii", tmp_path / "theirs.nii"
    write_nifti(path, _values("i2"), matrix, frame_seconds=0.03)
    package_write(theirs, _values("i2"), matrix, frame_seconds=0.03)
    np.testing.assert_allclose(_nibabel(path).get_qform(), _nibabel(theirs).get_qform(), atol=1e-5)


def test_labels_that_are_written_are_labels_for_the_package(tmp_path: Path) -> None:
    labels = np.random.default_rng(1).integers(0, 4, SHAPE).astype(np.uint8)
    cine_path, path = tmp_path / "cine.nii", tmp_path / "labels.nii.gz"
    write_nifti(cine_path, _values("i2"), np.array(AFFINES["skewed"]), frame_seconds=0.03)
    write_nifti(path, labels, np.array(AFFINES["skewed"]), frame_seconds=0.03)
    read = io.read_labels(path)
    io.check_labels(read, _package(cine_path))
    np.testing.assert_array_equal(read.labels, labels)
    write_nifti(path, labels[1], np.array(AFFINES["skewed"]))
    assert not io.read_labels(path).is_4d


def _damaged(tmp_path: Path, compressed: bool = True) -> tuple[Path, bytearray]:
    path = tmp_path / ("cine.nii.gz" if compressed else "cine.nii")
    write_nifti(path, _values("i2"), np.array(AFFINES["oblique"]), frame_seconds=0.03)
    return path, bytearray(path.read_bytes())


@pytest.mark.parametrize("compressed", [True, False])
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, compressed: bool) -> None:
    path, content = _damaged(tmp_path, compressed)
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"cine\.nii"):
            read_nifti(path)


def test_headers_that_lie_are_refused_or_read_as_the_package_does(tmp_path: Path) -> None:
    path, content = _damaged(tmp_path, compressed=False)
    random = np.random.default_rng(11)
    read_alike = refused = 0
    for _ in range(600):
        broken = bytearray(content)
        for at in random.integers(0, 348, random.integers(1, 4)):
            broken[at] = random.choice([0, 1, 127, 128, 255, broken[at] ^ (1 << random.integers(8))])
        path.write_bytes(broken)
        try:
            cine = _package(path)
        except PackageInputError:
            refused += 1
            try:
                read = read_nifti(path)
            except InputError:
                continue
            assert len(read.values) < 2 or min(read.values.shape[2:]) < 4, "what is no cine for the server"
            continue
        read = read_nifti(path)
        np.testing.assert_array_equal(read.values.astype(np.float32), cine.frames)
        np.testing.assert_allclose(read.affine, cine.affine, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(read.times, cine.frame_times, rtol=1e-9)
        read_alike += 1
    assert read_alike > 100
    assert refused > 50


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "does not begin with a NIfTI header"),
        (b"NRRD0004\n" + bytes(400), "does not begin with a NIfTI header"),
        (b"\x1f\x8b not gzip at all", "damaged"),
    ],
)
def test_what_is_no_nifti_is_refused_in_one_sentence(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "x.nii.gz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        read_nifti(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_small_file_that_promises_gigabytes_takes_no_memory(tmp_path: Path) -> None:
    path, content = _damaged(tmp_path, compressed=False)
    content[40:56] = np.array([4, 2000, 2000, 60, 1, 1, 1, 1], "<i2").tobytes()
    packed = tmp_path / "bomb.nii.gz"
    packed.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(InputError, match="far more than there are"):
        read_nifti(packed)
    content[46:50] = np.array([30000, 30], "<i2").tobytes()
    path.write_bytes(content)
    with pytest.raises(InputError, match="more than the 268435456"):
        read_nifti(path)


def test_nothing_is_left_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        write_nifti(tmp_path / "missing" / "x.nii", _values("i2"), np.eye(4))
    with pytest.raises(InputError, match="expected uint8"):
        write_nifti(tmp_path / "x.nii", _values("i8"), np.eye(4))
    assert list(tmp_path.iterdir()) == []


def test_a_real_cine_is_read_as_nibabel_reads_it(real_data: Path) -> None:
    path = real_data / "cine_sax.nii.gz"
    read, loaded = read_nifti(path), _nibabel(path)
    np.testing.assert_array_equal(read.values.T, np.asarray(loaded.dataobj))
    np.testing.assert_allclose(read.affine, loaded.affine, atol=1e-4)
