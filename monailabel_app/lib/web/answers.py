"""Answers with a file in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from requests_toolbelt import MultipartEncoder
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from monailabel_app.lib.errors import NotFound
from monailabel_app.lib.infers.base import Outcome

_CHUNK_BYTES = 2**18
_MEDIA_TYPES = {".gz": "application/gzip", ".zip": "application/zip"}


def nothing() -> None:
    """A clean-up where there is nothing to clean up."""


class _MultipartResponse(StreamingResponse):
    """Parameters and a file as MONAI Label sends them; cleans up whether or not the client stays to the end."""

    def __init__(self, outcome: Outcome, clean_up: Callable[[], None]) -> None:
        if outcome.file is None:
            raise ValueError("expected an outcome with a file")
        self._clean_up = clean_up
        self._file = _opened(outcome.file)
        media_type = _MEDIA_TYPES.get(outcome.file.suffix, "application/octet-stream")
        encoder = MultipartEncoder(
            fields={
                "params": (None, json.dumps(outcome.params, allow_nan=False), "application/json"),
                "image": (outcome.file.name, self._file, media_type),
            }
        )
        super().__init__(
            _chunks(encoder), media_type=encoder.content_type, headers={"Content-Length": str(encoder.len)}
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()
            await run_in_threadpool(self._clean_up)


class WholeFileResponse(FileResponse):
    """A file, all of it whatever range is asked for, as HTTP allows (RFC 9110, 14.2)."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.headers["accept-ranges"] = "none"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        headers = [(name, value) for name, value in scope["headers"] if name.lower() != b"range"]
        await super().__call__({**scope, "headers": headers}, receive, send)


class _CleaningFileResponse(WholeFileResponse):
    """A file that goes when it has been sent, or when the client has left."""

    clean_up: Callable[[], None] = staticmethod(nothing)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await run_in_threadpool(self.clean_up)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise NotFound("the result is not kept any more", field="job") from None


def _chunks(encoder: MultipartEncoder) -> Iterator[bytes]:
    while chunk := encoder.read(_CHUNK_BYTES):
        yield chunk


def outcome_response(outcome: Outcome, output: str | None, clean_up: Callable[[], None] = nothing) -> Response:
    """The answer of an infer.

    Args:
        outcome: of the task.
        output: "json" for the parameters alone, "image" for the file alone, else both, as MONAI Label has it.
        clean_up: called when the answer has been sent, or could not be.

    Raises:
        NotFound: the file has been released meanwhile.
    """
    if outcome.file is None or output == "json":
        clean_up()
        return JSONResponse(plain(outcome.params))
    if output == "image":
        response = _CleaningFileResponse(outcome.file, filename=outcome.file.name)
        response.clean_up = clean_up
        return response
    return _MultipartResponse(outcome, clean_up)


def plain(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters, or ValueError if one is no finite number; a mistake of a task, not of the client."""
    json.dumps(params, allow_nan=False)
    return params
