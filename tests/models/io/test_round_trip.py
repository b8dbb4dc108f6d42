"""What is written is read back, in every format and geometry."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.errors import GeometryWarning, InputError
from cardiac_motion.io import corner_distance, read_cine, read_frame, read_labels, write_cine, write_labels
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MakeCine = Callable[..., Cine]

FORMATS = ["cine.nii", "cine.nii.gz", "cine.nrrd", "cine.seq.nrrd", "cine"]
FLOAT32_VOXELS = 1e-4
"""What rounding an affine to float32, as NIfTI does, moves a corner by at most, in voxels."""

few = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
shapes = st.tuples(st.integers(2, 6), st.integers(1, 4), st.integers(4, 9), st.integers(4, 9))


def assert_same(read: Cine, written: Cine, *, voxels: float = FLOAT32_VOXELS) -> None:
    assert read.frames.dtype == np.float32
    np.testing.assert_array_equal(read.frames, written.frames)
    np.testing.assert_allclose(read.frame_times, written.frame_times, rtol=1e-6, atol=1e-7)
    assert corner_distance(written.affine, read.affine, written.shape[1:]).voxels < voxels


@pytest.mark.parametrize("name", FORMATS)
@few
@given(shape=shapes, seed=st.integers(0, 2**16), whole=st.booleans(), step=st.floats(0.005, 0.5))
def test_cine(
    make_cine: MakeCine, name: str, shape: tuple[int, int, int, int], seed: int, whole: bool, step: float
) -> None:
    cine = make_cine(shape, seed=seed, whole=whole, step=step)
    with tempfile.TemporaryDirectory() as folder:
        write_cine(Path(folder) / name, cine)
        read = read_cine(Path(folder) / name)
    assert_same(read, cine)
    assert read.name == "cine"


@pytest.mark.parametrize("name", FORMATS)
@few
@given(shape=shapes, seed=st.integers(0, 2**16))
def test_labels(make_cine: MakeCine, name: str, shape: tuple[int, int, int, int], seed: int) -> None:
    cine = make_cine(shape, seed=seed)
    labels = np.random.default_rng(seed).integers(0, 6, size=shape, dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        write_labels(Path(folder) / name, labels, cine)
        read = read_labels(Path(folder) / name)
    assert read.is_4d
    assert read.labels.dtype == np.uint8
    np.testing.assert_array_equal(read.labels, labels)
    assert corner_distance(cine.affine, read.affine, cine.shape[1:]).voxels < FLOAT32_VOXELS


@pytest.mark.parametrize("name", ["label.nii", "label.nii.gz", "label.nrrd"])
def test_labels_of_one_frame(tmp_path: Path, make_cine: MakeCine, name: str) -> None:
    cine = make_cine()
    labels = np.random.default_rng(0).integers(0, 6, size=cine.shape[1:])
    write_labels(tmp_path / name, labels, cine)
    read = read_labels(tmp_path / name)
    assert not read.is_4d
    np.testing.assert_array_equal(read.labels, labels[np.newaxis])


def test_one_frame_is_no_sequence(tmp_path: Path, make_cine: MakeCine) -> None:
    cine = make_cine()
    with pytest.raises(InputError, match=r"label\.seq\.nrrd: a sequence has frames"):
        write_labels(tmp_path / "label.seq.nrrd", np.zeros(cine.shape[1:], dtype=np.uint8), cine)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", FORMATS)
def test_the_exact_skewed_affine_survives(tmp_path: Path, make_cine: MakeCine, name: str) -> None:
    cine = make_cine(shear=0.05)
    write_cine(tmp_path / name, cine)
    with pytest.warns(GeometryWarning, match="skewed by 2.86 degrees") as caught:
        read = read_cine(tmp_path / name)
    assert len(caught) == 1
    assert_same(read, cine)


def test_nrrd_keeps_every_bit_of_the_affine(tmp_path: Path, make_cine: MakeCine) -> None:
    cine = make_cine(seed=5)
    write_cine(tmp_path / "cine.nrrd", cine)
    np.testing.assert_array_equal(read_cine(tmp_path / "cine.nrrd").affine, cine.affine)


@pytest.mark.parametrize("name", ["cine.nii.gz", "cine.seq.nrrd"])
def test_the_same_cine_gives_the_same_bytes(
    tmp_path: Path, make_cine: MakeCine, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    contents = []
    for day in (1, 2):
        monkeypatch.setattr("time.time", lambda now=day * 86400.0: now)
        write_cine(tmp_path / name, make_cine())
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]


@pytest.mark.parametrize("whole", [True, False])
def test_whole_numbers_are_stored_as_such(tmp_path: Path, make_cine: MakeCine, whole: bool) -> None:
    write_cine(tmp_path / "cine.nii", make_cine(whole=whole))
    assert nib.Nifti1Image.from_filename(tmp_path / "cine.nii").get_data_dtype() == (
        np.int16 if whole else np.float32
    )


def test_whole_numbers_beyond_16_bits_stay_exact(tmp_path: Path, make_cine: MakeCine) -> None:
    cine = make_cine()
    large = Cine(cine.frames * 1000, cine.affine, cine.frame_times)
    write_cine(tmp_path / "cine.nii", large)
    assert_same(read_cine(tmp_path / "cine.nii"), large)


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.int8, np.int16, np.uint16, np.int32, np.uint32, np.float32, np.float64]
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_type_and_byte_order_of_nifti(tmp_path: Path, dtype: type[np.generic], order: str) -> None:
    values = np.random.default_rng(0).integers(0, 100, size=(5, 6, 3, 4)).astype(dtype)
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(dtype)
    image = nib.Nifti1Image(values, np.diag([1.5, 1.5, 8, 1]), header)
    image.header["pixdim"][4] = 0.04
    image.header.set_xyzt_units("mm", "sec")
    image.to_filename(tmp_path / "cine.nii")
    np.testing.assert_array_equal(read_cine(tmp_path / "cine.nii").frames, values.T)


def test_nifti_2(tmp_path: Path, make_cine: MakeCine) -> None:
    cine = make_cine()
    image = nib.Nifti2Image(cine.frames.T, cine.affine)
    image.header["pixdim"][4] = 31
    image.header.set_xyzt_units("mm", "msec")
    image.to_filename(tmp_path / "cine.nii.gz")
    assert_same(read_cine(tmp_path / "cine.nii.gz"), cine, voxels=1e-10)


def test_stored_numbers_are_scaled(tmp_path: Path, make_cine: MakeCine) -> None:
    cine = make_cine(whole=False)
    image = nib.Nifti1Image(cine.frames.T, cine.affine)
    image.header.set_data_dtype(np.int16)  # makes nibabel choose slope and intercept
    image.header["pixdim"][4] = 0.031
    image.header.set_xyzt_units("mm", "sec")
    image.to_filename(tmp_path / "cine.nii")
    slope = float(np.frombuffer((tmp_path / "cine.nii").read_bytes()[112:116], dtype="<f4")[0])
    assert slope not in {0.0, 1.0}
    np.testing.assert_allclose(read_cine(tmp_path / "cine.nii").frames, cine.frames, atol=0.51 * slope)


def test_one_frame_alone(tmp_path: Path, make_cine: MakeCine) -> None:
    cine = make_cine()
    nib.Nifti1Image(cine.frames[0].T, cine.affine).to_filename(tmp_path / "frame.nii.gz")
    frame, affine = read_frame(tmp_path / "frame.nii.gz")
    assert frame.dtype == np.float32
    np.testing.assert_array_equal(frame, cine.frames[0])
    assert corner_distance(cine.affine, affine, cine.shape[1:]).voxels < FLOAT32_VOXELS


def test_a_series_is_not_one_frame(tmp_path: Path, make_cine: MakeCine) -> None:
    write_cine(tmp_path / "cine.nii", make_cine())
    with pytest.raises(InputError, match=r"cine\.nii: expected one 3D image, got a series of 4 frames"):
        read_frame(tmp_path / "cine.nii")


def test_single_slice_cine_has_one_slice(tmp_path: Path, make_cine: MakeCine) -> None:
    cine = make_cine((4, 1, 6, 5))
    write_cine(tmp_path / "cine.nii", cine)
    assert nib.Nifti1Image.from_filename(tmp_path / "cine.nii").shape == (5, 6, 1, 4)
    assert read_cine(tmp_path / "cine.nii").shape == (4, 1, 6, 5)
