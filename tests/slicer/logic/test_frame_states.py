"""States of frames, and what can be undone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from CardiacMotionLib.frame_states import FrameState, FrameStates
from CardiacMotionLib.signals import Signal
from CardiacMotionLib.undo import Step, UndoStack
from hypothesis import given
from hypothesis import strategies as st

COUNT = 6
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["edit", "erase", "carry", "segment", "accept", "release", "verify"]),
        st.integers(0, COUNT - 1),
    ),
    max_size=30,
)


def test_a_frame_goes_from_empty_to_drawn_and_from_carried_to_corrected() -> None:
    states = FrameStates(COUNT).edited(0)
    assert states.state(0) is FrameState.DRAWN
    states = states.carried(range(COUNT))
    assert states.state(0) is FrameState.DRAWN
    assert states.propagated == (1, 2, 3, 4, 5)
    states = states.edited(3).edited(0).edited(3)
    assert (states.state(3), states.state(0)) == (FrameState.CORRECTED, FrameState.DRAWN)
    assert states.key_frames == (0, 3)
    states = states.released(3)
    assert (states.key_frames, states.state(3)) == ((0,), FrameState.PROPAGATED)
    assert states.edited(0, is_empty=True).key_frames == ()


def test_a_proposal_is_no_key_frame_until_it_is_edited_or_accepted() -> None:
    states = FrameStates(COUNT).edited(0).carried(range(4), FrameState.SEGMENTED).with_verified(2, True)
    assert (states.key_frames, states.segmented, states.kept) == ((0,), (1, 2, 3), {0, 2})
    accepted = states.accepted(2)
    assert (accepted.state(2), accepted.verified) == (FrameState.DRAWN, {2})
    assert states.edited(3).state(3) is FrameState.CORRECTED
    # A proposal gives way to what is carried, and the other way round.
    assert states.carried([1, 2]).state(1) is FrameState.PROPAGATED
    assert states.carried([1]).carried([1], FrameState.SEGMENTED).segmented == (1, 2, 3)
    for frame in (0, 5):
        with pytest.raises(ValueError, match="holds no proposal"):
            states.accepted(frame)
    assert FrameStates.from_json(json.loads(json.dumps(states.to_json()))) == states


def test_what_was_verified_was_another_contour() -> None:
    states = FrameStates(COUNT).edited(0).carried([1, 2]).with_verified(1, True).with_verified(2, True)
    assert states.verified == {1, 2}
    assert states.edited(1).verified == {2}
    assert states.released(2).verified == {1}
    assert states.with_verified(1, False).verified == {2}


def test_frames_are_put_back_with_what_was_verified_and_the_others_stay() -> None:
    before = FrameStates(COUNT).edited(0).carried([1, 2]).with_verified(1, True)
    now = before.edited(1).edited(4).carried([2, 3])
    back = now.restored(before, [2, 3])
    assert (back.key_frames, back.propagated, back.verified) == ((0, 1, 4), (2,), frozenset())
    back = now.restored(before, [1])
    assert (back.state(1), back.verified) == (FrameState.PROPAGATED, {1})


def test_what_cannot_be_is_refused() -> None:
    states = FrameStates(COUNT).edited(2)
    with pytest.raises(ValueError, match="neither key frame nor verified"):
        states.released(1)
    with pytest.raises(ValueError, match="no labels to verify"):
        states.with_verified(1, True)
    with pytest.raises(ValueError, match="from 0 to 5, got 6"):
        states.edited(6)
    for content in ({}, {"count": 3, "states": {"9": "drawn"}, "verified": []}, {"count": 3, "states": 1}):
        with pytest.raises(ValueError, match="expected"):
            FrameStates.from_json(content)


@given(ACTIONS)
def test_whatever_happens_it_can_be_kept_and_key_and_verified_frames_are_never_carried_over(
    actions: list[tuple[str, int]],
) -> None:
    states = FrameStates(COUNT)
    for action, frame in actions:
        before = states
        if action == "edit":
            states = states.edited(frame)
            assert frame in states.key_frames
        elif action == "erase":
            states = states.edited(frame, is_empty=True)
            assert states.state(frame) is FrameState.EMPTY
        elif action == "accept" and frame in {*states.propagated, *states.segmented}:
            states = states.accepted(frame)
            assert (states.state(frame), states.verified) == (FrameState.DRAWN, before.verified)
        elif action in {"carry", "segment"}:
            made = FrameState.PROPAGATED if action == "carry" else FrameState.SEGMENTED
            states = states.carried(range(COUNT), made)
            assert states.key_frames == before.key_frames
            assert states.verified == before.verified
            assert all(states.state(t) is before.state(t) for t in before.kept)
        elif action == "release" and frame in states.kept:
            states = states.released(frame)
            assert frame not in states.kept
        elif action == "verify" and states.state(frame) is not FrameState.EMPTY:
            states = states.with_verified(frame, True)
        assert states.verified <= {t for t in range(COUNT) if states.state(t) is not FrameState.EMPTY}
        assert FrameStates.from_json(json.loads(json.dumps(states.to_json()))) == states


def test_the_oldest_steps_go_where_they_are_too_many() -> None:
    stack = UndoStack(max_bytes=250)
    states = [FrameStates(COUNT).edited(t) for t in range(4)]
    for each in states:
        stack.add(Step(each, {0: np.zeros(100, np.uint8)}))
    assert [stack.pop().states for _ in range(len(stack))] == [states[3], states[2]]
    stack.add(Step(states[0], {0: np.zeros(1000, np.uint8)}))
    assert len(stack) == 1
    stack.clear()
    with pytest.raises(IndexError):
        stack.pop()


def test_everybody_is_told_until_they_want_no_more() -> None:
    signal: Signal[int] = Signal()
    told: list[str] = []
    stop = signal.connect(lambda value: told.append(f"a{value}"))
    signal.connect(lambda value: told.append(f"b{value}"))
    signal.emit(1)
    stop()
    stop()
    signal.emit(2)
    assert told == ["a1", "b1", "b2"]
