"""NIfTI files, cines and labels: damage to headers, voxels and compression, compared with nibabel and ITK."""

from __future__ import annotations

import gzip
import random
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import SimpleITK as sitk  # noqa: N813 - the customary name
from cardiac_motion.cine import Cine
from cardiac_motion.io import LabelImage, load_cine, read_labels
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from benchmarks.fuzz.compare import Independent, compare
from benchmarks.fuzz.damage import bomb, damaged, damaged_gzip
from benchmarks.fuzz.hearts import heart
from benchmarks.fuzz.target import CannotTellError, Mutant, Sample

Array = npt.NDArray[Any]

_MAGIC = b"\x1f\x8b"
_UNITS_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_UNITS_S = {8: 1.0, 16: 1e-3, 24: 1e-6}
_INTEGERS = (0, 1, -1, 2, 3, 4, 5, 6, 7, 8, 16, 64, 255, 256, 348, 511, 512, 768, 1024, 1006, 1007, 32767, -32768)
_LARGE = (2**31 - 1, -(2**31), 2**32, 2**40, 2**62, -(2**63))
_FLOATS = (
    0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1e-45, 1e-20, 1e20, 3e38, float("nan"), float("inf"), -float("inf"), 352.0,
    348.0, 16.0, 1e9, 0.04, 40.0,
)  # fmt: skip
_GEOMETRY = (
    "pixdim", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "srow_x", "srow_y", "srow_z",
    "qform_code", "sform_code", "xyzt_units", "toffset",
)  # fmt: skip
_LAYOUT = (
    "dim",
    "datatype",
    "bitpix",
    "vox_offset",
    "scl_slope",
    "scl_inter",
    "magic",
    "sizeof_hdr",
    "intent_code",
)


class NiftiTarget:
    """Cines, compressed or not, and labels."""

    name = "nifti"

    def samples(self) -> list[Sample]:
        """The kinds that occur: both versions, both byte orders, scaled or not, with an extension or not."""
        study = heart()
        frames, affine = study.cine.frames, study.cine.affine
        whole = np.rint(frames).astype(np.int16)
        return [
            _sample("cine.nii", written(whole, affine)),
            _sample("cine.nii", written(whole, affine, order=">")),
            _sample("cine.nii", written(frames, affine, scaled=(0.5, -3.0))),
            _sample("cine.nii", written(frames.astype(np.float64), affine, version=2)),
            _sample("cine.nii", written(whole.astype(np.uint16), affine, extension=b"comment" * 5)),
            _sample("cine.nii.gz", gzip.compress(written(whole, affine), 1, mtime=0)),
            _sample("labels.nii", written(study.labels, affine)),
            _sample(
                "labels.nii.gz", gzip.compress(written(study.labels[0].astype(np.float32), affine), 1, mtime=0)
            ),
        ]

    def mutate(self, samples: Sequence[Sample], luck: random.Random) -> Mutant:
        """A header that lies, damaged bytes, or damaged compression."""
        ((name, content),) = luck.choice(samples).files.items()
        content, what = mutated(content, luck)
        if luck.random() < 0.03:
            name = name.removesuffix(".gz") if name.endswith(".gz") else f"{name}.gz"
        return Mutant({name: content}, what, name)

    def read(self, folder: Path, kind: str) -> Cine | LabelImage:
        """As the kind of file is read."""
        return read_labels(folder / kind) if kind.startswith("labels") else load_cine(folder / kind)[0]

    def judge(self, folder: Path, kind: str, result: Cine | LabelImage) -> str | None:
        """Voxels and times as nibabel has them, the place as ITK or nibabel."""
        return compare(result, independent(folder / kind))


def _sample(name: str, content: bytes) -> Sample:
    return Sample({name: content}, name)


def written(
    values: Array,
    affine: Array,
    *,
    order: str = "<",
    version: int = 1,
    scaled: tuple[float, float] | None = None,
    extension: bytes = b"",
) -> bytes:
    """(T, Z, Y, X) or (Z, Y, X) as a NIfTI file, not compressed."""
    kind = nib.Nifti2Image if version == 2 else nib.Nifti1Image
    header = kind.header_class(endianness=order)
    image = kind(np.ascontiguousarray(values).T, affine, header, dtype=values.dtype)
    image.set_qform(affine, 1)
    image.set_sform(affine, 1)
    image.header.set_xyzt_units("mm", "sec")
    if values.ndim == 4:
        image.header["pixdim"][4] = 0.04
    if scaled:
        image.header.set_slope_inter(*scaled)
    if extension:
        image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", extension))
    return image.to_bytes()


def mutated(content: bytes, luck: random.Random) -> tuple[bytes, str]:
    """A NIfTI file, compressed or not, with something wrong; now and then with nothing wrong."""
    is_packed = content.startswith(_MAGIC)
    raw = gzip.decompress(content) if is_packed else content
    if is_packed and luck.random() < 0.01:
        return _kept_promise(raw, luck)
    chance = luck.random()
    what = "untouched"
    if 0.03 < chance < 0.60:
        raw, what = _with_fields(raw, luck)
    elif chance < 0.70:
        raw, what = _reshaped(raw, luck)
    elif chance < 0.78:
        raw, what = _other_voxels(raw, luck)
    elif chance < 0.97:
        raw, what = damaged(raw, luck, head=352)
    if is_packed and luck.random() < 0.4:
        packed, more = damaged_gzip(raw, luck)
        return packed, f"{what}; {more}"
    return (gzip.compress(raw, 1, mtime=0) if is_packed else raw), what


def _header(raw: bytes) -> Any:
    for size, kind in ((348, nib.Nifti1Header), (540, nib.Nifti2Header)):
        for order in "<>":
            if raw[:4] == struct.pack(order + "i", size):
                return kind(raw[:size], endianness=order, check=False)
    raise ValueError("a sample is no NIfTI file")


def _with_fields(raw: bytes, luck: random.Random) -> tuple[bytes, str]:
    """One to four fields of the header set to what nobody means, or to what somebody might."""
    header = _header(raw)
    block = header.structarr
    done = []
    for _ in range(luck.choice((1, 1, 1, 2, 4))):
        names = luck.choice((_GEOMETRY, _LAYOUT, block.dtype.names))
        name = luck.choice(names)
        field = block[name]
        dtype = field.dtype
        index: Any = luck.randrange(field.size) if field.ndim else ()
        old = field[index] if field.ndim else field[()]
        value = _value(dtype, old, luck)
        with np.errstate(all="ignore"):
            if field.ndim:
                field[index] = value
            else:
                block[name] = value
        done.append(f"{name}{index if field.ndim else ''} {old} -> {value}")
    return header.binaryblock + raw[len(header.binaryblock) :], ", ".join(done)


def _value(dtype: np.dtype[Any], old: Any, luck: random.Random) -> Any:
    if dtype.kind == "S":
        return luck.choice((b"", b"n+1", b"ni1", b"n+2", b"n+3", b"\xff" * 4, b"n"))
    if dtype.kind == "f":
        near = (float(old) * luck.choice((0.5, 2, -1, 1.0001, 1000)), float(old) + luck.uniform(-3, 3))
        value = luck.choice((*_FLOATS, *near, luck.uniform(-300, 300)))
        return value if abs(value) < np.finfo(dtype).max or not np.isfinite(value) else np.finfo(dtype).max
    beside = (int(old) + 1, int(old) - 1, int(old) * 2, -int(old), int(old) ^ 1 << luck.randrange(15))
    value = luck.choice((*_INTEGERS, *(_LARGE if dtype.itemsize > 2 else ()), *beside, *beside))
    limits = np.iinfo(dtype)
    return min(max(value, limits.min), limits.max)


def _reshaped(raw: bytes, luck: random.Random) -> tuple[bytes, str]:
    """The same number of voxels with other sizes, or other voxels of the same number of bytes."""
    header = _header(raw)
    if luck.random() < 0.3:
        same = {1: (2, 256), 2: (4, 512), 4: (8, 16, 768), 8: (64, 1024, 1280, 32)}
        header["datatype"] = luck.choice(same[int(header["bitpix"]) // 8])
        return header.binaryblock + raw[len(header.binaryblock) :], f"datatype {header['datatype']}"
    sizes = [int(size) for size in header["dim"][1 : int(header["dim"][0]) + 1]]
    if luck.random() < 0.5:
        luck.shuffle(sizes)
    else:
        one, other = luck.randrange(len(sizes)), luck.randrange(len(sizes))
        sizes[one], sizes[other] = (sizes[one] * sizes[other], 1) if one != other else (sizes[one], sizes[other])
    sizes += [1] * luck.choice((0, 0, 1, 3))
    sizes = sizes[:7]
    header["dim"] = [len(sizes), *sizes, *[1] * (7 - len(sizes))]
    return header.binaryblock + raw[len(header.binaryblock) :], f"sizes {sizes}"


def _kept_promise(raw: bytes, luck: random.Random) -> tuple[bytes, str]:
    """A small file of very many voxels, all there."""
    header = _header(raw)
    code, size = luck.choice(((2, 1), (4, 2), (16, 4), (64, 8)))
    shape = luck.choice(((512, 512, 16, 64), (512, 512, 16, 65), (4096, 4096, 1, 2), (300, 4, 1, 30000)))
    header["dim"][:5] = [4, *shape]
    header["datatype"], header["bitpix"] = code, 8 * size
    start = header.binaryblock + bytes(max(int(header["vox_offset"]) - len(header.binaryblock), 4))
    return bomb(start, int(np.prod(shape)) * size, whole=True), f"{shape} voxels of {size} bytes, all there"


def _other_voxels(raw: bytes, luck: random.Random) -> tuple[bytes, str]:
    """Voxels changed, all sizes kept."""
    start = int(_header(raw)["vox_offset"])
    data = bytearray(raw)
    for _ in range(luck.choice((1, 5, 100))):
        data[luck.randrange(start, len(raw))] = luck.choice((0, 0x7F, 0x80, 0xFF, luck.randrange(256)))
    return bytes(data), "voxels"


def independent(path: Path) -> Independent:
    """The image as nibabel reads it, else as ITK does, and where ITK places it.

    Raises:
        CannotTellError: both refuse the file.
    """
    content = path.read_bytes()
    try:
        raw = gzip.decompress(content) if content.startswith(_MAGIC) else content
        header = _header(raw)
        if header["vox_offset"] == 0:
            # nibabel takes it at its word; that it stands for the earliest place the length of the file shows.
            header["vox_offset"] = len(header.binaryblock) + 4
            raw = header.binaryblock + raw[len(header.binaryblock) :]
        with np.errstate(all="ignore"):
            image = (nib.Nifti2Image if len(header.binaryblock) == 540 else nib.Nifti1Image).from_bytes(raw)
            values = np.asarray(image.dataobj)
    except (ImageFileError, HeaderDataError, WrapStructError, ValueError, OSError, zlib.error) as error:
        return _by_itk(path, f"nibabel: {error}")
    header = image.header
    units = int(header["xyzt_units"])
    scale = np.diag([*[_UNITS_MM[units & 7]] * 3, 1.0]) if units & 7 in _UNITS_MM else None
    shape = list(values.shape)
    while len(shape) > 4 and shape[-1] == 1:
        shape.pop()
    shape += [1] * (3 - len(shape))
    places = [] if scale is None else [scale @ each for each in _nibabel_places(image)]
    step = float(header["pixdim"][4]) * _UNITS_S.get(units & 0x38, np.nan)
    times = np.arange(shape[3]) * step if len(shape) == 4 else None
    return Independent(values.reshape(shape, order="F").T, _itk_place(path), places, times)


def _by_itk(path: Path, reason: str) -> Independent:
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise CannotTellError(reason) from error
    return Independent(sitk.GetArrayFromImage(image), _itk_place(path))


def _nibabel_places(image: Any) -> list[Array]:
    """The affine of nibabel, and the same with the voxel sizes of pixdim, which ITK believes."""
    places = [image.affine]
    lengths = np.linalg.norm(image.affine[:3, :3], axis=0)
    pixdim = np.array(image.header["pixdim"][1:4], float)
    if (lengths > 0).all() and (pixdim > 0).all():
        places.append(image.affine @ np.diag([*(pixdim / lengths), 1.0]))
    return places


def _itk_place(path: Path) -> Array | None:
    """Affine to RAS as ITK has it; None where it refuses the file."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return None
    n = reader.GetDimension()
    spacing, origin = np.ones(3), np.zeros(3)
    direction = np.eye(3)
    spacing[: min(n, 3)], origin[: min(n, 3)] = reader.GetSpacing()[:3], reader.GetOrigin()[:3]
    direction[: min(n, 3), : min(n, 3)] = np.reshape(reader.GetDirection(), (n, n))[:3, :3]
    lps = np.eye(4)
    lps[:3, :3], lps[:3, 3] = direction * spacing, origin
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps
