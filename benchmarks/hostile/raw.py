"""Bytes that are no proper HTTP: lengths that lie, requests that are none."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.hostile.request import HOST, Hostile, plain, sound_image
from benchmarks.hostile.wire import BOUNDARY, Part, form, head, with_defaults

_UPLOAD = "/datastore/image?image=evil"
_FORM = f"multipart/form-data; boundary={BOUNDARY}"


def _sound_image() -> bytes:
    return form([sound_image()])


def _wire(
    name: str,
    build: Callable[[], bytes],
    *statuses: int,
    by_parser: bool = True,
    hang_up: bool = False,
    may_add: tuple[str, ...] = (),
) -> Hostile:
    return plain(
        f"wire: {name}", "GET", "", *statuses, wire=build, by_parser=by_parser, hang_up=hang_up, may_add=may_add
    )


def _headed(method: str, target: str, *headers: tuple[str, str], body: bytes = b"") -> bytes:
    return head(method, target, with_defaults(headers, HOST, None)) + body


def _chunks(body: bytes, size: int = 2**16) -> bytes:
    parts = (body[start : start + size] for start in range(0, len(body), size))
    return b"".join(f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in parts) + b"0\r\n\r\n"


def _chunked(method: str, target: str, content_type: str, body: Callable[[], bytes]) -> Callable[[], bytes]:
    headers = (("Content-Type", content_type), ("Transfer-Encoding", "chunked"))
    return lambda: _headed(method, target, *headers, body=_chunks(body()))


def _large_form() -> bytes:
    return form([Part("file", bytes(6 * 2**20), "cine.nii.gz")])


def _lengths() -> list[Hostile]:
    put = ("PUT", _UPLOAD, ("Content-Type", _FORM))

    def promised(length: str, body: Callable[[], bytes]) -> Callable[[], bytes]:
        return lambda: _headed(*put, ("Content-Length", length), body=body())

    return [
        _wire("length too small", promised("100", _sound_image), 400, 422, by_parser=False),
        _wire("length zero", promised("0", _sound_image), 400, 422, by_parser=False),
        _wire("length too large, then gone", promised("100000", _sound_image), 0, hang_up=True),
        _wire("gone in the middle of an upload", promised("2000000", lambda: bytes(10_000)), 0, hang_up=True),
        _wire("gone before the body", promised("2000000", bytes), 0, hang_up=True),
        _wire("length beyond the limit", promised("999999999999", bytes), 413, by_parser=False),
        _wire("length beyond all", promised("9" * 19, bytes), 400, 413),
        _wire("length of a thousand digits", promised("9" * 1000, bytes), 400, 413),
        _wire("negative length", promised("-1", bytes), 400),
        _wire("length of words", promised("many", bytes), 400),
        _wire("length with a plus", promised("+100", bytes), 400),
        _wire(
            "two lengths",
            lambda: _headed(*put, ("Content-Length", "5"), ("Content-Length", "6"), body=b"hello!"),
            400,
        ),
        _wire(
            "length and chunks",
            lambda: _headed(*put, ("Content-Length", "5"), ("Transfer-Encoding", "chunked"), body=b"0\r\n\r\n"),
            400,
            422,
        ),
        _wire(
            "upload beyond the limit",
            lambda: _headed(*put, ("Content-Length", str(len(_large_form()))), body=_large_form()),
            413,
            by_parser=False,
        ),
        _wire("chunks beyond the limit", _chunked("PUT", _UPLOAD, _FORM, _large_form), 413, by_parser=False),
        _wire(
            "JSON in chunks beyond the limit",
            _chunked("POST", "/activelearning/random", "application/json", lambda: b"[" * 200_000),
            413,
            by_parser=False,
        ),
        _wire(
            "text in chunks beyond the limit",
            _chunked("PUT", _UPLOAD, "text/plain", lambda: bytes(2**20)),
            413,
            422,
            by_parser=False,
        ),
        _wire(
            "body of a GET beyond the limit",
            _chunked("GET", "/info/", "text/plain", lambda: bytes(2**18)),
            200,
            413,
            by_parser=False,
        ),
        _wire(
            "chunk of a bad size",
            lambda: _headed(*put, ("Transfer-Encoding", "chunked"), body=b"zz\r\nhello\r\n"),
            0,
            400,
        ),
        _wire(
            "chunk beyond all",
            lambda: _headed(*put, ("Transfer-Encoding", "chunked"), body=b"F" * 30 + b"\r\nx"),
            0,
            400,
        ),
        _wire(
            "chunk with a negative size",
            lambda: _headed(*put, ("Transfer-Encoding", "chunked"), body=b"-5\r\nhello\r\n"),
            0,
            400,
        ),
        _wire(
            "chunks that do not end",
            lambda: _headed(*put, ("Transfer-Encoding", "chunked"), body=b"5\r\nhello\r\n"),
            0,
            hang_up=True,
        ),
        _wire("packed transfer", lambda: _headed(*put, ("Transfer-Encoding", "gzip"), body=b"x"), 400, 501),
        _wire(
            "transfer of two kinds",
            lambda: _headed(*put, ("Transfer-Encoding", "gzip, chunked"), body=b"0\r\n\r\n"),
            400,
            501,
        ),
    ]


def _requests_that_are_none() -> list[Hostile]:
    host = f"Host: {HOST}\r\n".encode()
    return [
        _wire("nothing, then gone", bytes, 0, hang_up=True),
        _wire("half a request, then gone", lambda: b"GET /info/ HT", 0, hang_up=True),
        _wire("half a header, then gone", lambda: b"GET /info/ HTTP/1.1\r\nHost: x", 0, hang_up=True),
        _wire("zeros", lambda: bytes(1000) + b"\r\n\r\n", 0, 400),
        _wire(
            "TLS",
            lambda: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) + b"\r\n\r\n",
            0,
            400,
        ),
        _wire("HTTP/2", lambda: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, 400, 403, 404, 505),
        _wire("HTTP/0.9", lambda: b"GET /info/\r\n\r\n", 0, 400),
        _wire(
            "HTTP/9.9", lambda: b"GET /info/ HTTP/9.9\r\n" + host + b"Connection: close\r\n\r\n", 0, 200, 400, 505
        ),
        _wire("HTTP/1.0 without a host", lambda: b"GET /info/ HTTP/1.0\r\n\r\n", 403, by_parser=False),
        _wire("HTTP/1.1 without a host", lambda: b"GET /info/ HTTP/1.1\r\n\r\n", 400),
        _wire("no method", lambda: b" /info/ HTTP/1.1\r\n" + host + b"\r\n", 0, 400),
        _wire("no target", lambda: b"GET  HTTP/1.1\r\n" + host + b"\r\n", 0, 400),
        _wire("a target with a space", lambda: b"GET /in fo/ HTTP/1.1\r\n" + host + b"\r\n", 0, 400),
        _wire("a target with a null", lambda: b"GET /info/\0 HTTP/1.1\r\n" + host + b"\r\n", 0, 400),
        _wire("a target of Latin-1", lambda: b"GET /inf\xf6/ HTTP/1.1\r\n" + host + b"\r\n", 0, 400, 404),
        _wire(
            "a target of another server",
            lambda: _headed("GET", "http://evil.example/info/", ("Connection", "close")),
            200,
            400,
            404,
            by_parser=False,
        ),
        _wire(
            "a target of a star",
            lambda: _headed("OPTIONS", "*", ("Connection", "close")),
            400,
            404,
            405,
            by_parser=False,
        ),
        _wire(
            "a tunnel", lambda: _headed("CONNECT", "evil.example:443", ("Connection", "close")), 0, 400, 404, 405
        ),
        _wire("a fragment", lambda: _headed("GET", "/info/#x"), 200, 400, 404, by_parser=False),
        _wire("a target of 100 000 characters", lambda: _headed("GET", "/" + "a" * 100_000), 0, 400, 414, 431),
        _wire(
            "a query of 100 000 characters", lambda: _headed("GET", "/info/?" + "a" * 100_000), 0, 400, 414, 431
        ),
        _wire(
            "a query of 10 000 names",
            lambda: _headed("GET", "/info/?" + "&".join(f"a{i}" for i in range(8000))),
            0,
            200,
            400,
            431,
        ),
        _wire(
            "a header of 100 000 characters",
            lambda: _headed("GET", "/info/", ("X-Long", "a" * 100_000)),
            0,
            400,
            431,
        ),
        _wire(
            "ten thousand headers",
            lambda: _headed("GET", "/info/", *((f"X-{i}", "a") for i in range(10_000))),
            0,
            400,
            431,
        ),
        _wire("a header with a null", lambda: _headed("GET", "/info/", ("X-Null", "a\0b")), 0, 400),
        _wire("a header without a colon", lambda: b"GET /info/ HTTP/1.1\r\n" + host + b"rubbish\r\n\r\n", 0, 400),
        _wire(
            "a header's name with a space", lambda: b"GET /info/ HTTP/1.1\r\n" + host + b"X Y: z\r\n\r\n", 0, 400
        ),
        _wire(
            "a folded header",
            lambda: b"GET /info/ HTTP/1.1\r\n" + host + b"Connection: close\r\nX-A: b\r\n c\r\n\r\n",
            0,
            200,
            400,
            by_parser=False,
        ),
        _wire(
            "a WebSocket",
            lambda: _headed(
                "GET",
                "/info/",
                ("Upgrade", "websocket"),
                ("Connection", "Upgrade, close"),
                ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
                ("Sec-WebSocket-Version", "13"),
            ),
            200,
            400,
            403,
            404,
            426,
            by_parser=True,
        ),
        _wire(
            "another protocol",
            lambda: _headed("GET", "/info/", ("Upgrade", "h2c"), ("Connection", "Upgrade, close")),
            200,
            400,
            by_parser=True,
        ),
        _wire(
            "an unknown expectation",
            lambda: _headed(
                "PUT", _UPLOAD, ("Expect", "the unexpected"), ("Content-Type", _FORM), ("Content-Length", "0")
            ),
            400,
            417,
            422,
            by_parser=False,
        ),
        _wire(
            "a second request behind the first",
            lambda: head("GET", "/info/", (("Host", HOST),)) + _headed("GET", "/reload"),
            200,
            by_parser=False,
        ),
    ]


REQUESTS = [*_lengths(), *_requests_that_are_none()]
