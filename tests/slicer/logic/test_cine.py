"""Cines in the scene, wherever they come from, and the file that the server gets of them."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from cardiac_motion import io
from cardiac_motion.cine import Cine as PackageCine

from tests.slicer.logic.conftest import AFFINES, Small, make_small

pytest.importorskip("slicer", reason="not run: slicer-core is not installed")

import vtk
from CardiacMotionLib import scene_state, uploads
from CardiacMotionLib.affines import nearest_orthonormal
from CardiacMotionLib.cine import Cine, make_cine
from CardiacMotionLib.cine_loading import (
    cine_from_file,
    cine_from_node,
    cine_from_volumes,
    is_multi_volume,
    name_of,
)
from CardiacMotionLib.errors import InputError
from CardiacMotionLib.mrml import fill_image, image_array, to_matrix, volume_affine
from CardiacMotionLib.nifti import write_nifti

if TYPE_CHECKING:
    from tests.slicer.bed.session import Bed

UNEVEN = np.array([0.0, 0.03, 0.07, 0.1, 0.12])


def _holds(cine: Cine, small: Small) -> None:
    assert cine.shape == small.values.shape
    np.testing.assert_allclose(cine.affine, small.affine, atol=1e-5)
    for t in range(cine.n_frames):
        np.testing.assert_array_equal(cine.array(t), small.values[t])


def _nodes(scene: Any) -> list[str]:
    return sorted(scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes()))


@pytest.mark.parametrize("affine", AFFINES)
@pytest.mark.parametrize("slices", [1, 4])
def test_a_nifti_file_becomes_sequence_browser_and_proxy(
    bed: Bed, tmp_path: Path, affine: str, slices: int
) -> None:
    small = make_small(affine, slices=slices)
    path = tmp_path / "case 7.nii.gz"
    write_nifti(path, small.values, small.affine, frame_seconds=0.031)
    cine = cine_from_file(path)
    _holds(cine, small)
    np.testing.assert_allclose(cine.times, small.times, atol=1e-12)
    assert cine.frame_seconds == pytest.approx(0.031)
    assert (cine.name, cine.sequence.GetIndexUnit()) == ("case 7", "s")
    assert [float(value) for value in cine.index_values] == pytest.approx(small.times.tolist())
    np.testing.assert_allclose(volume_affine(cine.proxy), small.affine, atol=1e-5)
    for t in (3, 0, 4):
        cine.frame = t
        np.testing.assert_array_equal(image_array(cine.proxy.GetImageData()), small.values[t])
    assert bed.mrml.messages() == []


def test_the_window_is_set_once_and_stays(scene: Any, small: Small) -> None:
    cine = small.in_scene()
    display = cine.proxy.GetDisplayNode()
    low, high = np.percentile(small.values[0], [1, 99])
    assert not display.GetAutoWindowLevel()
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == pytest.approx((low, high))
    display.SetWindowLevelMinMax(17, 99)
    cine.frame = 2
    assert cine.proxy.GetDisplayNode() is display
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (17, 99)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_values_keep_their_type(scene: Any, small: Small, dtype: str) -> None:
    values = (small.values % 250).astype(dtype)
    cine = make_cine("c", values, small.affine, small.times)
    assert cine.array(1).dtype == np.dtype(dtype)
    np.testing.assert_array_equal(cine.array(1), values[1])


@pytest.mark.parametrize("affine", AFFINES)
def test_seq_nrrd_of_the_package_is_loaded(bed: Bed, tmp_path: Path, affine: str) -> None:
    small = make_small(affine)
    path = tmp_path / "case.seq.nrrd"
    io.write_cine(path, PackageCine(small.values.astype(np.float32), small.affine, UNEVEN))
    cine = cine_from_file(path)
    _holds(cine, small)
    np.testing.assert_allclose(cine.times, UNEVEN)
    assert uploads.original_file(cine) == path


def test_what_is_a_cine_already_is_found_from_any_of_its_nodes(scene: Any, small: Small) -> None:
    cine = small.in_scene()
    before = _nodes(scene)
    for node in (cine.sequence, cine.browser, cine.proxy):
        found = cine_from_node(node)
        assert (found.browser, found.sequence, found.proxy) == (cine.browser, cine.sequence, cine.proxy)
    assert _nodes(scene) == before
    assert [Cine.find(browser).sequence for browser in scene_state.cine_browsers()] == [cine.sequence]


def test_a_sequence_without_a_browser_gets_one_and_one_in_milliseconds_is_understood(
    bed: Bed, small: Small
) -> None:
    sequence = bed.scene.AddNewNodeByClass("vtkMRMLSequenceNode", "from DICOM")
    sequence.SetIndexUnit("ms")
    for values, time in zip(small.values, small.times, strict=True):
        sequence.SetDataNodeAtValue(_volume(bed, values, small.affine), f"{time * 1000:.1f}")
    cine = cine_from_node(sequence)
    _holds(cine, small)
    np.testing.assert_allclose(cine.times, small.times)
    assert sequence.GetIndexUnit() == "ms"


def _volume(bed: Bed, values: np.ndarray[Any, Any], affine: Any, name: str = "v", *, add: bool = False) -> Any:
    node = bed.slicer.vtkMRMLScalarVolumeNode()
    node.SetName(name)
    node.SetAndObserveImageData(fill_image(vtk.vtkImageData(), values))
    node.SetIJKToRASMatrix(to_matrix(np.asarray(affine)))
    return bed.scene.AddNode(node) if add else node


def test_volumes_become_a_cine_and_stay(bed: Bed, small: Small) -> None:
    volumes = [_volume(bed, values, small.affine, f"f{t}", add=True) for t, values in enumerate(small.values)]
    cine = cine_from_volumes("from volumes", volumes, [1000 * time for time in small.times])
    _holds(cine, small)
    np.testing.assert_allclose(cine.times, small.times)
    assert all(volume.GetScene() is bed.scene for volume in volumes)
    moved = small.affine.copy()
    moved[0, 3] += 3
    before = _nodes(bed.scene)
    for wrong in (_volume(bed, small.values[0], moved, "moved"), _volume(bed, small.values[0][:2], small.affine)):
        with pytest.raises(InputError, match="does not"):
            cine_from_volumes("x", [volumes[0], wrong])
    assert _nodes(bed.scene) == before


def test_a_multivolume_is_converted_with_its_times(bed: Bed, small: Small) -> None:
    """Slicer's class for it is in another extension; it keeps frames as components, as a vector volume does."""
    node = bed.scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "cine 12")
    node.SetAndObserveImageData(fill_image(vtk.vtkImageData(), np.moveaxis(small.values, 0, 3)))
    node.SetIJKToRASMatrix(to_matrix(small.affine))
    assert not is_multi_volume(node)
    node.SetAttribute("MultiVolume.FrameLabels", ",".join(f"{1000 * time:.1f}" for time in small.times))
    cine = cine_from_node(node)
    _holds(cine, small)
    np.testing.assert_allclose(cine.times, small.times)
    node.SetAttribute("MultiVolume.FrameLabels", "a,b,c,d,e")
    guessed = cine_from_node(node)
    np.testing.assert_allclose(guessed.times, np.arange(5) / 5)
    assert "does not say when" in (guessed.timing_note or "")
    assert Cine.find(guessed.browser).timing_note == guessed.timing_note
    assert node.GetScene() is bed.scene


def test_what_is_no_cine_is_refused_and_the_scene_stays_as_it_was(bed: Bed, tmp_path: Path, small: Small) -> None:
    single = _volume(bed, small.values[0], small.affine, "single", add=True)
    markup = bed.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points")
    empty = bed.scene.AddNewNodeByClass("vtkMRMLSequenceNode", "empty")
    uneven = bed.scene.AddNewNodeByClass("vtkMRMLSequenceNode", "uneven")
    uneven.SetDataNodeAtValue(_volume(bed, small.values[0], small.affine), "0")
    uneven.SetDataNodeAtValue(_volume(bed, small.values[1][:, :-1], small.affine), "1")
    browser = bed.scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "nothing")
    write_nifti(tmp_path / "3d.nii", small.values[0], small.affine)
    (tmp_path / "bad.seq.nrrd").write_bytes(b"NRRD0005\nbroken")
    (tmp_path / "x.txt").write_text("x")
    before = _nodes(bed.scene)
    for node in (single, markup, empty, uneven, browser, None):
        with pytest.raises(InputError):
            cine_from_node(node)
    for name in ("3d.nii", "bad.seq.nrrd", "x.txt", "missing.nii.gz", "missing.seq.nrrd"):
        with pytest.raises(InputError, match=name.replace(".", r"\.")):
            cine_from_file(tmp_path / name)
    with pytest.raises(InputError):
        make_cine("nan", small.values, np.full((4, 4), np.nan), small.times)
    assert _nodes(bed.scene) == before


def test_frames_that_are_not_there_are_refused(scene: Any, small: Small) -> None:
    cine = small.in_scene()
    for frame in (-1, 5):
        with pytest.raises(InputError, match="counted from 0 to 4"):
            cine.frame = frame
    assert cine.is_alive
    scene.RemoveNode(cine.sequence)
    assert not cine.is_alive


@pytest.mark.parametrize("affine", AFFINES)
@pytest.mark.parametrize("slices", [1, 4])
@pytest.mark.parametrize("times", ["even", "uneven"])
def test_the_written_upload_is_the_cine_for_the_package(
    bed: Bed, tmp_path: Path, affine: str, slices: int, times: str
) -> None:
    small = make_small(affine, slices=slices)
    seconds = small.times if times == "even" else UNEVEN
    cine = make_cine("c", small.values, small.affine, seconds)
    path = uploads.write_upload(cine, tmp_path, "upload")
    assert path.name == ("upload.nii.gz" if times == "even" else "upload.seq.nrrd")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = io.read_cine(path)
    np.testing.assert_array_equal(read.frames, small.values)
    np.testing.assert_allclose(read.affine, small.affine, atol=1e-5)
    np.testing.assert_allclose(read.frame_times, seconds, atol=1e-7)
    again = cine_from_file(path)
    _holds(again, small)
    np.testing.assert_allclose(again.times, seconds, atol=1e-7)


def test_the_original_is_sent_as_long_as_neither_it_nor_the_cine_has_changed(
    bed: Bed, tmp_path: Path, small: Small
) -> None:
    path = tmp_path / "case.nii.gz"
    write_nifti(path, small.values, small.affine, frame_seconds=0.031)
    cine = cine_from_file(path)
    out = tmp_path / "out"
    out.mkdir()
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    assert uploads.write_upload(cine, out, "u") == path
    cine.array(2)[0, 3, 3] += 1
    assert uploads.write_upload(cine, out, "u") == out / "u.nii.gz"
    cine.array(2)[0, 3, 3] -= 1
    assert uploads.write_upload(cine, out, "u") == path
    assert hashlib.sha256(path.read_bytes()).hexdigest() == content
    write_nifti(path, small.values + 1, small.affine, frame_seconds=0.031)
    assert uploads.write_upload(cine, out, "u") == out / "u.nii.gz"
    path.unlink()
    assert uploads.write_upload(cine, out, "u") == out / "u.nii.gz"


def test_an_original_that_slicer_placed_otherwise_is_not_sent(bed: Bed, tmp_path: Path) -> None:
    small = make_small("skewed")
    path = tmp_path / "case.nii"
    write_nifti(path, small.values, small.affine, frame_seconds=0.031)
    straight = nearest_orthonormal(small.affine, small.values.shape[1:])
    cine = make_cine("as ITK reads it", small.values, straight, small.times)
    uploads.remember_file(cine, path)
    assert uploads.original_file(cine) is None


def test_names_of_files() -> None:
    names = ("a.nii", "a.nii.gz", "a.seq.nrrd", "a.nrrd", "A.NII.GZ", "a.b.nii.gz")
    assert [name_of(name) for name in names] == ["a", "a", "a", "a", "A", "a.b"]


def test_the_real_cine_is_loaded(bed: Bed, real_data: Path) -> None:
    cine = cine_from_file(real_data / "cine_sax.nii.gz")
    package = io.read_cine(real_data / "cine_sax.nii.gz")
    assert cine.shape == package.shape
    np.testing.assert_allclose(cine.affine, package.affine, atol=1e-6)
    np.testing.assert_allclose(cine.times, package.frame_times, atol=1e-9)
    np.testing.assert_array_equal(cine.array(9), package.frames[9])
