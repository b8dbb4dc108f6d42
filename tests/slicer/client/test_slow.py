"""Servers that are slow, rather than silent, and those that say when to come back."""

from __future__ import annotations

import datetime as dt
import socket
import threading
import time
from collections.abc import Iterator
from email.utils import format_datetime
from pathlib import Path

import pytest
from CardiacMotionLib.client import Client, ServerRefused, ServerUnreachable

from tests.slicer.client.fake_server import INFO, Fake, Reply, as_json, infer_reply, refusal

SILENCE = 0.3
MB = 2**20


@pytest.fixture
def hasty(fake: Fake) -> Iterator[Client]:
    with Client(fake.address, timeout=(2, SILENCE)) as client:
        yield client


@pytest.mark.parametrize("head", [False, True], ids=["body", "head"])
def test_an_answer_that_drips_in_is_given_up(fake: Fake, hasty: Client, tmp_path: Path, head: bool) -> None:
    def drip(reply: Reply) -> list[Reply]:
        reply.drip, reply.drip_head = SILENCE / 3, head
        return [reply]

    for call, reply in (
        (hasty.info, as_json(INFO)),
        (lambda: hasty.get_image("case", tmp_path / "image"), Reply(b"x" * 1000)),
        (lambda: hasty.infer("motion", "case", {}), infer_reply(content=b"x" * 1000)),
    ):
        fake.requests.clear()
        fake.replies = drip(reply)
        with pytest.raises(ServerUnreachable, match=r"is too slow: less than 64 kB within 0\.6 s"):
            call()
        assert len(fake.requests) == 1
    assert list(tmp_path.iterdir()) == []
    fake.replies = [as_json(INFO)]
    assert hasty.info() == INFO


def test_a_caller_may_take_its_time(fake: Fake, hasty: Client, tmp_path: Path) -> None:
    content = bytes(range(256)) * 4096
    fake.replies = [Reply(content)]
    slow = iter([2.5 * SILENCE])
    hasty.get_image("case", tmp_path / "image", progress=lambda done, total: time.sleep(next(slow, 0.0)))
    assert (tmp_path / "image").read_bytes() == content


def test_an_upload_that_nobody_reads_is_given_up(tmp_path: Path) -> None:
    file = tmp_path / "cine.nii"
    with file.open("wb") as made:
        made.truncate(64 * MB)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        with (
            Client(address, timeout=(2, SILENCE)) as client,
            pytest.raises(ServerUnreachable, match=r"127\.0\.0\.1:\d+ fell silent for 0\.3 s"),
        ):
            client.put_image("case", file)


def test_an_upload_over_a_slow_line_arrives(tmp_path: Path) -> None:
    file, got = tmp_path / "cine.nii", bytearray()
    file.write_bytes(bytes(range(256)) * 4096 * 8)

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            while len(got) < 8 * MB:
                if not got:
                    # Longer than a connection's making may take.
                    time.sleep(0.5)
                piece = connection.recv(2 * MB)
                if not piece:
                    return
                got.extend(piece)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        with Client(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=(0.1, 5.0)) as client:
            client.put_image("case", file)
        thread.join()
    assert bytes(range(256)) * 4 in bytes(got)


IN_90_SECONDS = "in 90 seconds"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30.0),
        (IN_90_SECONDS, 90.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("9" * 400, None),
        ("", None),
        (None, None),
    ],
)
def test_a_refusal_says_when_to_come_back(
    fake: Fake, client: Client, header: str | None, seconds: float | None
) -> None:
    reply = refusal(503)
    if header == IN_90_SECONDS:  # from now, not from when the tests were collected
        header = format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=90), usegmt=True)
    reply.headers = {} if header is None else {"Retry-After": header}
    fake.replies = [reply]
    with pytest.raises(ServerRefused) as caught:
        client.job("some")
    # Of a date, a while has passed since it was written.
    assert caught.value.retry_seconds == (
        None if seconds is None else pytest.approx(seconds, abs=60 * (seconds > 60))
    )
