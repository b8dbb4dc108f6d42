"""The frames around one, for networks that look at a clip; the same in training and in use."""

from __future__ import annotations

STEPS_PER_CYCLE = 25
"""The neighbours of a frame are one such step away, as in the clips of phantoms, or as near to it as can be."""


def neighbours(frame: int, n_frames: int, count: int) -> list[int]:
    """The frames of a clip around one, cyclic, in the order of time; of a pair that frame alone, repeated.

    The other frame of a pair is half a cycle away and no neighbour.

    Args:
        frame: in the middle.
        n_frames: of the cine, one cycle.
        count: of the clip, odd.
    """
    apart = 0 if n_frames <= 2 else max(1, round(n_frames / STEPS_PER_CYCLE))
    return [(frame + (i - count // 2) * apart) % n_frames for i in range(count)]
