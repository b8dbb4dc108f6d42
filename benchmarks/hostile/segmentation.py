"""Infers that segment, and align: images that come with the request, frames, options, contours."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from cardiac_motion.weights import shipped_weights

from benchmarks.hostile import images as make
from benchmarks.hostile.files import NAMES
from benchmarks.hostile.images import nifti, nrrd, pack, promising
from benchmarks.hostile.request import (
    BROKEN,
    CASE,
    LINKED,
    OTHER,
    OUTSIDE,
    Hostile,
    as_params,
    posted,
    quick,
    sound_image,
    sound_label,
)
from benchmarks.hostile.wire import Part

_NAN = float("nan")
_NETWORK = "unet"
"""Offered where its weights are in the package; without them there is nothing here to be asked for."""


def _frame() -> np.ndarray:
    """A sound 3D image, (Z, Y, X)."""
    return make.cine_values()[0]


def _image(fields: Mapping[str, Any] | None = None, **more: Any) -> bytes:
    """A NIfTI of a sound 3D image, with fields that need not be true."""
    return nifti(_frame(), fields, **more)


def _with_voxel(value: float) -> bytes:
    values = _frame().astype(np.float32)
    values[0, 1, 2] = value
    return nifti(values)


def _nrrd(fields: Mapping[str, str | None] | None = None, **more: Any) -> bytes:
    """An NRRD of a sound 3D image."""
    sound = {
        "dimension": "3",
        "sizes": "64 64 3",
        "kinds": "domain domain domain",
        "space directions": "(1.4,0,0) (0,1.5,0) (0,0,8)",
    }
    return nrrd({**sound, **(fields or {})}, **{"data": _frame().tobytes(), **more})


FRAMES: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "garbage": lambda: bytes(range(256)) * 40,
    "gzip of nothing": lambda: pack(b""),
    "gzip within gzip": lambda: pack(_image()),
    "gzip cut in half": lambda: _image()[:3000],
    "gzip with garbage behind": lambda: _image() + b"garbage" * 1000,
    "header alone": lambda: _image(data=b""),
    "one byte too few": lambda: _image(compressed=False)[:-1],
    "one byte too many": lambda: _image(compressed=False) + b"\0",
    "a cine": nifti,
    "more than fits": lambda: _image(promising((64, 64, 90))),
    "beyond the limit": lambda: _image(promising((2000, 2000, 30)), data=b""),
    "32767 in each axis": lambda: _image(promising((32767, 32767, 32767)), data=b""),
    "2^62 in one axis": lambda: _image(promising((2**62, 4, 1), is_second=True), data=b"", is_second=True),
    "a negative size": lambda: _image(promising((-64, 64, 3))),
    "size zero": lambda: _image(promising((64, 64, 0)), data=b""),
    "one axis": lambda: _image(promising((64 * 192,))),
    "five axes": lambda: _image(promising((64, 64, 3, 1, 2))),
    "bomb behind the voxels": lambda: pack(_image(compressed=False)) + make.zeros(2**25),
    "first voxel beyond the end": lambda: _image({"vox_offset": 1e9}, compressed=False),
    "first voxel before the header": lambda: _image({"vox_offset": -400}, compressed=False),
    "NaN voxel": lambda: _with_voxel(_NAN),
    "infinite voxel": lambda: _with_voxel(float("inf")),
    "voxels beyond float32": lambda: nifti(np.full((3, 16, 16), 1e300)),
    "slope beyond all": lambda: _image({"scl_slope": 3e38, "scl_inter": 0}),
    "affine of NaN": lambda: _image({"srow_x": np.full(4, _NAN)}),
    "affine of zeros": lambda: _image({each: np.zeros(4) for each in ("srow_x", "srow_y", "srow_z")}),
    "unknown type": lambda: _image({"datatype": 9999}),
    "complex numbers": lambda: nifti(_frame().astype(np.complex64)),
    "half of a pair": lambda: _image({"magic": b"ni1"}, compressed=False),
}

NRRDS: dict[str, Callable[[], bytes]] = {
    "detached": lambda: make.detached("/etc/passwd"),
    "detached, outside": lambda: make.detached(f"{OUTSIDE}/secret.nii.gz"),
    "2^31 in each axis": lambda: _nrrd({"sizes": "2147483648 2147483648 2147483648"}, data=b""),
    "gzip bomb": lambda: _nrrd({"encoding": "gzip"}, data=make.zeros(2**27)),
    "directions NaN": lambda: _nrrd({"space directions": "(nan,0,0) (0,1,0) (0,0,8)"}),
    "directions in a plane": lambda: _nrrd({"space directions": "(1,2,0) (2,4,0) (0,0,8)"}),
    "voxels cut off": lambda: _nrrd()[:-100],
}

BAD_VALUES: dict[str, tuple[object, ...]] = {
    "frames": ([], [0, 0], [5], [-1], [True], [0.0], ["0"], "0", "ALL", 0, None, {}, [2**70], [[0]], [None]),
    "frame": (5, -1, 2**70, 0.0, True, "0", [0], {}),
    "entropy": ("true", 1, None, []),
    "options": (
        None,
        [],
        "x",
        {"__class__": 1},
        {"weights": f"{OUTSIDE}/secret.nii.gz"},
        {"probabilities": True},
        {"entropy": True},
        {"view": "../x"},
        {"view": 1},
        {"view": None},
        {"flips": 2},
        {"flips": "maybe"},
        {"tidy": None},
        {"tidy": [True]},
        {"radius": 2},
    ),
    "model": (_NETWORK, "../x", 1),
    "key_frames": ([0],),
    "label_tag": ("final",),
    "device": ("cuda",),
    "image": (f"{OUTSIDE}/secret.nii.gz",),
}

BAD_FUSED_VALUES: dict[str, tuple[object, ...]] = {
    "frames": BAD_VALUES["frames"],
    "key_frames": ([], [0, 0], [5], [-1], [True], [0.0], ["0"], 0, None, [0, 1], [2**70]),
    "label_tag": ("../x", "final/", f"{OUTSIDE}/x", 5, "final"),
    "motion_model": ("", "../../recursive", f"{OUTSIDE}/model.pt", 1, None, ["recursive"]),
    "motion_options": (
        None,
        [],
        {"iterations": -1},
        {"iterations": 10**9},
        {"iterations": "two"},
        {"weights": f"{OUTSIDE}/secret.nii.gz"},
        {"levels": 2**40},
    ),
    "options": BAD_VALUES["options"],
    "reference": (0,),
}


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:30]}… ({len(text)} characters)"


def _asked(
    name: str, *statuses: int, task: str = _NETWORK, image: str = CASE, parts: Callable[[], list[Part]]
) -> Hostile:
    return posted(f"{task}: {name}", "POST", f"/infer/{task}?image={image}", *statuses, parts=parts)


def _files() -> list[Hostile]:
    def sent(build: Callable[[], bytes], name: str) -> list[Part]:
        return [Part("file", build(), name)]

    found = [
        _asked(f"file: {what}", 400, 422, image="", parts=partial(sent, build, "frame.nii.gz"))
        for what, build in FRAMES.items()
    ]
    found += [
        _asked(f"file: NRRD: {what}", 400, 422, image="", parts=partial(sent, build, "frame.nrrd"))
        for what, build in NRRDS.items()
    ]
    found += [
        _asked(f"file named: {what}", 400, 422, image="", parts=partial(sent, _image, name))
        for what, name in NAMES.items()
    ]
    # A single slice, taken for a long-axis view.
    flat = partial(sent, partial(_image, promising((64, 192))), "frame.nii.gz")
    found.append(_asked("file: two axes", 200, image="", parts=flat))
    return found


def _files_out_of_place() -> list[Hostile]:
    def file() -> Part:
        return Part("file", _image(), "frame.nii.gz")

    return [
        _asked("file and image", 422, parts=lambda: [file()]),
        _asked("file and an image that is not there", 422, image="nobody", parts=lambda: [file()]),
        _asked("neither file nor image", 400, 404, 422, image="", parts=list),
        _asked("file as text", 400, 422, image="", parts=lambda: [Part("file", b"/etc/passwd")]),
        _asked("file and a label", 422, image="", parts=lambda: [file(), sound_label()]),
        _asked("a second frame of a file", 422, image="", parts=lambda: [file(), as_params({"frames": [1]})]),
        _asked("a cine as file", 422, image="", parts=lambda: [sound_image()]),
        _asked("file for contours", 422, task="fused", image="", parts=lambda: [file(), sound_label()]),
        _asked("file for a motion", 422, task="motion", image="", parts=lambda: [file(), sound_label()]),
        _asked("label", 422, parts=lambda: [sound_label()]),
        _asked("an image that is none", 404, 422, image=BROKEN, parts=list),
        _asked("an image that is a link", 404, image=LINKED, parts=list),
        _asked("an image elsewhere", 400, 404, 422, image="../x", parts=list),
    ]


def _values() -> list[Hostile]:
    def own(params: Mapping[str, Any]) -> list[Part]:
        return [as_params(params)]

    def fused(params: Mapping[str, Any]) -> list[Part]:
        return [sound_label(), as_params({"key_frames": [0], "motion_options": quick()["options"], **params})]

    found = [
        _asked(f"{name} = {_short(value)}", 400, 404, 422, parts=partial(own, {name: value}))
        for name, values in BAD_VALUES.items()
        for value in values
    ]
    found += [
        _asked(f"{name} = {_short(value)}", 400, 404, 422, task="fused", parts=partial(fused, {name: value}))
        for name, values in BAD_FUSED_VALUES.items()
        for value in values
    ]
    return [
        *found,
        _asked("frames and frame", 422, parts=partial(own, {"frames": [0], "frame": 1})),
        _asked("ten thousand frames", 422, parts=partial(own, {"frames": list(range(10_000))})),
        _asked("no label", 422, task="fused", parts=list),
        _asked(
            "label_tag without a label",
            404,
            task="fused",
            image=OTHER,
            parts=partial(own, {"label_tag": "final"}),
        ),
    ]


def _aligned() -> list[Hostile]:
    """Aligning slices, with what is wrong beside it: nothing of it may be done first."""

    def parts(**params: object) -> list[Part]:
        return [sound_label(), as_params(quick(align=True, **params))]

    wrong: dict[str, dict[str, object]] = {
        "a reference that is not there": {"reference": 5},
        "a key frame that is not there": {"key_frames": [5]},
        "a model that is not there": {"model": "../x"},
        "a label of its own": {"label_tag": "final"},
        "options of segmentation": {"options": {"flips": True}},
        "shifts of its own": {"shifts": [[0, 0]] * 3},
        "shifts of a file": {"slice_shifts": f"{OUTSIDE}/secret.nii.gz"},
    }
    return [
        _asked(f"align and {what}", 400, 404, 422, task="motion", parts=partial(parts, **params))
        for what, params in wrong.items()
    ]


REQUESTS = [*_aligned()]
if _NETWORK in shipped_weights():
    REQUESTS += [*_files(), *_files_out_of_place(), *_values()]
