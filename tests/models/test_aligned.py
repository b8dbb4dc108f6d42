"""Slices moved and moved back: nothing lost, nothing wrapped around, motions that mean the same on both grids."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from cardiac_motion.aligned import SliceAlignment
from cardiac_motion.cine import Cine
from cardiac_motion.errors import InputError
from cardiac_motion.motion import Motion
from cardiac_motion.phantom import TEST_SEEDS, AppearanceOptions, PhantomOptions, make_study
from cardiac_motion.slice_alignment import LARGEST_MM

SPACING = (8.0, 1.3, 1.5)
Shifts = npt.NDArray[np.float64]


def _shifts(z: int = 4) -> Shifts:
    return np.random.default_rng(3).uniform(-8, 8, (z, 2))


def _alignment(plane: tuple[int, int] = (46, 53), shifts: Shifts | None = None) -> SliceAlignment:
    return SliceAlignment(_shifts() if shifts is None else shifts, SPACING, plane)


def _noise() -> npt.NDArray[np.float32]:
    """Two frames."""
    return np.random.default_rng(2).random((2, 4, 46, 53), dtype=np.float32)


def _blob(plane: tuple[int, int], centre: tuple[float, float]) -> npt.NDArray[np.float64]:
    """Smooth, so that it is known between the pixels; centre in pixels."""
    y, x = np.mgrid[: plane[0], : plane[1]]
    return np.exp(-((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / (2 * 2.5**2))


@pytest.mark.parametrize("plane", [(46, 53), (53, 46), (48, 48), (51, 51)])
def test_an_image_comes_back_to_rounding(plane: tuple[int, int]) -> None:
    image = np.random.default_rng(0).uniform(0, 1000, (3, 4, *plane)).astype(np.float32)
    alignment = _alignment(plane)
    assert np.abs(alignment.image_back(alignment.image(image)) - image).max() < 2e-4
    single = alignment.image(image[1])
    assert single.shape == alignment.shape
    assert (single == alignment.image(image)[1]).all()


def test_the_heart_of_every_slice_comes_to_one_place() -> None:
    alignment = _alignment((60, 64))
    pixels = alignment.shifts_mm / np.array(SPACING[1:])
    displaced = np.stack([_blob((60, 64), (29 + dy, 33 + dx)) for dy, dx in pixels])
    before = [axis.before for axis in alignment.axes]
    goal = _blob(alignment.shape[1:], (29 + before[0], 33 + before[1]))
    # In the margins slices go on as their mirror images; a blob has one of those, too.
    inside = (..., slice(before[0] + 6, before[0] + 54), slice(before[1] + 6, before[1] + 58))
    assert np.abs(alignment.image(displaced) - goal)[inside].max() < 1e-5


def test_nothing_wraps_around_and_no_border_rings() -> None:
    y, x = np.mgrid[:46, :53]
    ramp = np.repeat((100.0 + 10 * x + 4 * y)[None], 4, axis=0)  # its opposite borders differ by most of its range
    alignment = _alignment()
    aligned = alignment.image(ramp)
    assert aligned.min() > 100 - 10
    assert aligned.max() < ramp.max() + 10
    spot = np.repeat(_blob((46, 53), (20, 46))[None], 4, axis=0)
    moved = alignment.image(spot)
    left = alignment.axes[1].before + 7  # beyond the margin and the largest shift
    assert np.abs(moved[..., left : left + 20]).max() < 1e-3, "what leaves at the right comes in nowhere"


def test_labels_come_back_exactly_and_lie_within_half_a_pixel() -> None:
    alignment = _alignment()
    labels = np.random.default_rng(1).integers(0, 4, (3, 4, 46, 53), dtype=np.uint8)
    assert (alignment.labels_back(alignment.labels(labels)) == labels).all()
    disc = np.zeros((4, 46, 53), np.uint8)
    for z, (dy, dx) in enumerate(alignment.shifts_mm / np.array(SPACING[1:])):
        disc[z, round(23 + dy), round(25 + dx)] = 3
    aligned = alignment.labels(disc)
    expected = np.array([23 + alignment.axes[0].before, 25 + alignment.axes[1].before])
    assert all(np.abs(np.argwhere(plane)[0] - expected).max() <= 1 for plane in aligned)
    assert (aligned > 0).sum() == 4


def test_labels_drawn_where_no_image_was_are_refused() -> None:
    alignment = _alignment()
    drawn = np.zeros(alignment.shape, np.uint8)
    drawn[2, :3, :] = 3
    with pytest.raises(InputError, match=r"labels of slice 2 reach \d+ pixels beyond the image"):
        alignment.labels_back(drawn)


def test_the_aligned_grid_lies_in_the_world_where_the_native_one_does() -> None:
    alignment = _alignment()
    affine = np.array([[1.2, 0.3, 0.1, -80], [-0.4, 1.2, 0.6, -60], [0.1, 0.2, 8, 5], [0, 0, 0, 1]])
    cine = Cine(_noise(), affine, np.array([0, 0.05]), name="c")
    aligned = alignment.align(cine)
    y, x = (axis.before for axis in alignment.axes)
    assert aligned.affine @ [x, y, 2, 1] == pytest.approx(affine @ [0, 0, 2, 1])
    assert aligned.affine @ [x + 7, y + 5, 0, 1] == pytest.approx(affine @ [7, 5, 0, 1])
    assert aligned.shape[1:] == alignment.shape
    assert aligned.content_hash != cine.content_hash


def test_without_shifts_everything_stays_as_it_is() -> None:
    alignment = _alignment(shifts=np.zeros((4, 2)))
    cine = Cine(_noise(), np.diag([1.5, 1.3, 8, 1]), np.array([0, 0.05]))
    assert not alignment.moves
    assert alignment.align(cine).content_hash == cine.content_hash


def _linear_motion(shape: tuple[int, int, int], **about: Any) -> Motion:
    """Affine in space, which linear interpolation reproduces, with motion through the planes; mm."""
    _, y, x = np.mgrid[: shape[0], : shape[1], : shape[2]] * np.array(SPACING).reshape(3, 1, 1, 1)
    field = np.zeros((2, 3, *shape), np.float32)
    field[1] = 3.0 + 0.02 * x, 0.05 * (y - 30) + 0.5, -0.04 * (x - 40) + 0.02 * y
    return Motion(field, -field, reference=0, affine=np.diag([*SPACING[::-1], 1.0]), model="m", version="1",
                  frame_times=np.array([0, 0.05]), **about)  # fmt: skip


def test_a_motion_is_conjugated_with_the_shifts() -> None:
    alignment = _alignment()
    cine = Cine(_noise(), np.diag([1.5, 1.3, 8, 1]), np.array([0, 0.05]))
    motion = _linear_motion(alignment.shape, image_hash=alignment.align(cine).content_hash)
    native = alignment.motion_back(motion, cine)
    native.check_belongs_to(cine)
    assert native.settings["align"] == alignment.settings
    # A point that the aligned stack shows at x is shown at x + s(z) by the native one, on both ends of its way.
    heights = np.arange(4)
    for z in range(3):
        for y, x in ((17, 20), (30, 33)):
            start = np.array([z, y, x], dtype=np.float64)
            before = [0, *(axis.before for axis in alignment.axes)]
            pixels = alignment.shifts_mm / np.array(SPACING[1:])
            inside = start + before - [0, *pixels[z]]
            end = motion.track(inside[None], start=1)[0, 0]
            moved = [np.interp(end[0], heights, pixels[:, k]) for k in range(2)]
            expected = end - before + [0, *moved]
            assert native.track(start[None], start=1)[0, 0] == pytest.approx(expected, abs=1e-3)
    assert native.to_reference[1, 0].std() > 0


def test_a_phantom_with_shifts_is_the_phantom_without_them_once_aligned() -> None:
    def made(**appearance: bool) -> Any:
        look = AppearanceOptions(
            **{**dict.fromkeys(AppearanceOptions.__dataclass_fields__, False), "texture": True, **appearance}
        )
        options = PhantomOptions(frames=4, slices=4, matrix=(96, 96), pixel_spacing=2.2, through_plane=False,
                                 appearance=look)  # fmt: skip
        return make_study(TEST_SEEDS[2], options)

    still, displaced = made(), made(breath_hold_shifts=True)
    shifts = displaced.slice_shifts_mm
    assert np.abs(shifts).max() > 1
    alignment = SliceAlignment.of(displaced.cine, shifts)
    y, x = (slice(axis.before + 12, axis.before + 84) for axis in alignment.axes)
    goal = still.cine.frames[..., 12:84, 12:84]
    left = np.abs(alignment.align(displaced.cine).frames[..., y, x] - goal).mean()
    assert left < 0.4 * np.abs(displaced.cine.frames[..., 12:84, 12:84] - goal).mean()
    # The true motion without shifts, put on the aligned grid, is the true motion with them on the native one.
    fields = [np.zeros((4, 3, *alignment.shape), np.float32) for _ in range(2)]
    for field, truth in zip(fields, still.motion, strict=True):
        y, x = (slice(axis.before, axis.before + 96) for axis in alignment.axes)
        field[..., y, x] = truth
    about: dict[str, Any] = {
        "reference": 0,
        "affine": alignment.affine(displaced.cine.affine),
        "model": "t",
        "version": "1",
    }
    aligned = Motion(*fields, frame_times=displaced.cine.frame_times, image_hash="0" * 64, **about)
    native = alignment.motion_back(aligned, displaced.cine)
    wall = displaced.labels[0] == 2
    for t in (1, 2):
        found, truth = native.from_reference[t][:, wall], displaced.motion[1][t][:, wall]
        plain = still.motion[1][t][:, wall]
        assert np.abs(found - truth).mean() < 0.25 * np.abs(plain - truth).mean()


@pytest.mark.parametrize(
    ("shifts", "message"),
    [
        (np.zeros((1, 2)), "a single slice has no neighbours"),
        (np.zeros((4, 3)), r"expected shifts \(Z, 2\)"),
        (np.full((4, 2), np.nan), f"at most {LARGEST_MM:g} mm"),
        (np.full((4, 2), 1e9), f"at most {LARGEST_MM:g} mm"),
    ],
)
def test_shifts_that_cannot_be_are_refused(shifts: Shifts, message: str) -> None:
    with pytest.raises(InputError, match=message):
        _alignment(shifts=shifts)


def test_what_lies_on_another_grid_is_refused() -> None:
    alignment = _alignment()
    for call, shape in (
        (alignment.image, (4, 46, 54)),
        (alignment.image_back, (4, 46, 53)),
        (alignment.labels, (3, 46, 53)),
    ):
        with pytest.raises(InputError, match=r"expected \(Z, Y, X\)"):
            call(np.zeros(shape, np.uint8))
    cine = Cine(np.ones((2, 3, 46, 53), np.float32), np.eye(4), np.array([0, 0.1]))
    with pytest.raises(InputError, match="a shift for each of the 3 slices, got 4"):
        SliceAlignment.of(cine, _shifts())
