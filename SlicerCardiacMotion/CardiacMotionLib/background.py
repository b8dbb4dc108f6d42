"""Work in threads, its results on the main thread. Knows no Qt: whoever uses it brings a timer."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Hashable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from CardiacMotionLib.client.errors import Cancelled

R = TypeVar("R")

DRAIN_MILLISECONDS = 20
"""Between two drains, while there is anything to wait for."""
DRAIN_SECONDS = 0.015
"""For one drain: a window that is drawn sixty times a second does not falter."""

Work = Callable[["Task[R]"], R]
OnProgress = Callable[[float, str], None]
OnDone = Callable[[R], Generator[None, None, None] | None]
OnError = Callable[[BaseException], None]
Timer = Callable[[Callable[[], None], int], Callable[[], None]]
"""Starts to call something every so many milliseconds on the main thread; gives what ends that."""


@dataclass(eq=False)
class Task(Generic[R]):
    """Work that was asked for.

    Attributes:
        key: of all tasks with the same one, only the newest counts.
    """

    key: Hashable
    _tasks: Tasks
    _work: Work[R]
    _on_progress: OnProgress | None
    _on_done: OnDone[R] | None
    _on_error: OnError | None
    _cancelled: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _progress: tuple[float, str] | None = None
    _is_finished: bool = False

    @property
    def is_finished(self) -> bool:
        """Whether it is over: cancelled, failed, or done with `on_done` run to its end."""
        return self._is_finished or self._cancelled.is_set()

    def cancel(self) -> None:
        """Want no more of it. Nothing is called back from now on; on the main thread.

        An `on_done` that has begun ends at its last ``yield``: its ``finally`` blocks are run.
        """
        self._tasks._check_thread()
        self._cancelled.set()
        self._tasks._drop_cancelled()

    def cancelled(self) -> bool:
        """Whether nobody wants it any more; for the work, which hands it on to the client's calls."""
        return self._cancelled.is_set()

    def report(self, fraction: float, message: str) -> None:
        """Tell how far the work has come; for the work. Only the latest is shown.

        Raises:
            Cancelled: nobody wants it any more.
        """
        if self._cancelled.is_set():
            raise Cancelled
        with self._lock:
            is_first, self._progress = self._progress is None, (fraction, message)
        if is_first:
            self._tasks._events.put(self._show_progress)

    def _show_progress(self) -> None:
        with self._lock:
            latest, self._progress = self._progress, None
        if latest is not None and self._on_progress is not None and not self.is_finished:
            self._on_progress(*latest)

    def _run(self) -> None:
        """In its thread."""
        events = self._tasks._events
        try:
            result = self._work(self)
        except BaseException as error:  # noqa: BLE001 - whatever it is belongs to who asked for the work
            failure = error
            events.put(lambda: self._fail(failure))
        else:
            if self.cancelled():
                # Nobody would take it, and it may be large.
                return
            events.put(lambda: self._tasks._finishing.append(_Finish(self, result)))

    def _fail(self, error: BaseException) -> None:
        if self.is_finished:
            return
        self._is_finished = True
        if isinstance(error, Cancelled):
            # The work gave up by itself, which is nobody's failure.
            return
        if self._on_error is None:
            raise error
        self._on_error(error)


class _Finish(Generic[R]):
    """A result and what is still to be done with it, step by step.

    Attributes:
        task: whose it is.
        is_running: in the middle of a step, which may be what wants it gone.
    """

    def __init__(self, task: Task[R], result: R) -> None:
        self.task, self._result = task, result
        self._steps: Generator[None, None, None] | None = None
        self._has_begun = False
        self.is_running = False

    def step(self) -> bool:
        """Do one step; whether it was the last."""
        self.is_running = True
        try:
            return self._advance()
        except Exception as error:  # noqa: BLE001 - told where failures are told
            self.task._fail(error)
            return True
        finally:
            self.is_running = False

    def _advance(self) -> bool:
        if not self._has_begun:
            self._has_begun = True
            on_done = self.task._on_done
            self._steps = None if on_done is None else on_done(self._result)
        elif self._steps is not None:
            try:
                next(self._steps)
            except StopIteration:
                self._steps = None
        return self._steps is None

    def close(self) -> None:
        """Do no more; not in the middle of a step."""
        if self._steps is not None:
            self._steps.close()


class Tasks:
    """Runs work in threads, and calls back on the thread that made it: the main one.

    Threads do HTTP and numpy; what touches the scene or the window belongs into the callbacks. Of the tasks with
    the same key the newest wins: an older one is cancelled, and nothing of it is called back any more. What
    different tasks do with their results never mixes: one `on_done` runs to its end before the next begins.

    Args:
        start_timer: see `Timer`; it runs only while there is something to wait for.
        clock: seconds that only grow.
    """

    def __init__(self, start_timer: Timer, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._start_timer, self._clock = start_timer, clock
        self._stop_timer: Callable[[], None] | None = None
        self._thread = threading.get_ident()
        self._events: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._finishing: deque[_Finish[Any]] = deque()
        self._newest: dict[Hashable, Task[Any]] = {}
        self._numbers = itertools.count(1)
        self._is_draining = self._is_closed = False

    @property
    def is_busy(self) -> bool:
        """Whether there is anything to wait for."""
        return any(not task.is_finished for task in self._newest.values()) or bool(self._finishing)

    def newest(self, key: Hashable) -> Task[Any] | None:
        """The task of that key that is under way, or None."""
        task = self._newest.get(key)
        return None if task is None or task.is_finished else task

    def start(
        self,
        key: Hashable,
        work: Work[R],
        *,
        on_progress: OnProgress | None = None,
        on_done: OnDone[R] | None = None,
        on_error: OnError | None = None,
    ) -> Task[R]:
        """Start work in a thread; an older task of the same key is cancelled.

        Args:
            key: says which tasks replace each other.
            work: called in the thread with the task, whose `cancelled` and `report` it may use.
            on_progress: called with what was reported last.
            on_done: called with the result. If it is a generator, it goes on at a later drain after a ``yield``
                whenever the time of a drain is over.
            on_error: called with what the work or `on_done` raised, `Cancelled` apart. Without it, `drain`
                raises it.

        Raises:
            RuntimeError: closed, or called from another thread.
        """
        self._check_thread()
        if self._is_closed:
            raise RuntimeError("no work can be started any more")
        older = self._newest.get(key)
        if older is not None:
            older.cancel()
        task = Task(key, self, work, on_progress, on_done, on_error)
        self._newest[key] = task
        if self._stop_timer is None:
            self._stop_timer = self._start_timer(self.drain, DRAIN_MILLISECONDS)
        # A daemon: the program's end waits for nobody.
        name = f"cardiac-motion-task-{next(self._numbers)}"
        threading.Thread(target=task._run, name=name, daemon=True).start()
        return task

    def drain(self, max_seconds: float = DRAIN_SECONDS) -> None:
        """Call back for what has come, at least one step, and then until the time is over.

        What a callback raises is raised here; the next drain goes on with what comes after it. A drain within a
        callback, as by a dialog that lets the timer run, does nothing.

        Raises:
            RuntimeError: called from another thread.
        """
        self._check_thread()
        if self._is_draining or self._is_closed:
            return
        self._is_draining = True
        end = self._clock() + max_seconds
        try:
            while self._step() and self._clock() < end:
                pass
        finally:
            self._is_draining = False
            self._rest()

    def close(self) -> None:
        """Cancel everything, for good. No thread outlives this by more than the call that it is in.

        Raises:
            RuntimeError: called from another thread.
        """
        self._check_thread()
        self._is_closed = True
        for task in self._newest.values():
            task._cancelled.set()
        self._drop_cancelled()
        self._newest.clear()
        self._rest()

    def _step(self) -> bool:
        """Do one thing; whether there was one to do."""
        try:
            event = self._events.get_nowait()
        except queue.Empty:
            return self._step_of_a_result()
        event()
        return not self._is_closed

    def _step_of_a_result(self) -> bool:
        self._drop_cancelled()
        if not self._finishing or self._is_closed:
            return False
        finish = self._finishing[0]
        try:
            is_over = finish.step()
        except BaseException:
            self._finishing.popleft()
            raise
        if is_over:
            finish.task._is_finished = True
            self._finishing.popleft()
        # One that was cancelled by its own step goes now, not at the next drain.
        self._drop_cancelled()
        return True

    def _drop_cancelled(self) -> None:
        gone = [finish for finish in self._finishing if finish.task.cancelled() and not finish.is_running]
        for finish in gone:
            # Removed first: its `finally` blocks may raise, or come back here.
            if finish in self._finishing:
                self._finishing.remove(finish)
                finish.close()

    def _rest(self) -> None:
        """Forget what is over; without anything to wait for, stop the timer."""
        self._newest = {key: task for key, task in self._newest.items() if not task.is_finished}
        if not self.is_busy and self._stop_timer is not None:
            stop, self._stop_timer = self._stop_timer, None
            stop()

    def _check_thread(self) -> None:
        if threading.get_ident() != self._thread:
            raise RuntimeError("expected the main thread: work reports, and the rest is done in its callbacks")
