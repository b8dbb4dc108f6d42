"""The file of a cine that the server gets: the one it came from, or else a new one."""

from __future__ import annotations

import gzip
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from CardiacMotionLib import scene_state
from CardiacMotionLib.affines import Affine, same_grid
from CardiacMotionLib.cine import Cine
from CardiacMotionLib.errors import InputError
from CardiacMotionLib.nifti import read_grid, write_nifti
from CardiacMotionLib.nrrd_header import nrrd_affine
from CardiacMotionLib.timing import are_even, frame_seconds

SOURCE = "Source"
"""Name under which a sequence keeps the file that it came from, see `scene_state.set_json`."""

_NRRD_TYPES = {"u1": "uchar", "i2": "short", "u2": "ushort", "f4": "float"}


def remember_file(cine: Cine, path: Path) -> None:
    """Keep with the cine that it came from this file, and what is needed to see that neither has changed."""
    stat = path.stat()
    source = {
        "path": str(path.absolute()),
        "size": stat.st_size,
        "time": stat.st_mtime_ns,
        "voxels": _checksum(cine),
    }
    scene_state.set_json(cine.sequence, SOURCE, source)


def original_file(cine: Cine) -> Path | None:
    """The file that the cine came from, if it is still there and neither it nor the cine has changed since."""
    source = scene_state.get_json(cine.sequence, SOURCE)
    if not isinstance(source, dict) or not {"path", "size", "time", "voxels"} <= set(source):
        return None
    path = Path(str(source["path"]))
    try:
        stat = path.stat()
    except OSError:
        return None
    if (stat.st_size, stat.st_mtime_ns) != (source["size"], source["time"]) or _checksum(cine) != source["voxels"]:
        return None
    return path if _is_read_alike(cine, path) else None


def _is_read_alike(cine: Cine, path: Path) -> bool:
    """Whether the server finds the same grid in it; Slicer's readers place some files otherwise."""
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        stated = nrrd_affine(path)
        return stated is not None and same_grid(cine.affine, stated, cine.shape[1:])
    try:
        shape, affine = read_grid(path)
    except InputError:
        return False
    return shape == cine.shape and same_grid(cine.affine, affine, shape[1:])


def _checksum(cine: Cine) -> int:
    """CRC-32 of geometry and voxels."""
    value = zlib.crc32(np.round(cine.affine, 6).tobytes())
    for t in range(cine.n_frames):
        value = zlib.crc32(np.ascontiguousarray(cine.array(t)).data, value)
    return value


@dataclass(frozen=True)
class Upload:
    """A cine taken out of the scene, to be written by any thread.

    Attributes:
        original: file to be sent as it is; None if one has to be written.
        values: (T, Z, Y, X), a copy; None where there is an original.
        affine: (4, 4).
        times: (T,) seconds.
    """

    original: Path | None
    values: npt.NDArray[Any] | None
    affine: Affine
    times: npt.NDArray[np.float64]

    def write(self, folder: Path | str, name: str) -> Path:
        """The file to send: the original, or one in the folder, `.nii.gz`, or `.seq.nrrd` for uneven times.

        Raises:
            InputError: it cannot be written there.
        """
        if self.original is not None:
            return self.original
        if self.values is None:
            raise InputError(f"{name}: there is neither a file nor voxels to write one of")
        if are_even(self.times):
            path = Path(folder) / f"{name}.nii.gz"
            write_nifti(path, self.values, self.affine, frame_seconds=frame_seconds(self.times))
        else:
            path = Path(folder) / f"{name}.seq.nrrd"
            write_sequence(path, self.values, self.affine, self.times)
        return path


def take_upload(cine: Cine) -> Upload:
    """What the server has to get; main thread, voxels are copied where no original can be sent."""
    original = original_file(cine)
    values = None if original is not None else _storable(np.stack([cine.array(t) for t in range(cine.n_frames)]))
    return Upload(original, values, cine.affine, cine.times)


def write_upload(cine: Cine, folder: Path | str, name: str) -> Path:
    """`take_upload` and `Upload.write` at once."""
    return take_upload(cine).write(folder, name)


def _storable(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values if values.dtype.str[1:] in _NRRD_TYPES else values.astype(np.float32)


def write_sequence(path: Path, values: npt.NDArray[Any], affine: Affine, times: npt.NDArray[np.float64]) -> None:
    """Write a `.seq.nrrd` as Slicer's own, frames on the first axis, whole or not at all; no MRML, for any thread.

    Args:
        path: where to.
        values: uint8, int16, uint16 or float32, (T, Z, Y, X).
        affine: voxel to RAS, mm; written as it is, skewed or not.
        times: (T,) seconds.

    Raises:
        InputError: it cannot be written there.
    """
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    vectors = ["(" + ",".join(repr(float(part)) for part in column[:3]) + ")" for column in lps.T]
    lines = [
        "NRRD0005",
        f"type: {_NRRD_TYPES[values.dtype.str[1:]]}",
        "dimension: 4",
        "space: left-posterior-superior",
        "sizes: " + " ".join(str(size) for size in (len(values), *values.shape[:0:-1])),
        "space directions: none " + " ".join(vectors[:3]),
        "kinds: list domain domain domain",
        'labels: "time" "" "" ""',
        'units: "s" "" "" ""',
        "endian: little",
        "encoding: gzip",
        f"space origin: {vectors[3]}",
        "axis 0 index type:=numeric",
        "axis 0 index values:=" + " ".join(repr(float(time)) for time in times),
        "DataNodeClassName:=vtkMRMLScalarVolumeNode",
    ]
    interleaved = np.ascontiguousarray(np.moveaxis(values, 0, -1), dtype=values.dtype.newbyteorder("<"))
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(("\n".join(lines) + "\n\n").encode("ascii"))
            with gzip.GzipFile("", "wb", 1, file, mtime=0) as stream:
                stream.write(interleaved.data.cast("B"))
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
