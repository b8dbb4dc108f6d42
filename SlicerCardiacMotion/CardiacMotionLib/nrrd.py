"""Cines of NRRD files, as Slicer writes sequences of volumes. Knows no MRML: for worker threads.

Slicer's storage node reads them on the main thread, which it blocks meanwhile, and turns the slices of images
whose axes are left-handed; here they stay in the order that the file and the server have them in.
"""

from __future__ import annotations

import gzip
import math
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from CardiacMotionLib.errors import InputError
from CardiacMotionLib.image_file import ImageFile, check_finite, check_voxel_count, read_voxels, reading
from CardiacMotionLib.nrrd_header import HEADER_BYTES, read_header
from CardiacMotionLib.timing import frame_times


def read_nrrd(path: Path | str) -> ImageFile:
    """Read a 4D NRRD file with its voxels in it, raw or with gzip, frames along any axis.

    Raises:
        OtherKind: it is of another kind, which Slicer's reader may know.
        InputError: whatever is wrong with it; one message, which names the file.
    """
    path = Path(path)
    with reading(path), path.open("rb") as file:
        header = read_header(file.read(HEADER_BYTES))
        count = math.prod(header.sizes)
        check_voxel_count(count)
        file.seek(header.size)
        opened: AbstractContextManager[Any] = (
            gzip.GzipFile(fileobj=file) if header.is_compressed else nullcontext(file)
        )
        with opened as stream:
            available = path.stat().st_size - header.size
            buffer = read_voxels(stream, count * header.dtype.itemsize, available, header.is_compressed)
        stored = np.frombuffer(buffer, dtype=header.dtype).reshape(header.sizes[::-1])
        frames = np.moveaxis(stored, 3 - header.frame_axis, 0)
        values = np.ascontiguousarray(frames, dtype=header.dtype.newbyteorder("="))
        check_finite(values)
        if len(values) < 2:
            raise InputError("holds one frame; a cine has 2 or more")
        times, note = frame_times(header.index, len(values))
        return ImageFile(values, header.affine, times, note)
