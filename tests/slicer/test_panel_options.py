"""Options of the models in the panel: chosen, sent, kept with the scene, forgotten."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cardiac_motion.registration.registry import motion_model
from cardiac_motion.segmentation.network import SegmentationOptions
from pydantic import TypeAdapter

from tests.slicer.bed.session import Bed
from tests.slicer.client.fake_server import INFO, Fake, as_json
from tests.slicer.cut_texts import cut
from tests.slicer.panel_bed import connect, settle
from tests.slicer.panel_faults import DRAWN, OURS, Reader, kind_of

MOTION = TypeAdapter(type(motion_model("recursive").default_options)).json_schema()
NETWORK = TypeAdapter(SegmentationOptions).json_schema()
for own in ("probabilities", "entropy"):
    del NETWORK["properties"][own]  # as the server has it
SCHEMAS = {"quick": MOTION, "unet": NETWORK, "fused": NETWORK}


def offering(**schemas: dict[str, Any]) -> Any:
    """What the server says of itself, with these options of its models."""
    models = [{**model, "options": schemas.get(model["name"], {})} for model in OURS["models"]]
    return as_json({**INFO, "cardiac_motion": {**OURS, "models": models}})


@pytest.fixture
def reader(bed: Bed, tmp_path: Path) -> Iterator[Reader]:
    """With the boxes of the options open."""
    fake = Fake()
    made = Reader.begin(bed, fake, tmp_path)
    reconnect(made, **SCHEMAS)
    for name in ("Propagate", "Segment"):
        made.widget.panel.section(name).ui.optionsBox.collapsed = False
    yield made
    fake.close()


def reconnect(reader: Reader, **schemas: dict[str, Any]) -> None:
    reader.server.answers["info"] = offering(**schemas)
    reader.widget.panel.section("Case").ui.connectButton.click()
    connect(reader.bed, reader.widget, reader.fake.address)


def widget_of(reader: Reader, section: str, name: str) -> Any:
    return reader.widget.panel.section(section).options.widgets[name]


def title(reader: Reader, section: str) -> str:
    return str(reader.widget.panel.section(section).ui.optionsBox.title)


def enter(reader: Reader, line: Any, text: str) -> None:
    """As if typed, with the line left afterwards."""
    line.text = text
    line.textEdited(text)
    line.editingFinished()
    settle(reader.bed, reader.widget)


def choose(reader: Reader, combo: Any, text: str) -> None:
    index = combo.findText(text)
    combo.setCurrentIndex(index)
    combo.activated(index)
    settle(reader.bed, reader.widget)


def last_job(reader: Reader) -> dict[str, Any]:
    """Parameters of the last job that the server was asked for."""
    jobs = [json.loads(each.parts["params"][1]) for each in reader.fake.requests if kind_of(each) == "job"]
    found: dict[str, Any] = jobs[-1]
    return found


def test_what_is_chosen_is_sent_and_nothing_else(reader: Reader) -> None:
    assert title(reader, "Propagate") == "Options"
    assert reader.work("propagate") == ""
    assert last_job(reader) == {"model": "quick", "key_frames": [DRAWN]}
    iterations = widget_of(reader, "Propagate", "iterations")
    assert (iterations.text, iterations.placeholderText) == ("", "automatic")
    assert iterations.toolTip.startswith("Adam steps; of the pyramid at its coarsest level")
    enter(reader, iterations, "60")
    choose(reader, widget_of(reader, "Propagate", "similarity"), "ncc")
    choose(reader, widget_of(reader, "Propagate", "dimensions"), "3")
    widget_of(reader, "Propagate", "bidirectional").click()
    settle(reader.bed, reader.widget)
    assert title(reader, "Propagate") == "Options (4 changed)"
    chosen = {"iterations": 60, "similarity": "ncc", "dimensions": 3, "bidirectional": False}
    assert reader.work("propagate") == ""
    assert last_job(reader) == {"model": "quick", "options": chosen, "key_frames": [DRAWN]}
    # What is chosen again as the model has it is not sent.
    enter(reader, iterations, "")
    choose(reader, widget_of(reader, "Propagate", "similarity"), "automatic")
    assert title(reader, "Propagate") == "Options (2 changed)"
    reader.widget.panel.section("Propagate").options.reset_button.click()
    settle(reader.bed, reader.widget)
    assert title(reader, "Propagate") == "Options"
    assert widget_of(reader, "Propagate", "bidirectional").checked
    assert reader.widget.panel.parameters.modelOptions == ""


def test_a_number_is_sent_though_the_line_was_not_left(reader: Reader) -> None:
    line = widget_of(reader, "Propagate", "levels")
    line.text = "3"
    line.textEdited("3")
    reader.press("Propagate", "propagateButton")
    reader.wait()
    assert last_job(reader)["options"] == {"levels": 3}


def test_what_is_no_number_is_told_and_changes_nothing(reader: Reader) -> None:
    line = widget_of(reader, "Propagate", "levels")
    enter(reader, line, "3")
    for text in ("2.5", "two", "1e3"):
        enter(reader, line, text)
        assert reader.said[-1] == f"Expected a whole number for Levels, got '{text}'; it is as it was."
        assert line.text == "3"
    assert reader.work("propagate") == ""
    assert last_job(reader)["options"] == {"levels": 3}


def test_segmentation_has_its_own_and_contours_are_carried_as_chosen(reader: Reader) -> None:
    widget_of(reader, "Segment", "flips").click()
    choose(reader, widget_of(reader, "Segment", "view"), "lax")
    enter(reader, widget_of(reader, "Propagate", "levels"), "3")
    reader.workspace.cine.frame = 4
    settle(reader.bed, reader.widget)
    assert reader.work("frame") == ""
    own = {"flips": True, "view": "lax"}
    assert last_job(reader) == {"frames": [4], "entropy": False, "options": own}
    reader.work("fused")
    assert last_job(reader) == {
        "frames": "all",
        "entropy": False,
        "options": own,
        "key_frames": [DRAWN],
        "motion_model": "quick",
        "motion_options": {"levels": 3},
    }
    reader.workspace.undo()
    reader.workspace.cine.frame = 5
    settle(reader.bed, reader.widget)
    reader.press("Contour", "proposeButton")
    reader.wait()
    assert last_job(reader) == {"frames": [5], "entropy": False, "options": own}


def test_they_are_kept_with_the_scene_and_for_the_server_that_has_them(reader: Reader) -> None:
    enter(reader, widget_of(reader, "Propagate", "levels"), "3")
    path = str(reader.folder / "scene.mrb")
    assert reader.bed.slicer.util.saveScene(path)
    reader.bed.scene.Clear(0)
    settle(reader.bed, reader.widget)
    assert title(reader, "Propagate") == "Options"
    reader.bed.slicer.util.loadScene(path)
    settle(reader.bed, reader.widget)
    assert widget_of(reader, "Propagate", "levels").text == "3"
    # Another server has no such option, or one that is something else: it is not sent there, nor lost.
    reconnect(reader, quick={"properties": {"levels": {"type": "boolean", "default": False}}})
    assert reader.work("propagate") == ""
    assert "options" not in last_job(reader)
    assert not reader.widget.panel.section("Segment").ui.optionsBox.visible
    reconnect(reader, **SCHEMAS)
    assert widget_of(reader, "Propagate", "levels").text == "3"
    assert reader.work("propagate") == ""
    assert last_job(reader)["options"] == {"levels": 3}


@pytest.mark.parametrize("width", [400, 600])
def test_every_option_can_be_read(reader: Reader, pictures: Path, width: int) -> None:
    bed, panel = reader.bed, reader.widget.parent
    enter(reader, widget_of(reader, "Propagate", "iterations"), "60")
    picture = pictures / f"panel_options_{width}.png"
    bed.grab(panel, picture, width)
    bed.pump(lambda: cut(bed, panel) == [], 5, what=f"{cut(bed, panel)}")
    bed.grab(panel, picture, width)
    assert cut(bed, panel) == []
