"""A scene that was saved and loaded holds everything that it held."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.slicer.logic.conftest import AFFINES, Small, make_small

pytest.importorskip("slicer", reason="not run: slicer-core is not installed")

from CardiacMotionLib import scene_state, uploads
from CardiacMotionLib.affines import nearest_orthonormal
from CardiacMotionLib.cine import Cine
from CardiacMotionLib.cine_loading import cine_from_file
from CardiacMotionLib.motion_display import Look, MotionDisplay
from CardiacMotionLib.motion_files import MotionFields
from CardiacMotionLib.nifti import write_nifti
from CardiacMotionLib.plots import VolumePlot
from CardiacMotionLib.segmentation_sequence import Segmentations
from CardiacMotionLib.segments import table_of
from CardiacMotionLib.volumes import VolumeCurves, cardiac_function

if TYPE_CHECKING:
    from tests.slicer.bed.session import Bed


def _positions(cine: Cine, node: Any) -> np.ndarray[Any, Any]:
    found = []
    for t in range(cine.n_frames):
        cine.frame = t
        position = [0.0, 0.0, 0.0]
        node.GetNthControlPointPositionWorld(0, position)
        found.append(position)
    return np.array(found)


def _rows(table: Any) -> list[list[str]]:
    grid = table.GetTable()
    return [
        [grid.GetValue(row, column).ToString() for column in range(grid.GetNumberOfColumns())]
        for row in range(grid.GetNumberOfRows())
    ]


class Everything:
    """A scene with all that the module puts there, and what it must be after it was loaded."""

    def __init__(self, bed: Bed, file: Path, small: Small) -> None:
        self.bed, self.file, self.small = bed, file, small
        write_nifti(file, small.values, small.affine, frame_seconds=0.031)
        cine = cine_from_file(file)
        self.affine = cine.affine
        segmentations = Segmentations.of(cine, ("RV", "MYO", "LV", "LA"))
        for t, labels in enumerate(small.labels[:4]):
            segmentations.set_labels(t, labels)
        segmentations.proxy.GetSegmentation().GetSegment("LA").SetName("left atrium, my name")
        self.table = table_of(segmentations.proxy.GetSegmentation())
        points = self._riding(cine)
        self.curves = VolumeCurves(cine.shape, cine.spacing)
        self.curves.follow(segmentations)
        plot = VolumePlot(cine)
        self.update(plot)
        self.rows, self.measures = _rows(plot.table), _rows(plot.metrics)
        self.positions = _positions(cine, points)
        cine.frame = 2
        segmentations.stop()

    def _riding(self, cine: Cine) -> Any:
        slices = cine.shape[1]
        fields = np.random.default_rng(3).normal(size=(5, max(slices, 3), 24, 20, 3)).astype(np.float32)
        fields[0] = 0
        grid = nearest_orthonormal(self.affine, cine.shape[1:])
        if slices == 1:
            grid[:3, 3] -= grid[:3, 2]
        motion = MotionDisplay.of(cine, MotionFields(fields, grid, 0, cine.shape, self.affine, "m 1"))
        motion.show(Look.GRID)
        points = self.bed.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "points")
        points.AddControlPoint(*(self.affine @ (8, 9, 0, 1))[:3])
        motion.carry(points)
        return points

    def update(self, plot: VolumePlot) -> None:
        plot.update(self.curves.millilitres, cardiac_function(self.curves.millilitres))

    def check_cine(self, cine: Cine) -> None:
        assert (cine.name, cine.frame, cine.shape) == ("case", 2, self.small.values.shape)
        np.testing.assert_allclose(cine.affine, self.affine, atol=1e-9)
        np.testing.assert_allclose(cine.times, self.small.times, atol=1e-9)
        for t in range(5):
            np.testing.assert_array_equal(cine.array(t), self.small.values[t])
        assert uploads.original_file(cine) == self.file

    def check_segmentations(self, cine: Cine) -> None:
        found = Segmentations.find(cine)
        assert found is not None
        assert table_of(found.proxy.GetSegmentation()) == self.table
        for t in range(4):
            np.testing.assert_array_equal(found.labels(t), self.small.labels[t])
        assert found.is_empty(4)
        edits: list[int] = []
        found.on_edited(edits.append)
        corner = np.zeros(self.small.labels.shape[1:], np.uint8)
        corner[0, 0, 0] = 1
        cine.frame = 4
        self.bed.slicer.util.updateSegmentBinaryLabelmapFromArray(corner, found.proxy, "RV", cine.proxy)
        cine.frame = 2
        assert edits == [4]
        np.testing.assert_array_equal(found.labels(4), corner)

    def check_motion(self, cine: Cine) -> None:
        motion = MotionDisplay.find(cine)
        assert motion is not None
        points = self.bed.scene.GetFirstNodeByName("points")
        np.testing.assert_allclose(_positions(cine, points), self.positions, atol=1e-4)
        assert (motion.look, motion.reference, motion.carries(points)) == (Look.GRID, 0, True)

    def check_plot(self, cine: Cine) -> None:
        assert VolumePlot.is_made(cine)
        count = self.bed.scene.GetNumberOfNodes()
        plot = VolumePlot(cine)
        assert self.bed.scene.GetNumberOfNodes() == count
        self.update(plot)
        assert (_rows(plot.table), _rows(plot.metrics)) == (self.rows, self.measures)
        assert plot.chart.GetNumberOfPlotSeriesNodes() == 3


@pytest.mark.parametrize("affine", AFFINES)
@pytest.mark.parametrize("slices", [1, 4])
@pytest.mark.parametrize("into", ["an empty scene", "another case"])
def test_everything_comes_back(bed: Bed, tmp_path: Path, affine: str, slices: int, into: str) -> None:
    small = make_small(affine, slices=slices)
    everything = Everything(bed, tmp_path / "case.nii.gz", small)
    saved = tmp_path / "scene.mrb"
    assert bed.slicer.util.saveScene(str(saved))
    bed.scene.Clear(0)
    if into == "another case":
        other = small.in_scene("another")
        Segmentations.of(other).stop()
    assert bed.scene.ReadFromMRB(str(saved), False)
    browsers = scene_state.cine_browsers()
    assert len(browsers) == (2 if into == "another case" else 1)
    cine = Cine.find(browsers[-1])
    everything.check_cine(cine)
    everything.check_segmentations(cine)
    everything.check_motion(cine)
    everything.check_plot(cine)
    assert bed.mrml.messages() == []


def test_other_browsers_are_no_cines(bed: Bed) -> None:
    small = make_small()
    cine = small.in_scene()
    bed.scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "somebody's")
    assert scene_state.cine_browsers() == [cine.browser]
    scene_state.set_json(cine.browser, "Note", {"a": [1, 2.5, None]})
    assert scene_state.get_json(cine.browser, "Note") == {"a": [1, 2.5, None]}
    scene_state.set_json(cine.browser, "Note", None)
    assert scene_state.get_json(cine.browser, "Note") is None
    cine.browser.SetAttribute("CardiacMotion.Note", "{broken")
    assert scene_state.get_json(cine.browser, "Note") is None
    bed.scene.RemoveNode(cine.sequence)
    assert scene_state.cine_browsers() == []
