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

from CardiacMotionLib.client.errors import Cancelled, ClientError, ServerUnreachable

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


class Pace:
    """How long the piece may take that a call waits for now; pieces are a few dozen kB.

    A limit of the socket alone would do nothing about a server that sends a byte now and then.

    Args:
        seconds: for one piece, sent or received.
        complaint: what is to be said where that was not enough.
    """

    def __init__(self, seconds: float, complaint: str) -> None:
        self.seconds, self.complaint = seconds, complaint
        self._since: float | None = None

    def begin(self) -> None:
        """The next piece is waited for."""
        self._since = time.monotonic()

    def end(self) -> None:
        """Nothing is waited for: what the caller does in between has all the time that it needs."""
        self._since = None

    @property
    def is_lost(self) -> bool:
        """Whether the piece takes too long; for any thread."""
        since = self._since
        return since is not None and time.monotonic() - since > self.seconds


class BreakableAdapter(HTTPAdapter):
    """Keeps hold of its connections, so that another thread can end one on which a call waits.

    Args:
        send_seconds: for a piece of a request. That of the connection's making, which urllib3 goes on with, is
            short, and would end uploads over slow lines.
    """

    def __init__(self, send_seconds: float) -> None:
        self._connections: weakref.WeakSet[HTTPConnection] = weakref.WeakSet()
        self._send_seconds = send_seconds
        super().__init__()

    def init_poolmanager(self, *given: Any, **named: Any) -> None:
        """Make the pools of connections, of our kind."""
        super().init_poolmanager(*given, **named)
        self.poolmanager.pool_classes_by_scheme = _pools(self._connections, self._send_seconds)

    def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
        """As `init_poolmanager`, for those that lead through a proxy."""
        manager = super().proxy_manager_for(proxy, **named)
        manager.pool_classes_by_scheme = _pools(self._connections, self._send_seconds)
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
    def watched(self, pace: Pace, cancelled: Cancel | None, patience: float = 0.0) -> Iterator[None]:
        """Break off what the block waits for once the caller wants no more, or it takes too long.

        Args:
            pace: asked ten times a second, by a thread of its own.
            cancelled: asked as often.
            patience: seconds that the block is still given once it is cancelled.

        Raises:
            Cancelled: in place of the error that this led to.
            ServerUnreachable: the same, where it took too long.
        """
        if not patience:
            check(cancelled)
        watch = _Watch(pace, cancelled, patience, self.break_off)
        try:
            yield
        except (ClientError, requests.RequestException, OSError):
            if watch.is_cancelled.is_set():
                raise Cancelled from None
            if watch.is_slow.is_set():
                raise ServerUnreachable(pace.complaint) from None
            raise
        finally:
            watch.end()


class _Watch:
    """A thread that breaks off what nobody wants any more, or what takes too long."""

    def __init__(
        self, pace: Pace, cancelled: Cancel | None, patience: float, break_off: Callable[[], None]
    ) -> None:
        self._pace, self._cancelled, self._patience, self._break_off = pace, cancelled, patience, break_off
        self._over, self.is_cancelled, self.is_slow = threading.Event(), threading.Event(), threading.Event()
        self._since: float | None = None
        self._thread = threading.Thread(target=self._run, name="cardiac-motion-cancel", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Watch no more."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            self._look()
            if self.is_cancelled.is_set() or self.is_slow.is_set():
                # Again and again: a connection may be in the making.
                self._break_off()

    def _look(self) -> None:
        if self._since is None and self._cancelled is not None and self._cancelled():
            self._since = time.monotonic()
        if self._since is not None and time.monotonic() - self._since >= self._patience:
            self.is_cancelled.set()
        elif self._pace.is_lost:
            self.is_slow.set()


def _pools(
    connections: weakref.WeakSet[HTTPConnection], send_seconds: float
) -> dict[str, type[HTTPConnectionPool]]:
    """The kinds of pools, by scheme.

    Args:
        connections: they add themselves to it.
        send_seconds: for a piece of a request.
    """

    class Plain(HTTPConnection):
        def connect(self) -> None:
            connections.add(self)
            super().connect()
            self.sock.settimeout(send_seconds)

    class Secure(HTTPSConnection):
        def connect(self) -> None:
            connections.add(self)
            super().connect()
            self.sock.settimeout(send_seconds)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
