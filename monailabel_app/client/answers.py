"""What the server answers, taken apart and checked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from cardiac_motion.atomic import atomic_path
from requests_toolbelt.multipart.decoder import (
    BodyPart,
    ImproperBodyPartContentException,
    MultipartDecoder,
    NonMultipartContentTypeException,
)

from monailabel_app.client.errors import BadAnswer, ServerRefused, printable

T = TypeVar("T")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_STATES = ("queued", "running", "done", "failed", "cancelled")


@dataclass(frozen=True)
class InferAnswer:
    """What an infer gave.

    Attributes:
        params: numbers and names; see the server's interface.
        file: the bytes of the labels, or of a zip.
        name: of that file, without a folder.
    """

    params: dict[str, Any]
    file: bytes = field(repr=False)
    name: str

    def save(self, to: Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            InputError: it cannot be written there.
        """
        with atomic_path(to) as temporary:
            temporary.write_bytes(self.file)


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


def parse_refusal(status: int, content: bytes) -> ServerRefused:
    """The error of an answer with a status of 400 or more; one of another server's keeps its text."""
    try:
        error = parse_object(content)["error"]
        return ServerRefused(status, str(error["code"]), str(error["message"]), _text_or_none(error.get("field")))
    except (BadAnswer, KeyError, TypeError, AttributeError):
        return ServerRefused(status, "http_error", f"no reason in the form expected, but {_start_of(content)}")


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


def parse_infer_answer(content: bytes, content_type: str) -> InferAnswer:
    """Parameters and file of a ``multipart/form-data`` answer.

    Raises:
        BadAnswer: another kind of content, one that ends early, or parts other than ``params`` and ``image``.
    """
    try:
        decoder = MultipartDecoder(content, content_type)
        boundary: bytes = decoder.boundary
    except (NonMultipartContentTypeException, ImproperBodyPartContentException, AttributeError) as error:
        raise BadAnswer(
            f"expected parameters and a file as multipart/form-data, got {printable(content_type) or 'no type'!r} "
            f"with {_start_of(content)}"
        ) from error
    # The decoder takes content that breaks off for content that ends.
    if not content.rstrip().endswith(b"--" + boundary + b"--"):
        raise BadAnswer(f"expected an answer with an end, got {len(content)} bytes that break off")
    parts = {name: (part, file) for part in decoder.parts for name, file in [_names_of(part)]}
    if not parts.keys() >= {"params", "image"}:
        raise BadAnswer(f"expected the parts params and image, got {', '.join(map(repr, parts)) or 'none'}")
    part, file = parts["image"]
    return InferAnswer(parse_object(parts["params"][0].content), part.content, _plain_name(file))


def _names_of(part: BodyPart) -> tuple[str, str]:
    """Name and file name of a part; empty where it has none."""
    message = Message()
    message["Content-Disposition"] = part.headers.get(b"Content-Disposition", b"").decode("utf-8", "replace")
    name = message.get_param("name", header="Content-Disposition")
    return (name if isinstance(name, str) else ""), message.get_filename("")


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
