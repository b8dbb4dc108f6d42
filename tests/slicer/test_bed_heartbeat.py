"""A blocked main thread is seen, and what blocked it; only that; pump waits for a condition."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("PySide6", reason="not run: PySide6_Essentials is not installed")

from tests.slicer.bed.blocks import measured, observers_watched

if TYPE_CHECKING:
    from tests.slicer.bed.session import Bed

SCHEDSTAT = Path("/proc/thread-self/schedstat")


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


def _busy(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


@pytest.mark.parametrize("block", [_busy, time.sleep], ids=["computing", "waiting"])
@pytest.mark.parametrize("how", ["timer", "slot", "observer"])
def test_what_a_callback_does_is_a_block_and_what_a_test_does_is_none(
    bed: Bed, block: Callable[[float], None], how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if block is time.sleep and not SCHEDSTAT.exists():
        pytest.skip("not run: this system does not tell how long a thread waited for a core")
    watch: Any = importlib.import_module("CardiacMotionLib.edit_watch")
    done: list[int] = []

    def act(*_: object) -> None:
        block(0.2)
        done.append(1)

    node = bed.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    with measured() as found, observers_watched():
        watcher = watch.EditWatch(node, lambda: 0, act)
        block(0.4)
        assert found.longest == 0
        if how == "timer":
            bed.qt.QTimer.singleShot(0, act)
        elif how == "slot":
            button = bed.qt.QPushButton("b")
            button.connect("clicked()", act)
            button.click()
        else:
            node.GetSegmentation().AddEmptySegment("LV", "LV")
        bed.pump(lambda: bool(done))
        block(0.4)
    watcher.stop()
    assert 0.19 <= found.longest / len(done) < 0.35
    assert ("event loop" if how == "timer" else "act" if how == "slot" else "EditWatch._happened") in found.what


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity") or not SCHEDSTAT.exists(), reason="not run: not on Linux")
def test_a_busy_machine_makes_no_block_longer() -> None:
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3)]
    try:
        time.sleep(0.2)
        start = time.perf_counter()
        with measured() as found, found.inside("work"):
            _busy(0.3)
        wall = time.perf_counter() - start
    finally:
        os.sched_setaffinity(0, cores)
        for other in others:
            other.kill()
            other.wait()
    assert 0.29 <= found.longest < wall / 2
