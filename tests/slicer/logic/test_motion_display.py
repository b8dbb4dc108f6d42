"""Motion in the scene: what lies at the reference frame rides to where the truth says."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from cardiac_motion.cine import Cine as PackageCine
from cardiac_motion.io.motion_folder import write_motion
from cardiac_motion.motion import Motion
from cardiac_motion.phantom import PhantomStudy

from tests.slicer.logic.conftest import AFFINES, truth

pytest.importorskip("slicer", reason="not run: slicer-core is not installed")

from CardiacMotionLib.cine import Cine, make_cine
from CardiacMotionLib.errors import InputError
from CardiacMotionLib.motion_display import Look, MotionDisplay
from CardiacMotionLib.motion_files import read_motion

if TYPE_CHECKING:
    from tests.slicer.bed.session import Bed


def _in_scene(study: PhantomStudy) -> Cine:
    cine = study.cine
    return make_cine("phantom", cine.frames, cine.affine, cine.frame_times)


def _myocardium(study: PhantomStudy, count: int = 25) -> np.ndarray[Any, Any]:
    """Voxels (z, y, x) of the myocardium at the reference frame."""
    voxels = np.argwhere(study.labels[0] == 2)
    return voxels[np.random.default_rng(5).permutation(len(voxels))[:count]]


def _world(affine: np.ndarray[Any, Any], voxel: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return (affine @ (*voxel[::-1], 1.0))[:3]


def _points(bed: Bed, positions: list[np.ndarray[Any, Any]]) -> Any:
    node = bed.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points")
    for position in positions:
        node.AddControlPoint(*position)
    return node


def _position(node: Any, index: int) -> np.ndarray[Any, Any]:
    position = [0.0, 0.0, 0.0]
    node.GetNthControlPointPositionWorld(index, position)
    return np.array(position)


def test_points_ride_to_where_the_phantoms_truth_says(bed: Bed, study: PhantomStudy, motion_folder: Path) -> None:
    cine = _in_scene(study)
    motion = MotionDisplay.of(cine, read_motion(motion_folder))
    voxels = _myocardium(study)
    node = _points(bed, [_world(cine.affine, voxel) for voxel in voxels])
    motion.carry(node)
    assert study.motion is not None
    from_reference = study.motion[1]
    spacing, furthest = np.array(cine.spacing), 0.0
    for t in range(cine.n_frames):
        cine.frame = t
        for index, voxel in enumerate(voxels):
            moved = voxel + from_reference[(t, slice(None), *voxel)] / spacing
            np.testing.assert_allclose(_position(node, index), _world(cine.affine, moved), atol=0.01)
            furthest = max(furthest, float(np.abs(moved - voxel).max()))
    assert furthest > 2, "something must have moved"
    motion.release(node)
    np.testing.assert_allclose(_position(node, 0), _world(cine.affine, voxels[0]), atol=1e-6)
    assert bed.mrml.messages() == []


@pytest.mark.parametrize("affine", AFFINES)
@pytest.mark.parametrize("slices", [1, 3])
def test_the_way_is_right_on_every_grid(bed: Bed, tmp_path: Path, affine: str, slices: int) -> None:
    matrix = np.array(AFFINES[affine])
    values = np.random.default_rng(2).random((3, slices, 12, 14)).astype(np.float32)
    package = PackageCine(values, matrix, np.arange(3) * 0.03)
    fields = np.zeros((3, 3, slices, 12, 14), np.float32)
    fields[1, 1], fields[1, 2], fields[2, 2] = 2.0, -1.0, 3.5
    motion = Motion.from_from_reference(
        fields,
        reference=0,
        affine=matrix,
        frame_times=package.frame_times,
        model="truth",
        version="1",
        image_hash=package.content_hash,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_motion(tmp_path / "motion", motion)
    cine = make_cine("c", values, matrix, package.frame_times)
    shown = MotionDisplay.of(cine, read_motion(tmp_path / "motion"))
    start = _world(matrix, np.array([slices // 2, 6, 6]))
    node = _points(bed, [start])
    shown.carry(node)
    directions = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    for t, way in enumerate((np.zeros(3), directions @ [-1.0, 2.0, 0.0], directions @ [3.5, 0.0, 0.0])):
        cine.frame = t
        off = 0.25 if affine == "skewed" else 1e-4  # files of motion have axes at right angles
        np.testing.assert_allclose(_position(node, 0) - start, way, atol=off)


def test_it_is_shown_as_arrows_or_grid_and_found_again(bed: Bed, study: PhantomStudy, motion_folder: Path) -> None:
    cine = _in_scene(study)
    assert MotionDisplay.find(cine) is None
    motion = MotionDisplay.of(cine, read_motion(motion_folder))
    assert motion.look is Look.HIDDEN
    display = motion.proxy.GetDisplayNode()
    for look, mode in ((Look.GRID, display.VIS_MODE_GRID), (Look.ARROWS, display.VIS_MODE_GLYPH)):
        motion.show(look)
        assert motion.look is look
        assert display.GetVisualizationMode() == mode
        assert display.GetVisibility2D()
        assert display.GetRegionNode() is cine.proxy
    motion.show(Look.HIDDEN)
    assert not display.GetVisibility2D()
    count = bed.scene.GetNumberOfNodes()
    node = _points(bed, [np.zeros(3)])
    motion.carry(node)
    again = MotionDisplay.of(cine, read_motion(motion_folder))
    assert (again.sequence, again.proxy, again.reference) == (motion.sequence, motion.proxy, 0)
    assert again.carries(node)
    assert bed.scene.GetNumberOfNodes() == count + 2  # the points and their display


def test_new_motion_takes_the_place_of_the_old_one_as_a_whole_or_not_at_all(
    bed: Bed, study: PhantomStudy, motion_folder: Path
) -> None:
    cine = _in_scene(study)
    fields = read_motion(motion_folder)
    motion = MotionDisplay.of(cine, fields)
    start = fields.affine[:3] @ [*(np.array(cine.shape[:0:-1]) / 2), 1]
    node = _points(bed, [start])
    motion.carry(node)
    cine.frame = 2
    way = _position(node, 0) - start
    assert np.linalg.norm(way) > 0.1
    doubled = replace(fields, displacements=2 * fields.displacements)
    nodes = bed.scene.GetNumberOfNodes()
    steps = MotionDisplay.build(cine, doubled)
    for _ in range(4):
        next(steps)
    steps.close()
    np.testing.assert_allclose(_position(node, 0) - start, way, atol=1e-9)
    MotionDisplay.of(cine, doubled)
    np.testing.assert_allclose(_position(node, 0) - start, 2 * way, atol=1e-4)
    cine.frame = 3
    third = _position(node, 0) - start
    cine.frame = 2
    np.testing.assert_allclose(_position(node, 0) - start, 2 * way, atol=1e-4)
    MotionDisplay.of(cine, fields)
    cine.frame = 3
    np.testing.assert_allclose(_position(node, 0) - start, third / 2, atol=1e-4)
    assert bed.scene.GetNumberOfNodes() == nodes


def test_what_cannot_ride_is_refused(bed: Bed, study: PhantomStudy, motion_folder: Path) -> None:
    cine = _in_scene(study)
    motion = MotionDisplay.of(cine, read_motion(motion_folder))
    for node in (cine.sequence, cine.proxy, motion.proxy):
        with pytest.raises(InputError):
            motion.carry(node)
    other = make_cine("other", study.cine.frames[:, :3], study.cine.affine, study.cine.frame_times)
    before = bed.scene.GetNumberOfNodes()
    with pytest.raises(InputError, match="not that of other"):
        MotionDisplay.of(other, read_motion(motion_folder))
    assert bed.scene.GetNumberOfNodes() == before


def test_folders_that_are_broken_are_refused(motion_folder: Path) -> None:
    about = (motion_folder / "motion.json").read_text()

    def refused(said: str) -> None:
        with pytest.raises(InputError, match=said):
            read_motion(motion_folder)

    for change, said in (
        ({"convention_version": 2}, "convention version 2"),
        ({"format": "else"}, "does not say"),
        ({"shape": [6, 4, 10, 10]}, "expected fields of"),
        ({"shape": "x"}, "expected a shape"),
        ({"reference": 6}, "expected a shape"),
    ):
        (motion_folder / "motion.json").write_text(json.dumps({**json.loads(about), **change}))
        refused(said)
    (motion_folder / "motion.json").write_text("{")
    refused("not valid JSON")
    (motion_folder / "motion.json").write_text(about)
    assert read_motion(motion_folder).model == "truth 1"
    with pytest.raises(InputError, match="cancelled"):
        read_motion(motion_folder, is_cancelled=lambda: True)
    broken = motion_folder / "from_reference_003.nrrd"
    broken.write_bytes(broken.read_bytes()[:50])
    refused("cannot be read")
    broken.unlink()
    refused("is not there")
    (motion_folder / "motion.json").unlink()
    refused("cannot be read")


def test_the_fields_are_those_that_were_written(study: PhantomStudy, motion_folder: Path) -> None:
    fields, motion = read_motion(motion_folder), truth(study)
    along_axes = motion.from_reference
    affine = study.cine.affine
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    expected = np.einsum("ab,tbzyx->tzyxa", directions, along_axes[:, ::-1])
    np.testing.assert_allclose(fields.displacements, expected, atol=1e-4)
