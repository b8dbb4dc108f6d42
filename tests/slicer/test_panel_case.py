"""The panel without a server: files, the scene, settings, messages, saving."""

from __future__ import annotations

import importlib
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.slicer.bed.session import Bed
from tests.slicer.client.fake_server import DROP, Fake, as_json, refusal
from tests.slicer.panel_bed import SHAPE, connect, disc_labels, draw, load, message, open_panel, settle, write_cine

TOKEN = "not-to-be-kept"


@pytest.fixture
def widget(bed: Bed) -> Any:
    return open_panel(bed)


def shown(widget: Any) -> list[str]:
    return [section.UI for section in widget.panel.sections if section.widget.visible]


def test_nothing_can_be_pressed_that_can_do_nothing(bed: Bed, widget: Any) -> None:
    ui = widget.panel.section("Case").ui
    assert shown(widget) == ["Case"]
    assert (ui.nextButton.enabled, ui.nextButton.toolTip) == (False, "Connect to a server first")
    assert (ui.useButton.enabled, ui.useButton.toolTip) == (False, "Choose a cine of the scene first")
    assert ui.startButton.toolTip == "Choose a folder for images and labels first"
    assert ui.connectButton.enabled
    assert ui.fileButton.enabled
    assert not widget.panel.ui.statusFrame.visible


def test_a_file_is_ready_to_be_drawn_on(bed: Bed, widget: Any, tmp_path: Path) -> None:
    workspace = load(bed, widget, write_cine(tmp_path / "disc.nii.gz"))
    editor = widget.panel.section("Contour").ui.editor
    assert shown(widget) == ["Case", "Contour", "Look"]
    assert editor.segmentationNode() is workspace.segmentations.proxy
    assert editor.sourceVolumeNode() is workspace.cine.proxy
    assert editor.currentSegmentID() == "LV"
    assert workspace.segmentations.names == ("RV", "MYO", "LV")
    composite: Any = bed.scene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    assert composite.GetBackgroundVolumeID() == workspace.cine.proxy.GetID()
    assert "disc: 8 frames, 3 slices of 36 by 40 voxels" in widget.panel.section("Case").ui.caseLabel.text


@pytest.mark.parametrize("name", ["broken.nii.gz", "broken.seq.nrrd", "frame.nii.gz", "gone.nii.gz"])
def test_a_file_that_is_no_cine_is_one_message_and_the_scene_as_it_was(
    bed: Bed, widget: Any, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    if name == "frame.nii.gz":
        nifti: Any = importlib.import_module("CardiacMotionLib.nifti")
        nifti.write_nifti(path, np.zeros((1, 3, 4, 5), np.int16), np.eye(4))
    elif name != "gone.nii.gz":
        path.write_bytes(b"nothing that could be read")
    nodes = bed.scene.GetNumberOfNodes()
    bed.dialogs.answer(str(path))
    widget.panel.section("Case").ui.fileButton.click()
    bed.pump(lambda: message(widget) != "", what="the message")
    settle(bed, widget)
    assert name in message(widget)
    assert "should not have happened" not in message(widget)
    assert bed.scene.GetNumberOfNodes() == nodes
    assert widget.panel.section("Case").ui.fileButton.enabled
    widget.panel.ui.dismissButton.click()
    assert not widget.panel.ui.statusFrame.visible


def test_no_file_chosen_is_no_error(bed: Bed, widget: Any) -> None:
    bed.dialogs.answer("")
    widget.panel.section("Case").ui.fileButton.click()
    assert message(widget) == ""


def test_a_cine_of_the_scene_is_used(bed: Bed, widget: Any, tmp_path: Path) -> None:
    loading: Any = importlib.import_module("CardiacMotionLib.cine_loading")
    cine = loading.cine_from_file(write_cine(tmp_path / "there.nii.gz"))
    ui = widget.panel.section("Case").ui
    ui.cineSelector.setCurrentNode(cine.browser)
    settle(bed, widget)
    assert ui.useButton.enabled
    ui.useButton.click()
    settle(bed, widget)
    assert widget.logic.session.workspace.cine.browser is cine.browser
    assert widget.panel.parameters.browser is cine.browser
    assert ui.useButton.toolTip == "You are working on it already"


def test_another_cine_has_a_range_of_its_own(bed: Bed, widget: Any, tmp_path: Path) -> None:
    load(bed, widget, write_cine(tmp_path / "short.nii.gz", (4, 2, 40, 36)))
    widget.panel.parameters.endSystole, widget.panel.parameters.onlyRange = 2, True
    settle(bed, widget)
    long = load(bed, widget, write_cine(tmp_path / "long.nii.gz", (12, 2, 40, 36)))
    parameters, ui = widget.panel.parameters, widget.panel.section("Propagate").ui
    assert (parameters.endSystole, parameters.onlyRange) == (None, False)
    assert (parameters.firstFrame, parameters.lastFrame, ui.lastSpin.value) == (0, 11, 11)
    assert widget.panel.section("Case").ui.cineSelector.currentNode() is long.cine.browser


def test_a_browser_of_something_else_is_one_message(bed: Bed, widget: Any) -> None:
    browser = bed.scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "of markups")
    widget.panel.section("Case").ui.cineSelector.setCurrentNode(browser)
    settle(bed, widget)
    widget.panel.section("Case").ui.useButton.click()
    assert message(widget) == "Of markups shows no sequence of volumes"
    assert widget.logic.session.workspace is None


def test_phases_are_found_or_set(bed: Bed, widget: Any, tmp_path: Path) -> None:
    workspace = load(bed, widget, write_cine(tmp_path / "disc.nii.gz"))
    ui = widget.panel.section("Contour").ui
    assert ui.edLabel.text == ui.esLabel.text == "not known yet"
    workspace.take_as_drawn({t: disc_labels(t) for t in range(8)})
    settle(bed, widget)
    assert (ui.edLabel.text, ui.esLabel.text) == ("frame 0, found", "frame 4, found")
    assert not ui.findButton.enabled
    workspace.cine.frame = 3
    ui.esButton.click()
    settle(bed, widget)
    assert (ui.edLabel.text, ui.esLabel.text) == ("frame 0, found", "frame 3, set by you")
    table = widget.panel.measures.plot.metrics
    assert [table.GetCellText(row, 1) for row in (0, 1)] == ["0", "3"]
    ui.findButton.click()
    settle(bed, widget)
    assert ui.esLabel.text == "frame 4, found"


def test_the_mark_of_the_plot_follows_the_frame(bed: Bed, widget: Any, tmp_path: Path) -> None:
    workspace = load(bed, widget, write_cine(tmp_path / "disc.nii.gz"))
    marks = bed.slicer.util.getNode("disc current frame").GetTable()
    widget.panel.section("Contour").ui.seekWidget._stand_in_slider.value = 5
    assert workspace.cine.frame == 5
    assert marks.GetColumn(0).GetValue(0) == workspace.cine.times[5]
    draw(bed, widget, 5)
    widget.panel.section("Look").ui.curvesButton.click()
    assert message(widget) == ""
    view = bed.app.layoutManager().plotWidget(0).mrmlPlotViewNode()
    assert view.GetPlotChartNodeID() == widget.panel.measures.plot.chart.GetID()


def test_surfaces_are_shown_and_hidden(bed: Bed, widget: Any, tmp_path: Path) -> None:
    workspace = load(bed, widget, write_cine(tmp_path / "disc.nii.gz"))
    draw(bed, widget, 0)
    box = widget.panel.section("Look").ui.surfacesBox
    box.click()
    assert workspace.segmentations.is_3d
    settle(bed, widget)
    assert box.checked
    box.click()
    assert not workspace.segmentations.is_3d


def test_a_saved_scene_comes_back_as_it_was(bed: Bed, widget: Any, tmp_path: Path) -> None:
    load(bed, widget, write_cine(tmp_path / "disc.nii.gz"))
    draw(bed, widget, 2)
    parameters = widget.panel.parameters
    parameters.endSystole, parameters.note, parameters.live = 4, "kept", True
    parameters.onlyRange, parameters.lastFrame = True, 6
    path = tmp_path / "scene.mrb"
    assert bed.slicer.util.saveScene(str(path))
    bed.scene.Clear(0)
    settle(bed, widget)
    assert shown(widget) == ["Case"]
    assert widget.panel.parameters.browser is None
    bed.slicer.util.loadScene(str(path))
    settle(bed, widget)
    workspace, parameters = widget.logic.session.workspace, widget.panel.parameters
    assert workspace.states.key_frames == (2,)
    np.testing.assert_array_equal(workspace.labels(2), disc_labels(2))
    assert (parameters.endSystole, parameters.note, parameters.live) == (4, "kept", True)
    assert (parameters.onlyRange, parameters.lastFrame) == (True, 6)
    assert widget.panel.section("Learn").ui.noteEdit.text == "kept"
    assert widget.panel.section("Contour").ui.editor.segmentationNode() is workspace.segmentations.proxy
    draw(bed, widget, 5)
    assert workspace.states.key_frames == (2, 5)


def test_the_editor_listens_only_while_the_module_is_looked_at(bed: Bed, widget: Any, tmp_path: Path) -> None:
    load(bed, widget, write_cine(tmp_path / "disc.nii.gz"))
    editor = widget.panel.section("Contour").ui.editor
    assert editor._stand_in_active
    editor.setActiveEffectByName("Paint")
    widget.exit()
    assert not editor._stand_in_active
    assert not editor.activeEffect()
    widget.enter()
    assert editor._stand_in_active


@pytest.mark.parametrize("remember", [False, True])
def test_the_token_is_kept_only_where_that_is_wanted(bed: Bed, widget: Any, remember: bool) -> None:
    fake = Fake()
    try:
        widget.panel.section("Case").ui.rememberBox.checked = remember
        connect(bed, widget, fake.address, TOKEN)
    finally:
        fake.close()
    assert fake.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
    bed.restart_settings()
    settings: Any = importlib.import_module("CardiacMotionLib.settings").Settings()
    assert settings.address == fake.address
    assert (settings.token, settings.remembers_token) == ((TOKEN, True) if remember else ("", False))
    node = bed.scene.GetSingletonNode("CardiacMotion", "vtkMRMLScriptedModuleNode")
    kept = [node.GetParameter(name) for name in node.GetParameterNames()]
    assert not any(TOKEN in value or "127.0.0.1" in value for value in kept)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (DROP, "127.0.0.1"),
        (refusal(401), "check the token"),
        (refusal(500), "500"),
        (as_json({"name": "Another"}), "expected a server of cardiacmotion"),
        (as_json(["garbage"]), "xpected"),
    ],
    ids=["dropped", "401", "500", "another server", "garbage"],
)
def test_a_server_that_does_not_answer_as_it_should_is_one_message(
    bed: Bed, widget: Any, reply: Any, said: str
) -> None:
    connection: Any = importlib.import_module("CardiacMotionLib.client.connection")
    fake = Fake()
    fake.replies = [reply]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "PAUSES", (0.0,))
        connect(bed, widget, fake.address, TOKEN)
    fake.close()
    assert said in message(widget).lower()
    assert TOKEN not in message(widget)
    assert widget.panel.section("Case").ui.connectButton.text == "Connect"
    assert not widget.panel.ui.progressBar.visible


def test_an_address_that_is_none_is_told_at_once(bed: Bed, widget: Any) -> None:
    ui = widget.panel.section("Case").ui
    ui.addressEdit.text = "somewhere"
    ui.connectButton.click()
    assert "http://HOST:PORT" in message(widget)
    assert not widget.logic.session.link.is_connecting


def test_without_the_command_it_says_in_two_lines_how_to_install_it(bed: Bed, widget: Any, tmp_path: Path) -> None:
    ui = widget.panel.section("Case").ui
    bed.dialogs.answer(str(tmp_path / "studies"), containing="images and labels")
    ui.studiesButton.click()
    ui.commandEdit.text = str(tmp_path)
    settle(bed, widget)
    ui.startButton.click()
    assert message(widget).count("\n") == 1
    assert "Install it as the README of CardiacMotion says" in message(widget)
    assert not ui.stopButton.enabled


@pytest.mark.skipif(os.name == "nt", reason="not run: the command is a shell script")
def test_a_local_server_that_fails_says_why(bed: Bed, widget: Any, tmp_path: Path) -> None:
    command = tmp_path / "cardiac-motion"
    command.write_text("#!/bin/sh\necho 'no disk for studies'\nexit 3\n", encoding="utf-8")
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    ui = widget.panel.section("Case").ui
    ui.localBox.collapsed = False
    ui.studiesEdit.text, ui.commandEdit.text = str(tmp_path / "studies"), str(tmp_path)
    settle(bed, widget)
    ui.startButton.click()
    assert ui.stopButton.enabled
    bed.pump(lambda: message(widget) != "", what="the end of the server")
    settle(bed, widget)
    assert "status 3" in message(widget)
    assert "no disk for studies" in message(widget)
    assert "no disk for studies" in ui.logView.plainText
    assert ui.startButton.enabled
    # Of a log that has grown, the end alone is read, and nothing while nobody can see it.
    log = widget.panel.section("Case").local.runner._server.log
    log.write_text("begin" + "é\n" * 10_000 + "the end", encoding="utf-8")
    widget.panel.update()
    assert len(ui.logView.plainText) < 8_001
    assert ui.logView.plainText.endswith("é\nthe end")
    log.unlink()
    ui.localBox.collapsed = True
    widget.panel.update()
    assert (ui.logView.plainText, ui.logView.visible) == ("", False)
    ui.localBox.collapsed = False
    widget.panel.update()
    assert "cannot be read" in ui.logView.plainText


def test_the_self_test_for_the_real_application_runs_here_too(bed: Bed, widget: Any) -> None:
    selected: list[str] = []
    bed.slicer.util.selectModule, before = selected.append, bed.slicer.util.selectModule
    try:
        module: Any = importlib.import_module("CardiacMotion")
        module.CardiacMotionTest().runTest()
    finally:
        bed.slicer.util.selectModule = before
    assert selected == ["CardiacMotion"] * 9


def test_an_installed_extension_has_no_self_test_and_says_so(
    bed: Bed, widget: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module: Any = importlib.import_module("CardiacMotion")
    said: list[str] = []
    monkeypatch.setattr(module, "__file__", str(tmp_path / "CardiacMotion.py"))
    monkeypatch.setattr(module.CardiacMotionTest, "delayDisplay", lambda _self, text: said.append(text))
    module.CardiacMotionTest().runTest()
    assert len(said) == 1
    assert "is no part of the installed extension" in said[0]


def test_a_scene_that_was_there_before_the_module_was_opened_is_gone_on_with(bed: Bed, tmp_path: Path) -> None:
    first = open_panel(bed)
    load(bed, first, write_cine(tmp_path / "early.nii.gz"))
    bed.slicer.util.saveScene(str(tmp_path / "early.mrb"))
    bed.leave()
    bed.scene.Clear(0)
    bed.slicer.util.loadScene(str(tmp_path / "early.mrb"))
    second = open_panel(bed)
    settle(bed, second)
    workspace = second.logic.session.workspace
    assert workspace is not None
    assert workspace.cine.n_frames == SHAPE[0]
