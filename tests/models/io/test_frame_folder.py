"""A folder of 3D frames as a cine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - the customary name
from cardiac_motion.cine import Cine
from cardiac_motion.errors import GeometryWarning, InputError
from cardiac_motion.io import load_cine, read_cine, read_labels, write_cine, write_labels

MakeCine = Callable[..., Cine]


def write_frames(folder: Path, cine: Cine, names: Iterable[str]) -> None:
    """Frames that say nothing about time."""
    folder.mkdir(exist_ok=True)
    for name, frame in zip(names, cine.frames, strict=False):
        nib.Nifti1Image(frame.T, cine.affine).to_filename(folder / name)


def read_untimed(folder: Path) -> Cine:
    with pytest.warns(GeometryWarning, match="does not say when its frames were taken"):
        return read_cine(folder)


def test_frames_are_in_the_order_of_their_numbers(tmp_path: Path, make_cine: MakeCine) -> None:
    cine = make_cine((12, 2, 6, 5))
    names = [f"patient7_frame{number}.nii.gz" for number in range(12)]  # 10 sorts before 2 as text
    write_frames(tmp_path, cine, names)
    (tmp_path / "notes3.txt").write_text("passed over")
    (tmp_path / ".frame99.nii.gz").write_text("passed over")
    (tmp_path / "more").mkdir()
    read = read_untimed(tmp_path)
    np.testing.assert_array_equal(read.frames, cine.frames)
    np.testing.assert_allclose(read.frame_times, np.arange(12) / 12)


def test_the_number_may_stand_anywhere(tmp_path: Path, make_cine: MakeCine) -> None:
    cine = make_cine((3, 2, 6, 5))
    write_frames(tmp_path, cine, ["t030_slice4.nii", "t060_slice4.nii", "t000_slice4.nii"])
    np.testing.assert_array_equal(read_untimed(tmp_path).frames, cine.frames[[2, 0, 1]])


def test_frames_that_itk_wrote_as_nrrd(tmp_path: Path, make_cine: MakeCine) -> None:
    cine = make_cine((3, 2, 6, 5))
    for number, frame in enumerate(cine.frames):
        image = sitk.GetImageFromArray(frame)
        image.SetSpacing((1.5, 1.5, 8))
        sitk.WriteImage(image, tmp_path / f"{number}.nrrd")
    np.testing.assert_array_equal(read_untimed(tmp_path).frames, cine.frames)


def test_single_slices_in_two_dimensions(tmp_path: Path, make_cine: MakeCine) -> None:
    cine = make_cine((3, 1, 6, 5))
    for number, frame in enumerate(cine.frames):
        nib.Nifti1Image(frame[0].T, np.diag([1.5, 1.5, 6, 1])).to_filename(tmp_path / f"{number}.nii")
    np.testing.assert_array_equal(read_untimed(tmp_path).frames, cine.frames)


def test_a_gap_in_the_numbers_is_told(tmp_path: Path, make_cine: MakeCine) -> None:
    write_frames(tmp_path, make_cine(), ["1.nii", "2.nii", "4.nii", "5.nii"])
    with pytest.warns(GeometryWarning, match="go from 2 to 4: frames may be missing"):
        read_cine(tmp_path)


def test_label_folders(tmp_path: Path, make_cine: MakeCine) -> None:
    cine = make_cine()
    labels = np.random.default_rng(0).integers(0, 4, size=cine.shape, dtype=np.uint8)
    write_labels(tmp_path / "labels", labels, cine)
    assert sorted(path.name for path in (tmp_path / "labels").iterdir())[0] == "label_000.nii.gz"
    np.testing.assert_array_equal(read_labels(tmp_path / "labels").labels, labels)


def test_labels_never_replace_the_folder_of_the_cine(tmp_path: Path, make_cine: MakeCine) -> None:
    cine = make_cine()
    write_cine(tmp_path / "cine", cine)
    with pytest.raises(InputError, match=r"holds 'frame_000\.nii\.gz', which is no part of the new output"):
        write_labels(tmp_path / "cine", np.zeros(cine.shape, dtype=np.uint8), cine)
    np.testing.assert_array_equal(read_cine(tmp_path / "cine").frames, cine.frames)


def test_a_shorter_cine_leaves_no_old_frames(tmp_path: Path, make_cine: MakeCine) -> None:
    write_cine(tmp_path / "cine", make_cine((6, 2, 6, 5)))
    write_cine(tmp_path / "cine", make_cine((3, 2, 6, 5)))
    assert read_cine(tmp_path / "cine").n_frames == 3


def check_bad(folder: Path, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_cine(folder)
    assert str(caught.value).startswith(str(folder))
    assert "\n" not in str(caught.value)


def test_an_empty_folder(tmp_path: Path) -> None:
    check_bad(tmp_path, r"expected 3D frames that end in \.nii.*, found nothing")


def test_a_folder_of_other_files(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"IM000{number}.dcm").write_bytes(b"x")
    check_bad(tmp_path, "found 3 other files")


def test_a_folder_of_one_frame(tmp_path: Path, make_cine: MakeCine) -> None:
    write_frames(tmp_path, make_cine(), ["frame0.nii"])
    check_bad(tmp_path, r"at least two frames, found frame0\.nii alone")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["frame1.nii.gz", "frame1_gt.nii.gz", "frame2.nii.gz"], r"frame1\.nii\.gz and frame1_gt\.nii\.gz"),
        (["frame1.nii", "frame2.nii.gz"], r"frame1\.nii and frame2\.nii\.gz"),
        (["ed.nii", "es.nii"], r"ed\.nii and es\.nii"),
        (["frame01.nii", "frame1.nii", "frame2.nii"], r"frame01\.nii and frame1\.nii"),
        (["s1_t1.nii", "s1_t2.nii", "s2_t1.nii", "s2_t2.nii"], r"s1_t1\.nii and s2_t2\.nii"),
    ],
)
def test_names_that_give_no_order(tmp_path: Path, make_cine: MakeCine, names: list[str], found: str) -> None:
    write_frames(tmp_path, make_cine(), names)
    check_bad(tmp_path, r"names that are the same but for one number, the frame's; found " + found)


def test_two_image_sizes(tmp_path: Path, make_cine: MakeCine) -> None:
    write_frames(tmp_path, make_cine((2, 2, 6, 5)), ["1.nii", "2.nii"])
    nib.Nifti1Image(np.zeros((5, 7, 2), dtype=np.float32), make_cine().affine).to_filename(tmp_path / "3.nii")
    check_bad(tmp_path, r"3\.nii: has size \(X, Y, Z\) = \(5, 7, 2\), but 1\.nii has \(5, 6, 2\)")


def test_two_geometries(tmp_path: Path, make_cine: MakeCine) -> None:
    cine = make_cine((2, 2, 6, 5))
    write_frames(tmp_path, cine, ["1.nii", "2.nii"])
    moved = cine.affine.copy()
    moved[:3, 3] += [0, 0, 4]
    nib.Nifti1Image(cine.frames[0].T, moved).to_filename(tmp_path / "3.nii")
    check_bad(tmp_path, r"3\.nii: lies up to 4 mm away from 1\.nii")


def test_a_series_among_the_frames(tmp_path: Path, make_cine: MakeCine) -> None:
    cine = make_cine((3, 2, 6, 5))
    write_frames(tmp_path, cine, ["1.nii", "2.nii"])
    write_cine(tmp_path / "3.nii", cine)
    check_bad(tmp_path, r"3\.nii: expected one 3D frame, got 3 frames in one file")


def test_a_damaged_frame_is_named(tmp_path: Path, make_cine: MakeCine) -> None:
    write_frames(tmp_path, make_cine(), ["1.nii", "2.nii", "3.nii"])
    data = (tmp_path / "2.nii").read_bytes()
    (tmp_path / "2.nii").write_bytes(data[:-9])
    check_bad(tmp_path, r"2\.nii: its header promises .* truncated")


def test_more_voxels_than_are_read(tmp_path: Path, make_cine: MakeCine) -> None:
    """The frames count together."""
    cine = make_cine((4, 2, 6, 5))
    write_frames(tmp_path, cine, [f"{number}.nii" for number in range(4)])
    assert load_cine(tmp_path, max_voxels=240)[0].shape == cine.shape
    with pytest.raises(InputError, match="promises 240 voxels, more than the 239"):
        load_cine(tmp_path, max_voxels=239)
