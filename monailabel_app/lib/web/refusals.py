"""Errors as HTTP answers."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse

from monailabel_app.lib.errors import RequestError


def error_response(error: RequestError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The answer to a request that cannot be done."""
    own = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
    return JSONResponse(error.to_json(), status_code=error.status, headers={**(headers or {}), **own})
