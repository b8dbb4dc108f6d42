"""Routes that tell what there is, and which case comes next."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends
from pydantic import Field
from starlette.responses import JSONResponse

from monailabel_app.lib.infers.base import TaskParams, parse_params
from monailabel_app.lib.web.state import ServerState, server_state

router = APIRouter()

Server = Annotated[ServerState, Depends(server_state)]


class NextCaseParams(TaskParams):
    """What a client may send with the question for the next case.

    Attributes:
        client_id: kept with the case, so that others see who was given it.
    """

    client_id: str | None = Field(default=None, max_length=200)


@router.get("/info/", summary="What this server offers", tags=["App"])
def info(server: Server) -> JSONResponse:
    """MONAI Label's description, and under ``cardiac_motion`` our own."""
    return JSONResponse(server.app.info())


@router.post("/activelearning/{strategy}", summary="The next case to label", tags=["ActiveLearning"])
def next_case(
    server: Server, strategy: str, params: Annotated[dict[str, object] | None, Body()] = None
) -> JSONResponse:
    """Its id and what is known of it; ``{}`` if every case has a final label."""
    checked = parse_params(NextCaseParams, params or {})
    return JSONResponse(server.app.next_case(strategy, client_id=checked.client_id))
