"""What image files of every format have in common: what is read of them, and what can be wrong. Knows no MRML."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from CardiacMotionLib.affines import Affine
from CardiacMotionLib.errors import InputError

MAX_VOXELS = 2**28
"""Voxels over all frames that a header may promise: 50 frames of 20 slices of 512 x 512 pixels."""

_MAX_DEFLATE_RATIO = 1032  # zlib's technical notes
_CHUNK_BYTES = 2**22


@dataclass(frozen=True)
class ImageFile:
    """An image as its file has it.

    Attributes:
        values: (T, Z, Y, X), of a type that VTK has; T = 1 for a 3D file.
        affine: (4, 4), voxel (i, j, k) to RAS in mm.
        times: (T,) seconds after the first frame.
        timing_note: a sentence about what had to be guessed of them, in lower case, or None.
        notes: what else is unusual about it, in such sentences.
    """

    values: npt.NDArray[Any]
    affine: Affine
    times: npt.NDArray[np.float64]
    timing_note: str | None = None
    notes: tuple[str, ...] = ()


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever goes wrong while a file is read becomes one InputError, which names the file."""
    try:
        yield
    except InputError as error:
        raise type(error)(f"{path}: {error}") from error
    except EOFError as error:
        raise InputError(f"{path}: ends before its data do: truncated") from error
    except (zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: its compressed data are damaged ({error})") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except MemoryError as error:
        raise InputError(f"{path}: too large for the memory of this computer") from error


def check_voxel_count(count: int) -> None:
    """Refuse a header that promises more than `MAX_VOXELS`."""
    if count > MAX_VOXELS:
        raise InputError(f"its header promises {count} voxels, more than the {MAX_VOXELS} that are read")


def read_voxels(stream: Any, needed: int, available: int, is_compressed: bool) -> bytearray:
    """All the bytes of a stream, of which there must be as many as a header promises.

    Args:
        stream: at the first voxel.
        needed: bytes that are promised.
        available: bytes of the file from there on.
        is_compressed: whether the stream decompresses them.

    Raises:
        InputError: there are fewer, or more.
    """
    if needed > (available * _MAX_DEFLATE_RATIO if is_compressed else available):
        raise InputError(f"its header promises {needed} bytes of voxels, far more than there are: truncated")
    buffer = bytearray()  # grows with what the file holds, not with what its header promises
    while len(buffer) < needed:
        chunk = stream.read(min(_CHUNK_BYTES, needed - len(buffer)))
        if not chunk:
            raise InputError(f"its header promises {needed} bytes of voxels, it holds {len(buffer)}: truncated")
        buffer += chunk
    if stream.read(1):  # which at the end of a compressed stream compares its checksum
        raise InputError(f"holds more than the {needed} bytes of voxels that its header promises")
    return buffer


def check_finite(values: npt.NDArray[Any]) -> None:
    """Refuse values that are no numbers."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise InputError("holds values that are NaN or infinite")
