"""A segmentation that fails, is cancelled or is overtaken: one clear message, and the scene as it was."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.slicer.bed.session import Bed
from tests.slicer.client.fake_server import DROP, Reply, infer_reply, job, refusal
from tests.slicer.panel_bed import AFFINE, SHAPE, connect, disc_labels, draw, load, message, open_panel, settle
from tests.slicer.panel_bed import write_cine as write_disc
from tests.slicer.panel_faults import (
    DRAWN,
    Reader,
    carried,
    end_of_silence,
    hasty_reader,
    kind_of,
    listen,
    snapshot,
)
from tests.slicer.test_panel_faults_answers import GONE, HTML, _results
from tests.slicer.test_panel_faults_scene import Held, empty_scene
from tests.slicer.test_panel_faults_server import LARGE, free_port, padded_cine, serving

KEPT = "Frame 1 was kept as it was."


over = pytest.fixture(end_of_silence)
reader = pytest.fixture(hasty_reader)


def test_of_labels(reader: Reader, over: threading.Event) -> None:
    failed = {"code": "too_large", "message": "too large for the memory of the server", "field": None}
    faults: list[tuple[str, dict[str, Any]]] = [
        ("check the token", {"job": refusal(401)}),
        ("(404 unknown_model)", {"job": refusal(404, "unknown_model")}),
        ("(422 ", {"job": refusal(422)}),
        ("fell silent", {"job": Reply(wait=over)}),
        ("expected json", {"job": HTML}),
        ("too large for the memory", {"poll": job("failed", 0.3, failed)}),
        ("cancelled on the server", {"poll": job("cancelled")}),
        *((said, {"result": reply}) for said, reply in _results(reader, over)),
    ]
    wrong: list[Any] = [[], {"shifts_mm": [[1, 2]]}, {"shifts_mm": [[1, 2], [3, "4"], [5, 6]]}]
    wrong.append({"shifts_mm": [[0, 1e9]] * SHAPE[1]})
    good = reader.server.nifti(carried(1))
    answers_with = [infer_reply({"slice_shifts": told}, content=good) for told in wrong]
    faults += [("two shifts in mm", {"result": reply}) for reply in answers_with]
    for said, answers in faults:
        reader.fails("segment", said, answers)
    for what in ("fused", "segment"):
        assert reader.work(what) == KEPT
    workspace = reader.workspace
    assert (workspace.states.key_frames, len(workspace.states.segmented)) == ((DRAWN,), SHAPE[0] - 1)
    asked = [json.loads(each.parts["params"][1]) for each in reader.fake.requests if kind_of(each) == "job"]
    assert asked[-1] == {"frames": "all", "entropy": False}
    assert asked[-2] == {"frames": "all", "entropy": False, "key_frames": [DRAWN], "motion_model": "quick"}


def test_of_entropy(reader: Reader) -> None:
    server = reader.server
    reader.widget.panel.section("Segment").ui.entropyBox.click()
    settle(reader.bed, reader.widget)
    whole = server.segmentation(1)
    half = np.full(SHAPE, 0.5, np.float32)
    holes = half.copy()
    holes[2, 1, 3, 3] = np.nan
    shifted = AFFINE.copy()
    shifted[2, 3] += 8.0
    damaged = bytearray(whole)
    damaged[100:160] = bytes(60)
    faults = [
        ("expected a zip with the labels and entropy", b"no zip"),
        ("expected a zip with the labels and entropy", whole[:-60]),
        ("expected", bytes(damaged)),
        ("expected entropy.nii.gz in the zip", server.segmentation(1, entropy=b"")),
        ("expected labels.nii.gz in the zip", server.segmentation(1, labels=b"")),
        ("NaN", server.segmentation(1, entropy=server.nifti(holes))),
        ("an entropy of 0 or more", server.segmentation(1, entropy=server.nifti(-half))),
        (
            "expected entropy (8, 3, 40, 36)",
            server.segmentation(1, entropy=server.nifti(half[:-1])),
        ),
        ("lie elsewhere", server.segmentation(1, entropy=server.nifti(half, shifted))),
        ("the entropy that the server sent cannot be used", server.segmentation(1, entropy=b"\x1f\x8b nothing")),
    ]
    for said, content in faults:
        reader.fails("segment", said, {"result": infer_reply(name="answer.zip", content=content)})
    reader.fails("segment", "cannot be reached", {"result": DROP})
    assert reader.work("segment") == KEPT
    assert reader.widget.panel.section("Segment").ui.overlayBox.visible


def test_nothing_found_is_said_and_changes_nothing(reader: Reader) -> None:
    nothing = infer_reply(content=reader.server.nifti(np.zeros(SHAPE, np.uint8)))
    reader.workspace.cine.frame = 3
    settle(reader.bed, reader.widget)
    reader.fails("frame", "found no structure there; nothing was changed", {"result": nothing})
    some = carried(1)
    some[[2, 5]] = 0
    reader.server.answers = {"result": infer_reply(content=reader.server.nifti(some))}
    assert reader.work("segment") == f"The model found no structure on frames 2, 5; they are as they were. {KEPT}"
    assert reader.workspace.states.segmented == (0, 3, 4, 6, 7)


def test_a_case_that_is_gone_from_the_server_is_sent_anew(reader: Reader) -> None:
    assert reader.work("segment") == KEPT
    server = reader.server
    server.images.clear()
    server.answers["job"] = lambda request: server._job(request) if server.images else GONE
    assert reader.work("segment") == KEPT
    assert server.count("upload") == 2


def test_cancel_leaves_everything_as_it_was(bed: Bed, reader: Reader) -> None:
    for kind in ("upload", "job", "poll"):
        before, held = snapshot(bed, reader.widget), Held(reader, kind)
        asked = reader.server.count(kind)
        reader.press("Segment", "allFramesButton")
        reader.until_asked(kind, asked + 1)
        assert reader.widget.panel.ui.progressBar.visible
        assert not reader.widget.panel.section("Propagate").ui.propagateButton.enabled
        reader.widget.panel.ui.cancelButton.click()
        held.let_go()
        reader.wait()
        assert snapshot(bed, reader.widget) == before
        assert message(reader.widget) == ""
    assert reader.work("segment") == KEPT


def test_a_frame_that_is_edited_meanwhile_is_not_overwritten(bed: Bed, reader: Reader) -> None:
    held = Held(reader, "result")
    reader.press("Segment", "allFramesButton")
    reader.until_asked("result", 1)
    draw(bed, reader.widget, 4)
    held.let_go()
    reader.wait()
    workspace = reader.workspace
    assert workspace.states.key_frames == (DRAWN, 4)
    for frame, labels in enumerate(carried(1)):
        wanted = disc_labels(frame) if frame in {DRAWN, 4} else labels
        np.testing.assert_array_equal(workspace.labels(frame), wanted, err_msg=f"frame {frame}")
    assert message(reader.widget).startswith("2 frames that were drawn")
    workspace.undo()
    assert workspace.states.segmented == ()
    np.testing.assert_array_equal(workspace.labels(4), disc_labels(4))


def test_the_scene_is_closed_or_another_case_opened_meanwhile(bed: Bed, reader: Reader) -> None:
    first, held = reader.workspace, Held(reader, "result")
    reader.press("Segment", "allFramesButton")
    reader.until_asked("result", 1)
    second = load(bed, reader.widget, write_disc(reader.folder / "other.nii.gz"))
    held.let_go()
    reader.wait()
    assert not any(second.labels(t).any() for t in range(SHAPE[0]))
    assert (first.states.segmented, second.states.states) == ((), {})
    bed.scene.Clear(0)
    settle(bed, reader.widget)
    before = empty_scene(bed)
    reader.open("third")
    reader.widget.panel.section("Segment").ui.entropyBox.click()
    settle(bed, reader.widget)
    held = Held(reader, "result")
    reader.press("Segment", "allFramesButton")
    reader.until_asked("result", 2)
    bed.scene.Clear(0)
    held.let_go()
    reader.wait()
    assert empty_scene(bed) == before
    assert message(reader.widget) == ""


def test_what_fails_is_told_where_it_was_asked_for(bed: Bed, reader: Reader) -> None:
    reader.workspace.cine.frame = 3
    settle(bed, reader.widget)
    reader.server.answers = {"job": refusal(500, message="a mistake")}
    reader.press("Contour", "proposeButton")
    reader.wait()
    frame, layout = reader.widget.panel.ui, reader.widget.panel._layout
    contour = reader.widget.panel.section("Contour").widget
    assert "a mistake" in message(reader.widget)
    assert layout.indexOf(frame.statusFrame) == layout.indexOf(contour) + 1


def test_the_real_server_is_killed_in_the_middle(bed: Bed, tmp_path: Path) -> None:
    port, widget = free_port(), open_panel(bed)
    session, said = widget.logic.session, listen(widget)
    button = widget.panel.section("Segment").ui.allFramesButton
    with serving(bed, tmp_path, port) as server:
        connect(bed, widget, server.address)
        workspace = load(bed, widget, padded_cine(tmp_path / "large.nii"))
        before = snapshot(bed, widget)
        told: list[object] = []

        def stand_still(progress: object) -> None:
            if not told:
                os.kill(server.pid, signal.SIGSTOP)
            told.append(progress)

        stop = session.segmenting.progress.connect(stand_still)
        with bed.heartbeat() as heart:
            button.click()
            bed.pump(lambda: bool(told), seconds=60, what="the job")
            os.kill(server.pid, signal.SIGKILL)
            bed.pump(lambda: not session.tasks.is_busy, seconds=60, what="the end of it")
        stop()
        settle(bed, widget)
        assert heart.gaps
        assert len(said) == 1
        assert f"127.0.0.1:{port}" in said[0]
        assert message(widget) == said[0]
        assert snapshot(bed, widget) == before
    failures: list[BaseException] = []
    finished: list[object] = []
    session.segmenting.failed.connect(failures.append)
    session.segmenting.finished.connect(finished.append)
    with serving(bed, tmp_path, port):
        button.click()
        bed.pump(lambda: not session.tasks.is_busy, seconds=90, what="the labels")
        settle(bed, widget)
    # What the model finds of a disc alone is its own affair.
    assert (failures, len(finished)) == ([], 1)
    assert workspace.states.key_frames == ()
    assert LARGE[0] == workspace.cine.n_frames
