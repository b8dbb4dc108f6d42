"""What the module is doing: the server, the case, propagation and submission. Knows no Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from CardiacMotionLib.background import Tasks, Timer
from CardiacMotionLib.cases import Cases
from CardiacMotionLib.cine import Cine
from CardiacMotionLib.client import ClientError, Offer
from CardiacMotionLib.errors import InputError
from CardiacMotionLib.propagation import Live, Propagation
from CardiacMotionLib.segmentation_sequence import Segmentations
from CardiacMotionLib.server_link import OnGone, ServerLink
from CardiacMotionLib.signals import Signal
from CardiacMotionLib.workspace import Workspace


class Session:
    """One reader at work. Main thread only.

    Args:
        start_timer: see `background.Timer`.
        single_shot: calls something after so many milliseconds on the main thread.

    Attributes:
        link: to the server.
        cases: fetches and sends cases.
        propagation: carries labels.
        live: has the other frames follow an edit.
        workspace_changed: emitted with the new workspace, or None.
        motion_params: of the motion task, as the panel has them: the model and its options.
        last_answer: parameters of the last propagation's answer.
        is_following: whether the last propagation was asked for by `live`, not by the reader.
    """

    def __init__(self, start_timer: Timer, single_shot: Callable[[int, Callable[[], None]], None]) -> None:
        self._single_shot = single_shot
        self.tasks = Tasks(start_timer)
        self.link = ServerLink(self.tasks)
        self.cases = Cases(self.tasks, self.link)
        self.propagation = Propagation(self.tasks, self.link)
        self.live = Live(self._follow, single_shot)
        self.workspace_changed: Signal[Workspace | None] = Signal()
        self.motion_params: Mapping[str, Any] = {}
        self.last_answer: Mapping[str, Any] = {}
        self.is_following = False
        self._workspace: Workspace | None = None
        self.propagation.finished.connect(self._remember)

    @property
    def workspace(self) -> Workspace | None:
        """The case that is worked on; None without one, also after the scene was closed."""
        if self._workspace is not None and not self._workspace.is_alive:
            self.close_case()
        return self._workspace

    def need_workspace(self) -> Workspace:
        """The case that is worked on.

        Raises:
            InputError: there is none.
        """
        workspace = self.workspace
        if workspace is None:
            raise InputError("expected a cine; load one, or get the next case from the server")
        return workspace

    def open(self, cine: Cine) -> Workspace:
        """Work on a cine; what was worked on before stays in the scene."""
        self.close_case()
        segmentations = Segmentations.of(cine)
        workspace = Workspace(cine, segmentations, schedule=lambda call: self._single_shot(0, call))
        workspace.edited.connect(lambda _frame: self.live.edited())
        self._workspace = workspace
        self.workspace_changed.emit(workspace)
        return workspace

    def close_case(self) -> None:
        """Work on nothing any more; what is under way for it is cancelled."""
        workspace, self._workspace = self._workspace, None
        if workspace is not None:
            self.propagation.cancel()
            self.cases.cancel()
            workspace.close()
            self.last_answer = {}
            self.workspace_changed.emit(None)

    def propagate(self, *, from_frame: int | None = None, targets: range | None = None) -> None:
        """Carry the labels of the key frames, or of one of them, to the others.

        A cine that the server does not have, or not any more, is sent first.

        Raises:
            InputError: no connection, no cine, or no key frame.
        """
        workspace = self.need_workspace()
        self.is_following = False
        keys = None if from_frame is None else [from_frame]
        workspace.key_labels(keys)  # whatever is wrong with them is told before anything is sent

        def start(on_gone: OnGone | None) -> None:
            self.propagation.start(
                workspace, self.motion_params, key_frames=keys, targets=targets, on_gone=on_gone
            )

        self.cases.on_server(workspace, start)

    def close(self) -> None:
        """Stop everything, for good."""
        self.close_case()
        self.tasks.close()

    def _follow(self) -> None:
        workspace = self.workspace
        offer: Offer | None = self.link.offer
        if workspace is None or offer is None or not workspace.states.key_frames:
            return
        if self.cases.is_busy:
            # What is being sent or fetched goes first; the frames follow after it.
            self.live.edited()
            return
        try:
            self.propagate()
        except (InputError, ClientError, OSError) as error:
            # Nobody pressed a button who could be told otherwise.
            self.propagation.failed.emit(error)
            return
        self.is_following = True

    def _remember(self, params: Mapping[str, Any]) -> None:
        self.last_answer = params


def download_folder(temporary: Path | str) -> Path:
    """Where fetched images are kept until Slicer's temporary folder is emptied."""
    return Path(temporary) / "CardiacMotion"
