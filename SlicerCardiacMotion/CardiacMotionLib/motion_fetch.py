"""Fetches the motion of the case from the server, and puts it into the scene. Knows no Qt."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from CardiacMotionLib.background import Task, Tasks
from CardiacMotionLib.errors import InputError
from CardiacMotionLib.motion_display import MotionDisplay
from CardiacMotionLib.motion_files import MotionFields, read_motion
from CardiacMotionLib.nifti import write_nifti
from CardiacMotionLib.propagation import TASK
from CardiacMotionLib.server_link import OnGone, ServerLink, failing
from CardiacMotionLib.signals import Signal
from CardiacMotionLib.workspace import Workspace
from CardiacMotionLib.zip_answers import unpack

_KEY = "motion"
_FOLDER = "motion"


class MotionFetch:
    """One fetch at a time. Main thread only.

    Attributes:
        progress: emitted with fraction and message.
        failed: emitted with what went wrong; the scene is as it was.
    """

    def __init__(self, tasks: Tasks, link: ServerLink) -> None:
        self._tasks, self._link = tasks, link
        self.progress: Signal[tuple[float, str]] = Signal()
        self.failed: Signal[BaseException] = Signal()

    @property
    def is_busy(self) -> bool:
        """Whether one is under way."""
        return self._tasks.newest(_KEY) is not None

    def cancel(self) -> None:
        """Want no more of it."""
        task = self._tasks.newest(_KEY)
        if task is not None:
            task.cancel()

    def start(
        self,
        workspace: Workspace,
        params: Mapping[str, Any],
        on_done: Callable[[MotionDisplay], None],
        on_gone: OnGone | None = None,
    ) -> None:
        """Have the server send the motion, relative to the first contoured frame.

        Args:
            workspace: the case.
            params: of the task, such as the model.
            on_done: called with the motion in the scene.
            on_gone: called in place of `failed` where the server does not have the image any more.

        Raises:
            InputError: no connection, no contour, or the image is not on the server.
        """
        target, case, cine = self._link.target, workspace.case, workspace.cine
        keys = workspace.key_labels()
        if case is None:
            raise InputError("expected the cine to be on the server; propagate first")
        frame, labels = next(iter(keys.items()))
        image_id, affine, shape, seconds = case.image_id, cine.affine, cine.shape, cine.frame_seconds
        asked = {**params, "key_frames": [frame], "reference": frame, "output": "all"}

        def work(task: Task[MotionFields]) -> MotionFields:
            with target.client() as client, tempfile.TemporaryDirectory(prefix="CardiacMotion-") as name:
                folder = Path(name)
                drawn = np.zeros(shape, np.uint8)
                drawn[frame] = labels
                write_nifti(folder / "drawn.nii.gz", drawn, affine, frame_seconds=seconds)
                answer = client.run_job(
                    TASK,
                    image_id,
                    asked,
                    label=folder / "drawn.nii.gz",
                    progress=task.report,
                    cancelled=task.cancelled,
                )
                answer.save(folder / "answer.zip")
                unpack_motion(folder / "answer.zip", folder / _FOLDER)
                try:
                    return read_motion(folder / _FOLDER, task.cancelled)
                except InputError as error:
                    # Where it lay for a moment is nobody's business.
                    reason = str(error).replace(f"{folder / _FOLDER}", _FOLDER)
                    raise InputError(f"the motion that the server sent cannot be used: {reason}") from error

        def done(fields: MotionFields) -> Generator[None, None, None]:
            if workspace.is_alive:
                on_done((yield from MotionDisplay.build(workspace.cine, fields)))

        self._tasks.start(
            _KEY,
            work,
            on_progress=lambda fraction, message: self.progress.emit((fraction, message)),
            on_done=done,
            on_error=failing(self.failed, on_gone),
        )


def unpack_motion(archive: Path, folder: Path) -> None:
    """Unpack the files of ``motion/``, and nothing else.

    Raises:
        InputError: it is no such archive, or too large.
    """
    folder.mkdir()

    def place(parts: tuple[str, ...]) -> Path | None:
        is_ours = len(parts) == 2 and parts[0] == _FOLDER and "\\" not in parts[1] and parts[1] != ".."
        return folder / parts[1] if is_ours else None

    unpack(archive, place, "motion")
