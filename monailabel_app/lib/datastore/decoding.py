"""How many strangers' files are decoded at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Decoding:
    """So many threads at once, others wait; a thread that is inside may enter again.

    What is decoded takes many times the memory of its file, and a stranger's file says itself how much.
    """

    def __init__(self, at_once: int) -> None:
        self._free = threading.BoundedSemaphore(at_once)
        self._mine = threading.local()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Wait for a place, and have it for the block."""
        if getattr(self._mine, "inside", False):
            yield
            return
        with self._free:
            self._mine.inside = True
            try:
                yield
            finally:
                self._mine.inside = False
