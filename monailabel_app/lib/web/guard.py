"""The outermost layer: how much may be sent, an answer to every error, a line in the log for every request."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monailabel_app.lib.errors import HeadTooLarge, Stopping, as_request_error
from monailabel_app.lib.logs import log_event, where_of
from monailabel_app.lib.settings import ServerSettings
from monailabel_app.lib.web.access import check_host_and_origin
from monailabel_app.lib.web.body import Body
from monailabel_app.lib.web.refusals import error_response

_UPLOADS = {
    "PUT": ("/datastore/",),
    "POST": ("/infer/", "/jobs/infer/", "/datastore/dicom", "/jobs/datastore/dicom"),
}
"""Routes that take files, which go to disk as they come; what others are sent is held in memory."""

HEAD_BYTES = 64 * 1024
"""Of an address and headers together. h11 holds heads to as much only if they come in pieces: one that is read in
one go is whole before it is measured."""

_logger = logging.getLogger(__name__)


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
        headers = Headers(scope=scope)
        body = Body(receive, headers, self._limit(scope, headers))
        answer = _Answer(send, body)
        try:
            check_head(scope)
            check_host_and_origin(headers, self._settings)
            body.check_length()
            await self._app(scope, body, answer)
        except asyncio.CancelledError:
            # The server is being stopped, and this request took too long to end by itself.
            if answer.status == 0:
                await error_response(Stopping("the server is being stopped"))(scope, body, send)
        except Exception as error:  # noqa: BLE001 - whatever it is gets an answer, and is logged
            refused = as_request_error(error)
            if refused.status >= 500:
                log_event(_logger, logging.ERROR, "request failed", **where_of(error))
            if answer.status == 0:
                await error_response(refused, self._for_pages(headers))(scope, body, answer)
        finally:
            log_event(
                _logger,
                logging.INFO,
                "request",
                method=scope["method"] if scope["method"].isalpha() else "?",
                route=getattr(scope.get("route"), "path", None),
                status=answer.status,
                seconds=time.perf_counter() - start,
            )

    def _limit(self, scope: Scope, headers: Headers) -> int:
        limits = self._settings.limits
        takes_files = scope["path"].startswith(_UPLOADS.get(scope["method"], ("\0",)))
        is_form = headers.get("content-type", "").lower().startswith("multipart/form-data")
        return limits.upload_bytes if takes_files and is_form else limits.params_bytes

    def _for_pages(self, headers: Headers) -> Mapping[str, str]:
        """What lets a web page that may use the server read a refusal."""
        origin = headers.get("origin")
        if origin is None or origin not in self._settings.allowed_origins:
            return {}
        return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}


def check_head(scope: Scope) -> None:
    """Refuse a request whose address and headers are too long together.

    Raises:
        HeadTooLarge: says how long they may be.
    """
    path = scope.get("raw_path") or scope["path"].encode()
    parts = [path, scope["query_string"], *(part for header in scope["headers"] for part in header)]
    if sum(map(len, parts)) > HEAD_BYTES:
        raise HeadTooLarge(f"expected an address and headers of at most {HEAD_BYTES} bytes together, got more")


class _Answer:
    """The `send` of a request: notes the status, and ends the connection if the request was not read to its end.

    What is left of it would be read as the next request, or taken for ever.
    """

    def __init__(self, send: Send, body: Body) -> None:
        self._send, self._body = send, body
        self._closes = False
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._closes = not self._body.is_complete
            if self._closes:
                MutableHeaders(scope=message)["Connection"] = "close"
        elif self._closes and message["type"] == "http.response.body" and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            # Closed while the client is still sending, the connection would take the answer with it.
            await self._body.drain()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)
