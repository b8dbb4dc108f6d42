"""Slices aligned before the motion is estimated: chosen, sent, kept with the scene, where it can be done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.slicer.bed.session import Bed
from tests.slicer.client.fake_server import INFO, Fake, as_json, infer_reply
from tests.slicer.panel_bed import connect, disc_labels, draw, load, message, settle, write_cine
from tests.slicer.panel_faults import DRAWN, OURS, Reader, carried, kind_of

ONE_SLICE = (8, 1, 40, 36)


@pytest.fixture
def reader(bed: Bed, tmp_path: Path) -> Iterator[Reader]:
    fake = Fake()
    yield Reader.begin(bed, fake, tmp_path)
    fake.close()


def ui_of(reader: Reader) -> Any:
    return reader.widget.panel.section("Propagate").ui


def tick(reader: Reader) -> None:
    ui_of(reader).alignBox.click()
    settle(reader.bed, reader.widget)


def jobs(reader: Reader) -> list[dict[str, Any]]:
    """Parameters of the jobs that the server was asked for."""
    asked = [each for each in reader.fake.requests if kind_of(each) == "job"]
    return [json.loads(each.parts["params"][1]) for each in asked]


def test_it_is_sent_where_it_is_ticked(reader: Reader) -> None:
    box = ui_of(reader).alignBox
    assert box.enabled
    assert not box.checked
    assert "breath holds" in box.toolTip
    assert reader.work("propagate") == ""
    assert "align" not in jobs(reader)[-1]
    # Whether or not the panel has been brought up to date.
    box.click()
    assert reader.work("propagate") == ""
    assert jobs(reader)[-1] == {"model": "quick", "align": True, "key_frames": [DRAWN]}
    # The motion that is shown is the one that carried the contours.
    assert reader.work("motion") == ""
    assert (jobs(reader)[-1]["align"], jobs(reader)[-1]["output"]) == (True, "all")
    # And so they are that segmentation is to agree with.
    reader.work("fused")
    assert jobs(reader)[-1]["align"] is True
    reader.workspace.undo()
    tick(reader)
    reader.work("fused")
    assert "align" not in jobs(reader)[-1]
    reader.workspace.undo()
    assert reader.work("propagate") == ""
    assert "align" not in jobs(reader)[-1]


def test_frames_that_follow_an_edit_follow_by_it(reader: Reader) -> None:
    tick(reader)
    ui_of(reader).liveBox.click()
    settle(reader.bed, reader.widget)
    draw(reader.bed, reader.widget, 4)
    reader.until_asked("job", 1)
    reader.wait()
    assert jobs(reader) == [{"model": "quick", "align": True, "key_frames": [DRAWN, 4]}]


def test_what_the_server_says_of_it_is_shown(reader: Reader) -> None:
    tick(reader)
    told = {"warnings": ["the shift of slice 2 was interpolated"], "slice_shifts": None}
    reader.server.answers = {"result": infer_reply(told, content=reader.server.nifti(carried(1)))}
    assert reader.work("propagate") == "The shift of slice 2 was interpolated."


def test_it_is_kept_with_the_scene(reader: Reader) -> None:
    tick(reader)
    path = str(reader.folder / "scene.mrb")
    assert reader.bed.slicer.util.saveScene(path)
    reader.bed.scene.Clear(0)
    settle(reader.bed, reader.widget)
    assert not reader.widget.panel.parameters.align
    reader.bed.slicer.util.loadScene(path)
    settle(reader.bed, reader.widget)
    assert reader.widget.panel.parameters.align
    assert ui_of(reader).alignBox.checked
    assert reader.work("propagate") == ""
    assert jobs(reader)[-1]["align"] is True


def test_a_single_slice_has_nothing_to_be_aligned_with(reader: Reader) -> None:
    tick(reader)
    path = write_cine(reader.folder / "long_axis.nii.gz", ONE_SLICE)
    workspace = load(reader.bed, reader.widget, path)
    workspace.take_as_drawn({0: disc_labels(0, ONE_SLICE)})
    settle(reader.bed, reader.widget)
    box = ui_of(reader).alignBox
    assert not box.enabled
    assert box.toolTip == "A single slice has no neighbours to be aligned with"
    reader.server.answers = {"result": infer_reply(content=reader.server.nifti(carried(1, ONE_SLICE)))}
    assert reader.work("propagate") == ""
    assert "align" not in jobs(reader)[-1]
    # What was chosen is not lost.
    reader.server.answers = {}
    reader.open("another")
    assert (box.enabled, box.checked) == (True, True)
    assert "breath holds" in box.toolTip
    assert reader.work("propagate") == ""
    assert jobs(reader)[-1]["align"] is True


@pytest.mark.parametrize("missing", ["no model that segments", "another view", "no task"])
def test_a_server_that_segments_no_stacks_cannot_align(reader: Reader, missing: str) -> None:
    tick(reader)
    motion, unet, fused = OURS["models"]
    ours = {
        "no model that segments": {"tasks": ["motion"], "models": [motion]},
        "another view": {"models": [motion, {**unet, "views": ["lax"]}, {**fused, "views": ["lax"]}]},
        "no task": {"tasks": ["motion", "fused"]},
    }[missing]
    reader.server.answers["info"] = as_json({**INFO, "cardiac_motion": {**OURS, **ours}})
    reader.widget.panel.section("Case").ui.connectButton.click()
    connect(reader.bed, reader.widget, reader.fake.address)
    assert message(reader.widget) == ""
    box = ui_of(reader).alignBox
    assert not box.enabled
    assert box.toolTip == "This server has no model that segments short-axis stacks"
    assert reader.work("propagate") == ""
    assert "align" not in jobs(reader)[-1]
