"""Images of every format, by the ending of the name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiac_motion.atomic import atomic_path
from cardiac_motion.errors import InputError
from cardiac_motion.io.frame_folder import read_frame_folder, write_frame_folder
from cardiac_motion.io.geometry import Affine
from cardiac_motion.io.image_file import MAX_VOXELS, ImageFile
from cardiac_motion.io.nifti import write_nifti
from cardiac_motion.io.nrrd import write_nrrd
from cardiac_motion.io.single_file import FORMATS, is_nifti, is_nrrd, read_file
from cardiac_motion.io.timing import uniform_step

_SEQUENCE = ".seq.nrrd"


def read_image(path: Path, *, max_voxels: int = MAX_VOXELS) -> ImageFile:
    """Read an image file, or a folder of 3D frames.

    Raises:
        InputError: whatever is wrong with it, more than ``max_voxels`` in all included; one message, which names
            the file.
    """
    if not path.exists():
        raise InputError(f"{path}: does not exist")
    read = read_frame_folder if path.is_dir() else read_file
    return read(path, max_voxels=max_voxels)


def is_frame_folder(path: Path) -> bool:
    """Whether `write_image` writes frames over time to this path as a folder with a file for each."""
    return path.is_dir() or not path.suffix


def check_ending(path: Path) -> None:
    """Raise InputError if `write_image` has no format for frames over time at this path."""
    if not (is_frame_folder(path) or is_nifti(path) or is_nrrd(path)):
        raise InputError(f"cannot write {path}: expected a name that ends in {FORMATS}")


def write_image(
    path: Path,
    values: npt.NDArray[Any],
    affine: Affine,
    *,
    frame_times: npt.NDArray[np.float64],
    is_label: bool,
) -> None:
    """Write (Z, Y, X) or (T, Z, Y, X); a name without an ending, or an existing folder, gets one file per frame.

    Raises:
        InputError: the ending is none of ours, or the file cannot be written.
    """
    is_series = values.ndim == 4
    if is_series and is_frame_folder(path):
        with atomic_path(path, is_folder=True) as temporary:
            write_frame_folder(
                temporary, values, affine, frame_times=frame_times, stem="label" if is_label else "frame"
            )
    elif is_nifti(path):
        step = uniform_step(frame_times)[0] if is_series else None
        with atomic_path(path) as temporary:
            write_nifti(temporary, values, affine, frame_seconds=step)
    elif is_nrrd(path):
        if path.name.lower().endswith(_SEQUENCE) and not is_series:
            raise InputError(f"cannot write {path}: a sequence has frames, got one image of shape {values.shape}")
        with atomic_path(path) as temporary:
            write_nrrd(
                temporary, values, affine, frame_times=frame_times if is_series else None, is_label=is_label
            )
    else:
        raise InputError(f"cannot write {path}: expected a name that ends in {FORMATS}")
