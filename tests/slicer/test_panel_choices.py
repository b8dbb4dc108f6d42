"""What of the scene the panel offers as a cine, and what the server suggests to begin with."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.slicer.bed.session import Bed
from tests.slicer.client.fake_server import INFO, Fake, Reply, Request, as_json
from tests.slicer.panel_bed import (
    AFFINE,
    SHAPE,
    cine_values,
    connect,
    disc_labels,
    load,
    message,
    open_panel,
    settle,
    write_cine,
)

OURS = {"api": 1, "tasks": ["motion"], "strategies": ["first"]}


@pytest.fixture
def widget(bed: Bed) -> Any:
    return open_panel(bed)


def offered(widget: Any) -> set[str]:
    """Class and name of what can be chosen."""
    nodes = widget.panel.section("Case").ui.cineSelector.nodes()
    return {f"{node.GetNodeTagName()} {node.GetName()}" for node in nodes}


def bare_sequence(name: str) -> Any:
    """A sequence of volumes without a browser, as a script or another module makes it."""
    cine: Any = importlib.import_module("CardiacMotionLib.cine")
    mrml: Any = importlib.import_module("CardiacMotionLib.mrml")
    slicer, vtk = (importlib.import_module(module) for module in ("slicer", "vtk"))
    sequence = cine.new_sequence(name)
    for t, values in enumerate(cine_values()):
        volume = slicer.vtkMRMLScalarVolumeNode()
        volume.SetIJKToRASMatrix(mrml.to_matrix(AFFINE))
        volume.SetAndObserveImageData(mrml.fill_image(vtk.vtkImageData(), values))
        sequence.SetDataNodeAtValue(volume, str(0.04 * t))
    return sequence


def foreign_browser(bed: Bed, sequence: Any) -> Any:
    """A browser as the Sequences module makes it; returns the volume that shows the sequence."""
    browser = bed.scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", f"{sequence.GetName()} browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    bed.slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    return browser.GetProxyNode(sequence)


def test_only_what_can_be_a_cine_is_offered(bed: Bed, widget: Any, tmp_path: Path) -> None:
    bare_sequence("bare")
    foreign_browser(bed, bare_sequence("shown"))
    bed.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "a single volume")
    bed.scene.AddNewNodeByClass("vtkMRMLSequenceNode", "empty")
    settle(bed, widget)
    others = {"Sequence bare", "SequenceBrowser shown browser", "Volume shown"}
    assert offered(widget) == others
    workspace = load(bed, widget, write_cine(tmp_path / "disc.nii.gz"))
    workspace.take_as_drawn({0: disc_labels(0)})
    settle(bed, widget)
    assert offered(widget) == {*others, f"SequenceBrowser {workspace.cine.browser.GetName()}"}
    assert bed.scene.GetNumberOfNodesByClass("vtkMRMLSequenceNode") == 5


@pytest.mark.parametrize("kind", ["sequence", "proxy"])
def test_a_sequence_or_its_volume_is_worked_on(bed: Bed, widget: Any, kind: str) -> None:
    node = sequence = bare_sequence("bare")
    if kind == "proxy":
        node = foreign_browser(bed, sequence)
    settle(bed, widget)
    ui = widget.panel.section("Case").ui
    ui.cineSelector.setCurrentNode(node)
    assert ui.cineSelector.currentNode() is node
    settle(bed, widget)
    ui.useButton.click()
    settle(bed, widget)
    assert message(widget) == ""
    cine = widget.logic.session.workspace.cine
    assert (cine.sequence, cine.shape) == (sequence, SHAPE)
    assert ui.cineSelector.currentNode() is cine.browser
    assert offered(widget) == {f"SequenceBrowser {cine.browser.GetName()}"}
    assert not ui.useButton.enabled


def test_a_frame_that_is_suggested_is_marked_and_gone_to(bed: Bed, widget: Any, tmp_path: Path) -> None:
    image = write_cine(tmp_path / "next.nii.gz").read_bytes()
    suggest = {"frames": [5, 2, 99, True, "3"], "slices": [2]}

    def answer(request: Request) -> Reply:
        if request.path.startswith("/info"):
            return as_json({**INFO, "cardiac_motion": OURS})
        if request.path.startswith("/activelearning"):
            return as_json({"id": "next", "name": "next.nii.gz", "suggest": suggest})
        return Reply(image, content_type="application/octet-stream")

    fake = Fake()
    fake.replies = answer
    try:
        connect(bed, widget, fake.address)
        widget.panel.section("Case").ui.nextButton.click()
        bed.pump(lambda: widget.logic.session.workspace is not None, what="the case")
        settle(bed, widget)
        workspace, ui = widget.logic.session.workspace, widget.panel.section("Contour").ui
        propagate = widget.panel.section("Propagate")
        buttons = propagate.strip.buttons
        marked = [frame for frame in range(SHAPE[0]) if "suggested by the server" in buttons[frame].toolTip]
        assert marked == [2, 5]
        assert "violet" in propagate.ui.legendLabel.text
        assert ui.suggestedLabel.text == "The server suggests to begin with frame 5, 2, slice 2."
        ui.suggestedButton.click()
        assert workspace.cine.frame == 5
        red: Any = bed.scene.GetNodeByID("vtkMRMLSliceNodeRed")
        matrix = red.GetSliceToRAS()
        assert matrix.GetElement(2, 3) == pytest.approx((AFFINE @ (0, 0, 2, 1))[2])
        workspace.take_as_drawn({5: disc_labels(5)})
        settle(bed, widget)
        assert ui.suggestedLabel.text == "The server suggests to begin with frame 2, slice 2."
        workspace.take_as_drawn({2: disc_labels(2)})
        settle(bed, widget)
        assert not ui.suggestedLabel.visible
        assert not ui.suggestedButton.visible
    finally:
        fake.close()


def test_nothing_is_suggested_for_a_file(bed: Bed, widget: Any, tmp_path: Path) -> None:
    load(bed, widget, write_cine(tmp_path / "disc.nii.gz"))
    assert not widget.panel.section("Contour").ui.suggestedButton.visible
    assert "violet" not in widget.panel.section("Propagate").ui.legendLabel.text


def test_a_saved_scene_is_seen_as_it_was_and_a_new_cine_comes_to_the_front(
    bed: Bed, widget: Any, tmp_path: Path
) -> None:
    load(bed, widget, write_cine(tmp_path / "disc.nii.gz"))
    other = bed.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "beside")
    bed.slicer.util.updateVolumeFromArray(other, np.ones((3, 4, 5), np.int16))
    bed.slicer.util.setSliceViewerLayers(background=other)
    assert bed.slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    bed.scene.Clear(0)
    settle(bed, widget)
    bed.slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    settle(bed, widget)
    assert widget.logic.session.workspace is not None

    def background() -> str:
        composite: Any = bed.scene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
        return str(bed.scene.GetNodeByID(composite.GetBackgroundVolumeID()).GetName())

    assert background() == "beside"
    workspace = load(bed, widget, write_cine(tmp_path / "another.nii.gz"))
    assert background() == workspace.cine.proxy.GetName()
