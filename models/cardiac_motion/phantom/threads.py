"""One thread for many small operations."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_lock = threading.Lock()
_inside = 0
_before = 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread inside the block, then as many as before.

    A phantom is made of thousands of operations that take microseconds each. Threads that share one of them wait
    for each other longer than they work, many times longer when the machine has other things to do.
    """
    global _inside, _before  # noqa: PLW0603 - torch's number of threads is itself global
    with _lock:
        if _inside == 0:
            _before = torch.get_num_threads()
            torch.set_num_threads(1)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                torch.set_num_threads(_before)
