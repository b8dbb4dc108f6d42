"""What the server answers, taken apart and checked."""

from __future__ import annotations

import datetime as dt
import json
import re
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, NoReturn, TypeVar, cast

from CardiacMotionLib.client.cancelling import Cancel, check
from CardiacMotionLib.client.errors import BadAnswer, BadCall, ServerRefused, printable
from CardiacMotionLib.client.files import whole_file
from CardiacMotionLib.client.multipart import PartName, read_form

T = TypeVar("T")
MEMORY_BYTES = 16 * 2**20
"""A file of an answer that is longer goes to a temporary one on disk."""

_CHUNK_BYTES = 2**18
_LONGEST_NUMBER = 9
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_STATES = ("queued", "running", "done", "failed", "cancelled")


class InferAnswer:
    """What an infer gave. The file is kept in memory, or a large one in a temporary file that nobody else sees.

    Args:
        params: numbers and names; see the server's interface.
        stream: the file of labels, or a zip; it belongs to the answer from now on.
        name: of that file, without a folder.

    Attributes:
        params: as above.
        name: as above.
    """

    def __init__(self, params: dict[str, Any], stream: BinaryIO, name: str) -> None:
        self.params, self.name, self._stream = params, name, stream
        # Nobody has to think of it: the file goes with the answer.
        self._close = weakref.finalize(self, stream.close)

    def __repr__(self) -> str:
        return f"InferAnswer({self.name!r}, {self.n_bytes} bytes)"

    @property
    def n_bytes(self) -> int:
        """Length of the file."""
        return self._stream.seek(0, 2)

    @property
    def stream(self) -> BinaryIO:
        """The file from its beginning, as `zipfile.ZipFile` takes it; not to be used by two threads at once."""
        self._stream.seek(0)
        return self._stream

    @property
    def file(self) -> bytes:
        """All bytes of the file, in memory."""
        return self.stream.read()

    def save(self, to: Path, *, cancelled: Cancel | None = None) -> None:
        """Write the file, whole or not at all.

        Raises:
            BadCall: it cannot be written there.
            Cancelled: the caller wants no more of it.
        """
        stream = self.stream
        with whole_file(to) as file:
            while chunk := stream.read(_CHUNK_BYTES):
                check(cancelled)
                file.write(chunk)

    def close(self) -> None:
        """Give the file up."""
        self._close()


@dataclass(frozen=True)
class JobState:
    """Where a job stands.

    Attributes:
        job: its id.
        state: "queued", "running", "done", "failed" or "cancelled".
        progress: 0 to 1.
        message: what is being done.
        error: why it failed, or None.
    """

    job: str
    state: str
    progress: float
    message: str
    error: ServerRefused | None

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in {"done", "failed", "cancelled"}


@dataclass(frozen=True)
class SavedLabel:
    """Under what name a label was saved."""

    label: str
    tag: str
    version: int


def parse_json(content: bytes) -> Any:
    """JSON with finite numbers, or BadAnswer."""
    try:
        return json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise BadAnswer(f"expected JSON from the server, got {_start_of(content)}") from error


def parse_object(content: bytes) -> dict[str, Any]:
    """A JSON object, or BadAnswer."""
    value = parse_json(content)
    if not isinstance(value, dict):
        raise BadAnswer(f"expected a JSON object from the server, got {_start_of(content)}")
    return value


def entry(answer: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """One entry of an answer, of the type that it must have, or BadAnswer."""
    value = answer.get(name)
    # True counts as a number otherwise.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise BadAnswer(f"expected {name!r} as {kind.__name__} in the server's answer, got {value!r}")
    return value


def parse_refusal(status: int, content: bytes, retry_after: str | None = None) -> ServerRefused:
    """The error of an answer with a status of 400 or more; one of another server's keeps its text.

    Args:
        status: of HTTP.
        content: of the answer.
        retry_after: the header of that name (RFC 9110, 10.2.3), or None.
    """
    seconds = _retry_seconds(retry_after)
    try:
        error = parse_object(content)["error"]
        field = _text_or_none(error.get("field"))
        return ServerRefused(status, str(error["code"]), str(error["message"]), field, seconds)
    except (BadAnswer, KeyError, TypeError, AttributeError):
        reason = f"no reason in the form expected, but {_start_of(content)}"
        return ServerRefused(status, "http_error", reason, retry_seconds=seconds)


def _retry_seconds(header: str | None) -> float | None:
    """Seconds from now on, of a header that has seconds or a date; None of any other."""
    text = (header or "").strip()
    if text.isdecimal() and len(text) <= _LONGEST_NUMBER:
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    # Without a zone, which HTTP does not have, it is UTC.
    date = date if date.tzinfo is not None else date.replace(tzinfo=dt.UTC)
    return max(0.0, (date - dt.datetime.now(dt.UTC)).total_seconds())


def parse_job(answer: Mapping[str, Any]) -> JobState:
    """The state of a job, or BadAnswer."""
    state = entry(answer, "state", str)
    if state not in _STATES:
        raise BadAnswer(f"expected the state of a job as one of {', '.join(_STATES)}, got {printable(state)!r}")
    error = None
    if answer.get("error") is not None:
        told = entry(answer, "error", dict)
        error = ServerRefused(
            None, str(told.get("code")), str(told.get("message")), _text_or_none(told.get("field"))
        )
    # JSON may drop the point of a whole number.
    progress = entry(answer, "progress", int if isinstance(answer.get("progress"), int) else float)
    message = printable(entry(answer, "message", str))
    return JobState(entry(answer, "job", str), state, min(1.0, max(0.0, float(progress))), message, error)


def parse_infer_answer(pieces: Iterable[bytes], content_type: str) -> InferAnswer:
    """Parameters and file of a ``multipart/form-data`` answer.

    Args:
        pieces: of the answer, as they come.
        content_type: of the answer.

    Raises:
        BadAnswer: another kind of content, one that ends early, or parts other than ``params`` and ``image``.
        BadCall: the file is large, and the disk is full.
    """
    parts: dict[str, tuple[BinaryIO, str]] = {}

    def target(part: PartName) -> BinaryIO | None:
        if part.name not in {"params", "image"} or part.name in parts:
            return None
        stream = cast(BinaryIO, SpooledTemporaryFile(MEMORY_BYTES))  # noqa: SIM115 - outlives this function
        parts[part.name] = stream, part.filename
        return stream

    try:
        read_form(pieces, content_type, target)
        return _made_of(parts)
    except BaseException as error:
        for opened, _ in parts.values():
            opened.close()
        if isinstance(error, OSError):
            # Those of the network are no OSErrors any more.
            raise BadCall(f"cannot keep the answer in a temporary file: {error.strerror or error}") from error
        raise


def _made_of(parts: Mapping[str, tuple[BinaryIO, str]]) -> InferAnswer:
    if len(parts) != 2:
        raise BadAnswer(f"expected the parts params and image, got {', '.join(parts) or 'none'}")
    params, (stream, filename) = parts["params"][0], parts["image"]
    params.seek(0)
    told = parse_object(params.read())
    params.close()
    return InferAnswer(told, stream, _plain_name(filename))


def _plain_name(name: str) -> str:
    """A server's file name as one of a file that lies in no other folder."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return last if _PLAIN_NAME.fullmatch(last) else "answer"


def _start_of(content: bytes) -> str:
    text = printable(content[:200].decode("utf-8", "replace"))
    return f"{len(content)} bytes that begin with {text[:80]!r}" if content else "nothing"


def _text_or_none(value: object) -> str | None:
    return None if value is None else printable(str(value))


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
