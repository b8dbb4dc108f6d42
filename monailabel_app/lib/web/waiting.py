"""Waiting for a job in a request, and what came of it."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from monailabel_app.lib.errors import Conflict, RequestError, Stopping
from monailabel_app.lib.infers.base import Outcome
from monailabel_app.lib.jobs import Job, State
from monailabel_app.lib.web.state import ServerState

DISCONNECT_SECONDS = 0.5
"""How long a client may be gone before it is noticed."""


class ClientGone(RequestError):
    """Nobody waits for the answer any more."""

    status = 499
    default_code = "client_gone"


async def finished(request: Request, job: Job) -> None:
    """Wait until a job has finished.

    Raises:
        ClientGone: the client has left.
    """
    loop = asyncio.get_running_loop()
    is_finished = asyncio.Event()

    def wake() -> None:
        # The loop may be closed by the time that a job ends which nobody waits for.
        if not loop.is_closed():
            loop.call_soon_threadsafe(is_finished.set)

    job.when_finished(wake)
    while not is_finished.is_set():
        try:
            await asyncio.wait_for(is_finished.wait(), DISCONNECT_SECONDS)
        except TimeoutError:
            if await request.is_disconnected():
                raise ClientGone("the client has left") from None


def outcome_of(job: Job, server: ServerState) -> Outcome:
    """What a finished job gave, or the error that it ended with."""
    if job.error is not None:
        raise job.error
    if job.state is State.CANCELLED:
        if server.jobs.is_stopping:
            raise Stopping("the server is being stopped")
        raise Conflict("the job was cancelled", code="cancelled")
    if not isinstance(job.result, Outcome):
        raise Conflict(f"expected a job that is done, this one is {job.state}", code="not_done", field="job")
    return job.result
