"""Propagation of key frames: against analytic truth and a plain reference, no gaps, incremental updates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from cardiac_motion.errors import InputError
from cardiac_motion.labels import Label
from cardiac_motion.motion import Motion
from cardiac_motion.propagation import Propagator, propagate
from cardiac_motion.propagation.blend_weights import blend_weights, cycle_steps
from cardiac_motion.propagation.structure_distances import NestedRegions
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import (
    binary_dilation,
    binary_fill_holes,
    correlate1d,
    distance_transform_edt,
    gaussian_filter,
    map_coordinates,
)

Labels = npt.NDArray[np.uint8]
CAP = 10.0


def still_motion(
    shape: tuple[int, int, int, int], spacing: tuple[float, float, float] = (8.0, 1.0, 1.0)
) -> Motion:
    return make_motion(np.zeros((shape[0], 3, *shape[1:]), np.float32), spacing=spacing)


def make_motion(
    to_reference: npt.NDArray[np.float32],
    from_reference: npt.NDArray[np.float32] | None = None,
    *,
    reference: int = 0,
    spacing: tuple[float, float, float] = (8.0, 1.0, 1.0),
) -> Motion:
    about: dict[str, Any] = {
        "reference": reference,
        "affine": np.diag([*spacing[::-1], 1.0]),
        "frame_times": np.arange(len(to_reference)) * 0.04,
        "model": "made",
        "version": "1",
        "image_hash": "",
    }
    if from_reference is None:
        return Motion.from_to_reference(to_reference, **about)
    return Motion(to_reference, from_reference, **about)


def random_motion(seed: int, *, size: float = 5.0, in_plane: bool = True) -> Motion:
    """6 frames of 2 slices of 40 x 44 pixels with smooth motion of up to `size` mm, reference 2."""
    shape = (2, 40, 44) if in_plane else (4, 40, 44)
    rng = np.random.default_rng(seed)
    fields = np.stack([[gaussian_filter(rng.normal(size=shape), (0.5, 5, 5)) for _ in range(3)] for _ in range(6)])
    if in_plane:
        fields[:, 0] = 0
    fields *= size / np.abs(fields).max()
    fields[2] = 0
    return make_motion(fields.astype(np.float32), reference=2, spacing=(8.0, 1.1, 1.3))


def heart(shape: tuple[int, int], centre: tuple[float, float], radius: float = 9.0, wall: float = 3.0) -> Labels:
    """(Y, X): LV cavity, its wall and an RV that lies against it."""
    y, x = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    left = np.hypot(y - centre[0], x - centre[1])
    right = np.hypot(y - centre[0], x - centre[1] + radius)
    labels = np.where(right < radius, 1, 0)
    labels = np.where(left < radius, 2, labels)
    return np.where(left < radius - wall, 3, labels).astype(np.uint8)


def stack(*planes: Labels) -> Labels:
    return np.stack(planes)


def plainly(motion: Motion, keys: Mapping[int, Labels], weights: Mapping[int, Mapping[int, float]]) -> Labels:
    """The definition of propagation, with SciPy, on the whole grid, a frame at a time."""

    def signed(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        found = np.empty(mask.shape)
        for plane, out in zip(mask, found, strict=True):
            if plane.all() or not plane.any():
                out[:] = -CAP if plane.all() else CAP
                continue
            half = min(motion.spacing[1:]) / 2
            outside, inside = (distance_transform_edt(m, sampling=motion.spacing[1:]) for m in (~plane, plane))
            out[:] = np.where(plane, half - inside, outside - half)
        found = np.clip(found, -CAP, CAP)
        for axis, step in ((1, motion.spacing[1]), (2, motion.spacing[2])):
            side = (min(motion.spacing[1:]) / step) ** 2 / 8
            found = correlate1d(found, [side, 1 - 2 * side, side], axis=axis, mode="nearest")
        return found

    result = np.zeros(motion.shape, np.uint8)
    places = np.indices(motion.shape[1:]).astype(float)
    for t, blend in weights.items():
        if t in keys:
            result[t] = keys[t]
            continue
        regions = {"union": (1, 2, 3, 4, 5), "epi": (2, 3), "lv": (3,), "rv": (1,), "la": (4,), "ra": (5,)}
        distance = {}
        for name, values in regions.items():
            distance[name] = np.zeros(motion.shape[1:])
            for key, weight in blend.items():
                at = places + motion.between(key, t) / np.array(motion.spacing).reshape(3, 1, 1, 1)
                image = signed(np.isin(keys[key], values))
                distance[name] += weight * map_coordinates(image, at, order=1, mode="nearest")
        sides = np.stack([distance[name] for name in ("epi", "rv", "la", "ra")])
        chosen = np.array([9, 1, 4, 5])[sides.argmin(axis=0)]
        left = np.where(distance["lv"] < np.maximum(distance["epi"], 0) + 1e-3, 3, 2)
        result[t] = np.where(distance["union"] < 0, np.where(chosen == 9, left, chosen), 0)
    return result


class TestAgainstTruth:
    def test_a_beating_ring_from_one_key_frame(self, disc: Any) -> None:
        motion = disc.motion()
        for key in (disc.reference, 6):
            found = propagate(motion, {key: disc.labels(key)})
            areas: dict[Label, list[float]] = {Label.MYO: [], Label.LV: []}
            for t in range(disc.shape[0]):
                truth = disc.labels(t)
                for structure, least in ((Label.MYO, 0.93), (Label.LV, 0.97)):
                    a, b = found[t] == structure, truth == structure
                    assert 2 * (a & b).sum() / (a.sum() + b.sum()) > least
                    areas[structure].append(a.sum() / b.sum())
                # What the motion adds: the labels of the key frame as they stand do worse.
                if t != key and abs(disc.scales[t] - disc.scales[key]) > 0.05:
                    assert np.mean(disc.labels(key) != truth) > 3 * np.mean(found[t] != truth)
            # Areas are right on the mean, not only the overlap: neither shrunk nor grown by interpolation.
            assert np.mean(areas[Label.MYO]) == pytest.approx(1, abs=0.02)
            assert np.mean(areas[Label.LV]) == pytest.approx(1, abs=0.015)

    @pytest.mark.parametrize("in_plane", [True, False])
    @pytest.mark.parametrize("keys", [(2,), (4,), (0, 3), (1, 2, 5)])
    def test_the_plain_definition(self, in_plane: bool, keys: tuple[int, ...]) -> None:
        motion = random_motion(7, in_plane=in_plane)
        assert motion.is_in_plane == in_plane
        planes = [heart((40, 44), (20 + i, 25 - i), 9 - i) for i in range(motion.shape[1])]
        drawn = {k: np.roll(stack(*planes), k % 3 - 1, axis=2) for k in keys}
        drawn[keys[0]][0][drawn[keys[0]][0] == 1] = 0
        drawn[keys[0]][1, 3:9, 30:36], drawn[keys[0]][1, 9:12, 30:36] = 4, 5
        expected = plainly(motion, drawn, blend_weights(keys, cycle_steps(motion)))
        found = propagate(motion, drawn)
        # float32 here, float64 there: only points on an edge may differ.
        assert np.mean(found != expected) < 2e-4
        assert set(np.unique(found)) == {0, 1, 2, 3, 4, 5}

    def test_two_key_frames_put_right_what_the_motion_gets_wrong(self, disc: Any) -> None:
        to_reference, from_reference = disc.fields()
        wrong = Motion(to_reference * 0.5, from_reference * 0.5, **disc.about())
        one = propagate(wrong, {disc.reference: disc.labels(disc.reference)})
        two = propagate(wrong, {t: disc.labels(t) for t in (disc.reference, 7)})
        truth = np.stack([disc.labels(t) for t in range(8)])
        between = [t for t in range(8) if t not in {disc.reference, 7}]
        assert np.mean(two[between] != truth[between]) < 0.6 * np.mean(one[between] != truth[between])


class TestKeyFrames:
    def test_a_key_frame_keeps_exactly_what_was_drawn(self) -> None:
        rng = np.random.default_rng(0)
        drawn = {t: rng.integers(0, 6, size=(2, 40, 44)).astype(np.uint8) for t in (0, 4)}
        labels = propagate(random_motion(1), drawn)
        for t, expected in drawn.items():
            np.testing.assert_array_equal(labels[t], expected)

    def test_without_motion_every_frame_is_the_key_frame(self) -> None:
        rng = np.random.default_rng(0)
        drawn = rng.integers(0, 6, size=(2, 20, 24)).astype(np.uint8)
        labels = propagate(still_motion((5, 2, 20, 24)), {3: drawn})
        np.testing.assert_array_equal(labels, np.stack([drawn] * 5))

    def test_a_slice_without_a_structure_stays_without_it(self) -> None:
        drawn = stack(heart((40, 44), (20, 25)), heart((40, 44), (20, 25)))
        drawn[1][drawn[1] == 1] = 0
        labels = propagate(random_motion(3), {1: drawn, 4: drawn})
        assert (labels[:, 0] == 1).any(axis=(1, 2)).all()
        assert not (labels[:, 1] == 1).any()

    def test_a_structure_that_one_key_frame_lacks_fades_out(self) -> None:
        with_it = stack(heart((40, 44), (20, 25)))
        without = with_it.copy()
        without[without == 1] = 0
        labels = propagate(still_motion((9, 1, 40, 44)), {0: with_it, 8: without})
        areas = [(frame == 1).sum() for frame in labels]
        assert areas == sorted(areas, reverse=True)
        assert 0 < areas[3] < areas[0]
        assert areas[7] == 0

    def test_distances_count_along_the_cycle(self) -> None:
        before, after = (stack(heart((40, 44), (20, x))) for x in (20, 26))
        labels = propagate(still_motion((8, 1, 40, 44)), {2: before, 6: after})
        # 0 lies as far from 6 as from 2, around the end of the cycle; 7 is nearer to 6.
        middles = [np.argwhere(frame[0] == 3)[:, 1].mean() for frame in labels]
        np.testing.assert_allclose(middles, [23, 21.5, 20, 21.5, 23, 24.5, 26, 24.5], atol=0.3)


class TestNoGaps:
    @settings(max_examples=25, deadline=None)
    @given(
        seed=st.integers(0, 9999),
        shift=st.tuples(st.floats(-7, 7), st.floats(-7, 7)),
        radius=st.floats(7, 11),
        size=st.floats(0, 5),
    )
    def test_between_cavity_wall_and_right_ventricle(
        self, seed: int, shift: tuple[float, float], radius: float, size: float
    ) -> None:
        """Though the key frames contradict the motion by up to three times the thickness of the wall."""
        motion = random_motion(seed, size=size)
        near, far = heart((40, 44), (20, 24)), heart((40, 44), (20 + shift[0], 24 + shift[1]), radius)
        labels = propagate(motion, {0: stack(near, near), 3: stack(far, near)})
        for frame in labels:
            for plane in frame:
                cavity, left, all_structures = plane == 3, np.isin(plane, (2, 3)), plane > 0
                np.testing.assert_array_equal(binary_fill_holes(all_structures), all_structures)
                np.testing.assert_array_equal(binary_fill_holes(left), left)
                # The cavity touches its wall, and nothing else where there is a wall.
                rim = binary_dilation(cavity) & ~cavity
                assert np.mean(plane[rim] == 2) > 0.9
                assert (plane[rim] == 2).all() or not left[rim].all()

    @settings(max_examples=15, deadline=None)
    @given(seed=st.integers(0, 9999), moved=st.integers(-4, 4))
    def test_between_ventricle_and_atrium(self, seed: int, moved: int) -> None:
        """A long-axis view: cavity and atrium touch at the valve, and no wall grows between them."""

        def view(valve: int) -> Labels:
            labels = np.zeros((1, 40, 44), np.uint8)
            labels[0, 6 : valve + 1, 10:34] = 2
            labels[0, 10 : valve + 1, 14:30] = 3
            labels[0, valve + 1 : 37, 15:29] = 4
            return labels

        shape = (6, 3, 1, 40, 44)
        motion = make_motion(random_motion(seed, size=3.0).to_reference[:, :, :1].copy(), reference=2)
        assert motion.to_reference.shape == shape
        labels = propagate(motion, {0: view(22), 3: view(22 + moved)})[:, 0]
        for frame in labels:
            for column in frame.T[20:24]:
                inside = column[column > 0]
                # Apex to base: wall, cavity, atrium; each once.
                order = inside[np.flatnonzero(np.diff(inside, prepend=0))].tolist()
                assert order == [2, 3, 4]
                first, last = np.flatnonzero(column)[[0, -1]]
                assert (column[first : last + 1] > 0).all()

    def test_a_wall_that_moves_by_more_than_its_thickness_stays_whole(self) -> None:
        """Blending the wall's own distance would make it vanish halfway; its two surfaces are blended instead."""
        small = heart((40, 44), (20, 22), radius=8, wall=2)
        large = heart((40, 44), (20, 22), radius=14, wall=2)
        labels = propagate(still_motion((4, 1, 40, 44)), {0: stack(small), 2: stack(large)})
        wall = np.where(labels[1, 0] == 2)
        radii = np.hypot(wall[0] - 20, wall[1] - 22)
        assert radii.mean() == pytest.approx(10, abs=0.4)
        cavity = labels[1, 0] == 3
        assert (labels[1, 0][binary_dilation(cavity) & ~cavity] == 2).all()


class TestIncremental:
    @settings(max_examples=15, deadline=None)
    @given(
        st.lists(
            st.tuples(st.integers(0, 5), st.booleans(), st.integers(-3, 3), st.integers(1, 5)),
            min_size=1,
            max_size=7,
        )
    )
    def test_any_sequence_of_changes_gives_what_a_fresh_start_gives(
        self, changes: list[tuple[int, bool, int, int]]
    ) -> None:
        motion = random_motion(11)
        propagator = Propagator(motion)
        keys: dict[int, Labels] = {}
        for frame, is_release, shift, value in changes:
            before = propagator.labels
            copy = before.copy()
            if is_release and frame in keys:
                del keys[frame]
                redone = propagator.release(frame)
            else:
                keys[frame] = np.roll(stack(heart((40, 44), (20, 25)), heart((40, 44), (18, 20))), shift, axis=1)
                keys[frame][1, 2:6, 2:6] = value
                redone = propagator.update(frame, keys[frame])
            np.testing.assert_array_equal(before, copy)
            assert propagator.key_frames == tuple(sorted(keys))
            expected = propagate(motion, keys) if keys else np.zeros_like(copy)
            np.testing.assert_array_equal(propagator.labels, expected)
            kept = [t for t in range(6) if t not in redone]
            np.testing.assert_array_equal(propagator.labels[kept], before[kept])

    def test_only_what_depends_on_a_change_is_computed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        computed: list[int] = []
        whole = NestedRegions.distances

        def counted(self: NestedRegions, labels: Labels, spacing: Any, cap_mm: float) -> Any:
            computed.append(int(labels.max()))
            return whole(self, labels, spacing, cap_mm)

        monkeypatch.setattr(NestedRegions, "distances", counted)
        motion = still_motion((12, 1, 40, 44))
        drawn = stack(heart((40, 44), (20, 22)))
        propagator = Propagator(motion, dict.fromkeys((0, 4, 8), drawn))
        assert len(computed) == 3
        changed = drawn.copy()
        changed[changed == 2] = 3
        assert propagator.update(4, changed) == (1, 2, 3, 4, 5, 6, 7)
        assert len(computed) == 4
        assert propagator.update(6, drawn) == (5, 6, 7)
        assert len(computed) == 5
        assert propagator.release(8) == (7, 8, 9, 10, 11)
        assert len(computed) == 5

    def test_labels_are_read_only(self) -> None:
        propagator = Propagator(still_motion((3, 1, 40, 44)), {0: stack(heart((40, 44), (20, 22)))})
        with pytest.raises(ValueError, match="read-only"):
            propagator.labels[0] = 0

    def test_the_callers_array_may_change_afterwards(self) -> None:
        drawn = stack(heart((40, 44), (20, 22)))
        propagator = Propagator(still_motion((3, 1, 40, 44)), {0: drawn})
        expected = propagator.labels.copy()
        drawn[:] = 0
        propagator.update(1, expected[1])
        np.testing.assert_array_equal(propagator.labels[0], expected[0])


class TestRegionOfWork:
    def test_labels_are_found_wherever_the_motion_takes_them(self) -> None:
        """Far away too, and where the two directions contradict each other."""
        to_reference = np.zeros((3, 3, 1, 100, 100), np.float32)
        to_reference[1, 2], to_reference[2, 1] = 40.0, -45.0
        motion = make_motion(to_reference, np.zeros_like(to_reference))
        drawn = np.zeros((1, 100, 100), np.uint8)
        drawn[0, 48:54, 46:52] = 3
        labels = propagate(motion, {0: drawn})
        np.testing.assert_array_equal(labels[1], np.roll(drawn, -40, axis=2))
        np.testing.assert_array_equal(labels[2], np.roll(drawn, 45, axis=1))

    def test_labels_at_the_border_of_the_image(self) -> None:
        motion = random_motion(5)
        drawn = stack(heart((40, 44), (2, 3)), heart((40, 44), (38, 42)))
        weights = blend_weights([1], cycle_steps(motion))
        assert np.mean(propagate(motion, {1: drawn}) != plainly(motion, {1: drawn}, weights)) < 2e-4


class TestBadInput:
    @pytest.mark.parametrize(
        ("frame", "labels", "message"),
        [
            (9, np.ones((1, 20, 24), np.uint8), "from 0 to 2, got 9"),
            (-1, np.ones((1, 20, 24), np.uint8), "from 0 to 2, got -1"),
            (0, np.ones((2, 20, 24), np.uint8), r"expected labels \(Z, Y, X\) = \(1, 20, 24\)"),
            (0, np.full((1, 20, 24), 6, np.uint8), "from 0 to 5, got 6 to 6"),
            (0, np.full((1, 20, 24), -1), "from 0 to 5, got -1 to -1"),
            (0, np.ones((1, 20, 24)), "whole numbers, got float64"),
            (0, np.zeros((1, 20, 24), np.uint8), "at least one structure"),
        ],
    )
    def test_of_a_key_frame(self, frame: int, labels: npt.NDArray[Any], message: str) -> None:
        drawn = np.zeros((1, 20, 24), np.uint8)
        drawn[0, 5:10, 5:10] = 3
        propagator = Propagator(still_motion((3, 1, 20, 24)), {1: drawn})
        before = propagator.labels
        with pytest.raises(InputError, match=message):
            propagator.update(frame, labels)
        assert propagator.labels is before
        assert propagator.key_frames == (1,)

    def test_of_a_request(self) -> None:
        motion = still_motion((3, 1, 20, 24))
        with pytest.raises(InputError, match="at least one key frame"):
            propagate(motion, {})
        with pytest.raises(InputError, match="frame 2 is not a key frame"):
            Propagator(motion).release(2)
        with pytest.raises(InputError, match="a distance above 0"):
            Propagator(motion, cap_mm=0)
        assert Propagator(motion, cap_mm=1.5).cap_mm == 3.0


def test_setting_key_frames_gives_what_a_fresh_start_gives() -> None:
    motion = random_motion(3)
    labels = {t: stack(heart((40, 44), (18 + t, 20)), heart((40, 44), (20, 18 + t))) for t in range(4)}
    propagator = Propagator(motion, {0: labels[0], 3: labels[3]})
    for keys in ({0: labels[0], 2: labels[2]}, {1: labels[2]}, {1: labels[1], 3: labels[0], 5: labels[2]}):
        redone = propagator.set_key_frames(keys)
        assert propagator.key_frames == tuple(sorted(keys))
        assert set(keys) <= set(redone) | {0}  # frame 0 is as before in the first change
        assert (propagator.labels == propagate(motion, keys)).all()
        assert propagator.set_key_frames(keys) == ()
    before = propagator.labels
    with pytest.raises(InputError, match="got an empty label for frame 2"):
        propagator.set_key_frames({2: np.zeros_like(labels[0])})
    assert propagator.labels is before
    assert propagator.key_frames == (1, 3, 5)


def test_labels_are_decided_from_the_distances_that_are_given_out() -> None:
    motion = random_motion(3)
    small, large = (stack(*[heart((40, 44), (20, 22), radius)] * 2) for radius in (5.0, 9.0))
    propagator = Propagator(motion, {1: small})
    for change in ({}, {4: large}):  # the second one makes the region of work grow
        for frame, labels in change.items():
            propagator.update(frame, labels)
        for t in range(6):
            box, distances = propagator.distances(t)
            whole = np.zeros(motion.shape[1:], np.uint8)
            whole[box.slices] = propagator.regions.assign(distances)
            np.testing.assert_array_equal(whole, propagator.labels[t])
    propagator.release(4)
    np.testing.assert_array_equal(
        propagator.regions.assign(propagator.distances(5)[1]),
        propagator.labels[5][propagator.distances(5)[0].slices],
    )
    with pytest.raises(InputError, match="frames are counted"):
        propagator.distances(6)
    with pytest.raises(InputError, match="there is none"):
        Propagator(motion).distances(0)
