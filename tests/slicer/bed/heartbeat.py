"""How long the main thread was blocked, and waiting for something without sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6 import QtCore

from tests.slicer.bed.blocks import inside

_INTERVAL_MS = 10
_NAP_SECONDS = 0.001


class Heartbeat:
    """A timer of 10 ms; a gap between two beats is time in which the application did not answer.

    Used as a context manager around whatever the application does, with `pump` inside::

        with Heartbeat() as heart:
            button.click()
            pump(lambda: logic.done, seconds=10)
        assert heart.longest < ...
    """

    def __init__(self) -> None:
        self.gaps: list[float] = []
        """Seconds between one beat and the next."""
        self._timer = QtCore.QTimer()
        self._timer.setTimerType(QtCore.Qt.TimerType.PreciseTimer)
        self._timer.setInterval(_INTERVAL_MS)
        self._timer.timeout.connect(self._beat)
        self._last = 0.0

    def _beat(self) -> None:
        now = time.perf_counter()
        self.gaps.append(now - self._last)
        self._last = now

    @property
    def longest(self) -> float:
        """The longest block of the main thread so far, in seconds, without the 10 ms between two beats."""
        return max(0.0, max(self.gaps, default=0.0) - _INTERVAL_MS / 1000)

    def __enter__(self) -> Heartbeat:
        self._last = time.perf_counter()
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.stop()
        self._beat()


def pump(until: Callable[[], bool], seconds: float = 10.0, *, what: str = "") -> None:
    """Processes events until the condition holds; TimeoutError where it does not in time.

    Each round of the event loop counts as one block of the main thread, see `tests.slicer.bed.blocks`; the thread
    sleeps between rounds that found nothing to do, not in them.
    """
    end = time.monotonic() + seconds
    loop = QtCore.QEventLoop()
    while not until():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s: {what or 'the condition waited for'}")
        with inside("event loop"):
            has_done = loop.processEvents(QtCore.QEventLoop.ProcessEventsFlag.AllEvents)
        if not has_done:
            time.sleep(_NAP_SECONDS)
