"""Small beating hearts, quick to make and to register, for trying out the server."""

from __future__ import annotations

import gzip
import tempfile
import zlib
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt
from cardiac_motion.cine import Cine
from cardiac_motion.io import write_cine, write_labels
from cardiac_motion.labels import Label
from nibabel.filebasedimages import ImageFileError

QUICK_OPTIONS = {"iterations": 2, "levels": 1}
"""Of the model `recursive`: a motion of little worth in a fraction of a second."""

_SPACING = (8.0, 1.5, 1.4)
_WALL_MM = 9.0


def _radius_mm(frame: int, n_frames: int) -> float:
    return 19.0 - 5.0 * (1 - np.cos(2 * np.pi * frame / n_frames)) / 2


def _distances(shape: tuple[int, int, int, int]) -> npt.NDArray[np.float64]:
    """Distance from the axis of the ventricle, mm: (Z, Y, X)."""
    _, z, y, x = shape
    rows = (np.arange(y) - (y - 1) / 2) * _SPACING[1]
    columns = (np.arange(x) - (x - 1) / 2) * _SPACING[2]
    plane = np.hypot(rows[:, None], columns[None, :])
    return np.stack([plane + 2.0 * k for k in range(z)])


@cache
def small_cine(seed: int = 0, shape: tuple[int, int, int, int] = (5, 3, 64, 64)) -> Cine:
    """A ring that contracts, with the texture of its seed; (T, Z, Y, X), whole numbers from 0 to 1000."""
    generator = np.random.default_rng(seed)
    distance = _distances(shape)
    texture = generator.normal(0, 25, size=shape[1:])
    frames = np.empty(shape, dtype=np.float32)
    for t in range(shape[0]):
        radius = _radius_mm(t, shape[0])
        blood = 600 / (1 + np.exp((distance - radius) / 1.5))
        wall = 200 / (1 + np.exp((distance - radius - _WALL_MM) / 1.5))
        frames[t] = np.rint(np.clip(100 + blood + wall + texture, 0, 1000))
    affine = np.diag([*_SPACING[::-1], 1.0])
    affine[:3, 3] = (-40.0, 25.0, 10.0)
    return Cine(frames, affine, np.arange(shape[0]) * 0.04, name=f"small {seed}")


def small_labels(cine: Cine, frame: int, *, shrink_mm: float = 0.0) -> npt.NDArray[np.uint8]:
    """LV cavity and myocardium of one frame, (Z, Y, X).

    Args:
        cine: from `small_cine`.
        frame: of the cine.
        shrink_mm: makes the cavity smaller, so that labels can be told apart.
    """
    distance = _distances(cine.shape)
    radius = _radius_mm(frame, cine.n_frames)
    labels = np.where(distance < radius + _WALL_MM, Label.MYO, 0)
    return np.where(distance < radius - shrink_mm, Label.LV, labels).astype(np.uint8)


def cine_bytes(cine: Cine, name: str = "cine.nii.gz") -> bytes:
    """A cine as a file of the kind that the name's ending says."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write_cine(path, cine)
        return path.read_bytes()


def label_bytes(labels: npt.NDArray[np.uint8], cine: Cine, name: str = "label.nii.gz") -> bytes:
    """Labels (Z, Y, X) or (T, Z, Y, X) of a cine as a file of the kind that the name's ending says."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write_labels(path, labels, cine)
        return path.read_bytes()


def numbered_labels(cine: Cine, number: int) -> npt.NDArray[np.uint8]:
    """Labels (T, Z, Y, X) that are those of no other number, every voxel by chance; bad to compress."""
    values = [int(label) for label in (Label.BACKGROUND, Label.RV, Label.MYO, Label.LV)]
    return np.random.default_rng(number).choice(np.array(values, np.uint8), size=cine.shape)


def label_values(content: bytes) -> npt.NDArray[np.uint8]:
    """The voxels (T, Z, Y, X) of a label file, .nii.gz; ValueError if it is no whole label of a cine."""
    try:
        image = nib.Nifti1Image.from_bytes(gzip.decompress(content))
        values = np.asarray(image.dataobj)
    except (OSError, EOFError, zlib.error, ImageFileError) as error:
        raise ValueError(f"no whole label file: {error}") from error
    if values.ndim != 4 or values.dtype != np.uint8:
        raise ValueError(f"expected a uint8 label of 4 axes, got {values.dtype} of {values.ndim}")
    return values.T
