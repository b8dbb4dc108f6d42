"""HTTP as the client needs it: an address, a token, time limits, errors of our own."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase

from CardiacMotionLib.client.answers import parse_refusal
from CardiacMotionLib.client.cancelling import BreakableAdapter, Cancel, Pace, check, pause
from CardiacMotionLib.client.errors import BadAnswer, BadCall, ServerUnreachable
from CardiacMotionLib.client.files import whole_file
from CardiacMotionLib.client.forms import ByteProgress, FormBody

T = TypeVar("T")
Query = Mapping[str, str | int | None]

PAUSES = (0.2, 0.6)
"""Seconds before each new attempt, for calls that may be made twice."""

_CHUNK_BYTES = 2**16
_SLOW = 2.0
"""A piece may take so many times as long as a silence: 0.5 kB a second at the usual limit."""
_ERROR_BYTES = 2**16
_JSON_BYTES = 2**26
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
        timeout: seconds until there is a connection, and of silence.
        verify: True, or a file with certificates of authorities to trust instead of the usual ones.

    Raises:
        BadCall: no address of a server, a token that cannot be sent, or no such file.
    """

    def __init__(
        self, address: str, token: str | None, timeout: tuple[float, float], verify: bool | Path = True
    ) -> None:
        self.address = _checked_address(address)
        if token is not None and not (token and token.isascii() and token.isprintable() and " " not in token):
            raise BadCall("expected a token of printable ASCII characters without spaces")
        self._timeout, self._verify = timeout, _checked_authorities(verify)
        self._session = requests.Session()
        self._session.auth = _Bearer(token)
        # Files are compressed already, and their length is to be known.
        self._session.headers["Accept-Encoding"] = "identity"
        self._adapter = BreakableAdapter(timeout[1])
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, self._adapter)
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
    def answer(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        *,
        body: bytes | FormBody | None = None,
        content_type: str | None = None,
        cancelled: Cancel | None = None,
        patience: float = 0.0,
    ) -> Iterator[Answer]:
        """One request, and its answer while it comes.

        Args:
            method: of HTTP.
            path: from the address on.
            query: None values are left out.
            body: of the request.
            content_type: of the body.
            cancelled: whether the caller wants no more of it.
            patience: seconds that the request is still given then.

        Raises:
            ClientError: whatever went wrong.
            Cancelled: the caller wanted no more; the request may have been done all the same.
        """
        pace = Pace(
            _SLOW * self._timeout[1],
            f"the server at {self.address} is too slow: less than {_CHUNK_BYTES // 1024} kB "
            f"within {_SLOW * self._timeout[1]:g} s",
        )
        with self._adapter.watched(pace, cancelled, patience), self._reaching():
            pace.begin()
            response = self._session.request(
                method,
                f"{self.address}{path}",
                params=query,
                data=_Paced(body, pace) if isinstance(body, FormBody) else body,
                headers={} if content_type is None else {"Content-Type": content_type},
                timeout=self._timeout,
                verify=self._verify,
                allow_redirects=False,
                stream=True,
            )
            with response:
                if response.status_code >= 400:
                    error = next(response.iter_content(_ERROR_BYTES), b"")
                    raise parse_refusal(response.status_code, error, response.headers.get("Retry-After"))
                if response.status_code >= 300:
                    # A token must not follow to wherever that leads.
                    raise BadAnswer(
                        f"expected {self.address} to answer, it redirects (status {response.status_code})"
                    )
                pace.end()
                yield Answer(response, cancelled if not patience else None, self._reaching, pace)

    def call(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        *,
        body: bytes | FormBody | None = None,
        content_type: str | None = None,
        cancelled: Cancel | None = None,
        patience: float = 0.0,
    ) -> bytes:
        """`answer`, all of it; for short ones."""
        with self.answer(
            method, path, query, body=body, content_type=content_type, cancelled=cancelled, patience=patience
        ) as answer:
            return answer.read()

    def get(self, path: str, query: Query | None = None, *, cancelled: Cancel | None = None) -> bytes:
        """`call` with GET, made again if the connection breaks."""
        return repeated(lambda: self.call("GET", path, query, cancelled=cancelled), cancelled)

    def download(
        self,
        path: str,
        query: Query,
        to: Path,
        *,
        progress: ByteProgress | None = None,
        cancelled: Cancel | None = None,
    ) -> None:
        """Get a file, whole or not at all; made again if the connection breaks.

        Raises:
            ClientError: whatever went wrong.
            BadCall: the file cannot be written.
            Cancelled: the caller wanted no more.
        """

        def once() -> None:
            with whole_file(to) as file, self.answer("GET", path, query, cancelled=cancelled) as answer:
                done = 0
                for chunk in answer.pieces():
                    file.write(chunk)
                    done += len(chunk)
                    if progress is not None:
                        progress(done, answer.n_bytes)

        repeated(once, cancelled)

    @property
    def _silence(self) -> str:
        return f"the server at {self.address} fell silent for {self._timeout[1]:g} s"

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Errors of the network as our own."""
        try:
            yield
        except requests.ConnectTimeout as error:
            raise _Broken(f"no connection to {self.address} within {self._timeout[0]:g} s") from error
        except requests.Timeout as error:
            raise ServerUnreachable(self._silence) from error
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            if any(isinstance(cause, TimeoutError) for cause in _causes(error)):
                raise ServerUnreachable(self._silence) from error
            kind, reason = _why(error)
            raise kind(f"the server at {self.address} cannot be reached: {reason}") from error
        except requests.RequestException as error:
            raise BadAnswer(
                f"expected an answer of {self.address} by the rules of HTTP, got one that breaks them: "
                f"{type(error).__name__}"
            ) from error


class _Paced:
    """A form whose pieces are waited for one by one."""

    def __init__(self, body: FormBody, pace: Pace) -> None:
        self._body, self._pace = body, pace

    def __len__(self) -> int:
        return len(self._body)

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._body:
            self._pace.begin()
            yield piece
        self._pace.begin()


class Answer:
    """The content of an answer, as it comes.

    Attributes:
        content_type: of it.
        n_bytes: its length, or None if that is not known.
    """

    def __init__(
        self,
        response: requests.Response,
        cancelled: Cancel | None,
        reaching: Callable[[], AbstractContextManager[None]],
        pace: Pace,
    ) -> None:
        self._response, self._cancelled, self._reaching, self._pace = response, cancelled, reaching, pace
        headers = response.headers
        self.content_type: str = headers.get("Content-Type", "")
        length = headers.get("Content-Length", "")
        self.n_bytes = int(length) if length.isdecimal() and "Content-Encoding" not in headers else None

    def pieces(self) -> Iterator[bytes]:
        """The content in pieces; errors of the network are our own, whatever else is open around them."""
        pieces = self._response.iter_content(_CHUNK_BYTES)
        while True:
            check(self._cancelled)
            with self._reaching():
                self._pace.begin()
                piece = next(pieces, None)
                self._pace.end()
            if piece is None:
                return
            yield piece

    def read(self) -> bytes:
        """All of a short answer."""
        content = bytearray()
        for piece in self.pieces():
            content += piece
            if len(content) > _JSON_BYTES:
                raise BadAnswer(f"expected an answer of at most {_JSON_BYTES} bytes, got a longer one")
        return bytes(content)


def repeated(call: Callable[[], T], cancelled: Cancel | None = None) -> T:
    """Make a call, again after a pause if the connection breaks; only for calls that may be made twice."""
    for seconds in PAUSES:
        try:
            return call()
        except _Broken:
            pause(seconds, cancelled)
    return call()


_INCOMPLETE = "the connection broke before the answer was complete"


def _why(error: BaseException) -> tuple[type[ServerUnreachable], str]:
    """What the operating system said, of all the errors that led to this one, and whether to try again."""
    reason = _INCOMPLETE
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ServerUnreachable, f"its certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return ServerUnreachable, f"no encrypted connection: {cause.reason or cause.strerror}"
        if isinstance(cause, socket.gaierror):
            return _Broken, "its name is not known"
        if isinstance(cause, OSError) and cause.strerror:
            reason = cause.strerror
    return _Broken, reason


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and those that led to it."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _checked_authorities(verify: bool | Path) -> bool | str:
    if verify is False:
        raise BadCall("expected a server's certificate to be checked: name a file with its authority's instead")
    if verify is True:
        return True
    if not verify.is_file():
        raise BadCall(f"expected a file with certificates to trust, there is none at {verify}")
    return str(verify)


def _checked_address(address: str) -> str:
    try:
        parts = urlsplit(address)
        known = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        known = False
    if not known or parts.username is not None or parts.query or parts.fragment:
        # Not the address itself: a user name and password in it are nobody's business.
        raise BadCall("expected the address of a server as http://HOST:PORT or https://HOST/PATH")
    return address.rstrip("/")
