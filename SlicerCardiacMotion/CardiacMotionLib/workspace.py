"""One case in the scene: its cine, the labels of its frames, what they are, and how to go back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from CardiacMotionLib import scene_state
from CardiacMotionLib.cine import Cine
from CardiacMotionLib.errors import InputError
from CardiacMotionLib.frame_states import FrameState, FrameStates
from CardiacMotionLib.segmentation_sequence import Segmentations
from CardiacMotionLib.segments import Labels
from CardiacMotionLib.signals import Signal
from CardiacMotionLib.undo import Step, UndoStack

_STATES = "FrameStates"
_CASE = "Case"
_CHOSEN_ID = "ChosenId"


@dataclass(frozen=True)
class CaseOnServer:
    """The image on a server that a cine is.

    Attributes:
        image_id: its id.
        sha256: of the bytes that the server has, or None if it did not say.
        address: of the server.
    """

    image_id: str
    sha256: str | None
    address: str


class Workspace:
    """A cine that is worked on. Main thread only.

    Args:
        cine: the images.
        segmentations: of its frames.
        schedule: see `Segmentations.on_edited`.

    Attributes:
        labels_changed: emitted with the frames whose labels are others now.
        states_changed: emitted with the new states.
    """

    def __init__(
        self,
        cine: Cine,
        segmentations: Segmentations,
        schedule: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self.cine, self.segmentations = cine, segmentations
        self.labels_changed: Signal[frozenset[int]] = Signal()
        self.states_changed: Signal[FrameStates] = Signal()
        self.edited: Signal[int] = Signal()
        self._undo = UndoStack()
        self._states = self._kept_states()
        segmentations.on_edited(self._on_edited, schedule)

    @property
    def is_alive(self) -> bool:
        """Whether its nodes are still in the scene."""
        return self.segmentations.is_alive

    @property
    def states(self) -> FrameStates:
        """Of all frames."""
        return self._states

    @property
    def case(self) -> CaseOnServer | None:
        """The image on the server, if it is known there; kept with the scene."""
        kept = scene_state.get_json(self.cine.browser, _CASE)
        match kept:
            case {"image_id": str(image_id), "sha256": sha256, "address": str(address)}:
                return CaseOnServer(image_id, sha256 if isinstance(sha256, str) else None, address)
            case _:
                return None

    @case.setter
    def case(self, case: CaseOnServer | None) -> None:
        kept = None if case is None else {**vars(case)}
        scene_state.set_json(self.cine.browser, _CASE, kept)

    @property
    def chosen_id(self) -> str | None:
        """Id that the cine is to have on a server, as the reader chose it; None for one made of its name."""
        kept = scene_state.get_json(self.cine.browser, _CHOSEN_ID)
        return kept if isinstance(kept, str) and kept else None

    @chosen_id.setter
    def chosen_id(self, image_id: str | None) -> None:
        scene_state.set_json(self.cine.browser, _CHOSEN_ID, image_id or None)

    def labels(self, frame: int) -> Labels:
        """Of one frame, (Z, Y, X)."""
        return self.segmentations.labels(frame)

    def key_labels(self, frames: Iterable[int] | None = None) -> dict[int, Labels]:
        """Labels of the key frames, or of these among them, by frame.

        Raises:
            InputError: there is no key frame, or one of these is none.
        """
        self.segmentations.look_now()
        keys = self._states.key_frames
        wanted = keys if frames is None else tuple(frames)
        if not wanted:
            raise InputError("expected a contour on at least one frame; draw one first")
        others = [t for t in wanted if t not in keys]
        if others:
            raise InputError(f"expected a contour on frame {others[0]}; draw one first")
        return {t: self.labels(t).copy() for t in wanted}

    def take_as_drawn(self, frames: Mapping[int, Labels]) -> None:
        """Put labels on frames as if the reader had drawn them, as from a file or from the server."""
        self.segmentations.look_now()
        for frame, labels in frames.items():
            self.segmentations.set_labels(frame, labels)
        states = self._states
        for frame, labels in frames.items():
            states = states.edited(frame, is_empty=not labels.any())
        self._set_states(states)
        self.labels_changed.emit(frozenset(frames))

    def write_carried(self, frame: int, labels: Labels) -> Labels | None:
        """Put carried labels on a frame, unless it is kept; gives what was there, or None."""
        # A stroke that was just drawn may still wait to be noticed: it makes the frame a key frame.
        self.segmentations.look_now()
        if frame in self._states.kept:
            return None
        before = self.labels(frame).copy()
        self.segmentations.set_labels(frame, labels)
        return before

    def end_step(
        self,
        before: FrameStates,
        replaced: Mapping[int, Labels],
        state: FrameState = FrameState.PROPAGATED,
    ) -> None:
        """Labels were put on these frames; from now on that is one step which can be undone.

        Args:
            before: states before the first of them.
            replaced: labels before, by frame.
            state: what the frames are now.
        """
        if replaced:
            self._undo.add(Step(before, dict(replaced)))
            self._set_states(self._states.carried(replaced, state))
            self.labels_changed.emit(frozenset(replaced))

    @property
    def can_undo(self) -> bool:
        """Whether there is a propagation or segmentation to take back."""
        return len(self._undo) > 0

    def undo(self) -> None:
        """Bring back the labels and states before the last propagation or segmentation.

        Frames that the reader has changed or verified since then stay as they are.

        Raises:
            InputError: there is nothing to undo.
        """
        self.segmentations.look_now()
        if not self.can_undo:
            raise InputError("there is nothing to undo")
        step = self._undo.pop()
        written = [frame for frame in step.labels if frame not in self._states.kept]
        for frame in written:
            self.segmentations.set_labels(frame, step.labels[frame])
        self._set_states(self._states.restored(step.states, written))
        self.labels_changed.emit(frozenset(written))

    def release(self, frame: int) -> None:
        """Make a frame that is kept an ordinary one, verified no more.

        Raises:
            InputError: it is none.
        """
        self.segmentations.look_now()
        try:
            self._set_states(self._states.released(frame))
        except ValueError as error:
            raise InputError(str(error)) from error

    def accept(self, frame: int) -> None:
        """Make what was carried to a frame, or proposed for it, the reader's own: a key frame.

        Raises:
            InputError: there is nothing of that kind on it.
        """
        self.segmentations.look_now()
        try:
            self._set_states(self._states.accepted(frame))
        except ValueError as error:
            raise InputError(str(error)) from error

    def set_verified(self, frame: int, is_verified: bool) -> None:
        """Mark a frame as looked at and found right, or not.

        Raises:
            InputError: there is nothing on it.
        """
        try:
            self._set_states(self._states.with_verified(frame, is_verified))
        except ValueError as error:
            raise InputError(str(error)) from error

    def close(self) -> None:
        """Watch no more; a stroke that waits to be noticed still counts."""
        if self.is_alive:
            self.segmentations.look_now()
        self.segmentations.stop()

    def _on_edited(self, frame: int) -> None:
        self._set_states(self._states.edited(frame, is_empty=self.segmentations.is_empty(frame)))
        self.labels_changed.emit(frozenset({frame}))
        self.edited.emit(frame)

    def _set_states(self, states: FrameStates) -> None:
        if states == self._states:
            return
        self._states = states
        scene_state.set_json(self.cine.browser, _STATES, states.to_json())
        self.states_changed.emit(states)

    def _kept_states(self) -> FrameStates:
        """Those that came with the scene; what has labels that they do not know of counts as drawn.

        So do contours of before the module, and a stroke of a moment before the scene was saved.
        """
        count = self.cine.n_frames
        states = FrameStates(count)
        kept: Any = scene_state.get_json(self.cine.browser, _STATES)
        if kept is not None:
            with suppress(ValueError):
                states = FrameStates.from_json(kept)
        if states.count != count:
            states = FrameStates(count)
        for frame in range(count):
            if states.state(frame) is FrameState.EMPTY and not self.segmentations.is_empty(frame):
                states = states.edited(frame)
        return states
