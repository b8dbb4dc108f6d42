"""Cines and single frames from and to files."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cardiac_motion.cine import Cine
from cardiac_motion.errors import GeometryWarning, InputError
from cardiac_motion.io.geometry import Affine
from cardiac_motion.io.image_file import MAX_VOXELS, reading, storage_values
from cardiac_motion.io.images import read_image, write_image
from cardiac_motion.io.single_file import is_nifti, stem_of
from cardiac_motion.io.timing import frame_times, uniform_step

UNIFORM_TOLERANCE = 0.05
"""Share of the time between frames by which one may lie off even spacing and still be rounding (DICOM's trigger
times are whole milliseconds)."""


def read_cine(path: Path | str) -> Cine:
    """Read a cine: 4D NIfTI, NRRD with a list axis (Slicer's ``.seq.nrrd``), or a folder of 3D frames.

    Frame times come from the file; what is guessed because the file says nothing or something implausible (see
    `cardiac_motion.io.timing`), and whatever is unusual in the geometry, is told in one GeometryWarning.

    Raises:
        InputError: whatever is wrong with it, in one message that names the file.
    """
    cine, notes = load_cine(path)
    _warn(Path(path), notes)
    return cine


def load_cine(path: Path | str, *, max_voxels: int = MAX_VOXELS) -> tuple[Cine, tuple[str, ...]]:
    """Read a cine as `read_cine` does, and give what it would warn of, one sentence each, instead of warning.

    For programs with several threads, which share one list of warnings.

    Args:
        path: the file or folder.
        max_voxels: a file that promises more over all frames is refused before its voxels are read.

    Raises:
        InputError: whatever is wrong with it, in one message that names the file.
    """
    path = Path(path)
    image = read_image(path, max_voxels=max_voxels)
    n_frames, *shape = image.values.shape
    if not image.has_time_axis:
        raise InputError(
            f"{path}: expected a cine with its frames along a fourth axis (X, Y, Z, T), got one 3D image of size "
            f"(X, Y, Z) = {tuple(shape[::-1])}; if its third axis is time, the file has to say (X, Y, 1, T)"
        )
    if n_frames < 2:
        raise InputError(f"{path}: expected a cine, got one frame only, size (X, Y, Z, T) = {(*shape[::-1], 1)}")
    times, guessed = frame_times(image.timing, n_frames)
    with reading(path):
        cine = Cine(_as_float32(image.values), image.affine, times, name=stem_of(path))
    return cine, (*image.notes, *([guessed] if guessed else []))


def read_frame(path: Path | str) -> tuple[npt.NDArray[np.float32], Affine]:
    """Read one 3D image, as of a pair of end diastole and end systole: (Z, Y, X) float32, and its RAS affine.

    Raises:
        InputError: as `read_cine`, and where the file holds more than one frame.
    """
    frame, affine, notes = load_frame(path)
    _warn(Path(path), notes)
    return frame, affine


def load_frame(
    path: Path | str, *, max_voxels: int = MAX_VOXELS
) -> tuple[npt.NDArray[np.float32], Affine, tuple[str, ...]]:
    """Read one 3D image as `read_frame` does, and give what it would warn of instead of warning.

    Args:
        path: the file.
        max_voxels: a file that promises more is refused before its voxels are read.

    Raises:
        InputError: as `read_frame`.
    """
    path = Path(path)
    image = read_image(path, max_voxels=max_voxels)
    if len(image.values) > 1:
        raise InputError(f"{path}: expected one 3D image, got a series of {len(image.values)} frames")
    with reading(path):
        frame = np.ascontiguousarray(_as_float32(image.values)[0])
        if not np.isfinite(frame).all():
            count = int((~np.isfinite(frame)).sum())
            raise InputError(f"every voxel must be a finite number, got {count} that are NaN or infinite")
    return frame, image.affine, tuple(image.notes)


def write_cine(path: Path | str, cine: Cine) -> None:
    """Write a cine whole or not at all; the format is that of the name's ending.

    ``.nii`` and ``.nii.gz`` hold one time between frames: the mean is written, with a GeometryWarning if frames
    are not evenly spaced. ``.nrrd`` and ``.seq.nrrd`` hold every frame's time and load in Slicer as a sequence. A
    name without an ending makes a folder of 3D frames, with their times.

    Raises:
        InputError: another ending, or the file cannot be written.
    """
    path = Path(path)
    write_image(path, storage_values(cine.frames), cine.affine, frame_times=cine.frame_times, is_label=False)
    step, off = uniform_step(cine.frame_times)
    if is_nifti(path) and off > UNIFORM_TOLERANCE:
        _warn(
            path, [f"NIfTI has room for one time between frames: {step:.4g} s, the mean; .seq.nrrd keeps them all"]
        )


def _as_float32(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore", invalid="ignore"):  # infinite or (signalling) NaN, which is reported
        return values.astype(np.float32, copy=False)


def _warn(path: Path, notes: Iterable[str]) -> None:
    text = "; ".join(notes)
    if text:
        warnings.warn(f"{path}: {text}", GeometryWarning, stacklevel=3)
