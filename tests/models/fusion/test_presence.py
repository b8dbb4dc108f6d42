"""Whether a slice holds a structure: evidence held against key frames, states along a cycle."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from cardiac_motion.fusion import presence as module
from cardiac_motion.fusion.presence import Evidence, cyclic_states, presence, scores, wall_scores
from cardiac_motion.propagation.blend_weights import blend_weights
from hypothesis import given, settings
from hypothesis import strategies as st

FRAMES = 20


def evidence(held: dict[int, list[bool]], frames: int = FRAMES) -> Evidence:
    steps = np.full(frames, 1 / frames)
    states = {key: np.array(each) for key, each in held.items()}
    return Evidence(states, blend_weights(held, steps), steps, slice_mm=8.0)


def curve(at_key: float, later: float, since: int = 7, until: int = 13) -> np.ndarray:
    score = np.full((FRAMES, 1), at_key)
    score[since:until] = later
    return score


@settings(max_examples=60, deadline=None)
@given(
    nats=st.lists(st.floats(-3, 3), min_size=3, max_size=8),
    known=st.dictionaries(st.integers(0, 7), st.booleans(), min_size=1),
)
def test_states_are_the_best_of_all(nats: list[float], known: dict[int, bool]) -> None:
    frames = len(nats)
    known = {t % frames: state for t, state in known.items()}
    switch = max(module.SWITCH * frames / module.FRAMES, 1.0)

    def cost(states: tuple[bool, ...]) -> float:
        changes = sum(states[t] != states[t - 1] for t in range(frames))
        return sum(-e / 2 if s else e / 2 for e, s in zip(nats, states, strict=True)) + switch * changes

    possible = [
        states
        for states in itertools.product([False, True], repeat=frames)
        if all(states[t] == state for t, state in known.items())
    ]
    found = tuple(bool(state) for state in cyclic_states(np.array(nats), known))
    assert all(found[t] == state for t, state in known.items())
    assert cost(found) == pytest.approx(min(map(cost, possible)))


def test_what_lasts_is_believed_and_what_does_not_is_not() -> None:
    lasting = presence(curve(0.95, 0.05), evidence({0: [True]}))
    assert np.flatnonzero(~lasting[:, 0]).tolist() == list(range(7, 13))
    assert presence(curve(0.95, 0.05, 9, 10), evidence({0: [True]})).all()


def test_a_segmentation_that_misses_the_structure_where_it_is_drawn_is_not_asked() -> None:
    assert presence(curve(0.2, 0.01), evidence({0: [True]})).all()


def test_a_segmentation_that_sees_it_where_it_is_not_is_not_asked() -> None:
    assert not presence(curve(0.9, 0.99), evidence({0: [False]})).any()
    gained = presence(curve(0.1, 0.99), evidence({0: [False]}))
    assert np.flatnonzero(gained[:, 0]).tolist() == list(range(7, 13))


def test_between_key_frames_half_a_cycle_apart_that_agree_nothing_changes() -> None:
    score = curve(0.95, 0.05, 3, 8)
    assert presence(score, evidence({0: [True], 10: [True]})).all()
    # The long way round from one to the other holds a whole systole.
    assert not presence(score, evidence({0: [True], 18: [True]})).all()


def test_a_slice_between_two_others_is_not_left_out() -> None:
    score = np.full((FRAMES, 3), 0.95)
    score[7:13, 1] = 0.05
    assert presence(score, evidence({0: [True, True, True]})).all()
    # But one that the reader left out stays so.
    score[:, 1] = 0.05
    assert not presence(score, evidence({0: [True, False, True]}))[:, 1].any()


def test_deep_among_others_a_slice_keeps_the_structure_whatever_is_missed() -> None:
    score = np.full((FRAMES, 12), 0.95)
    score[7:13, :6] = 0.02
    held = presence(score, evidence({0: [True] * 12}))
    # Base and apex are at most 30 mm away: of 8 mm slices, in the outer four.
    assert np.flatnonzero(~held[10]).tolist() == [0, 1, 2, 3]


def test_frames_in_which_nothing_is_seen_say_nothing_about_the_base() -> None:
    score = np.full((FRAMES, 9), 0.95)
    score[4:9] = 0.02
    assert presence(score, evidence({0: [True] * 9})).all()
    score[4:9, :7] = 0.95
    assert not presence(score, evidence({0: [True] * 9}))[6, 8]


def test_a_segmentation_that_sees_nothing_leaves_the_word_to_the_nearer_key_frame() -> None:
    found = presence(np.zeros((FRAMES, 2)), evidence({0: [True, True], 8: [True, False]}))
    assert found[:, 0].all()
    assert found[[1, 2, 3, 15, 16, 19], 1].all()
    assert not found[[5, 6, 9, 13], 1].any()


def test_a_cavity_without_a_wall_around_it_is_no_ventricle_any_more() -> None:
    pool, wall = np.full((FRAMES, 1), 0.99), np.full((FRAMES, 1), 0.9)
    wall[7:13] = 0.2
    assert presence(pool, evidence({0: [True]})).all()
    left = presence(pool, evidence({0: [True]}), wall)
    assert np.flatnonzero(~left[:, 0]).tolist() == list(range(7, 13))
    # Most of the wall, or one that was not seen at the key frame either, says nothing against it.
    wall[7:13] = 0.7
    assert presence(pool, evidence({0: [True]}), wall).all()
    wall[:] = 0.1
    wall[7:13] = 0.0
    assert presence(pool, evidence({0: [True]}), wall).all()


def test_a_wall_that_was_never_seen_leaves_the_word_to_the_cavity() -> None:
    pool = curve(0.95, 0.05)
    with_wall = presence(pool, evidence({0: [True]}), np.zeros((FRAMES, 1)))
    np.testing.assert_array_equal(with_wall, presence(pool, evidence({0: [True]})))
    assert not with_wall.all()


def test_wall_scores_are_of_what_is_around_the_cavity() -> None:
    cavity = np.zeros((6, 2, 40, 40), dtype=bool)
    cavity[:, 0, 15:25, 15:25] = True
    wall = np.zeros(cavity.shape, np.float32)
    wall[:, 0, 8:32, 8:32] = 1.0
    wall[:, :, 15:25, 15:25] = 0.0
    wall[:, 1, :, :20] = 1.0
    found = wall_scores(wall, cavity, (1.5, 1.5))
    np.testing.assert_allclose(found[:, 0], 1)
    # A slice without takes the cavity of the one beside it, half of whose surroundings are wall here.
    np.testing.assert_allclose(found[:, 1], 0.5, atol=0.1)
    assert not wall_scores(wall, np.zeros_like(cavity), (1.5, 1.5)).any()


def test_what_lies_beyond_a_gap_goes_with_it_unless_it_is_clearly_seen() -> None:
    score = np.full((FRAMES, 3), 0.95)
    score[7:13, 1] = 0.05
    # The outermost slice was hardly seen at the key frame: nothing says that it is still there.
    score[:, 2] = 0.25
    found = presence(score, evidence({0: [True, True, True]}))
    assert found[:, 0].all()
    assert np.flatnonzero(~found[:, 1]).tolist() == np.flatnonzero(~found[:, 2]).tolist() == list(range(7, 13))


def test_a_frame_in_which_nothing_is_seen_of_deep_slices_keeps_them() -> None:
    score = np.full((FRAMES, 10), 0.9)
    score[7:13, 2] = 0.05
    score[10, 3:] = 0.0
    found = presence(score, evidence({0: [True] * 10}))
    assert found[10, 4:6].all()
    assert found[10].sum() >= 8


def test_a_slice_that_is_seen_stays_though_no_key_frame_has_it() -> None:
    score = np.full((FRAMES, 7), 0.95)
    score[:, 6] = curve(0.05, 0.99)[:, 0]
    score[7:13, 5] = 0.52
    found = presence(score, evidence({0: [True] * 6 + [False]}))
    assert found[9, 6]
    assert found[9].all()


def test_scores_ask_for_a_quarter_of_the_region_and_look_beside_an_empty_one() -> None:
    regions = np.zeros((6, 2, 20, 20), dtype=bool)
    regions[:, 0, 5:15, 5:15] = True
    probability = np.zeros(regions.shape, np.float32)
    probability[:, 0, 5:15, 5:9] = 1.0  # 40 % of it
    probability[:, 1, 5:15, 5:7] = 1.0  # 20 % of it
    found = scores(probability, regions, (1.5, 1.5))
    np.testing.assert_allclose(found[:, 0], 1)
    np.testing.assert_allclose(found[:, 1], 0)
    assert not scores(probability, np.zeros_like(regions), (1.5, 1.5)).any()
