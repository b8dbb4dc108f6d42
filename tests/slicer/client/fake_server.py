"""A server that says what it is told to, and misbehaves in every way that a test can think of."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from requests_toolbelt import MultipartDecoder, MultipartEncoder

TOKEN = "a-token-that-nobody-may-see"
INFO = {"name": "CardiacMotion", "cardiac_motion": {"api": 1}}


@dataclass
class Request:
    """What came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def parts(self) -> dict[str, tuple[str, bytes]]:
        """Content-Disposition and content of a form's parts, by name."""
        found = {}
        for part in MultipartDecoder(self.body, self.headers["content-type"]).parts:
            disposition = part.headers[b"Content-Disposition"].decode()
            found[disposition.split('name="')[1].split('"')[0]] = (disposition, part.content)
        return found


@dataclass
class Reply:
    """What goes out.

    With `break_after` only so many bytes of the body, with `stall` half of it for long, with `drip` a byte at a
    time after so many seconds each, the status line included if `drip_head`.
    """

    body: bytes = b"{}"
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    break_after: int | None = None
    wait: threading.Event | None = None
    stall: threading.Event | None = None
    drip: float = 0.0
    drip_head: bool = False
    early: bool = False


def as_json(value: Any, status: int = 200) -> Reply:
    return Reply(json.dumps(value).encode(), status)


def refusal(status: int, code: str = "a_code", message: str = "expected this, got that") -> Reply:
    return as_json({"error": {"code": code, "message": message, "field": "image"}}, status)


DROP = Reply(b"", status=0)
"""The connection is closed without a word."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: Fake

    def handle_any(self) -> None:
        early = isinstance(self.fake.replies, list) and self.fake.replies[0].early
        length = int(self.headers.get("Content-Length", 0))
        body = b"" if early else self.rfile.read(length)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, body)
        self.fake.requests.append(request)
        self.reply(self.fake.next_reply(request))

    def reply(self, reply: Reply) -> None:
        if reply.wait is not None:
            reply.wait.wait(10)
        self.close_connection = reply.status == 0 or reply.break_after is not None or reply.early
        if reply.status == 0:
            return
        if reply.drip_head:
            self.drip(b"HTTP/1.1 200 OK and so on, and so on", reply.drip)
            return
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if reply.stall is not None:
            self.wfile.write(reply.body[: len(reply.body) // 2])
            reply.stall.wait(10)
            return
        if reply.drip:
            self.drip(reply.body, reply.drip)
            return
        self.wfile.write(reply.body[: reply.break_after])

    def drip(self, content: bytes, seconds: float) -> None:
        for byte in content:
            self.wfile.write(bytes([byte]))
            time.sleep(seconds)

    do_GET = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


class Fake:
    """A server that gives the replies it was told, in order, the last one for ever; it keeps what it was asked."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.replies: Callable[[Request], Reply] | list[Reply] = [as_json(INFO)]
        handler = type("Handler", (_Handler,), {"fake": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.handle_error = lambda request, address: None  # type: ignore[method-assign, assignment]
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def next_reply(self, request: Request) -> Reply:
        if callable(self.replies):
            return self.replies(request)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    @property
    def calls(self) -> list[str]:
        return [f"{request.method} {request.path}" for request in self.requests]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def infer_reply(params: Any = None, name: str = "labels.nii.gz", content: bytes = b"\x1f\x8bfile\r\n--") -> Reply:
    body = MultipartEncoder(
        {
            "params": (None, json.dumps({"key_frames": [0]} if params is None else params), "application/json"),
            "image": (name, content, "application/gzip"),
        }
    )
    return Reply(body.read(), content_type=body.content_type)


def job(state: str, progress: float = 0.0, error: Any = None) -> Reply:
    return as_json({"job": "j1", "state": state, "progress": progress, "message": f"is {state}", "error": error})
