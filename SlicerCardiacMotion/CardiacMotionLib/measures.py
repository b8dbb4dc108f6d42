"""Volumes of the case that is worked on, counted bit by bit as labels change, with their plot. Knows no Qt."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from CardiacMotionLib.errors import InputError
from CardiacMotionLib.plots import VolumePlot
from CardiacMotionLib.signals import Signal
from CardiacMotionLib.volumes import Function, VolumeCurves, cardiac_function, is_drawn_throughout
from CardiacMotionLib.workspace import Workspace

_SLICE_SECONDS = 0.015


class Measures:
    """Follows one workspace. Main thread only.

    Args:
        workspace: the case.
        single_shot: calls something after so many milliseconds on the main thread.

    Attributes:
        changed: emitted with what the volumes say, or None, when it is known anew.
        plot: the curves and tables in the scene.
    """

    def __init__(self, workspace: Workspace, single_shot: Callable[[int, Callable[[], None]], None]) -> None:
        self.changed: Signal[Function | None] = Signal()
        self.plot = VolumePlot(workspace.cine)
        self._workspace, self._single_shot = workspace, single_shot
        self._curves = VolumeCurves(workspace.cine.shape, workspace.cine.spacing)
        self._waiting = set(range(workspace.cine.n_frames))
        self._set: tuple[int | None, int | None] = (None, None)
        self._function: Function | None = None
        self._is_scheduled = self._is_closed = False
        self._disconnect = workspace.labels_changed.connect(self._labels_changed)
        self._schedule()

    @property
    def function(self) -> Function | None:
        """What the volumes say; None where that is nothing."""
        return self._function

    @property
    def is_complete(self) -> bool:
        """Whether a ventricle is drawn on every frame, so that ED and ES can be found."""
        curves = self._curves.millilitres
        return any(is_drawn_throughout(curves, name) for name in ("LV", "RV"))

    def set_frames(self, ed: int | None, es: int | None) -> None:
        """End-diastole and end-systole as the reader has them; None for found ones."""
        count = self._workspace.cine.n_frames
        frames = tuple(None if t is None or not 0 <= t < count else t for t in (ed, es))
        if frames != self._set:
            self._set = (frames[0], frames[1])
            if not self._waiting:
                self._show()

    def show_frame(self, frame: int) -> None:
        """Move the plot's mark."""
        self.plot.show_frame(frame)

    def close(self) -> None:
        """Follow no more; plot and tables stay in the scene."""
        self._is_closed = True
        self._disconnect()

    def _labels_changed(self, frames: frozenset[int]) -> None:
        self._waiting |= frames
        self._schedule()

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._single_shot(0, self._count)

    def _count(self) -> None:
        """Count what waits for as long as the window does not falter."""
        self._is_scheduled = False
        if self._is_closed or not self._workspace.is_alive:
            return
        end = time.monotonic() + _SLICE_SECONDS
        while self._waiting:
            frame = self._waiting.pop()
            self._curves.update(frame, self._workspace.labels(frame))
            if time.monotonic() > end:
                break
        if self._waiting:
            self._schedule()
        else:
            self._show()

    def _show(self) -> None:
        volumes = self._curves.millilitres
        ed, es = self._set
        # One contoured frame has volumes, but no end-systole.
        can_tell = self.is_complete or (ed is not None and es is not None)
        try:
            function = cardiac_function(volumes, ed=ed, es=es) if can_tell else None
        except InputError:
            function = None  # nothing is drawn where the reader says that it should be
        self._function = function
        self.plot.update({name: np.asarray(curve) for name, curve in volumes.items()}, function)
        self.changed.emit(function)
