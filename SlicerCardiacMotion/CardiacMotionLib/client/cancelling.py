"""How a call is broken off by whoever no longer wants it."""

from __future__ import annotations

import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from CardiacMotionLib.client.errors import Cancelled, ClientError

Cancel = Callable[[], bool]
"""Whether the caller wants no more of it, as `threading.Event.is_set`; asked often, also by another thread."""

_LOOK_SECONDS = 0.1


def check(cancelled: Cancel | None) -> None:
    """Raise `Cancelled` if the caller wants no more."""
    if cancelled is not None and cancelled():
        raise Cancelled


def pause(seconds: float, cancelled: Cancel | None) -> None:
    """Sleep, but not on when the caller wants no more; then raise `Cancelled`."""
    end = time.monotonic() + seconds
    check(cancelled)
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, _LOOK_SECONDS))
        check(cancelled)


class BreakableAdapter(HTTPAdapter):
    """Keeps hold of its connections, so that another thread can end one on which a call waits."""

    def __init__(self) -> None:
        self._connections: weakref.WeakSet[HTTPConnection] = weakref.WeakSet()
        super().__init__()

    def init_poolmanager(self, *given: Any, **named: Any) -> None:
        """Make the pools of connections, of our kind."""
        super().init_poolmanager(*given, **named)
        self.poolmanager.pool_classes_by_scheme = _pools(self._connections)

    def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
        """As `init_poolmanager`, for those that lead through a proxy."""
        manager = super().proxy_manager_for(proxy, **named)
        manager.pool_classes_by_scheme = _pools(self._connections)
        return manager

    def break_off(self) -> None:
        """Shut all connections down, from any thread; who reads or writes one gets an error at once."""
        for connection in list(self._connections):
            kept = connection.sock
            if kept is not None:
                with suppress(OSError):
                    # Of the plain socket: that of TLS would take its state from under the thread that uses it.
                    socket.socket.shutdown(kept, socket.SHUT_RDWR)

    @contextmanager
    def broken_off_when(self, cancelled: Cancel | None, patience: float = 0.0) -> Iterator[None]:
        """Break off what the block waits for once the caller wants no more.

        Args:
            cancelled: asked ten times a second, by a thread of its own.
            patience: seconds that the block is still given then.

        Raises:
            Cancelled: in place of the error that this led to.
        """
        if cancelled is None:
            yield
            return
        if not patience:
            check(cancelled)
        over, is_broken = threading.Event(), threading.Event()

        def watch() -> None:
            since: float | None = None
            while not over.wait(_LOOK_SECONDS):
                if since is None and cancelled():
                    since = time.monotonic()
                if since is not None and time.monotonic() - since >= patience:
                    is_broken.set()
                    # Again and again: a connection may be in the making.
                    self.break_off()

        watcher = threading.Thread(target=watch, name="cardiac-motion-cancel", daemon=True)
        watcher.start()
        try:
            yield
        except (ClientError, requests.RequestException, OSError):
            if is_broken.is_set():
                raise Cancelled from None
            raise
        finally:
            over.set()
            watcher.join()


def _pools(connections: weakref.WeakSet[HTTPConnection]) -> dict[str, type[HTTPConnectionPool]]:
    """The kinds of pools, by scheme, whose connections add themselves to a set."""

    class Plain(HTTPConnection):
        def connect(self) -> None:
            connections.add(self)
            super().connect()

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            connections.add(self)
            super().connect()

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
