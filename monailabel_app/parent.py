"""Notices that the process that started this one is gone, however it went."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LOOK_SECONDS = 0.25
_STDIN = 0


@contextmanager
def when_parent_ends(call: Callable[[], None], *, stdin: int = _STDIN) -> Iterator[None]:
    """Call something once, from another thread, when our parent has ended or has closed our standard input.

    The end of the standard input tells it everywhere, unless a third process holds its other end too; where there
    is POSIX, the id of the parent is looked at as well.

    Args:
        call: from any thread; not called any more when the block has ended.
        stdin: descriptor of a pipe that our parent holds the other end of; what comes through is thrown away.
    """
    over = threading.Event()
    target = _watch_closely if os.name == "posix" else _watch_stdin
    watcher = threading.Thread(target=target, args=(call, over, stdin), name="parent-watch", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        if os.name == "posix":
            # Elsewhere it may be reading, which nothing ends but our own end.
            watcher.join()


def _watch_closely(call: Callable[[], None], over: threading.Event, stdin: int) -> None:
    parent = os.getppid()
    while not over.is_set():
        readable, _, _ = select.select([stdin], [], [], _LOOK_SECONDS)
        if os.getppid() != parent or (readable and _is_at_end(stdin)):
            call()
            return


def _watch_stdin(call: Callable[[], None], over: threading.Event, stdin: int) -> None:
    while not _is_at_end(stdin):
        pass
    if not over.is_set():
        call()


def _is_at_end(stdin: int) -> bool:
    try:
        return not os.read(stdin, 2**12)
    except OSError:
        # Closed, or broken: nobody is there any more.
        return True
