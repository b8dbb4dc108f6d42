"""Who asks: hosts, origins, tokens."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.hostile.request import CASE, HOST, ORIGIN, TOKEN, Hostile, as_params, plain, sound_label
from benchmarks.hostile.wire import Headers, form, form_headers

_HOSTS = {
    "of a page": "evil.example",
    "of a page, with a port": "evil.example:8000",
    "that begins well": "127.0.0.1.evil.example",
    "that ends well": "evil.localhost.example",
    "with a user": "127.0.0.1@evil.example",
    "with a dot": "evil.example.",
    "empty": "",
    "a number": "2130706433",
    "every address": "0.0.0.0",
    "another address": "192.168.1.1",
    "another address of IPv6": "[fe80::1]",
    "invalid": "[::1",
    "a path": "localhost/../evil",
    "letters beyond ASCII": "löcalhost",
    "long": "a" * 5000,
}

_ORIGINS = ("http://evil.example", "null", "http://127.0.0.1", "http://localhost:3000", "file://", "", "*")

_TOKENS = {
    "none": None,
    "empty": "",
    "scheme alone": "Bearer",
    "scheme and a space": "Bearer ",
    "wrong": "Bearer wrong-token-wrong-token",
    "another scheme": f"Basic {TOKEN}",
    "no scheme": TOKEN,
    "cut": f"Bearer {TOKEN[:-1]}",
    "longer": f"Bearer {TOKEN}x",
    "capitals": f"Bearer {TOKEN.upper()}",
    "beyond ASCII": "Bearer tökén-ünd-zü-läng",
    "invalid UTF-8": "Bearer \xff\xfe\xfd",
    "twice in one": f"Bearer {TOKEN},Bearer {TOKEN}",
    "quoted": f'Bearer "{TOKEN}"',
    "long": "Bearer " + "t" * 30_000,
    "with a null": f"Bearer {TOKEN}%00",
}


def _hosts_and_origins() -> list[Hostile]:
    found = [
        plain(f"host {what}", "GET", "/info/", 400, 403, headers=(("Host", name),))
        for what, name in _HOSTS.items()
    ]
    # What the reader of HTTP refuses by itself has its own words.
    found = [replace(each, by_parser=True) if each.name in {"host empty", "host long"} else each for each in found]
    found += [
        plain(
            "two hosts",
            "GET",
            "/info/",
            400,
            403,
            headers=(("Host", HOST), ("Host", "evil.example")),
            by_parser=True,
        ),
        plain(
            "another host behind a proxy's header",
            "GET",
            "/info/",
            200,
            headers=(("X-Forwarded-Host", "evil.example"),),
        ),
    ]
    for origin in _ORIGINS:
        headers = (("Origin", origin),)
        found += [
            plain(f"page of {origin or 'nothing'}", "GET", "/info/", 403, headers=headers),
            plain(
                f"form of {origin or 'nothing'}",
                "PUT",
                f"/datastore/label?image={CASE}",
                403,
                headers=(*headers, *form_headers()),
                body=_sound_label,
            ),
            plain(
                f"preflight of {origin or 'nothing'}",
                "OPTIONS",
                "/info/",
                403,
                headers=(*headers, ("Access-Control-Request-Method", "PUT")),
            ),
        ]
    allowed = ("Authorization", f"Bearer {TOKEN}")
    for origin in (ORIGIN + ".evil", ORIGIN.replace("http", "https"), ORIGIN.upper(), ORIGIN + "/", "null"):
        found += [
            plain(
                f"guarded: page of {origin}",
                "GET",
                "/info/",
                403,
                server="guarded",
                headers=(("Origin", origin), allowed),
            ),
            plain(
                f"guarded: preflight of {origin}",
                "OPTIONS",
                "/info/",
                403,
                server="guarded",
                headers=(("Origin", origin), ("Access-Control-Request-Method", "GET")),
            ),
        ]
    found += [
        plain(
            "guarded: page that may, with a token",
            "GET",
            "/info/",
            200,
            server="guarded",
            headers=(("Origin", ORIGIN), allowed),
            answer_has={"access-control-allow-origin": ORIGIN},
        ),
        plain(
            "guarded: page that may, without a token",
            "GET",
            "/info/",
            401,
            server="guarded",
            headers=(("Origin", ORIGIN),),
            answer_has={"access-control-allow-origin": ORIGIN},
        ),
        plain(
            "guarded: preflight of a page that may",
            "OPTIONS",
            "/info/",
            200,
            server="guarded",
            headers=(
                ("Origin", ORIGIN),
                ("Access-Control-Request-Method", "PUT"),
                ("Access-Control-Request-Headers", "authorization"),
            ),
            answer_has={"access-control-allow-origin": ORIGIN},
        ),
        plain(
            "guarded: preflight for another header",
            "OPTIONS",
            "/info/",
            400,
            server="guarded",
            headers=(
                ("Origin", ORIGIN),
                ("Access-Control-Request-Method", "PUT"),
                ("Access-Control-Request-Headers", "x-evil"),
            ),
            answer_has={"access-control-allow-origin": ORIGIN},
        ),
        plain(
            "guarded: preflight for another method",
            "OPTIONS",
            "/info/",
            400,
            server="guarded",
            headers=(("Origin", ORIGIN), ("Access-Control-Request-Method", "TRACE")),
            answer_has={"access-control-allow-origin": ORIGIN},
        ),
    ]
    return found


def _tokens() -> list[Hostile]:
    challenge = {"www-authenticate": "Bearer"}
    found = []
    for what, value in _TOKENS.items():
        headers: Headers = () if value is None else (("Authorization", value),)
        found.append(
            plain(f"token: {what}", "GET", "/info/", 401, server="guarded", headers=headers, answer_has=challenge)
        )
    for method, target in (
        ("HEAD", "/info/"),
        ("OPTIONS", "/info/"),
        ("GET", "/openapi.json"),
        ("GET", "/reload"),
        ("GET", "/jobs/x"),
        ("GET", f"/datastore/image?image={CASE}"),
        ("GET", "/datastore/"),
        ("POST", "/activelearning/random"),
        ("GET", f"/info/?token={TOKEN}"),
        ("GET", f"/info/?access_token={TOKEN}"),
        ("GET", "//info/"),
    ):
        found.append(
            plain(f"no token: {method} {target}", method, target, 401, server="guarded", answer_has=challenge)
        )
    right = f"Bearer {TOKEN}"
    found += [
        plain(
            "token in a cookie", "GET", "/info/", 401, server="guarded", headers=(("Cookie", f"token={TOKEN}"),)
        ),
        plain(
            "token of a proxy", "GET", "/info/", 401, server="guarded", headers=(("Proxy-Authorization", right),)
        ),
        plain(
            "two tokens, the first wrong",
            "GET",
            "/info/",
            401,
            server="guarded",
            headers=(("Authorization", "Bearer x"), ("Authorization", right)),
        ),
        plain(
            "token with a scheme in small letters",
            "GET",
            "/info/",
            200,
            server="guarded",
            headers=(("Authorization", f"bearer {TOKEN}"),),
        ),
        plain(
            "label without a token",
            "PUT",
            f"/datastore/label?image={CASE}",
            401,
            server="guarded",
            headers=form_headers(),
            body=_sound_label,
        ),
        plain(
            "token and another host",
            "GET",
            "/info/",
            403,
            server="guarded",
            headers=(("Host", "evil.example"), ("Authorization", right)),
        ),
    ]
    return found


def _sound_label() -> bytes:
    return form([sound_label(), as_params({"key_frames": [0]})])


REQUESTS = [*_hosts_and_origins(), *_tokens()]
