"""The server goes or misbehaves in the middle of what the panel asked for: one message, the scene as it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.slicer.bed.session import Bed
from tests.slicer.client.fake_server import INFO, Fake, Reply, Request, as_json, refusal
from tests.slicer.panel_bed import SHAPE, connect, draw, load, message, open_panel, settle, write_cine
from tests.slicer.panel_faults import OURS

OFFER = {**INFO, "cardiac_motion": OURS}


class Script:
    """Answers of a fake server by the beginning of the path; the rest is as it must be."""

    def __init__(self, **answers: Reply) -> None:
        self.answers = answers

    def __call__(self, request: Request) -> Reply:
        part = request.path.strip("/").partition("/")[0].partition("?")[0]
        if part in self.answers:
            return self.answers[part]
        if part == "info":
            return as_json(OFFER)
        sent = request.parts["file"][1]
        return as_json({"image": "disc", "sha256": hashlib.sha256(sent).hexdigest()})


@pytest.fixture
def fake() -> Iterator[Fake]:
    fake = Fake()
    fake.replies = Script()
    yield fake
    fake.close()


@pytest.fixture
def widget(bed: Bed, fake: Fake, tmp_path: Path) -> Any:
    widget = open_panel(bed)
    connect(bed, widget, fake.address)
    load(bed, widget, write_cine(tmp_path / "disc.nii.gz"))
    draw(bed, widget, 1)
    return widget


def wait(bed: Bed, widget: Any) -> None:
    bed.pump(lambda: not widget.logic.session.tasks.is_busy, seconds=30, what="the end of it")
    settle(bed, widget)


def is_as_it_was(widget: Any) -> bool:
    workspace = widget.logic.session.workspace
    drawn = [t for t in range(SHAPE[0]) if workspace.labels(t).any()]
    return drawn == [1] and workspace.states.key_frames == (1,) and not workspace.can_undo


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({"datastore": refusal(409, message="expected another id")}, "expected another id"),
        ({"datastore": refusal(413, message="too many voxels")}, "can raise its limits"),
        ({"datastore": refusal(507, message="no room")}, "its disk is full"),
        ({"jobs": refusal(429, message="16 jobs wait")}, "try again in a moment"),
        ({"jobs": refusal(500, message="a mistake")}, "a mistake (500"),
        ({"jobs": Reply(b"<html>", 200, "text/html")}, "begin with '<html>'"),
        ({"jobs": as_json({"job": 7})}, "'job'"),
    ],
    ids=["409", "413", "507", "429", "500", "a web page", "garbage"],
)
def test_a_refused_propagation_is_one_message(
    bed: Bed, widget: Any, fake: Fake, answers: dict[str, Reply], said: str
) -> None:
    fake.replies = Script(**answers)
    widget.panel.section("Propagate").ui.propagateButton.click()
    wait(bed, widget)
    assert said in message(widget)
    assert "should not have happened" not in message(widget)
    assert is_as_it_was(widget)
    assert widget.panel.section("Propagate").ui.propagateButton.enabled
    layout = widget.panel._layout
    below = layout.indexOf(widget.panel.section("Propagate").widget) + 1
    assert layout.indexOf(widget.panel.ui.statusFrame) == below


def _shown(widget: Any) -> list[str]:
    return [section.UI for section in widget.panel.sections if section.widget.visible]


def test_without_the_motion_task_there_is_no_section_for_it(bed: Bed, fake: Fake, tmp_path: Path) -> None:
    ours = {**OURS, "tasks": ["something-new"], "models": []}
    fake.replies = Script(info=as_json({**OFFER, "cardiac_motion": ours}))
    widget = open_panel(bed)
    connect(bed, widget, fake.address)
    load(bed, widget, write_cine(tmp_path / "disc.nii.gz"))
    assert _shown(widget) == ["Case", "Contour", "Look", "Learn"]
    assert "something-new" in widget.panel.section("Case").ui.offerLabel.text
    widget.panel.section("Case").ui.connectButton.click()
    settle(bed, widget)
    assert _shown(widget) == ["Case", "Contour", "Look"]


def test_every_case_has_labels(bed: Bed, widget: Any, fake: Fake) -> None:
    fake.replies = Script(activelearning=as_json({}))
    widget.panel.section("Case").ui.nextButton.click()
    wait(bed, widget)
    assert message(widget) == "Every case on the server has labels."


def test_two_quick_edits_are_one_request_for_the_newest(bed: Bed, widget: Any, fake: Fake) -> None:
    widget.panel.section("Propagate").ui.liveBox.click()
    settle(bed, widget)
    fake.replies = Script(jobs=refusal(422, message="enough"))
    draw(bed, widget, 2)
    draw(bed, widget, 3)
    bed.pump(lambda: message(widget) != "", what="the message")
    wait(bed, widget)
    jobs = [request for request in fake.requests if request.path.startswith("/jobs/infer")]
    assert len(jobs) == 1
    assert json.loads(jobs[0].parts["params"][1])["key_frames"] == [1, 2, 3]
