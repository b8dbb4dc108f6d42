"""Tells when something happened to the proxy of a sequence, and on which frame; what it was, others find out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import slicer

Schedule = Callable[[Callable[[], None]], None]
"""Calls a function once, later, on the main thread."""


class EditWatch:
    """Watches a segmentation node.

    Attributes:
        schedule: puts looking off, so that several events of one edit become one look; None to look at once.
    """

    def __init__(self, node: Any, frame: Callable[[], int], look: Callable[[int], None]) -> None:
        """Watch until `stop`.

        Args:
            node: vtkMRMLSegmentationNode, the proxy.
            frame: tells the current frame.
            look: called with the frame during which something happened.
        """
        segmentation = slicer.vtkSegmentation
        # Not every Slicer tells that the segmentation was exchanged as a whole.
        exchanged = getattr(slicer.vtkMRMLSegmentationNode, "SegmentationChangedEvent", None)
        events = [
            segmentation.SourceRepresentationModified,
            segmentation.ContainedRepresentationNamesModified,
            segmentation.SegmentAdded,
            segmentation.SegmentRemoved,
            segmentation.SegmentModified,
            segmentation.SegmentsOrderModified,
            *([] if exchanged is None else [exchanged]),
        ]
        self.schedule: Schedule | None = None
        self._node, self._frame, self._look = node, frame, look
        self._pauses = 0
        self._waiting: int | None = None
        self._tags = [node.AddObserver(event, self._happened) for event in events]

    def stop(self) -> None:
        """Watch no more."""
        for tag in self._tags:
            self._node.RemoveObserver(tag)
        self._tags.clear()
        self._waiting = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What happens inside is not looked at."""
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1

    def look_now(self) -> None:
        """Look at what waits to be looked at."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._look(waiting)

    def _happened(self, _node: Any, _event: str) -> None:
        if self._pauses:
            return
        frame = self._frame()
        if self.schedule is None:
            self._look(frame)
            return
        if self._waiting is not None and self._waiting != frame:
            self.look_now()  # of the frame before
        if self._waiting is None:
            self._waiting = frame
            self.schedule(self.look_now)
