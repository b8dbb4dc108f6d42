"""Who may write: everyone, until the server ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from cardiac_motion.errors import InputError

from monailabel_app.lib.errors import Stopping, Unprocessable


class Gate:
    """Lets threads write until it is shut for good. Any number may be inside at once, each more than once.

    A block under ``with gate:`` is a commit: one that has begun ends although the gate is shut meanwhile.

    Raises:
        Stopping: on entering, once it is shut.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside: dict[int, int] = {}
        self._is_shut = False

    def __enter__(self) -> None:
        thread = threading.get_ident()
        with self._changed:
            self._check(thread)
            self._inside[thread] = self._inside.get(thread, 0) + 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        thread = threading.get_ident()
        with self._changed:
            self._inside[thread] -= 1
            if not self._inside[thread]:
                del self._inside[thread]
                self._changed.notify_all()

    def check(self) -> None:
        """Raise Stopping if a commit that begins now would."""
        with self._changed:
            self._check(threading.get_ident())

    def shut(self, seconds: float) -> bool:
        """Let nobody in any more, and wait for those inside; whether all have left in time."""
        with self._changed:
            self._is_shut = True
            return self._changed.wait_for(lambda: not self._inside, seconds)

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Make trouble with files after the gate was shut Stopping: that is why they are gone."""
        try:
            yield
        except (OSError, InputError, Unprocessable) as error:
            if self._is_shut:
                raise _stopping() from error
            raise

    def _check(self, thread: int) -> None:
        if self._is_shut and thread not in self._inside:
            raise _stopping()


def _stopping() -> Stopping:
    return Stopping("the server is being stopped; nothing was saved")
