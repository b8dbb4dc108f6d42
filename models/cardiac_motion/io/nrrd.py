"""NRRD with its data in the same file: 3D images, 4D ones with a list axis, Slicer's sequences (``.seq.nrrd``)."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import nrrd
import numpy as np
import numpy.typing as npt

from cardiac_motion.cine import check_affine
from cardiac_motion.errors import InputError
from cardiac_motion.io.geometry import RAS_TO_LPS, Affine, describe_skew
from cardiac_motion.io.image_file import MAX_VOXELS, ImageFile, check_voxel_count, read_voxels, reading
from cardiac_motion.io.nrrd_header import NrrdHeader, read_nrrd_header
from cardiac_motion.io.timing import Timing, unit_from_name

_COMPRESSION_LEVEL = 1

_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": (
        "longlong",
        "long long",
        "long long int",
        "signed long long",
        "signed long long int",
        "int64",
        "int64_t",
    ),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_DTYPES = {name: code for code, names in _TYPES.items() for name in names}
_TYPE_NAMES = {"u1": "uchar", "i2": "short", "f4": "float"}

_TO_RAS = {
    "right-anterior-superior": (1.0, 1.0, 1.0),
    "left-anterior-superior": (-1.0, 1.0, 1.0),
    "left-posterior-superior": (-1.0, -1.0, 1.0),
}
_SPACES = _TO_RAS | {"".join(word[0] for word in name.split("-")): flips for name, flips in _TO_RAS.items()}
_SPATIAL_KINDS = ("domain", "space")
_FRAME_KINDS = ("list", "time", "???", "none", *_SPATIAL_KINDS)


def read_nrrd(path: Path, *, max_voxels: int = MAX_VOXELS) -> ImageFile:
    """Read a 3D NRRD, or a 4D one whose fourth axis, at any place, runs over frames.

    Raises:
        InputError: whatever is wrong with it, more than ``max_voxels`` included; one message, which names the
            file.
    """
    with reading(path), path.open("rb") as file:
        header = read_nrrd_header(file)
        sizes = header.sizes
        check_voxel_count(sizes, max_voxels)
        frame_axis, affine, notes = _geometry(header)
        dtype = _dtype(header)
        is_compressed = _is_compressed(header)
        available = path.stat().st_size - file.tell()
        with gzip.GzipFile(fileobj=file) if is_compressed else nullcontext(file) as stream:
            values = read_voxels(
                stream,
                sizes[::-1],
                dtype,
                available=available,
                is_compressed=is_compressed,
                max_voxels=max_voxels,
            )
        timing = None
        if frame_axis is None:
            values = values[np.newaxis]
        else:
            values = np.moveaxis(values, len(sizes) - 1 - frame_axis, 0)
            timing = _timing(header, frame_axis)
        skewed = describe_skew(affine, values.shape[1:])
        return ImageFile(
            values=values,
            affine=affine,
            has_time_axis=frame_axis is not None,
            timing=timing,
            notes=(*notes, skewed) if skewed else notes,
        )


def _dtype(header: NrrdHeader) -> np.dtype[Any]:
    name = str(header.fields["type"])
    if name not in _DTYPES:
        raise InputError(f"holds values of type {name!r}; expected one real number per voxel")
    dtype = np.dtype(_DTYPES[name])
    if dtype.itemsize == 1:
        return dtype
    order = header.fields.get("endian")
    if order not in {"little", "big"}:
        raise InputError(f"its header has endian {order!r}; expected little or big")
    return dtype.newbyteorder("<" if order == "little" else ">")


def _is_compressed(header: NrrdHeader) -> bool:
    encoding = str(header.fields["encoding"]).lower()
    if encoding not in {"raw", "gzip", "gz"}:
        raise InputError(f"its voxels are encoded as {encoding!r}; expected raw or gzip")
    return encoding != "raw"


def _geometry(header: NrrdHeader) -> tuple[int | None, Affine, tuple[str, ...]]:
    """The axis of the frames (None: one frame), the affine to RAS, and what is unusual."""
    directions = header.fields.get("space directions")
    if directions is None:
        return _geometry_from_spacings(header)
    directions = np.array(directions, dtype=np.float64)
    if len(directions) != len(header.sizes):
        raise InputError(f"its header has {len(directions)} space directions for {len(header.sizes)} axes")
    n_world = directions.shape[1]
    if n_world == 4:
        directions = _without_time(directions)
    elif n_world != 3:
        raise InputError(f"its space has {n_world} dimensions; expected 3")
    has_direction = np.isfinite(directions).all(axis=1)
    frame_axis = _frame_axis(header, has_direction)
    flips, notes = _flips(header, n_world)
    affine = np.eye(4)
    affine[:3, :3] = (directions[has_direction] * flips).T
    origin = header.fields.get("space origin")
    if origin is None:
        notes = (*notes, "its header has no space origin; its first voxel is taken to lie at 0, 0, 0")
    else:
        if len(origin) != n_world:
            raise InputError(f"its space origin has {len(origin)} coordinates; expected {n_world}")
        affine[:3, 3] = np.array(origin[:3]) * flips
    return frame_axis, check_affine(affine), notes


def _without_time(directions: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Directions (4, 4) in space and time, as ITK writes them, as ones in space; NaN for the axis of time."""
    along_time = directions[:, 3] != 0
    if directions.shape != (4, 4) or along_time.sum() != 1 or directions[along_time, :3].any():
        raise InputError("its space directions mix space and time; expected one axis along time alone")
    return np.where(along_time[:, np.newaxis], np.nan, directions[:, :3])


def _frame_axis(header: NrrdHeader, is_spatial: npt.NDArray[np.bool_]) -> int | None:
    """The one axis that is not spatial, checked to run over frames."""
    if is_spatial.sum() != 3 or len(is_spatial) > 4:
        raise InputError(
            f"has {int(is_spatial.sum())} axes in space out of {len(is_spatial)}; expected 3, and one for frames"
        )
    if is_spatial.all():
        return None
    axis = int(np.flatnonzero(~is_spatial)[0])
    kinds = header.per_axis("kinds")
    if kinds and kinds[axis].lower() not in _FRAME_KINDS:
        raise InputError(f"holds a {kinds[axis]} per voxel; expected one real number, and frames on a list axis")
    if any(key.startswith("Segment0_") for key in header.pairs):
        raise InputError("is a Slicer segmentation in which segments overlap; export it as a label map")
    return axis


def _flips(header: NrrdHeader, n_world: int) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
    """Signs that turn the file's world coordinates into RAS."""
    units = header.fields.get("space units", [])
    if any(unit not in {"", "mm"} for unit in units[:3]):
        raise InputError(f"its lengths are in {' '.join(units)}; expected mm")
    space = header.fields.get("space")
    if space is None:
        # ITK names no space for a 4D image, and means LPS.
        note = "its header names no space; it is taken as left-posterior-superior, as ITK does"
        return np.array(_SPACES["lps"]), () if n_world == 4 else (note,)
    name = str(space).lower().removesuffix("-time" if "-" in str(space) else "t")
    if name not in _SPACES:
        raise InputError(f"its space is {space!r}; expected one of {', '.join(_TO_RAS)}")
    return np.array(_SPACES[name]), ()


def _geometry_from_spacings(header: NrrdHeader) -> tuple[int | None, Affine, tuple[str, ...]]:
    """Geometry of a header that has voxel sizes but no directions."""
    kinds = header.per_axis("kinds")
    n_axes = len(header.sizes)
    if kinds is None and n_axes > 3:
        raise InputError("its header has neither kinds nor space directions, so that its axes are anyone's guess")
    is_spatial = np.array([kinds is None or kind.lower() in _SPATIAL_KINDS for kind in kinds or [""] * n_axes])
    frame_axis = _frame_axis(header, is_spatial)
    spacings = header.per_axis("spacings")
    if spacings is None:
        raise InputError("its header has neither space directions nor spacings")
    affine = RAS_TO_LPS @ np.diag([*np.array(spacings, dtype=np.float64)[is_spatial], 1.0])
    note = "it has voxel sizes but no orientation; its axes are taken as left, posterior, superior"
    return frame_axis, check_affine(affine), (note,)


def _timing(header: NrrdHeader, axis: int) -> Timing | None:
    """Frame times: Slicer's index values, or the spacing along the axis of the frames."""
    units = header.per_axis("units")
    name = (units[axis] if units else "") or header.index("unit", axis) or ""
    unit = unit_from_name(name)
    if name and unit is None:
        return None
    n_frames = header.sizes[axis]
    texts = header.index("values", axis)
    if texts is not None:
        return _timing_from_index(texts.split(), n_frames, unit)
    spacings = header.per_axis("spacings")
    step = float(spacings[axis]) if spacings else _step_along_time(header, axis)
    if not np.isfinite(step) or step <= 0:
        return None
    return Timing(tuple(step * frame for frame in range(n_frames)), unit)


def _timing_from_index(texts: Sequence[str], n_frames: int, unit: str | None) -> Timing | None:
    if len(texts) != n_frames:
        raise InputError(f"its header has {len(texts)} index values for {n_frames} frames")
    try:
        values = tuple(float(unquote(text)) for text in texts)
    except ValueError:
        return None  # names, not times
    if not np.isfinite(values).all() or (np.diff(values) <= 0).any():
        raise InputError(f"its index values must increase from frame to frame, got {' '.join(texts)}")
    return Timing(values, unit)


def _step_along_time(header: NrrdHeader, axis: int) -> float:
    """Time between frames of a file with a fourth dimension of space."""
    directions = np.asarray(header.fields.get("space directions", np.zeros((0, 0))))
    return float(directions[axis, 3]) if directions.shape == (4, 4) else np.nan


def write_nrrd(
    path: Path,
    values: npt.NDArray[Any],
    affine: Affine,
    *,
    frame_times: Sequence[float] | npt.NDArray[np.float64] | None = None,
    is_label: bool = False,
) -> None:
    """Write a 3D NRRD, or a 4D one that Slicer loads as a sequence with its times.

    The list axis comes first, the layout that every version of Slicer reads; ITK reads it as a 3D image of
    vectors. Coordinates are LPS; directions are exact, skewed or not. The same input gives the same bytes.

    Args:
        path: where to.
        values: uint8, int16 or float32, (Z, Y, X) or (T, Z, Y, X).
        affine: voxel to RAS, mm.
        frame_times: seconds, one per frame of a 4D image.
        is_label: Slicer is to take it as a label map.
    """
    dtype = values.dtype.newbyteorder("<")
    lps = RAS_TO_LPS @ affine
    vectors = [nrrd.format_vector(column) for column in lps[:3, :3].T]
    is_series = values.ndim == 4
    first = ["none"] if is_series else []
    lines = [
        "NRRD0005",
        f"type: {_TYPE_NAMES[dtype.str[1:]]}",
        f"dimension: {values.ndim}",
        "space: left-posterior-superior",
        "sizes: " + " ".join(str(size) for size in (values.shape[:-3] + values.shape[:-4:-1])),
        "space directions: " + " ".join(first + vectors),
        "kinds: " + " ".join((["list"] if is_series else []) + ["domain"] * 3),
        "endian: little",
        "encoding: gzip",
        f"space origin: {nrrd.format_vector(lps[:3, 3])}",
    ]
    if is_series:
        if frame_times is None or len(frame_times) != len(values):
            raise ValueError(f"expected {len(values)} frame times, got {frame_times}")
        node = "vtkMRMLLabelMapVolumeNode" if is_label else "vtkMRMLScalarVolumeNode"
        lines += [
            'labels: "time" "" "" ""',
            'units: "s" "" "" ""',
            "axis 0 index type:=numeric",
            f"DataNodeClassName:={node}",
            "axis 0 index values:=" + " ".join(repr(float(time)) for time in frame_times),
        ]
    ordered = np.moveaxis(values, 0, -1) if is_series else values
    with path.open("wb") as file:
        file.write(("\n".join(lines) + "\n\n").encode("ascii"))
        with gzip.GzipFile("", "wb", _COMPRESSION_LEVEL, file, mtime=0) as stream:
            stream.write(np.ascontiguousarray(ordered, dtype=dtype).data)
