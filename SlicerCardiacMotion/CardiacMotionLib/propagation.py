"""Labels of the key frames carried through the cycle by the server; and live, after every edit."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from CardiacMotionLib.background import Task, Tasks
from CardiacMotionLib.client import Client
from CardiacMotionLib.errors import InputError
from CardiacMotionLib.frame_states import FrameState
from CardiacMotionLib.frame_writing import write_frames
from CardiacMotionLib.label_answers import read_labels
from CardiacMotionLib.nifti import write_nifti
from CardiacMotionLib.segments import Labels
from CardiacMotionLib.server_link import OnGone, ServerLink, failing
from CardiacMotionLib.signals import Signal
from CardiacMotionLib.workspace import Workspace

LIVE_MILLISECONDS = 250
"""After the last edit, before the other frames follow: a brush stroke is many edits."""

TASK = "motion"
_KEY = "propagation"


@dataclass(frozen=True, eq=False)
class Request:
    """What is to be carried, taken out of the scene.

    Attributes:
        image_id: on the server.
        key_labels: (Z, Y, X) by frame.
        shape: (T, Z, Y, X) of the cine.
        affine: (4, 4), voxel (i, j, k) to RAS.
        frame_seconds: between two frames.
        params: of the task beside the key frames, such as the model.
    """

    image_id: str
    key_labels: Mapping[int, Labels]
    shape: tuple[int, int, int, int]
    affine: Any
    frame_seconds: float
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Carried:
    """What came back.

    Attributes:
        labels: (T, Z, Y, X).
        params: of the answer: volumes, model, warnings.
    """

    labels: Labels
    params: Mapping[str, Any]


def carry(client: Client, request: Request, task: Task[Carried]) -> Carried:
    """Have the server carry labels; in a worker thread.

    Raises:
        ClientError: whatever went wrong.
        InputError: an answer with other labels than these can be.
        Cancelled: nobody wants it any more.
    """
    drawn = np.zeros(request.shape, np.uint8)
    for frame, labels in request.key_labels.items():
        drawn[frame] = labels
    with tempfile.TemporaryDirectory(prefix="CardiacMotion-") as name:
        path = Path(name) / "drawn.nii.gz"
        write_nifti(path, drawn, request.affine, frame_seconds=request.frame_seconds)
        answer = client.run_job(
            TASK,
            request.image_id,
            {**request.params, "key_frames": sorted(request.key_labels)},
            label=path,
            progress=task.report,
            cancelled=task.cancelled,
        )
        received = Path(name) / "labels.nii.gz"
        answer.save(received)
        return Carried(read_labels(received, request.shape, request.affine), answer.params)


class Propagation:
    """Starts propagations and writes their results. Main thread only.

    Only the newest request counts. Frames that became key frames meanwhile, or are verified, are not overwritten,
    and what is written is one step that can be undone.

    Args:
        tasks: runs the work.
        link: to the server.

    Attributes:
        progress: emitted with fraction and message while one is under way.
        finished: emitted with the answer's parameters when its labels are on the frames.
        failed: emitted with what went wrong; nothing has changed then.
        kept_verified: frames that the last one would have written, had they not been verified.
    """

    def __init__(self, tasks: Tasks, link: ServerLink) -> None:
        self._tasks, self._link = tasks, link
        self.progress: Signal[tuple[float, str]] = Signal()
        self.finished: Signal[Mapping[str, Any]] = Signal()
        self.failed: Signal[BaseException] = Signal()
        self.kept_verified: tuple[int, ...] = ()

    @property
    def is_running(self) -> bool:
        """Whether one is under way."""
        return self._tasks.newest(_KEY) is not None

    def start(
        self,
        workspace: Workspace,
        params: Mapping[str, Any],
        *,
        key_frames: Iterable[int] | None = None,
        targets: Iterable[int] | None = None,
        replaces_proposals: bool = True,
        on_gone: OnGone | None = None,
    ) -> None:
        """Carry the labels of the key frames to the others.

        Args:
            workspace: the case.
            params: of the task, such as the model.
            key_frames: those to start from; by default all.
            targets: frames to write; by default all. Those that are kept are not written.
            replaces_proposals: whether frames that a model segmented are written as well.
            on_gone: called in place of `failed` where the server does not have the image any more.

        Raises:
            InputError: no connection, no key frame, or the image is not on the server.
        """
        case = workspace.case
        if case is None:
            raise InputError("expected the cine to be on the server; upload it first")
        cine = workspace.cine
        request = Request(
            image_id=case.image_id,
            key_labels=workspace.key_labels(key_frames),
            shape=cine.shape,
            affine=cine.affine,
            frame_seconds=cine.frame_seconds,
            params=dict(params),
        )
        wanted = set(range(cine.n_frames)) if targets is None else set(targets)
        target = self._link.target

        def work(task: Task[Carried]) -> Carried:
            with target.client() as client:
                return carry(client, request, task)

        self._tasks.start(
            _KEY,
            work,
            on_progress=lambda fraction, message: self.progress.emit((fraction, message)),
            on_done=lambda carried: self._write(workspace, carried, wanted, replaces_proposals),
            on_error=failing(self.failed, on_gone),
        )

    def cancel(self) -> None:
        """Want no more of the one that is under way; frames stay as they are."""
        task = self._tasks.newest(_KEY)
        if task is not None:
            task.cancel()

    def _write(
        self, workspace: Workspace, carried: Carried, wanted: set[int], replaces_proposals: bool
    ) -> Generator[None, None, None]:
        if not workspace.is_alive:
            return
        # Those of now: frames may have been segmented while the server was at work.
        frames = wanted if replaces_proposals else wanted.difference(workspace.states.segmented)
        kept = yield from write_frames(
            workspace, {frame: carried.labels[frame] for frame in frames}, FrameState.PROPAGATED
        )
        if not workspace.is_alive:
            return
        self.kept_verified = tuple(frame for frame in kept if frame not in workspace.states.key_frames)
        self.finished.emit(carried.params)


class Live:
    """Has the other frames follow an edit, a moment after the last one.

    Args:
        start: starts a propagation.
        single_shot: calls something after so many milliseconds on the main thread.
    """

    def __init__(self, start: Callable[[], None], single_shot: Callable[[int, Callable[[], None]], None]) -> None:
        self._start, self._single_shot = start, single_shot
        self._edits = 0
        self.is_on = False

    def edited(self) -> None:
        """The reader has changed a key frame."""
        if not self.is_on:
            return
        self._edits += 1
        mine = self._edits

        def follow() -> None:
            if mine == self._edits and self.is_on:
                self._start()

        self._single_shot(LIVE_MILLISECONDS, follow)
