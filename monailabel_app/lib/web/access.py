"""Who may ask: host names, origins of web pages, the token."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from monailabel_app.lib.errors import Forbidden, RequestError, Unauthorized
from monailabel_app.lib.settings import LOOPBACK_HOSTS, ServerSettings
from monailabel_app.lib.web.refusals import error_response


def check_host_and_origin(headers: Headers, settings: ServerSettings) -> None:
    """Refuse a request that came by a name of somebody else's, or from a page that may not ask.

    Raises:
        Forbidden: so it is.
    """
    if not _is_allowed_host(headers.get("host", ""), settings):
        # Otherwise any web page could reach a server on this machine under a name of its own (DNS rebinding).
        raise Forbidden("this server does not answer to that host name; see the option --allow-host", field="Host")
    origin = headers.get("origin")
    if origin is not None and origin not in settings.allowed_origins:
        # Forms can be posted across origins without the browser asking first.
        raise Forbidden("web pages of that origin may not use this server", field="Origin")


class PageAccess(CORSMiddleware):
    """Tells browsers which web pages may use the server, and how.

    Args:
        app: what is within.
        origins: of these pages.
    """

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=["GET", "HEAD", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type"],
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """The answer to a browser that asks first; a refusal in the shape of all errors."""
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        text = bytes(response.body).decode()
        headers = {name: value for name, value in response.headers.items() if not name.startswith("content-")}
        return error_response(RequestError(f"web pages may not do that here: {text}", code="preflight"), headers)


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
