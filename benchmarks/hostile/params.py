"""Parameters that are no JSON, of another type, out of range, or not there at all."""

from __future__ import annotations

import json
from functools import partial

import numpy as np

from benchmarks.hostile.request import CASE, OUTSIDE, Hostile, as_params, plain, posted, quick, sound_label
from benchmarks.hostile.wire import Part
from benchmarks.small_cines import label_bytes, small_cine

_SURROGATE = '"\\ud800"'

BAD_JSON = {
    "cut off": "{",
    "an array": "[]",
    "null": "null",
    "a number": "1",
    "a string": '"{}"',
    "true": "true",
    "two objects": "{}{}",
    "single quotes": "{'reference': 0}",
    "a comment": "{} // end",
    "a trailing comma": '{"reference": 0,}',
    "NaN": '{"reference": NaN}',
    "infinity": '{"reference": Infinity}',
    "negative infinity": '{"refine": -Infinity}',
    "NaN that nobody asks for": '{"key_frames": [NaN]}',
    "a number beyond all": '{"reference": 1e400}',
    "an option beyond all": '{"key_frames": [0], "options": {"iterations": 1e400}}',
    "five thousand digits": '{"reference": ' + "9" * 5000 + "}",
    "four thousand digits": '{"reference": ' + "9" * 4000 + "}",
    "thirty thousand brackets": "[" * 30_000,
    "ten thousand objects": '{"a":' * 10_000,
    "ten thousand objects, closed": '{"options":' * 5000 + "{}" + "}" * 5000,
    "a null character": '{"model": "recursive\\u0000"}',
    "a raw null character": '{"model": "recursive\0"}',
    "a lone surrogate as model": '{"key_frames": [0], "model": ' + _SURROGATE + "}",
    "a lone surrogate as name": "{" + _SURROGATE + ": 1}",
    "a lone surrogate as option": '{"key_frames": [0], "options": {' + _SURROGATE + ": 1}}",
    "a lone surrogate as option's value": '{"key_frames": [0], "options": {"similarity": ' + _SURROGATE + "}}",
    "a lone surrogate as option's list": '{"key_frames": [0], "options": {' + _SURROGATE + ": [1]}}",
    "a lone surrogate as tag": '{"label_tag": ' + _SURROGATE + "}",
    "names twice, the last bad": '{"reference": 0, "reference": 99, "key_frames": [0]}',
    "UTF-16": '{"reference": 0}'.encode("utf-16").decode("latin-1"),
    "a byte order mark": "\ufeff{}",
    "prototype": '{"__proto__": {"reference": 1}}',
    "python": "__import__('os').system('id')",
    "YAML": "!!python/object/apply:os.system ['id']",
}

_NOT_THERE = (
    "image",
    "label",
    "device",
    "save_label",
    "label_path",
    "result_extension",
    "result_dtype",
    "multi_gpu",
    "result_write_to_file",
    "gpus",
    "session",
    "temp_dir",
    "__class__",
    "model_config",
    "",
)

BAD_VALUES: dict[str, tuple[object, ...]] = {
    "model": (
        "",
        "../../recursive",
        f"{OUTSIDE}/model.pt",
        "recursive ",
        "Recursive",
        1,
        None,
        True,
        ["recursive"],
        {},
    ),
    "reference": (-1, 5, 2**31, 2**63, 2**200, 0.5, 0.0, True, "0", None, [0], {}),
    "key_frames": ([], [0, 0], [5], [-1], [True], [0.0], ["0"], [[0]], [None], {}, "0", 0, None, [0, 1], [2**70]),
    "label_tag": ("../x", "", "final/", f"{OUTSIDE}/x", 5, True, ["final"], "final", "original"),
    "align": ("true", "yes", 1, None, []),
    "refine": (1, -1, 3, 2**70, "0", 0.5, True, None),
    "output": ("zip", "", 3, None, ["labels"], "../x"),
    "client_id": (5, ["me"], {}, True),
    "options": (
        None,
        [],
        "x",
        5,
        {"weights": f"{OUTSIDE}/secret.nii.gz"},
        {"__class__": 1},
        {"iterations": -1},
        {"iterations": 0},
        {"iterations": 10**9},
        {"iterations": 2**70},
        {"iterations": 2.5},
        {"iterations": "two"},
        {"iterations": True},
        {"iterations": [2]},
        {"iterations": None, "levels": 99},
        {"levels": 0},
        {"levels": 2**40},
        {"dimensions": 4},
        {"dimensions": "two"},
        {"seed": -1},
        {"seed": 2**64},
        {"similarity": "os.system"},
        {"parametrisation": "../x"},
        {"bidirectional": "maybe"},
        {"bidirectional": 2},
        {"small_motion": None},
    ),
}


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 70 else f"{text[:30]}… ({len(text)} characters)"


def _four_frames_empty() -> Part:
    cine = small_cine()
    return Part("label", label_bytes(np.zeros(cine.shape, np.uint8), cine), "label.nii.gz")


def _infer(name: str, *statuses: int, parts: list[Part] | None = None, params: str | None = None) -> Hostile:
    def build() -> list[Part]:
        found = [sound_label()] if parts is None else list(parts)
        return found if params is None else [*found, as_params(params)]

    return posted(f"infer: {name}", "POST", f"/infer/motion?image={CASE}", *statuses, parts=build)


def _bad_json() -> list[Hostile]:
    found = [_infer(f"params are {what}", 422, 404, params=text) for what, text in BAD_JSON.items()]
    found += [
        _infer("params of 100 000 brackets", 413, 422, params="[" * 100_000),
        _infer("params of a megabyte and more", 400, 413, params='{"client_id": "' + "a" * 2**21 + '"}'),
        _infer("params beyond the limit", 413, params='{"client_id": "' + "a" * 2**17 + '"}'),
        _infer("params with ten thousand names", 413, 422, params=json.dumps({f"n{i}": 0 for i in range(10_000)})),
        _infer("params that are empty", 422, params=""),
        _infer("no params for a 3D label", 422),
    ]
    return found


def _bad_values() -> list[Hostile]:
    found = []
    for name in _NOT_THERE:
        place = f"{OUTSIDE}/secret.nii.gz"
        found.append(_infer(f"a parameter {name!r}", 422, params=json.dumps(quick(**{name: place}))))
    for name, values in BAD_VALUES.items():
        for value in values:
            text = json.dumps(quick(**{name: value}))
            found.append(_infer(f"{name} = {_short(value)}", 400, 404, 422, params=text))
    return found


def _no_label() -> list[Hostile]:
    return [
        _infer("no label", 422, parts=[as_params(quick())]),
        _infer("label and label_tag", 422, params=json.dumps(quick(label_tag="final"))),
        _infer("label_tag without a label", 404, parts=[as_params(quick(label_tag="original"))]),
        _infer("label of empty frames", 422, parts=[_four_frames_empty(), as_params({})]),
        _infer(
            "key frame of a 4D label that is empty",
            422,
            parts=[_four_frames_empty(), as_params({"key_frames": [1]})],
        ),
        _infer("ten thousand key frames", 422, params=json.dumps(quick(key_frames=list(range(10_000))))),
        _infer("params twice, the last bad", 422, params="{", parts=[sound_label(), as_params(quick())]),
        _infer("params as a file", 422, parts=[sound_label(), Part("params", b"{}", "params.json")]),
        _infer(
            "params that are no UTF-8", 404, 422, parts=[sound_label(), Part("params", b'{"model": "\xff\xfe"}')]
        ),
        _infer("label as text", 422, parts=[Part("label", b"/etc/passwd"), as_params(quick())]),
        _infer(
            "label as a path", 422, parts=[Part("label", OUTSIDE.encode() + b"/secret.nii.gz"), as_params(quick())]
        ),
        _infer(
            "fields that there are not",
            422,
            parts=[Part("image", b"../x"), Part("device", b"cuda"), as_params(quick())],
        ),
    ]


def _queries() -> list[Hostile]:
    def build() -> list[Part]:
        return [sound_label(), as_params(quick())]

    targets = {
        "unknown output": f"/infer/motion?image={CASE}&output=zip",
        "output twice": f"/infer/motion?image={CASE}&output=json&output=../x",
        "a session": f"/infer/motion?image={CASE}&session_id=1234",
        "a session that is a path": f"/infer/motion?image={CASE}&session_id=../../x",
        "no image": "/infer/motion",
        "unknown output of the datastore": "/datastore/?output=train",
    }
    found = [posted(f"query: {what}", "POST", target, 422, 405, parts=build) for what, target in targets.items()]
    found.append(plain("query of the datastore", "GET", "/datastore/?output=../x", 422))
    return found


_SAVE_VALUES: dict[str, tuple[object, ...]] = {
    "label_info": (
        "x",
        {},
        [1],
        [{}],
        [{"name": 1, "idx": 1}],
        [{"name": "LV"}],
        [{"name": "LV", "idx": "3"}],
        [{"name": "LV", "idx": 1.5}],
        [{"name": "LV", "idx": 1, "path": "/x"}],
        [{"name": "a" * 5000, "idx": 1}],
        [{"name": "LV", "idx": 1}] * 300,
    ),
    "verified_frames": ("x", {}, [5], [-1], [True], [0.0], ["0"], [2**70], list(range(11_000)), 0),
    "key_frames": ([], [5], [-1], [0, 1], [True], [0.0], ["0"], "0", 0, [2**70]),
    "model": (
        "recursive",
        1,
        [],
        {},
        {"name": "x"},
        {"name": "x", "version": 1.5},
        {"name": 1, "version": 1},
        {"name": "x", "version": 1, "weights": "/x"},
        {"name": "a" * 5000, "version": 1},
    ),
    "image_sha256": (1, "0" * 64, "", "../x", "0" * 5000, [], True),
    "note": (1, [], {}, "n" * 20_000, True),
    "label_tag": ("final",),
    "path": ("/etc/passwd",),
    "image": ("../x",),
    "version": (7,),
    "client_id": (1, []),
}


def _saves() -> list[Hostile]:
    def save(name: str, *statuses: int, params: str, **more: tuple[str, ...]) -> Hostile:
        target = f"/datastore/label?image={CASE}&tag=original"
        return posted(
            f"save: {name}",
            "PUT",
            target,
            *statuses,
            parts=partial(_label_with, params),
            may_add=more.get("may_add", ()),
        )

    def _label_with(params: str) -> list[Part]:
        return [sound_label(), as_params(params)]

    found = [save(f"params are {what}", 422, params=text) for what, text in BAD_JSON.items() if "tag" not in what]
    for name, values in _SAVE_VALUES.items():
        for value in values:
            params = json.dumps({"key_frames": [0], name: value})
            found.append(save(f"{name} = {_short(value)}", 409, 413, 422, params=params))
    for what, params in {
        "note": '{"key_frames": [0], "note": ' + _SURROGATE + "}",
        "structure": '{"key_frames": [0], "label_info": [{"name": ' + _SURROGATE + ', "idx": 1}]}',
        "version": '{"key_frames": [0], "model": {"name": "x", "version": ' + _SURROGATE + "}}",
        "client": '{"key_frames": [0], "client_id": ' + _SURROGATE + "}",
    }.items():
        found.append(save(f"a lone surrogate as {what}", 422, params=params))
    found += [
        save(
            "an index beyond all", 422, params='{"key_frames": [0], "label_info": [{"name": "LV", "idx": 1e400}]}'
        ),
        save("a number of NaN", 422, params='{"key_frames": [0], "label_info": [{"name": "LV", "idx": NaN}]}'),
    ]
    return found


_NEXT_BODIES = {
    "no JSON": b"{",
    "an array": b"[]",
    "a string": b'"x"',
    "a number": b"7",
    "NaN": b'{"client_id": NaN}',
    "a lone surrogate": b'{"client_id": "\\ud800"}',
    "a lone surrogate as name": b'{"\\ud800": 1}',
    "invalid UTF-8": b'{"client_id": "\xff"}',
    "another name": b'{"strategy": "../x"}',
    "another type": b'{"client_id": 7}',
    "a long name": b'{"client_id": "' + b"a" * 1000 + b'"}',
    "sixty thousand brackets": b"[" * 60_000,
    "deep objects": b'{"client_id":' * 4000 + b"1" + b"}" * 4000,
    "five thousand digits": b'{"client_id": ' + b"9" * 5000 + b"}",
}


def _next_cases() -> list[Hostile]:
    headers = (("Content-Type", "application/json"),)
    target = "/activelearning/random"
    found = [
        plain(f"next case: {what}", "POST", target, 400, 422, headers=headers, body=partial(bytes, body))
        for what, body in _NEXT_BODIES.items()
    ]
    found += [
        plain(
            "next case: beyond the limit", "POST", target, 413, headers=headers, body=lambda: b'{"a":' * 100_000
        ),
        plain(
            "next case: as a form",
            "POST",
            target,
            400,
            422,
            body=lambda: b"client_id=me",
            headers=(("Content-Type", "application/x-www-form-urlencoded"),),
        ),
        plain(
            "next case: as text",
            "POST",
            target,
            400,
            415,
            422,
            body=lambda: b'{"client_id": "me"}',
            headers=(("Content-Type", "text/plain"),),
        ),
        plain(
            "next case: as packed JSON",
            "POST",
            target,
            400,
            415,
            422,
            body=lambda: b"\x1f\x8b\x08\0\0\0\0\0",
            headers=(*headers, ("Content-Encoding", "gzip")),
        ),
    ]
    return found


REQUESTS = [*_bad_json(), *_bad_values(), *_no_label(), *_queries(), *_saves(), *_next_cases()]
