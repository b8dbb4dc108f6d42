"""3D images of vectors: NRRD written and read, NIfTI read. In memory always LPS, in mm, as ITK has them."""

from __future__ import annotations

import gzip
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import nibabel as nib
import nrrd
import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from cardiac_motion.cine import check_affine
from cardiac_motion.errors import InputError
from cardiac_motion.io.geometry import RAS_TO_LPS, Affine
from cardiac_motion.io.image_file import check_voxel_count, read_voxels, reading
from cardiac_motion.io.nrrd_header import read_nrrd_header

_COMPRESSION_LEVEL = 1
_VECTOR_KINDS = {"vector", "3-vector", "list"}
_NIFTI_DISPLACEMENT = 1006
_NIFTI_VECTOR = 1007

VectorImage = tuple[npt.NDArray[np.float32], Affine]
"""Vectors (Z, Y, X, 3) float32, components (x, y, z) along LPS in mm, and the affine from voxel to RAS."""


def write_vectors(path: Path, vectors: npt.NDArray[np.float32], affine: Affine) -> None:
    """Write a 3D vector image as NRRD, LPS, gzip; SimpleITK, ANTs and Slicer read it as it is.

    Args:
        path: where to; ends in ``.nrrd``.
        vectors: (Z, Y, X, 3) float32, components (x, y, z) along LPS in mm.
        affine: voxel to RAS, mm.
    """
    lps = RAS_TO_LPS @ affine
    lines = [
        "NRRD0004",
        "type: float",
        "dimension: 4",
        "space: left-posterior-superior",
        "sizes: 3 " + " ".join(str(size) for size in vectors.shape[2::-1]),
        "space directions: none " + " ".join(nrrd.format_vector(column) for column in lps[:3, :3].T),
        "kinds: vector domain domain domain",
        "endian: little",
        "encoding: gzip",
        f"space origin: {nrrd.format_vector(lps[:3, 3])}",
    ]
    with path.open("wb") as file:
        file.write(("\n".join(lines) + "\n\n").encode("ascii"))
        with gzip.GzipFile("", "wb", _COMPRESSION_LEVEL, file, mtime=0) as stream:
            stream.write(np.ascontiguousarray(vectors, dtype="<f4").data)


def read_vectors(path: Path) -> VectorImage:
    """Read a 3D vector image from NRRD, or from NIfTI with the intent of a displacement (1006) or vector (1007).

    Vectors in NIfTI are RAS with intent 1006, and LPS with 1007, as ITK writes it.

    Raises:
        InputError: whatever is wrong with it, in one message that names the file.
    """
    with reading(path):
        if path.name.lower().endswith(".nrrd"):
            return _read_nrrd(path)
        if path.name.lower().endswith((".nii", ".nii.gz")):
            return _read_nifti(path)
        raise InputError("expected a vector image that ends in .nrrd, .nii or .nii.gz")


def _read_nrrd(path: Path) -> VectorImage:
    with path.open("rb") as file:
        parsed = read_nrrd_header(file)
        header, sizes = parsed.fields, parsed.sizes
        dtype, affine = _nrrd_layout(header)
        is_compressed = header["encoding"] in {"gzip", "gz"}
        available = path.stat().st_size - file.tell()
        with gzip.GzipFile(fileobj=file) if is_compressed else nullcontext(file) as stream:
            values = read_voxels(stream, sizes[::-1], dtype, available=available, is_compressed=is_compressed)
    return values.astype(np.float32), affine


def _nrrd_layout(header: dict[str, Any]) -> tuple[np.dtype[Any], Affine]:
    """Type of the values and affine to RAS, once it is sure that the header is one of 3D vectors."""
    missing = {"type", "sizes", "encoding", "kinds", "space", "space directions", "space origin"} - set(header)
    if missing:
        raise InputError(f"its header lacks {', '.join(sorted(missing))}")
    sizes, kinds = list(header["sizes"]), list(header["kinds"])
    if len(sizes) != 4 or sizes[0] != 3 or kinds[0].lower() not in _VECTOR_KINDS:
        raise InputError(
            f"expected a 3D image of vectors, sizes (3, X, Y, Z) of kinds (vector, domain, domain, domain); "
            f"got sizes {tuple(int(s) for s in sizes)} of kinds {tuple(kinds)}"
        )
    if header["space"] not in {"left-posterior-superior", "LPS"}:
        raise InputError(f"its vectors are along {header['space']!r}; expected 'left-posterior-superior'")
    if header["type"] not in {"float", "double"}:
        raise InputError(f"holds values of type {header['type']!r}; expected float or double")
    if header.get("endian") not in {"little", "big"}:
        raise InputError(f"its header has endian {header.get('endian')!r}; expected little or big")
    if header["encoding"] not in {"raw", "gzip", "gz"}:
        raise InputError(f"its values are encoded as {header['encoding']!r}; expected raw or gzip")
    directions = np.asarray(header["space directions"], dtype=np.float64)
    origin = np.asarray(header["space origin"], dtype=np.float64)
    if directions.shape != (4, 3) or origin.shape != (3,):
        raise InputError("its space directions and origin are not those of three axes in space")
    lps = np.eye(4)
    lps[:3, :3], lps[:3, 3] = directions[1:].T, origin
    order = "<" if header["endian"] == "little" else ">"
    return np.dtype(f"{order}{'f4' if header['type'] == 'float' else 'f8'}"), RAS_TO_LPS @ check_affine(lps)


def _read_nifti(path: Path) -> VectorImage:
    try:
        image = nib.nifti1.Nifti1Image.from_filename(path)
        shape = image.shape
        if len(shape) != 5 or shape[3:] != (1, 3):
            raise InputError(f"expected a 3D image of vectors, sizes (X, Y, Z, 1, 3), got {shape}")
        check_voxel_count(shape)
        intent = int(image.header["intent_code"])
        if intent not in {_NIFTI_DISPLACEMENT, _NIFTI_VECTOR}:
            raise InputError(
                f"its intent is {intent}; expected {_NIFTI_DISPLACEMENT} (displacement) or "
                f"{_NIFTI_VECTOR} (vector)"
            )
        values = np.asarray(image.dataobj, dtype=np.float32)
    except (ImageFileError, HeaderDataError, WrapStructError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"its header or data are damaged: {error}") from error
    vectors = np.ascontiguousarray(values[:, :, :, 0].transpose(2, 1, 0, 3))
    if intent == _NIFTI_DISPLACEMENT:
        vectors[..., :2] *= -1
    return vectors, check_affine(image.affine)
