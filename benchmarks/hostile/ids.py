"""Ids, tags and versions that no case has, or that would lead elsewhere."""

from __future__ import annotations

from benchmarks.hostile.request import (
    CASE,
    LINKED,
    OUTSIDE,
    Hostile,
    as_params,
    plain,
    posted,
    quick,
    sound_image,
    sound_label,
)
from benchmarks.hostile.wire import Part

BAD_IDS = {
    "parent": "../secret",
    "grandparent": "../../secret",
    "deep parents": "../" * 40 + "etc/passwd",
    "encoded slash": "..%2Fsecret",
    "encoded dots": "%2e%2e%2fsecret",
    "encoded twice": "%252e%252e%252fsecret",
    "backslash": "..%5Csecret",
    "plain backslash": "..\\secret",
    "mixed slashes": "..%5C..%2Fsecret",
    "overlong UTF-8": "%C0%AE%C0%AE%C0%AFsecret",
    "invalid UTF-8": "%FF%FE%FD",
    "percent u": "%u002e%u002e/secret",
    "absolute": f"{OUTSIDE}/secret",
    "absolute with ending": f"{OUTSIDE}/secret.nii.gz",
    "etc passwd": "%2Fetc%2Fpasswd",
    "drive": "C:%5CWindows%5Cwin.ini",
    "share": "%5C%5Cserver%5Cshare",
    "file URL": "file:///etc/passwd",
    "http URL": "http://127.0.0.1/info/",
    "null": f"{CASE}%00",
    "null before ending": "../secret%00.nii.gz",
    "newline": f"{CASE}%0A",
    "header injection": f"{CASE}%0D%0ASet-Cookie:%20a=b",
    "space": f"{CASE}%20",
    "spaces alone": "%20%20",
    "empty": "",
    "dot": ".",
    "dots": "..",
    "hidden": ".cardiac_motion",
    "own folder": ".cardiac_motion/server.lock",
    "within labels": f"labels/final/{CASE}",
    "down and up": f"labels/../{CASE}",
    "with ending": f"{CASE}.nii.gz",
    "with other ending": f"{CASE}.NRRD",
    "129 characters": "a" * 129,
    "10000 characters": "a" * 10_000,
    "home": "~/secret",
    "variable": "$HOME",
    "command": "$(id)",
    "pipe": f"{CASE}%7Cid",
    "wildcard": "*",
    "option": "-rf",
    "fullwidth dots": "%EF%BC%8E%EF%BC%8E%EF%BC%8Fsecret",
    "division slash": "..%E2%88%95secret",
    "zero width space": "case%E2%80%8B-001",
    "right to left": "case%E2%80%AE100-",
    "letters of another script": "%D1%81ase-001",
    "emoji": "%F0%9F%AB%80",
    "surrogate": "%ED%A0%80",
    "format": "%7B0.__class__%7D",
    "template": "%24%7B7*7%7D",
    "comma": f"{CASE},case-002",
}

_SOME = ("parent", "encoded slash", "absolute", "null", "backslash", "empty", "overlong UTF-8")

BAD_TAGS = {
    "parent": "../x",
    "parents": "../../../x",
    "encoded": "..%2F..%2Fx",
    "absolute": f"{OUTSIDE}/x",
    "backslash": "..%5Cx",
    "null": "final%00",
    "newline": "final%0A",
    "slash": "final/",
    "other case": "Final",
    "unknown": "draft",
    "dots": "..",
    "space": "final%20",
    "letters of another script": "fin%D0%B0l",
    "long": "b" * 10_000,
    "wildcard": "*",
    "both": "final,original",
    "own folder": ".cardiac_motion",
}

BAD_VERSIONS = {
    "zero": "0",
    "negative": "-1",
    "that is not there": "99999",
    "huge": "1" + "0" * 30,
    "beyond the digits that Python reads": "1" * 5000,
    "no number": "abc",
    "fraction": "1.5",
    "empty": "",
    "null": "1%00",
    "path": "../1",
    "NaN": "NaN",
    "infinity": "Infinity",
    "negative zero": "-0",
}


def _image() -> list[Part]:
    return [sound_image()]


def _label() -> list[Part]:
    return [sound_label(), as_params({"key_frames": [0]})]


def _infer() -> list[Part]:
    return [sound_label(), as_params(quick())]


def _with_ids() -> list[Hostile]:
    found = []
    for what, bad in BAD_IDS.items():
        found += [
            plain(f"image of the id: {what}", "GET", f"/datastore/image?image={bad}", 400),
            posted(f"upload to the id: {what}", "PUT", f"/datastore/image?image={bad}", 400, parts=_image),
            posted(f"label of the id: {what}", "PUT", f"/datastore/label?image={bad}", 400, parts=_label),
        ]
    for what in _SOME:
        bad = BAD_IDS[what]
        found += [
            plain(f"HEAD image of the id: {what}", "HEAD", f"/datastore/image?image={bad}", 400),
            plain(f"image info of the id: {what}", "GET", f"/datastore/image/info?image={bad}", 400),
            plain(f"label download of the id: {what}", "GET", f"/datastore/label?label={bad}", 400),
            plain(f"HEAD label of the id: {what}", "HEAD", f"/datastore/label?image={bad}", 400),
            plain(f"label versions of the id: {what}", "GET", f"/datastore/label/versions?label={bad}", 400),
            plain(f"label info of the id: {what}", "GET", f"/datastore/label/info?label={bad}", 400),
            posted(f"infer on the id: {what}", "POST", f"/infer/motion?image={bad}", 400, parts=_infer),
            posted(f"job on the id: {what}", "POST", f"/jobs/infer/motion?image={bad}", 400, parts=_infer),
        ]
    return found


def _unknown() -> list[Hostile]:
    return [
        plain("image that is not there", "GET", "/datastore/image?image=nobody", 404),
        plain("image info that is not there", "GET", "/datastore/image/info?image=nobody", 404),
        plain("label that is not there", "GET", "/datastore/label?label=nobody", 404),
        plain("label of the image without one", "GET", "/datastore/label?label=case-002", 404),
        plain("versions of nobody", "GET", "/datastore/label/versions?label=nobody", 404),
        plain("label info of nobody", "GET", "/datastore/label/info?label=nobody", 404),
        plain("image that is a link to outside", "GET", f"/datastore/image?image={LINKED}", 404),
        plain("image that is hidden", "GET", "/datastore/image?image=hidden", 404),
        plain("image without an id", "GET", "/datastore/image", 422),
        plain("id in the wrong parameter", "GET", f"/datastore/image?label={CASE}", 422),
        plain("id twice, the second bad", "GET", f"/datastore/image?image={CASE}&image=../secret", 400, 200),
        plain("id as a list", "GET", f"/datastore/image?image[]={CASE}", 422),
        plain("id in another case", "GET", f"/datastore/image?image={CASE.upper()}", 404),
        posted("label of an image that is not there", "PUT", "/datastore/label?image=nobody", 404, parts=_label),
        posted("infer on an image that is not there", "POST", "/infer/motion?image=nobody", 404, parts=_infer),
        posted("job on an image that is not there", "POST", "/jobs/infer/motion?image=nobody", 404, parts=_infer),
        posted(
            "infer on an image that is a link to outside", "POST", "/infer/motion?image=linked", 404, parts=_infer
        ),
        posted("infer on an image that is none", "POST", "/infer/motion?image=broken", 422, parts=_infer),
        posted("label of an image that is none", "PUT", "/datastore/label?image=broken", 422, parts=_label),
        plain("checksum that is a path", "HEAD", f"/datastore/image?image={CASE}&check_sum=../../etc/passwd", 404),
        plain(
            "checksum of ten thousand digits",
            "HEAD",
            f"/datastore/image?image={CASE}&check_sum={'0' * 10_000}",
            404,
        ),
        posted("another image of an id that is there", "PUT", f"/datastore/image?image={CASE}", 409, parts=_image),
        posted("image over a link to outside", "PUT", f"/datastore/image?image={LINKED}", 409, parts=_image),
    ]


def _tags_and_versions() -> list[Hostile]:
    found = []
    for what, bad in BAD_TAGS.items():
        found += [
            posted(
                f"save under the tag: {what}", "PUT", f"/datastore/label?image={CASE}&tag={bad}", 400, parts=_label
            ),
            plain(f"download of the tag: {what}", "GET", f"/datastore/label?label={CASE}&tag={bad}", 400),
        ]
    for what in ("parent", "absolute", "null", "other case"):
        bad = BAD_TAGS[what]
        found += [
            plain(f"label info of the tag: {what}", "GET", f"/datastore/label/info?label={CASE}&tag={bad}", 400),
            plain(f"versions of the tag: {what}", "GET", f"/datastore/label/versions?label={CASE}&tag={bad}", 400),
            plain(f"HEAD label of the tag: {what}", "HEAD", f"/datastore/label?image={CASE}&tag={bad}", 400),
        ]
    for what, bad in BAD_VERSIONS.items():
        found.append(plain(f"version: {what}", "GET", f"/datastore/label?label={CASE}&version={bad}", 404, 422))
    found.append(plain("version twice", "GET", f"/datastore/label?label={CASE}&version=1&version=0", 200, 422))
    found.append(plain("info of a version: zero", "GET", f"/datastore/label/info?label={CASE}&version=0", 422))
    return found


REQUESTS = [*_with_ids(), *_unknown(), *_tags_and_versions()]
