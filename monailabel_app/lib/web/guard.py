"""What every request passes through: who may ask, how much may be sent, and an answer to every error."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
import secrets
import time
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monailabel_app.lib.errors import Forbidden, RequestError, Stopping, TooLarge, Unauthorized
from monailabel_app.lib.jobs import as_request_error
from monailabel_app.lib.logs import log_event, where_of
from monailabel_app.lib.settings import LOOPBACK_HOSTS, ServerSettings

CHUNK_SECONDS = 60.0
"""Longest pause in the middle of an upload."""

_DRAIN_BYTES = 2**25
_DRAIN_SECONDS = 5.0
_logger = logging.getLogger(__name__)


class TooSlow(RequestError):
    """The body of the request stopped coming."""

    status = 408
    default_code = "too_slow"


class _Body:
    """The body of a request as it comes in: counted, and with an end to waiting."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive, self._limit = receive, limit
        self._received = 0
        self.is_complete = False

    async def __call__(self) -> Message:
        if self.is_complete:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), CHUNK_SECONDS)
        except TimeoutError:
            raise TooSlow(f"expected the rest of the request within {CHUNK_SECONDS:g} s") from None
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            self.is_complete = not message.get("more_body", False)
            if self._received > self._limit:
                raise too_large(self._limit)
        else:
            self.is_complete = True
        return message

    async def drain(self) -> None:
        """Read on for a while what a client is still sending."""
        end = time.monotonic() + _DRAIN_SECONDS
        drained = 0
        while not self.is_complete and drained < _DRAIN_BYTES and time.monotonic() < end:
            try:
                message = await asyncio.wait_for(self._receive(), max(0.01, end - time.monotonic()))
            except TimeoutError:
                return
            drained += len(message.get("body", b""))
            self.is_complete = message["type"] != "http.request" or not message.get("more_body", False)


def too_large(limit: int) -> TooLarge:
    """What to answer to a body beyond the limit."""
    return TooLarge(f"expected at most {limit} bytes in one request, more came", field="file")


class Guard:
    """The outermost layer of the server.

    Args:
        app: what is within.
        settings: who may ask, and how much may be sent.
    """

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        status = 0
        headers = Headers(scope=scope)
        body = _Body(receive, self._limit(headers))

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            self._admit(headers)
            await self._app(scope, body, sending)
        except asyncio.CancelledError:
            # The server is being stopped, and this request took too long to end by itself.
            if status == 0:
                await _answer(Stopping("the server is being stopped"), scope, body, sending)
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is gets an answer, and is logged
            refused = as_request_error(error)
            if refused.status >= 500:
                log_event(_logger, logging.ERROR, "request failed", **where_of(error))
            if status == 0:
                await _answer(refused, scope, body, sending, is_patient=True)
        finally:
            log_event(
                _logger,
                logging.INFO,
                "request",
                method=scope["method"] if scope["method"].isalpha() else "?",
                route=getattr(scope.get("route"), "path", None),
                status=status,
                seconds=time.perf_counter() - start,
            )

    def _limit(self, headers: Headers) -> int:
        limits = self._settings.limits
        # Everything but a form is read into memory as a whole.
        is_form = headers.get("content-type", "").lower().startswith("multipart/form-data")
        return limits.upload_bytes if is_form else limits.params_bytes

    def _admit(self, headers: Headers) -> None:
        host = headers.get("host", "")
        if not _is_allowed_host(host, self._settings):
            # Otherwise any web page could reach a server on this machine under a name of its own (DNS rebinding).
            raise Forbidden(
                "this server does not answer to that host name; see the option --allow-host", field="Host"
            )
        origin = headers.get("origin")
        if origin is not None and origin not in self._settings.allowed_origins:
            # Forms can be posted across origins without the browser asking first.
            raise Forbidden("web pages of that origin may not use this server", field="Origin")
        limit = self._limit(headers)
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > limit:
            raise too_large(limit)


class TokenCheck:
    """Lets only requests pass that bring the token.

    Args:
        app: what is within.
        token: the one that is expected.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request.

        Raises:
            Unauthorized: no token, or not the right one.
        """
        if scope["type"] == "http":
            given = Headers(scope=scope).get("authorization", "")
            scheme, _, token = given.partition(" ")
            is_right = hmac.compare_digest(token.strip().encode(), self._token.encode())
            if scheme.lower() != "bearer" or not is_right:
                raise Unauthorized("expected the header Authorization: Bearer TOKEN with the token of this server")
        await self._app(scope, receive, send)


def error_response(error: RequestError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The answer to a request that cannot be done."""
    own = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
    return JSONResponse(error.to_json(), status_code=error.status, headers={**(headers or {}), **own})


async def _answer(error: RequestError, scope: Scope, body: _Body, send: Send, *, is_patient: bool = False) -> None:
    if body.is_complete:
        await error_response(error)(scope, body, send)
        return
    # What is left of the body would be read as the next request.
    answer = error_response(error, {"Connection": "close"})
    await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": True})
    if is_patient:
        # Closed while the client is still sending, the connection would take the answer with it.
        await body.drain()
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _is_allowed_host(header: str, settings: ServerSettings) -> bool:
    """Whether a request's Host header is one that this server answers to."""
    if "*" in settings.allowed_hosts:
        return True
    name = header.rsplit(":", 1)[0] if not header.endswith("]") else header
    name = name.strip("[]").lower()
    if name in {*LOOPBACK_HOSTS, *(host.lower() for host in settings.allowed_hosts), settings.host.lower()}:
        return True
    # An address, unlike a name, cannot be made to point elsewhere.
    return not settings.is_local and _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def new_token() -> str:
    """A token that nobody can guess."""
    return secrets.token_urlsafe(32)


def describe_validation(errors: list[dict[str, Any]]) -> tuple[str, str | None]:
    """The first of FastAPI's validation errors as a message and a field."""
    first = errors[0]
    where = [str(part) for part in first["loc"] if part not in {"query", "body", "path", "header"}]
    field = ".".join(where) or None
    return (f"{field}: {first['msg']}" if field else str(first["msg"])), field
