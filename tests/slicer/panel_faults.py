"""What the tests of faults share: a server that does all right unless told otherwise, and what must stay."""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import re
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from cardiac_motion.io.motion_folder import write_motion
from cardiac_motion.motion import Motion

from tests.slicer.bed.session import Bed
from tests.slicer.client.fake_server import INFO, Fake, Reply, Request, as_json, infer_reply, refusal
from tests.slicer.panel_bed import AFFINE, SHAPE, connect, disc_labels, draw, load, open_panel, settle, write_cine

OURS: dict[str, Any] = {
    "api": 1,
    "version": "0.1.0",
    "tasks": ["motion", "unet", "fused"],
    "strategies": ["first"],
    "models": [
        {"name": "quick", "kinds": ["motion"], "default_for": ["motion"], "version": 1},
        {
            "name": "unet",
            "kinds": ["segmentation"],
            "views": ["sax"],
            "default_for": ["segmentation"],
            "version": 1,
        },
        {"name": "fused", "kinds": ["segmentation"], "views": ["sax"], "version": 1},
    ],
}
DRAWN = 1
PATIENCE = (2.0, 0.4)

_KINDS = (
    ("info", "GET", r"/info/"),
    ("next", "POST", r"/activelearning/"),
    ("upload", "PUT", r"/datastore/image"),
    ("image", "GET", r"/datastore/image"),
    ("label", "PUT", r"/datastore/label"),
    ("job", "POST", r"/jobs/infer/"),
    ("result", "GET", r"/jobs/[^/]+/result"),
    ("poll", "GET", r"/jobs/"),
    ("end", "DELETE", r"/jobs/"),
)


def kind_of(request: Request) -> str:
    """What is asked for, in one word."""
    return next(kind for kind, method, path in _KINDS if request.method == method and re.match(path, request.path))


class Server:
    """A server at which everything succeeds; of what is in `answers`, by kind, it says that instead.

    `cine` is the file of the next case. A job's frames have the disc of the frame that the job's number is ahead:
    its results can be told apart.
    """

    def __init__(self, folder: Path, token: str = "") -> None:
        self.answers: dict[str, Reply | Callable[[Request], Reply]] = {}
        self.asked: list[str] = []
        self.images: dict[str, bytes] = {}
        self.token = token
        self._folder, self._jobs = folder, 0
        self.cine = write_cine(folder / "made.nii.gz").read_bytes()
        self._params: dict[str, Any] = {}

    def __call__(self, request: Request) -> Reply:
        kind = kind_of(request)
        self.asked.append(kind)
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return refusal(401, "unauthorized", "expected the token")
        told = self.answers.get(kind)
        if told is not None:
            return told(request) if callable(told) else told
        reply: Reply = getattr(self, f"_{kind}")(request)
        return reply

    def count(self, kind: str) -> int:
        """How often this was asked for."""
        return self.asked.count(kind)

    def _info(self, _request: Request) -> Reply:
        return as_json({**INFO, "cardiac_motion": OURS})

    def _next(self, _request: Request) -> Reply:
        sha256 = hashlib.sha256(self.cine).hexdigest()
        return as_json({"id": "pat", "name": "pat.nii.gz", "checksum": f"SHA256:{sha256}"})

    def _image(self, _request: Request) -> Reply:
        return Reply(self.cine, content_type="application/gzip")

    def _upload(self, request: Request) -> Reply:
        sent = request.parts["file"][1]
        self.images[_id(request)] = sent
        return as_json({"image": _id(request), "sha256": hashlib.sha256(sent).hexdigest()})

    def _label(self, request: Request) -> Reply:
        return as_json({"label": _id(request), "tag": "final", "version": 1})

    def _job(self, request: Request) -> Reply:
        self._jobs += 1
        self._params = json.loads(request.parts["params"][1])
        return as_json({"job": f"j{self._jobs}"}, 202)

    def _poll(self, _request: Request) -> Reply:
        return as_json({"job": "j", "state": "done", "progress": 1.0, "message": "", "error": None})

    def _result(self, request: Request) -> Reply:
        if self._params.get("output") == "all":
            return infer_reply(self._params, "answer.zip", self.motion())
        number = int(request.path.split("/")[2].removeprefix("j"))
        if self._params.get("entropy"):
            return infer_reply(self._params, "answer.zip", self.segmentation(number))
        return infer_reply(self._params, content=self.nifti(carried(number)))

    def _end(self, _request: Request) -> Reply:
        return as_json({})

    def nifti(self, values: npt.NDArray[Any], affine: npt.NDArray[np.float64] = AFFINE) -> bytes:
        """A file."""
        path = self._folder / "made.nii.gz"
        nifti: Any = importlib.import_module("CardiacMotionLib.nifti")
        nifti.write_nifti(path, values, affine, frame_seconds=0.04)
        return path.read_bytes()

    def segmentation(self, number: int, **files: bytes) -> bytes:
        """The zip of labels and entropy; instead of these other files, or none where they are empty."""
        made = {
            "labels": self.nifti(carried(number)),
            "entropy": self.nifti(np.full(SHAPE, 0.1 * number, np.float32)),
            **files,
        }
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for name, held in made.items():
                if held:
                    archive.writestr(f"{name}.nii.gz", held)
        return content.getvalue()

    def motion(
        self, change: Callable[[Path], object] = lambda _: None, shape: tuple[int, ...] = SHAPE, shift: float = 0.0
    ) -> bytes:
        """The zip of a heart that stands still; its folder can be changed before."""
        folder = self._folder / "motion"
        affine = AFFINE.copy()
        affine[2, 3] += shift
        still = np.zeros((shape[0], 3, *shape[1:]), np.float32)
        times = np.arange(shape[0]) * 0.04
        write_motion(
            folder,
            Motion(
                still,
                still.copy(),
                reference=DRAWN,
                affine=affine,
                frame_times=times,
                model="quick",
                version="1",
                image_hash="0" * 64,
            ),
        )
        change(folder)
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.iterdir()):
                archive.write(path, f"motion/{path.name}")
                path.unlink()
        folder.rmdir()
        return content.getvalue()


def _id(request: Request) -> str:
    return request.path.split("image=")[1].split("&")[0]


def carried(number: int, shape: tuple[int, int, int, int] = SHAPE) -> npt.NDArray[np.uint8]:
    """The labels (T, Z, Y, X) that the server's job of this number gives."""
    return np.stack([disc_labels(t + number, shape) for t in range(shape[0])])


def snapshot(bed: Bed, widget: Any) -> dict[str, Any]:
    """All that must not change where something fails."""
    workspace = widget.logic.session.workspace
    nodes = [bed.scene.GetNthNode(index) for index in range(bed.scene.GetNumberOfNodes())]
    found: dict[str, Any] = {"nodes": sorted((node.GetID(), node.GetName()) for node in nodes)}
    if workspace is not None:
        found["labels"] = [workspace.labels(t).tobytes() for t in range(workspace.cine.n_frames)]
        found |= {"states": workspace.states, "undo": workspace.can_undo, "frame": workspace.cine.frame}
        found["motion"] = [node.GetID() for node in nodes if node.IsA("vtkMRMLTransformNode")]
    return found


def listen(widget: Any) -> list[str]:
    """Every message that the panel shows from now on, also those that another one replaces."""
    said: list[str] = []
    say = widget.panel.say

    def heard(text: str, section: Any, *, is_error: bool = False) -> None:
        if text:
            said.append(text)
        say(text, section, is_error=is_error)

    widget.panel.say = heard
    return said


@dataclass
class Reader:
    """Someone at the panel, connected to the server, with frame 1 of a cine drawn."""

    bed: Bed
    fake: Fake
    server: Server
    widget: Any
    folder: Path
    said: list[str]

    @classmethod
    def begin(cls, bed: Bed, fake: Fake, folder: Path, token: str = "") -> Reader:
        """Open the panel, connect, load and draw."""
        server = Server(folder, token)
        fake.replies = server
        widget = open_panel(bed)
        reader = cls(bed, fake, server, widget, folder, listen(widget))
        reader.connect(token)
        reader.open()
        return reader

    def connect(self, token: str = "") -> None:
        """Connect by the panel; and then again, with less patience than a reader has."""
        connect(self.bed, self.widget, self.fake.address, token)
        target: Any = importlib.import_module("CardiacMotionLib.server_link").Target
        link = self.session.link
        if link.offer is not None:
            link.connect(target(self.fake.address, token or None, timeout=PATIENCE))
            self.bed.pump(lambda: not link.is_connecting, what="the connection")
            settle(self.bed, self.widget)

    def open(self, name: str = "disc") -> Any:
        """Load a cine, and draw on it."""
        workspace = load(self.bed, self.widget, write_cine(self.folder / f"{name}.nii.gz"))
        draw(self.bed, self.widget, DRAWN)
        return workspace

    @property
    def session(self) -> Any:
        return self.widget.logic.session

    @property
    def workspace(self) -> Any:
        return self.session.workspace

    @property
    def downloads(self) -> list[str]:
        """What lies in the folder of fetched images."""
        folder = self.folder / "CardiacMotion"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def press(self, section: str, button: str) -> None:
        """Press a button that can be pressed."""
        pressed = getattr(self.widget.panel.section(section).ui, button)
        assert pressed.enabled, pressed.toolTip
        pressed.click()

    def wait(self) -> None:
        """Until nothing is under way any more."""
        self.bed.pump(lambda: not self.session.tasks.is_busy, seconds=30, what="the end of it")
        settle(self.bed, self.widget)

    def until_asked(self, kind: str, times: int) -> None:
        """Wait until the server has been asked for this so often."""
        self.bed.pump(lambda: self.server.count(kind) >= times, what=f"the server to be asked for {kind}")

    def ask(self, kind: str) -> None:
        """Press the button, and wait until the server is asked for this."""
        before = self.server.count(kind)
        self.press(*BUTTONS[kind])
        self.until_asked(kind, before + 1)

    def work(self, what: str) -> str:
        """Do something from beginning to end; what was said, which is one message at most."""
        self.said.clear()
        self.press(*BUTTONS[what])
        self.wait()
        assert len(self.said) <= 1, self.said
        return "".join(self.said)

    def fails(self, what: str, said: str, answers: dict[str, Any]) -> None:
        """Do something that goes wrong: one message, and all else is as it was."""
        before = snapshot(self.bed, self.widget)
        self.server.answers = dict(answers)
        text = self.work(what)
        self.server.answers = {}
        assert said.lower() in text.lower(), f"expected {said!r}, got {text!r}"
        assert not re.search(r"should not have happened|Traceback|Error:", text), text
        # Where an answer lay for a moment says nothing to anybody, but what disk is full does.
        assert "CardiacMotion-" not in text or "cannot be written" in text
        assert "\n" not in text
        assert snapshot(self.bed, self.widget) == before, text
        assert self.bed.errors == []


def end_of_silence() -> Iterator[threading.Event]:
    """For a fixture: set when the servers that say nothing may go home."""
    over = threading.Event()
    yield over
    over.set()


def hasty_reader(bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """For a fixture: a reader whose client asks again at once."""
    connection: Any = importlib.import_module("CardiacMotionLib.client.connection")
    monkeypatch.setattr(connection, "PAUSES", (0.0,))
    fake = Fake()
    yield Reader.begin(bed, fake, tmp_path)
    fake.close()


BUTTONS = {
    "propagate": ("Propagate", "propagateButton"),
    "upload": ("Propagate", "propagateButton"),
    "job": ("Propagate", "propagateButton"),
    "poll": ("Propagate", "propagateButton"),
    "frame": ("Segment", "thisFrameButton"),
    "segment": ("Segment", "allFramesButton"),
    "fused": ("Segment", "fusedButton"),
    "motion": ("Look", "motionButton"),
    "label": ("Learn", "submitButton"),
    "submit": ("Learn", "submitButton"),
    "send": ("Case", "sendButton"),
    "next": ("Case", "nextButton"),
    "image": ("Case", "nextButton"),
}
