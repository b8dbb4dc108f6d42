"""Motion on disk: a folder with ``motion.json`` and one 3D vector image per frame and direction.

``to_reference_000.nrrd`` ... and ``from_reference_000.nrrd`` ... hold displacements along LPS in mm, the way ITK
has them: SimpleITK, ANTs and Slicer apply them as they are. ``to_reference`` of frame t warps an image or label
of the reference frame into frame t.

Two things differ from the arrays in memory. Where the axes of the cine are skewed, the grid is the nearest one
with axes at right angles, which is also what ITK and Slicer make of such a cine; ``motion.json`` keeps the exact
affine. Where the cine has a single slice, it is repeated before and after itself, because programs disagree on
what a field does beyond its planes: Slicer extends it without end, others take it as zero. With the thickness of
three slices, they agree over the slice and around it.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from cardiac_motion.atomic import atomic_path
from cardiac_motion.cine import Cine, check_affine
from cardiac_motion.errors import GeometryWarning, InputError, shown
from cardiac_motion.io.geometry import (
    RAS_TO_LPS,
    SKEW_TOLERANCE,
    Affine,
    corner_distance,
    nearest_orthonormal,
    skew,
)
from cardiac_motion.io.image_file import check_voxel_count, reading
from cardiac_motion.io.vectors import read_vectors, write_vectors
from cardiac_motion.json_input import parse_json
from cardiac_motion.motion import FloatField, Motion

CONVENTION_VERSION = 1
"""Raised whenever the meaning of the files changes; a reader refuses those it does not know."""

GRID_TOLERANCE = 0.01
"""Voxels by which the corners of a field's grid may lie off, for rounding."""

MOTION_FOLDER_NAMES = ("motion.json", "to_reference_000.nrrd", "from_reference_000.nrrd")
"""What `write_motion` writes, the other frames aside."""

_IN_PLANE = 1e-4
"""Movement out of a plane that is rounding, as a share of the largest movement, or of 1 mm if that is less."""

_FORMAT = "cardiac-motion"
_CONVENTIONS = {
    "to_reference": "at each voxel of frame t, the way to the matching point in the reference frame: warps the "
    "reference into frame t; in Slicer, a transform from parent",
    "from_reference": "at each voxel of the reference frame, the way to where that point is in frame t: moves "
    "points, and warps frame t into the reference; in Slicer, a transform to parent",
    "components": "x, y, z along left, posterior, superior (LPS), in mm",
    "affine": "voxel (x, y, z) to right, anterior, superior (RAS), in mm",
    "planes": "slices in the files; a single slice of the cine is repeated before and after itself",
}
_SUFFIXES = (".nrrd", ".nii.gz", ".nii")
_SINGLE_SLICE_PLANES = 3
_WORKERS = min(8, os.cpu_count() or 1)

_Item = TypeVar("_Item")


def write_motion(folder: Path | str, motion: Motion) -> None:
    """Write a motion as a folder, whole or not at all.

    Raises:
        InputError: it cannot be written there, or there is a folder of something else.

    Warns:
        GeometryWarning: the axes of the cine are skewed, see the module.
    """
    t, z, y, x = motion.shape
    if skew(motion.affine) > SKEW_TOLERANCE:
        warnings.warn(
            "the axes of the cine are skewed; the fields of the motion are written on the nearest grid with axes "
            "at right angles",
            GeometryWarning,
            stacklevel=2,
        )
    planes = _planes(z)
    grid = _file_grid(motion.affine, (z, y, x), planes)
    about = {
        "format": _FORMAT,
        "convention_version": CONVENTION_VERSION,
        "conventions": _CONVENTIONS,
        "shape": [t, z, y, x],
        "planes": planes,
        "in_plane": motion.is_in_plane,
        "reference": motion.reference,
        "frame_times": motion.frame_times.tolist(),
        "affine": motion.affine.tolist(),
        "model": motion.model,
        "version": motion.version,
        "image_hash": motion.image_hash,
        "settings": motion.settings,
        "inverse_residual_mm": motion.inverse_residual_mm,
    }
    with atomic_path(folder, is_folder=True) as temporary:
        (temporary / "motion.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")

        def write(item: tuple[str, FloatField, int]) -> None:
            name, fields, frame = item
            vectors = _to_lps(fields[frame], grid)
            if z != planes:
                vectors = np.repeat(vectors, planes, axis=0)
            write_vectors(temporary / f"{name}_{frame:03d}.nrrd", vectors, grid)

        directions = (("to_reference", motion.to_reference), ("from_reference", motion.from_reference))
        _in_parallel(write, ((name, fields, frame) for name, fields in directions for frame in range(t)))


def read_motion(folder: Path | str, cine: Cine | None = None) -> Motion:
    """Read a motion folder. Vector NIfTI in the place of a NRRD is read as well.

    A folder that has one direction only is completed by the numerical inverse.

    Args:
        folder: as `write_motion` makes it.
        cine: the cine that it must belong to, if that is to be checked.

    Raises:
        InputError: whatever is wrong with it, in one message that names the file: nothing there, a convention
            that is not known, a frame that is missing, another shape or grid, values that are not finite, the
            motion of another cine.
    """
    folder = Path(folder)
    about = _read_about(folder / "motion.json")
    with reading(folder / "motion.json"):
        shape, kept = _checked_about(about)
    both: list[FloatField | None] = []
    for name in ("to_reference", "from_reference"):
        files = [_find(folder, f"{name}_{frame:03d}") for frame in range(shape[0])]
        fields = None
        if any(files):
            fields = _read_fields(folder, name, files, shape, kept["affine"], in_plane=bool(about["in_plane"]))
        both.append(fields)
    with reading(folder):
        motion = _made(both[0], both[1], about["inverse_residual_mm"], kept)
        if cine is not None:
            motion.check_belongs_to(cine)
    return motion


def _made(
    to_reference: FloatField | None,
    from_reference: FloatField | None,
    residual: float | None,
    kept: dict[str, Any],
) -> Motion:
    if to_reference is not None and from_reference is not None:
        return Motion(to_reference, from_reference, inverse_residual_mm=residual, **kept)
    if to_reference is not None:
        return Motion.from_to_reference(to_reference, **kept)
    if from_reference is not None:
        return Motion.from_from_reference(from_reference, **kept)
    raise InputError("expected to_reference_000.nrrd and so on, found no field of either direction")


def _read_about(path: Path) -> dict[str, Any]:
    """What motion.json says, all of its entries there, the convention known."""
    with reading(path):
        if not path.is_file():
            raise InputError("is not there; expected a motion folder, which holds it")
        try:
            about = parse_json(path.read_bytes())
        except ValueError as error:  # also text that is no UTF-8
            raise InputError(f"is not valid JSON: {error}") from error
        if not isinstance(about, dict) or about.get("format") != _FORMAT:
            raise InputError(f'does not say "format": "{_FORMAT}", so that it describes something else')
        version = about.get("convention_version")
        if version != CONVENTION_VERSION:
            raise InputError(f"has convention version {shown(version)}; this software reads {CONVENTION_VERSION}")
        expected = {"shape", "in_plane", "reference", "frame_times", "affine", "model", "version", "image_hash"}
        missing = (expected | {"settings", "inverse_residual_mm"}) - set(about)
        if missing:
            raise InputError(f"lacks {', '.join(sorted(missing))}")
    return about


def _whole_number(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"expected a whole number for {name}, got {shown(value)}")
    return value


def _numbers(value: object, name: str, *, axes: int) -> npt.NDArray[np.float64]:
    """Lists of numbers as an array; what numpy would make numbers of, such as text, is none."""
    kinds = {list} if axes else {int, float}
    if type(value) not in kinds:
        raise InputError(f"expected numbers in {name}, got {shown(value)}")
    try:
        if not isinstance(value, list):
            return np.array(value, dtype=np.float64)
        return np.array([_numbers(each, name, axes=axes - 1) for each in value], dtype=np.float64)
    except (ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"expected numbers in {name}: {error}") from error


def _checked_about(about: dict[str, Any]) -> tuple[tuple[int, int, int, int], dict[str, Any]]:
    """The shape (T, Z, Y, X) and what a `Motion` keeps beside its fields."""
    sizes = about["shape"]
    if not isinstance(sizes, list) or len(sizes) != 4:
        raise InputError(f"expected a shape [T, Z, Y, X], got {shown(sizes)}")
    t, z, y, x = (_whole_number(size, "each size in shape") for size in sizes)
    check_voxel_count((t, 3, z, y, x))
    if not isinstance(about["in_plane"], bool):
        raise InputError(f"expected true or false for in_plane, got {shown(about['in_plane'])}")
    affine = check_affine(_numbers(about["affine"], "affine", axes=2))
    times = _numbers(about["frame_times"], "frame_times", axes=1)
    kept = {name: str(about[name]) for name in ("model", "version", "image_hash")}
    return (t, z, y, x), {
        **kept,
        "reference": _whole_number(about["reference"], "reference"),
        "affine": affine,
        "frame_times": times,
        "settings": about["settings"],
    }


def _find(folder: Path, stem: str) -> Path | None:
    return next((path for suffix in _SUFFIXES if (path := folder / f"{stem}{suffix}").is_file()), None)


def _read_fields(
    folder: Path,
    name: str,
    files: list[Path | None],
    shape: tuple[int, int, int, int],
    affine: Affine,
    *,
    in_plane: bool,
) -> FloatField:
    """All frames of one direction, (T, 3, Z, Y, X)."""
    missing = [frame for frame, path in enumerate(files) if path is None]
    if missing:
        raise InputError(
            f"{folder}: expected {name}_000.nrrd to {name}_{shape[0] - 1:03d}.nrrd, one per frame; "
            f"{name}_{missing[0]:03d}.nrrd is missing"
        )
    fields = np.empty((shape[0], 3, *shape[1:]), dtype=np.float32)

    def read(item: tuple[int, Path | None]) -> None:
        frame, path = item
        if path is not None:
            with reading(path):
                fields[frame] = _read_field(path, shape[1:], affine)

    _in_parallel(read, enumerate(files))
    if in_plane:
        # The way to world coordinates and back leaves rounding, and a plane left by a hair is not in-plane.
        largest = float(np.abs(fields[:, 0]).max())
        if largest > _IN_PLANE * max(float(np.abs(fields).max()), 1.0):
            raise InputError(
                f"{folder}: motion.json says that nothing moves along z, but {name} has up to {largest:.3g} mm"
            )
        fields[:, 0] = 0
    return fields


def _read_field(path: Path, shape: tuple[int, int, int], affine: Affine) -> FloatField:
    vectors, grid = read_vectors(path)
    z = shape[0]
    planes = len(vectors)
    if planes not in {z, _planes(z)} or vectors.shape[1:3] != shape[1:]:
        raise InputError(
            f"expected a field of size (Z, Y, X) = {(_planes(z), *shape[1:])}, got {vectors.shape[:3]}"
        )
    if not np.isfinite(vectors).all():
        raise InputError(
            f"must be finite, got {int((~np.isfinite(vectors)).sum())} values that are NaN or infinite"
        )
    expected = [_file_grid(affine, shape, planes), _with_planes(affine, planes, z)]
    distances = [corner_distance(one, grid, vectors.shape[:3]) for one in expected]
    nearest = min(distances, key=lambda distance: distance.voxels)
    if nearest.voxels > GRID_TOLERANCE:
        raise InputError(f"its grid lies up to {nearest.mm:.3g} mm away from that of the cine")
    return _from_lps(vectors[(planes - z) // 2 :][:z], grid)


def _planes(slices: int) -> int:
    return _SINGLE_SLICE_PLANES if slices == 1 else slices


def _with_planes(affine: Affine, planes: int, slices: int) -> Affine:
    """The affine of a grid with planes added, half of them before the first slice."""
    shifted = affine.copy()
    shifted[:3, 3] -= affine[:3, 2] * ((planes - slices) // 2)
    return shifted


def _file_grid(affine: Affine, shape: tuple[int, int, int], planes: int) -> Affine:
    straight = nearest_orthonormal(affine, shape) if skew(affine) > SKEW_TOLERANCE else affine
    return _with_planes(straight, planes, shape[0])


def _directions_lps(grid: Affine) -> npt.NDArray[np.float64]:
    """(3, 3): the columns are the directions of the axes (x, y, z) in LPS."""
    lps = (RAS_TO_LPS @ grid)[:3, :3]
    return lps / np.linalg.norm(lps, axis=0)


def _to_lps(displacement: FloatField, grid: Affine) -> npt.NDArray[np.float32]:
    """(3, Z, Y, X) along the array axes, components (z, y, x), as (Z, Y, X, 3) along LPS."""
    along_axes = displacement[::-1].transpose(1, 2, 3, 0).astype(np.float64)
    return (along_axes @ _directions_lps(grid).T).astype(np.float32)


def _from_lps(vectors: npt.NDArray[np.float32], grid: Affine) -> FloatField:
    """The way back from `_to_lps`."""
    along_axes = vectors.astype(np.float64) @ np.linalg.inv(_directions_lps(grid)).T
    return along_axes.transpose(3, 0, 1, 2)[::-1].astype(np.float32)


def _in_parallel(work: Callable[[_Item], None], items: Iterable[_Item]) -> None:
    """Compression takes most of the time, and can run on several cores at once."""
    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        for _ in pool.map(work, items):
            pass
