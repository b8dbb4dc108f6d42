"""Orientation, skew and contradictions in headers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk  # noqa: N813 - the customary name
from cardiac_motion.cine import Cine, spacing_of
from cardiac_motion.errors import GeometryWarning, InputError
from cardiac_motion.io import corner_distance, nearest_orthonormal, read_frame, skew, write_cine, write_labels

MakeCine = Callable[..., Cine]
Affine = npt.NDArray[np.float64]
MakeAffine = Callable[..., Affine]
SHAPE = (3, 6, 5)


def test_corner_distance_of_a_shift() -> None:
    affine = np.diag([2.0, 2.0, 10.0, 1.0])
    shifted = affine.copy()
    shifted[:3, 3] += [3, 0, 4]
    distance = corner_distance(affine, shifted, SHAPE)
    assert (distance.voxels, distance.mm) == pytest.approx((1.5, 5.0))


def test_corner_distance_of_a_wrong_voxel_size_is_at_the_far_corner() -> None:
    distance = corner_distance(np.eye(4), np.diag([1.1, 1, 1, 1]), SHAPE)
    assert (distance.voxels, distance.mm) == pytest.approx((0.45, 0.45))  # outer edge at 4.5


def test_corner_distance_knows_a_flipped_single_slice() -> None:
    assert corner_distance(np.eye(4), np.diag([1, 1, -1, 1.0]), (1, 6, 5)).voxels == pytest.approx(1)


@pytest.mark.parametrize("seed", range(5))
def test_nearest_orthonormal_leaves_right_angles_alone(make_affine: MakeAffine, seed: int) -> None:
    affine = make_affine(seed)
    assert skew(affine) < 1e-12
    np.testing.assert_allclose(nearest_orthonormal(affine, SHAPE), affine, atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shear", [0.001, 0.3])
def test_nearest_orthonormal_keeps_size_centre_and_handedness(
    make_affine: MakeAffine, seed: int, shear: float
) -> None:
    affine = make_affine(seed, shear=shear)
    assert skew(affine) == pytest.approx(shear / np.hypot(1, shear))
    straight = nearest_orthonormal(affine, SHAPE)
    assert skew(straight) < 1e-12
    assert spacing_of(straight) == pytest.approx(spacing_of(affine))
    assert np.sign(np.linalg.det(straight)) == np.sign(np.linalg.det(affine))
    centre = [2, 2.5, 1, 1]
    np.testing.assert_allclose(straight @ centre, affine @ centre)
    np.testing.assert_allclose(nearest_orthonormal(affine)[:, 3], affine[:, 3])


def test_nearest_orthonormal_is_the_nearest(make_affine: MakeAffine) -> None:
    """No small turn of it brings its directions closer to the skewed ones."""
    affine = make_affine(3, shear=0.2)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    skewed, straight = affine[:3, :3] / spacing, nearest_orthonormal(affine)[:3, :3] / spacing
    best = np.linalg.norm(skewed - straight)
    for axis in range(3):
        for angle in (-1e-3, 1e-3):
            cross = np.cross(np.eye(3), np.eye(3)[axis]) * angle
            turn = np.linalg.qr(np.eye(3) + cross)[0]
            turn *= np.sign(np.diag(turn))
            assert np.linalg.norm(skewed - turn @ straight) > best


def write_header(path: Path, edit: Callable[[nib.Nifti1Header], None], affine: Affine | None = None) -> None:
    image = nib.Nifti1Image(np.zeros(SHAPE[::-1], dtype=np.int16), affine)
    edit(image.header)
    image.header.set_xyzt_units("mm", "sec")
    image.to_filename(path)


def test_sform_without_scale_gets_the_voxel_size_of_pixdim(tmp_path: Path) -> None:
    """As in ACDC: the sform is a bare rotation. ITK warns and takes pixdim; the volumes depend on it."""

    def edit(header: nib.Nifti1Header) -> None:
        header.set_qform(np.diag([-1.5625, -1.5625, 10, 1]), code=1)
        header.set_sform(np.diag([-1, -1, 1, 1]), code=2)

    write_header(tmp_path / "frame.nii", edit)
    with pytest.warns(
        GeometryWarning, match=r"\(1\.562, 1\.562, 10\) mm in pixdim and \(1, 1, 1\) mm in the sform"
    ):
        _, affine = read_frame(tmp_path / "frame.nii")
    np.testing.assert_allclose(affine, np.diag([-1.5625, -1.5625, 10, 1]))
    assert sitk.ReadImage(tmp_path / "frame.nii").GetSpacing() == pytest.approx((1.5625, 1.5625, 10))


def test_pixdim_of_ones_is_nobodys_measurement(tmp_path: Path) -> None:
    def edit(header: nib.Nifti1Header) -> None:
        header.set_sform(np.diag([1.5, 1.5, 8, 1]), code=1)
        header["pixdim"][1:4] = 1

    write_header(tmp_path / "frame.nii", edit)
    _, affine = read_frame(tmp_path / "frame.nii")
    np.testing.assert_allclose(affine, np.diag([1.5, 1.5, 8, 1]))


def test_qform_alone(tmp_path: Path, make_affine: MakeAffine) -> None:
    expected = make_affine(2)
    write_header(tmp_path / "frame.nii", lambda header: header.set_qform(expected, code=1))
    _, affine = read_frame(tmp_path / "frame.nii")
    assert corner_distance(expected, affine, SHAPE).voxels < 1e-4


def test_without_orientation_the_axes_are_those_that_itk_assumes(tmp_path: Path) -> None:
    def edit(header: nib.Nifti1Header) -> None:
        header["pixdim"][1:4] = [1.5, 1.25, 8]

    write_header(tmp_path / "frame.nii", edit)
    with pytest.warns(GeometryWarning, match="no orientation"):
        _, affine = read_frame(tmp_path / "frame.nii")
    image = sitk.ReadImage(tmp_path / "frame.nii")
    point = np.array(image.TransformIndexToPhysicalPoint((4, 5, 2))) * [-1, -1, 1]
    np.testing.assert_allclose((affine @ [4, 5, 2, 1])[:3], point)


def test_sform_and_qform_that_disagree(tmp_path: Path, make_affine: MakeAffine) -> None:
    def edit(header: nib.Nifti1Header) -> None:
        moved = make_affine(1)
        moved[:3, 3] += [0, 7, 0]
        header.set_qform(moved, code=1)
        header.set_sform(make_affine(1), code=2)

    write_header(tmp_path / "frame.nii", edit)
    with pytest.warns(GeometryWarning, match="up to 7 mm apart; the sform is taken"):
        _, affine = read_frame(tmp_path / "frame.nii")
    assert corner_distance(make_affine(1), affine, SHAPE).voxels < 1e-4


def test_rounding_in_the_qform_is_no_disagreement(tmp_path: Path, make_affine: MakeAffine) -> None:
    def edit(header: nib.Nifti1Header) -> None:
        header.set_qform(make_affine(1), code=1)
        header.set_sform(make_affine(1), code=1)

    write_header(tmp_path / "frame.nii", edit)
    read_frame(tmp_path / "frame.nii")


@pytest.mark.parametrize(("code", "factor"), [(1, 1000.0), (3, 0.001), (0, 1.0)])
def test_units_of_length(tmp_path: Path, code: int, factor: float) -> None:
    image = nib.Nifti1Image(np.zeros(SHAPE[::-1], dtype=np.int16), np.diag([1.5, 1.5, 8, 1]) / factor)
    image.header["xyzt_units"] = code
    image.to_filename(tmp_path / "frame.nii")
    _, affine = read_frame(tmp_path / "frame.nii")
    np.testing.assert_allclose(np.diag(affine), [1.5, 1.5, 8, 1], rtol=1e-6)


def nrrd_with(folder: Path, cine: Cine, replace: dict[str, str]) -> Path:
    path = folder / "frame.nrrd"
    write_labels(path, np.zeros(cine.shape[1:], dtype=np.uint8), cine)
    header, voxels = path.read_bytes().split(b"\n\n", maxsplit=1)
    text = header.decode()
    for old, new in replace.items():
        assert old in text
        text = text.replace(old, new)
    path.write_bytes(text.encode() + b"\n\n" + voxels)
    return path


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("right-anterior-superior", [1, 1, 1]),
        ("RAS", [1, 1, 1]),
        ("left-anterior-superior", [-1, 1, 1]),
        ("LAS", [-1, 1, 1]),
        ("left-posterior-superior", [-1, -1, 1]),
        ("LPS", [-1, -1, 1]),
    ],
)
def test_spaces_of_nrrd(tmp_path: Path, make_cine: MakeCine, space: str, signs: list[int]) -> None:
    cine = make_cine()
    _, affine = read_frame(nrrd_with(tmp_path, cine, {"left-posterior-superior": space}))
    in_file = np.diag([-1, -1, 1, 1]) @ cine.affine
    np.testing.assert_allclose(affine, np.diag([*signs, 1]) @ in_file)


def test_a_nrrd_that_names_no_space_is_read_as_itk_reads_it(tmp_path: Path, make_cine: MakeCine) -> None:
    cine = make_cine()
    path = nrrd_with(tmp_path, cine, {"space: left-posterior-superior": "space dimension: 3"})
    with pytest.warns(GeometryWarning, match="names no space"):
        _, affine = read_frame(path)
    np.testing.assert_allclose(affine, cine.affine)


def test_a_nrrd_with_spacings_alone(tmp_path: Path, make_cine: MakeCine) -> None:
    path = nrrd_with(
        tmp_path, make_cine(), {"space directions": "content", "endian": "spacings: 1.5 1.25 8\nendian"}
    )
    with pytest.warns(GeometryWarning, match="no orientation"):
        _, affine = read_frame(path)
    np.testing.assert_allclose(affine, np.diag([-1.5, -1.25, 8, 1]))


def test_a_nrrd_in_other_units(tmp_path: Path, make_cine: MakeCine) -> None:
    path = nrrd_with(tmp_path, make_cine(), {"endian": 'space units: "m" "m" "m"\nendian'})
    with pytest.raises(InputError, match="lengths are in m m m; expected mm"):
        read_frame(path)


def test_a_skew_that_itk_accepts_is_not_worth_a_warning(tmp_path: Path, make_cine: MakeCine) -> None:
    write_cine(tmp_path / "cine.nii", make_cine(shear=5e-5))
    sitk.ReadImage(tmp_path / "cine.nii")
    write_cine(tmp_path / "cine.nrrd", make_cine(shear=5e-5))
