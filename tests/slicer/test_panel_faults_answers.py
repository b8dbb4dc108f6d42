"""Answers that are wrong in every way: one clear message, nothing changed, and the same job succeeds after it."""

from __future__ import annotations

import errno
import importlib
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.slicer.client.fake_server import DROP, Reply, as_json, infer_reply, job, refusal
from tests.slicer.panel_bed import AFFINE, SHAPE, settle
from tests.slicer.panel_faults import DRAWN, Reader, carried, end_of_silence, hasty_reader

resource = pytest.importorskip("resource", reason="not run: limits of a process are Unix's")

GONE = refusal(404, "not_found", "there is no image disc")
LATER = {"Retry-After": "7"}
HTML = Reply(b"<html>Welcome</html>", 200, "text/html")


over = pytest.fixture(end_of_silence)
reader = pytest.fixture(hasty_reader)


def test_of_an_upload(reader: Reader, over: threading.Event) -> None:
    busy = refusal(503, message="it is being stopped")
    busy.headers = LATER
    faults: list[tuple[str, dict[str, Any]]] = [
        ("check the token", {"upload": refusal(401)}),
        ("(403 forbidden)", {"upload": refusal(403, "forbidden")}),
        ("choose another id for it in the section Case", {"upload": refusal(409, "conflict")}),
        ("can raise its limits", {"upload": refusal(413)}),
        ("its disk is full", {"upload": refusal(507)}),
        ("try again in 7 s", {"upload": busy}),
        ("(500 internal)", {"upload": refusal(500, "internal", "a mistake")}),
        ("expected JSON", {"upload": HTML}),
        ("redirects", {"upload": Reply(status=302, headers={"Location": "http://elsewhere"})}),
        ("to have the bytes", {"upload": as_json({"sha256": "0" * 64})}),
        ("fell silent for 0.4 s", {"upload": Reply(wait=over)}),
        ("is too slow", {"upload": Reply(b" " * 99, drip=0.1)}),
        ("cannot be reached", {"upload": DROP}),
    ]
    for said, answers in faults:
        reader.fails("propagate", said, answers)
        assert reader.workspace.case is None
    assert reader.work("propagate") == ""
    assert len(reader.workspace.states.propagated) == SHAPE[0] - 1


def _results(reader: Reader, over: threading.Event) -> list[tuple[str, Reply]]:
    server, good = reader.server, carried(1)
    whole = server.nifti(good)
    wrong = good.copy()
    wrong[5, 1, 2, 2] = 9
    broken = good.astype(np.float32)
    broken[5, 1, 2, 2] = 2.5
    no_number = broken * np.nan
    shifted = AFFINE.copy()
    shifted[2, 3] += 8.0
    cut = infer_reply(content=whole)
    cut.body = cut.body[:-40]
    torn = infer_reply(content=whole)
    torn.break_after = 300
    return [
        ("multipart", HTML),
        ("break off", Reply(b"no form", 200, "multipart/form-data; boundary=b")),
        ("break off", cut),
        ("cannot be reached", torn),
        ("a JSON object", infer_reply(params=[1])),
        ("damaged", infer_reply(content=whole[:40] + bytes(200) + whole[240:])),
        ("truncated", infer_reply(content=whole[:-30])),
        ("the labels that the server sent cannot be used", infer_reply(content=b"\x1f\x8b nothing")),
        ("the labels that the server sent cannot be used", infer_reply(content=b"")),
        ("expected labels (8, 3, 40, 36)", infer_reply(content=server.nifti(good[:, :, :-1]))),
        ("expected labels (8, 3, 40, 36)", infer_reply(content=server.nifti(good[0]))),
        ("lie elsewhere", infer_reply(content=server.nifti(good, shifted))),
        ("lie elsewhere", infer_reply(content=server.nifti(good, AFFINE @ np.diag([-1.0, 1, 1, 1])))),
        ("from 0 to 5 from the server, got 9", infer_reply(content=server.nifti(wrong))),
        ("from 0 to 5 from the server, got 2.5", infer_reply(content=server.nifti(broken))),
        ("NaN", infer_reply(content=server.nifti(no_number))),
        ("fell silent for 0.4 s", Reply(b"x" * 1000, 200, "multipart/form-data; boundary=b", stall=over)),
        ("is too slow", Reply(b"x" * 99, 200, "multipart/form-data; boundary=b", drip=0.1)),
        ("cannot be reached", DROP),
    ]


def test_of_a_propagation(reader: Reader, over: threading.Event) -> None:
    many = refusal(429, message="16 jobs wait")
    many.headers = LATER
    failed = {"code": "does_not_fit", "message": "it does not fit", "field": "label"}
    faults: list[tuple[str, dict[str, Any]]] = [
        ("check the token", {"job": refusal(401)}),
        ("(404 unknown_model)", {"job": refusal(404, "unknown_model")}),
        ("try again in 7 s", {"job": many}),
        ("(422 ", {"job": refusal(422)}),
        ("'job'", {"job": as_json({"job": 7})}),
        ("fell silent", {"job": Reply(wait=over)}),
        ("a mistake (500", {"poll": refusal(500, message="a mistake")}),
        ("there is no such job", {"poll": refusal(404, message="there is no such job")}),
        ("the state of a job", {"poll": as_json({"job": "j", "state": "dreaming"})}),
        ("it does not fit", {"poll": job("failed", 0.3, failed)}),
        ("cancelled on the server", {"poll": job("cancelled")}),
        *((said, {"result": reply}) for said, reply in _results(reader, over)),
    ]
    for said, answers in faults:
        reader.fails("propagate", said, answers)
    assert reader.server.count("upload") == 1
    assert reader.work("propagate") == ""
    workspace = reader.workspace
    assert len(workspace.states.propagated) == SHAPE[0] - 1
    assert workspace.states.key_frames == (DRAWN,)


def test_of_a_motion(reader: Reader, over: threading.Event) -> None:
    def about(**changes: Any) -> Any:
        def change(folder: Path) -> None:
            path = folder / "motion.json"
            path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

        return change

    motion = reader.server.motion
    whole = motion()
    damaged = bytearray(whole)
    damaged[60:400] = bytes(340)
    field = "from_reference_003.nrrd"
    faults = [
        ("expected a zip", b"no zip"),
        ("expected a zip", whole[:-200]),
        ("expected a zip", bytes(damaged)),
        ("motion.json: cannot be read", motion(lambda folder: (folder / "motion.json").unlink())),
        (f"{field}: is not there", motion(lambda folder: (folder / field).unlink())),
        ("cannot be read as an image", motion(lambda folder: (folder / field).write_bytes(b"NRRD0005"))),
        ("not valid JSON", motion(lambda folder: (folder / "motion.json").write_bytes(b"{"))),
        ("affine", motion(about(affine="here"))),
        ("it is not that of disc", motion(shape=(8, 3, 40, 34))),
        ("it is not that of disc", motion(shift=8.0)),
    ]
    for said, content in faults:
        reader.fails("motion", said, {"result": infer_reply(name="answer.zip", content=content)})
    reader.fails("motion", "fell silent", {"result": Reply(wait=over)})
    reader.fails("motion", "a mistake (500", {"job": refusal(500, message="a mistake")})
    assert reader.work("motion") == ""
    motion_display: Any = importlib.import_module("CardiacMotionLib.motion_display").MotionDisplay
    assert motion_display.find(reader.workspace.cine).reference == DRAWN


def test_of_a_submission(reader: Reader, over: threading.Event) -> None:
    assert reader.work("propagate") == ""
    other = refusal(409, "other_image", "the label was made on another image than the one of that id")
    faults: list[tuple[str, Reply]] = [
        ("was made on another image", other),
        ("check the token", refusal(401)),
        ("can raise its limits", refusal(413)),
        ("(500 ", refusal(500)),
        ("expected JSON", HTML),
        ("'version'", as_json({"label": "disc", "tag": "final"})),
        ("fell silent", Reply(wait=over)),
        ("cannot be reached", DROP),
    ]
    for number, (said, reply) in enumerate(faults, 1):
        reader.fails("submit", said, {"label": reply})
        # Nobody knows whether a version was made: it is not sent again by itself.
        assert reader.server.count("label") == number
        assert not reader.widget.panel.section("Learn").ui.savedLabel.visible
    assert reader.work("submit") == ""
    assert "disc, version 1" in reader.widget.panel.section("Learn").ui.savedLabel.text


@pytest.mark.parametrize("what", ["propagate", "motion", "submit"])
def test_a_case_that_is_gone_from_the_server_is_sent_anew(reader: Reader, what: str) -> None:
    assert reader.work("propagate") == ""
    asked = "label" if what == "submit" else "job"
    known, server = reader.workspace.case, reader.server
    server.images.clear()
    server.answers[asked] = lambda request: getattr(server, f"_{asked}")(request) if server.images else GONE
    assert reader.work(what) == ""
    assert (list(server.images), reader.workspace.case) == (["disc"], known)
    assert server.count("upload") == 2
    # One that is gone again at once is not sent for ever.
    reader.fails(what, "there is no image disc", {asked: GONE})
    assert server.count("upload") == 3


def test_of_a_download(reader: Reader, over: threading.Event) -> None:
    good = reader.server.cine
    torn = Reply(good, break_after=len(good) // 2)
    faults: list[tuple[str, dict[str, Any]]] = [
        ("expected JSON", {"next": HTML}),
        ("'id'", {"next": as_json({"name": "pat"})}),
        ("(404 unknown_strategy)", {"next": refusal(404, "unknown_strategy")}),
        ("there is no image", {"image": refusal(404, "not_found", "there is no image pat any more")}),
        ("cannot be reached", {"image": torn}),
        ("got others", {"image": Reply(good[:-5])}),
        ("got others", {"image": HTML}),
        ("fell silent", {"image": Reply(good, stall=over)}),
        ("is too slow", {"image": Reply(good, drip=0.1)}),
        ("(503 ", {"image": refusal(503)}),
    ]
    for said, answers in faults:
        reader.fails("next", said, answers)
        assert reader.downloads == []
    # Whole, but no cine: the server's mistake, as the checksum agrees.
    told = {"id": "pat", "name": "pat.nii.gz"}
    reader.fails("next", "pat.nii.gz", {"next": as_json(told), "image": Reply(good[:-50])})
    assert reader.work("next") == ""
    assert reader.workspace.case.image_id == "pat"
    assert reader.downloads == ["pat.nii.gz"]


def original_path(reader: Reader) -> Path:
    """The file that the cine was read from."""
    scene_state: Any = importlib.import_module("CardiacMotionLib.scene_state")
    return Path(scene_state.get_json(reader.workspace.cine.sequence, "Source")["path"])


def _files_around(folder: Path) -> set[Path]:
    """What lies in a folder and beside it, but for the module's own folder."""
    inside = {path for path in folder.rglob("*") if "CardiacMotion" not in path.parts}
    return inside | set(folder.parent.iterdir())


@pytest.mark.parametrize("image_id", ["../../x", "{outside}/x", "..", "/"])
def test_of_a_download_whose_id_is_a_path(reader: Reader, image_id: str) -> None:
    """Whatever a server calls its cases, their files lie in the one folder."""
    outside = reader.folder / "outside"
    outside.mkdir()
    image_id = image_id.format(outside=outside)
    before = _files_around(reader.folder)
    reader.server.answers = {"next": as_json({"id": image_id, "name": "x.nii.gz"})}
    assert reader.work("next") == ""
    assert len(reader.downloads) == 1
    assert _files_around(reader.folder) == before
    assert reader.workspace.case.image_id == image_id
    assert original_path(reader).parent == reader.folder / "CardiacMotion"


class _Full:
    """A file on a disk without room."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __enter__(self) -> _Full:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_while_a_case_is_fetched(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    open_as_ever = Path.open

    def opened(path: Path, mode: str = "r", *more: Any) -> Any:
        file = open_as_ever(path, mode, *more)
        return _Full(file) if path.parent.name == "CardiacMotion" and "x" in mode else file

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", opened)
        reader.fails("next", "pat.nii.gz: No space left on device", {})
    assert reader.downloads == []
    assert reader.work("next") == ""


@pytest.mark.parametrize(("what", "file"), [("propagate", "drawn.nii.gz"), ("submit", "labels.nii.gz")])
def test_a_full_disk_while_labels_are_written_to_be_sent(
    reader: Reader, monkeypatch: pytest.MonkeyPatch, what: str, file: str
) -> None:
    assert reader.work("propagate") == ""
    open_as_ever, filled = Path.open, []
    asked = {kind: reader.server.count(kind) for kind in ("job", "label")}

    def opened(path: Path, mode: str = "r", *more: Any) -> Any:
        if file not in path.name or "w" not in mode:
            return open_as_ever(path, mode, *more)
        filled.append(path)
        return _Full(open_as_ever(path, mode, *more))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", opened)
        reader.fails(what, f"{file}: cannot be written: No space left on device", {})
    assert len(filled) == 1
    assert not filled[0].parent.exists()
    assert {kind: reader.server.count(kind) for kind in asked} == asked
    assert reader.work(what) == ""


@pytest.mark.parametrize("what", ["next", "propagate", "motion"])
def test_a_file_that_the_system_does_not_let_grow(reader: Reader, what: str) -> None:
    """The limit is the process's own, so what is reported is what the operating system reports."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
    try:
        reader.fails(what, "File too large", {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert reader.downloads == []
    assert reader.work(what) == ""
    settle(reader.bed, reader.widget)
