"""Files that are damaged, lie, blow up, or do not fit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import nibabel as nib
import numpy as np

from benchmarks.hostile import images as make
from benchmarks.hostile.images import nifti, nrrd, pack, promising
from benchmarks.hostile.request import CASE, OTHER, OUTSIDE, Hostile, as_params, posted, quick
from benchmarks.hostile.wire import Part
from benchmarks.small_cines import label_bytes, small_cine, small_labels

Build = Callable[[], bytes]

_SOUND = nifti

_NAN = float("nan")
_STRAIGHT = [[1.4, 0, 0, 0], [0, 1.5, 0, 0], [0, 0, 8, 0]]


def _cut(build: Build, share: float) -> bytes:
    whole = build()
    return whole[: int(share * len(whole))]


def _raw(fields: dict[str, object]) -> bytes:
    return nifti(fields=fields, compressed=False)


NIFTI: dict[str, Build] = {
    "nothing": lambda: b"",
    "garbage": lambda: bytes(range(256)) * 40,
    "text": lambda: b"this is no image\n" * 100,
    "zeros": lambda: pack(bytes(100_000)),
    "gzip of nothing": lambda: pack(b""),
    "gzip mark alone": lambda: b"\x1f\x8b",
    "gzip of garbage": lambda: pack(bytes(range(256)) * 40),
    "gzip within gzip": lambda: pack(nifti()),
    "gzip within gzip ten times": lambda: _nested(10),
    "gzip cut in half": lambda: _cut(nifti, 0.5),
    "gzip without its end": lambda: nifti()[:-8],
    "gzip with another checksum": make.wrong_checksum,
    "gzip of a script": lambda: pack(b"#!/bin/sh\nid > evil\n"),
    "gzip with garbage behind": lambda: nifti() + b"garbage" * 1000,
    "gzip damaged": lambda: nifti()[:2000] + bytes(50) + nifti()[2050:],
    "header alone": lambda: nifti(data=b""),
    "half a header": lambda: nifti(compressed=False)[:200],
    "voxels cut off": lambda: _cut(partial(nifti, compressed=False), 0.7),
    "one byte too few": lambda: nifti(compressed=False)[:-1],
    "one byte too many": lambda: nifti(compressed=False) + b"\0",
    "more than fits": lambda: nifti(fields=promising((64, 64, 3, 30))),
    "beyond the limit": lambda: nifti(fields=promising((1000, 1000, 10, 10)), data=b""),
    "32767 in each axis": lambda: nifti(fields=promising((32767, 32767, 32767, 32767)), data=b""),
    "2^31 in each axis": lambda: nifti(fields=promising((2**31,) * 4, is_second=True), data=b"", is_second=True),
    "2^62 in one axis": lambda: nifti(
        fields=promising((2**62, 4, 1, 2), is_second=True), data=b"", is_second=True
    ),
    "product that overflows": lambda: nifti(
        fields=promising((2**32, 2**32, 1, 1), is_second=True), is_second=True
    ),
    "a negative size": lambda: nifti(fields=promising((-64, 64, 3, 5))),
    "two negative sizes": lambda: nifti(fields=promising((-64, -64, 3, 5))),
    "size zero": lambda: nifti(fields=promising((64, 64, 0, 5)), data=b""),
    "no axes": lambda: nifti(fields={"dim": np.zeros(8, np.int16)}),
    "nine axes": lambda: nifti(fields={"dim": np.full(8, 9, np.int16)}),
    "negative axes": lambda: nifti(fields={"dim": np.full(8, -4, np.int16)}),
    "five axes": lambda: nifti(fields=promising((64, 64, 3, 1, 5))),
    "3D": lambda: nifti(make.cine_values()[0]),
    "one frame": lambda: nifti(fields=promising((64, 64, 15, 1))),
    "too many frames": lambda: nifti(np.zeros((41, 1, 8, 8), np.int16)),
    "pixels too few": lambda: nifti(np.zeros((5, 3, 2, 2), np.int16)),
    "bomb behind the voxels": lambda: make.bomb(2**24),
    "bomb that keeps its promise beyond the limit": lambda: make.zero_cine((30, 10, 200, 200)),
    "bomb in the extension": lambda: nifti(fields={"vox_offset": 2**26}, data=b"")[:-8] + make.zeros(2**27),
    "name of a megabyte in gzip": lambda: make.huge_gzip_name()[:-100],
    "first voxel beyond the end": lambda: _raw({"vox_offset": 1e9}),
    "first voxel before the header": lambda: _raw({"vox_offset": -400}),
    "first voxel at NaN": lambda: _raw({"vox_offset": _NAN}),
    "first voxel at infinity": lambda: _raw({"vox_offset": np.inf}),
    "size of header": lambda: _raw({"sizeof_hdr": 1}),
    "another mark": lambda: _raw({"magic": b"xyz"}),
    "half of a pair": lambda: _raw({"magic": b"ni1"}),
    "complex numbers": make.complex_cine,
    "colours": lambda: make.typed(128, 24),
    "unknown type": lambda: make.typed(9999, 16),
    "single bits": lambda: make.typed(1, 1),
    "larger type than there are bytes": lambda: make.typed(64, 64),
    "NaN voxel": lambda: make.with_voxels(_NAN),
    "infinite voxel": lambda: make.with_voxels(float("inf")),
    "voxels beyond float32": lambda: nifti(np.full((5, 3, 16, 16), 1e300)),
    "slope infinite with intercept NaN": lambda: nifti(fields={"scl_slope": 2.0, "scl_inter": _NAN}),
    "slope beyond all": lambda: nifti(fields={"scl_slope": 3e38, "scl_inter": 0}),
    "affine of zeros": lambda: make.with_form("sform", np.zeros((3, 4))),
    "affine in a plane": lambda: make.with_form("sform", [[1, 2, 0, 0], [2, 4, 0, 0], [0, 0, 8, 0]]),
    "affine of NaN": lambda: make.with_form("sform", np.full((3, 4), _NAN)),
    "affine infinite": lambda: make.with_form("sform", np.full((3, 4), np.inf)),
    "one voxel size zero": lambda: make.no_forms((1.4, 0.0, 8.0, 0.04)),
    "voxel sizes NaN": lambda: make.no_forms((_NAN, 1.5, 8.0, 0.04)),
    "voxel sizes infinite": lambda: make.no_forms((np.inf, 1.5, 8.0, 0.04)),
    "quaternion of NaN": lambda: nifti(fields={"sform_code": 0, "qform_code": 1, "quatern_b": _NAN}),
    "quaternion too long": lambda: nifti(fields={"sform_code": 0, "qform_code": 1, "quatern_b": 5.0}),
    "unknown unit": lambda: nifti(fields={"xyzt_units": 7}),
}

NRRD: dict[str, Build] = {
    "nothing": lambda: b"",
    "mark alone": lambda: b"NRRD0005\n",
    "no end of header": lambda: nrrd(end="", data=b""),
    "header cut": lambda: nrrd()[:60],
    "detached": lambda: make.detached("/etc/passwd"),
    "detached, parent": lambda: make.detached("../../../secret.nii.gz"),
    "detached, outside": lambda: make.detached(f"{OUTSIDE}/secret.nii.gz"),
    "detached, list": lambda: make.detached("LIST\n/etc/passwd\n/etc/hosts"),
    "detached, pattern": lambda: make.detached("%03d.raw 0 4 1"),
    "detached, without a space": lambda: nrrd(extra="datafile: /etc/passwd\n", data=b""),
    "detached, URL": lambda: make.detached("http://127.0.0.1/x"),
    "detached, as a key": lambda: nrrd(extra="data file:=/etc/passwd\n", data=b""),
    "2^31 in each axis": lambda: nrrd({"sizes": "2147483648 2147483648 2147483648 2147483648"}, data=b""),
    "10^400 in one axis": lambda: nrrd({"sizes": "1" + "0" * 400 + " 4 1 2"}, data=b""),
    "5000 digits in one axis": lambda: nrrd({"sizes": "9" * 5000 + " 4 1 2"}, data=b""),
    "negative sizes": lambda: nrrd({"sizes": "-64 64 3 5"}),
    "size zero": lambda: nrrd({"sizes": "64 64 0 5"}, data=b""),
    "sizes of words": lambda: nrrd({"sizes": "a b c d"}),
    "sizes of fractions": lambda: nrrd({"sizes": "64.5 64 3 5"}),
    "no sizes": lambda: nrrd({"sizes": None}),
    "sizes too few": lambda: nrrd({"sizes": "64 64 3"}),
    "no type": lambda: nrrd({"type": None}),
    "type block": lambda: nrrd({"type": "block"}),
    "unknown type": lambda: nrrd({"type": "../x"}),
    "no encoding": lambda: nrrd({"encoding": None}),
    "encoding text": lambda: nrrd({"encoding": "ascii"}),
    "encoding hex": lambda: nrrd({"encoding": "hex"}),
    "encoding bzip2": lambda: nrrd({"encoding": "bzip2"}),
    "gzip that is none": lambda: nrrd({"encoding": "gzip"}),
    "gzip bomb": lambda: nrrd({"encoding": "gzip"}, data=make.zeros(2**27)),
    "no endian": lambda: nrrd({"endian": None}),
    "unknown endian": lambda: nrrd({"endian": "middle"}),
    "bytes skipped": lambda: nrrd(extra="byte skip: -1\n"),
    "lines skipped": lambda: nrrd(extra="line skip: 1000000000\n"),
    "voxels cut off": lambda: nrrd()[:-1000],
    "a byte too many": lambda: nrrd() + b"x",
    "dimension zero": lambda: nrrd({"dimension": "0"}),
    "dimension 100": lambda: nrrd({"dimension": "100"}),
    "dimension of words": lambda: nrrd({"dimension": "four"}),
    "directions NaN": lambda: nrrd({"space directions": "(nan,0,0) (0,1,0) (0,0,8) none"}),
    "directions of zeros": lambda: nrrd({"space directions": "(0,0,0) (0,1,0) (0,0,8) none"}),
    "directions in a plane": lambda: nrrd({"space directions": "(1,2,0) (2,4,0) (0,0,8) none"}),
    "directions infinite": lambda: nrrd({"space directions": "(inf,0,0) (0,1,0) (0,0,8) none"}),
    "directions too few": lambda: nrrd({"space directions": "(1,0,0) (0,1,0)"}),
    "directions of words": lambda: nrrd({"space directions": "(a,b,c) (0,1,0) (0,0,8) none"}),
    "directions of seven": lambda: nrrd(
        {"space directions": "(1,0,0,0,0,0,0) (0,1,0,0,0,0,0) (0,0,1,0,0,0,0) none"}
    ),
    "origin of words": lambda: nrrd({"space origin": "(a,b,c)"}),
    "origin too short": lambda: nrrd({"space origin": "(0,0)"}),
    "origin NaN": lambda: nrrd({"space origin": "(nan,0,0)"}),
    "unknown space": lambda: nrrd({"space": "outer"}),
    "kinds too few": lambda: nrrd({"kinds": "domain list"}),
    "vectors": lambda: nrrd({"kinds": "domain domain domain vector"}),
    "five megabytes of header": lambda: nrrd(extra="# " + "x" * (5 * 2**20) + "\n")[: 3 * 2**20],
    "sixty thousand keys": lambda: nrrd(extra="".join(f"key{i}:=value\n" for i in range(60_000)))[:-100],
    "a field twice": lambda: nrrd(extra="sizes: 1 1 1 1\n"),
    "a line without a colon": lambda: nrrd(extra="rubbish\n"),
    "null in the header": lambda: nrrd({"type": "sh\0ort"}),
    "no UTF-8": lambda: b"NRRD0005\n\xff\xfe: \xff\n\n",
    "unknown version": lambda: b"NRRD9999" + nrrd()[8:],
    "NIfTI in truth": nifti,
    "frames at times of words": lambda: nrrd({"sizes": "64 64 3 6"}, extra="axis 3 index values:=a b c\n"),
}


def _nested(depth: int) -> bytes:
    content = nifti()
    for _ in range(depth):
        content = pack(content)
    return content


NAMES = {
    "script": "evil.sh",
    "page": "evil.html",
    "program": "evil.exe",
    "pickle": "evil.pkl",
    "arrays": "evil.npz",
    "pair": "evil.hdr",
    "other half": "evil.img",
    "archive": "evil.zip",
    "MetaImage, which names its data file": "evil.mha",
    "DICOM": "evil.dcm",
    "detached NRRD": "evil.nhdr",
    "two endings": "evil.nii.gz.sh",
    "ending with a space": "evil.nii.gz ",
    "ending with a dot": "evil.nii.gz.",
    "long ending": "evil." + "x" * 5000,
    "compressed otherwise": "evil.nii.bz2",
}

_LABEL_SHAPE = (3, 64, 64)


def _label_nifti(values: np.ndarray, affine: np.ndarray | None = None) -> bytes:
    """A label as a NIfTI; values (Z, Y, X) or (T, Z, Y, X) of any type."""
    image = nib.Nifti1Image(values.T, small_cine().affine if affine is None else affine)
    return pack(image.to_bytes())


def _with_value(value: float, kind: str = "float64") -> bytes:
    labels = small_labels(small_cine(), 0).astype(kind)
    labels[1, 30, 30] = value
    return _label_nifti(labels)


def _moved(**change: float) -> bytes:
    affine = small_cine().affine.copy()
    affine[0, 3] += change.get("mm", 0.0)
    affine[:, 0] *= change.get("scale", 1.0)
    return _label_nifti(small_labels(small_cine(), 0), affine)


def _frames(count: int) -> bytes:
    return _label_nifti(np.repeat(small_labels(small_cine(), 0)[None], count, axis=0))


LABELS: dict[str, Build] = {
    "another size": lambda: _label_nifti(np.ones((3, 64, 32), np.uint8)),
    "axes swapped": lambda: _label_nifti(np.ones((64, 64, 3), np.uint8)),
    "a slice too many": lambda: _label_nifti(np.ones((4, 64, 64), np.uint8)),
    "one voxel": lambda: _label_nifti(np.ones((1, 1, 1), np.uint8)),
    "frames too few": lambda: _frames(4),
    "frames too many": lambda: _frames(6),
    "many frames": lambda: _frames(60),
    "another place": lambda: _moved(mm=3.0),
    "half a voxel off": lambda: _moved(mm=0.7),
    "another voxel size": lambda: _moved(scale=1.1),
    "mirrored": lambda: _moved(scale=-1.0),
    "unknown value": lambda: _with_value(9, "uint8"),
    "value 255": lambda: _with_value(255, "uint8"),
    "value 256": lambda: _with_value(256, "int16"),
    "negative value": lambda: _with_value(-1, "int16"),
    "fraction": lambda: _with_value(1.5),
    "NaN": lambda: _with_value(_NAN),
    "infinity": lambda: _with_value(float("inf")),
    "beyond all": lambda: _with_value(1e300),
    "the image in its place": nifti,
    "bomb": lambda: make.bomb(2**24),
    "NRRD of another place": lambda: nrrd(
        {"type": "uchar", "space origin": "(9,9,9)"}, data=bytes(5 * 3 * 64 * 64)
    ),
}


def _upload(what: str, build: Build, name: str, *statuses: int) -> Hostile:
    def parts() -> list[Part]:
        return [Part("file", build(), name)]

    return posted(f"upload: {what}", "PUT", "/datastore/image?image=evil", *statuses, parts=parts)


def _save(what: str, build: Build, name: str, *statuses: int, **params: object) -> Hostile:
    def parts() -> list[Part]:
        return [Part("label", build(), name), as_params({"key_frames": [0], **params})]

    return posted(f"save of a label: {what}", "PUT", f"/datastore/label?image={CASE}", *statuses, parts=parts)


def _infer(what: str, build: Build, name: str, *statuses: int) -> Hostile:
    def parts() -> list[Part]:
        return [Part("label", build(), name), as_params(quick())]

    return posted(f"infer with a label: {what}", "POST", f"/infer/motion?image={OTHER}", *statuses, parts=parts)


def _named_like_paths() -> list[Hostile]:
    cine = small_cine()

    def parts(name: str) -> list[Part]:
        return [Part("label", label_bytes(small_labels(cine, 0), cine), name), as_params({"key_frames": [0]})]

    names = {
        "parents": "../../../evil.nii.gz",
        "absolute": f"{OUTSIDE}/evil.nii.gz",
        "backslashes": "..\\\\..\\\\evil.nii.gz",
        "null": "evil\0.nii.gz",
        "no ending": "evil",
        "long": "e" * 5000 + ".nii.gz",
        "device": "CON.nii.gz",
        "capitals": "EVIL.NII.GZ",
    }
    # The label itself is sound, so that it may be saved: under the name of its case and nothing else.
    return [
        posted(
            f"file named: {what}",
            "PUT",
            f"/datastore/label?image={CASE}&tag=original",
            200,
            400,
            422,
            parts=partial(parts, name),
            may_add=(f"labels/original/{CASE}.nii.gz", ".cardiac_motion/labels/original"),
        )
        for what, name in names.items()
    ]


def _bad_labels() -> list[Hostile]:
    empty = partial(label_bytes, np.zeros(_LABEL_SHAPE, np.uint8), small_cine())
    sound = partial(label_bytes, small_labels(small_cine(), 0), small_cine())
    found = [_save(what, build, "label.nii.gz", 422) for what, build in LABELS.items() if "NRRD" not in what]
    found += [_infer(what, build, "label.nii.gz", 422) for what, build in LABELS.items() if "NRRD" not in what]
    found += [
        _save("NRRD of another place", LABELS["NRRD of another place"], "label.nrrd", 422),
        _infer("empty", empty, "label.nii.gz", 422),
        _save("3D without a key frame", sound, "label.nii.gz", 422, key_frames=[]),
        _save("3D with two key frames", sound, "label.nii.gz", 422, key_frames=[0, 1]),
        _save("3D with a frame out of range", sound, "label.nii.gz", 422, key_frames=[5]),
        _save("of another image", sound, "label.nii.gz", 409, image_sha256="0" * 64),
    ]
    for what in (
        "nothing",
        "garbage",
        "header alone",
        "2^31 in each axis",
        "gzip cut in half",
        "bomb in the extension",
    ):
        found += [_save(f"file: {what}", NIFTI[what], "label.nii.gz", 422)]
        found += [_infer(f"file: {what}", NIFTI[what], "label.nii.gz", 422)]
    for what in ("detached", "detached, outside", "2^31 in each axis", "gzip bomb"):
        found += [_save(f"NRRD: {what}", NRRD[what], "label.nrrd", 422)]
        found += [_infer(f"NRRD: {what}", NRRD[what], "label.seq.nrrd", 422)]
    for what, name in NAMES.items():
        found.append(_save(f"named: {what}", sound, name, 400, 422))
    return found


REQUESTS = [
    *(_upload(what, build, "cine.nii.gz", 400, 422) for what, build in NIFTI.items()),
    *(_upload(f"NRRD: {what}", build, "cine.nrrd", 400, 422) for what, build in NRRD.items()),
    *(_upload(f"named: {what}", _SOUND, name, 400, 422) for what, name in NAMES.items()),
    _upload("a file that is no NRRD in truth", _SOUND, "cine.seq.nrrd", 400, 422),
    *_bad_labels(),
    *_named_like_paths(),
]
