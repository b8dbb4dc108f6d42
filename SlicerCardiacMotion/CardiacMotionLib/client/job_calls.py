"""Calls that jobs of every kind have in common."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar
from urllib.parse import quote

from CardiacMotionLib.client.answers import JobState, parse_job, parse_object
from CardiacMotionLib.client.cancelling import Cancel, pause
from CardiacMotionLib.client.connection import Connection, Query
from CardiacMotionLib.client.errors import Cancelled, ClientError, ServerRefused
from CardiacMotionLib.client.forms import FormBody

T = TypeVar("T")
Progress = Callable[[float, str], None]
"""Called with the fraction done, 0 to 1, and a message; whatever it raises ends the wait."""

PATIENCE_SECONDS = 2.0
"""For a job's start and its cancelling: what was left at once could run on for nobody."""

_FIRST_POLL_SECONDS = 0.05
_POLL_GROWTH = 1.5


class JobCalls:
    """Where jobs stand, and waiting for them; a part of `Client`.

    Args:
        connection: to the server.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def job(self, job: str, *, cancelled: Cancel | None = None) -> JobState:
        """Where a job stands."""
        return parse_job(parse_object(self._connection.get(f"/jobs/{quoted(job)}", cancelled=cancelled)))

    def cancel_job(self, job: str) -> None:
        """Cancel a job, or have the server forget its result. Waits for two seconds at most.

        Raises:
            Cancelled: the server did not answer within them.
        """
        # Is asked for when all else is cancelled, so it has a limit instead.
        self._connection.call("DELETE", f"/jobs/{quoted(job)}", cancelled=lambda: True, patience=PATIENCE_SECONDS)

    def _followed(
        self,
        job: str,
        fetch: Callable[[], T],
        *,
        progress: Progress | None,
        cancelled: Cancel | None,
        poll_seconds: float,
    ) -> T:
        """Wait for a job, fetch what it gave, and have the server forget it."""
        try:
            seconds = _FIRST_POLL_SECONDS
            while not (state := self.job(job, cancelled=cancelled)).is_finished:
                if progress is not None:
                    progress(state.progress, state.message)
                pause(min(seconds, poll_seconds), cancelled)
                seconds *= _POLL_GROWTH
            if state.error is not None:
                raise state.error
            if state.state != "done":
                raise ServerRefused(None, state.state, f"the job was {state.state} on the server")
            answer = fetch()
            if progress is not None:
                progress(1.0, state.message)
            return answer
        finally:
            # A result that has been fetched, or that nobody waits for any more, need not take up room.
            with suppress(ClientError, Cancelled):
                self.cancel_job(job)

    def _send(
        self,
        method: str,
        path: str,
        query: Query,
        form: FormBody,
        cancelled: Cancel | None,
        *,
        patience: float = 0.0,
    ) -> bytes:
        return self._connection.call(
            method,
            path,
            query,
            body=form,
            content_type=form.content_type,
            cancelled=cancelled,
            patience=patience,
        )


def quoted(part: str) -> str:
    """As one part of a path."""
    return quote(part, safe="")
