"""Motion folders: applied by SimpleITK as they are, read back, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk  # noqa: N813 - the customary name
from cardiac_motion.cine import Cine
from cardiac_motion.errors import GeometryWarning, InputError
from cardiac_motion.io import RAS_TO_LPS, nearest_orthonormal
from cardiac_motion.io.motion_folder import read_motion, write_motion
from cardiac_motion.io.vectors import read_vectors, write_vectors
from cardiac_motion.motion import Motion
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

TIMES = np.array([0.0, 0.05, 0.11])


def turned(angles: tuple[float, float, float], flips: tuple[int, int, int], spacing: tuple[float, ...]) -> Any:
    """An oblique affine."""
    matrix = np.diag([*spacing, 1.0]) @ np.diag([*flips, 1.0])
    for (i, j), angle in zip(((0, 1), (1, 2), (0, 2)), angles, strict=True):
        turn = np.eye(4)
        turn[[i, i, j, j], [i, j, i, j]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
        matrix = turn @ matrix
    matrix[:3, 3] = (31.0, -45.5, 12.25)
    return matrix


OBLIQUE = turned((0.5, -0.3, 0.9), (1, 1, 1), (1.25, 1.5, 8.0))


def smooth_motion(affine: npt.NDArray[np.float64], *, slices: int, in_plane: bool, seed: int = 0) -> Motion:
    """3 frames of 26 x 22 pixels with smooth motion of a few pixels, reference 1."""
    rng = np.random.default_rng(seed)
    shape = (slices, 26, 22)
    both = np.zeros((2, 3, 3, *shape), np.float32)
    for field in both:
        for t in (0, 2):
            field[t] = [gaussian_filter(n, (0.7, 4, 4)) for n in rng.normal(size=(3, *shape))]
            field[t] *= 4.0 / np.abs(field[t]).max()
    if in_plane:
        both[:, :, 0] = 0
    return Motion(
        both[0],
        both[1],
        reference=1,
        affine=affine,
        frame_times=TIMES,
        model="noise",
        version="1.2",
        image_hash="ab" * 32,
        settings={"levels": 2, "similarity": "ssim"},
        inverse_residual_mm=0.25,
    )


def heart(slices: int) -> npt.NDArray[np.uint8]:
    y, x = np.meshgrid(np.arange(26), np.arange(22), indexing="ij")
    r = np.hypot(y - 13.2, x - 10.7)
    plane = np.where(r < 4, 3, np.where(r < 7, 2, 0)) + (x < 6) * (r >= 7) * (r < 9)
    return np.stack([np.roll(plane, i % 3, axis=0) for i in range(slices)]).astype(np.uint8)


def itk_image(labels: npt.NDArray[Any], affine: npt.NDArray[np.float64]) -> sitk.Image:
    """A 3D image on a grid given by a RAS affine."""
    lps = RAS_TO_LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    return image


def itk_transform(path: Path) -> sitk.Transform:
    image = sitk.ReadImage(str(path))
    assert image.GetDimension() == 3
    assert image.GetNumberOfComponentsPerPixel() == 3
    return sitk.DisplacementFieldTransform(sitk.Cast(image, sitk.sitkVectorFloat64))


class TestAppliedBySimpleItk:
    @pytest.mark.parametrize(
        "affine",
        [
            np.diag([1.25, 1.5, 8.0, 1.0]),
            np.diag([-1.25, -1.5, 8.0, 1.0]),
            turned((0.0, 0.0, 0.0), (1, -1, -1), (1.25, 1.5, 8.0)),
            OBLIQUE,
            turned((-2.0, 1.0, 0.4), (-1, 1, 1), (1.25, 1.25, 9.0)),
        ],
        ids=["straight", "LPS", "flipped", "oblique", "oblique and left-handed"],
    )
    @pytest.mark.parametrize(("slices", "in_plane"), [(5, True), (5, False), (1, True)])
    def test_the_same_label_lands_in_the_same_place(
        self, tmp_path: Path, affine: npt.NDArray[np.float64], slices: int, in_plane: bool
    ) -> None:
        motion = smooth_motion(affine, slices=slices, in_plane=in_plane)
        write_motion(tmp_path / "motion", motion)
        drawn = heart(slices)
        image = itk_image(drawn, affine)
        for t in (0, 2):
            forward = itk_transform(tmp_path / "motion" / f"to_reference_{t:03d}.nrrd")
            seen = sitk.Resample(image, image, forward, sitk.sitkNearestNeighbor, 0)
            expected = motion.warp(drawn, source=1, target=t, interpolation="nearest")
            np.testing.assert_array_equal(sitk.GetArrayFromImage(seen), expected)
            assert np.mean(expected != drawn) > 0.02

            backward = itk_transform(tmp_path / "motion" / f"from_reference_{t:03d}.nrrd")
            seen = sitk.Resample(image, image, backward, sitk.sitkNearestNeighbor, 0)
            expected = motion.warp(drawn, source=t, target=1, interpolation="nearest")
            np.testing.assert_array_equal(sitk.GetArrayFromImage(seen), expected)

    @pytest.mark.parametrize("slices", [1, 5])
    def test_points_move_to_the_same_place(self, tmp_path: Path, slices: int) -> None:
        motion = smooth_motion(OBLIQUE, slices=slices, in_plane=True)
        write_motion(tmp_path / "motion", motion)
        # Between pixels, but on the slices, between which an in-plane motion is nobody's business.
        voxels = np.random.default_rng(1).uniform([0, 2, 2], [slices - 1, 23, 19], size=(20, 3))
        voxels[:, 0] = np.round(voxels[:, 0])
        world = voxels[:, ::-1] @ OBLIQUE[:3, :3].T + OBLIQUE[:3, 3]
        paths = motion.track_world(world)
        flip = np.array([-1, -1, 1])
        for t in (0, 2):
            transform = itk_transform(tmp_path / "motion" / f"from_reference_{t:03d}.nrrd")
            moved = [transform.TransformPoint((point * flip).tolist()) for point in world]
            np.testing.assert_allclose(np.array(moved) * flip, paths[t], atol=1e-4)
            assert np.abs(paths[t] - world).max() > 1

    def test_a_single_slice_is_given_a_thickness(self, tmp_path: Path) -> None:
        """Around the plane, where a bare plane's field would have ended, points move as on it."""
        motion = smooth_motion(OBLIQUE, slices=1, in_plane=True)
        write_motion(tmp_path / "motion", motion)
        assert json.loads((tmp_path / "motion" / "motion.json").read_text())["planes"] == 3
        transform = itk_transform(tmp_path / "motion" / "from_reference_002.nrrd")
        on_plane = OBLIQUE[:3, :3] @ (10, 12, 0) + OBLIQUE[:3, 3]
        normal = OBLIQUE[:3, 2]
        flip = np.array([-1, -1, 1])
        expected = np.array(transform.TransformPoint((on_plane * flip).tolist())) * flip - on_plane
        for share in (-1.4, -0.8, 0.3, 1.4):
            point = on_plane + share * normal
            moved = np.array(transform.TransformPoint((point * flip).tolist())) * flip - point
            np.testing.assert_allclose(moved, expected, atol=1e-5)

    def test_skewed_axes_are_straightened_with_a_warning(self, tmp_path: Path) -> None:
        skewed = OBLIQUE.copy()
        skewed[:3, 2] += 0.08 * 8 * OBLIQUE[:3, 0] / 1.25
        motion = smooth_motion(skewed, slices=5, in_plane=False)
        with pytest.warns(GeometryWarning, match="skewed"):
            write_motion(tmp_path / "motion", motion)
        drawn = heart(5)
        image = itk_image(drawn, nearest_orthonormal(skewed, (5, 26, 22)))
        seen = sitk.Resample(
            image, image, itk_transform(tmp_path / "motion" / "to_reference_002.nrrd"), sitk.sitkNearestNeighbor, 0
        )
        expected = motion.warp(drawn, source=1, target=2, interpolation="nearest")
        np.testing.assert_array_equal(sitk.GetArrayFromImage(seen), expected)
        back = read_motion(tmp_path / "motion")
        np.testing.assert_array_equal(back.affine, skewed)
        np.testing.assert_allclose(back.to_reference, motion.to_reference, atol=1e-5)


class TestRoundTrip:
    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        angles=st.tuples(*[st.floats(-3, 3)] * 3),
        flips=st.tuples(*[st.sampled_from([1, -1])] * 3),
        slices=st.sampled_from([1, 2, 5]),
        in_plane=st.booleans(),
    )
    def test_whatever_the_orientation(
        self,
        tmp_path: Path,
        angles: tuple[float, float, float],
        flips: tuple[int, int, int],
        slices: int,
        in_plane: bool,
    ) -> None:
        affine = turned(angles, flips, (1.25, 1.5, 8.0))
        motion = smooth_motion(affine, slices=slices, in_plane=in_plane)
        write_motion(tmp_path / "motion", motion)
        back = read_motion(tmp_path / "motion")
        np.testing.assert_allclose(back.to_reference, motion.to_reference, atol=2e-6)
        np.testing.assert_allclose(back.from_reference, motion.from_reference, atol=2e-6)
        assert back.is_in_plane == in_plane
        np.testing.assert_array_equal(back.affine, motion.affine)
        np.testing.assert_array_equal(back.frame_times, motion.frame_times)
        for name in ("reference", "model", "version", "image_hash", "settings", "inverse_residual_mm"):
            assert getattr(back, name) == getattr(motion, name)

    def test_it_replaces_an_older_one(self, tmp_path: Path) -> None:
        for seed in (0, 1):
            motion = smooth_motion(OBLIQUE, slices=2, in_plane=True, seed=seed)
            write_motion(tmp_path / "motion", motion)
        np.testing.assert_allclose(read_motion(tmp_path / "motion").to_reference, motion.to_reference, atol=2e-6)
        assert [path.name for path in tmp_path.iterdir()] == ["motion"]

    def test_the_same_motion_gives_the_same_bytes(self, tmp_path: Path) -> None:
        motion = smooth_motion(OBLIQUE, slices=2, in_plane=True)
        for name in ("a", "b"):
            write_motion(tmp_path / name, motion)
        for path in (tmp_path / "a").iterdir():
            assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()

    def test_one_direction_is_completed_by_its_inverse(self, tmp_path: Path) -> None:
        motion = smooth_motion(OBLIQUE, slices=2, in_plane=True)
        write_motion(tmp_path / "motion", motion)
        for path in (tmp_path / "motion").glob("from_reference_*"):
            path.unlink()
        back = read_motion(tmp_path / "motion")
        np.testing.assert_allclose(back.to_reference, motion.to_reference, atol=2e-6)
        assert back.inverse_residual_mm is not None
        assert back.inverse_residual_mm < 0.01
        assert np.nanmax(back.inverse_error_mm(2)) < 0.01

    def test_it_must_belong_to_the_cine(self, tmp_path: Path, disc: Any) -> None:
        frames = np.random.default_rng(0).normal(size=disc.shape).astype(np.float32)
        cine = Cine(frames, disc.about()["affine"], disc.about()["frame_times"])
        write_motion(tmp_path / "own", disc.motion(image_hash=cine.content_hash))
        read_motion(tmp_path / "own", cine)
        write_motion(tmp_path / "other", disc.motion())
        with pytest.raises(InputError, match=r"other: the motion belongs to another image"):
            read_motion(tmp_path / "other", cine)


class TestVectorNifti:
    """Read where it is given, never written."""

    @pytest.mark.parametrize(("intent", "flip"), [(1006, -1), (1007, 1)], ids=["RAS", "LPS"])
    @pytest.mark.parametrize("slices", [1, 3])
    def test_in_the_place_of_a_nrrd(self, tmp_path: Path, intent: int, flip: int, slices: int) -> None:
        motion = smooth_motion(OBLIQUE, slices=slices, in_plane=False)
        write_motion(tmp_path / "motion", motion)
        path = tmp_path / "motion" / "to_reference_002.nrrd"
        vectors, affine = read_vectors(path)
        path.unlink()
        if slices == 1:
            vectors, affine = vectors[1:2], OBLIQUE
        image = nib.nifti1.Nifti1Image((vectors * (flip, flip, 1)).transpose(2, 1, 0, 3)[:, :, :, None], affine)
        image.header["intent_code"] = intent
        image.to_filename(path.with_suffix(".nii.gz"))
        np.testing.assert_allclose(read_motion(tmp_path / "motion").to_reference, motion.to_reference, atol=1e-5)

    def test_as_simpleitk_writes_it(self, tmp_path: Path) -> None:
        motion = smooth_motion(OBLIQUE, slices=3, in_plane=False)
        write_motion(tmp_path / "motion", motion)
        path = tmp_path / "motion" / "to_reference_000.nrrd"
        sitk.WriteImage(sitk.ReadImage(str(path)), str(path.with_suffix(".nii.gz")))
        path.unlink()
        np.testing.assert_allclose(read_motion(tmp_path / "motion").to_reference, motion.to_reference, atol=1e-4)

    @pytest.mark.parametrize(
        ("shape", "intent", "message"),
        [
            ((5, 4, 3, 2, 3), 1007, r"sizes \(X, Y, Z, 1, 3\), got \(5, 4, 3, 2, 3\)"),
            ((5, 4, 3, 1, 2), 1007, "got"),
            ((5, 4, 3), 1007, "got"),
            ((5, 4, 3, 1, 3), 0, "intent is 0"),
        ],
    )
    def test_of_another_kind(self, tmp_path: Path, shape: tuple[int, ...], intent: int, message: str) -> None:
        image = nib.nifti1.Nifti1Image(np.zeros(shape, np.float32), OBLIQUE)
        image.header["intent_code"] = intent
        image.to_filename(tmp_path / "field.nii.gz")
        with pytest.raises(InputError, match=message):
            read_vectors(tmp_path / "field.nii.gz")

    def test_damaged(self, tmp_path: Path) -> None:
        path = tmp_path / "field.nii"
        image = nib.nifti1.Nifti1Image(np.zeros((5, 4, 3, 1, 3), np.float32), OBLIQUE)
        image.header["intent_code"] = 1007
        image.to_filename(path)
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(InputError, match=r"field\.nii: "):
            read_vectors(path)
        path.write_bytes(b"nothing of the kind")
        with pytest.raises(InputError, match=r"field\.nii: "):
            read_vectors(path)


def changed_header(old: bytes, new: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "to_reference_002.nrrd"
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new, 1))

    return change


def changed_about(**entries: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "motion.json"
        about = json.loads(path.read_text())
        path.write_text(json.dumps({k: v for k, v in (about | entries).items() if v != "gone"}))

    return change


def changed_field(change: Callable[[npt.NDArray[np.float32]], Any], shift: float = 0) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        path = folder / "to_reference_002.nrrd"
        vectors, affine = read_vectors(path)
        affine[0, 3] += shift
        write_vectors(path, np.asarray(change(vectors), np.float32), affine)

    return write


def cut_short(folder: Path) -> None:
    path = folder / "from_reference_000.nrrd"
    path.write_bytes(path.read_bytes()[:-200])


class TestBadFolders:
    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda f: (f / "motion.json").unlink(), r"motion\.json: is not there"),
            (lambda f: (f / "motion.json").write_text("{"), r"motion\.json: is not valid JSON"),
            (lambda f: (f / "motion.json").write_bytes(b"\xff\xfe"), r"motion\.json: is not valid JSON"),
            (lambda f: (f / "motion.json").write_text("[]"), "describes something else"),
            (changed_about(format="other"), "describes something else"),
            (changed_about(convention_version=2), "convention version 2; this software reads 1"),
            (changed_about(settings="gone", model="gone"), r"motion\.json: lacks model, settings"),
            (changed_about(shape=[3, 5, 26]), r"expected a shape \[T, Z, Y, X\]"),
            (changed_about(shape=[3, 5, 26, 22.5]), "whole number"),
            (changed_about(shape=[3, 5, 26, 10**9]), "more than the"),
            (changed_about(shape=[4, 5, 26, 22]), r"to_reference_003\.nrrd is missing"),
            (changed_about(shape=[3, 5, 22, 26]), r"to_reference_000\.nrrd: expected a field of size"),
            (changed_about(reference=3), "reference must be a frame from 0 to 2"),
            (changed_about(reference="1"), "whole number for reference"),
            (changed_about(reference=0), "must be zero at the reference frame 0"),
            (changed_about(frame_times=["a", "b", "c"]), "expected numbers"),
            (changed_about(affine=[[1, 2], [3, 4]]), "affine is 4 x 4"),
            (changed_about(affine=[1, 2]), "expected numbers in affine, got 1"),
            (changed_about(frame_times=["0.0", "0.04", "0.08"]), "expected numbers in frame_times, got '0.0'"),
            (changed_about(frame_times=[0, 1, 10**400]), "expected numbers in frame_times: "),
            (changed_about(in_plane="yes"), "expected true or false for in_plane, got 'yes'"),
            (changed_about(convention_version="x" * 5000), r"has convention version 'x{59}\.\.\.;"),
            (lambda f: (f / "motion.json").write_text("[" * 100_000), r"motion\.json: is not valid JSON"),
            (changed_field(lambda v: v + np.float32(5)), "nothing moves along z, but to_reference has up to"),
            (changed_header(b"space origin: (", b"space origin: (inf,0,0) ("), "damaged|finite"),
            (changed_header(b"space origin: (-31,", b"space origin: (1e300,"), "its grid lies up to inf mm"),
            (changed_header(b"endian", b"line skip: 10\nendian"), "skips lines or bytes"),
            (changed_about(inverse_residual_mm="small"), "inverse_residual_mm"),
            (lambda f: (f / "to_reference_001.nrrd").unlink(), r"to_reference_001\.nrrd is missing"),
            (lambda f: [p.unlink() for p in f.glob("*.nrrd")], "no field of either direction"),
            (changed_field(lambda v: v * np.nan), r"to_reference_002\.nrrd: must be finite"),
            (changed_field(lambda v: v[:-1]), r"to_reference_002\.nrrd: expected a field of size"),
            (changed_field(lambda v: v, shift=0.5), r"to_reference_002\.nrrd: its grid lies up to 0\.5 mm"),
            (changed_header(b"left-posterior-superior", b"right-anterior-superior"), "expected 'left-posterior"),
            (changed_header(b"type: float", b"type: int16"), "type 'int16'"),
            (changed_header(b"encoding: gzip", b"encoding: hex"), "encoded as 'hex'"),
            (changed_header(b"endian: little", b"endian: middle"), "endian"),
            (changed_header(b"kinds: vector", b"kinds: domain"), "3D image of vectors"),
            (changed_header(b"sizes: 3 22", b"sizes: 2 33"), "3D image of vectors"),
            (changed_header(b"sizes: 3 22 26 5", b"sizes: 3 22 26 x"), "header is damaged"),
            (changed_header(b"space origin", b"# origin"), "lacks space origin"),
            (changed_header(b"NRRD0004", b"NRRX0004"), "is not a NRRD file"),
            (cut_short, r"from_reference_000\.nrrd: "),
        ],
    )
    def test_is_refused_in_one_message(self, tmp_path: Path, spoil: Callable[[Path], Any], message: str) -> None:
        folder = tmp_path / "motion"
        write_motion(folder, smooth_motion(OBLIQUE, slices=5, in_plane=True))
        spoil(folder)
        with pytest.raises(InputError, match=message):
            read_motion(folder)

    def test_that_are_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="is not there"):
            read_motion(tmp_path / "nowhere")

    def test_another_kind_of_file(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"field\.mha: expected a vector image"):
            read_vectors(tmp_path / "field.mha")

    def test_nothing_is_left_of_a_folder_that_cannot_be_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(path: Path, *args: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("cardiac_motion.io.motion_folder.write_vectors", full)
        with pytest.raises(InputError, match="No space left"):
            write_motion(tmp_path / "motion", smooth_motion(OBLIQUE, slices=1, in_plane=True))
        assert not list(tmp_path.iterdir())
