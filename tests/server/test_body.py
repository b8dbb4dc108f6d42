"""Bodies and heads of requests that come too slowly, or are too long."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from starlette.datastructures import Headers
from starlette.types import Message

from monailabel_app.lib.errors import HeadTooLarge, TooLarge
from monailabel_app.lib.web import body as body_module
from monailabel_app.lib.web import guard, protocol
from monailabel_app.lib.web.body import Body, TooSlow


def chunks(*sizes: int, pause: float = 0.0) -> Callable[[], Any]:
    """A `receive` that gives chunks of these sizes, the last one the last, each after a pause."""
    left = list(sizes)

    async def receive() -> Message:
        await asyncio.sleep(pause)
        size = left.pop(0)
        return {"type": "http.request", "body": b"x" * size, "more_body": bool(left)}

    return receive


def read(body: Body, times: int) -> None:
    async def reading() -> None:
        for _ in range(times):
            await body()

    asyncio.run(reading())


def headers(**named: str) -> Headers:
    return Headers({name.replace("_", "-"): value for name, value in named.items()})


def test_a_body_is_counted_whatever_it_declares() -> None:
    body = Body(chunks(40, 40, 40), headers(content_length="10"), 100)
    body.check_length()
    with pytest.raises(TooLarge, match="at most 100 bytes"):
        read(body, 3)
    with pytest.raises(TooLarge):
        Body(chunks(1), headers(content_length="101"), 100).check_length()
    complete = Body(chunks(40, 60), headers(transfer_encoding="chunked"), 100)
    assert not complete.is_complete
    read(complete, 2)
    assert complete.is_complete
    assert Body(chunks(0), headers(), 100).is_complete


def test_a_body_that_stops_or_drips_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_module, "CHUNK_SECONDS", 0.1)
    with pytest.raises(TooSlow, match="within"):
        read(Body(chunks(1, 1, pause=5.0), headers(content_length="2"), 100), 2)
    with pytest.raises(TooSlow, match="at least 1024 bytes a second"):
        read(Body(chunks(*[1] * 50, pause=0.03), headers(content_length="50"), 100), 50)
    monkeypatch.setattr(body_module, "LEAST_BYTES_PER_SECOND", 1)
    read(Body(chunks(*[1] * 10, pause=0.03), headers(content_length="10"), 100), 10)


@pytest.mark.parametrize(
    "scope",
    [
        {"headers": [(b"x-long", b"a" * guard.HEAD_BYTES)]},
        {"headers": [(b"x", b"a")] * (guard.HEAD_BYTES // 2)},
        {"query_string": b"a" * guard.HEAD_BYTES},
        {"path": "/" + "a" * guard.HEAD_BYTES},
        {"raw_path": b"/" + b"a" * guard.HEAD_BYTES},
    ],
)
def test_a_head_is_counted_however_it_came(scope: dict[str, Any]) -> None:
    usual = {"path": "/info/", "raw_path": b"/info/", "query_string": b"", "headers": [(b"host", b"localhost")]}
    guard.check_head(usual)
    long = usual | scope | ({} if "path" not in scope else {"raw_path": None})
    with pytest.raises(HeadTooLarge, match="at most 65536 bytes together"):
        guard.check_head(long)


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Answers everything, slowly."""
    await asyncio.sleep(0.6)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"hi"})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Of a server that waits 0.3 s for the head of a request."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    config = uvicorn.Config(
        hello, http=protocol.PromptHeadProtocol, lifespan="off", log_config=None, ws="none", timeout_keep_alive=30
    )
    server = uvicorn.Server(config)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


def test_connections_without_the_head_of_a_request_are_closed_and_others_are_not(port: int) -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\n"
    for begun in (b"", b"GE", head):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as waiting:
            waiting.sendall(begun)
            assert waiting.recv(100) == b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as asking:
        for _ in range(2):
            # The answer takes longer than a head may, and so does the pause between two requests.
            asking.sendall(head + b"\r\n")
            answer = b""
            while not answer.endswith(b"hi"):
                answer += asking.recv(1000)
            assert answer.startswith(b"HTTP/1.1 200")
            time.sleep(0.5)
        asking.sendall(b"GE")
        assert asking.recv(1000) == b""
