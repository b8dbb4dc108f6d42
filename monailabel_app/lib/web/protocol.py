"""uvicorn's HTTP protocol, with an end to waiting for the head of a request."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 20.0
"""From a new connection, or the first byte of a further request, to the end of its head."""


class PromptHeadProtocol(H11Protocol):
    """Closes connections on which no request begins, or one begins and does not go on."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait."""
        super().connection_made(transport)
        self._waiting = self.loop.call_later(HEAD_SECONDS, transport.close)

    def data_received(self, data: bytes) -> None:
        """Go on waiting, or stop where the head of a request has come."""
        if self._waiting is None and self._is_idle():
            self._waiting = self.loop.call_later(HEAD_SECONDS, self.transport.close)
        answered = self.cycle
        super().data_received(data)
        if self.cycle is not answered:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
