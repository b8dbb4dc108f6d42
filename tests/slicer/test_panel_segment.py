"""The section Segment with a real server and the shipped weights: buttons pressed, the scene looked at."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cardiac_motion.io import read_cine, write_cine
from cardiac_motion.phantom import PhantomOptions, make_study
from cardiac_motion.pipeline_segmentation import Segmented, segment_cine
from cardiac_motion.segmentation.network import SegmentationOptions
from cardiac_motion.slice_alignment import estimate_shifts
from scipy.ndimage import shift

from tests.slicer.bed.rendering import why_no_rendering
from tests.slicer.bed.session import Bed
from tests.slicer.cut_texts import cut
from tests.slicer.panel_bed import connect, load, message, open_panel, settle

server = pytest.importorskip("monailabel_app.local_server", reason="not run: the server's part is not installed")

COUNT = 6
SECONDS = 120.0


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Few frames of a phantom, and where its cine lies."""
    options = PhantomOptions(frames=COUNT, slices=6, matrix=(96, 96), pixel_spacing=2.2, motion_truth=False)
    made = make_study(5, options)
    path = tmp_path_factory.mktemp("segment") / "heart.nii.gz"
    write_cine(path, made.cine)
    return made, path


@pytest.fixture(scope="module")
def here(study: Any) -> Segmented:
    """What the package gives for it."""
    return segment_cine(read_cine(study[1]), options=SegmentationOptions(entropy=True))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with server.local_server(tmp_path_factory.mktemp("studies"), options=["--threads", "1"]) as where:
        yield where


@pytest.fixture
def widget(bed: Bed, address: str, study: Any) -> Any:
    """Connected, with the cine, no contours yet."""
    opened = open_panel(bed)
    connect(bed, opened, address)
    load(bed, opened, study[1])
    return opened


def wait(bed: Bed, widget: Any) -> None:
    """Until nothing is under way."""
    with bed.heartbeat() as heart:
        bed.pump(lambda: not widget.logic.session.tasks.is_busy, seconds=SECONDS, what="the server")
    assert heart.gaps
    settle(bed, widget)


def press(bed: Bed, widget: Any, name: str, section: str = "Segment") -> None:
    button = getattr(widget.panel.section(section).ui, name)
    assert button.visible
    assert button.enabled, button.toolTip
    button.click()
    wait(bed, widget)


def letters(widget: Any) -> str:
    return "".join(button.text.split("\n")[1] for button in widget.panel.section("Propagate").strip.buttons)


def draw(bed: Bed, widget: Any, frame: int, labels: np.ndarray) -> None:
    """As a reader does: on the proxy, while the frame is shown."""
    workspace = widget.logic.session.workspace
    workspace.cine.frame = frame
    for value, name in ((1, "RV"), (2, "MYO"), (3, "LV")):
        bed.slicer.util.updateSegmentBinaryLabelmapFromArray(
            (labels == value).astype(np.uint8), workspace.segmentations.proxy, name, workspace.cine.proxy
        )
    bed.pump(lambda: frame in workspace.states.key_frames, what="the edit to be seen")
    settle(bed, widget)


def overlay(widget: Any) -> Any:
    entropy: Any = importlib.import_module("CardiacMotionLib.entropy_overlay").EntropyOverlay
    return entropy.find(widget.logic.session.workspace.cine)


def seen(shown: Any) -> np.ndarray:
    """Entropy of the frame that is shown."""
    mrml: Any = importlib.import_module("CardiacMotionLib.mrml")
    return np.array(mrml.image_array(shown.proxy.GetImageData()))


def layers(bed: Bed) -> list[tuple[str, str]]:
    """Names of background and foreground of every slice view."""

    def name(node_id: str | None) -> str:
        node = bed.scene.GetNodeByID(node_id) if node_id else None
        return node.GetName() if node else ""

    nodes = bed.slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    return [(name(each.GetBackgroundVolumeID()), name(each.GetForegroundVolumeID())) for each in nodes]


def test_this_frame_is_a_proposal_until_it_is_accepted(bed: Bed, widget: Any, here: Segmented) -> None:
    workspace, ui = widget.logic.session.workspace, widget.panel.section("Segment").ui
    workspace.cine.frame = 2
    settle(bed, widget)
    assert ui.fusedButton.toolTip == "Draw contours on a frame first, or accept some"
    assert not ui.acceptButton.enabled
    press(bed, widget, "proposeButton", "Contour")
    assert message(widget) == ""
    assert letters(widget) == "··S···"
    np.testing.assert_array_equal(workspace.labels(2), here.labels[2])
    assert workspace.states.key_frames == ()
    assert not widget.panel.section("Contour").ui.proposeButton.visible
    assert "S segmented by a model" in widget.panel.section("Propagate").ui.legendLabel.text
    assert not widget.panel.section("Propagate").ui.propagateButton.enabled
    press(bed, widget, "acceptButton")
    assert (letters(widget), workspace.states.key_frames) == ("··D···", (2,))
    assert (ui.thisFrameButton.enabled, ui.acceptButton.enabled) == (False, False)
    assert "release it first" in ui.thisFrameButton.toolTip
    # An accepted frame is carried as a drawn one is.
    press(bed, widget, "propagateButton", "Propagate")
    assert letters(widget) == "PPDPPP"


def test_every_frame_but_those_that_are_kept_and_one_undo(
    bed: Bed, widget: Any, here: Segmented, study: Any
) -> None:
    workspace = widget.logic.session.workspace
    draw(bed, widget, 0, study[0].labels[0])
    workspace.cine.frame = 4
    settle(bed, widget)
    press(bed, widget, "thisFrameButton")
    widget.panel.section("Learn").ui.verifiedBox.click()
    settle(bed, widget)
    press(bed, widget, "allFramesButton")
    assert letters(widget) == "DSSSSVS"
    assert message(widget) == "2 frames that were drawn, corrected or verified were kept as they were."
    drawn = np.where(study[0].labels[0] <= 3, study[0].labels[0], 0)
    np.testing.assert_array_equal(workspace.labels(0), drawn)
    for frame in (1, 2, 3, 4, 5):
        np.testing.assert_array_equal(workspace.labels(frame), here.labels[frame], err_msg=f"{frame}")
    assert widget.panel.measures.function is not None
    assert widget.logic.session.last_answer["model"]["name"] == "unet"
    # A proposal that is corrected is a key frame.
    draw(bed, widget, 1, study[0].labels[1])
    assert letters(widget) == "DCSSSVS"
    press(bed, widget, "undoButton")
    assert letters(widget) == "DC··SV·"
    assert not workspace.labels(2).any()


def test_fused_agrees_with_the_contours_and_keeps_them(bed: Bed, widget: Any, study: Any) -> None:
    workspace = widget.logic.session.workspace
    draw(bed, widget, 0, study[0].labels[0])
    before = workspace.labels(0).copy()
    widget.panel.section("Segment").ui.entropyBox.click()
    settle(bed, widget)
    press(bed, widget, "fusedButton")
    assert letters(widget) == "DSSSSS"
    assert "Frame 0 was kept as it was." in message(widget)
    np.testing.assert_array_equal(workspace.labels(0), before)
    assert widget.logic.session.last_answer["key_frames"] == [0]
    assert all(workspace.labels(t).any() for t in range(COUNT))
    assert overlay(widget).frames == tuple(range(COUNT))


def test_contours_are_carried_with_the_slices_aligned(bed: Bed, widget: Any, study: Any) -> None:
    workspace, parameters = widget.logic.session.workspace, widget.panel.parameters
    draw(bed, widget, 0, study[0].labels[0])
    parameters.modelOptions = json.dumps({"recursive": {"iterations": 4, "levels": 2, "dimensions": 3}})
    widget.panel.section("Propagate").ui.alignBox.click()
    settle(bed, widget)
    press(bed, widget, "propagateButton", "Propagate")
    assert letters(widget) == "DPPPPP"
    answer = widget.logic.session.last_answer
    shifts = np.array(answer["slice_shifts"]["shifts_mm"])
    assert shifts.shape == (workspace.cine.shape[1], 2)
    assert message(widget) == " ".join(f"{text[:1].upper()}{text[1:].rstrip('.')}." for text in answer["warnings"])


def test_entropy_is_an_overlay_with_a_scale(bed: Bed, widget: Any, here: Segmented, pictures: Path) -> None:
    workspace, ui = widget.logic.session.workspace, widget.panel.section("Segment").ui
    assert not ui.overlayBox.visible
    ui.entropyBox.click()
    workspace.cine.frame = 1
    settle(bed, widget)
    press(bed, widget, "thisFrameButton")
    shown, cine = overlay(widget), workspace.cine
    assert shown.frames == (1,)
    assert here.entropy is not None

    np.testing.assert_allclose(seen(shown), here.entropy[1], atol=1e-5)
    assert set(layers(bed)) == {(cine.proxy.GetName(), shown.proxy.GetName())}
    display = shown.proxy.GetDisplayNode()
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == pytest.approx((0, np.log(4)), abs=1e-3)
    assert display.GetColorNode().GetName() == "Iron"
    legend = bed.slicer.modules.colors.logic().GetColorLegendDisplayNode(shown.proxy)
    assert (legend.GetVisibility(), legend.GetTitleText()) == (True, "Entropy (nats)")
    assert ui.entropyLabel.text.startswith("0 nats: sure. 1.39 nats: ")
    if why_no_rendering() is None:
        with bed.app.layoutManager().picture("Red") as view:
            coloured = view.save(pictures / "entropy.png")
        assert coloured.stat().st_size > 0
    cine.frame = 0
    settle(bed, widget)
    assert not seen(shown).any()
    assert ui.entropyLabel.text == "None was asked for on this frame."
    # Other frames are added to it; the overlay is the same one.
    press(bed, widget, "thisFrameButton")
    assert (overlay(widget).sequence, overlay(widget).frames) == (shown.sequence, (0, 1))
    np.testing.assert_allclose(seen(shown), here.entropy[0], atol=1e-5)
    ui.opacitySpin.value = 80
    settle(bed, widget)
    assert shown.opacity == pytest.approx(0.8)
    ui.overlayBox.click()
    settle(bed, widget)
    assert set(layers(bed)) == {(cine.proxy.GetName(), "")}
    assert (legend.GetVisibility(), ui.opacitySpin.enabled) == (False, False)
    ui.overlayBox.click()
    settle(bed, widget)


def test_entropy_is_kept_with_the_scene(bed: Bed, widget: Any, here: Segmented, tmp_path: Path) -> None:
    workspace, ui = widget.logic.session.workspace, widget.panel.section("Segment").ui
    ui.entropyBox.click()
    workspace.cine.frame = 1
    settle(bed, widget)
    press(bed, widget, "thisFrameButton")
    # It is offered as no cine.
    offered = [node.GetName() for node in widget.panel.section("Case").ui.cineSelector.nodes()]
    assert offered == [workspace.cine.browser.GetName()]
    assert bed.slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    bed.scene.Clear(0)
    settle(bed, widget)
    bed.slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    settle(bed, widget)
    shown = overlay(widget)
    assert (shown.frames, shown.is_shown, ui.overlayBox.checked) == ((1,), True, True)
    widget.logic.session.workspace.cine.frame = 1
    assert here.entropy is not None
    np.testing.assert_allclose(seen(shown), here.entropy[1], atol=1e-5)
    assert widget.logic.session.workspace.states.segmented == (1,)


def test_the_slices_are_shown_aligned_and_nothing_is_changed(bed: Bed, widget: Any, tmp_path: Path) -> None:
    workspace, ui = widget.logic.session.workspace, widget.panel.section("Segment").ui
    assert not ui.alignedBox.visible
    press(bed, widget, "allFramesButton")
    module: Any = importlib.import_module("CardiacMotionLib.slice_shifts")
    module.keep_shifts(
        workspace.cine, module.SliceShifts(tuple((2.2 * z, -4.4) for z in range(6)), ("slice 5 is guessed",))
    )
    settle(bed, widget)
    widget.panel.update()
    assert ui.shiftsLabel.text == "Slices seem to be displaced by up to 11.8 mm (slice 5). Slice 5 is guessed."
    before = [workspace.cine.array(t).copy() for t in range(COUNT)]
    labels = [workspace.labels(t).copy() for t in range(COUNT)]
    nodes = bed.scene.GetNumberOfNodes()
    ui.alignedBox.click()
    settle(bed, widget)
    (shown,) = {background for background, _foreground in layers(bed)}
    preview = bed.slicer.util.getNode(shown)
    assert preview is not workspace.cine.proxy
    assert not workspace.segmentations.proxy.GetDisplayNode().GetVisibility()
    workspace.cine.frame = 3
    settle(bed, widget)
    values = bed.slicer.util.arrayFromVolume(preview)
    native = before[3].astype(np.float32)
    for z in range(6):
        moved = np.roll(np.roll(native[z], -z, axis=0), 2, axis=1)
        np.testing.assert_allclose(values[z, : 96 - z, 2:], moved[: 96 - z, 2:], rtol=1e-4, atol=1e-3)
    assert "a preview" in ui.shiftsLabel.text
    ui.alignedBox.click()
    settle(bed, widget)

    def is_as_it_was() -> None:
        found = widget.logic.session.workspace
        assert not ui.alignedBox.checked
        assert {background for background, _foreground in layers(bed)} == {found.cine.proxy.GetName()}
        assert found.segmentations.proxy.GetDisplayNode().GetVisibility()
        assert bed.scene.GetNodesByName(shown).GetNumberOfItems() == 0
        for t in range(COUNT):
            np.testing.assert_array_equal(found.cine.array(t), before[t])
            np.testing.assert_array_equal(found.labels(t), labels[t])

    is_as_it_was()
    assert bed.scene.GetNumberOfNodes() == nodes
    # The application tells that it saves; and where it does not, the loaded scene is put right.
    ui.alignedBox.click()
    settle(bed, widget)
    bed.scene.InvokeEvent(bed.slicer.vtkMRMLScene.StartSaveEvent)
    settle(bed, widget)
    is_as_it_was()
    ui.alignedBox.click()
    settle(bed, widget)
    assert bed.slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    bed.scene.Clear(0)
    settle(bed, widget)
    bed.slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    settle(bed, widget)
    is_as_it_was()
    assert "11.8 mm" in ui.shiftsLabel.text


def test_shifts_that_the_server_finds_are_the_ones_of_the_preview(
    bed: Bed, widget: Any, study: Any, tmp_path: Path
) -> None:
    made, _path = study
    frames, displaced = made.cine.frames.copy(), 3
    frames[:, 2] = np.roll(frames[:, 2], displaced, axis=2)  # 3 pixels of 2.2 mm along a row
    write_cine(tmp_path / "displaced.nii.gz", replace(made.cine, frames=frames))
    workspace = load(bed, widget, tmp_path / "displaced.nii.gz")
    ui = widget.panel.section("Segment").ui
    press(bed, widget, "allFramesButton")
    kept: Any = importlib.import_module("CardiacMotionLib.slice_shifts").shifts_of(workspace.cine)
    here = estimate_shifts(segment_cine(read_cine(tmp_path / "displaced.nii.gz")).labels, made.cine.spacing)
    np.testing.assert_allclose(kept.shifts_mm, here.shifts_mm, atol=2e-3)
    assert "(slice 2)" in ui.shiftsLabel.text
    # Mean and trend are in what is found, too: what it stands out by from its neighbours is what was done to it.
    along_row = np.array(kept.shifts_mm)[:, 1]
    assert along_row[2] - (along_row[1] + along_row[3]) / 2 == pytest.approx(2.2 * displaced, abs=2.2)
    ui.alignedBox.click()
    settle(bed, widget)
    (shown,) = {background for background, _foreground in layers(bed)}
    values = bed.slicer.util.arrayFromVolume(bed.slicer.util.getNode(shown))
    native = frames[workspace.cine.frame].astype(float)
    back = [
        shift(native[z], -here.shifts_mm[z] / made.cine.spacing[1:], order=1, mode="nearest") for z in range(6)
    ]
    np.testing.assert_allclose(values, back, rtol=1e-3, atol=1e-3 * float(frames.max()))


@pytest.mark.parametrize("width", [400, 600])
def test_the_section_can_be_read(bed: Bed, widget: Any, study: Any, pictures: Path, width: int) -> None:
    workspace, ui = widget.logic.session.workspace, widget.panel.section("Segment").ui
    draw(bed, widget, 0, study[0].labels[0])
    ui.entropyBox.click()
    press(bed, widget, "allFramesButton")
    workspace.cine.frame = 3
    if ui.alignedBox.enabled:
        ui.alignedBox.click()
    settle(bed, widget)
    panel = widget.parent
    bed.grab(panel, pictures / f"panel_segment_{width}.png", width)
    bed.pump(lambda: cut(bed, panel) == [], 5, what=f"{cut(bed, panel)}")
    bed.grab(panel, pictures / f"panel_segment_{width}.png", width)
    bed.grab(widget.panel.section("Segment").widget, pictures / f"segment_{width}.png", width)
    assert cut(bed, panel) == []
