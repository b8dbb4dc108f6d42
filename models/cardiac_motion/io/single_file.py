"""One image file, by the ending of its name."""

from __future__ import annotations

from pathlib import Path

from cardiac_motion.errors import InputError
from cardiac_motion.io.image_file import MAX_VOXELS, ImageFile
from cardiac_motion.io.nifti import read_nifti
from cardiac_motion.io.nrrd import read_nrrd

FORMATS = ".nii, .nii.gz, .nrrd or .seq.nrrd"


def is_nifti(path: Path) -> bool:
    """Whether the name ends as a NIfTI file's does."""
    return path.name.lower().endswith((".nii", ".nii.gz"))


def is_nrrd(path: Path) -> bool:
    """Whether the name ends as a NRRD file's does, Slicer's sequences among them."""
    return path.name.lower().endswith(".nrrd")


def read_file(path: Path, *, max_voxels: int = MAX_VOXELS) -> ImageFile:
    """Read a NIfTI or NRRD file.

    Raises:
        InputError: another ending, or whatever is wrong with the file, more than ``max_voxels`` included.
    """
    if is_nifti(path):
        return read_nifti(path, max_voxels=max_voxels)
    if is_nrrd(path):
        return read_nrrd(path, max_voxels=max_voxels)
    hint = "; DICOM has to be imported first" if path.suffix.lower() in {".dcm", ".ima"} else ""
    raise InputError(f"{path}: expected a file that ends in {FORMATS}, or a folder of 3D frames{hint}")


def stem_of(path: Path) -> str:
    """The name without its ending, ``.nii.gz`` and ``.seq.nrrd`` taken as one."""
    name = path.name
    for ending in (".nii.gz", ".seq.nrrd", ".nii", ".nrrd"):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name
