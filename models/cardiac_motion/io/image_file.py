"""What every image format has in common: one picture in memory, and reading that no file can fool."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from cardiac_motion.errors import InputError
from cardiac_motion.io.timing import Timing

MAX_VOXELS = 2**28
"""Voxels over all frames that a file may promise unless the caller says otherwise: 1 GiB as float32, 50 frames of
20 slices of 512 x 512 pixels."""

_MAX_DEFLATE_RATIO = 1032
"""Bytes that one byte of a deflate stream can stand for at most (zlib's technical notes)."""

_CHUNK_BYTES = 2**24


@dataclass(frozen=True)
class ImageFile:
    """An image as its file has it."""

    values: npt.NDArray[Any]
    """(T, Z, Y, X), real numbers of any type; T = 1 for one frame."""
    affine: npt.NDArray[np.float64]
    """Voxel (i, j, k) = (x, y, z) to world RAS, in mm."""
    has_time_axis: bool
    timing: Timing | None = None
    notes: tuple[str, ...] = ()
    """What is unusual about its geometry, in sentences that begin in lower case."""


class ByteStream(Protocol):
    """What is needed of an open file, compressed or not."""

    def read(self, size: int, /) -> bytes:
        """At most this many bytes, none at the end."""
        ...


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Make every failure to read a file one InputError that begins with the file's name."""
    try:
        yield
    except InputError as error:
        if str(error).startswith(f"{path}: "):
            raise
        raise InputError(f"{path}: {error}") from error
    except EOFError as error:
        raise InputError(f"{path}: ends before its data do: truncated") from error
    except (zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: its compressed data are damaged ({error})") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except MemoryError as error:
        raise InputError(f"{path}: too large for the memory of this machine") from error


def read_voxels(
    stream: ByteStream,
    shape: Sequence[int],
    dtype: np.dtype[Any],
    *,
    available: int,
    is_compressed: bool,
    max_voxels: int = MAX_VOXELS,
) -> npt.NDArray[Any]:
    """Read an array in C order; memory grows with what the file holds, not with what its header promises.

    Args:
        stream: at the first byte of the voxels.
        shape: from the header, slowest axis first.
        dtype: from the header, in the file's byte order.
        available: bytes left on disk from there on, compressed ones if it is compressed.
        is_compressed: by deflate.
        max_voxels: how many are read at most.

    Raises:
        InputError: the file holds fewer bytes than promised, or more, or the promise is beyond ``max_voxels``.
    """
    check_voxel_count(shape, max_voxels)
    needed = math.prod(shape) * dtype.itemsize
    if needed > available * (_MAX_DEFLATE_RATIO if is_compressed else 1):
        kind = "compressed bytes, too few by far" if is_compressed else "bytes"
        raise InputError(
            f"its header promises {needed} bytes of voxels, but it holds {available} {kind}: truncated"
        )
    buffer = bytearray()
    while len(buffer) < needed:
        chunk = stream.read(min(_CHUNK_BYTES, needed - len(buffer)))
        if not chunk:
            held = len(buffer)
            raise InputError(f"its header promises {needed} bytes of voxels, but it holds {held} bytes: truncated")
        buffer += chunk
    if stream.read(1):  # which at the end of a compressed stream compares its checksum
        raise InputError(f"holds more than the {needed} bytes of voxels that its header promises")
    return np.frombuffer(buffer, dtype=dtype).reshape(shape)


def check_voxel_count(shape: Sequence[int], max_voxels: int = MAX_VOXELS) -> None:
    """Raise InputError if a header promises sizes below 1, or more voxels than ``max_voxels``."""
    if min(shape) < 1:
        raise InputError(f"every axis needs at least one voxel, its header has sizes {tuple(shape)}")
    if math.prod(shape) > max_voxels:
        raise InputError(
            f"its header promises {math.prod(shape)} voxels, more than the {max_voxels} that are read"
        )


def storage_values(frames: npt.NDArray[np.float32]) -> npt.NDArray[np.float32] | npt.NDArray[np.int16]:
    """The same values as int16 where that loses nothing (half the file), else as they are."""
    limits = np.iinfo(np.int16)
    if frames.min() >= limits.min and frames.max() <= limits.max and bool((np.rint(frames) == frames).all()):
        return frames.astype(np.int16)
    return frames
