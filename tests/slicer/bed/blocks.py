"""How long the main thread is blocked at a time by what the module does; for every test of the panel and session.

A block is what the thread does without going back to the event loop to wait: one round of the event loop (slots,
timers, painting), or a slot or an observer that a test sets off by pressing a button or changing a node. What
tests do themselves, as making nodes by hand, is not counted.

Its length is wall-clock time less what is nobody's fault: the time in which the thread was ready and others had
the cores (Linux tells it), and Python's garbage collection, which in a test process goes through everything that
was ever imported. Computing, reading, sleeping and waiting for a lock or an answer all count, however busy the
machine is. Where the system does not tell how long a thread waited for a core, only its processor time is counted;
waiting in the main thread is not seen there.
"""

from __future__ import annotations

import functools
import gc
import importlib
import inspect
import os
import pkgutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any


class OwnTime:
    """A clock that stands still while others have the cores, and while garbage is collected. Main thread only."""

    def __init__(self) -> None:
        try:
            # Of the thread that opens it; read anew at each look.
            self._file: int | None = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        except OSError:
            self._file = None
        self._collecting, self._collected = 0.0, 0.0
        gc.callbacks.append(self._on_collection)

    def seconds(self) -> float:
        """Now."""
        return self._running() - self._collected

    def close(self) -> None:
        """Count no more."""
        gc.callbacks.remove(self._on_collection)
        if self._file is not None:
            os.close(self._file)

    def _running(self) -> float:
        if self._file is None:
            return time.thread_time()
        waited = int(os.pread(self._file, 80, 0).split()[1]) / 1e9
        return time.perf_counter() - waited

    def _on_collection(self, phase: str, _info: object) -> None:
        if phase == "start":
            self._collecting = self._running()
        else:
            self._collected += self._running() - self._collecting


class Blocks:
    """Finds the longest block while it is open; the thread that makes it is the main one."""

    def __init__(self) -> None:
        self.longest = 0.0
        """Seconds."""
        self.what = ""
        """What was going on then."""
        self.longest_wall = 0.0
        """Seconds of the longest block with what is left out of `longest`."""
        self._clock = OwnTime()
        self._thread = threading.get_ident()
        self._is_inside = False

    def close(self) -> None:
        """Look no more."""
        self._clock.close()

    @contextmanager
    def inside(self, what: str) -> Iterator[None]:
        """What happens in here is one block, or part of the one around it."""
        if self._is_inside or threading.get_ident() != self._thread:
            yield
            return
        self._is_inside = True
        start, wall = self._clock.seconds(), time.perf_counter()
        try:
            yield
        finally:
            self._is_inside = False
            block = self._clock.seconds() - start
            self.longest_wall = max(self.longest_wall, time.perf_counter() - wall)
            if block > self.longest:
                self.longest, self.what = block, what


_open: list[Blocks] = []


@contextmanager
def measured() -> Iterator[Blocks]:
    """Have every block be looked at."""
    blocks = Blocks()
    _open.append(blocks)
    try:
        yield blocks
    finally:
        _open.remove(blocks)
        blocks.close()


@contextmanager
def inside(what: str) -> Iterator[None]:
    """A part of a block, if anybody looks; see `Blocks.inside`."""
    if not _open:
        yield
        return
    with _open[-1].inside(what):
        yield


@contextmanager
def observers_watched() -> Iterator[None]:
    """Have the module's observers count where a test's own change of a node sets them off.

    They are the methods whose last argument is the event. VTK calls them, and nothing can be put between.
    """
    observers = _observers()
    for cls, name, function in observers:
        setattr(cls, name, _counted(function))
    try:
        yield
    finally:
        for cls, name, function in observers:
            setattr(cls, name, function)


@functools.cache
def _observers() -> list[tuple[type, str, Callable[..., Any]]]:
    library: Any = importlib.import_module("CardiacMotionLib")
    names = [each.name for each in pkgutil.walk_packages(library.__path__, "CardiacMotionLib.")]
    found: list[tuple[type, str, Callable[..., Any]]] = []
    for module in map(importlib.import_module, ["CardiacMotion", *names]):
        for cls in _classes(module):
            for name, function in vars(cls).items():
                if inspect.isfunction(function) and list(inspect.signature(function).parameters)[-1:] == [
                    "_event"
                ]:
                    found.append((cls, name, function))
    return found


def _classes(module: ModuleType) -> list[type]:
    return [each for each in vars(module).values() if inspect.isclass(each) and each.__module__ == module.__name__]


def _counted(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*values: Any) -> Any:
        with inside(function.__qualname__):
            return function(*values)

    return call
