"""What pydicom reads of a DICOM folder, against the cines that were imported from it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from cardiac_motion.dicom.importer import DicomImport, ImportedCine
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from benchmarks.fuzz.compare import different_values
from benchmarks.fuzz.target import CannotTellError

Array = npt.NDArray[Any]

_SAME_MM = 0.6
"""Slices lie on one line to half a millimetre."""


@dataclass(frozen=True, eq=False)
class _Frame:
    """One frame as pydicom has it; ``times`` are all that may be its trigger time, ms."""

    series: str
    position: Array
    axes: Array
    spacing: Array
    times: tuple[float, ...]
    pixels: Array


def difference(folder: Path, result: DicomImport) -> str | None:
    """What of the imported cines is in no file, in a sentence.

    Raises:
        CannotTellError: pydicom does not read what a cine may have come from.
    """
    frames, failed = _frames(folder)
    for each in result.cines:
        wrong = _wrong(each, frames)
        if wrong:
            if failed:
                raise CannotTellError(f"{wrong}; pydicom: {failed[0]}")
            return f"{each.name}: {wrong}"
    return None


def _frames(folder: Path) -> tuple[list[_Frame], list[str]]:
    frames: list[_Frame] = []
    failed: list[str] = []
    # Of files that are the same byte for byte one counts.
    paths = {path.read_bytes(): path for path in sorted(folder.rglob("*"), reverse=True) if path.is_file()}
    for path in sorted(paths.values()):
        try:
            ds = pydicom.dcmread(path, force=True)
            _as_the_dictionary_has_it(ds)
            number = max(len(ds.get("PerFrameFunctionalGroupsSequence") or []), 1)
            pixels = _pixels(ds).reshape(-1, ds.Rows, ds.Columns)
        except Exception as error:  # noqa: BLE001 - pydicom checks little of what it reads
            failed.append(f"{type(error).__name__}: {error}"[:200])
            continue
        for frame in range(number):
            try:
                frames.append(_frame(ds, frame, pixels))
            except Exception as error:  # noqa: BLE001 - the same
                failed.append(f"{type(error).__name__}: {error}"[:200])
    return frames, failed


def _frame(ds: Dataset, number: int, pixels: Array) -> _Frame:
    """One frame of a file; what is not in its own functional groups is in the shared ones."""
    groups = ds.get("PerFrameFunctionalGroupsSequence")
    shared = ds.get("SharedFunctionalGroupsSequence")
    places = [*([groups[number]] if groups else []), *([shared[0]] if groups and shared else [])]

    def group(name: str) -> Dataset:
        if not groups:
            return ds
        return next((place[name].value[0] for place in places if place.get(name)), Dataset())

    heart = group("CardiacSynchronizationSequence")
    names = ("NominalCardiacTriggerDelayTime", "ActualCardiacTriggerDelayTime") if groups else ("TriggerTime",)
    return _Frame(
        str(ds.get("SeriesInstanceUID", "")),
        *_geometry(
            group("PlanePositionSequence"), group("PlaneOrientationSequence"), group("PixelMeasuresSequence")
        ),
        tuple(float(value) for name in names if (value := heart.get(name)) not in {None, ""}),
        _rescaled(pixels[number], group("PixelValueTransformationSequence")),
    )


def _as_the_dictionary_has_it(ds: Dataset) -> None:
    """Give values the representation that belongs to their tag, whatever the file says; in sequences, too."""
    for tag, element in list(ds._dict.items()):
        vr = dictionary_VR(tag) if dictionary_has_tag(tag) else ""
        if isinstance(element, RawDataElement) and len(vr) == 2 and element.VR not in {None, vr}:
            ds._dict[tag] = element._replace(VR=vr)
        if vr == "SQ":
            for item in ds[tag].value or []:
                _as_the_dictionary_has_it(item)


def _pixels(ds: Dataset) -> Array:
    """Stored numbers, other bits than the pixel's own put aside, as the standard has it."""
    allocated, stored, high = int(ds.BitsAllocated), int(ds.BitsStored), int(ds.HighBit)
    values = np.asarray(ds.pixel_array).astype(np.int64) & (2**allocated - 1)
    values = (values >> (high + 1 - stored)) & (2**stored - 1)
    if ds.get("PixelRepresentation") == 1:
        values = np.where(values >= 2 ** (stored - 1), values - 2**stored, values)
    return values


def _geometry(position: Dataset, orientation: Dataset, measures: Dataset) -> tuple[Array, Array, Array]:
    return (
        np.array(position.ImagePositionPatient, float).reshape(3),
        np.array(orientation.ImageOrientationPatient, float).reshape(2, 3),
        np.array(measures.PixelSpacing, float).reshape(2),
    )


def _rescaled(pixels: Array, place: Dataset) -> Array:
    slope, intercept = place.get("RescaleSlope"), place.get("RescaleIntercept")
    return pixels * float(slope or 1.0) + float(intercept or 0.0)


def _wrong(each: ImportedCine, frames: list[_Frame]) -> str | None:
    """What of a cine is in no file."""
    cine = each.cine
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ cine.affine
    timed = False
    for z in range(cine.shape[1]):
        position = (lps @ [0.0, 0.0, z, 1.0])[:3]
        here = [frame for frame in frames if _is_at(frame, position, lps, cine.shape)]
        by_series: defaultdict[str, list[_Frame]] = defaultdict(list)
        for frame in here:
            by_series[frame.series].append(frame)
        reasons = [f"no images at {position.round(1).tolist()}"] if not by_series else []
        for group in by_series.values():
            reason, fits_times = _wrong_slice(each, z, group)
            timed = timed or fits_times
            if reason is None:
                reasons = []
                break
            reasons.append(reason)
        if reasons:
            return f"slice {z}: {reasons[0]}"
    return None if timed else f"its frame times {cine.frame_times.tolist()} are those of no slice"


def _is_at(frame: _Frame, position: Array, lps: Array, shape: tuple[int, ...]) -> bool:
    axes = np.stack([lps[:3, 0], lps[:3, 1]])
    lengths = np.linalg.norm(axes, axis=1)
    return bool(
        frame.pixels.shape == shape[2:]
        and np.linalg.norm(frame.position - position) < _SAME_MM
        and np.abs(frame.axes - axes / lengths[:, None]).max() < 1e-2
        and np.abs(frame.spacing[::-1] - lengths).max() < 1e-2
    )


def _wrong_slice(each: ImportedCine, z: int, group: list[_Frame]) -> tuple[str | None, bool]:
    """What is wrong with a slice if it comes from these files, and whether its times are the cine's."""
    cine = each.cine
    if any("interpolated" in note for note in each.notes) and len(group) != cine.n_frames:
        return None, False
    if len(group) != cine.n_frames:
        return f"{cine.n_frames} frames, pydicom finds {len(group)}", False
    reasons: list[str] = []
    matching: list[bool] = []
    for kind in range(min(len(frame.times) for frame in group)):
        ordered = sorted(group, key=lambda frame: frame.times[kind])
        wrong = [different_values(cine.frames[t, z], frame.pixels) for t, frame in enumerate(ordered)]
        times = np.array([frame.times[kind] for frame in ordered])
        if not any(wrong):
            matching.append(bool(np.allclose((times - times[0]) / 1000, cine.frame_times, atol=1e-6)))
        reasons += [f"frame {t}: {each}" for t, each in enumerate(wrong) if each]
    return (None, any(matching)) if matching else ((reasons or ["no trigger times"])[0], False)
