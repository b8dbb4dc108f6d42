"""NIfTI-1 and NIfTI-2 in a single file, compressed or not."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from nibabel.spatialimages import HeaderDataError

from cardiac_motion.cine import check_affine
from cardiac_motion.errors import InputError
from cardiac_motion.io.geometry import (
    Affine,
    corner_distance,
    describe_skew,
    nearest_orthonormal,
    straightening,
)
from cardiac_motion.io.image_file import (
    MAX_VOXELS,
    ByteStream,
    ImageFile,
    check_voxel_count,
    read_voxels,
    reading,
)
from cardiac_motion.io.timing import Timing

_HEADERS: dict[int, type[nib.Nifti1Header]] = {348: nib.Nifti1Header, 540: nib.Nifti2Header}
_MARKS = {348: b"n+1", 540: b"n+2"}
"""Of headers by their size."""
_LINE_ENDS = {b"\r\n\x1a\n", bytes(4)}
"""After the mark of the longer header: they show whether the file was transferred as text."""
_XFORM_CODES = range(6)
_GZIP_MAGIC = b"\x1f\x8b"
_MAX_EXTENSION_BYTES = 2**26
_LARGEST_SIZE = 2**15 - 1

_REAL_TYPES = (2, 4, 8, 16, 64, 256, 512, 768, 1024, 1280)
_OTHER_TYPES = {
    1: "single bits",
    32: "complex numbers",
    128: "RGB colours",
    1536: "128-bit numbers",
    1792: "complex numbers",
    2048: "complex numbers",
    2304: "RGBA colours",
}
_TIME_UNITS = {8: "s", 16: "ms", 24: "us"}
_SPATIAL_UNITS_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}

_SCALE_TOLERANCE = 1e-3
"""Relative difference of voxel sizes in the sform and in pixdim that counts as rounding."""

_FORM_TOLERANCE = 0.1
"""Voxels by which sform and qform may place a corner differently without a word."""


def read_nifti(path: Path, *, max_voxels: int = MAX_VOXELS) -> ImageFile:
    """Read a 2D, 3D or 4D NIfTI file.

    World coordinates are the sform's; without one the qform's; without both, those that ITK and Slicer assume.
    Where sform and pixdim disagree on the voxel size, as in all of ACDC, pixdim is right: ITK's reading.

    Raises:
        InputError: whatever is wrong with it, more than ``max_voxels`` included; one message, which names the
            file.
    """
    with reading(path), path.open("rb") as file:
        available = path.stat().st_size
        is_compressed = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        if not is_compressed:
            return _read(file, available, is_compressed=False, max_voxels=max_voxels)
        with gzip.GzipFile(fileobj=file) as stream:
            return _read(stream, available, is_compressed=True, max_voxels=max_voxels)


def _read(stream: ByteStream, available: int, *, is_compressed: bool, max_voxels: int) -> ImageFile:
    header, position = _read_header(stream)
    sizes = _sizes(header)
    check_voxel_count(sizes, max_voxels)
    dtype = _dtype(header)
    offset = _voxel_offset(header, position)
    _skip(stream, offset - position)
    left = available if is_compressed else available - offset
    values = read_voxels(
        stream, sizes[::-1], dtype, available=left, is_compressed=is_compressed, max_voxels=max_voxels
    )
    with np.errstate(invalid="ignore"):  # a damaged header may hold signalling NaN
        affine, notes = _affine(header, sizes)
    return ImageFile(
        values=_scaled(values.reshape(-1, *sizes[2::-1]), header),
        affine=affine,
        has_time_axis=len(sizes) == 4,
        timing=_timing(header, sizes),
        notes=tuple(notes),
    )


def _read_header(stream: ByteStream) -> tuple[Any, int]:
    """The header as it stands, nothing repaired, and the number of bytes read."""
    start = stream.read(4)
    for order in ("<", ">"):
        size = int.from_bytes(start, "little" if order == "<" else "big")
        if len(start) == 4 and size in _HEADERS:
            break
    else:
        raise InputError("is not a NIfTI file: it does not begin with a NIfTI header")
    block = start + stream.read(size - 4)
    if len(block) < size:
        raise InputError(f"ends within its header, after {len(block)} of {size} bytes: truncated")
    header = _HEADERS[size](block, endianness=order, check=False)
    magic = bytes(header["magic"].item())
    if magic.startswith(b"ni"):
        raise InputError("is one half of a .hdr/.img pair; expected header and voxels in one .nii file")
    if magic != _MARKS[size]:
        raise InputError(f"is not a NIfTI file: its header has the mark {magic!r}; expected {_MARKS[size]!r}")
    if size == 540 and bytes(header["eol_check"]) not in _LINE_ENDS:
        raise InputError("is damaged: the line ends in its mark were changed, as by a transfer as text")
    return header, size


def _sizes(header: Any) -> list[int]:
    """Sizes along x, y, z and, for a series, t."""
    n_axes = int(header["dim"][0])
    if not 1 <= n_axes <= 7:
        raise InputError(f"its header has {n_axes} axes; expected 3, or 4 for a cine")
    sizes = [int(size) for size in header["dim"][1 : n_axes + 1]]
    while len(sizes) > 4 and sizes[-1] == 1:
        sizes.pop()
    if len(sizes) > 4:
        raise InputError(
            f"holds several values per voxel, sizes {tuple(sizes)}; expected (X, Y, Z) or (X, Y, Z, T)"
        )
    return sizes + [1] * (3 - len(sizes))


def _dtype(header: Any) -> np.dtype[Any]:
    code = int(header["datatype"])
    if code not in _REAL_TYPES:
        kind = _OTHER_TYPES.get(code, f"values of the unknown type {code}")
        raise InputError(f"holds {kind}; expected one real number per voxel")
    return np.dtype(header.get_data_dtype())


def _voxel_offset(header: Any, position: int) -> int:
    """Where the voxels begin: after header and extension mark at the earliest, which 0 stands for."""
    offset, earliest = float(header["vox_offset"]), position + 4
    if offset == 0:
        return earliest
    if not earliest <= offset <= _MAX_EXTENSION_BYTES or offset != int(offset):
        raise InputError(f"its header puts the first voxel at byte {offset:g}; expected {earliest} or a later one")
    return int(offset)


def _skip(stream: ByteStream, count: int) -> None:
    while count > 0:
        chunk = stream.read(count)
        if not chunk:
            raise InputError("ends before its first voxel: truncated")
        count -= len(chunk)


def _scaled(values: npt.NDArray[Any], header: Any) -> npt.NDArray[Any]:
    """Values with the header's slope and intercept applied, as float32; as they are where there are none."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if not np.isfinite(slope) or slope == 0 or (slope, intercept) == (1, 0):
        return values
    if not np.isfinite(intercept):
        raise InputError(f"its header scales values by {slope:g} and shifts them by {intercept:g}")
    scaled = np.empty(values.shape, dtype=np.float32)
    # What becomes infinite, or was no number, is reported where the values are checked.
    with np.errstate(over="ignore", invalid="ignore"):
        for frame, target in zip(values, scaled, strict=True):
            target[...] = frame.astype(np.float64) * slope + intercept
    return scaled


def _affine(header: Any, sizes: Sequence[int]) -> tuple[Affine, list[str]]:
    """World coordinates, and what is unusual about them."""
    shape = sizes[2::-1]
    if float(header["pixdim"][0]) not in {-1.0, 1.0}:
        header["pixdim"][0] = 1  # as the standard and ITK have it
    for form in ("sform", "qform"):
        code = int(header[f"{form}_code"])
        if code not in _XFORM_CODES:
            # Readers differ on what such a form is worth: some use it, some do not.
            raise InputError(f"its {form} is of the unknown kind {code}; expected {form}_code 0 to 5")
    notes: list[str] = []
    qform = _qform(header)
    if int(header["sform_code"]) > 0:
        affine, note = _with_voxel_size(check_affine(header.get_sform()), header)
        notes += [note] if note else []
        if qform is not None and not note:
            notes += _disagreement(affine, qform, shape)
    elif qform is not None:
        affine = check_affine(qform)
    else:
        x, y, z = (float(size) for size in header["pixdim"][1:4])
        affine = check_affine(np.diag([-x, -y, z, 1.0]))
        notes.append(
            "it has no orientation (qform and sform unset); its axes are taken as left, posterior, superior"
        )
    unit = int(header["xyzt_units"]) & 7
    if unit not in _SPATIAL_UNITS_MM:
        raise InputError(f"its lengths are in the unknown unit {unit}; expected mm")
    affine[:3] *= _SPATIAL_UNITS_MM[unit]
    skewed = describe_skew(affine, shape)
    return affine, notes + ([skewed] if skewed else [])


def _qform(header: Any) -> Affine | None:
    if int(header["qform_code"]) <= 0:
        return None
    try:
        return np.asarray(header.get_qform(), dtype=np.float64)
    except (HeaderDataError, ValueError) as error:
        if int(header["sform_code"]) > 0:
            return None
        raise InputError(f"its qform makes no sense: {error}") from error


def _with_voxel_size(sform: Affine, header: Any) -> tuple[Affine, str | None]:
    """The sform, its columns given the lengths in pixdim where the two disagree.

    Files exist whose sform is a bare rotation. All ones in pixdim are nobody's measurement, so that then the
    sform counts.
    """
    pixdim = np.array(header["pixdim"][1:4], dtype=np.float64)
    lengths = np.linalg.norm(sform[:3, :3], axis=0)
    unknown = not np.isfinite(pixdim).all() or (pixdim <= 0).any() or (pixdim == 1).all()
    if unknown or np.allclose(pixdim, lengths, rtol=_SCALE_TOLERANCE, atol=0):
        return sform, None
    sform[:3, :3] *= pixdim / lengths
    return sform, (
        f"its voxel size (x, y, z) is {_rounded(pixdim)} mm in pixdim and {_rounded(lengths)} mm in the sform; "
        "pixdim is taken, as ITK and Slicer do"
    )


def _disagreement(sform: Affine, qform: Affine, shape: Sequence[int]) -> list[str]:
    distance = corner_distance(sform, qform, shape)
    if distance.voxels <= _FORM_TOLERANCE + straightening(sform, shape).voxels:
        return []
    return [f"its sform and qform place it up to {distance.mm:.3g} mm apart; the sform is taken"]


def _rounded(values: npt.NDArray[np.float64]) -> str:
    return "(" + ", ".join(f"{value:.4g}" for value in values) + ")"


def _timing(header: Any, sizes: Sequence[int]) -> Timing | None:
    """Frame times of a series; for one frame, the time shift that a folder of frames is ordered by."""
    code = int(header["xyzt_units"]) & 0x38
    unit = _TIME_UNITS.get(code)
    if code and unit is None:
        return None
    if len(sizes) < 4:
        offset = _shortest_decimal(header["toffset"])
        return Timing((offset,), unit) if np.isfinite(offset) else None
    step = _shortest_decimal(header["pixdim"][4])
    if not np.isfinite(step) or step <= 0:
        return None
    return Timing(tuple(step * frame for frame in range(sizes[3])), unit)


def _shortest_decimal(value: npt.ArrayLike) -> float:
    """A number of the header as the decimal it was written from: 0.031, where float32 has 0.03099999949."""
    return float(str(np.asarray(value)[()]))


def write_nifti(
    path: Path,
    values: npt.NDArray[Any],
    affine: Affine,
    *,
    frame_seconds: float | None = None,
    time_offset: float = 0.0,
    slope: float | None = None,
) -> None:
    """Write NIfTI-1, compressed if the name ends in ``.gz``.

    The sform holds the exact affine and the qform the nearest one with axes at right angles, both as scanner
    coordinates, so that ITK, Slicer and nibabel agree where the axes are at right angles, and that ITK and Slicer
    can read the file, by its qform, where they are not.

    Args:
        path: where to.
        values: (Z, Y, X), (T, Z, Y, X), or (K, T, Z, Y, X) of K values per voxel, which are NIfTI's dimension 5.
        affine: voxel to RAS, mm.
        frame_seconds: time between frames, for pixdim[4].
        time_offset: time of the first frame in seconds, for toffset.
        slope: by which readers are to multiply the values; these are stored as they are.
    """
    if max(values.shape) > _LARGEST_SIZE:
        raise InputError(
            f"cannot write {path}: NIfTI-1 has at most {_LARGEST_SIZE} voxels along an axis, got "
            f"shape {values.shape}"
        )
    image = nib.Nifti1Image(values.T, None)
    header = image.header
    shape = values.shape[-3:]
    header.set_qform(nearest_orthonormal(affine, shape), code="scanner")
    header.set_sform(affine, code="scanner")
    header.set_xyzt_units(xyz="mm", t="sec")
    if values.ndim >= 4:
        header["pixdim"][4] = frame_seconds or 0.0
    header["toffset"] = time_offset
    if slope is not None:
        header.set_slope_inter(slope, 0)
    image.to_filename(path)
