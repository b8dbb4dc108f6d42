"""Labels of every frame in and out of the scene, edits noticed, segments the same on all frames."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.slicer.logic.conftest import Small, make_small

pytest.importorskip("slicer", reason="not run: slicer-core is not installed")

from CardiacMotionLib.errors import InputError
from CardiacMotionLib.mrml import fill_image, to_matrix
from CardiacMotionLib.segmentation_sequence import Segmentations
from CardiacMotionLib.segments import table_of
from CardiacMotionLib.structures import BY_NAME

if TYPE_CHECKING:
    from tests.slicer.bed.session import Bed


class Case:
    """A cine with its labels in the scene, and what was reported about them."""

    def __init__(self, bed: Bed, small: Small) -> None:
        self.bed, self.small = bed, small
        self.cine = small.in_scene()
        self.segmentations = Segmentations.of(self.cine)
        for t, labels in enumerate(small.labels):
            self.segmentations.set_labels(t, labels)
        self.edits: list[int] = []
        self.segmentations.on_edited(self.edits.append)

    def segmentation(self, frame: int) -> Any:
        return self.segmentations.sequence.GetNthDataNode(frame).GetSegmentation()

    def draw(self, name: str, mask: np.ndarray[Any, Any]) -> None:
        """As a script, or an effect of the Segment Editor, writes one segment of what is shown."""
        proxy = self.segmentations.proxy
        self.bed.slicer.util.updateSegmentBinaryLabelmapFromArray(
            mask.astype(np.uint8), proxy, name, self.cine.proxy
        )

    def paint(self, name: str, mask: np.ndarray[Any, Any]) -> None:
        """As the Segment Editor's brush: added to a segment, taken from the others."""
        slicer = self.bed.slicer
        image = fill_image(slicer.vtkOrientedImageData(), mask.astype(np.uint8))
        image.SetImageToWorldMatrix(to_matrix(self.cine.affine))
        logic = slicer.vtkSlicerSegmentationsModuleLogic
        logic.SetBinaryLabelmapToSegment(image, self.segmentations.proxy, name, logic.MODE_MERGE_MAX)


@pytest.fixture
def case(bed: Bed, small: Small) -> Case:
    return Case(bed, small)


@pytest.mark.parametrize("affine", ["oblique", "skewed", "left-handed"])
@pytest.mark.parametrize("slices", [1, 4])
def test_labels_come_back_as_they_went_in(bed: Bed, affine: str, slices: int) -> None:
    case = Case(bed, make_small(affine, slices=slices))
    for t, labels in enumerate(case.small.labels):
        np.testing.assert_array_equal(case.segmentations.labels(t), labels)
    for t in (3, 1):
        case.cine.frame = t
        np.testing.assert_array_equal(
            bed.slicer.util.arrayFromSegmentBinaryLabelmap(case.segmentations.proxy, "LV", case.cine.proxy),
            case.small.labels[t] == 3,
        )
    assert case.edits == []
    assert bed.mrml.messages() == []


def test_segments_have_ids_names_colours_and_terminology_of_the_project(case: Case) -> None:
    rows = table_of(case.segmentations.proxy.GetSegmentation())
    assert [row.id for row in rows] == ["RV", "MYO", "LV"]
    for row in rows:
        assert (row.name, row.terminology) == (row.id, BY_NAME[row.id].terminology)
        assert row.colour == pytest.approx(BY_NAME[row.id].colour)
    assert all(table_of(case.segmentation(t)) == rows for t in range(5))
    assert case.cine.browser.GetSaveChanges(case.segmentations.sequence)


def test_it_is_found_not_made_again(case: Case) -> None:
    count = case.bed.scene.GetNumberOfNodes()
    found = Segmentations.of(case.cine, ("LV", "LA"))
    assert found.sequence is case.segmentations.sequence
    assert found.names == ("RV", "MYO", "LV", "LA")
    assert case.bed.scene.GetNumberOfNodes() == count
    np.testing.assert_array_equal(found.labels(2), case.small.labels[2])


def test_an_edit_is_reported_once_and_kept_when_the_frame_changes(case: Case) -> None:
    case.cine.frame = 2
    mask = case.small.labels[2] == 3
    mask[:, 0:3, 0:3] = True
    case.draw("LV", mask)
    assert case.edits == [2]
    case.cine.frame = 4
    case.cine.frame = 2
    labels = case.segmentations.labels(2)
    np.testing.assert_array_equal(labels == 3, mask)
    np.testing.assert_array_equal(labels[~mask], np.where(mask, 0, case.small.labels[2])[~mask])
    np.testing.assert_array_equal(case.segmentations.labels(4), case.small.labels[4])
    assert case.edits == [2]


def test_a_stroke_of_the_brush_is_one_edit_when_looking_is_put_off(case: Case) -> None:
    """On its way, Slicer takes the segment out of the shared label map and puts it back."""
    waiting: list[Callable[[], None]] = []
    case.segmentations.on_edited(lambda _: None, schedule=waiting.append)
    case.cine.frame = 1
    stroke = np.zeros(case.small.labels.shape[1:], bool)
    stroke[1, 10:13, 2:6] = True
    for _ in range(2):
        case.paint("MYO", stroke)
        assert len(waiting) <= 1
        while waiting:
            waiting.pop()()
        assert case.edits == [1], "the second stroke changes nothing"
    expected = np.where(stroke & (case.small.labels[1] < 2), 2, case.small.labels[1])
    np.testing.assert_array_equal(case.segmentations.labels(1), expected)


def test_where_segments_overlap_in_two_layers_the_larger_value_counts(case: Case) -> None:
    case.cine.frame = 0
    whole = np.ones(case.small.labels.shape[1:], bool)
    case.draw("RV", whole)
    assert case.segmentations.proxy.GetSegmentation().GetNumberOfLayers() == 2
    labels = case.segmentations.labels(0)
    np.testing.assert_array_equal(labels, np.where(case.small.labels[0] > 1, case.small.labels[0], 1))
    case.segmentations.set_labels(0, case.small.labels[3])
    np.testing.assert_array_equal(case.segmentations.labels(0), case.small.labels[3])
    assert case.segmentations.proxy.GetSegmentation().GetNumberOfLayers() == 1
    assert case.edits == [0]


def test_a_segment_on_another_grid_is_brought_onto_the_cines(case: Case) -> None:
    """As when a segment is imported from another file, twice as fine and with a border."""
    fine = case.small.affine.copy()
    fine[:3, :3] = case.small.affine[:3, :3] / 2
    fine[:3, 3] += case.small.affine[:3, :3] @ np.full(3, -0.25)
    mask = case.small.labels[0] == 3
    image = fill_image(
        case.bed.slicer.vtkOrientedImageData(),
        mask.repeat(2, 0).repeat(2, 1).repeat(2, 2).astype(np.uint8),
    )
    image.SetImageToWorldMatrix(to_matrix(fine))
    segment = case.segmentation(0).GetSegment("LV")
    segment.AddRepresentation("Binary labelmap", image)
    segment.SetLabelValue(1)
    labels = case.segmentations.labels(0)
    np.testing.assert_array_equal(labels == 3, mask)
    np.testing.assert_array_equal(labels, case.small.labels[0])


def test_setting_labels_is_no_edit_and_what_is_shown_follows(case: Case) -> None:
    case.cine.frame = 3
    events: list[str] = []
    proxy = case.segmentations.proxy
    for event in (
        case.bed.slicer.vtkSegmentation.SegmentModified,
        case.bed.slicer.vtkSegmentation.SourceRepresentationModified,
    ):
        proxy.AddObserver(event, lambda *_: events.append("modified"))
    versions = [case.segmentations.version(t) for t in range(5)]
    case.segmentations.set_labels(1, case.small.labels[0])
    assert events == [], "another frame than the one that is shown"
    case.segmentations.set_labels(3, case.small.labels[0])
    assert events, "views are told"
    shown = case.bed.slicer.util.arrayFromSegmentBinaryLabelmap(proxy, "MYO", case.cine.proxy)
    np.testing.assert_array_equal(shown, case.small.labels[0] == 2)
    assert case.edits == []
    changed = [case.segmentations.version(t) != versions[t] for t in range(5)]
    assert changed == [False, True, False, True, False]


def test_empty_frames(case: Case) -> None:
    assert not case.segmentations.is_empty(2)
    case.segmentations.set_labels(2, np.zeros_like(case.small.labels[2]))
    assert case.segmentations.is_empty(2)
    case.cine.frame = 2
    corner = np.zeros(case.small.labels.shape[1:], bool)
    corner[-1, -1, -1] = True
    case.draw("RV", corner)
    assert case.edits == [2]
    np.testing.assert_array_equal(case.segmentations.labels(2), corner)
    case.draw("RV", corner & False)
    assert case.edits == [2, 2]
    assert case.segmentations.is_empty(2)


def test_a_structure_that_is_deleted_on_a_frame_comes_back_empty_and_in_its_place(case: Case) -> None:
    case.cine.frame = 2
    case.segmentations.proxy.GetSegmentation().RemoveSegment("MYO")
    assert case.edits == [2]
    rows = table_of(case.segmentations.proxy.GetSegmentation())
    assert [row.id for row in rows] == ["RV", "MYO", "LV"]
    assert rows[1].terminology == BY_NAME["MYO"].terminology
    expected = np.where(case.small.labels[2] == 2, 0, case.small.labels[2])
    np.testing.assert_array_equal(case.segmentations.labels(2), expected)
    for t in (0, 1, 3, 4):
        assert table_of(case.segmentation(t)) == rows
        np.testing.assert_array_equal(case.segmentations.labels(t), case.small.labels[t])
    case.cine.frame = 3
    case.cine.frame = 2
    myocardium = case.small.labels[2] == 2
    case.draw("MYO", myocardium)
    assert case.edits == [2, 2]
    np.testing.assert_array_equal(case.segmentations.labels(2), case.small.labels[2])


def test_names_colours_and_segments_of_the_users_own_are_carried_to_all_frames(case: Case) -> None:
    case.cine.frame = 1
    shown = case.segmentations.proxy.GetSegmentation()
    shown.GetSegment("LV").SetName("Left ventricle")
    shown.GetSegment("RV").SetColor(0.1, 0.2, 0.3)
    shown.AddEmptySegment("thrombus", "Thrombus", (1.0, 1.0, 1.0))
    rows = table_of(shown)
    assert [row.id for row in rows] == ["RV", "MYO", "LV", "thrombus"]
    assert all(table_of(case.segmentation(t)) == rows for t in range(5))
    assert (rows[2].name, rows[0].colour) == ("Left ventricle", pytest.approx((0.1, 0.2, 0.3)))
    assert case.edits == [], "no label has changed"
    case.cine.frame = 4
    case.draw("thrombus", case.small.labels[4] == 3)
    np.testing.assert_array_equal(case.segmentations.labels(4), case.small.labels[4])
    case.segmentations.proxy.GetSegmentation().RemoveSegment("thrombus")
    assert all([row.id for row in table_of(case.segmentation(t))] == ["RV", "MYO", "LV"] for t in range(5))
    assert case.segmentations.names == ("RV", "MYO", "LV")
    assert case.edits == []


def test_changes_that_one_edit_makes_are_one_when_they_are_put_off(case: Case) -> None:
    waiting: list[Callable[[], None]] = []
    reported: list[int] = []
    case.segmentations.on_edited(reported.append, schedule=waiting.append)
    case.cine.frame = 0
    case.draw("RV", case.small.labels[0] == 3)
    case.draw("LV", case.small.labels[0] == 1)
    assert reported == []
    assert len(waiting) == 1
    waiting.pop()()
    assert reported == [0]
    case.draw("LV", case.small.labels[0] == 2)
    case.cine.frame = 1
    assert reported == [0, 0], "an edit is told before its frame is left"
    case.draw("LV", case.small.labels[1] == 2)
    case.segmentations.set_labels(1, case.small.labels[1])
    assert reported == [0, 0, 1], "what the user did is told before it is overwritten"
    for later in waiting:
        later()
    assert reported == [0, 0, 1]


def test_after_stop_nothing_is_reported(case: Case) -> None:
    case.segmentations.stop()
    case.draw("LV", case.small.labels[0] == 1)
    assert case.edits == []


def test_a_closed_scene_is_noticed(case: Case) -> None:
    assert case.segmentations.is_alive
    case.bed.scene.Clear(0)
    assert not case.segmentations.is_alive
    assert case.edits == []


def test_values_without_a_segment_get_one_and_wrong_labels_are_refused(case: Case) -> None:
    labels = case.small.labels[0].copy()
    labels[0, :2, :2] = 5
    case.segmentations.set_labels(0, labels)
    assert case.segmentations.names == ("RV", "MYO", "LV", "RA")
    np.testing.assert_array_equal(case.segmentations.labels(0), labels)
    assert case.edits == []
    for wrong in (labels + np.uint8(3), labels[1:], labels.astype(np.int16)):
        with pytest.raises(InputError, match="expected label"):
            case.segmentations.set_labels(1, wrong)
    np.testing.assert_array_equal(case.segmentations.labels(1), case.small.labels[1])
    with pytest.raises(InputError, match="expected structures of"):
        case.segmentations.add_structures(["heart"])
