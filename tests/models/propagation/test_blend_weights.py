"""How much each key frame counts: by the way travelled along the cycle, by time where nothing moves."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from cardiac_motion.motion import Motion
from cardiac_motion.propagation.blend_weights import blend_weights, cycle_steps
from hypothesis import given, settings
from hypothesis import strategies as st


def moving(shifts: npt.NDArray[np.float64], times: npt.NDArray[np.float64], axis: int = 2) -> Motion:
    """A block in the middle of the image that is somewhere else in each frame; the rest hardly moves."""
    fields = np.zeros((len(shifts), 3, 2, 40, 40), np.float32)
    fields[:, axis] = 0.02 * shifts.reshape(-1, 1, 1, 1)
    fields[:, axis, :, 10:30, 10:30] = shifts.reshape(-1, 1, 1, 1)
    about: dict[str, Any] = {"model": "m", "version": "1", "image_hash": ""}
    return Motion(fields, fields, reference=0, affine=np.diag([1.0, 1.0, 8.0, 1.0]), frame_times=times, **about)


class TestCycleSteps:
    TIMES = np.array([0.0, 0.1, 0.2, 0.4])

    def test_without_motion_they_are_times(self) -> None:
        steps = cycle_steps(moving(np.zeros(4), self.TIMES))
        np.testing.assert_allclose(steps, np.array([0.1, 0.1, 0.2, 0.4 / 3]) / (1.6 / 3))

    @pytest.mark.parametrize("axis", [0, 1, 2])
    def test_with_motion_they_are_ways_and_one_tenth_times(self, axis: int) -> None:
        steps = cycle_steps(moving(np.array([0.0, 6.0, 9.0, 1.0]), self.TIMES, axis))
        times = np.array([0.1, 0.1, 0.2, 0.4 / 3]) / (1.6 / 3)
        np.testing.assert_allclose(steps, 0.1 * times + 0.9 * np.array([6, 3, 8, 1]) / 18, rtol=1e-5)
        assert steps.sum() == pytest.approx(1)

    def test_a_frame_that_repeats_another_is_still_apart_from_it(self) -> None:
        assert (cycle_steps(moving(np.array([0.0, 5.0, 5.0, 0.0]), self.TIMES)) > 0).all()


class TestBlendWeights:
    def test_between_neighbours_along_the_cycle(self) -> None:
        weights = blend_weights([3, 1], np.array([0.1, 0.05, 0.15, 0.2, 0.1]))
        assert weights[1] == {1: 1.0}
        assert weights[2] == pytest.approx({1: 0.75, 3: 0.25})
        assert weights[4] == pytest.approx({3: 0.5, 1: 0.5})
        assert weights[0] == pytest.approx({3: 0.25, 1: 0.75})

    def test_one_key_frame_counts_everywhere(self) -> None:
        assert blend_weights([1], np.array([0.1, 0.1, 0.1])) == {0: {1: 1.0}, 1: {1: 1.0}, 2: {1: 1.0}}

    def test_no_key_frame(self) -> None:
        assert blend_weights([], np.array([0.1, 0.1])) == {}

    @settings(max_examples=50, deadline=None)
    @given(st.sets(st.integers(0, 11), min_size=2), st.lists(st.floats(0.01, 0.2), min_size=12, max_size=12))
    def test_they_add_up_to_one_and_fall_with_distance(self, keys: set[int], steps: list[float]) -> None:
        weights = blend_weights(keys, np.array(steps))
        assert list(weights) == list(range(12))
        for t, blend in weights.items():
            assert sum(blend.values()) == pytest.approx(1)
            assert min(blend.values()) > 0
            assert set(blend) <= keys
            assert (t in keys) == (blend == {t: 1.0})
            following = weights[(t + 1) % 12]
            for key in set(blend) & set(following) - {t, (t + 1) % 12}:
                # On the way to a key frame its weight grows, on the way from it it falls.
                is_ahead = (key - t) % 12 == min((k - t) % 12 for k in keys if k != t)
                if len(blend) == 2 and len(following) == 2:
                    assert (following[key] > blend[key]) == is_ahead
