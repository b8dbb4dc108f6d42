"""The panel with a real server in another process: buttons pressed, the scene and the server looked at."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.slicer.bed.session import Bed
from tests.slicer.panel_bed import SHAPE, connect, disc_labels, draw, load, message, open_panel, settle, write_cine

TOKEN = "a-token-of-the-tests"
COUNT = SHAPE[0]


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studies")


@pytest.fixture(scope="module")
def address(studies: Path) -> Iterator[str]:
    server = pytest.importorskip("monailabel_app.local_server", reason="the server's part is not installed")
    with server.local_server(studies, token=TOKEN, options=["--threads", "1"]) as where:
        yield where


@pytest.fixture
def panel(bed: Bed, address: str, tmp_path: Path) -> Any:
    """Connected, with a cine whose frame 0 is drawn."""
    widget = open_panel(bed)
    connect(bed, widget, address, TOKEN)
    load(bed, widget, write_cine(tmp_path / "disc.nii.gz"))
    draw(bed, widget, 0)
    return widget


def wait(bed: Bed, widget: Any) -> None:
    """Until nothing is under way."""
    bed.pump(lambda: not widget.logic.session.tasks.is_busy, seconds=60, what="the server")
    settle(bed, widget)


def press(bed: Bed, widget: Any, button: Any) -> None:
    assert button.enabled, button.toolTip
    button.click()
    wait(bed, widget)


def letters(widget: Any) -> str:
    return "".join(button.text.split("\n")[1][0] for button in widget.panel.section("Propagate").strip.buttons)


def test_one_contoured_frame_one_click_contours_on_all(
    bed: Bed, panel: Any, studies: Path, pictures: Path
) -> None:
    session, ui = panel.logic.session, panel.panel.section("Propagate").ui
    workspace = session.workspace
    shown = {section.UI for section in panel.panel.sections if section.widget.visible}
    assert shown - {"Segment"} == {"Case", "Contour", "Propagate", "Look", "Learn"}
    assert letters(panel) == "D" + "·" * (COUNT - 1)
    press(bed, panel, ui.propagateButton)
    assert message(panel) == ""
    assert letters(panel) == "D" + "P" * (COUNT - 1)
    assert all(set(np.unique(workspace.labels(t))) == {0, 2, 3} for t in range(COUNT))
    np.testing.assert_array_equal(workspace.labels(0), disc_labels(0))
    measures = panel.panel.measures
    assert measures.function.ventricles["LV"].end_diastolic_ml > 0
    assert panel.panel.section("Look").ui.measuresTable.rowCount == measures.plot.metrics.GetNumberOfRows() > 0
    assert "found" in panel.panel.section("Contour").ui.edLabel.text

    draw(bed, panel, 4)
    assert letters(panel) == "DPPPCPPP"
    assert ui.releaseButton.enabled
    learn = panel.panel.section("Learn").ui
    learn.verifiedBox.click()
    settle(bed, panel)
    assert panel.panel.section("Propagate").strip.buttons[4].text == "4\nCV"
    learn.noteEdit.text = "drawn in a test"
    press(bed, panel, learn.submitButton)
    assert "disc, version 1, 1 frame verified" in learn.savedLabel.text
    kept = [json.loads(path.read_text()) for path in (studies / ".cardiac_motion").rglob("*.json")]
    assert any("drawn in a test" in json.dumps(each) for each in kept)
    for width in (400, 600):
        picture = bed.grab(panel.parent, pictures / f"panel_{width}.png", width)
        assert picture.stat().st_size > 0


def test_undo_release_and_a_range(bed: Bed, panel: Any) -> None:
    ui, workspace = panel.panel.section("Propagate").ui, panel.logic.session.workspace
    assert (ui.undoButton.enabled, ui.undoButton.toolTip) == (False, "There is nothing to take back")
    ui.rangeBox.click()
    ui.firstSpin.value, ui.lastSpin.value = 2, 3
    settle(bed, panel)
    press(bed, panel, ui.propagateButton)
    assert letters(panel) == "D·PP····"
    press(bed, panel, ui.undoButton)
    assert letters(panel) == "D·······"
    assert not workspace.labels(2).any()
    ui.firstSpin.value = 5
    settle(bed, panel)
    assert (ui.propagateButton.enabled, ui.propagateButton.toolTip) == (False, "The range ends before it begins")
    panel.panel.section("Propagate").strip.buttons[0].click()
    settle(bed, panel)
    press(bed, panel, ui.releaseButton)
    assert workspace.states.key_frames == ()
    assert not ui.releaseButton.enabled
    ui.rangeBox.click()
    settle(bed, panel)
    assert ui.propagateButton.toolTip == "Draw contours on a frame first"


def test_only_this_frame_is_carried_where_that_is_wanted(bed: Bed, panel: Any) -> None:
    ui = panel.panel.section("Propagate").ui
    draw(bed, panel, 3)
    panel.panel.section("Propagate").strip.buttons[1].click()
    ui.fromThisBox.click()
    settle(bed, panel)
    assert panel.logic.session.workspace.cine.frame == 1
    assert ui.propagateButton.toolTip == "Frame 1 is not drawn or corrected; draw on it first"
    panel.panel.section("Propagate").strip.buttons[3].click()
    settle(bed, panel)
    answers: list[Any] = []
    panel.logic.session.propagation.finished.connect(answers.append)
    press(bed, panel, ui.propagateButton)
    assert answers[0]["key_frames"] == [3]
    assert letters(panel) == "DPPDPPPP"


def test_live_the_other_frames_follow_an_edit(bed: Bed, panel: Any) -> None:
    ui, session = panel.panel.section("Propagate").ui, panel.logic.session
    press(bed, panel, ui.propagateButton)
    before = session.workspace.labels(5).copy()
    ui.liveBox.click()
    settle(bed, panel)
    answers: list[Any] = []
    session.propagation.finished.connect(answers.append)
    draw(bed, panel, 4)
    assert not panel.panel.ui.progressBar.visible
    bed.pump(lambda: bool(answers), seconds=60, what="the other frames")
    wait(bed, panel)
    assert answers[0]["key_frames"] == [0, 4]
    assert not np.array_equal(session.workspace.labels(5), before)
    assert letters(panel) == "DPPPCPPP"


def test_a_cancelled_propagation_changes_nothing(bed: Bed, panel: Any) -> None:
    session, frame = panel.logic.session, panel.panel.ui
    panel.panel.section("Propagate").ui.propagateButton.click()
    assert frame.progressBar.visible
    assert frame.cancelButton.visible
    frame.cancelButton.click()
    wait(bed, panel)
    assert not frame.statusFrame.visible
    assert letters(panel) == "D·······"
    assert session.workspace.states.key_frames == (0,)
    assert panel.panel.section("Propagate").ui.propagateButton.enabled


def test_the_scene_is_closed_in_the_middle_of_a_job(bed: Bed, panel: Any) -> None:
    panel.panel.section("Propagate").ui.propagateButton.click()
    bed.scene.Clear(0)
    wait(bed, panel)
    assert panel.logic.session.workspace is None
    visible = [section.widget.visible for section in panel.panel.sections]
    assert (visible[0], any(visible[1:])) == (True, False)
    assert panel.panel.section("Case").ui.caseLabel.text == "No cine yet."
    assert message(panel) == ""


def test_the_next_case_is_fetched_and_gone_on_with(bed: Bed, panel: Any, address: str, tmp_path: Path) -> None:
    session, ui = panel.logic.session, panel.panel.section("Case").ui
    write_cine(tmp_path / "another.nii.gz")
    with session.link.target.client() as client:
        client.put_image("another", tmp_path / "another.nii.gz")
    ui.strategyCombo.setCurrentIndex(ui.strategyCombo.findText("first"))
    before = session.workspace
    press(bed, panel, ui.nextButton)
    assert session.workspace is not before
    assert session.workspace.case.image_id == "another"
    assert "On the server as another" in ui.caseLabel.text
    suggested = panel.panel.section("Contour").ui.suggestedLabel
    assert suggested.visible
    assert suggested.text == "The server suggests to begin with frame 0."
    count = bed.scene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode")
    press(bed, panel, ui.nextButton)
    assert bed.scene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode") == count


def test_motion_is_shown_and_carries_a_model_along(bed: Bed, panel: Any) -> None:
    ui = panel.panel.section("Look").ui
    assert ui.motionCombo.toolTip == "Get the motion first"
    press(bed, panel, ui.motionButton)
    assert message(panel) == ""
    display: Any = __import__("CardiacMotionLib.motion_display", fromlist=["MotionDisplay"])
    motion = display.MotionDisplay.find(panel.logic.session.workspace.cine)
    assert (motion.reference, motion.look.value) == (0, "arrows")
    model = bed.scene.AddNewNodeByClass("vtkMRMLModelNode", "valve")
    ui.carrySelector.setCurrentNode(model)
    settle(bed, panel)
    ui.carryBox.click()
    assert model.GetParentTransformNode() is motion.proxy
    ui.carryBox.click()
    assert model.GetParentTransformNode() is None


def test_a_wrong_token_is_one_clear_message(bed: Bed, address: str) -> None:
    widget = open_panel(bed)
    connect(bed, widget, address, "wrong")
    assert "401" in message(widget)
    assert "check the token" in message(widget)
    assert widget.logic.session.link.offer is None
    connect(bed, widget, address, TOKEN)
    assert message(widget) == ""
    assert " It offers: motion (recursive)" in widget.panel.section("Case").ui.offerLabel.text


def test_a_server_of_ones_own_is_started_used_and_stopped(bed: Bed, tmp_path: Path) -> None:
    pytest.importorskip("monailabel_app.local_server", reason="the server's part is not installed")
    command = Path(sys.executable).with_name("cardiac-motion")
    if not command.is_file():
        pytest.skip(f"not run: {command} is not there")
    widget = open_panel(bed)
    ui, link = widget.panel.section("Case").ui, widget.logic.session.link
    ui.localBox.collapsed = False
    ui.commandEdit.text, ui.studiesEdit.text = str(command.parent), str(tmp_path / "studies")
    settle(bed, widget)
    ui.startButton.click()
    assert not ui.startButton.enabled
    with bed.heartbeat() as heart:
        bed.pump(lambda: link.offer is not None or message(widget) != "", seconds=90, what="the server")
    settle(bed, widget)
    assert message(widget) == ""
    assert len(heart.gaps) > 10
    assert link.current_target.address == ui.addressEdit.text
    assert ui.logView.visible
    bed.restart_settings()
    assert bed.qt.QSettings().value("CardiacMotion/Token") is None
    assert bed.qt.QSettings().value("CardiacMotion/Address") is None
    ui.stopButton.click()
    bed.pump(lambda: not widget.panel.section("Case").local.runner.is_running, seconds=30, what="its end")
    settle(bed, widget)
    assert link.offer is None
    assert (ui.addressEdit.text, ui.tokenEdit.text) == ("http://127.0.0.1:8000", "")
    assert message(widget) == ""
    assert ui.startButton.enabled
