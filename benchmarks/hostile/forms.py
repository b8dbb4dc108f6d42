"""Ranges of downloads, and forms that are none."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.hostile.request import CASE, Hostile, as_params, plain, quick, sound_image, sound_label
from benchmarks.hostile.wire import BOUNDARY, Headers, Part, form, form_headers

_RANGES = {
    "first byte": "bytes=0-0",
    "last byte": "bytes=-1",
    "beyond the end": "bytes=99999999-",
    "backwards": "bytes=9-1",
    "negative": "bytes=--1",
    "of words": "bytes=a-b",
    "in another unit": "items=0-1",
    "without a unit": "0-1",
    "empty": "",
    "five thousand": "bytes=" + ",".join(f"{i}-{i}" for i in range(5000)),
    "fifty that overlap": "bytes=" + ",".join("0-" for _ in range(50)),
    "with thirty thousand digits": "bytes=0-" + "9" * 30_000,
    "with five thousand digits": "bytes=" + "9" * 5000 + "-",
    "zero from the end": "bytes=-0",
    "of spaces": "bytes=" + " " * 5000 + "0-1",
    "of letters of another script": "bytes=\u0660-\u0661",
}


def _ranges() -> list[Hostile]:
    return [
        plain(
            f"range {what} of the {kind}",
            *("GET", f"/datastore/{kind}?{kind}={CASE}", 200),
            headers=(("Range", value), ("If-Range", '"x"') if what == "empty" else ("Accept", "*/*")),
        )
        for what, value in _RANGES.items()
        for kind in ("image", "label")
    ]


def _sound_image(boundary: str = BOUNDARY) -> bytes:
    return form([sound_image()], boundary)


_UPLOAD = "/datastore/image?image=evil"
_INFER = f"/infer/motion?image={CASE}"


def _form(
    what: str,
    headers: Headers,
    body: Callable[[], bytes],
    *statuses: int,
    target: str = _UPLOAD,
    method: str = "PUT",
) -> Hostile:
    return plain(f"form: {what}", method, target, *statuses, headers=headers, body=body)


def _typed(content_type: str) -> Headers:
    return (("Content-Type", content_type),)


def _forms() -> list[Hostile]:
    sound = _sound_image
    disposition = b"--" + BOUNDARY.encode() + b"\r\n"
    many = partial(form, [Part(f"field{i}", b"x") for i in range(2000)])
    files = partial(form, [Part("file", b"x", f"f{i}.nii.gz") for i in range(2000)])
    headed = disposition + b'Content-Disposition: form-data; name="file"; filename="a.nii.gz"\r\n'
    values = partial(form, [Part("params", b'{"model": "\xff\xfe"}')])
    return [
        _form("no boundary", _typed("multipart/form-data"), sound, 400, 422),
        _form("an empty boundary", _typed("multipart/form-data; boundary="), sound, 400, 422),
        _form("another boundary", _typed("multipart/form-data; boundary=other"), sound, 400, 422),
        _form("a boundary of spaces", _typed('multipart/form-data; boundary="   "'), sound, 400, 422),
        _form("a boundary of letters beyond ASCII", _typed("multipart/form-data; boundary=bö"), sound, 400, 422),
        _form(
            "a boundary of three thousand letters",
            _typed("multipart/form-data; boundary=" + "b" * 3000),
            lambda: sound()[:-500],
            400,
            422,
        ),
        _form("another content type", _typed("application/octet-stream"), sound, 400, 413, 415, 422),
        _form("no content type", (), sound, 400, 413, 415, 422),
        _form("a content type of nothing", _typed(""), sound, 400, 413, 415, 422),
        _form(
            "JSON in place of it", _typed("application/json"), lambda: b'{"file": "/etc/passwd"}', 400, 415, 422
        ),
        _form(
            "URL-encoded", _typed("application/x-www-form-urlencoded"), lambda: b"file=/etc/passwd", 400, 415, 422
        ),
        _form("mixed parts", _typed(f"multipart/mixed; boundary={BOUNDARY}"), sound, 400, 413, 415, 422),
        _form("nothing in it", form_headers(), lambda: b"", 400, 422),
        _form("no part in it", form_headers(), lambda: form([]), 400, 422),
        _form("cut within a file", form_headers(), lambda: sound()[:-500], 400, 422),
        _form("cut within a header", form_headers(), lambda: sound()[:60], 400, 422),
        _form("cut before the last dashes", form_headers(), lambda: sound()[:-4], 400, 422),
        _form("garbage", form_headers(), lambda: bytes(range(256)) * 10, 400, 422),
        _form(
            "a part without a name",
            form_headers(),
            lambda: disposition + b"Content-Disposition: form-data\r\n\r\nx\r\n" + disposition[:-2] + b"--\r\n",
            400,
            422,
        ),
        _form(
            "a part without a header",
            form_headers(),
            lambda: disposition + b"\r\nx\r\n" + disposition[:-2] + b"--\r\n",
            400,
            422,
        ),
        _form(
            "a header of a part without a colon",
            form_headers(),
            lambda: disposition + b"rubbish\r\n\r\nx\r\n",
            400,
            422,
        ),
        _form(
            "a header of a part of a megabyte",
            form_headers(),
            lambda: headed + b"X-Long: " + b"a" * 2**20 + b"\r\n\r\nx\r\n" + disposition[:-2] + b"--\r\n",
            400,
            422,
        ),
        _form(
            "ten thousand headers of a part",
            form_headers(),
            lambda: headed + b"X-Many: a\r\n" * 10_000 + b"\r\nx\r\n" + disposition[:-2] + b"--\r\n",
            400,
            422,
        ),
        _form("2000 fields", form_headers(), many, 400, 422),
        _form("2000 files", form_headers(), files, 400, 422),
        _form(
            "a field of two megabytes",
            form_headers(),
            partial(form, [Part("params", b"x" * 2**21)]),
            413,
        ),
        _form(
            "50 files of a megabyte", form_headers(), partial(form, [Part("n", b"x" * 2**20, "n")] * 50), 400, 413
        ),
        _form(
            "three megabytes to a route that takes no files",
            form_headers(),
            partial(form, [Part("n", b"x" * 2**20, "n")] * 3),
            413,
            target="/activelearning/random",
            method="POST",
        ),
        _form("a name of half a megabyte", form_headers(), partial(form, [Part("n" * 2**19, b"x")]), 400, 422),
        _form("a file as text", form_headers(), partial(form, [Part("file", b"/etc/passwd")]), 400, 422),
        _form(
            "a file under another name", form_headers(), partial(form, [Part("image", b"x", "a.nii.gz")]), 400, 422
        ),
        _form(
            "two files, both bad",
            form_headers(),
            partial(form, [Part("file", b"x", "a.nii.gz"), Part("file", b"y", "../b.nii.gz")]),
            400,
            422,
        ),
        _form("a URL as file", form_headers(), partial(form, [Part("file", b"http://127.0.0.1/info/")]), 400, 422),
        *(
            _form(
                f"text in {charset}",
                _typed(f"multipart/form-data; boundary={BOUNDARY}; charset={charset}"),
                values,
                400,
                404,
                415,
                422,
                target=_INFER,
                method="POST",
            )
            for charset in (
                "undefined",
                "idna",
                "zlib",
                "utf-7",
                "unicode_escape",
                "punycode",
                "utf-16",
                "../x",
                "",
            )
        ),
        _form(
            "a field _charset_",
            form_headers(),
            partial(form, [Part("_charset_", b"undefined"), as_params("{")]),
            422,
            target=_INFER,
            method="POST",
        ),
    ]


def _accepted() -> list[Hostile]:
    """What is strange and yet allowed: it has to do no harm."""
    sound = partial(form, [sound_label(), as_params(quick())])
    return [
        plain("infer whose client leaves", "POST", _INFER, 0, headers=form_headers(), body=sound, hang_up=True),
        plain("job with an unknown query", "GET", "/info/?image=../x&tag=../y", 200),
        plain("info with a body", "GET", "/info/", 200, body=lambda: b"x" * 1000),
    ]


REQUESTS = [*_ranges(), *_forms(), *_accepted()]
