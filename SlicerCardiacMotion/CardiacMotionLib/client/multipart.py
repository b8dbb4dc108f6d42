"""Reads a ``multipart/form-data`` answer (RFC 7578) piece by piece, without ever holding all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from typing import BinaryIO

from CardiacMotionLib.client.errors import BadAnswer, printable

_MAX_HEADER_BYTES = 2**14


@dataclass(frozen=True)
class PartName:
    """What the header of a part says.

    Attributes:
        name: of the field; "" without one.
        filename: as it was sent; "" without one.
    """

    name: str
    filename: str


def read_form(pieces: Iterable[bytes], content_type: str, target: Callable[[PartName], BinaryIO | None]) -> None:
    """Write the parts of a form to files.

    Args:
        pieces: of the form, of any length.
        content_type: with the boundary.
        target: gives the file for a part, or None for one that is left out.

    Raises:
        BadAnswer: no form, or one that breaks off.
    """
    boundary = _boundary(content_type)
    incoming = iter(pieces)
    # Every boundary begins a line, the first one too if there is nothing before it.
    buffer = _Buffer(incoming, b"\r\n")
    delimiter = b"\r\n--" + boundary
    for _ in buffer.until(delimiter):
        pass  # what comes before the first part means nothing
    while True:
        after = buffer.take(2)
        if after == b"--":
            break
        # White space may follow a boundary.
        rest = after if after == b"\r\n" else after + buffer.line()
        if rest.strip():
            raise BadAnswer("expected a line's end after the boundary of a form, got something else")
        file = target(_part_name(buffer.head()))
        for content in buffer.until(delimiter):
            if file is not None:
                file.write(content)
    for _ in incoming:
        pass  # so that the connection can be used again


class _Buffer:
    """Bytes that have come and were not taken yet."""

    def __init__(self, incoming: Iterator[bytes], held: bytes) -> None:
        self._incoming, self._held, self._n_bytes = incoming, bytearray(held), 0

    def _more(self) -> None:
        piece = next(self._incoming, None)
        if piece is None:
            raise BadAnswer(f"expected an answer with an end, got {self._n_bytes} bytes that break off")
        self._n_bytes += len(piece)
        self._held += piece

    def take(self, n_bytes: int) -> bytes:
        while len(self._held) < n_bytes:
            self._more()
        taken = bytes(self._held[:n_bytes])
        del self._held[:n_bytes]
        return taken

    def until(self, mark: bytes) -> Iterator[bytes]:
        """What comes before the mark; the mark itself is taken too."""
        while (at := self._held.find(mark)) < 0:
            # The beginning of the mark may be there already.
            settled = len(self._held) - len(mark) + 1
            if settled > 0:
                yield self.take(settled)
            self._more()
        if at:
            yield self.take(at)
        self.take(len(mark))

    def line(self) -> bytes:
        """The rest of a line."""
        return self._short(b"\r\n")

    def head(self) -> bytes:
        """The headers of a part, which may be none."""
        # Without any, the empty line that ends them is the first one.
        self._held[:0] = b"\r\n"
        return self._short(b"\r\n\r\n").removeprefix(b"\r\n")

    def _short(self, mark: bytes) -> bytes:
        found = bytearray()
        for piece in self.until(mark):
            found += piece
            if len(found) > _MAX_HEADER_BYTES:
                raise BadAnswer(f"expected headers of at most {_MAX_HEADER_BYTES} bytes in a form, got more")
        return bytes(found)


def _boundary(content_type: str) -> bytes:
    message = Message()
    message["Content-Type"] = content_type.replace("\r", " ").replace("\n", " ")
    boundary = message.get_boundary()
    if message.get_content_type() != "multipart/form-data" or not boundary or not boundary.isascii():
        raise BadAnswer(
            f"expected parameters and a file as multipart/form-data, got {printable(content_type) or 'no type'!r}"
        )
    return boundary.encode()


def _part_name(head: bytes) -> PartName:
    message = HeaderParser().parsestr(head.decode("utf-8", "replace"))
    name = message.get_param("name", header="Content-Disposition")
    return PartName(name if isinstance(name, str) else "", message.get_filename(""))
