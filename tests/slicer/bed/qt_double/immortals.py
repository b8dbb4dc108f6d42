"""PySide6 6.12 counts on True, False and None being immortal, which they are from Python 3.12 on.

In Python 3.11 every ``Signal.emit`` loses a reference to True and every call of a slot one to None, until the
interpreter frees them and dies. A few more references than a process could ever lose keep them alive.
"""

from __future__ import annotations

import ctypes
import sys

_MORE_THAN_EVER_LOST = 1 << 40
_done: list[bool] = []


def keep_singletons_alive() -> None:
    """Adds to the reference counts of True, False and None, once per process; nothing from Python 3.12 on."""
    if _done or sys.version_info >= (3, 12):
        return
    _done.append(True)
    for singleton in (True, False, None):
        ctypes.c_ssize_t.from_address(id(singleton)).value += _MORE_THAN_EVER_LOST
