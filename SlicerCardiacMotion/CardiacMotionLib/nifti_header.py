"""Headers of NIfTI-1 and NIfTI-2: parsed, made, and the grid that they stand for."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from CardiacMotionLib.affines import Affine, check_affine
from CardiacMotionLib.errors import InputError

HEADER_BYTES = (348, 540)

_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_LAYOUTS: dict[int, dict[str, tuple[str, int]]] = {
    348: {
        "dim": ("8h", 40),
        "datatype": ("h", 70),
        "pixdim": ("8f", 76),
        "offset": ("f", 108),
        "slope": ("f", 112),
        "intercept": ("f", 116),
        "units": ("B", 123),
        "qform_code": ("h", 252),
        "sform_code": ("h", 254),
        "quaternion": ("3f", 256),
        "qoffset": ("3f", 268),
        "srow": ("12f", 280),
        "magic": ("4s", 344),
    },
    540: {
        "magic": ("4s", 4),
        "line_ends": ("4s", 8),
        "datatype": ("h", 12),
        "dim": ("8q", 16),
        "pixdim": ("8d", 104),
        "offset": ("q", 168),
        "slope": ("d", 176),
        "intercept": ("d", 184),
        "qform_code": ("i", 344),
        "sform_code": ("i", 348),
        "quaternion": ("3d", 352),
        "qoffset": ("3d", 376),
        "srow": ("12d", 400),
        "units": ("i", 500),
    },
}
"""Format and byte of each field, by the size of the header."""

_MARKS = {348: b"n+1", 540: b"n+2"}
"""Of headers by their size."""
_LINE_ENDS = (b"\r\n\x1a\n", bytes(4))
"""After the mark of the longer header: they show whether the file was transferred as text."""
_XFORM_CODES = range(6)
_MAX_OFFSET = 2**26
_LARGEST_SIZE = 2**15 - 1
_SPATIAL_UNITS_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_TIME_UNITS = (0, 8, 16, 24)
_SCALE_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Header:
    """What is needed of a header.

    Attributes:
        size: bytes of the header itself.
        shape: (T, Z, Y, X); T = 1 for a 3D file.
        dtype: of the voxels, in the file's byte order.
        offset: byte of the first voxel.
        slope: and `intercept`: of the values, 0 or NaN for none.
        fields: all of it, as it stands.
    """

    size: int
    shape: tuple[int, int, int, int]
    dtype: np.dtype[Any]
    offset: int
    slope: float
    intercept: float
    fields: dict[str, Any]


def parse_header(block: bytes) -> Header:
    """Parse the first bytes of a decompressed NIfTI file, nothing repaired.

    Raises:
        InputError: it is no NIfTI file, or not one of a 3D or 4D image of real numbers.
    """
    order, size = _order_and_size(block)
    fields: dict[str, Any] = {}
    for name, (code, at) in _LAYOUTS[size].items():
        entries = struct.unpack_from(order + code, block, at)
        fields[name] = entries if len(entries) > 1 else entries[0]
    if fields["magic"][:2] == b"ni":
        raise InputError("is one half of a .hdr/.img pair; expected header and voxels in one .nii file")
    mark = fields["magic"].rstrip(b"\0")
    if mark != _MARKS[size]:
        raise InputError(f"is not a NIfTI file: its header has the mark {mark!r}; expected {_MARKS[size]!r}")
    if fields.get("line_ends", _LINE_ENDS[0]) not in _LINE_ENDS:
        raise InputError("is damaged: the line ends in its mark were changed, as by a transfer as text")
    if fields["datatype"] not in _TYPES:
        raise InputError(f"holds values of the type {fields['datatype']}; expected one real number per voxel")
    offset, earliest = float(fields["offset"]), size + 4
    # After header and extension mark at the earliest, which 0 stands for.
    if offset != 0 and (not earliest <= offset <= _MAX_OFFSET or offset != int(offset)):
        raise InputError(f"its header puts the first voxel at byte {offset:g}; expected {earliest} or a later one")
    return Header(
        size=size,
        shape=_shape(fields["dim"]),
        dtype=np.dtype(order + _TYPES[fields["datatype"]]),
        offset=int(offset) or earliest,
        slope=float(fields["slope"]),
        intercept=float(fields["intercept"]),
        fields=fields,
    )


def _order_and_size(block: bytes) -> tuple[str, int]:
    for order in ("<", ">"):
        if len(block) >= 4:
            size = struct.unpack_from(order + "i", block)[0]
            if size in HEADER_BYTES:
                if len(block) < size:
                    raise InputError(f"ends within its header, after {len(block)} of {size} bytes: truncated")
                return order, size
    raise InputError("is not a NIfTI file: it does not begin with a NIfTI header")


def _shape(dim: Sequence[int]) -> tuple[int, int, int, int]:
    if not 1 <= dim[0] <= 7:
        raise InputError(f"its header has {dim[0]} axes; expected 3, or 4 for a cine")
    sizes = list(dim[1 : dim[0] + 1])
    while len(sizes) > 4 and sizes[-1] == 1:
        sizes.pop()
    if len(sizes) > 4:
        raise InputError(
            f"holds several values per voxel, sizes {tuple(sizes)}; expected (X, Y, Z) or (X, Y, Z, T)"
        )
    if min(sizes) < 1:
        raise InputError(f"every axis needs at least one voxel, its header has sizes {tuple(sizes)}")
    x, y, z, t = sizes + [1] * (4 - len(sizes))
    return t, z, y, x


def orientation(header: Header) -> tuple[Affine, list[str]]:
    """Voxel to RAS in mm, and what is unusual about it; see the module `nifti`.

    Raises:
        InputError: an orientation that none can have.
    """
    fields, notes = header.fields, []
    pixdim = np.array(fields["pixdim"], dtype=np.float64)
    for form in ("sform", "qform"):
        if fields[f"{form}_code"] not in _XFORM_CODES:
            # Readers differ on what such a form is worth: some use it, some do not.
            code = fields[f"{form}_code"]
            raise InputError(f"its {form} is of the unknown kind {code}; expected {form}_code 0 to 5")
    with np.errstate(invalid="ignore", over="ignore"):  # a damaged header may hold anything
        if fields["sform_code"] > 0:
            affine = np.vstack([np.reshape(fields["srow"], (3, 4)), (0, 0, 0, 1)]).astype(np.float64)
            affine, note = _with_voxel_size(check_affine(affine), pixdim[1:4])
            notes += [note] if note else []
        elif fields["qform_code"] > 0:
            affine = check_affine(_qform(fields, pixdim))
        else:
            affine = check_affine(np.diag([-pixdim[1], -pixdim[2], pixdim[3], 1.0]))
            notes.append("it has no orientation; its axes are taken as left, posterior, superior")
    unit = int(fields["units"]) & 7
    if unit not in _SPATIAL_UNITS_MM:
        raise InputError(f"its lengths are in the unknown unit {unit}; expected mm")
    affine[:3] *= _SPATIAL_UNITS_MM[unit]
    return check_affine(affine), notes


def _qform(fields: dict[str, Any], pixdim: npt.NDArray[np.float64]) -> Affine:
    """The NIfTI-1 standard's method 2: a unit quaternion of which three parts are stored."""
    b, c, d = (float(part) for part in fields["quaternion"])
    rest = 1.0 - (b * b + c * c + d * d)
    if not rest > -4e-7 or not np.isfinite(pixdim[1:4]).all() or (pixdim[1:4] <= 0).any():
        raise InputError(f"its qform makes no sense: quaternion {(b, c, d)}, voxel size {pixdim[1:4].tolist()}")
    a = np.sqrt(max(rest, 0.0))
    turned = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    affine = np.eye(4)
    affine[:3, :3] = turned * pixdim[1:4] * (1, 1, -1 if pixdim[0] == -1 else 1)
    affine[:3, 3] = fields["qoffset"]
    return affine


def _with_voxel_size(sform: Affine, pixdim: npt.NDArray[np.float64]) -> tuple[Affine, str | None]:
    """Columns of the lengths in pixdim where the two disagree; all ones in pixdim are nobody's measurement."""
    lengths = np.linalg.norm(sform[:3, :3], axis=0)
    unknown = not np.isfinite(pixdim).all() or (pixdim <= 0).any() or (pixdim == 1).all()
    if unknown or np.allclose(pixdim, lengths, rtol=_SCALE_TOLERANCE, atol=0):
        return sform, None
    sform[:3, :3] *= pixdim / lengths
    return sform, "its voxel size in pixdim and in the sform differ; pixdim is taken, as ITK does"


def step_of(header: Header) -> float | None:
    """The number that stands for the time between frames, in whatever unit; None where there is none."""
    if int(header.fields["units"]) & 0x38 not in _TIME_UNITS:
        return None
    stored = header.fields["pixdim"][4]
    step = float(str(np.float32(stored))) if header.size == HEADER_BYTES[0] else float(stored)
    return step if np.isfinite(step) and step > 0 else None


def make_header(
    shape: Sequence[int], dtype: np.dtype[Any], sform: Affine, qform: Affine, frame_seconds: float
) -> bytes:
    """A NIfTI-1 header with its empty extension mark, 352 bytes, little endian.

    Args:
        shape: (T, Z, Y, X), or (Z, Y, X).
        dtype: of the values.
        sform: (4, 4).
        qform: (4, 4), axes at right angles.
        frame_seconds: for pixdim[4].

    Raises:
        InputError: more voxels along an axis than NIfTI-1 can count.
    """
    if max(shape) > _LARGEST_SIZE:
        raise InputError(f"NIfTI-1 has at most {_LARGEST_SIZE} voxels along an axis, got shape {tuple(shape)}")
    quaternion, handedness = _quaternion(qform)
    spacing = np.linalg.norm(sform[:3, :3], axis=0)
    values: dict[str, Any] = {
        "dim": (len(shape), *shape[::-1], *(1,) * (7 - len(shape))),
        "datatype": next(code for code, name in _TYPES.items() if name == dtype.str[1:]),
        "pixdim": (handedness, *spacing, frame_seconds if len(shape) == 4 else 0.0, 0.0, 0.0, 0.0),
        "offset": 352.0,
        "slope": 1.0,
        "intercept": 0.0,
        "units": 2 | 8,
        "qform_code": 1,
        "sform_code": 1,
        "quaternion": quaternion,
        "qoffset": tuple(qform[:3, 3]),
        "srow": tuple(sform[:3].ravel()),
        "magic": b"n+1\0",
    }
    block = bytearray(352)
    struct.pack_into("<i", block, 0, 348)
    struct.pack_into("<h", block, 72, dtype.itemsize * 8)
    for name, (code, at) in _LAYOUTS[348].items():
        value = values[name]
        struct.pack_into("<" + code, block, at, *(value if isinstance(value, tuple) else (value,)))
    return bytes(block)


def _quaternion(affine: Affine) -> tuple[tuple[float, float, float], float]:
    """(b, c, d) of the directions, and 1 or -1 for their handedness."""
    turned = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    handedness = 1.0 if np.linalg.det(turned) > 0 else -1.0
    turned = turned * (1, 1, handedness)
    # The quaternion is the eigenvector of the largest eigenvalue of a symmetric matrix: no case by case.
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = turned
    matrix = np.array(
        [
            [xx + yy + zz, zy - yz, xz - zx, yx - xy],
            [zy - yz, xx - yy - zz, yx + xy, zx + xz],
            [xz - zx, yx + xy, yy - xx - zz, zy + yz],
            [yx - xy, zx + xz, zy + yz, zz - xx - yy],
        ]
    )
    a, b, c, d = np.linalg.eigh(matrix)[1][:, -1]
    sign = -1.0 if a < 0 else 1.0
    return (sign * b, sign * c, sign * d), handedness
