"""Frame times from what files and sequences say about time, which is often little or wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

PLAUSIBLE_FRAME_SECONDS = (0.004, 0.9)
"""Shortest and longest time between two frames of a cine that is believed, as on the server."""

DEFAULT_CYCLE_SECONDS = 1.0
"""Length of the cycle where nothing says it."""

EVEN_TOLERANCE = 0.01
"""Share of the time between frames by which a frame may lie off and the frames still count as evenly spaced."""

UNIT_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}


def frame_times(
    values: Sequence[float] | npt.NDArray[np.float64] | None, n_frames: int
) -> tuple[npt.NDArray[np.float64], str | None]:
    """Times (T,) in seconds after the first frame, and a sentence about what had to be guessed (None: nothing).

    The numbers are taken in the unit, of s, ms and us, that makes them plausible times between frames. No number
    is plausible in two of them, so that a unit that a file names, rightly or not, changes nothing. If none does,
    or the times do not increase, the frames are spread over `DEFAULT_CYCLE_SECONDS`.
    """
    default = np.arange(n_frames) * (DEFAULT_CYCLE_SECONDS / n_frames)
    spread = f"the {n_frames} frames are spread over a cycle of {DEFAULT_CYCLE_SECONDS:g} s"
    if values is None or len(values) != n_frames:
        return default, f"it does not say when its frames were taken; {spread}"
    times = np.array(values, dtype=np.float64)
    if n_frames == 1:
        return np.zeros(1), None
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        return default, f"its frame times do not increase; {spread}"
    step = float(times[-1] - times[0]) / (n_frames - 1)
    shortest, longest = PLAUSIBLE_FRAME_SECONDS
    scale = next((scale for scale in UNIT_SECONDS.values() if shortest <= step * scale <= longest), None)
    if scale is None:
        return default, f"its time between frames, {step:.4g}, is not plausible; {spread}"
    return (times - times[0]) * scale, None


def are_even(times: npt.NDArray[np.float64]) -> bool:
    """Whether times (T,) are evenly spaced, so that one number per file can say them."""
    if len(times) < 3:
        return True
    step = frame_seconds(times)
    even = times[0] + step * np.arange(len(times))
    return bool(np.abs(times - even).max() <= EVEN_TOLERANCE * step)


def frame_seconds(times: npt.NDArray[np.float64]) -> float:
    """Mean time between frames in seconds; 0 for a single frame."""
    return float(times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 0.0
