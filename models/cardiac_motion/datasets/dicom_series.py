"""A DICOM series of one cine as an image, with the slice and the frame that each file became."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.errors import InvalidDicomError

from cardiac_motion.cine import Cine
from cardiac_motion.errors import InputError
from cardiac_motion.io import RAS_TO_LPS
from cardiac_motion.io.timing import DEFAULT_CYCLE_SECONDS

_SAME_PLACE_MM = 0.1
_SAME_DIRECTION = 1e-3
_TAGS = [
    "InstanceNumber",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "Rows",
    "Columns",
    "PixelSpacing",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "TriggerTime",
    "NominalInterval",
]


@dataclass(frozen=True, eq=False)
class Header:
    """What is needed of a file to place it, without its pixels."""

    path: Path
    series: str
    description: str
    instance: int | None
    shape: tuple[int, int]
    spacing: tuple[float, float]
    """(y, x) mm."""
    position: npt.NDArray[np.float64]
    directions: npt.NDArray[np.float64]
    """(2, 3): of a row, of a column; LPS."""
    trigger_ms: float | None

    @property
    def normal(self) -> npt.NDArray[np.float64]:
        """(3,) LPS, of the slice."""
        return np.cross(self.directions[0], self.directions[1])


@dataclass(frozen=True, eq=False)
class PlacedSeries:
    """A cine, and (frame, slice) by file."""

    cine: Cine
    places: dict[Path, tuple[int, int]]


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM: by its ending, or by its mark where it has none."""
    if path.suffix.lower() in {".dcm", ".ima"}:
        return True
    if path.suffix and not path.suffix[1:].isdigit():
        return False
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def read_header(path: Path) -> Header:
    """Read what is needed to place a file.

    Raises:
        InputError: it is no DICOM image with a place, named.
    """
    dataset = _read(path, only=True)
    try:
        y, x = (float(value) for value in dataset.PixelSpacing)
        directions = np.array(dataset.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
        position = np.array(dataset.ImagePositionPatient, dtype=np.float64).reshape(3)
        shape = (int(dataset.Rows), int(dataset.Columns))
        trigger = dataset.get("TriggerTime")
        instance = dataset.get("InstanceNumber")
        header = Header(
            path=path,
            series=str(dataset.get("SeriesInstanceUID", "")),
            description=str(dataset.get("SeriesDescription", "")),
            instance=None if instance is None else int(instance),
            shape=shape,
            spacing=(y, x),
            position=position,
            directions=directions,
            trigger_ms=None if trigger in (None, "") else float(trigger),
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"{path}: expected an MR image with its size and place, got {error}") from error
    numbers = np.concatenate([directions.ravel(), position, header.spacing])
    if not np.isfinite(numbers).all() or min(header.spacing) <= 0 or np.linalg.norm(header.normal) < 0.5:
        raise InputError(f"{path}: expected finite positions and directions and a positive spacing")
    return header


def read_series(headers: Sequence[Header], *, name: str) -> PlacedSeries:
    """Sort the files of one cine into slices, by place, and frames, by trigger time, and read their pixels.

    Where trigger times are missing or the same for several, the order of the instance numbers holds. Slices run
    along the normal of the first file.

    Raises:
        InputError: files that are no such cine, with the name of the file or slice.
    """
    first = headers[0]
    for header in headers:
        if header.shape != first.shape or not np.allclose(header.spacing, first.spacing, rtol=1e-4):
            raise InputError(
                f"{header.path}: expected {first.shape[1]} x {first.shape[0]} pixels of {first.spacing} mm as "
                f"{first.path.name} has, got {header.shape[1]} x {header.shape[0]} of {header.spacing} mm"
            )
        if np.abs(header.directions - first.directions).max() > _SAME_DIRECTION:
            raise InputError(f"{header.path}: expected a slice parallel to that of {first.path.name}")
    slices = [_in_time(each) for each in _by_place(headers)]
    counts = [len(each) for each in slices]
    if len(set(counts)) > 1:
        usual = max(set(counts), key=counts.count)
        odd = next(each for each in slices if len(each) != usual)
        raise InputError(
            f"{odd[0].path.parent}: expected {usual} frames of every slice, got {len(odd)} of the slice of "
            f"{odd[0].path.name}"
        )
    places = {header.path: (t, z) for z, each in enumerate(slices) for t, header in enumerate(each)}
    frames = np.zeros((counts[0], len(slices), *first.shape), np.float32)
    for path, place in places.items():
        frames[place] = _pixels(path, first.shape)
    return PlacedSeries(Cine(frames, _affine(slices), _times(slices[0]), name=name), places)


def _by_place(headers: Sequence[Header]) -> list[list[Header]]:
    """Files of each slice, slices in the order of their places along the normal."""
    normal = headers[0].normal
    ordered = sorted(headers, key=lambda header: float(header.position @ normal))
    slices = [[ordered[0]]]
    for header in ordered[1:]:
        near = (header.position - slices[-1][0].position) @ normal < _SAME_PLACE_MM
        slices[-1].append(header) if near else slices.append([header])
    return slices


def _in_time(headers: Iterable[Header]) -> list[Header]:
    headers = list(headers)
    times = {header.trigger_ms for header in headers}
    if None not in times and len(times) == len(headers):
        return sorted(headers, key=lambda header: header.trigger_ms or 0.0)
    numbers = {header.instance for header in headers}
    if None in numbers or len(numbers) < len(headers):
        raise InputError(
            f"{headers[0].path}: expected trigger times or instance numbers that tell the {len(headers)} frames "
            "of its slice apart"
        )
    return sorted(headers, key=lambda header: header.instance or 0)


def _affine(slices: Sequence[Sequence[Header]]) -> npt.NDArray[np.float64]:
    first = slices[0][0]
    affine = np.eye(4)
    affine[:3, 0] = first.directions[0] * first.spacing[1]
    affine[:3, 1] = first.directions[1] * first.spacing[0]
    affine[:3, 2] = first.normal
    affine[:3, 3] = first.position
    if len(slices) > 1:
        steps = np.array([(b[0].position - a[0].position) for a, b in pairwise(slices)])
        along = steps @ first.normal
        wrong = np.flatnonzero(np.abs(along - np.median(along)) > 0.1 * np.median(along))
        if wrong.size:
            after = slices[int(wrong[0]) + 1][0].path
            raise InputError(
                f"{after}: expected slices {np.median(along):.4g} mm apart, got {along[wrong[0]]:.4g} mm before "
                "the slice of this file"
            )
        affine[:3, 2] = (slices[-1][0].position - first.position) / (len(slices) - 1)
    return RAS_TO_LPS @ affine


def _times(headers: Sequence[Header]) -> npt.NDArray[np.float64]:
    triggers = np.array([np.nan if header.trigger_ms is None else header.trigger_ms for header in headers])
    if np.isfinite(triggers).all() and (np.diff(triggers) > 0).all():
        return (triggers - triggers[0]) / 1000
    return np.arange(len(headers)) * (DEFAULT_CYCLE_SECONDS / len(headers))


def _pixels(path: Path, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    dataset = _read(path)
    try:
        pixels = np.asarray(dataset.pixel_array)
        slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    except (AttributeError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"{path}: its pixels cannot be read: {error}") from error
    if pixels.shape != shape:
        raise InputError(f"{path}: expected one image of {shape[1]} x {shape[0]} pixels, got {pixels.shape[::-1]}")
    return (pixels * slope + intercept).astype(np.float32)


def _read(path: Path, *, only: bool = False) -> Any:
    try:
        return pydicom.dcmread(path, stop_before_pixels=only, specific_tags=_TAGS if only else None)
    except InvalidDicomError as error:
        raise InputError(f"{path}: expected a DICOM file") from error
    except (OSError, EOFError, ValueError, NotImplementedError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
