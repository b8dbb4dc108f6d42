"""Timers of the module have an owner, and are gone once they have ended."""

from __future__ import annotations

import pytest

from tests.slicer.bed.session import Bed
from tests.slicer.panel_bed import open_panel

QtCore = pytest.importorskip("PySide6.QtCore", reason="not run: PySide6 is not installed")


def test_a_timer_has_an_owner_until_it_is_stopped(bed: Bed) -> None:
    logic = open_panel(bed).logic
    calls: list[int] = []
    stop = logic.start_timer(lambda: calls.append(1), 1)
    (timer,) = logic._timers.children()
    assert (timer.interval, timer.active) == (1, True)
    bed.pump(lambda: len(calls) > 2, what="the timer")
    stop()
    count = len(calls)
    # What the application's own loop does; the bed's rounds of it do not.
    QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete.value)
    assert not logic._timers.children()
    stop()
    assert len(calls) == count
