"""A cine is checked when it is made, and cannot be changed afterwards."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from cardiac_motion.cine import Cine, check_affine, spacing_of
from cardiac_motion.errors import InputError

AFFINE = np.array([[0.0, -1.5, 0.0, 10.0], [1.25, 0.0, 0.0, 20.0], [0.0, 0.0, 8.0, 30.0], [0.0, 0.0, 0.0, 1.0]])


def frames(shape: tuple[int, ...] = (3, 2, 5, 6)) -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def times(n: int = 3) -> npt.NDArray[np.float64]:
    return np.arange(n) * 0.04


def test_shape_spacing_and_cycle() -> None:
    cine = Cine(frames(), AFFINE, times(), name="patient")
    assert cine.shape == (3, 2, 5, 6)
    assert cine.n_frames == 3
    assert cine.spacing == pytest.approx((8.0, 1.5, 1.25))
    assert cine.cycle_seconds == pytest.approx(0.12)
    assert cine.name == "patient"


def test_cycle_counts_the_way_back_from_the_last_frame() -> None:
    uneven = Cine(frames(), AFFINE, np.array([0.0, 0.03, 0.08]))
    assert uneven.cycle_seconds == pytest.approx(0.08 * 3 / 2)


def test_arrays_are_float_and_read_only() -> None:
    cine = Cine(frames().astype(np.int16), AFFINE, [0, 1, 2])  # type: ignore[arg-type]
    assert (cine.frames.dtype, cine.affine.dtype, cine.frame_times.dtype) == (np.float32, np.float64, np.float64)
    for array in (cine.frames, cine.affine, cine.frame_times):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 5, 6), "4 axes"),
        ((1, 2, 5, 6), "at least 2 frames, got 1"),
        ((3, 0, 5, 6), "at least 1 slice"),
        ((3, 2, 3, 6), "4 x 4 pixels"),
    ],
)
def test_shapes_that_are_no_cine(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Cine(frames(shape), AFFINE, times(shape[0]))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_must_be_finite(value: float) -> None:
    bad = frames()
    bad[1, 1, 2, 3] = value
    bad[2, 0, 0, 0] = value
    with pytest.raises(InputError, match="got 2 that are NaN or infinite"):
        Cine(bad, AFFINE, times())


@pytest.mark.parametrize(
    "bad", [[0.0, 0.1], [0.0, 0.1, 0.1], [0.2, 0.1, 0.3], [0.0, 0.1, np.nan], [[0.0, 0.1, 0.2]]]
)
def test_times_must_increase(bad: list[float]) -> None:
    with pytest.raises(InputError, match="frame times"):
        Cine(frames(), AFFINE, np.array(bad))


def scaled(column: int, factor: float) -> npt.NDArray[np.float64]:
    affine = AFFINE.copy()
    affine[:3, column] *= factor
    return affine


def with_entry(row: int, column: int, value: float) -> npt.NDArray[np.float64]:
    affine = AFFINE.copy()
    affine[row, column] = value
    return affine


@pytest.mark.parametrize(
    ("affine", "message"),
    [
        (np.eye(3), "4 x 4"),
        (scaled(1, 0.0), "spacing must be positive"),
        (with_entry(0, 3, np.nan), "finite"),
        (with_entry(3, 0, 0.1), "ends in the row"),
        (AFFINE[:, [0, 0, 2, 3]], "cannot be inverted"),
    ],
)
def test_affines_that_are_none(affine: npt.NDArray[np.float64], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_affine(affine)
    with pytest.raises(InputError, match=message):
        Cine(frames(), affine, times())


def test_check_affine_copies() -> None:
    checked = check_affine(AFFINE)
    checked[0, 0] = 99
    assert AFFINE[0, 0] == 0


def test_spacing_does_not_depend_on_orientation() -> None:
    turned = np.eye(4)
    turned[:3, :3] = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    assert spacing_of(turned @ AFFINE) == pytest.approx(spacing_of(AFFINE))


def test_the_hash_is_of_the_content() -> None:
    cine = Cine(frames(), AFFINE, times(), name="a")
    assert cine.content_hash == Cine(frames(), AFFINE, times(), name="b").content_hash
    changed = frames()
    changed[0, 0, 0, 0] += 1
    others = [
        Cine(changed, AFFINE, times()),
        Cine(frames(), scaled(0, 1.001), times()),
        Cine(frames(), AFFINE, times() * 1.001),
        Cine(frames().reshape(3, 1, 10, 6), AFFINE, times()),
    ]
    assert len({cine.content_hash, *(other.content_hash for other in others)}) == 5
