"""One hostile request as data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, Protocol

from benchmarks.hostile.wire import Headers, Part, form, form_headers
from benchmarks.small_cines import QUICK_OPTIONS, cine_bytes, label_bytes, small_cine, small_labels

CASE = "case-001"
"""A sound image with a final label of one version."""

OTHER = "case-002"
"""A sound image that has no label."""

BROKEN = "broken"
"""An image of the folder that is none."""

LINKED = "linked"
"""A link to an image outside the folder."""

OUTSIDE = "@OUTSIDE@"
"""Stands for the folder around the studies folder, where nothing may be read or written."""

STUDIES = "@STUDIES@"
"""Stands for the studies folder."""

HOST = "@HOST@"
"""Stands for the server's own name and port."""

TOKEN = "the-token-of-this-server"
ORIGIN = "http://viewer.example"
"""The one origin that the guarded server lets in."""

SECRET = b"nobody may ever read this line"
"""In a file outside the studies folder."""


class Server(Protocol):
    """What a preparation is given."""

    def start_job(self, *, params: Mapping[str, Any]) -> str:
        """The id of a new job on `CASE`."""
        ...

    def wait_for_job(self, job: str, states: Iterable[str]) -> None:
        """Until a job has one of these states."""
        ...

    def cancel_job(self, job: str) -> None:
        """Cancel a job, or forget it."""
        ...


Prepare = Callable[[Server], dict[str, str]]


@dataclass(frozen=True)
class Hostile:
    """A request and what may come of it.

    Attributes:
        name: unique.
        method: HTTP method.
        target: path and query as they go over the wire.
        statuses: that are right; 0 for a connection that is closed without an answer.
        headers: beside Host, Connection and Content-Length, or in place of them.
        body: builds the body.
        wire: builds the whole request instead, down to the last byte.
        server: the open one, or the guarded one, which has a token and an allowed origin.
        by_parser: refused by the reader of HTTP itself, whose answers are plain text.
        may_add: beginnings of paths in the studies folder that may be added or changed.
        prepare: done before; what it gives takes the place of names in the target.
        hang_up: leave without waiting for an answer.
        answer_has: headers that the answer must have.
    """

    name: str
    method: str
    target: str
    statuses: frozenset[int]
    headers: Headers = ()
    body: Callable[[], bytes] | None = None
    wire: Callable[[], bytes] | None = None
    server: Literal["open", "guarded"] = "open"
    by_parser: bool = False
    may_add: tuple[str, ...] = ()
    prepare: Prepare | None = None
    hang_up: bool = False
    answer_has: Mapping[str, str] = field(default_factory=dict)


def plain(name: str, method: str, target: str, *statuses: int, **more: Any) -> Hostile:
    """A request without a body, unless ``more`` gives one."""
    return Hostile(name, method, target, frozenset(statuses), **more)


def posted(
    name: str, method: str, target: str, *statuses: int, parts: Callable[[], list[Part]], **more: Any
) -> Hostile:
    """A form."""
    return Hostile(
        name, method, target, frozenset(statuses), headers=form_headers(), body=lambda: form(parts()), **more
    )


def as_params(params: Mapping[str, Any] | str) -> Part:
    """The form field ``params``; text is sent as it is."""
    return Part(
        "params", (params if isinstance(params, str) else json.dumps(params)).encode("utf-8", "surrogatepass")
    )


def quick(**params: Any) -> dict[str, Any]:
    """Parameters of the infer `motion` with a motion that takes no time."""
    return {"key_frames": [0], "options": QUICK_OPTIONS, **params}


@cache
def sound_label() -> Part:
    """A label of the first frame that fits `CASE`."""
    cine = small_cine()
    return Part("label", label_bytes(small_labels(cine, 0), cine), "label.nii.gz")


@cache
def sound_image() -> Part:
    """An image that no case has."""
    return Part("file", cine_bytes(small_cine(7)), "cine.nii.gz")
