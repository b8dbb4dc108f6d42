"""Which frames a propagation starts from and writes: asked for by the button, or following an edit."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.slicer.bed.session import Bed
from tests.slicer.client.fake_server import Fake, Request, infer_reply
from tests.slicer.panel_bed import SHAPE, draw, message, settle
from tests.slicer.panel_faults import DRAWN, Reader, carried
from tests.slicer.test_panel_faults_scene import Held

ALL = set(range(SHAPE[0]))


@pytest.fixture
def reader(bed: Bed, tmp_path: Path) -> Iterator[Reader]:
    fake = Fake()
    yield Reader.begin(bed, fake, tmp_path)
    fake.close()


def of_job(reader: Reader, number: int) -> set[int]:
    """Frames that have the labels of the server's job of this number."""
    labels = carried(number)
    return {t for t in ALL if (reader.workspace.labels(t) == labels[t]).all()}


def follow(reader: Reader, frame: int, number: int) -> None:
    """Draw on a frame, and wait for the frames that follow."""
    told: list[Any] = []
    stop = reader.session.propagation.finished.connect(told.append)
    draw(reader.bed, reader.widget, frame)
    reader.bed.pump(lambda: bool(told), what=f"job {number}")
    reader.wait()
    stop()
    assert reader.session.is_following


def key_frames(reader: Reader) -> list[list[int]]:
    """Of every job that the server was asked for."""
    jobs: list[Request] = [each for each in reader.fake.requests if each.path.startswith("/jobs/infer")]
    return [json.loads(each.parts["params"][1])["key_frames"] for each in jobs]


@pytest.mark.parametrize("what", ["propagate", "segment"])
def test_what_the_server_warns_of_is_shown_as_sentences(reader: Reader, what: str) -> None:
    warnings = ["an ejection fraction of 0.0 % of LV is implausible", "no LV was found in frames 3"]
    content = reader.server.nifti(carried(1))
    reader.server.answers = {"result": infer_reply({"warnings": warnings}, content=content)}
    said = "An ejection fraction of 0.0 % of LV is implausible. No LV was found in frames 3."
    assert reader.work(what).endswith(said)
    assert message(reader.widget).endswith(said)


def test_frames_that_follow_an_edit_are_those_of_the_range(reader: Reader) -> None:
    assert reader.work("propagate") == ""
    assert of_job(reader, 1) == ALL - {DRAWN}
    ui = reader.widget.panel.section("Propagate").ui
    ui.rangeBox.click()
    ui.firstSpin.value, ui.lastSpin.value = 2, 3
    ui.liveBox.click()
    settle(reader.bed, reader.widget)
    follow(reader, 5, 2)
    assert of_job(reader, 2) == {2, 3}
    assert of_job(reader, 1) == ALL - {DRAWN, 2, 3, 5}
    ui.firstSpin.value = 4
    settle(reader.bed, reader.widget)
    draw(reader.bed, reader.widget, 6)
    reader.bed.pump(lambda: bool(reader.said), what="the message")
    assert reader.said == ["Expected a range of frames, got 4 to 3"]
    assert key_frames(reader) == [[DRAWN], [DRAWN, 5]]


def test_an_edit_is_followed_from_its_own_frame_where_that_is_wanted(reader: Reader) -> None:
    ui = reader.widget.panel.section("Propagate").ui
    ui.fromThisBox.click()
    ui.liveBox.click()
    settle(reader.bed, reader.widget)
    draw(reader.bed, reader.widget, 4)
    reader.workspace.cine.frame = 6  # the reader looks on before the others follow
    reader.bed.pump(lambda: bool(of_job(reader, 1)), what="the frames that follow")
    reader.wait()
    assert key_frames(reader) == [[4]]
    assert of_job(reader, 1) == ALL - {DRAWN, 4}


def test_frames_that_were_verified_are_kept_until_they_are_released(reader: Reader) -> None:
    assert reader.work("propagate") == ""
    for frame in (3, 7):
        reader.workspace.set_verified(frame, True)
    assert reader.work("propagate") == "2 verified frames were kept."
    assert (of_job(reader, 1), of_job(reader, 2)) == ({3, 7}, ALL - {DRAWN, 3, 7})
    assert reader.workspace.states.verified == {3, 7}
    ui = reader.widget.panel.section("Propagate").ui
    ui.liveBox.click()
    settle(reader.bed, reader.widget)
    reader.said.clear()
    follow(reader, 5, 3)
    assert of_job(reader, 3) == ALL - {DRAWN, 3, 5, 7}
    assert reader.said == []  # not after every edit
    ui.liveBox.click()
    reader.workspace.cine.frame = 3
    settle(reader.bed, reader.widget)
    reader.press("Propagate", "releaseButton")
    assert reader.workspace.states.verified == {7}
    settle(reader.bed, reader.widget)
    assert ui.releaseButton.toolTip.startswith("Frame 3 is not drawn, corrected or verified")
    assert reader.work("propagate") == "1 verified frame was kept."
    assert of_job(reader, 4) == ALL - {DRAWN, 5, 7}


def test_undo_leaves_what_was_verified_or_drawn_since(reader: Reader) -> None:
    reader.workspace.set_verified(DRAWN, True)
    assert reader.work("propagate") == ""
    reader.workspace.set_verified(3, True)
    draw(reader.bed, reader.widget, 5)
    reader.workspace.take_as_drawn({DRAWN: carried(2)[DRAWN]})  # another contour than the one that was verified
    reader.press("Propagate", "undoButton")
    states = reader.workspace.states
    assert states.key_frames == (DRAWN, 5)
    assert (states.propagated, states.verified) == ((3,), {3})
    assert [t for t in sorted(ALL) if reader.workspace.labels(t).any()] == [DRAWN, 3, 5]


def test_proposals_of_a_model_do_not_follow_an_edit_but_are_replaced_on_wish(reader: Reader) -> None:
    ui = reader.widget.panel.section("Propagate").ui
    assert reader.work("segment") == f"Frame {DRAWN} was kept as it was."
    ui.liveBox.click()
    draw(reader.bed, reader.widget, 5)
    propagation: Any = importlib.import_module("CardiacMotionLib.propagation")
    waits: list[bool] = []
    reader.bed.qt.QTimer.singleShot(2 * propagation.LIVE_MILLISECONDS, lambda: waits.append(True))
    reader.bed.pump(lambda: bool(waits), what="the moment after the edit")
    reader.wait()
    assert reader.server.count("job") == 1  # nothing follows, and nobody is asked
    assert reader.workspace.states.segmented == tuple(sorted(ALL - {DRAWN, 5}))
    assert of_job(reader, 1) == ALL - {DRAWN, 5}
    assert ui.stateLabel.text == (
        "2 of 8 frames drawn or corrected, 0 propagated. "
        "6 with proposals of a model do not follow; Propagate replaces them."
    )
    # The reader asks for it; what was carried follows from then on.
    assert reader.work("propagate") == ""
    assert reader.workspace.states.segmented == ()
    assert of_job(reader, 2) == ALL - {DRAWN, 5}
    reader.workspace.cine.frame = 3
    settle(reader.bed, reader.widget)
    assert reader.work("frame") == ""
    follow(reader, 6, 4)
    assert (of_job(reader, 3), of_job(reader, 4)) == ({3}, ALL - {DRAWN, 3, 5, 6})
    assert reader.workspace.states.segmented == (3,)


def test_a_proposal_that_came_while_frames_followed_is_not_replaced(reader: Reader) -> None:
    ui = reader.widget.panel.section("Propagate").ui
    ui.liveBox.click()
    settle(reader.bed, reader.widget)
    held = Held(reader, "result")
    draw(reader.bed, reader.widget, 5)
    reader.until_asked("result", 1)
    state: Any = importlib.import_module("CardiacMotionLib.frame_states").FrameState
    workspace = reader.workspace
    workspace.end_step(workspace.states, {3: workspace.labels(3).copy()}, state.SEGMENTED)
    held.let_go()
    reader.wait()
    assert of_job(reader, 1) == ALL - {DRAWN, 3, 5}
    assert reader.workspace.states.segmented == (3,)
