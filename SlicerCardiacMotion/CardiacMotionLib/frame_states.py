"""Which frames were drawn, carried, segmented, corrected and verified. Plain Python, no scene."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any


class FrameState(Enum):
    """What the labels of a frame are."""

    EMPTY = "empty"
    DRAWN = "drawn"
    """By the reader, or by a model and then taken over."""
    PROPAGATED = "propagated"
    SEGMENTED = "segmented"
    """Proposed by a model, and not looked at yet; a live propagation leaves it as it is."""
    CORRECTED = "corrected"
    """Carried there or proposed first, then changed by the reader."""


_MADE = frozenset({FrameState.PROPAGATED, FrameState.SEGMENTED})
"""By the machine alone; these are overwritten, and nothing is carried from them."""


@dataclass(frozen=True)
class FrameStates:
    """The state of every frame of a cine, counted from 0. A change makes a new one, so that the old can be kept.

    Attributes:
        count: frames of the cine.
        states: of the frames that are not empty.
        verified: frames that the reader has looked at and found right.
    """

    count: int
    states: Mapping[int, FrameState] = field(default_factory=dict)
    verified: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        outside = [t for t in {*self.states, *self.verified} if not 0 <= t < self.count]
        if outside:
            raise ValueError(f"expected frames from 0 to {self.count - 1}, got {outside[0]}")

    def state(self, frame: int) -> FrameState:
        """Of one frame."""
        return self.states.get(frame, FrameState.EMPTY)

    @property
    def key_frames(self) -> tuple[int, ...]:
        """Frames that were drawn or corrected, in order; labels are carried from them."""
        keys = {FrameState.DRAWN, FrameState.CORRECTED}
        return tuple(sorted(t for t, state in self.states.items() if state in keys))

    @property
    def kept(self) -> frozenset[int]:
        """Frames that no propagation overwrites: key frames, and those that were verified."""
        return self.verified.union(self.key_frames)

    @property
    def propagated(self) -> tuple[int, ...]:
        """Frames that hold carried labels, in order."""
        return tuple(sorted(t for t, state in self.states.items() if state is FrameState.PROPAGATED))

    @property
    def segmented(self) -> tuple[int, ...]:
        """Frames that hold a model's proposal, in order."""
        return tuple(sorted(t for t, state in self.states.items() if state is FrameState.SEGMENTED))

    def edited(self, frame: int, *, is_empty: bool = False) -> FrameStates:
        """After the reader has changed a frame: it is a key frame, or if nothing is left on it, none any more.

        What was verified was another contour.
        """
        before = self.state(frame)
        if is_empty:
            state = FrameState.EMPTY
        elif before in {*_MADE, FrameState.CORRECTED}:
            state = FrameState.CORRECTED
        else:
            state = FrameState.DRAWN
        return self._with({frame: state})

    def carried(self, frames: Iterable[int], state: FrameState = FrameState.PROPAGATED) -> FrameStates:
        """After labels were carried to these frames, or proposed; those that are kept stay what they are."""
        kept = self.kept
        return self._with({t: state for t in frames if t not in kept})

    def accepted(self, frame: int) -> FrameStates:
        """After the reader has taken over what a machine put there: it counts as drawn, and is a key frame.

        Raises:
            ValueError: there is nothing on it, or it is a key frame already.
        """
        if self.state(frame) not in _MADE:
            raise ValueError(f"frame {frame} holds no proposal, it is {self.state(frame).value}")
        return replace(self, states={**self.states, frame: FrameState.DRAWN})

    def restored(self, before: FrameStates, frames: Iterable[int]) -> FrameStates:
        """These frames as they were before, the others as they are."""
        wanted = set(frames)
        back = self._with({t: before.state(t) for t in wanted})
        return replace(back, verified=back.verified | (before.verified & wanted))

    def released(self, frame: int) -> FrameStates:
        """Make a frame that is kept an ordinary one, verified no more, which the next propagation overwrites.

        Raises:
            ValueError: it is none.
        """
        if frame not in self.kept:
            raise ValueError(f"frame {frame} is neither key frame nor verified; those are {sorted(self.kept)}")
        return self._with({frame: FrameState.PROPAGATED})

    def with_verified(self, frame: int, is_verified: bool) -> FrameStates:
        """Mark a frame verified or not.

        Raises:
            ValueError: there is nothing on it.
        """
        if is_verified and self.state(frame) is FrameState.EMPTY:
            raise ValueError(f"frame {frame} has no labels to verify")
        verified = self.verified | {frame} if is_verified else self.verified - {frame}
        return replace(self, verified=verified)

    def to_json(self) -> dict[str, Any]:
        """As it is kept with the scene."""
        return {
            "count": self.count,
            "states": {str(t): state.value for t, state in sorted(self.states.items())},
            "verified": sorted(self.verified),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> FrameStates:
        """What `to_json` gave.

        Raises:
            ValueError: something else.
        """
        try:
            states = {int(t): FrameState(value) for t, value in content["states"].items()}
            return cls(int(content["count"]), states, frozenset(int(t) for t in content["verified"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"expected states of frames as they were saved, got {content!r}") from error

    def _with(self, changes: Mapping[int, FrameState]) -> FrameStates:
        states = {**self.states, **changes}
        kept = {t: state for t, state in states.items() if state is not FrameState.EMPTY}
        return replace(self, states=kept, verified=self.verified - set(changes))
