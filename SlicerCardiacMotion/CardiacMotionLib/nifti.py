"""NIfTI without any library: cines in, cines and labels out. Knows no MRML: for worker threads.

Slicer's own reader goes through ITK, which refuses skewed axes and, before Slicer 5.12.4, the fourth dimension.
The grid is the server's: sform before qform, pixdim where the sform's voxel size differs from it.
"""

from __future__ import annotations

import gzip
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from CardiacMotionLib.affines import Affine, nearest_orthonormal
from CardiacMotionLib.errors import InputError
from CardiacMotionLib.image_file import ImageFile, check_finite, check_voxel_count, read_voxels, reading
from CardiacMotionLib.nifti_header import HEADER_BYTES, Header, make_header, orientation, parse_header, step_of
from CardiacMotionLib.timing import frame_times

_GZIP_MAGIC = b"\x1f\x8b"
_KEPT_TYPES = ("u1", "i2", "u2", "f4")


def read_nifti(path: Path | str) -> ImageFile:
    """Read a 3D or 4D NIfTI file, compressed or not.

    Raises:
        InputError: whatever is wrong with it; one message, which names the file.
    """
    path = Path(path)
    with reading(path), _opened(path) as (stream, available, is_compressed):
        header = _read_header(stream)
        values = _read_values(stream, header, available, is_compressed)
        affine, notes = orientation(header)
        times, note = _times(header)
        check_finite(values)
        return ImageFile(values, affine, times, note, tuple(notes))


def read_grid(path: Path | str) -> tuple[tuple[int, int, int, int], Affine]:
    """Shape (T, Z, Y, X) and affine of a NIfTI file, without its voxels.

    Raises:
        InputError: the header cannot be read.
    """
    path = Path(path)
    with reading(path), _opened(path) as (stream, _, _):
        header = _read_header(stream)
        return header.shape, orientation(header)[0]


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, int, bool]]:
    """The decompressed stream, the bytes on disk, and whether they are compressed."""
    with path.open("rb") as file:
        available = path.stat().st_size
        is_compressed = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        if not is_compressed:
            yield file, available, False
            return
        with gzip.GzipFile(fileobj=file) as stream:
            yield stream, available, True


def _read_header(stream: Any) -> Header:
    block = stream.read(HEADER_BYTES[0])
    if len(block) == HEADER_BYTES[0]:
        block += stream.read(max(0, _promised(block) - len(block)))
    header = parse_header(block)
    check_voxel_count(math.prod(header.shape))
    return header


def _promised(block: bytes) -> int:
    sizes = (int.from_bytes(block[:4], "little"), int.from_bytes(block[:4], "big"))
    return next((size for size in sizes if size in HEADER_BYTES), 0)


def _read_values(stream: Any, header: Header, available: int, is_compressed: bool) -> npt.NDArray[Any]:
    skipped = header.offset - header.size
    if len(stream.read(skipped)) < skipped:
        raise InputError("ends before its first voxel: truncated")
    needed = math.prod(header.shape) * header.dtype.itemsize
    buffer = read_voxels(stream, needed, available - (0 if is_compressed else header.offset), is_compressed)
    return _scaled(np.frombuffer(buffer, dtype=header.dtype).reshape(header.shape), header)


def _scaled(values: npt.NDArray[Any], header: Header) -> npt.NDArray[Any]:
    """In a type that every Slicer displays, slope and intercept applied."""
    if not np.isfinite(header.slope) or header.slope == 0 or (header.slope, header.intercept) == (1, 0):
        native = values.dtype.newbyteorder("=")
        kept = native if native.str[1:] in _KEPT_TYPES else np.dtype(np.float32)
        with np.errstate(over="ignore"):  # becomes infinite, which is refused
            return np.ascontiguousarray(values, dtype=kept)
    if not np.isfinite(header.intercept):
        raise InputError(f"its header scales values by {header.slope:g} and shifts them by {header.intercept:g}")
    scaled = np.empty(values.shape, dtype=np.float32)
    with np.errstate(over="ignore"):
        for frame, target in zip(values, scaled, strict=True):
            target[...] = frame.astype(np.float64) * header.slope + header.intercept
    return scaled


def _times(header: Header) -> tuple[npt.NDArray[np.float64], str | None]:
    frames = header.shape[0]
    step = step_of(header)
    return frame_times(None if step is None else np.arange(frames) * step, frames)


def write_nifti(
    path: Path | str, values: npt.NDArray[Any], affine: Affine, *, frame_seconds: float | None = None
) -> None:
    """Write NIfTI-1, compressed if the name ends in ``.gz``, whole or not at all.

    The sform is exact; the qform is the nearest with axes at right angles, so that ITK reads the file too.

    Args:
        path: where to.
        values: uint8, int16, uint16 or float32, (T, Z, Y, X), or (Z, Y, X) for a 3D file.
        affine: voxel to RAS, mm.
        frame_seconds: time between frames.

    Raises:
        InputError: another type or number of axes, or it cannot be written there.
    """
    path = Path(path)
    values = np.ascontiguousarray(values)
    if values.ndim not in {3, 4} or values.dtype.str[1:] not in _KEPT_TYPES:
        raise InputError(
            f"expected uint8, int16, uint16 or float32 values (T, Z, Y, X), got {values.dtype} {values.shape}"
        )
    values = values.astype(values.dtype.newbyteorder("<"), copy=False)
    straight = nearest_orthonormal(affine, values.shape[-3:])
    head = make_header(values.shape, values.dtype, affine, straight, frame_seconds or 0.0)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            if path.suffix == ".gz":
                with gzip.GzipFile("", "wb", 1, file, mtime=0) as stream:
                    stream.write(head)
                    stream.write(values.data.cast("B"))
            else:
                file.write(head)
                file.write(values.data.cast("B"))
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
