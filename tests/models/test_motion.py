"""Motion: the sign of each field, composition, inversion, tracked points, geometry, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.errors import InputError
from cardiac_motion.motion import Motion, compose_mm, invert_mm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, map_coordinates

AFFINE = np.diag([1.5, 1.3, 8.0, 1.0])


def smooth_field(
    seed: int, shape: tuple[int, int, int], size: float, *, in_plane: bool
) -> npt.NDArray[np.float32]:
    """(3, Z, Y, X): a smooth displacement of at most `size` mm, at rest towards the borders."""
    noise = np.random.default_rng(seed).normal(size=(3, *shape))
    field = np.stack([gaussian_filter(n, (1, 4, 4), mode="constant") for n in noise])
    window = np.prod(
        np.meshgrid(*[np.hanning(n + 2)[1:-1] if n > 2 else np.ones(n) for n in shape], indexing="ij"), 0
    )
    field *= window
    if in_plane:
        field[0] = 0
    return (field * size / np.abs(field).max()).astype(np.float32)


class TestSigns:
    def test_to_reference_warps_the_reference_into_each_frame(self, disc: Any) -> None:
        motion = disc.motion()
        # A soft edge, as interpolation of a hard one would hide what is measured.
        soft = [np.clip(disc.distance(t), -6, 6) for t in range(disc.shape[0])]
        for t in range(disc.shape[0]):
            seen = motion.warp(soft[disc.reference], source=disc.reference, target=t)
            # The distance to the disc scales with it.
            expected = np.clip(soft[t], -6 * disc.scales[t], 6 * disc.scales[t]) / disc.scales[t]
            assert np.abs(seen - expected).max() < 0.35
            if t != disc.reference:
                assert np.abs(soft[disc.reference] - expected).max() > 1.0

    def test_from_reference_moves_points_to_each_frame(self, disc: Any) -> None:
        angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        ring = disc.centre + disc.radius * np.stack([np.sin(angles), np.cos(angles)], axis=1)
        spacing = np.array(disc.spacing)
        points = np.concatenate([np.ones((12, 1)), ring / spacing[1:]], axis=1)
        paths = disc.motion().track(points)
        for t in range(disc.shape[0]):
            np.testing.assert_allclose(paths[t, :, 1:] * spacing[1:], disc.moved(ring, t), atol=1e-4)
            np.testing.assert_allclose(paths[t, :, 0], 1.0)

    def test_from_reference_pulls_each_frame_back_onto_the_reference(self, disc: Any) -> None:
        motion = disc.motion()
        for t in range(disc.shape[0]):
            labels = motion.warp(disc.labels(t), source=t, target=disc.reference, interpolation="nearest")
            assert np.mean(labels != disc.labels(disc.reference)) < 0.03

    def test_tracked_from_another_frame_passes_the_reference(self, disc: Any) -> None:
        motion = disc.motion()
        start = np.array([[0.0, 20.0, 18.5], [1.0, 30.0, 21.0]])
        there = motion.track(start, start=6)
        np.testing.assert_array_equal(there[6], start)
        at_reference = there[disc.reference]
        np.testing.assert_allclose(motion.track(at_reference), there, atol=1e-4)

    def test_tracked_in_world_coordinates(self, disc: Any) -> None:
        motion = disc.motion()
        voxels = np.array([[1.0, 20.0, 10.0], [0.0, 12.5, 30.25]])
        world = voxels[:, ::-1] * motion.spacing[::-1] + motion.affine[:3, 3]
        expected = motion.track(voxels)[..., ::-1] * motion.spacing[::-1] + motion.affine[:3, 3]
        np.testing.assert_allclose(motion.track_world(world), expected, atol=1e-9)


class TestBetween:
    def test_any_two_frames(self, disc: Any) -> None:
        motion = disc.motion()
        place = disc.positions()
        for source in range(0, 8, 3):
            for target in range(8):
                field = motion.between(source, target)
                # Frame `target` back to the reference's material, then to `source`: linear maps in one.
                shift = disc.shifts.reshape(-1, 2, 1, 1, 1)
                centre = disc.centre.reshape(2, 1, 1, 1)
                material = centre + (place - shift[target] - centre) / disc.scales[target]
                expected = centre + disc.scales[source] * (material - centre) + shift[source] - place
                # Where the way leads over the border, nothing is known.
                inside = np.abs(material - centre).max(axis=0) < 25
                np.testing.assert_allclose(field[1:, inside], expected[:, inside], atol=1e-4)
                assert not field[0].any()

    def test_of_a_frame_with_itself_is_zero(self, disc: Any) -> None:
        assert not disc.motion().between(5, 5).any()

    def test_in_plane_motion_does_not_mix_slices(self, disc: Any) -> None:
        to_reference, from_reference = disc.fields()
        to_reference[:, :, 1] = 0
        from_reference[:, :, 1] = 0
        motion = Motion(to_reference, from_reference, **disc.about())
        assert motion.is_in_plane
        moving, resting = motion.between(6, 1)[1]
        np.testing.assert_array_equal(moving, disc.motion().between(6, 1)[1, 0])
        assert not resting.any()

    def test_through_plane_motion_moves_slices(self) -> None:
        to_reference = np.zeros((2, 3, 4, 8, 8), np.float32)
        to_reference[1, 0] = 8.0
        motion = Motion(
            to_reference,
            -to_reference,
            reference=0,
            affine=AFFINE,
            frame_times=np.array([0.0, 0.1]),
            model="shift",
            version="1",
            image_hash="",
        )
        assert not motion.is_in_plane
        image = np.arange(4, dtype=np.float32).reshape(4, 1, 1) * np.ones((4, 8, 8), np.float32)
        seen = motion.warp(image, source=0, target=1)
        np.testing.assert_allclose(seen[:, 4, 4], [1, 2, 3, 3])
        np.testing.assert_allclose(motion.track([[2.0, 4.0, 4.0]])[1], [[1.0, 4.0, 4.0]])


class TestInverse:
    @pytest.mark.parametrize("in_plane", [True, False])
    def test_the_other_way_is_found_and_its_error_told(self, in_plane: bool) -> None:
        fields = np.zeros((3, 3, 4, 32, 30), np.float32)
        fields[1] = smooth_field(1, (4, 32, 30), 4.0, in_plane=in_plane)
        fields[2] = smooth_field(2, (4, 32, 30), 3.0, in_plane=in_plane)
        about: dict[str, Any] = {
            "reference": 0,
            "affine": AFFINE,
            "frame_times": np.array([0.0, 0.1, 0.2]),
            "model": "noise",
            "version": "1",
            "image_hash": "",
        }
        motion = Motion.from_to_reference(fields, **about)
        errors = [np.nanmax(motion.inverse_error_mm(t)) for t in range(3)]
        assert motion.is_in_plane == in_plane
        assert motion.inverse_residual_mm == pytest.approx(max(errors), abs=1e-5)
        assert max(errors) < 0.01
        # What is called the error is the distance by which a point misses itself, there and back.
        points = np.argwhere(np.ones((4, 32, 30)))[:: 7 if in_plane else 11].astype(float)
        there = motion.track(points)[2]
        inside = ((there >= 0) & (there <= [3, 31, 29])).all(axis=1)
        back = motion.track(there, start=2)[0]
        missed = np.linalg.norm((back - points) * motion.spacing, axis=1)[inside]
        assert missed.max() < 0.01
        turned = Motion.from_from_reference(fields, **about)
        np.testing.assert_array_equal(turned.to_reference, motion.from_reference)

    def test_a_field_that_cannot_be_undone_is_told_by_its_residual(self) -> None:
        torn = np.zeros((3, 1, 24, 24), np.float32)
        torn[1:, :, 4:20, 4:20] = np.random.default_rng(0).uniform(-4, 4, size=(2, 1, 16, 16))
        _, residual = invert_mm(torn, (8.0, 1.0, 1.0))
        assert residual > 0.5

    def test_the_analytic_inverse(self, disc: Any) -> None:
        to_reference, from_reference = disc.fields()
        motion = Motion.from_to_reference(to_reference, **disc.about())
        middle = (slice(None), slice(None), slice(None), slice(16, 32), slice(14, 30))
        np.testing.assert_allclose(motion.from_reference[middle], from_reference[middle], atol=0.02)

    def test_nothing_moves(self) -> None:
        inverse, residual = invert_mm(np.zeros((3, 2, 5, 5), np.float32), (1, 1, 1))
        assert not inverse.any()
        assert residual == 0.0

    def test_points_that_leave_the_grid_are_not_counted(self) -> None:
        shift = np.full((3, 1, 10, 10), 0.0, np.float32)
        shift[2] = 4.0
        motion = Motion(
            np.stack([0 * shift, shift]),
            np.stack([0 * shift, -shift]),
            reference=0,
            affine=np.eye(4),
            frame_times=np.array([0.0, 1.0]),
            model="shift",
            version="1",
            image_hash="",
        )
        error = motion.inverse_error_mm(1)
        assert np.isnan(error[0, :, :4]).all()
        assert not error[0, :, 4:].any()


class TestSteps:
    def test_steps_are_chained_both_ways_from_the_reference(self, disc: Any) -> None:
        motion = disc.motion()
        steps = np.stack([motion.between(max(t - 1, 0), t) for t in range(8)])
        chained = Motion.from_steps(steps, **disc.about())
        middle = (slice(None), slice(None), slice(None), slice(16, 32), slice(14, 30))
        np.testing.assert_allclose(chained.to_reference[middle], motion.to_reference[middle], atol=0.03)
        np.testing.assert_allclose(chained.from_reference[middle], motion.from_reference[middle], atol=0.03)

    def test_the_step_of_the_first_frame_does_not_count(self, disc: Any) -> None:
        motion = disc.motion()
        steps = np.stack([motion.between(max(t - 1, 0), t) for t in range(8)])
        expected = Motion.from_steps(steps, **disc.about()).to_reference
        steps[0] = 5.0
        np.testing.assert_array_equal(Motion.from_steps(steps, **disc.about()).to_reference, expected)


@settings(max_examples=25, deadline=None)
@given(
    flips=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    order=st.permutations([0, 1, 2]),
    angles=st.tuples(*[st.floats(-1, 1)] * 3),
    seed=st.integers(0, 99),
)
def test_world_paths_do_not_depend_on_how_the_array_lies(
    flips: tuple[bool, bool, bool], order: list[int], angles: tuple[float, float, float], seed: int
) -> None:
    shape = (6, 10, 9)
    affine = AFFINE.copy()
    for (i, j), angle in zip(((0, 1), (1, 2), (0, 2)), angles, strict=True):
        turn = np.eye(4)
        turn[[i, i, j, j], [i, j, i, j]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
        affine = turn @ affine
    fields = np.stack([np.zeros((3, *shape), np.float32), smooth_field(seed, shape, 3.0, in_plane=False)])
    about: dict[str, Any] = {
        "reference": 0, "frame_times": np.array([0.0, 0.1]), "model": "m", "version": "1", "image_hash": "",
    }  # fmt: skip
    motion = Motion(fields, fields, affine=affine, **about)
    voxels = np.random.default_rng(seed).uniform([1, 1, 1], [4, 8, 7], size=(5, 3))
    world = voxels[:, ::-1] @ affine[:3, :3].T + affine[:3, 3]
    expected = motion.track_world(world)

    turned = fields
    to_old = np.eye(4)
    for axis, flip in enumerate(flips):
        if flip:
            turned = np.flip(turned, axis + 2).copy()
            turned[:, axis] *= -1
            to_old[2 - axis, 2 - axis] = -1
            to_old[2 - axis, 3] = shape[axis] - 1
    # New axis a is old axis order[a]; columns of an affine count from x.
    turned = turned[:, order].transpose(0, 1, *[o + 2 for o in order])
    permuted = np.zeros((4, 4))
    permuted[3, 3] = 1
    for a, o in enumerate(order):
        permuted[2 - o, 2 - a] = 1
    again = Motion(turned, turned, affine=affine @ to_old @ permuted, **about)
    np.testing.assert_allclose(again.track_world(world), expected, atol=1e-4)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 999), in_plane=st.booleans())
def test_composition_goes_the_inner_way_first(seed: int, in_plane: bool) -> None:
    shape, spacing = (4, 24, 20), (4.0, 1.2, 1.0)
    outer, inner = (smooth_field(s, shape, 4.0, in_plane=in_plane) for s in (seed, seed + 1))
    mm_per_voxel = np.array(spacing).reshape(3, 1, 1, 1)
    places = np.indices(shape) + inner / mm_per_voxel
    expected = inner + [map_coordinates(c, places, order=1, mode="nearest") for c in outer]
    np.testing.assert_allclose(compose_mm(outer, inner, spacing), expected, atol=1e-4)


class TestChecks:
    def test_arrays_are_read_only_and_the_callers_stay_as_they_were(self, disc: Any) -> None:
        to_reference, from_reference = disc.fields()
        motion = Motion(to_reference, from_reference, **disc.about())
        with pytest.raises(ValueError, match="read-only"):
            motion.to_reference[0, 0, 0, 0, 0] = 1
        to_reference[0] += 0

    def test_settings_are_copied(self, disc: Any) -> None:
        given: dict[str, Any] = {"levels": [1, 2]}
        motion = disc.motion(settings=given)
        given["levels"].append(3)
        assert motion.settings == {"levels": [1, 2]}

    def test_what_it_says_of_itself(self, disc: Any) -> None:
        motion = disc.motion()
        assert motion.shape == (8, 2, 48, 44)
        assert motion.n_frames == 8
        assert motion.spacing == pytest.approx((8.0, 1.3, 1.5))
        assert motion.cycle_seconds == pytest.approx(0.32)

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"reference": 8}, "reference must be a frame from 0 to 7, got 8"),
            ({"reference": 2}, "must be zero at the reference frame 2"),
            ({"frame_times": [0.0, 1.0]}, "expected 8 frame times"),
            ({"frame_times": [0.0] * 8}, "increase strictly"),
            ({"affine": np.zeros((4, 4))}, "affine"),
            ({"settings": {"a": object()}}, "JSON"),
            ({"settings": {"a": float("nan")}}, "JSON"),
            ({"settings": [1]}, "mapping"),
            ({"inverse_residual_mm": float("nan")}, "inverse_residual_mm"),
        ],
    )
    def test_bad_description(self, disc: Any, changed: dict[str, Any], message: str) -> None:
        with pytest.raises(InputError, match=message):
            disc.motion(**changed)

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda a: a[:, :2], r"\(T, 3, Z, Y, X\), got shape"),
            (lambda a: a[:, :, :1], "one shape"),
            (lambda a: a[:, :, :0], "got shape"),
            (lambda a: np.where(np.arange(44) == 3, np.nan, a), "must be finite, got"),
        ],
    )
    def test_bad_fields(self, disc: Any, spoil: Any, message: str) -> None:
        to_reference, from_reference = disc.fields()
        with pytest.raises(InputError, match=message):
            Motion(spoil(to_reference), from_reference, **disc.about())

    def test_bad_requests(self, disc: Any) -> None:
        motion = disc.motion()
        with pytest.raises(InputError, match="from 0 to 7, got 8"):
            motion.between(0, 8)
        with pytest.raises(InputError, match="from 0 to 7, got -1"):
            motion.inverse_error_mm(-1)
        with pytest.raises(InputError, match=r"expected an image \(Z, Y, X\)"):
            motion.warp(np.zeros((2, 48, 43)), source=0, target=1)
        with pytest.raises(InputError, match=r"points \(N, 3\)"):
            motion.track([[1.0, 2.0]])
        with pytest.raises(InputError, match=r"points \(N, 3\)"):
            motion.track_world([[1.0, 2.0]])

    def test_it_belongs_to_one_cine(self, disc: Any) -> None:
        frames = np.random.default_rng(0).normal(size=disc.shape).astype(np.float32)
        about = disc.about()
        cine = Cine(frames, about["affine"], about["frame_times"])
        disc.motion(image_hash=cine.content_hash).check_belongs_to(cine)
        with pytest.raises(InputError, match="another image"):
            disc.motion().check_belongs_to(cine)
        with pytest.raises(InputError, match="the cine"):
            disc.motion().check_belongs_to(Cine(frames[:4], about["affine"], about["frame_times"][:4]))
