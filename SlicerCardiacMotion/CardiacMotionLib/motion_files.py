"""Motion as the server sends it: a folder of one vector image per frame. Knows no MRML: for worker threads."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from CardiacMotionLib.affines import Affine, check_affine, same_grid
from CardiacMotionLib.errors import InputError

_FORMAT, _CONVENTION = "cardiac-motion", 1
_TO_RAS = np.array([-1.0, -1.0, 1.0])


@dataclass(frozen=True)
class MotionFields:
    """Where every point of the reference frame is in each frame.

    Attributes:
        displacements: (T, Z, Y, X, 3) float32, RAS in mm: at each voxel of the reference frame, the way to where
            that point is in frame t. Z may exceed the cine's: a single slice has planes before and after it.
        affine: (4, 4), voxel (i, j, k) of these fields to RAS, axes at right angles.
        reference: the frame that the motion is relative to.
        shape: (T, Z, Y, X) of the cine.
        cine_affine: (4, 4), of the cine.
        model: name and version of what estimated it.
    """

    displacements: npt.NDArray[np.float32]
    affine: Affine
    reference: int
    shape: tuple[int, int, int, int]
    cine_affine: Affine
    model: str


def read_motion(folder: Path | str, is_cancelled: Callable[[], bool] = lambda: False) -> MotionFields:
    """Read `from_reference` of a motion folder.

    Args:
        folder: has `motion.json` and `from_reference_000.nrrd` to one per frame.
        is_cancelled: asked between frames.

    Raises:
        InputError: whatever is wrong with it, in one message; or it was cancelled.
    """
    folder = Path(folder)
    about = _about(folder / "motion.json")
    shape: tuple[int, int, int, int] = tuple(about["shape"])
    field, affine = _read_field(folder / "from_reference_000.nrrd")
    if field.shape[1:3] != shape[2:] or field.shape[0] < shape[1]:
        raise InputError(f"{folder}: expected fields of (Z, Y, X) = {shape[1:]}, got {field.shape[:3]}")
    displacements = np.empty((shape[0], *field.shape), dtype=np.float32)
    displacements[0] = field * _TO_RAS
    for t in range(1, shape[0]):
        if is_cancelled():
            raise InputError(f"{folder}: reading the motion was cancelled")
        path = folder / f"from_reference_{t:03d}.nrrd"
        field, grid = _read_field(path)
        if field.shape != displacements.shape[1:] or not same_grid(affine, grid, field.shape[:3]):
            raise InputError(f"{path}: does not lie on the grid of frame 0")
        displacements[t] = field * _TO_RAS
    return MotionFields(
        displacements,
        affine,
        int(about["reference"]),
        shape,
        check_affine(about["affine"]),
        f"{about['model']} {about['version']}",
    )


def _about(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"{path}: is not valid JSON: {error}") from error
    if not isinstance(about, dict) or about.get("format") != _FORMAT:
        raise InputError(f'{path}: does not say "format": "{_FORMAT}"')
    if about.get("convention_version") != _CONVENTION:
        raise InputError(
            f"{path}: has convention version {about.get('convention_version')!r}; this module reads {_CONVENTION}"
        )
    missing = {"shape", "reference", "affine", "model", "version"} - set(about)
    if missing:
        raise InputError(f"{path}: lacks {', '.join(sorted(missing))}")
    shape, reference = about["shape"], about["reference"]
    is_shape = (
        isinstance(shape, list) and len(shape) == 4 and all(type(size) is int and size > 0 for size in shape)
    )
    if not is_shape or type(reference) is not int or not 0 <= reference < shape[0]:
        raise InputError(f"{path}: expected a shape [T, Z, Y, X] and a frame of it, got {shape!r}, {reference!r}")
    return about


def _read_field(path: Path) -> tuple[npt.NDArray[np.float32], Affine]:
    """(Z, Y, X, 3) in LPS, mm, and the affine of its grid in RAS."""
    import SimpleITK as sitk  # noqa: PLC0415, N813 - heavy, and Slicer starts without it

    if not path.is_file():
        raise InputError(f"{path}: is not there")
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(f"{path}: cannot be read as an image; it may be damaged") from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 3:
        raise InputError(
            f"{path}: expected 3 numbers per voxel of a 3D image, got {image.GetNumberOfComponentsPerPixel()} "
            f"in {image.GetDimension()} dimensions"
        )
    field = sitk.GetArrayFromImage(image).astype(np.float32, copy=False)
    if not np.isfinite(field).all():
        raise InputError(f"{path}: holds values that are NaN or infinite")
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    lps[:3, 3] = image.GetOrigin()
    return field, np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps
