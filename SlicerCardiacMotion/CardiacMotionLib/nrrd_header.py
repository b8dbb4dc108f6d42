"""What a NRRD file says about itself, which is not always what Slicer makes of it. Knows no MRML."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from CardiacMotionLib.affines import Affine, check_affine
from CardiacMotionLib.errors import InputError

_MAX_HEADER_BYTES = 2**22
_END = re.compile(rb"\r?\n\r?\n")
_TO_RAS = {
    "right-anterior-superior": (1.0, 1.0, 1.0),
    "left-anterior-superior": (-1.0, 1.0, 1.0),
    "left-posterior-superior": (-1.0, -1.0, 1.0),
    "ras": (1.0, 1.0, 1.0),
    "las": (-1.0, 1.0, 1.0),
    "lps": (-1.0, -1.0, 1.0),
}
_VECTOR = re.compile(r"none|\(([^)]*)\)")
_TYPES = {
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_DTYPES = {name: code for code, names in _TYPES.items() for name in names}
_FRAME_KINDS = ("", "list", "time", "???", "none")
_VOLUME = "vtkMRMLScalarVolumeNode"
_LAYOUT = ("line skip", "lineskip", "byte skip", "byteskip")
_ELSEWHERE = ("data file", "datafile")


class OtherKind(InputError):
    """A file as others may write them; Slicer's own reader knows more kinds."""


@dataclass(frozen=True)
class NrrdHeader:
    """Of a cine as Slicer writes it.

    Attributes:
        size: bytes of the header, its empty line included.
        dtype: of the voxels.
        sizes: of the four axes, the fastest first.
        frame_axis: which of them runs over frames.
        affine: (4, 4), voxel to RAS in mm, of the other three.
        is_compressed: whether the voxels are, with gzip.
        index: value of each frame as the file has it, in whichever unit; None where there are no numbers.
    """

    size: int
    dtype: np.dtype[Any]
    sizes: tuple[int, int, int, int]
    frame_axis: int
    affine: Affine
    is_compressed: bool
    index: tuple[float, ...] | None


def nrrd_affine(path: Path | str) -> Affine | None:
    """Voxel to RAS in mm, of the three axes that lie in space; None where the header does not say it."""
    try:
        with Path(path).open("rb") as file:
            block = file.read(_MAX_HEADER_BYTES)
    except OSError:
        return None
    try:
        return _affine(_parse(_END.split(block, maxsplit=1)[0])[0])
    except InputError:
        return None


def read_header(block: bytes) -> NrrdHeader:
    """Understand what a file begins with.

    Args:
        block: its first bytes, `HEADER_BYTES` or the whole file.

    Raises:
        OtherKind: it is none that this module reads by itself.
        InputError: it is damaged, or no cine.
    """
    end = _END.search(block)
    fields, keys = _parse(block if end is None else block[: end.start()])
    if any(name in fields for name in _ELSEWHERE):
        raise OtherKind("its voxels are in another file")
    if end is None:
        raise InputError("ends within its header: truncated, or no NRRD file")
    sizes = _sizes(fields)
    frame_axis = _frame_axis(fields, len(sizes))
    if keys.get("DataNodeClassName", _VOLUME) != _VOLUME:
        raise OtherKind(f"holds a sequence of {keys['DataNodeClassName']}")
    if any(fields.get(name, "0") != "0" for name in _LAYOUT):
        raise OtherKind("its header skips lines or bytes before the voxels")
    encoding = fields.get("encoding", "").lower()
    if encoding not in {"raw", "gzip", "gz"}:
        raise OtherKind(f"its voxels are encoded as {encoding!r}")
    affine = _affine(fields)
    if affine is None:
        raise OtherKind("its header does not say where it lies in space")
    return NrrdHeader(
        end.end(),
        _dtype(fields),
        (sizes[0], sizes[1], sizes[2], sizes[3]),
        frame_axis,
        affine,
        encoding != "raw",
        _index(keys, frame_axis, sizes[frame_axis]),
    )


HEADER_BYTES = _MAX_HEADER_BYTES
"""As many bytes as a header may have."""


def _parse(header: bytes) -> tuple[dict[str, str], dict[str, str]]:
    """Fields by name in lower case, and keys, which may be named as fields are."""
    if not header.startswith(b"NRRD"):
        raise InputError("is no NRRD file: it does not begin with NRRD")
    fields: dict[str, str] = {}
    keys: dict[str, str] = {}
    for line in header.decode("utf-8", errors="replace").splitlines()[1:]:
        name, colon, value = line.partition(":")
        if line.startswith("#") or not colon:
            continue
        if value.startswith("="):
            keys[name.strip()] = value[1:].strip()
        else:
            fields[name.strip().lower()] = value.strip()
    return fields, keys


def _sizes(fields: dict[str, str]) -> list[int]:
    try:
        sizes = [int(size) for size in fields["sizes"].split()]
        dimension = int(fields["dimension"])
    except (KeyError, ValueError) as error:
        raise InputError("its header does not say how many voxels it has") from error
    if len(sizes) != dimension or any(size < 1 for size in sizes):
        raise InputError(f"its header has the sizes {fields['sizes']} for {dimension} axes")
    return sizes


def _frame_axis(fields: dict[str, str], n_axes: int) -> int:
    vectors = [found.group(0) for found in _VECTOR.finditer(fields.get("space directions", ""))]
    if len(vectors) != n_axes:
        raise OtherKind(f"its header has {len(vectors)} space directions for {n_axes} axes")
    if n_axes == 3 and "none" not in vectors:
        raise InputError("holds one frame; a cine has 2 or more")
    if n_axes != 4 or vectors.count("none") != 1:
        raise OtherKind("its axes are not three in space and one of frames")
    axis = vectors.index("none")
    kinds = fields.get("kinds", "").split()
    kind = kinds[axis].lower() if len(kinds) == n_axes else ""
    if kind not in _FRAME_KINDS:
        raise OtherKind(f"it has a {kind} at each voxel")
    return axis


def _dtype(fields: dict[str, str]) -> np.dtype[Any]:
    name = fields.get("type", "").lower()
    if name not in _DTYPES:
        raise OtherKind(f"holds values of the type {name!r}")
    dtype = np.dtype(_DTYPES[name])
    if dtype.itemsize == 1:
        return dtype
    order = fields.get("endian", "").lower()
    if order not in {"little", "big"}:
        raise OtherKind(f"its header has the endian {order!r}")
    return dtype.newbyteorder("<" if order == "little" else ">")


def _affine(fields: dict[str, str]) -> Affine | None:
    flips = _TO_RAS.get(fields.get("space", "").lower())
    vectors = [found.group(1) for found in _VECTOR.finditer(fields.get("space directions", ""))]
    origin = _VECTOR.search(fields.get("space origin", ""))
    directions = [vector for vector in vectors if vector is not None]
    if flips is None or origin is None or origin.group(1) is None or len(directions) != 3:
        return None
    affine = np.eye(4)
    try:
        for axis, vector in enumerate((*directions, origin.group(1))):
            affine[:3, axis] = np.array([float(part) for part in vector.split(",")]) * flips
        return check_affine(affine)
    except (ValueError, InputError):
        return None


def _index(keys: dict[str, str], axis: int, count: int) -> tuple[float, ...] | None:
    """Slicer calls the axis of the frames by its number; older versions call it 0 wherever it is."""
    found = (keys.get(f"axis {number} index values") for number in (axis, 0, 3))
    texts = next((text.split() for text in found if text is not None), None)
    if texts is None or len(texts) != count:
        return None
    try:
        values = tuple(float(unquote(text)) for text in texts)
    except ValueError:
        return None
    return values if all(math.isfinite(value) for value in values) else None
