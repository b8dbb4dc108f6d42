"""Frame times from what files say about time, which is often little or wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

PLAUSIBLE_FRAME_SECONDS = (0.004, 0.9)
"""Shortest and longest time between two frames of a cine that is believed.

Cines have 5 to 60 ms between frames; a file with end diastole and end systole alone has about 300 ms. One second
is out on purpose: it is what writers put where they know nothing (ACDC among others).
"""

DEFAULT_CYCLE_SECONDS = 1.0
"""Length of the cardiac cycle where a file does not say: 60 beats per minute."""

UNIT_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}

_UNIT_NAMES = {
    "s": ("s", "sec", "secs", "second", "seconds"),
    "ms": ("ms", "msec", "msecs", "millisecond", "milliseconds"),
    "us": ("us", "\N{MICRO SIGN}s", "\N{GREEK SMALL LETTER MU}s", "usec", "microsecond", "microseconds"),
}


@dataclass(frozen=True)
class Timing:
    """When the frames of a file were taken, as the file has it."""

    values: tuple[float, ...]
    """One per frame."""
    unit: str | None
    """"s", "ms" or "us"; None where the file names none."""


def unit_from_name(name: str) -> str | None:
    """Unit ("s", "ms" or "us") that a file calls by some name; None for what is no unit of time."""
    return next((unit for unit, names in _UNIT_NAMES.items() if name.strip().lower() in names), None)


def frame_times(timing: Timing | None, n_frames: int) -> tuple[npt.NDArray[np.float64], str | None]:
    """Times in seconds after the first frame, and a sentence about what had to be guessed (None: nothing).

    The number is taken in the unit, of s, ms and us, that makes it a plausible time between frames, see
    `PLAUSIBLE_FRAME_SECONDS`: the file's own unit, if it names one that fits. If none does, the frames are spread
    over `DEFAULT_CYCLE_SECONDS`.
    """
    default = np.arange(n_frames) * (DEFAULT_CYCLE_SECONDS / n_frames)
    spread = f"the {n_frames} frames are spread over a cycle of {DEFAULT_CYCLE_SECONDS:g} s"
    if timing is None:
        return default, f"it does not say when its frames were taken; {spread}"
    values = np.array(timing.values, dtype=np.float64)
    step = float(values[-1] - values[0]) / max(n_frames - 1, 1)
    said = f"{step:.4g} {timing.unit}" if timing.unit else f"{step:.4g} without a unit"
    unit = _plausible_unit(step)
    if unit is None:
        return default, f"its time between frames, {said}, is not plausible; {spread}"
    seconds = (values - values[0]) * UNIT_SECONDS[unit]
    return (
        seconds,
        None if unit == timing.unit else f"its time between frames, {said}, is taken as {step:.4g} {unit}",
    )


def _plausible_unit(step: float) -> str | None:
    """The unit that makes a plausible time between frames; no number is plausible in two of them."""
    shortest, longest = PLAUSIBLE_FRAME_SECONDS
    return next((unit for unit, seconds in UNIT_SECONDS.items() if shortest <= step * seconds <= longest), None)


def uniform_step(times: Sequence[float] | npt.NDArray[np.float64]) -> tuple[float, float]:
    """Mean time between frames, and how far a frame lies from even spacing at most, as a share of that time."""
    values = np.asarray(times, dtype=np.float64)
    step = float(values[-1] - values[0]) / (len(values) - 1)
    even = values[0] + step * np.arange(len(values))
    return step, float(np.abs(values - even).max()) / step
