"""Image files that are damaged, lie, or blow up."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Mapping
from functools import cache
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt

from benchmarks.small_cines import small_cine

_FLAG = b"\0\0\0\0"


def pack(content: bytes) -> bytes:
    """Compressed by gzip; the same bytes every time."""
    return gzip.compress(content, compresslevel=1, mtime=0)


@cache
def zeros(count: int) -> bytes:
    """Compressed zeros, a fraction of a percent of their size, made without holding them."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    block = bytes(2**20)
    parts = [packer.compress(block) for _ in range(count // len(block))]
    return b"".join([*parts, packer.compress(bytes(count % len(block))), packer.flush()])


def cine_values() -> npt.NDArray[np.int16]:
    """Voxels (T, Z, Y, X) of a sound cine."""
    return small_cine().frames.astype(np.int16)


def nifti_header(
    values: npt.NDArray[Any], fields: Mapping[str, Any] | None = None, *, is_second: bool = False
) -> bytes:
    """A NIfTI-1 or -2 header for values (T, Z, Y, X) or (Z, Y, X), with fields that need not be true."""
    header = nib.Nifti2Header() if is_second else nib.Nifti1Header()
    header.set_data_dtype(values.dtype)
    header.set_data_shape(values.shape[::-1])
    affine = small_cine().affine
    header.set_sform(affine, code=1)
    zooms = np.linalg.norm(affine[:3, :3], axis=0)
    header["pixdim"][1:5] = (*zooms, 0.04)
    header["xyzt_units"] = 2 | 8
    header["vox_offset"] = len(header.binaryblock) + len(_FLAG)
    for name, value in (fields or {}).items():
        header[name] = value
    return bytes(header.binaryblock)


def nifti(
    values: npt.NDArray[Any] | None = None,
    fields: Mapping[str, Any] | None = None,
    *,
    data: bytes | None = None,
    is_second: bool = False,
    compressed: bool = True,
) -> bytes:
    """A NIfTI file, by default of a sound cine; ``data`` stands in for the voxels."""
    values = cine_values() if values is None else values
    content = nifti_header(values, fields, is_second=is_second) + _FLAG
    content += values.tobytes() if data is None else data
    return pack(content) if compressed else content


def promising(sizes: tuple[int, ...], *, is_second: bool = False) -> dict[str, Any]:
    """Fields of a header that promises sizes (X, Y, Z, T)."""
    dim = np.ones(8, dtype=np.int64 if is_second else np.int16)
    dim[0] = len(sizes)
    dim[1 : len(sizes) + 1] = sizes
    return {"dim": dim}


def bomb(voxels_after_header: int) -> bytes:
    """A NIfTI with a true header of the sound cine, and behind it far more zeros, next to nothing on disk."""
    header = nifti_header(cine_values()) + _FLAG
    return pack(header) + zeros(2 * voxels_after_header)


def zero_cine(shape: tuple[int, int, int, int]) -> bytes:
    """A NIfTI that keeps its promise of voxels (T, Z, Y, X), all zero, next to nothing on disk."""
    small = np.zeros((2, 1, 1, 1), np.int16)
    header = nifti_header(small, promising(shape[::-1])) + _FLAG
    return pack(header) + zeros(2 * int(np.prod(shape)))


def with_form(code: str, affine: npt.ArrayLike) -> bytes:
    """A cine with another affine (3 x 4) in its sform."""
    rows = np.asarray(affine, dtype=np.float32)
    return nifti(
        fields={f"{code}_code": 1, "srow_x": rows[0], "srow_y": rows[1], "srow_z": rows[2], "pixdim": _no_pixdim()}
    )


def _no_pixdim() -> npt.NDArray[np.float32]:
    return np.array([1, 0, 0, 0, 0.04, 0, 0, 0], np.float32)


def no_forms(pixdim: tuple[float, ...]) -> bytes:
    """A cine without sform and qform, so that the voxel sizes (x, y, z, t) in pixdim count."""
    values = np.zeros(8, np.float32)
    values[0], values[1:5] = 1, pixdim
    return nifti(fields={"sform_code": 0, "qform_code": 0, "pixdim": values})


def with_voxels(value: float) -> bytes:
    """A cine with one voxel of another value."""
    values = small_cine().frames.copy()
    values[2, 1, 30, 30] = value
    return nifti(values)


def typed(code: int, bits: int) -> bytes:
    """A cine whose header calls its voxels something else."""
    return nifti(fields={"datatype": code, "bitpix": bits})


def complex_cine() -> bytes:
    """Complex numbers."""
    return nifti(cine_values().astype(np.complex64))


def nrrd(
    fields: Mapping[str, str | None] | None = None, *, data: bytes | None = None, extra: str = "", end: str = "\n"
) -> bytes:
    """A NRRD file, by default of a sound cine.

    Args:
        fields: of the header; None leaves one out.
        data: stands in for the voxels.
        extra: lines after the fields.
        end: of the header.
    """
    shape = small_cine().shape
    given: dict[str, str | None] = {
        "type": "short",
        "dimension": "4",
        "space": "left-posterior-superior",
        "sizes": " ".join(map(str, shape[::-1])),
        "space directions": "(1.4,0,0) (0,1.5,0) (0,0,8) none",
        "kinds": "domain domain domain list",
        "endian": "little",
        "encoding": "raw",
        "space origin": "(0,0,0)",
    }
    given |= fields or {}
    lines = "".join(f"{name}: {value}\n" for name, value in given.items() if value is not None)
    head = f"NRRD0005\n{lines}{extra}{end}"
    return head.encode("utf-8") + (cine_values().tobytes() if data is None else data)


def detached(target: str) -> bytes:
    """A NRRD header whose voxels are in another file."""
    return nrrd(extra=f"data file: {target}\n", data=b"")


def huge_gzip_name() -> bytes:
    """A gzip file whose own header holds a name of a megabyte."""
    packed = pack(nifti(compressed=False))
    return packed[:3] + bytes([packed[3] | 8]) + packed[4:10] + b"A" * 2**20 + b"\0" + packed[10:]


def wrong_checksum() -> bytes:
    """A gzip file whose checksum is not that of its content."""
    packed = nifti()
    return packed[:-8] + struct.pack("<II", 1, len(packed))
