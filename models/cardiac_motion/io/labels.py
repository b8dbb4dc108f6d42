"""Label maps from and to files, and whether they belong to a cine."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiac_motion.cine import Cine, check_affine
from cardiac_motion.errors import InputError
from cardiac_motion.io.geometry import corner_distance, nearest_orthonormal, straightening
from cardiac_motion.io.image_file import MAX_VOXELS, reading
from cardiac_motion.io.images import read_image, write_image
from cardiac_motion.labels import Label

CORNER_TOLERANCE = 0.1
"""Voxels by which the corners of a label map may lie off those of its image.

Rounding makes up to a thousandth, half a voxel is the smallest mistake in practice. Where the image's axes are
skewed, labels that come back from ITK or Slicer lie on a straightened grid: that may be the nearest orthonormal
one, or any other as long as no corner is more than a voxel away.
"""

_LARGEST_STRAIGHTENING = 1.0


@dataclass(frozen=True, eq=False)
class LabelImage:
    """A label map with its geometry: of one frame, or of all.

    Attributes:
        labels: (T, Z, Y, X) uint8; T = 1 for one frame.
        affine: (4, 4) float64, voxel (i, j, k) = (x, y, z) to RAS, mm.
        is_4d: whether there is more than one frame.
        name: for messages.
    """

    labels: npt.NDArray[np.uint8]
    affine: npt.NDArray[np.float64]
    is_4d: bool
    name: str = field(default="labels", kw_only=True)

    def __post_init__(self) -> None:
        if self.labels.ndim != 4 or self.labels.dtype != np.uint8:
            raise InputError(
                f"{self.name}: labels are uint8 (T, Z, Y, X), got {self.labels.dtype} {self.labels.shape}"
            )
        if self.is_4d != (len(self.labels) > 1):
            raise InputError(f"{self.name}: is_4d is {self.is_4d} for {len(self.labels)} frames")
        object.__setattr__(self, "affine", check_affine(self.affine))


def read_labels(path: Path | str, *, max_voxels: int = MAX_VOXELS) -> LabelImage:
    """Read a label map of one frame (3D) or all (4D): NIfTI, NRRD, or a folder of 3D frames.

    Integer values stored as floating-point numbers are accepted.

    Args:
        path: the file or folder.
        max_voxels: a file that promises more over all frames is refused before its voxels are read.

    Raises:
        InputError: whatever is wrong with it, values that are no labels included; the message names the file.
    """
    path = Path(path)
    image = read_image(path, max_voxels=max_voxels)
    with reading(path):
        labels = _as_labels(image.values)
    return LabelImage(labels, image.affine, len(labels) > 1, name=str(path))


def _as_labels(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Values as uint8, or InputError if one is no whole number from 0 to 255."""
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):  # signalling NaN, which is no whole number either
            whole = np.isfinite(values) & (values == np.rint(values))
        if not whole.all():
            value = values[~whole].flat[0]
            raise InputError(
                f"label values are whole numbers, got {value:g} and {int((~whole).sum()) - 1} more that are not"
            )
    lowest, highest = values.min(), values.max()
    if lowest < 0 or highest > 255:
        raise InputError(f"label values lie from 0 to 255, got {lowest:g} to {highest:g}")
    return np.ascontiguousarray(values, dtype=np.uint8)


def check_labels(label_image: LabelImage, cine: Cine, *, allowed: Collection[int] = tuple(Label)) -> None:
    """Raise InputError, with what was expected and what came, unless the labels belong to the cine.

    They do if they have its shape (Z, Y, X), one frame or as many as it, its place in the world to within
    `CORNER_TOLERANCE`, and no values but the allowed ones.
    """
    n_frames, *shape = label_image.labels.shape
    if tuple(shape) != cine.shape[1:]:
        raise InputError(
            f"{label_image.name}: has size (X, Y, Z) = {tuple(shape[::-1])}, but {_named(cine)} has "
            f"{cine.shape[:0:-1]}"
        )
    if n_frames not in (1, cine.n_frames):
        raise InputError(
            f"{label_image.name}: has {n_frames} frames; expected one, or {cine.n_frames} as {_named(cine)}"
        )
    _check_place(label_image, cine)
    # Frame by frame: bincount makes eight bytes of every voxel.
    counts = sum(np.bincount(frame.ravel(), minlength=256) for frame in label_image.labels)
    found = np.flatnonzero(counts)
    unknown = [int(value) for value in found if value not in allowed]
    if unknown:
        raise InputError(
            f"{label_image.name}: has the label values {unknown}; expected only {_described(allowed)}"
        )


def _check_place(label_image: LabelImage, cine: Cine) -> None:
    shape = cine.shape[1:]
    distance = corner_distance(cine.affine, label_image.affine, shape)
    # The nearest orthonormal grid shares the angle between two axes; other ways turn one axis by all of it.
    limit = CORNER_TOLERANCE + min(2 * straightening(cine.affine, shape).voxels, _LARGEST_STRAIGHTENING)
    if distance.voxels <= limit:
        return
    straightened = (nearest_orthonormal(cine.affine, fixed) for fixed in (None, shape))
    if any(corner_distance(grid, label_image.affine, shape).voxels <= CORNER_TOLERANCE for grid in straightened):
        return
    raise InputError(
        f"{label_image.name}: does not lie on the voxels of {_named(cine)}: its corners are up to "
        f"{distance.voxels:.3g} voxels ({distance.mm:.3g} mm) away; expected at most {limit:.2g} voxels"
    )


def _named(cine: Cine) -> str:
    """A cine whose name says nothing is just the cine."""
    return "the cine" if cine.name in {"", "cine"} else f"the cine {cine.name}"


def _described(values: Collection[int]) -> str:
    names = {int(label): label.name.lower() if label is Label.BACKGROUND else label.name for label in Label}
    return ", ".join(f"{value} ({names[value]})" if value in names else f"{value}" for value in sorted(values))


def write_labels(path: Path | str, labels: npt.NDArray[Any], cine: Cine) -> None:
    """Write labels on the cine's own grid and frame times, as uint8, whole or not at all.

    Args:
        path: the format is that of the ending, as in `write_cine`.
        labels: whole numbers from 0 to 255, (Z, Y, X) of one frame or (T, Z, Y, X) of all.
        cine: the cine they were made for.

    Raises:
        InputError: labels of another shape or with other values, or the file cannot be written.
    """
    labels = np.asarray(labels)
    if labels.shape not in (cine.shape, cine.shape[1:]):
        raise InputError(
            f"cannot write {path}: expected labels of shape {cine.shape[1:]} or {cine.shape}, got {labels.shape}"
        )
    if labels.dtype.kind not in "biuf":
        raise InputError(f"cannot write {path}: labels are whole numbers, got values of type {labels.dtype}")
    try:
        checked = _as_labels(labels)
    except InputError as error:
        raise InputError(f"cannot write {path}: {error}") from error
    write_image(Path(path), checked, cine.affine, frame_times=cine.frame_times, is_label=True)
