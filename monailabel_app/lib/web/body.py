"""The body of a request as it comes in: counted, and with an end to waiting."""

from __future__ import annotations

import asyncio
import time

from starlette.datastructures import Headers
from starlette.types import Message, Receive

from monailabel_app.lib.errors import RequestError, TooLarge

CHUNK_SECONDS = 60.0
"""Longest pause in the middle of an upload."""

LEAST_BYTES_PER_SECOND = 1024
"""Of an upload that takes longer than that."""

_DRAIN_BYTES = 2**25
_DRAIN_SECONDS = 5.0


class TooSlow(RequestError):
    """The body of the request stopped coming, or comes in drops."""

    status = 408
    default_code = "too_slow"


def too_large(limit: int) -> TooLarge:
    """What to answer to a body beyond the limit."""
    return TooLarge(f"expected at most {limit} bytes in a request to this route, more came", field="file")


class Body:
    """The `receive` of a request.

    Args:
        receive: of the server.
        headers: of the request.
        limit: bytes.

    Attributes:
        is_complete: whether all of the body has come.
    """

    def __init__(self, receive: Receive, headers: Headers, limit: int) -> None:
        self._receive, self._limit = receive, limit
        self._received = 0
        self._start = time.monotonic()
        length = headers.get("content-length", "0")
        self._declared = int(length) if length.isdecimal() else 0
        self.is_complete = self._declared == 0 and "transfer-encoding" not in headers

    def check_length(self) -> None:
        """Raise TooLarge where the request says beforehand that it is."""
        if self._declared > self._limit:
            raise too_large(self._limit)

    async def __call__(self) -> Message:
        """The next message.

        Raises:
            TooLarge: more came than is taken.
            TooSlow: nothing came for `CHUNK_SECONDS`, or less than `LEAST_BYTES_PER_SECOND`.
        """
        if self.is_complete:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), CHUNK_SECONDS)
        except TimeoutError:
            raise TooSlow(f"expected the rest of the request within {CHUNK_SECONDS:g} s") from None
        self._note(message)
        if self._received > self._limit:
            raise too_large(self._limit)
        seconds = time.monotonic() - self._start
        if not self.is_complete and seconds > CHUNK_SECONDS and self._received < LEAST_BYTES_PER_SECOND * seconds:
            raise TooSlow(f"expected at least {LEAST_BYTES_PER_SECOND} bytes a second, fewer came")
        return message

    async def drain(self) -> None:
        """Read on for a while what a client is still sending, so that it gets to see the answer."""
        end = time.monotonic() + _DRAIN_SECONDS
        first = self._received
        while not self.is_complete and self._received - first < _DRAIN_BYTES and time.monotonic() < end:
            try:
                self._note(await asyncio.wait_for(self._receive(), max(0.01, end - time.monotonic())))
            except TimeoutError:
                return

    def _note(self, message: Message) -> None:
        self._received += len(message.get("body", b""))
        self.is_complete = message["type"] != "http.request" or not message.get("more_body", False)
