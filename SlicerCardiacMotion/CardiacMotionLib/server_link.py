"""The server that the module talks to: where it is, and what it offers."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from CardiacMotionLib.background import Task, Tasks
from CardiacMotionLib.client import Client, ClientError, Offer, ServerRefused
from CardiacMotionLib.errors import InputError
from CardiacMotionLib.signals import Signal

_KEY = "connect"


@dataclass(frozen=True)
class Target:
    """Where a server is.

    Attributes:
        address: as ``http://127.0.0.1:8000``.
        token: that it asks for, or None.
        certificates: file with certificates to trust, or None for the usual ones.
        timeout: seconds until there is a connection, and of silence.
    """

    address: str
    token: str | None = None
    certificates: Path | None = None
    timeout: tuple[float, float] = (5.0, 60.0)

    def __repr__(self) -> str:
        return f"Target({self.address!r})"

    @property
    def is_in_the_clear(self) -> bool:
        """Whether token and images would cross a network unencrypted; False for what is no address."""
        try:
            parts = urlsplit(self.address)
        except ValueError:
            return False
        host = parts.hostname or ""
        return parts.scheme == "http" and bool(host) and not _is_this_machine(host)

    def client(self) -> Client:
        """A new client; for one thread.

        Raises:
            BadCall: the address is none.
        """
        return Client(self.address, token=self.token, timeout=self.timeout, verify=self.certificates or True)

    def check(self) -> None:
        """Whether a server could be there; nothing is sent.

        Raises:
            BadCall: the address is none.
            InputError: the file holds no certificates, or cannot be read.
        """
        self.client().close()
        if self.certificates is None:
            return
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(self.certificates)
        except OSError as error:
            # Of ssl, what is no certificate is an OSError too, and its own words say little.
            why = "it holds none" if isinstance(error, ssl.SSLError) else error.strerror
            raise InputError(f"expected a file with certificates (PEM) at {self.certificates}: {why}") from error


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".") == "localhost"


OnGone = Callable[[], None]
"""Called where the server turns out not to have the image of a case any more."""


def failing(failed: Signal[BaseException], on_gone: OnGone | None) -> Callable[[BaseException], None]:
    """What is done about an error: it is told, or `on_gone` is called where that can help."""

    def fail(error: BaseException) -> None:
        if on_gone is None or not (isinstance(error, ServerRefused) and error.is_missing_image):
            failed.emit(error)
            return
        try:
            on_gone()
        except (InputError, ClientError, OSError) as other:
            failed.emit(other)

    return fail


class ServerLink:
    """Connects to a server, and remembers what it offers. Nothing is sent before `connect` is called.

    Args:
        tasks: runs the work.

    Attributes:
        changed: emitted with the offer, or None when there is no connection any more.
        failed: emitted with what went wrong.
    """

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self.changed: Signal[Offer | None] = Signal()
        self.failed: Signal[BaseException] = Signal()
        self._target: Target | None = None
        self._offer: Offer | None = None

    @property
    def offer(self) -> Offer | None:
        """What the server offers; None without a connection."""
        return self._offer

    @property
    def target(self) -> Target:
        """Where the server is.

        Raises:
            InputError: there is no connection.
        """
        if self._target is None or self._offer is None:
            raise InputError("expected a connection to a server; connect first")
        return self._target

    @property
    def current_target(self) -> Target | None:
        """Where the server is; None without a connection."""
        return self._target if self._offer is not None else None

    @property
    def is_connecting(self) -> bool:
        """Whether the server's answer is waited for."""
        return self._tasks.newest(_KEY) is not None

    def connect(self, target: Target) -> None:
        """Ask a server what it offers.

        Raises:
            BadCall: the address is none.
            InputError: the file holds no certificates, or cannot be read.
        """
        target.check()
        self.disconnect()

        def work(task: Task[Offer]) -> Offer:
            with target.client() as client:
                return client.offer(cancelled=task.cancelled)

        def done(offer: Offer) -> None:
            self._target, self._offer = target, offer
            self.changed.emit(offer)

        self._tasks.start(_KEY, work, on_done=done, on_error=self.failed.emit)

    def disconnect(self) -> None:
        """Forget the server."""
        task = self._tasks.newest(_KEY)
        if task is not None:
            task.cancel()
        had_offer, self._target, self._offer = self._offer is not None, None, None
        if had_offer:
            self.changed.emit(None)
