"""HTTP as it goes over the wire: a client library would refuse, mend or normalise what is sent here."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 60.0
"""A server that hangs is found out after this."""

BOUNDARY = "----hostile-boundary"
_CHUNK_BYTES = 2**16

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Reply:
    """An answer.

    Attributes:
        status: 0 where the server closed the connection without an answer.
        headers: names in lower case; of several with one name, all values with commas.
        body: whole.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON; ValueError where it is none, NaN and infinity included."""

        def refuse(name: str) -> None:
            raise ValueError(f"{name} is no JSON")

        return json.loads(self.body.decode("utf-8"), parse_constant=refuse)


NO_REPLY = Reply(0, {}, b"")


@dataclass(frozen=True)
class Part:
    """One part of a form.

    Attributes:
        name: of the field.
        value: its content.
        filename: makes it a file.
        content_type: of the part.
    """

    name: str
    value: bytes
    filename: str | None = None
    content_type: str | None = None


def form(parts: Iterable[Part], boundary: str = BOUNDARY) -> bytes:
    """A multipart/form-data body; names are written as they are."""
    lines = []
    for part in parts:
        head = f'Content-Disposition: form-data; name="{part.name}"'
        if part.filename is not None:
            head += f'; filename="{part.filename}"'
        if part.content_type is not None:
            head += f"\r\nContent-Type: {part.content_type}"
        lines.append(f"--{boundary}\r\n{head}\r\n\r\n".encode() + part.value + b"\r\n")
    return b"".join(lines) + f"--{boundary}--\r\n".encode()


def form_headers(boundary: str = BOUNDARY) -> Headers:
    """What goes with `form`."""
    return (("Content-Type", f"multipart/form-data; boundary={boundary}"),)


def head(method: str, target: str, headers: Headers) -> bytes:
    """Request line and headers; text is sent as Latin-1 where it has that, else as UTF-8."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
    text = "\r\n".join(lines)
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8")


def with_defaults(headers: Headers, host: str, body: bytes | None) -> Headers:
    """The headers with Host, Connection and Content-Length where they are not there already."""
    given = {name.lower() for name, _ in headers}
    added = []
    if "host" not in given:
        added.append(("Host", host))
    if "connection" not in given:
        added.append(("Connection", "close"))
    if body is not None and not given & {"content-length", "transfer-encoding"}:
        added.append(("Content-Length", str(len(body))))
    return (*added, *headers)


def host_of(address: str) -> tuple[str, int]:
    """Name and port of an address http://name:port."""
    parts = urlsplit(address)
    if parts.hostname is None or parts.port is None:
        raise ValueError(f"expected http://name:port, got {address}")
    return parts.hostname, parts.port


def exchange(address: str, data: bytes, *, method: str = "GET", hang_up: bool = False) -> Reply:
    """Send bytes and read one answer.

    Args:
        address: of the server.
        data: as they are.
        method: an answer to HEAD has no body.
        hang_up: leave without waiting for an answer.
    """
    with socket.create_connection(host_of(address), timeout=TIMEOUT_SECONDS) as connection:
        try:
            for start in range(0, len(data), _CHUNK_BYTES):
                connection.sendall(data[start : start + _CHUNK_BYTES])
        except ConnectionError:
            # Refused before the end; the answer may be there.
            pass
        return NO_REPLY if hang_up else read_reply(connection, method)


def read_reply(connection: socket.socket, method: str) -> Reply:
    """One answer from a connection."""
    answer = http.client.HTTPResponse(connection, method=method)
    try:
        answer.begin()
        body = answer.read()
    except (http.client.HTTPException, ConnectionError):
        return NO_REPLY
    finally:
        answer.close()
    headers: dict[str, str] = {}
    for name, value in answer.getheaders():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return Reply(answer.status, headers, body)


def request(address: str, method: str, target: str, *, headers: Headers = (), body: bytes | None = None) -> Reply:
    """An ordinary request."""
    name, port = host_of(address)
    whole = head(method, target, with_defaults(headers, f"{name}:{port}", body)) + (body or b"")
    return exchange(address, whole, method=method)
