"""By how much each slice of a stack appears displaced, as a server tells it; kept with the scene."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from CardiacMotionLib import scene_state
from CardiacMotionLib.cine import Cine
from CardiacMotionLib.errors import InputError

_NAME = "SliceShifts"
_PLAUSIBLE_MM = 50.0
"""Servers limit shifts to far less."""
_SEEN_MM = 0.05


@dataclass(frozen=True)
class SliceShifts:
    """Shifts within the plane, one for each slice and the same in all frames.

    Attributes:
        shifts_mm: (y, x) along the array's axes, by slice: the heart lies this much further along than it should.
        notes: what a reader should know, one sentence each.
    """

    shifts_mm: tuple[tuple[float, float], ...]
    notes: tuple[str, ...] = ()

    @property
    def lengths_mm(self) -> npt.NDArray[np.float64]:
        """(Z,) how far each slice is displaced."""
        return np.hypot(*np.array(self.shifts_mm, dtype=np.float64).T)

    @property
    def is_nothing(self) -> bool:
        """Whether no slice is displaced."""
        return bool((self.lengths_mm < _SEEN_MM).all())


def parse_shifts(told: Any, n_slices: int) -> SliceShifts | None:
    """The shifts of an answer, or None if there are none in it.

    Raises:
        InputError: something else than a plausible shift for each slice.
    """
    if told is None:
        return None
    pairs = told.get("shifts_mm") if isinstance(told, Mapping) else None
    is_list = isinstance(pairs, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in pairs)
    numbers = [each for pair in pairs for each in pair] if is_list and pairs else []
    is_plausible = all(_is_plausible(each) for each in numbers)
    if len(numbers) != 2 * n_slices or not is_plausible:
        raise InputError(
            f"expected two shifts in mm for each of {n_slices} slices from the server, got something else"
        )
    notes = told.get("notes")
    said = tuple(str(each) for each in notes) if isinstance(notes, list) else ()
    shifts = tuple((float(y), float(x)) for y, x in zip(numbers[::2], numbers[1::2], strict=True))
    return SliceShifts(shifts, said)


def _is_plausible(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _PLAUSIBLE_MM


def keep_shifts(cine: Cine, shifts: SliceShifts | None) -> None:
    """Remember the shifts of a cine's slices; None to forget them."""
    scene_state.set_json(cine.browser, _NAME, None if shifts is None else asdict(shifts))


def shifts_of(cine: Cine) -> SliceShifts | None:
    """What was remembered with a cine; None where there is nothing, or nothing that fits."""
    try:
        return parse_shifts(scene_state.get_json(cine.browser, _NAME), cine.shape[1])
    except InputError:
        return None


def aligned(
    frame: npt.NDArray[Any], shifts: SliceShifts, spacing: tuple[float, float, float]
) -> npt.NDArray[np.float32]:
    """A frame (Z, Y, X) with every slice put where it belongs, by linear interpolation; to be looked at.

    What comes in from beyond a border is the border's own value.

    Args:
        frame: of any type.
        shifts: of its slices.
        spacing: (z, y, x) in mm.
    """
    result = np.asarray(frame, dtype=np.float32).copy()
    for z, (y_mm, x_mm) in enumerate(shifts.shifts_mm):
        plane = _moved(result[z], y_mm / spacing[1], 0)
        result[z] = _moved(plane, x_mm / spacing[2], 1)
    return result


def _moved(plane: npt.NDArray[np.float32], pixels: float, axis: int) -> npt.NDArray[np.float32]:
    """Seen so many pixels further along an axis."""
    if pixels == 0:
        return plane
    places = np.clip(np.arange(plane.shape[axis]) + pixels, 0, plane.shape[axis] - 1)
    low = np.floor(places).astype(np.intp)
    share = (places - low).astype(np.float32)
    share = share[:, None] if axis == 0 else share[None]
    high = np.minimum(low + 1, plane.shape[axis] - 1)
    moved: npt.NDArray[np.float32] = plane.take(low, axis) * (1 - share) + plane.take(high, axis) * share
    return moved
