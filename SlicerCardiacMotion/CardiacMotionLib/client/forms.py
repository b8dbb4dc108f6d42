"""Forms with files as the body of a request, read from disk while they are sent."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from CardiacMotionLib.client.cancelling import Cancel, check
from CardiacMotionLib.client.errors import BadCall

ByteProgress = Callable[[int, int | None], None]
"""Called with the bytes done and those there are, or None if that is not known; may raise `Cancelled`."""

_CHUNK_BYTES = 2**16
_ENDINGS = (".seq.nrrd", ".nii.gz", ".nii", ".nrrd")


class FormBody:
    """A ``multipart/form-data`` body (RFC 7578) of known length; no file is ever in memory as a whole.

    Args:
        params: sent as JSON in the field ``params``, or None.
        files: by the names of their fields. Their own names are not sent, as they may be names of people; only
            the ending is.
        progress: called with the bytes sent.
        cancelled: asked between two pieces.

    Attributes:
        content_type: with the boundary.
        sha256: of the files' bytes, as far as they have been sent.

    Raises:
        BadCall: a file that cannot be read, or parameters that JSON cannot hold.
    """

    def __init__(
        self,
        params: Mapping[str, Any] | None,
        files: Mapping[str, Path],
        *,
        progress: ByteProgress | None = None,
        cancelled: Cancel | None = None,
    ) -> None:
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self.sha256 = hashlib.sha256()
        self._progress, self._cancelled = progress, cancelled
        self._start = b""
        if params is not None:
            self._start = _head(boundary, "params", None) + _as_json(params)
        self._files = [(_head(boundary, name, _ending(path)), path, _size(path)) for name, path in files.items()]
        self._end = f"\r\n--{boundary}--\r\n".encode()
        self._length = len(self._start) + len(self._end) + sum(len(h) + n for h, _, n in self._files)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        """The body in pieces; each time from its beginning."""
        self.sha256 = hashlib.sha256()
        done, total = 0, sum(n for _, _, n in self._files)
        yield self._start
        for head, path, size in self._files:
            yield head
            for chunk in _pieces(path, size):
                check(self._cancelled)
                self.sha256.update(chunk)
                yield chunk
                done += len(chunk)
                if self._progress is not None:
                    self._progress(done, total)
        check(self._cancelled)
        yield self._end


def _pieces(path: Path, size: int) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while size > 0 and (chunk := file.read(min(_CHUNK_BYTES, size))):
                size -= len(chunk)
                yield chunk
    except OSError as error:
        raise _unreadable(path, error) from error
    if size > 0:
        raise BadCall(f"cannot read {path}: it became shorter by {size} bytes while it was sent")


def _size(path: Path) -> int:
    try:
        # A file that may not be read is told before anything is sent.
        with path.open("rb") as file:
            return file.seek(0, 2)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> BadCall:
    return BadCall(f"cannot read {path}: {error.strerror or error}")


def _head(boundary: str, name: str, ending: str | None) -> bytes:
    filename = "" if ending is None else f'; filename="{name}{ending}"'
    kind = "application/json" if ending is None else "application/octet-stream"
    return (
        f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n'
        f"Content-Type: {kind}\r\n\r\n"
    ).encode()


def _as_json(params: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(dict(params), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise BadCall(f"expected parameters that JSON can hold: {error}") from error


def _ending(path: Path) -> str:
    """The ending of a file's name that says its format; none otherwise."""
    name = path.name.lower()
    return next((ending for ending in _ENDINGS if name.endswith(ending)), "")
