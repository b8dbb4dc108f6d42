"""Label files: values, and whether they belong to the cine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.errors import InputError
from cardiac_motion.io import (
    CORNER_TOLERANCE,
    LabelImage,
    check_labels,
    corner_distance,
    nearest_orthonormal,
    read_labels,
    write_labels,
)
from cardiac_motion.labels import Label

MakeCine = Callable[..., Cine]
Affine = npt.NDArray[np.float64]


def save(path: Path, values: npt.NDArray[np.generic]) -> None:
    nib.Nifti1Image(values.T, np.diag([1.5, 1.5, 8, 1])).to_filename(path)


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int32, np.float32, np.float64])
def test_whole_numbers_of_any_type(tmp_path: Path, dtype: type[np.generic]) -> None:
    values = np.random.default_rng(0).integers(0, 6, size=(3, 6, 5))
    save(tmp_path / "label.nii", values.astype(dtype))
    read = read_labels(tmp_path / "label.nii")
    assert read.labels.dtype == np.uint8
    np.testing.assert_array_equal(read.labels[0], values)
    assert read.name == str(tmp_path / "label.nii")


def test_values_that_come_whole_from_scaling(tmp_path: Path) -> None:
    """Stored as 0 to 15 with slope 1/5."""
    values = np.random.default_rng(0).integers(0, 4, size=(3, 6, 5))
    image = nib.Nifti1Image((values * 5).astype(np.int16).T, np.eye(4))
    image.to_filename(tmp_path / "label.nii")
    data = bytearray((tmp_path / "label.nii").read_bytes())
    data[112:116] = np.float32(0.2).tobytes()
    (tmp_path / "label.nii").write_bytes(data)
    np.testing.assert_array_equal(read_labels(tmp_path / "label.nii").labels[0], values)


@pytest.mark.parametrize(
    ("value", "dtype", "message"),
    [
        (0.5, np.float32, r"label values are whole numbers, got 0\.5"),
        (np.nan, np.float32, "label values are whole numbers, got nan"),
        (np.inf, np.float64, "label values are whole numbers, got inf"),
        (-1, np.int16, "lie from 0 to 255, got -1 to 0"),
        (256, np.int16, "lie from 0 to 255, got 0 to 256"),
        (1e9, np.float32, r"lie from 0 to 255, got 0 to 1e\+09"),
    ],
)
def test_values_that_are_no_labels(tmp_path: Path, value: float, dtype: type[np.generic], message: str) -> None:
    values = np.zeros((3, 6, 5), dtype=dtype)
    values[1, 2, 3] = value
    save(tmp_path / "label.nii", values)
    with pytest.raises(InputError, match=r"label\.nii: .*" + message):
        read_labels(tmp_path / "label.nii")


def labels_for(cine: Cine, *, affine: Affine | None = None, n_frames: int = 1, value: int = 3) -> LabelImage:
    labels = np.zeros((n_frames, *cine.shape[1:]), dtype=np.uint8)
    labels[:, 1, 2, 3] = value
    place = cine.affine if affine is None else affine
    return LabelImage(labels, place, n_frames > 1, name="label.nii")


@pytest.mark.parametrize("n_frames", [1, 4])
@pytest.mark.parametrize("value", list(Label))
def test_labels_that_belong(make_cine: MakeCine, n_frames: int, value: int) -> None:
    cine = make_cine()
    check_labels(labels_for(cine, n_frames=n_frames, value=value), cine)


def test_another_size(make_cine: MakeCine) -> None:
    with pytest.raises(
        InputError, match=r"label\.nii: has size \(X, Y, Z\) = \(7, 6, 3\), but the cine has \(5, 6, 3\)"
    ):
        check_labels(labels_for(make_cine((4, 3, 6, 7))), make_cine((4, 3, 6, 5)))
    with pytest.raises(InputError, match="but the cine pat-01 has"):
        check_labels(labels_for(make_cine((4, 3, 6, 7))), replace(make_cine((4, 3, 6, 5)), name="pat-01"))


def test_another_number_of_frames(make_cine: MakeCine) -> None:
    with pytest.raises(InputError, match=r"has 3 frames; expected one, or 4 as the cine$"):
        check_labels(labels_for(make_cine(), n_frames=3), make_cine())


def test_unknown_values(make_cine: MakeCine) -> None:
    with pytest.raises(
        InputError, match=r"has the label values \[255\]; expected only 0 \(background\), 1 \(RV\)"
    ):
        check_labels(labels_for(make_cine(), value=255), make_cine())


def test_values_that_this_use_does_not_allow(make_cine: MakeCine) -> None:
    cine = make_cine()
    check_labels(labels_for(cine, value=Label.LA), cine, allowed=[0, Label.LA, Label.RA])
    with pytest.raises(
        InputError, match=r"label values \[3\]; expected only 0 \(background\), 4 \(LA\), 5 \(RA\)$"
    ):
        check_labels(labels_for(cine, value=Label.LV), cine, allowed=[0, Label.LA, Label.RA])


@pytest.mark.parametrize(("voxels", "fits"), [(0.9 * CORNER_TOLERANCE, True), (1.1 * CORNER_TOLERANCE, False)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_tolerance_is_in_voxels(make_cine: MakeCine, voxels: float, fits: bool, axis: int) -> None:
    cine = make_cine()
    moved = cine.affine.copy()
    moved[:3, 3] += voxels * moved[:3, axis]
    if fits:
        check_labels(labels_for(cine, affine=moved), cine)
    else:
        with pytest.raises(InputError, match=r"corners are up to 0\.11 voxels .* expected at most 0\.1 voxels"):
            check_labels(labels_for(cine, affine=moved), cine)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_flipped_axis(make_cine: MakeCine, axis: int) -> None:
    cine = make_cine()
    flipped = cine.affine.copy()
    size = cine.shape[:0:-1][axis]
    flipped[:3, 3] += (size - 1) * flipped[:3, axis]
    flipped[:3, axis] *= -1
    with pytest.raises(InputError, match=f"corners are up to {size} voxels"):
        check_labels(labels_for(cine, affine=flipped), cine)


@pytest.mark.parametrize("shear", [0.001, 0.02, 0.2])
@pytest.mark.parametrize("keeps_centre", [True, False])
def test_the_straightened_grid_of_a_skewed_cine(make_cine: MakeCine, shear: float, keeps_centre: bool) -> None:
    cine = make_cine((2, 8, 40, 40), shear=shear)
    straight = nearest_orthonormal(cine.affine, cine.shape[1:] if keeps_centre else None)
    check_labels(labels_for(cine, affine=straight), cine)
    straight[:3, 3] += 1.2 * straight[:3, 0]
    with pytest.raises(InputError, match="does not lie on the voxels"):
        check_labels(labels_for(cine, affine=straight), cine)


def gram_schmidt(affine: Affine) -> Affine:
    """Straightened as other programs do it: the first axis kept."""
    straight = affine.copy()
    q, r = np.linalg.qr(affine[:3, :3])
    straight[:3, :3] = q * np.sign(np.diag(r)) * np.linalg.norm(affine[:3, :3], axis=0)
    return straight


@pytest.mark.parametrize(("shear", "fits"), [(0.005, True), (0.2, False)])
def test_a_grid_straightened_in_another_way_fits_if_it_is_near(
    make_cine: MakeCine, shear: float, fits: bool
) -> None:
    cine = make_cine((2, 8, 40, 40), shear=shear)
    labels = labels_for(cine, affine=gram_schmidt(cine.affine))
    if fits:
        assert corner_distance(cine.affine, labels.affine, cine.shape[1:]).voxels > CORNER_TOLERANCE
        check_labels(labels, cine)
    else:
        with pytest.raises(InputError, match=r"expected at most 1\.1 voxels"):
            check_labels(labels, cine)


def test_a_cine_with_right_angles_has_no_straightened_grid(
    make_cine: MakeCine, make_affine: Callable[..., Affine]
) -> None:
    cine = make_cine((2, 8, 40, 40))
    with pytest.raises(InputError, match="does not lie on the voxels"):
        check_labels(labels_for(cine, affine=make_affine(0, shear=0.02)), cine)


@pytest.mark.parametrize(
    ("labels", "is_4d"),
    [
        (np.zeros((2, 6, 5), dtype=np.uint8), False),
        (np.zeros((1, 2, 6, 5), dtype=np.int16), False),
        (np.zeros((1, 2, 6, 5), dtype=np.uint8), True),
        (np.zeros((2, 2, 6, 5), dtype=np.uint8), False),
    ],
)
def test_label_images_are_checked(labels: npt.NDArray[np.uint8], is_4d: bool) -> None:
    with pytest.raises(InputError, match=r"labels: (labels are uint8|is_4d is)"):
        LabelImage(labels, np.eye(4), is_4d)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            np.zeros((3, 6, 4), dtype=np.uint8),
            r"expected labels of shape \(3, 6, 5\) or \(4, 3, 6, 5\), got \(3, 6, 4\)",
        ),
        (np.zeros((1, 3, 6, 5), dtype=np.uint8), "expected labels of shape"),
        (np.full((3, 6, 5), 0.5), r"whole numbers, got 0\.5"),
        (np.full((3, 6, 5), 300), "lie from 0 to 255, got 300 to 300"),
        (np.full((3, 6, 5), "LV"), "got values of type <U2"),
    ],
)
def test_labels_that_are_not_written(
    tmp_path: Path, make_cine: MakeCine, labels: npt.NDArray[np.generic], message: str
) -> None:
    with pytest.raises(InputError, match=r"cannot write .*label\.nii: .*" + message):
        write_labels(tmp_path / "label.nii", labels, make_cine())
    assert not list(tmp_path.iterdir())


def test_booleans_are_labels(tmp_path: Path, make_cine: MakeCine) -> None:
    cine = make_cine()
    write_labels(tmp_path / "label.nii", cine.frames[0] > 300, cine)
    assert nib.Nifti1Image.from_filename(tmp_path / "label.nii").get_data_dtype() == np.uint8
    np.testing.assert_array_equal(read_labels(tmp_path / "label.nii").labels[0], cine.frames[0] > 300)
