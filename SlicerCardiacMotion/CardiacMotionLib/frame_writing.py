"""Puts labels of many frames into the scene as one step that can be undone."""

from __future__ import annotations

from collections.abc import Generator, Mapping

from CardiacMotionLib.frame_states import FrameState
from CardiacMotionLib.segments import Labels
from CardiacMotionLib.workspace import Workspace


def write_frames(
    workspace: Workspace, labels: Mapping[int, Labels], state: FrameState
) -> Generator[None, None, tuple[int, ...]]:
    """Write frame by frame, the nearest to the one that is shown first; the window is drawn in between.

    Args:
        workspace: the case.
        labels: (Z, Y, X) by frame.
        state: what the frames are then.

    Returns:
        The frames that were not written because they are kept.
    """
    shown, count = workspace.cine.frame, workspace.cine.n_frames
    order = sorted(labels, key=lambda t: min((t - shown) % count, (shown - t) % count))
    before = workspace.states
    replaced: dict[int, Labels] = {}
    kept: list[int] = []
    try:
        for frame in order:
            yield
            if not workspace.is_alive:
                return ()
            old = workspace.write_carried(frame, labels[frame])
            if old is None:
                kept.append(frame)
            else:
                replaced[frame] = old
    finally:
        # Also where a newer request cuts this one short: what was written is told, and can be undone.
        if workspace.is_alive:
            workspace.end_step(before, replaced, state)
    return tuple(sorted(kept))
