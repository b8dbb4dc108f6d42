"""How much each key frame counts at every frame of the cycle."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from cardiac_motion.motion import Motion

_SUBSAMPLING = 2
_MOVING_SHARE = 0.5
_TIME_SHARE = 0.1
"""What the clock counts against the way travelled; it decides alone where nothing moves."""


def cycle_steps(motion: Motion) -> npt.NDArray[np.float64]:
    """Share of the cycle that passes from each frame to the next, the last one followed by the first: (T,).

    It is measured by the way that the heart travels, and to one tenth by time: what a motion gets wrong grows
    with the way. After end-systole, for instance, the heart is back near its shape at end-diastole long before
    that time comes round; frames of late diastole then take after the key frame at end-diastole. The heart is
    where the largest displacement over the cycle is at least half as long as the longest there is (the 99th
    percentile of all that move), found on every second pixel.
    """
    times = motion.frame_times
    clock = np.append(np.diff(times), motion.cycle_seconds - (times[-1] - times[0]))
    steps = clock / clock.sum() if clock.sum() > 0 else np.full(len(times), 1 / len(times))
    fields = motion.from_reference[:, 1 if motion.is_in_plane else 0 :, :, ::_SUBSAMPLING, ::_SUBSAMPLING]
    longest = np.zeros(fields.shape[2:], np.float32)
    for field in fields:
        np.maximum(longest, (field**2).sum(axis=0), out=longest)
    np.sqrt(longest, out=longest)
    if not longest.any():
        return steps
    heart = longest >= _MOVING_SHARE * np.percentile(longest[longest > 0], 99)
    places = fields[:, :, heart]
    squares = ((np.roll(places, -1, axis=0) - places) ** 2).sum(axis=1)
    ways = np.sqrt(squares.mean(axis=1, dtype=np.float64))
    return _TIME_SHARE * steps + (1 - _TIME_SHARE) * ways / ways.sum()


def blend_weights(key_frames: Iterable[int], steps: npt.NDArray[np.float64]) -> dict[int, dict[int, float]]:
    """How much each key frame counts at every frame: {frame: {key frame: weight}}, weights adding up to one.

    The nearest key frame before a frame and the nearest one after it, along a cycle without end, count the more
    the nearer they are. A key frame counts alone at its own time, an only one everywhere.

    Args:
        key_frames: counted from 0.
        steps: (T,), how far each frame is from the next, the last one from the first, as `cycle_steps` or times.
    """
    keys = sorted(key_frames)
    n = len(steps)
    place = np.concatenate([[0.0], np.cumsum(steps)])
    weights: dict[int, dict[int, float]] = {}
    for t in range(n):
        if t in keys:
            weights[t] = {t: 1.0}
        elif len(keys) == 1:
            weights[t] = {keys[0]: 1.0}
        elif keys:
            before = max((k for k in keys if k < t), default=keys[-1])
            after = min((k for k in keys if k > t), default=keys[0])
            since = float(place[t] - place[before] + (place[n] if before > t else 0.0))
            until = float(place[after] - place[t] + (place[n] if after < t else 0.0))
            weights[t] = {before: until / (since + until), after: since / (since + until)}
    return weights
