"""Surfaces are Slicer's own, made bit by bit while they are shown and nothing is played, and kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.slicer.logic.conftest import Small

pytest.importorskip("slicer", reason="not run: slicer-core is not installed")

from CardiacMotionLib.segmentation_sequence import Segmentations
from CardiacMotionLib.segments import SURFACE
from vtk.util.numpy_support import vtk_to_numpy

if TYPE_CHECKING:
    from tests.slicer.bed.session import Bed


class Case:
    """A drawn cine, and an idle moment whenever `steps` is asked for one."""

    def __init__(self, small: Small) -> None:
        self.small, self.cine = small, small.in_scene()
        self.segmentations = Segmentations.of(self.cine)
        for t, labels in enumerate(small.labels):
            self.segmentations.set_labels(t, labels)
        self.edits: list[int] = []
        self.waiting: list[Callable[[], None]] = []

    def put_off(self) -> None:
        self.segmentations.on_edited(self.edits.append, self.waiting.append)

    def steps(self, most: int = 1000) -> int:
        """Do what waits, one thing at a time; how many there were."""
        done = 0
        while self.waiting and done < most:
            self.waiting.pop(0)()
            done += 1
        return done

    def segmentation(self, frame: int) -> Any:
        return self.segmentations.sequence.GetNthDataNode(frame).GetSegmentation()

    def with_surface(self) -> list[int]:
        return [t for t in range(self.cine.n_frames) if self.segmentation(t).ContainsRepresentation(SURFACE)]

    def points(self, frame: int, name: str) -> np.ndarray[Any, Any]:
        surface = self.segmentation(frame).GetSegment(name).GetRepresentation(SURFACE)
        return vtk_to_numpy(surface.GetPoints().GetData()) if surface.GetNumberOfPoints() else np.zeros((0, 3))


@pytest.fixture
def case(bed: Bed, small: Small) -> Case:
    return Case(small)


def test_at_once_only_the_shown_frame_and_it_follows_the_labels(case: Case) -> None:
    case.cine.frame = 0
    assert not case.segmentations.is_3d
    case.segmentations.show_3d(True)
    assert (case.segmentations.is_3d, case.with_surface()) == (True, [0])
    case.cine.frame = 3
    case.cine.frame = 0
    assert case.with_surface() == [0, 3]
    assert case.segmentations.proxy.GetSegmentation().ContainsRepresentation(SURFACE), "kept over the frames"
    labels = case.small.labels[0]
    assert len(case.points(0, "LV"))
    case.segmentations.set_labels(0, np.where(labels == 3, 2, labels).astype(np.uint8))
    assert not len(case.points(0, "LV"))
    case.segmentations.set_labels(3, np.zeros_like(labels))
    case.cine.frame = 3
    assert case.with_surface() == [0]
    case.segmentations.show_3d(False)
    assert not case.segmentations.is_3d


@pytest.mark.parametrize("joint", ["0", "1"])
def test_they_are_those_of_slicers_own_conversion(case: Case, joint: str) -> None:
    case.put_off()
    for t in range(case.cine.n_frames):
        case.segmentation(t).SetConversionParameter("Joint smoothing", joint)
    case.segmentations.show_3d(True)
    case.steps()
    assert case.with_surface() == list(range(case.cine.n_frames))
    for t in (0, 4):
        ours = {name: case.points(t, name) for name in ("RV", "MYO", "LV")}
        assert case.segmentation(t).CreateRepresentation(SURFACE, True)
        for name, points in ours.items():
            np.testing.assert_array_equal(points, case.points(t, name))
            assert len(points) > 20
    assert case.edits == []


def test_one_segment_at_a_time_the_shown_frame_first(case: Case) -> None:
    case.put_off()
    case.cine.frame = 2
    case.steps()
    case.segmentations.show_3d(True)
    assert len(case.waiting) == 1
    grown = [case.with_surface()]
    while case.steps(1):
        if case.with_surface() != grown[-1]:
            grown.append(case.with_surface())
    assert grown == [[], [2], [2, 3], [2, 3, 4], [0, 2, 3, 4], [0, 1, 2, 3, 4]]
    kept = case.segmentation(2).GetSegment("LV").GetRepresentation(SURFACE)
    for frame in (0, 1, 2):
        case.cine.frame = frame
        assert case.steps() <= 3  # nothing is made anew
    assert case.segmentation(2).GetSegment("LV").GetRepresentation(SURFACE) is kept
    assert case.edits == []


def test_none_is_made_while_the_cine_is_played_or_surfaces_are_hidden(case: Case) -> None:
    case.put_off()
    case.segmentations.show_3d(True)
    case.steps(4)
    assert case.with_surface() == [0]
    case.cine.browser.SetPlaybackActive(True)
    for frame in (1, 2, 3):
        case.cine.frame = frame
        case.steps()
    assert case.with_surface() == [0]
    case.cine.browser.SetPlaybackActive(False)
    case.steps(4)
    assert case.with_surface() == [0, 3]
    case.segmentations.show_3d(False)
    case.cine.frame = 4
    case.steps()
    assert case.with_surface() == [0, 3]


def test_labels_that_change_meanwhile_are_those_of_the_surface(bed: Bed, case: Case) -> None:
    case.put_off()
    case.segmentations.show_3d(True)
    case.steps(2)
    labels = case.small.labels[0].copy()
    labels[:, 8:13, 7:11] = 2
    case.segmentations.set_labels(0, labels)
    case.steps(2)
    mask = np.zeros(labels.shape, np.uint8)
    mask[1, 18:23, 15:19] = 1
    bed.slicer.util.updateSegmentBinaryLabelmapFromArray(mask, case.segmentations.proxy, "RV", case.cine.proxy)
    case.steps()
    assert case.edits == [0]
    assert case.with_surface() == list(range(case.cine.n_frames))
    ours = {name: case.points(0, name) for name in ("RV", "MYO", "LV")}
    assert (len(ours["RV"]) > 0, len(ours["LV"])) == (True, 0)
    case.segmentation(0).CreateRepresentation(SURFACE, True)
    for name, points in ours.items():
        np.testing.assert_array_equal(points, case.points(0, name))


def test_after_the_end_nothing_is_made(bed: Bed, case: Case) -> None:
    case.put_off()
    case.segmentations.show_3d(True)
    case.steps(1)
    bed.scene.Clear()
    case.steps()
    assert bed.errors == []
    again = Case(case.small)
    again.put_off()
    again.segmentations.show_3d(True)
    again.segmentations.stop()
    again.steps()
    assert again.with_surface() == []
