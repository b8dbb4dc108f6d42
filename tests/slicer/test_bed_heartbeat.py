"""The heartbeat sees a blocked main thread, and only that; pump waits for a condition."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.slicer.bed.session import Bed


def test_a_block_of_the_main_thread_is_seen(bed: Bed) -> None:
    with bed.heartbeat() as heart:
        bed.pump(lambda: len(heart.gaps) > 2)
        end = time.perf_counter() + 0.3
        while time.perf_counter() < end:
            pass
        bed.pump(lambda: heart.longest > 0.2, seconds=5)
    assert heart.longest >= 0.29


def test_a_block_at_the_very_end_is_seen(bed: Bed) -> None:
    with bed.heartbeat() as heart:
        end = time.perf_counter() + 0.2
        while time.perf_counter() < end:
            pass
    assert heart.longest >= 0.19


def test_pump_waits_for_a_worker(bed: Bed) -> None:
    done, start = threading.Event(), threading.Event()

    def work() -> None:
        start.wait(5)
        done.set()

    worker = threading.Thread(target=work)
    worker.start()
    with bed.heartbeat() as heart:
        bed.pump(lambda: len(heart.gaps) > 3)
        start.set()
        bed.pump(done.is_set, seconds=5)
    worker.join()
    assert len(heart.gaps) > 3


def test_pump_gives_up(bed: Bed) -> None:
    with pytest.raises(TimeoutError, match="the moon"):
        bed.pump(lambda: False, seconds=0.05, what="the moon")
