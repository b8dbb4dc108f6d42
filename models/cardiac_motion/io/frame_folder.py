"""A cine as a folder of 3D images, one per frame, in the order of the number in their names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiac_motion.errors import InputError
from cardiac_motion.io.geometry import Affine, corner_distance
from cardiac_motion.io.image_file import MAX_VOXELS, ImageFile, check_voxel_count
from cardiac_motion.io.nifti import write_nifti
from cardiac_motion.io.single_file import FORMATS, is_nifti, is_nrrd, read_file
from cardiac_motion.io.timing import Timing, uniform_step

FRAME_TOLERANCE = 0.01
"""Voxels by which the corners of two frames may differ, for rounding."""


def read_frame_folder(folder: Path, *, max_voxels: int = MAX_VOXELS) -> ImageFile:
    """Read all images of a folder as one series.

    Their names must be the same but for one number, by whose value they are ordered (2 before 10). Hidden files,
    folders and files that are no images are passed over.

    Raises:
        InputError: no images, names that give no order, frames that differ in shape or geometry, a bad file,
            more than ``max_voxels`` in all.
    """
    numbered = _numbered_files(folder)
    frames: list[ImageFile] = []
    for _, path in numbered:
        frame = read_file(path, max_voxels=max_voxels)
        if len(frame.values) > 1:
            raise InputError(f"{path}: expected one 3D frame, got {len(frame.values)} frames in one file")
        if frames:
            _check_same_grid(frames[0], frame, numbered[0][1], path)
        else:
            with_all = (len(numbered), *frame.values.shape[1:])
            try:
                check_voxel_count(with_all, max_voxels)
            except InputError as error:
                raise InputError(f"{folder}: {error}") from error
        frames.append(frame)
    notes = tuple(dict.fromkeys(note for frame in frames for note in frame.notes))
    return ImageFile(
        values=np.concatenate([frame.values for frame in frames]),
        affine=frames[0].affine,
        has_time_axis=True,
        timing=_timing(frames),
        notes=notes + _gap([number for number, _ in numbered]),
    )


def _numbered_files(folder: Path) -> list[tuple[int, Path]]:
    """The images of a folder with the number of each, in its order."""
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.is_file())
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror or error}") from error
    files = [entry for entry in entries if is_nifti(entry) or is_nrrd(entry)]
    if not files:
        found = f"{len(entries)} other files" if entries else "nothing"
        raise InputError(f"{folder}: expected 3D frames that end in {FORMATS}, found {found}")
    if len(files) == 1:
        raise InputError(f"{folder}: expected at least two frames, found {files[0].name} alone")
    parts = [re.split(r"(\d+)", file.name.lower()) for file in files]
    first = parts[0]
    for file, other in zip(files, parts, strict=True):
        if other[::2] != first[::2]:
            raise _unordered(folder, files[0], file)
    columns = [[int(number) for number in column] for column in zip(*(part[1::2] for part in parts), strict=True)]
    varying = [column for column in columns if len(set(column)) > 1]
    if len(varying) != 1 or len(set(varying[0])) != len(files):
        raise _unordered(folder, *_clash(files, columns))
    return sorted(zip(varying[0], files, strict=True))


def _unordered(folder: Path, one: Path, other: Path) -> InputError:
    return InputError(
        f"{folder}: expected names that are the same but for one number, the frame's; "
        f"found {one.name} and {other.name}"
    )


def _clash(files: list[Path], columns: list[list[int]]) -> tuple[Path, Path]:
    """Two files whose numbers give no order: the same ones, or more than one that differs."""
    numbers = list(zip(*columns, strict=True)) if columns else [() for _ in files]
    seen = dict[tuple[int, ...], Path]()
    for file, own in zip(files, numbers, strict=True):
        if own in seen:
            return seen[own], file
        seen[own] = file
    return files[0], files[-1]


def _check_same_grid(first: ImageFile, frame: ImageFile, first_path: Path, path: Path) -> None:
    if frame.values.shape != first.values.shape:
        sizes = [image.values.shape[:0:-1] for image in (first, frame)]
        raise InputError(f"{path}: has size (X, Y, Z) = {sizes[1]}, but {first_path.name} has {sizes[0]}")
    distance = corner_distance(first.affine, frame.affine, first.values.shape[1:])
    if distance.voxels > FRAME_TOLERANCE:
        raise InputError(f"{path}: lies up to {distance.mm:.3g} mm away from {first_path.name}; expected one grid")


def _timing(frames: list[ImageFile]) -> Timing | None:
    """The time shifts that NIfTI frames may carry, if they carry them all and in order."""
    shifts = [frame.timing for frame in frames]
    known = [shift for shift in shifts if shift is not None and len(shift.values) == 1]
    values = tuple(shift.values[0] for shift in known)
    units = {shift.unit for shift in known}
    if len(known) < len(frames) or len(units) > 1 or (np.diff(values) <= 0).any():
        return None
    return Timing(values, units.pop())


def _gap(numbers: list[int]) -> tuple[str, ...]:
    steps = np.diff(numbers)
    if (steps == steps[0]).all():
        return ()
    after = int(np.argmax(steps != np.median(steps)))
    return (f"the numbers of its frames go from {numbers[after]} to {numbers[after + 1]}: frames may be missing",)


def write_frame_folder(
    folder: Path,
    values: npt.NDArray[Any],
    affine: Affine,
    *,
    frame_times: npt.NDArray[np.float64],
    stem: str,
) -> None:
    """Write (T, Z, Y, X) as ``<stem>_000.nii.gz`` ... into an existing folder, each with its time in it."""
    step, _ = uniform_step(frame_times)
    for number, (frame, time) in enumerate(zip(values, frame_times, strict=True)):
        path = folder / f"{stem}_{number:03d}.nii.gz"
        write_nifti(path, frame, affine, frame_seconds=step, time_offset=float(time))
