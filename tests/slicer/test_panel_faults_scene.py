"""What changes under a job: the scene closed, another case, another edit, another token; and the last stroke."""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.slicer.bed.session import Bed
from tests.slicer.client.fake_server import Fake, Reply, Request
from tests.slicer.panel_bed import SHAPE, disc_labels, draw, load, message, settle, write_cine
from tests.slicer.panel_faults import DRAWN, Reader, carried, kind_of, snapshot

TOKEN = "the-token-of-yesterday"


@pytest.fixture
def fake() -> Iterator[Fake]:
    fake = Fake()
    yield fake
    fake.close()


@pytest.fixture
def reader(bed: Bed, fake: Fake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    faults: Any = importlib.import_module("tests.slicer.panel_faults")
    # Here the server is made to wait until the test has done something.
    monkeypatch.setattr(faults, "PATIENCE", (2.0, 20.0))
    return Reader.begin(bed, fake, tmp_path)


class Held:
    """The server's next answer of a kind comes only when it is let go."""

    def __init__(self, reader: Reader, kind: str) -> None:
        self._reader, self._kind, self._go = reader, kind, threading.Event()
        reader.server.answers[kind] = self._answer

    def _answer(self, request: Request) -> Reply:
        reply: Reply = getattr(self._reader.server, f"_{kind_of(request)}")(request)
        reply.wait = self._go
        return reply

    def let_go(self) -> None:
        self._reader.server.answers.pop(self._kind, None)
        self._go.set()


def empty_scene(bed: Bed) -> list[str]:
    return sorted(bed.scene.GetNthNode(index).GetID() for index in range(bed.scene.GetNumberOfNodes()))


def test_the_scene_is_closed_in_the_middle_of_everything(bed: Bed, reader: Reader) -> None:
    widget, server = reader.widget, reader.server
    bed.scene.Clear(0)
    settle(bed, widget)
    before = empty_scene(bed)
    for kind in ("image", "upload", "job", "poll", "label"):
        workspace = reader.open()
        if kind == "label":
            assert reader.work("propagate") == ""
        if kind == "poll":
            reader.press("Look", "motionButton")
            reader.wait()
        reader.said.clear()
        held = Held(reader, kind)
        reader.ask(kind)
        bed.scene.Clear(0)
        assert reader.session.workspace is None
        settle(bed, widget)
        held.let_go()
        reader.wait()
        settle(bed, widget)
        assert (reader.said, message(widget)) == ([], ""), kind
        assert empty_scene(bed) == before, kind
        assert not workspace.is_alive
        bed.pump(lambda: reader.downloads == [], 10.0)  # the thread that was told to stop tidies up
        assert reader.downloads == []
    assert server.count("end") == server.count("job")
    # The motion, at last.
    reader.open()
    held = Held(reader, "result")
    reader.press("Look", "motionButton")
    asked = server.count("result")
    bed.pump(lambda: server.count("result") > asked, what="the motion to be asked for")
    bed.scene.Clear(0)
    held.let_go()
    reader.wait()
    assert empty_scene(bed) == before
    # It all still works.
    reader.open()
    for what in ("propagate", "motion", "submit", "next"):
        assert reader.work(what) == ""


def test_another_case_in_the_middle_of_a_job_gets_nothing_of_it(bed: Bed, reader: Reader) -> None:
    motions: Any = importlib.import_module("CardiacMotionLib.motion_display").MotionDisplay
    for kind, what in (("poll", "propagate"), ("result", "motion")):
        first = reader.workspace
        held = Held(reader, kind)
        asked = reader.server.count(kind)
        reader.press(*("Propagate", "propagateButton") if what == "propagate" else ("Look", "motionButton"))
        reader.until_asked(kind, asked + 1)
        settle(bed, reader.widget)
        before = first.states
        second = load(bed, reader.widget, write_cine(reader.folder / f"other-{what}.nii.gz"))
        held.let_go()
        reader.wait()
        assert second is reader.workspace
        assert (first.states, second.states.states) == (before, {})
        assert not any(second.labels(t).any() for t in range(SHAPE[0]))
        assert not any(first.labels(t).any() for t in range(SHAPE[0]) if t != DRAWN)
        assert [motions.find(workspace.cine) for workspace in (first, second)] == [None, None]
        assert message(reader.widget) == ""
        draw(bed, reader.widget, DRAWN)
    assert reader.work("propagate") == ""
    assert len(reader.workspace.states.propagated) == SHAPE[0] - 1


def test_a_frame_that_is_edited_meanwhile_is_not_overwritten(bed: Bed, reader: Reader) -> None:
    workspace = reader.workspace
    assert reader.work("propagate") == ""
    held = Held(reader, "result")
    asked = reader.server.count("result")
    reader.press("Propagate", "propagateButton")
    bed.pump(lambda: reader.server.count("result") > asked, what="the answer to be on its way")
    draw(bed, reader.widget, 4)
    held.let_go()
    reader.wait()
    assert workspace.states.key_frames == (DRAWN, 4)
    for frame, labels in enumerate(carried(2)):
        wanted = disc_labels(frame) if frame in {DRAWN, 4} else labels
        np.testing.assert_array_equal(workspace.labels(frame), wanted, err_msg=f"frame {frame}")
    assert message(reader.widget) == ""


def test_of_two_quick_edits_only_the_answer_to_the_newest_counts(bed: Bed, reader: Reader) -> None:
    workspace, server = reader.workspace, reader.server
    assert reader.work("propagate") == ""
    reader.widget.panel.section("Propagate").ui.liveBox.click()
    settle(bed, reader.widget)
    held = Held(reader, "result")
    draw(bed, reader.widget, 2)
    bed.pump(lambda: server.count("result") == 2, what="the first answer to be on its way")
    jobs = [request for request in reader.fake.requests if kind_of(request) == "job"]
    draw(bed, reader.widget, 3)
    bed.pump(lambda: server.count("job") == 3, what="the second job")
    held.let_go()
    bed.pump(lambda: server.count("result") == 3, what="its answer")
    reader.wait()
    jobs = [request for request in reader.fake.requests if kind_of(request) == "job"]
    keys = [json.loads(request.parts["params"][1])["key_frames"] for request in jobs]
    assert keys == [[1], [1, 2], [1, 2, 3]]
    assert workspace.states.key_frames == (1, 2, 3)
    for frame, labels in enumerate(carried(3)):
        wanted = disc_labels(frame) if frame in {1, 2, 3} else labels
        np.testing.assert_array_equal(workspace.labels(frame), wanted, err_msg=f"frame {frame}")
    # Nobody waits for the first any more: the server is told.
    ended = [request.path for request in reader.fake.requests if kind_of(request) == "end"]
    assert sorted(ended) == ["/jobs/j1", "/jobs/j2", "/jobs/j3"]


def test_the_token_is_changed_in_between(bed: Bed, fake: Fake, tmp_path: Path) -> None:
    reader = Reader.begin(bed, fake, tmp_path, TOKEN)
    assert reader.work("propagate") == ""
    reader.server.token = "the-token-of-today"
    for what in ("propagate", "submit", "motion", "next"):
        reader.fails(what, "check the token", {})
        assert TOKEN not in message(reader.widget)
    reader.press("Case", "connectButton")
    settle(bed, reader.widget)
    reader.connect("the-token-of-today")
    for what in ("propagate", "submit", "motion"):
        assert reader.work(what) == ""


# The last stroke


def stroke(reader: Reader, frame: int) -> np.ndarray:
    """As the brush does it; nobody has had the time to notice."""
    workspace, drawn = reader.workspace, disc_labels(frame)
    workspace.cine.frame = frame
    for value, name in ((2, "MYO"), (3, "LV")):
        reader.bed.slicer.util.updateSegmentBinaryLabelmapFromArray(
            (drawn == value).astype(np.uint8), workspace.segmentations.proxy, name, workspace.cine.proxy
        )
    assert frame not in workspace.states.key_frames
    return drawn


def again(bed: Bed) -> Any:
    """What the module finds in the scene."""
    cine: Any = importlib.import_module("CardiacMotionLib.cine").Cine
    scene_state: Any = importlib.import_module("CardiacMotionLib.scene_state")
    segmentations: Any = importlib.import_module("CardiacMotionLib.segmentation_sequence").Segmentations
    found = cine.find(scene_state.cine_browsers()[-1])
    return importlib.import_module("CardiacMotionLib.workspace").Workspace(found, segmentations.of(found))


@pytest.mark.parametrize("live", [False, True])
def test_a_stroke_just_before_the_module_is_closed_is_kept(bed: Bed, reader: Reader, live: bool) -> None:
    assert reader.work("propagate") == ""
    if live:
        reader.widget.panel.section("Propagate").ui.liveBox.click()
        settle(bed, reader.widget)
    drawn = stroke(reader, 5)
    bed.leave()
    workspace = again(bed)
    np.testing.assert_array_equal(workspace.labels(5), drawn)
    np.testing.assert_array_equal(workspace.labels(DRAWN), disc_labels(DRAWN))
    assert workspace.states.key_frames == (DRAWN, 5)
    workspace.close()
    assert reader.server.count("job") == 1


def test_a_stroke_just_before_the_scene_is_saved_is_a_key_frame_in_it(bed: Bed, reader: Reader) -> None:
    drawn = stroke(reader, 5)
    path = str(reader.folder / "scene.mrb")
    assert bed.slicer.util.saveScene(path)
    bed.scene.Clear(0)
    bed.slicer.util.loadScene(path)
    settle(bed, reader.widget)
    workspace = reader.workspace
    np.testing.assert_array_equal(workspace.labels(5), drawn)
    assert workspace.states.key_frames == (DRAWN, 5)


def test_a_stroke_just_before_the_scene_is_closed_or_the_case_is_changed(bed: Bed, reader: Reader) -> None:
    first, drawn = reader.workspace, stroke(reader, 5)
    load(bed, reader.widget, write_cine(reader.folder / "other.nii.gz"))
    np.testing.assert_array_equal(first.labels(5), drawn)
    assert first.states.key_frames == (DRAWN, 5)
    draw(bed, reader.widget, 2)
    before = snapshot(bed, reader.widget)
    stroke(reader, 6)
    assert before["states"].key_frames == (2,)
    bed.scene.Clear(0)
    settle(bed, reader.widget)
    assert reader.workspace is None
    assert bed.errors == []
    reader.open()
    assert reader.work("propagate") == ""
