"""Closed surfaces of the frames' segmentations, made while nothing else has to be done. Main thread only."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from typing import Any

import slicer
import vtk

from CardiacMotionLib.cine import Cine
from CardiacMotionLib.edit_watch import Schedule
from CardiacMotionLib.mrml import finished
from CardiacMotionLib.segments import LABELMAP, SURFACE

Stamp = tuple[tuple[str, int], ...]

_JOINT_SMOOTHING = "Joint smoothing"


class Surfaces:
    """Makes them, and keeps them with their frames until the labels change.

    Only while they are shown and playback stands still: first those of the frame that is shown, then those of the
    frames after it, so that a film of them runs smoothly later. One segment at a time, and the window is drawn in
    between.

    Args:
        cine: whose frames they are.
        copies: gives the vtkSegmentations of a frame: its own, and that of the proxy if that is another.
        is_shown: whether surfaces are shown.
        quietly: what happens inside is no edit of the user.

    Attributes:
        schedule: puts a call off until Slicer is idle. Without it, only the frame that is shown gets its surfaces,
            at once.
    """

    def __init__(
        self,
        cine: Cine,
        copies: Callable[[int], list[Any]],
        is_shown: Callable[[], bool],
        quietly: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._cine, self._copies, self._is_shown, self._quietly = cine, copies, is_shown, quietly
        self.schedule: Schedule | None = None
        self._hopeless: dict[int, Stamp] = {}
        self._steps: Generator[None, None, None] | None = None
        self._of: tuple[int, Stamp] | None = None
        self._is_waiting = False
        self._observer: int | None = cine.browser.AddObserver(vtk.vtkCommand.ModifiedEvent, self._browser_changed)

    def stop(self) -> None:
        """Make no more."""
        if self._observer is not None:
            self._cine.browser.RemoveObserver(self._observer)
            self._observer = None
        self._steps = None

    def refresh(self) -> None:
        """Make what is missing."""
        if not self._are_wanted():
            return
        if self.schedule is None:
            if self._is_missing(self._cine.frame):
                with self._quietly():
                    finished(self._make(self._cine.frame))
        elif not self._is_waiting:
            self._is_waiting = True
            self.schedule(self._go_on)

    def _browser_changed(self, _browser: Any, _event: str) -> None:
        self.refresh()

    def _are_wanted(self) -> bool:
        if self._observer is None or not self._cine.is_alive:
            return False
        return self._is_shown() and not self._cine.browser.GetPlaybackActive()

    def _go_on(self) -> None:
        """Do one step, and come back."""
        self._is_waiting = False
        frame = self._next() if self._are_wanted() else None
        if frame is None:
            self._steps = None
            return
        of = (frame, _stamp(self._copies(frame)[0]))
        if self._steps is None or self._of != of:
            self._steps, self._of = self._make(frame), of
        with self._quietly():
            try:
                next(self._steps)
            except StopIteration:
                self._steps = None
        self.refresh()

    def _next(self) -> int | None:
        count, shown = self._cine.n_frames, self._cine.frame
        frames = ((shown + step) % count for step in range(count))
        return next((frame for frame in frames if self._is_missing(frame)), None)

    def _is_missing(self, frame: int) -> bool:
        segmentation = self._copies(frame)[0]
        if segmentation.ContainsRepresentation(SURFACE):
            return False
        stamp = _stamp(segmentation)
        return bool(stamp) and self._hopeless.get(frame) != stamp

    def _make(self, frame: int) -> Generator[None, None, None]:
        """Convert segment by segment aside, then give all of them to the frame."""
        copies = self._copies(frame)
        segmentation, stamp = copies[0], _stamp(copies[0])
        if segmentation.GetConversionParameter(_JOINT_SMOOTHING) == "1":
            # Of all segments together: it cannot be divided.
            if not all(copy.CreateRepresentation(SURFACE) for copy in copies):
                self._hopeless[frame] = stamp
            return
        surfaces = {}
        for segment_id in segmentation.GetSegmentIDs():
            surfaces[segment_id] = _surface(segmentation, segment_id)
            yield
        for copy in copies:
            for segment_id, surface in surfaces.items():
                copy.GetSegment(segment_id).AddRepresentation(SURFACE, surface)
            copy.InvokeEvent(copy.ContainedRepresentationNamesModified)


def _stamp(segmentation: Any) -> Stamp:
    """Changes with the labels; empty where nothing is drawn."""
    segments = ((each, segmentation.GetSegment(each)) for each in segmentation.GetSegmentIDs())
    images = ((each, segment.GetRepresentation(LABELMAP)) for each, segment in segments)
    return tuple((each, image.GetMTime()) for each, image in images if image is not None and not image.IsEmpty())


def _surface(segmentation: Any, segment_id: str) -> Any:
    """The surface of one segment, as Slicer's own conversion makes it; the segmentation is not touched."""
    source = segmentation.GetSegment(segment_id)
    aside = slicer.vtkSegmentation()
    aside.SetSourceRepresentationName(LABELMAP)
    aside.CopyConversionParameters(segmentation)
    segment = slicer.vtkSegment()
    segment.SetName(source.GetName())
    segment.SetLabelValue(source.GetLabelValue())
    segment.AddRepresentation(LABELMAP, source.GetRepresentation(LABELMAP))
    aside.AddSegment(segment, segment_id)
    if aside.CreateRepresentation(SURFACE):
        return aside.GetSegment(segment_id).GetRepresentation(SURFACE)
    return vtk.vtkPolyData()
