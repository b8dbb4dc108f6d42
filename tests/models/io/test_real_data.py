"""Real files, where they are at hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - the customary name
from cardiac_motion.io import (
    check_labels,
    corner_distance,
    read_cine,
    read_frame,
    read_labels,
    write_cine,
    write_labels,
)

DataFile = Callable[[str], Path]


@pytest.fixture
def data_file(real_data: Path) -> DataFile:
    """A file of the real data by its name; without it the test is not run."""

    def find(name: str) -> Path:
        path = real_data / name
        if not path.is_file():
            pytest.skip(f"no {name} in the folder of real data, {real_data}")
        return path

    return find


def test_short_axis_cine_and_its_labels(data_file: DataFile) -> None:
    cine = read_cine(data_file("cine_sax.nii.gz"))
    assert cine.shape == (25, 6, 208, 256)
    assert cine.spacing == pytest.approx((17.7, 1.40625, 1.40625), rel=1e-6)
    np.testing.assert_allclose(cine.frame_times, 0.03104 * np.arange(25))
    labels = read_labels(data_file("cine_sax_labels.nii.gz"))
    assert labels.is_4d
    check_labels(labels, cine)
    assert sorted(np.unique(labels.labels)) == [0, 1, 2, 3]
    assert not labels.labels[:, -1].any()


@pytest.mark.parametrize("name", ["cine.nii.gz", "cine.seq.nrrd"])
def test_short_axis_cine_written_again(data_file: DataFile, tmp_path: Path, name: str) -> None:
    cine = read_cine(data_file("cine_sax.nii.gz"))
    write_cine(tmp_path / name, cine)
    again = read_cine(tmp_path / name)
    np.testing.assert_array_equal(again.frames, cine.frames)
    np.testing.assert_array_equal(again.frame_times, cine.frame_times)
    np.testing.assert_array_equal(again.affine, cine.affine)


@pytest.mark.parametrize(
    ("patient", "n_slices"), [("SCD0003701", 4), ("HF-I-05", 8), ("HYP-08", 9)]
)  # the last two: 8 bit, qform unset
@pytest.mark.parametrize("phase", ["ED", "ES"])
def test_sunnybrook_pairs(data_file: DataFile, patient: str, n_slices: int, phase: str) -> None:
    path = data_file(f"sunnybrook/{patient}_{phase}.nii.gz")
    frame, affine = read_frame(path)
    assert frame.shape == (n_slices, 256, 256)
    itk = sitk.ReadImage(path)
    np.testing.assert_array_equal(frame, sitk.GetArrayFromImage(itk))
    point = np.array(itk.TransformIndexToPhysicalPoint((255, 200, n_slices - 1))) * [-1, -1, 1]
    np.testing.assert_allclose((affine @ [255, 200, n_slices - 1, 1])[:3], point, atol=1e-2)
    labels = read_labels(data_file(f"sunnybrook/{patient}_{phase}_endo.nii.gz"))
    assert not labels.is_4d
    assert corner_distance(affine, labels.affine, frame.shape).voxels < 1e-3
    assert sorted(np.unique(labels.labels)) == [0, 1]


def test_labels_on_the_grid_of_the_real_cine_for_itk(data_file: DataFile, tmp_path: Path) -> None:
    cine = read_cine(data_file("cine_sax.nii.gz"))
    labels = read_labels(data_file("cine_sax_labels.nii.gz"))
    write_labels(tmp_path / "labels.nii.gz", labels.labels, cine)
    ours, theirs = sitk.ReadImage(tmp_path / "labels.nii.gz"), sitk.ReadImage(data_file("cine_sax_labels.nii.gz"))
    for voxel in [(0, 0, 0, 0), (255, 207, 5, 24)]:
        np.testing.assert_allclose(
            ours.TransformIndexToPhysicalPoint(voxel), theirs.TransformIndexToPhysicalPoint(voxel), atol=1e-3
        )
