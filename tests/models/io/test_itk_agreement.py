"""ITK, and so Slicer, sees the same world as we do, in what we write and in what it writes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk  # noqa: N813 - the customary name
from cardiac_motion.cine import Cine
from cardiac_motion.errors import GeometryWarning
from cardiac_motion.io import (
    check_labels,
    corner_distance,
    nearest_orthonormal,
    read_cine,
    read_frame,
    read_labels,
    write_cine,
    write_labels,
)
from hypothesis import given, settings
from hypothesis import strategies as st

MakeCine = Callable[..., Cine]
Affine = npt.NDArray[np.float64]

LPS = np.array([-1.0, -1.0, 1.0])


def ras_point(image: sitk.Image, voxel: tuple[int, int, int]) -> npt.NDArray[np.float64]:
    """Where ITK places a voxel (x, y, z)."""
    index = (*voxel, *([0] * (image.GetDimension() - 3)))
    return np.array(image.TransformIndexToPhysicalPoint(index)[:3]) * LPS


def itk_image(cine: Cine) -> sitk.Image:
    """The cine as ITK has it, 4D."""
    image = sitk.GetImageFromArray(cine.frames, isVector=False)
    spacing = np.linalg.norm(cine.affine[:3, :3], axis=0)
    direction = np.eye(4)
    direction[:3, :3] = LPS[:, np.newaxis] * cine.affine[:3, :3] / spacing
    image.SetDirection(direction.ravel().tolist())
    image.SetSpacing([*spacing.tolist(), cine.frame_times[1]])
    image.SetOrigin([*(LPS * cine.affine[:3, 3]).tolist(), 0.0])
    return image


@pytest.mark.parametrize("name", ["cine.nii.gz", "cine.seq.nrrd"])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**16), n_slices=st.integers(1, 3))
def test_itk_reads_the_same_values_at_the_same_points(
    make_cine: MakeCine, name: str, seed: int, n_slices: int
) -> None:
    cine = make_cine((3, n_slices, 6, 5), seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        write_cine(Path(folder) / name, cine)
        image = sitk.ReadImage(Path(folder) / name)
    values = sitk.GetArrayFromImage(image)
    # ITK takes the list axis of a NRRD for the components of a vector.
    frames = np.moveaxis(values, -1, 0) if image.GetNumberOfComponentsPerPixel() > 1 else values
    np.testing.assert_array_equal(frames, cine.frames)
    for voxel in [(0, 0, 0), (4, 0, 0), (0, 5, 0), (4, 5, n_slices - 1)]:
        expected = cine.affine @ [*voxel, 1]
        np.testing.assert_allclose(ras_point(image, voxel), expected[:3], atol=2e-3)


def test_itk_reads_the_time_between_frames(tmp_path: Path, make_cine: MakeCine) -> None:
    write_cine(tmp_path / "cine.nii.gz", make_cine())
    assert sitk.ReadImage(tmp_path / "cine.nii.gz").GetSpacing()[3] == pytest.approx(0.031)


@pytest.mark.parametrize("name", ["cine.nii", "cine.nii.gz", "cine.nrrd"])
@pytest.mark.parametrize("compressed", [True, False])
def test_cines_that_itk_wrote(tmp_path: Path, make_cine: MakeCine, name: str, compressed: bool) -> None:
    cine = make_cine(seed=7)
    sitk.WriteImage(itk_image(cine), tmp_path / name, compressed)
    if name.endswith(".nrrd"):  # has no unit of time
        with pytest.warns(GeometryWarning, match=r"0\.031 without a unit, is taken as 0\.031 s"):
            read = read_cine(tmp_path / name)
    else:
        read = read_cine(tmp_path / name)
    np.testing.assert_array_equal(read.frames, cine.frames)
    np.testing.assert_allclose(read.frame_times, cine.frame_times, rtol=1e-6)
    assert corner_distance(cine.affine, read.affine, cine.shape[1:]).voxels < 1e-3


@pytest.mark.parametrize("name", ["frame.nii.gz", "frame.nrrd"])
def test_frames_that_itk_wrote(tmp_path: Path, make_cine: MakeCine, name: str) -> None:
    cine = make_cine(seed=8)
    sitk.WriteImage(itk_image(cine)[:, :, :, 2], tmp_path / name)
    frame, affine = read_frame(tmp_path / name)
    np.testing.assert_array_equal(frame, cine.frames[2])
    assert corner_distance(cine.affine, affine, cine.shape[1:]).voxels < 1e-3


@pytest.mark.parametrize("name", ["label.nii.gz", "label.nrrd"])
@pytest.mark.parametrize("shear", [0.0, 0.002, 0.05])
def test_labels_that_went_through_itk_still_fit(
    tmp_path: Path, make_cine: MakeCine, name: str, shear: float
) -> None:
    """Shears beyond ITK's limit: it reads our qform, and its own label files are straightened."""
    cine = make_cine((2, 6, 64, 64), shear=shear)
    labels = np.random.default_rng(0).integers(0, 4, size=cine.shape[1:], dtype=np.uint8)
    write_labels(tmp_path / "ours.nii.gz", labels, cine)
    sitk.WriteImage(sitk.ReadImage(tmp_path / "ours.nii.gz"), tmp_path / name)
    returned = read_labels(tmp_path / name)
    np.testing.assert_array_equal(returned.labels[0], labels)
    check_labels(returned, cine)
    moved = corner_distance(cine.affine, returned.affine, cine.shape[1:]).voxels
    assert (moved > 0.01) == (shear > 0)


def test_itk_gets_the_nearest_orthonormal_grid_of_a_skewed_nifti(tmp_path: Path, make_cine: MakeCine) -> None:
    cine = make_cine(shear=0.05)
    write_cine(tmp_path / "cine.nii", cine)
    image = sitk.ReadImage(tmp_path / "cine.nii")
    straight = nearest_orthonormal(cine.affine, cine.shape[1:])
    for voxel in [(0, 0, 0), (4, 5, 2)]:
        np.testing.assert_allclose(ras_point(image, voxel), (straight @ [*voxel, 1])[:3], atol=2e-3)


def test_itk_reads_the_skewed_axes_of_a_nrrd(tmp_path: Path, make_cine: MakeCine) -> None:
    cine = make_cine(shear=0.05)
    write_cine(tmp_path / "cine.nrrd", cine)
    image = sitk.ReadImage(tmp_path / "cine.nrrd")
    np.testing.assert_allclose(ras_point(image, (4, 5, 2)), (cine.affine @ [4, 5, 2, 1])[:3], atol=1e-6)


def test_slices_of_a_skewed_file_that_itk_refuses(tmp_path: Path, make_cine: MakeCine) -> None:
    """A skewed sform without a qform: ITK has no way to read it, we have."""
    cine = make_cine(shear=0.003)
    nib.Nifti1Image(cine.frames[0].T, cine.affine).to_filename(tmp_path / "frame.nii")
    with pytest.raises(RuntimeError, match="orthonormal"):
        sitk.ReadImage(tmp_path / "frame.nii")
    with pytest.warns(GeometryWarning, match=r"skewed by 0\.172 degrees"):
        frame, affine = read_frame(tmp_path / "frame.nii")
    np.testing.assert_array_equal(frame, cine.frames[0])
    assert corner_distance(cine.affine, affine, cine.shape[1:]).voxels < 1e-4
