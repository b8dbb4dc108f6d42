"""Pairs of end-diastole and end-systole to register slice by slice: real ones and phantoms.

"ED to ES" means that labels of ED are warped onto ES: fixed is ES, moving is ED.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from cardiac_motion.errors import InputError
from cardiac_motion.io import read_cine, read_frame, read_labels
from cardiac_motion.labels import Label
from scipy import ndimage

SIZE = 128
"""Pixels of the square that every slice is cropped to."""

Stack = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]
Array = TypeVar("Array", bound=npt.NDArray[np.generic])
Finder = Callable[[Stack, Stack, tuple[float, float, float]], tuple[float, float]]
"""Centre (y, x) in pixels of the heart, from two frames (Z, Y, X) and the spacing (z, y, x); never from labels."""

PHANTOM_FRAMES = 12
"""Frames of a phantom, of which two are used: enough to hit end-systole, and twice as fast as a whole cine."""

SUNNYBROOK = ("SCD0003701", "HF-I-05", "HYP-08")


@dataclass(frozen=True, eq=False)
class Pair:
    """Two frames of one heart, cropped, with labels of both.

    Attributes:
        name: of the case.
        fixed: ES, (Z, 128, 128), intensities 0 to 1.
        moving: ED, likewise, on the same grid.
        fixed_labels: (Z, 128, 128).
        moving_labels: (Z, 128, 128).
        spacing: (z, y, x) mm.
        structures: those that are labelled.
        truth: where known, (Z, 2, 128, 128) mm, components (y, x): from each pixel of the fixed grid the way to
            the matching point of the moving image.
    """

    name: str
    fixed: Stack
    moving: Stack
    fixed_labels: Labels
    moving_labels: Labels
    spacing: tuple[float, float, float]
    structures: tuple[Label, ...]
    truth: Stack | None = None


def data_folder() -> Path:
    """The folder of the real data: the one that CARDIAC_MOTION_DATA names, or ../shared/data of the repository."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("CARDIAC_MOTION_DATA") or default)


def real_pairs(folder: Path | None = None, *, find_heart: Finder | None = None) -> list[Pair]:
    """The four real pairs: three of Sunnybrook with the LV cavity, and cine_sax, frame 0 to 9, with RV, MYO, LV.

    Raises:
        InputError: a file is not there or not as it should be.
    """
    folder = data_folder() if folder is None else folder
    if not folder.is_dir():
        raise InputError(f"expected the real data in {folder}; set CARDIAC_MOTION_DATA to their folder")
    pairs = []
    for name in SUNNYBROOK:
        frames, labels = [], []
        for phase in ("ED", "ES"):
            frame, affine = read_frame(folder / "sunnybrook" / f"{name}_{phase}.nii.gz")
            cavity = read_labels(folder / "sunnybrook" / f"{name}_{phase}_endo.nii.gz").labels[0]
            frames.append(frame)
            labels.append(np.where(cavity > 0, np.uint8(Label.LV), np.uint8(Label.BACKGROUND)))
        x, y, z = np.linalg.norm(affine[:3, :3], axis=0)
        pairs.append(make_pair(name, frames, labels, (float(z), float(y), float(x)), find_heart=find_heart))
    cine = read_cine(folder / "cine_sax.nii.gz")
    drawn = read_labels(folder / "cine_sax_labels.nii.gz").labels
    pairs.append(
        make_pair(
            "cine_sax",
            [cine.frames[t] for t in (0, 9)],
            [drawn[t] for t in (0, 9)],
            cine.spacing,
            find_heart=find_heart,
        )
    )
    return pairs


def phantom_pairs(
    seeds: Iterable[int], *, through_plane: bool = False, find_heart: Finder | None = None
) -> list[Pair]:
    """ED and ES of phantoms with the true displacement in the plane.

    Args:
        seeds: one phantom each.
        through_plane: whether points move along the long axis, too.
        find_heart: as for `make_pair`.
    """
    from cardiac_motion.phantom import PhantomOptions, make_study  # noqa: PLC0415 - real pairs do without

    pairs = []
    for seed in seeds:
        study = make_study(seed, PhantomOptions(frames=PHANTOM_FRAMES, through_plane=through_plane))
        if study.motion is None:
            raise RuntimeError(f"phantom {seed} has no true motion")
        to_reference, _ = study.motion
        es = study.es_frame
        pairs.append(
            make_pair(
                f"phantom {seed}",
                [study.cine.frames[t] for t in (0, es)],
                [study.labels[t] for t in (0, es)],
                study.cine.spacing,
                truth=np.ascontiguousarray(to_reference[es, 1:].swapaxes(0, 1)),
                find_heart=find_heart,
            )
        )
    return pairs


def make_pair(
    name: str,
    frames: list[Stack],
    labels: list[Labels],
    spacing: tuple[float, float, float],
    *,
    truth: Stack | None = None,
    find_heart: Finder | None = None,
) -> Pair:
    """Scale and crop two whole frames.

    Args:
        name: of the case.
        frames: ED and ES, (Z, Y, X) each.
        labels: of both, likewise.
        spacing: (z, y, x) mm.
        truth: (Z, 2, Y, X) mm, see `Pair`.
        find_heart: finds the centre of the crop; by default `moving_centre`.
    """
    both = scaled(np.stack(frames))
    finder = moving_centre if find_heart is None else find_heart
    centre = finder(both[0], both[1], spacing)
    moving, fixed = (cropped(frame, centre) for frame in both)
    moving_labels, fixed_labels = (cropped(label, centre) for label in labels)
    found = set(np.unique(moving_labels).tolist()) | set(np.unique(fixed_labels).tolist())
    structures = tuple(s for s in (Label.RV, Label.MYO, Label.LV) if s in found)
    return Pair(
        name=name,
        fixed=fixed,
        moving=moving,
        fixed_labels=fixed_labels,
        moving_labels=moving_labels,
        spacing=spacing,
        structures=structures,
        truth=None if truth is None else cropped(truth, centre),
    )


def scaled(frames: npt.NDArray[np.floating]) -> Stack:
    """Intensities from 0 to 1 between the 1st and the 99th percentile of all frames together."""
    low, high = np.percentile(frames, (1, 99))
    return np.clip((frames - low) / max(float(high - low), 1e-6), 0, 1).astype(np.float32)


def moving_centre(ed: Stack, es: Stack, spacing: tuple[float, float, float]) -> tuple[float, float]:
    """Centre (y, x) in pixels of what changes between two frames (Z, Y, X), over all slices.

    The centroid of the difference, smoothed over 5 mm, as far as it exceeds its 95th percentile.
    """
    sigma = (0.0, 5.0 / spacing[1], 5.0 / spacing[2])
    difference = np.abs(ndimage.gaussian_filter(ed - es, sigma)).mean(axis=0)
    weight = np.clip(difference - np.percentile(difference, 95), 0, None)
    if not weight.any():
        raise InputError("the two frames are the same: there is no motion to find the heart by")
    y, x = ndimage.center_of_mass(weight)
    return float(y), float(x)


def cropped(image: Array, centre: tuple[float, float]) -> Array:
    """The square of `SIZE` pixels around a centre: (..., Y, X) to (..., 128, 128).

    It is moved to lie inside the image; an image that is too small is padded with its border.
    """
    missing = [max(0, SIZE - n) for n in image.shape[-2:]]
    before = [m // 2 for m in missing]
    padding = [(0, 0)] * (image.ndim - 2) + [(b, m - b) for b, m in zip(before, missing, strict=True)]
    padded = np.pad(image, padding, mode="edge") if any(missing) else image
    starts = [
        int(np.clip(round(c + b - SIZE / 2), 0, n - SIZE))
        for c, b, n in zip(centre, before, padded.shape[-2:], strict=True)
    ]
    y, x = (slice(s, s + SIZE) for s in starts)
    return np.ascontiguousarray(padded[..., y, x])  # type: ignore[return-value]
