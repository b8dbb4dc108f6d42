"""What the module is doing: the server, the case, segmentation, propagation, submission. Knows no Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from CardiacMotionLib.background import Tasks, Timer
from CardiacMotionLib.cases import Cases
from CardiacMotionLib.cine import Cine
from CardiacMotionLib.client import ClientError, Offer
from CardiacMotionLib.errors import InputError
from CardiacMotionLib.propagation import Live, Propagation
from CardiacMotionLib.segmentation_sequence import Segmentations
from CardiacMotionLib.segmenting import Done, Segmenting, Wish
from CardiacMotionLib.server_link import OnGone, ServerLink
from CardiacMotionLib.signals import Signal
from CardiacMotionLib.workspace import Workspace


@dataclass(frozen=True)
class Scope:
    """What a propagation carries, and where to.

    Attributes:
        from_this_frame: only the labels of the frame that is shown, or, following an edit, of the one edited last;
            otherwise those of all key frames.
        frames: first and last frame that may be written, or None for all.
    """

    from_this_frame: bool = False
    frames: tuple[int, int] | None = None

    def targets(self, n_frames: int) -> range | None:
        """The frames that may be written, of so many; None for all.

        Raises:
            InputError: there is none.
        """
        if self.frames is None:
            return None
        first, last = self.frames
        found = range(first, min(last, n_frames - 1) + 1)
        if not found:
            raise InputError(f"expected a range of frames, got {first} to {last}")
        return found


class Session:
    """One reader at work. Main thread only.

    Args:
        start_timer: see `background.Timer`.
        single_shot: calls something after so many milliseconds on the main thread.

    Attributes:
        link: to the server.
        cases: fetches and sends cases.
        propagation: carries labels.
        segmenting: has a model propose labels.
        live: has the other frames follow an edit.
        workspace_changed: emitted with the new workspace, or None.
        motion_params: of the motion task, as the panel has them: the model, options that are not its own,
            and whether slices are aligned.
        scope: what of the labels is carried, and to which frames, as the panel has it; also where `live` asks.
        last_answer: parameters of the last answer that labels came with.
        is_following: whether the last propagation was asked for by `live`, not by the reader.
    """

    def __init__(self, start_timer: Timer, single_shot: Callable[[int, Callable[[], None]], None]) -> None:
        self._single_shot = single_shot
        self.tasks = Tasks(start_timer)
        self.link = ServerLink(self.tasks)
        self.cases = Cases(self.tasks, self.link)
        self.propagation = Propagation(self.tasks, self.link)
        self.segmenting = Segmenting(self.tasks, self.link)
        self.live = Live(self._follow, single_shot)
        self.workspace_changed: Signal[Workspace | None] = Signal()
        self.motion_params: Mapping[str, Any] = {}
        self.last_answer: Mapping[str, Any] = {}
        self.scope = Scope()
        self.is_following = False
        self._edited_frame: int | None = None
        self._workspace: Workspace | None = None
        self.propagation.finished.connect(self._remember)
        self.segmenting.finished.connect(self._remember_segmentation)

    @property
    def workspace(self) -> Workspace | None:
        """The case that is worked on; None without one, also after the scene was closed."""
        if self._workspace is not None and not self._workspace.is_alive:
            self.close_case()
        return self._workspace

    @property
    def is_writing(self) -> bool:
        """Whether labels of several frames are being made."""
        return self.propagation.is_running or self.segmenting.is_running

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
        workspace.edited.connect(self._edited)
        self._workspace = workspace
        self.workspace_changed.emit(workspace)
        return workspace

    def close_case(self) -> None:
        """Work on nothing any more; what is under way for it is cancelled."""
        workspace, self._workspace, self._edited_frame = self._workspace, None, None
        if workspace is not None:
            self.propagation.cancel()
            self.segmenting.cancel()
            self.cases.cancel()
            workspace.close()
            self.last_answer = {}
            self.workspace_changed.emit(None)

    def propagate(self) -> None:
        """Carry the labels of the key frames, or of the one that is shown, to the others, as `scope` says.

        A cine that the server does not have, or not any more, is sent first.

        Raises:
            InputError: no connection, no cine, no key frame, or no frame to carry to.
        """
        workspace = self.need_workspace()
        self._propagate(workspace, workspace.cine.frame, replaces_proposals=True)

    def _propagate(self, workspace: Workspace, this_frame: int, *, replaces_proposals: bool) -> None:
        self.is_following = False
        keys = [this_frame] if self.scope.from_this_frame else None
        targets = self.scope.targets(workspace.cine.n_frames)
        workspace.key_labels(keys)  # whatever is wrong with them is told before anything is sent

        def start(on_gone: OnGone | None) -> None:
            self.propagation.start(
                workspace,
                self.motion_params,
                key_frames=keys,
                targets=targets,
                replaces_proposals=replaces_proposals,
                on_gone=on_gone,
            )

        self.cases.on_server(workspace, start)

    def segment(self, wish: Wish) -> None:
        """Have a model propose labels of frames. A cine that the server does not have is sent first.

        Raises:
            InputError: no connection, no cine, a frame that is kept, or no key frame where they are needed.
        """
        workspace = self.need_workspace()
        self.segmenting.check(workspace, wish)  # whatever is wrong is told before anything is sent
        self.cases.on_server(
            workspace, lambda on_gone: self.segmenting.start(workspace, wish, self.motion_params, on_gone)
        )

    def cancel_segmentation(self) -> None:
        """Want no more of it, nor of the cine being sent for it."""
        self.segmenting.cancel()
        self.cases.cancel()

    def close(self) -> None:
        """Stop everything, for good."""
        self.close_case()
        self.tasks.close()

    def _edited(self, frame: int) -> None:
        self._edited_frame = frame
        self.live.edited()

    def _follow(self) -> None:
        workspace = self.workspace
        offer: Offer | None = self.link.offer
        if workspace is None or offer is None or not workspace.states.key_frames:
            return
        if self.cases.is_busy:
            # What is being sent or fetched goes first; the frames follow after it.
            self.live.edited()
            return
        frame = workspace.cine.frame if self._edited_frame is None else self._edited_frame
        if self.scope.from_this_frame and frame not in workspace.states.key_frames:
            return  # it was erased: nothing is left on it to be carried
        try:
            if not self._follows(workspace):
                return
            self._propagate(workspace, frame, replaces_proposals=False)
        except (InputError, ClientError, OSError) as error:
            # Nobody pressed a button who could be told otherwise.
            self.propagation.failed.emit(error)
            return
        self.is_following = True

    def _follows(self, workspace: Workspace) -> bool:
        """Whether any frame changes with an edit.

        What a model proposed does not: it was made from the frame's own image, and one contour that is corrected
        elsewhere is no reason to lose it. The reader can replace it, by asking for a propagation.
        """
        count, states = workspace.cine.n_frames, workspace.states
        targets = self.scope.targets(count)
        left = set(range(count) if targets is None else targets)
        return bool(left - states.kept - set(states.segmented))

    def _remember(self, params: Mapping[str, Any]) -> None:
        self.last_answer = params

    def _remember_segmentation(self, done: Done) -> None:
        if done.written:
            self.last_answer = done.params


def download_folder(temporary: Path | str) -> Path:
    """Where fetched images are kept until Slicer's temporary folder is emptied."""
    return Path(temporary) / "CardiacMotion"
