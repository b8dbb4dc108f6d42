"""HTTP as the client needs it: an address, a token, time limits, errors of our own."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import requests
from cardiac_motion.atomic import atomic_path
from cardiac_motion.errors import InputError
from requests.auth import AuthBase

from monailabel_app.client.answers import parse_refusal
from monailabel_app.client.errors import BadAnswer, ServerUnreachable

T = TypeVar("T")
Query = Mapping[str, str | int | None]

PAUSES = (0.2, 0.6)
"""Seconds before each new attempt, for calls that may be made twice."""

_CHUNK_BYTES = 2**18
_ERROR_BYTES = 2**16
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class _Bearer(AuthBase):
    """The token, as a requests' authentication: nothing in the user's .netrc then takes its place."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class _Broken(ServerUnreachable):
    """A connection that was refused, or broke: another attempt may succeed."""


class Connection:
    """Requests to one server. Threads must not share it.

    Args:
        address: as ``http://127.0.0.1:8000``.
        token: that the server asks for, or None.
        timeout: seconds until there is a connection, and between two pieces of an answer.

    Raises:
        InputError: no address of a server, or a token that cannot be sent.
    """

    def __init__(self, address: str, token: str | None, timeout: tuple[float, float]) -> None:
        self.address = _checked_address(address)
        if token is not None and not (token and token.isascii() and token.isprintable() and " " not in token):
            raise InputError("expected a token of printable ASCII characters without spaces")
        self._timeout = timeout
        self._session = requests.Session()
        self._session.auth = _Bearer(token)
        if urlsplit(self.address).hostname in _LOOPBACK:
            # No proxy leads to this machine.
            self._session.trust_env = False

    def close(self) -> None:
        """Close connections that are kept open."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        *,
        data: Any = None,
        content_type: str | None = None,
    ) -> Iterator[requests.Response]:
        with self._reaching():
            response = self._session.request(
                method,
                f"{self.address}{path}",
                params=query,
                data=data,
                headers={} if content_type is None else {"Content-Type": content_type},
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            )
            with response:
                if response.status_code >= 400:
                    error = next(response.iter_content(_ERROR_BYTES), b"")
                    raise parse_refusal(response.status_code, error)
                if response.status_code >= 300:
                    # A token must not follow to wherever that leads.
                    raise BadAnswer(
                        f"expected {self.address} to answer, it redirects (status {response.status_code})"
                    )
                yield response

    def call(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        *,
        data: Any = None,
        content_type: str | None = None,
    ) -> tuple[bytes, str]:
        """One request: the content of its answer, and the type of that.

        Args:
            method: of HTTP.
            path: from the address on.
            query: None values are left out.
            data: the body; a `MultipartEncoder` is sent piece by piece.
            content_type: of the body.

        Raises:
            ClientError: whatever went wrong.
        """
        with self._answer(method, path, query, data=data, content_type=content_type) as response:
            return response.content, response.headers.get("Content-Type", "")

    def get(self, path: str, query: Query | None = None) -> tuple[bytes, str]:
        """`call` with GET, made again if the connection breaks."""
        return repeated(lambda: self.call("GET", path, query))

    def download(self, path: str, query: Query, to: Path) -> None:
        """Get a file, whole or not at all; made again if the connection breaks.

        Raises:
            ClientError: whatever went wrong.
            InputError: the file cannot be written.
        """

        def once() -> None:
            with (
                self._answer("GET", path, query) as response,
                atomic_path(to) as temporary,
                temporary.open("wb") as file,
                # Within the other one, to which an error of the network is one of the disk.
                self._reaching(),
            ):
                for chunk in response.iter_content(_CHUNK_BYTES):
                    file.write(chunk)

        repeated(once)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Errors of the network as our own."""
        try:
            yield
        except requests.ConnectTimeout as error:
            raise _Broken(f"no connection to {self.address} within {self._timeout[0]:g} s") from error
        except requests.Timeout as error:
            raise ServerUnreachable(
                f"the server at {self.address} fell silent for {self._timeout[1]:g} s"
            ) from error
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            reason = _reason(error)
            kind = ServerUnreachable if reason is _SILENT else _Broken
            raise kind(f"the server at {self.address} cannot be reached: {reason}") from error
        except requests.RequestException as error:
            raise BadAnswer(
                f"expected an answer of {self.address} by the rules of HTTP, got one that breaks them: "
                f"{type(error).__name__}"
            ) from error


def repeated(call: Callable[[], T]) -> T:
    """Make a call, again after a pause if the connection breaks; only for calls that may be made twice."""
    for pause in PAUSES:
        try:
            return call()
        except _Broken:
            time.sleep(pause)
    return call()


_SILENT = "it fell silent"
_INCOMPLETE = "the connection broke before the answer was complete"


def _reason(error: BaseException) -> str:
    """What the operating system said, of all the errors that led to this one."""
    reason = _INCOMPLETE
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, TimeoutError):
            return _SILENT
        if isinstance(cause, socket.gaierror):
            return "its name is not known"
        if isinstance(cause, OSError) and cause.strerror:
            reason = cause.strerror
        cause = cause.__cause__ or cause.__context__
    return reason


def _checked_address(address: str) -> str:
    try:
        parts = urlsplit(address)
        known = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        known = False
    if not known or parts.username is not None or parts.query or parts.fragment:
        # Not the address itself: a user name and password in it are nobody's business.
        raise InputError("expected the address of a server as http://HOST:PORT or https://HOST/PATH")
    return address.rstrip("/")
