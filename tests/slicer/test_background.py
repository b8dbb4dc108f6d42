"""Work in threads and its results on the thread that asked, with a clock and a timer of our own."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from CardiacMotionLib.background import DRAIN_MILLISECONDS, Task, Tasks
from CardiacMotionLib.client import Cancelled

Steps = Generator[None, None, None]


class Bench:
    """Tasks, the timer they were given, a clock that stands unless it is moved, and threads that wait for us."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[Callable[[], None]] = []
        self.intervals: list[int] = []
        self.tasks = Tasks(self._start_timer, clock=lambda: self.now)
        self.log: list[Any] = []

    def _start_timer(self, call: Callable[[], None], milliseconds: int) -> Callable[[], None]:
        self.timers.append(call)
        self.intervals.append(milliseconds)
        return lambda: self.timers.remove(call)

    def until(self, is_so: Callable[[], bool], max_seconds: float = 10.0) -> None:
        """Let the timer run until something is so."""
        end = time.monotonic() + 20
        while not is_so():
            assert time.monotonic() < end, f"it did not happen; so far {self.log}"
            self.tasks.drain(max_seconds)
            time.sleep(0.001)

    def until_idle(self) -> None:
        self.until(lambda: not self.tasks.is_busy)

    def start(self, key: str, work: Callable[[Task[Any]], Any], **named: Any) -> Task[Any]:
        callbacks = {
            "on_done": lambda result: self.log.append(("done", result)),
            "on_error": lambda error: self.log.append(("error", str(error))),
            "on_progress": lambda fraction, message: self.log.append(("progress", fraction, message)),
        }
        return self.tasks.start(key, work, **{**callbacks, **named})


def nothing(task: Task[None]) -> None:
    pass


def gives(value: str) -> Callable[[Task[str]], str]:
    return lambda task: value


def waits_for(event: threading.Event) -> Callable[[Task[bool]], bool]:
    return lambda task: event.wait(10)


@pytest.fixture
def bench() -> Iterator[Bench]:
    before = set(threading.enumerate())
    bench = Bench()
    yield bench
    bench.tasks.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()


def test_work_is_done_elsewhere_and_its_result_arrives_here(bench: Bench) -> None:
    threads: list[threading.Thread] = []

    def work(task: Task[int]) -> int:
        threads.append(threading.current_thread())
        return 42

    task = bench.start("a", work, on_done=lambda r: bench.log.append((r, threading.current_thread())))
    assert bench.tasks.newest("a") is task
    bench.until_idle()
    assert bench.log == [(42, threading.main_thread())]
    assert threads[0] is not threading.main_thread()
    assert threads[0].daemon
    assert task.is_finished
    assert bench.tasks.newest("a") is None


def test_nothing_is_called_back_but_by_a_drain(bench: Bench) -> None:
    bench.start("a", lambda task: task.report(0.5, "half"))
    time.sleep(0.05)
    assert bench.log == []
    bench.until_idle()
    assert bench.log == [("progress", 0.5, "half"), ("done", None)]


def test_the_timer_runs_only_while_there_is_something_to_wait_for(bench: Bench) -> None:
    assert bench.timers == []
    for _ in range(2):
        go = threading.Event()
        bench.start("a", waits_for(go))
        bench.start("b", waits_for(go))
        assert bench.timers == [bench.tasks.drain]
        go.set()
        bench.until_idle()
        assert bench.timers == []
    task = bench.start("a", lambda task: go.wait(10))
    task.cancel()
    bench.tasks.drain()
    assert bench.timers == []
    assert set(bench.intervals) == {DRAIN_MILLISECONDS}


def test_only_the_latest_progress_is_shown(bench: Bench) -> None:
    reported = threading.Event()

    def work(task: Task[str]) -> str:
        for number in range(1000):
            task.report(number / 1000, f"step {number}")
        reported.set()
        return "all"

    bench.start("a", work)
    assert reported.wait(10)
    bench.until_idle()
    assert bench.log == [("progress", 0.999, "step 999"), ("done", "all")]


def test_the_newest_of_a_key_wins(bench: Bench) -> None:
    first_may_end, first_saw = threading.Event(), threading.Event()

    def first(task: Task[str]) -> str:
        first_may_end.wait(10)
        assert task.cancelled()
        with pytest.raises(Cancelled):
            task.report(1.0, "late")
        first_saw.set()
        return "first"

    older = bench.start("a", first)
    other = bench.start("b", lambda task: "other")
    newer = bench.start("a", lambda task: "second")
    assert (older.is_finished, older.cancelled(), newer.cancelled(), other.cancelled()) == (
        True,
        True,
        False,
        False,
    )
    bench.until_idle()
    first_may_end.set()
    assert first_saw.wait(10)
    time.sleep(0.02)
    bench.tasks.drain()
    assert sorted(bench.log) == [("done", "other"), ("done", "second")]


def test_a_result_that_waits_for_the_drain_is_dropped_when_its_task_is_cancelled(bench: Bench) -> None:
    ended = threading.Event()

    def work(task: Task[None]) -> None:
        task.report(0.1, "x")
        ended.set()

    task = bench.start("a", work)
    assert ended.wait(10)
    time.sleep(0.02)
    task.cancel()
    bench.tasks.drain(10)
    assert bench.log == []


def test_failures_are_told_and_giving_up_is_none(bench: Bench) -> None:
    def fail(task: Task[None]) -> None:
        raise ValueError("expected this, got that")

    def give_up(task: Task[None]) -> None:
        raise Cancelled

    bench.start("a", fail)
    bench.until_idle()
    bench.start("b", give_up)
    bench.until_idle()
    assert bench.log == [("error", "expected this, got that")]
    bench.start("c", fail, on_error=None)
    with pytest.raises(ValueError, match="got that"):
        bench.until_idle()
    bench.until_idle()
    assert bench.timers == []


def test_steps_are_spread_over_drains_and_do_not_mix(bench: Bench) -> None:
    def steps(name: str) -> Steps:
        for number in range(3):
            bench.log.append(f"{name}{number}")
            bench.now += 1.0
            yield

    tasks = [bench.start(key, gives(key), on_done=steps) for key in "ab"]
    counts = []
    while bench.tasks.is_busy:
        before = len(bench.log)
        # Time for one step: the clock says that each takes a second.
        bench.tasks.drain(0.5)
        counts.append(len(bench.log) - before)
        assert any(not task.is_finished for task in tasks) or not bench.tasks.is_busy
    assert max(counts) == 1
    assert sorted([bench.log[:3], bench.log[3:]]) == [["a0", "a1", "a2"], ["b0", "b1", "b2"]]
    bench.log.clear()
    bench.start("c", gives("c"), on_done=steps)
    while not bench.log:
        # One step: the rest of the work's end takes none of the time.
        bench.tasks.drain(0.5)
    bench.tasks.drain(1.5)
    assert bench.log == ["c0", "c1", "c2"]


@pytest.mark.parametrize("by", ["cancel", "newer", "close", "itself"])
def test_what_has_begun_ends_where_it_stands(bench: Bench, by: str) -> None:
    def steps(result: object) -> Steps:
        try:
            for number in range(5):
                bench.log.append(number)
                if by == "itself" and number == 1:
                    task.cancel()
                yield
        finally:
            bench.log.append("cleared")

    task = bench.start("a", lambda task: None, on_done=steps)
    # No time: one step a drain.
    bench.until(lambda: 1 in bench.log, max_seconds=0)
    if by == "cancel":
        task.cancel()
    elif by == "newer":
        bench.start("a", lambda task: "new")
    elif by == "close":
        bench.tasks.close()
    assert bench.log == [0, 1, "cleared"]
    bench.until_idle()
    assert bench.log[3:] == ([("done", "new")] if by == "newer" else [])


def test_what_goes_wrong_while_a_result_is_written_is_told_too(bench: Bench) -> None:
    def steps(result: object) -> Steps:
        yield
        raise RuntimeError("no such node")

    def at_once(result: object) -> None:
        raise RuntimeError("no scene")

    bench.start("a", lambda task: None, on_done=steps)
    bench.until_idle()
    bench.start("a", lambda task: None, on_done=at_once)
    bench.until_idle()
    assert bench.log == [("error", "no such node"), ("error", "no scene")]

    def worse(error: BaseException) -> None:
        raise error

    bench.start("a", lambda task: None, on_done=steps, on_error=worse)
    bench.start("b", lambda task: "fine")
    with pytest.raises(RuntimeError, match="no such node"):
        bench.until_idle()
    bench.until_idle()
    assert bench.log[2:] == [("done", "fine")]


def test_a_dialog_in_a_callback_does_not_let_others_in(bench: Bench) -> None:
    def dialog(error: BaseException) -> None:
        bench.log.append("open")
        for _ in range(3):
            time.sleep(0.01)
            bench.tasks.drain()
        bench.log.append("closed")

    def fail(task: Task[None]) -> None:
        raise ValueError

    bench.start("a", fail, on_error=dialog)
    bench.start("b", lambda task: "b")
    bench.until_idle()
    assert bench.log.index("closed") == bench.log.index("open") + 1
    assert ("done", "b") in bench.log


def test_after_the_end_nothing_is_called_back_or_begun(bench: Bench) -> None:
    go = threading.Event()
    task = bench.start("a", lambda task: go.wait(10))
    bench.tasks.close()
    assert task.cancelled()
    assert bench.timers == []
    go.set()
    time.sleep(0.02)
    bench.tasks.drain(10)
    bench.tasks.close()
    assert bench.log == []
    with pytest.raises(RuntimeError, match="no work can be started"):
        bench.start("a", lambda task: None)


def test_callbacks_may_start_cancel_and_close(bench: Bench) -> None:
    bench.start("a", lambda task: 1, on_done=lambda _result: bench.start("a", lambda task: "again") and None)
    bench.until_idle()
    assert bench.log == [("done", "again")]
    bench.start("a", lambda task: 1, on_done=lambda _result: bench.tasks.close())
    bench.until_idle()
    assert bench.timers == []


def test_threads_may_only_report(bench: Bench) -> None:
    def work(task: Task[list[str]]) -> list[str]:
        said = []
        for call in (
            task.cancel,
            bench.tasks.drain,
            bench.tasks.close,
            lambda: bench.start("b", lambda task: None),
        ):
            with pytest.raises(RuntimeError, match="expected the main thread") as caught:
                call()
            said.append(str(caught.value))
        return said

    bench.start("a", work)
    bench.until_idle()
    assert [(kind, len(said)) for kind, said in bench.log] == [("done", 4)]


class Load:
    """Tasks without end, whose results are written in steps that must not mix."""

    def __init__(self) -> None:
        self.newest: dict[str, int] = {}
        self.seen: dict[str, list[int]] = {}
        self._open: list[str] = []

    def work(self, number: int, seconds: float) -> Callable[[Task[int]], int]:
        def run(task: Task[int]) -> int:
            for part in range(4):
                task.report(part / 4, str(number))
                time.sleep(seconds / 4)
            return number

        return run

    def write(self, key: str) -> Callable[[int], Steps]:
        def steps(number: int) -> Steps:
            assert self._open == []
            self._open.append(key)
            try:
                for _ in range(3):
                    assert self.newest[key] == number
                    yield
                self.seen.setdefault(key, []).append(number)
            finally:
                self._open.clear()

        return steps


def test_many_at_once(bench: Bench) -> None:
    luck, load = random.Random(5), Load()
    for number in range(300):
        key = luck.choice("abcd")
        load.newest[key] = number
        # Without on_error: what goes wrong is raised by a drain.
        bench.tasks.start(key, load.work(number, luck.random() * 0.01), on_done=load.write(key))
        for _ in range(luck.randrange(3)):
            bench.tasks.drain(0)
        if luck.random() < 0.3:
            time.sleep(luck.random() * 0.01)
    bench.until_idle()
    assert {key: numbers[-1] for key, numbers in load.seen.items()} == load.newest
    assert all(numbers == sorted(set(numbers)) for numbers in load.seen.values())
    assert bench.timers == []
