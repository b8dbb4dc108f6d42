"""Images of a folder to slices: by series, plane and trigger time."""

from __future__ import annotations

import filecmp
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cardiac_motion.dicom.phases import TimedSlice, Unusable, claims_cine, in_time_order, missing_in_series
from cardiac_motion.dicom.records import FrameRecord, Left
from cardiac_motion.dicom.stacks import SAME_PLACE_MM

COPY = "files of the same content as others: two images have the same position and trigger time"
"""Nothing is lost without them."""
_SAME_SLICE_MM = 0.1
_SAME_ORIENTATION = 1e-3
_ROUNDED = 2e-3
"""Of directions that were written with three decimals: lengths and cosines may be off by so much."""


def find_slices(records: Sequence[FrameRecord]) -> tuple[list[TimedSlice], list[Left]]:
    """The slices of all series, and what is left of those that are no cines, or broken ones."""
    series: defaultdict[tuple[str, str, str], list[FrameRecord]] = defaultdict(list)
    for record in records:
        series[record.study_uid, record.series_uid, record.component].append(record)
    slices: list[TimedSlice] = []
    unusable: list[Unusable] = []
    copies: list[Left] = []
    for (_, _, component), images in series.items():
        group, twice = _without_copies(images)
        if twice:
            is_error = component == "M" and claims_cine(group)
            copies.append(replace(left_of(Unusable(COPY, twice, is_error=False)), is_error=is_error))
        if component != "M":
            unusable.append(Unusable("not magnitude images", group, is_error=False))
            continue
        found, bad = _slices_of_series(group)
        slices += found
        unusable += bad
    left = []
    for each in unusable:
        if each.is_error and _is_covered(each.records, slices):
            left.append(left_of(Unusable(f"{each}; acquired again as a whole", each.records, is_error=False)))
        else:
            left.append(left_of(each))
    return slices, copies + _joined(left)


def _without_copies(records: Sequence[FrameRecord]) -> tuple[list[FrameRecord], list[FrameRecord]]:
    """The images of a series, each instance from one file, and those of further files with the same bytes."""
    kept: list[FrameRecord] = []
    copies: list[FrameRecord] = []
    first: dict[tuple[str, int], FrameRecord] = {}
    for record in records:
        other = first.setdefault((record.sop_uid, record.frame), record)
        is_copy = other is not record and _same_bytes(other.path, record.path)
        (copies if is_copy else kept).append(record)
    return kept, copies


def _same_bytes(one: Path, other: Path) -> bool:
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        # Whoever reads its pixels will say so.
        return False


def left_of(unusable: Unusable) -> Left:
    """Images that make no cine, as they are listed."""
    first = unusable.records[0]
    place = ""
    if unusable.is_error and first.position is not None:
        x, y, z = first.position
        place = f"slice at ({x:.1f}, {y:.1f}, {z:.1f}) mm: "
    numbers = {record.series_number for record in unusable.records if record.series_number is not None}
    files = sorted({record.name for record in unusable.records})
    return Left(f"{place}{unusable}", tuple(files), tuple(sorted(numbers)), unusable.is_error)


def _joined(left: Sequence[Left]) -> list[Left]:
    """Things of one series that are left for the same reason as one."""
    groups: defaultdict[tuple[str, tuple[int, ...], bool], list[str]] = defaultdict(list)
    for each in left:
        groups[each.reason, each.series, each.is_error] += each.files
    return [
        Left(reason, tuple(dict.fromkeys(files)), series, error)
        for (reason, series, error), files in groups.items()
    ]


def _slices_of_series(records: Sequence[FrameRecord]) -> tuple[list[TimedSlice], list[Unusable]]:
    is_cine = claims_cine(records)
    slices: list[TimedSlice] = []
    unusable: list[Unusable] = []
    placed: list[FrameRecord] = []
    for record in records:
        if record.position is None or record.orientation is None or not _is_orientation(record.orientation):
            text = "it does not say where its image lies in the patient"
            several = is_cine and len(records) > 1
            unusable.append(Unusable(text, [record], is_error=several))
        else:
            placed.append(record)
    for group in _planes(placed):
        try:
            slices.append(in_time_order(group, is_cine=is_cine))
        except Unusable as error:
            unusable.append(error)
    for short in missing_in_series(slices) if slices else []:
        most = max(each.n_frames for each in slices)
        text = f"a phase is missing: {short.n_frames} frames, other slices of the series have {most}"
        unusable.append(Unusable(text, short.records, is_error=is_cine))
        slices.remove(short)
    return slices, unusable


def _is_orientation(values: Sequence[float]) -> bool:
    row, column = np.array(values[:3]), np.array(values[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    return bool(np.allclose(lengths, 1, atol=_ROUNDED) and abs(row @ column) < _ROUNDED)


def _planes(records: Sequence[FrameRecord]) -> list[list[FrameRecord]]:
    """The images of a series by the plane that they show."""
    exact: defaultdict[tuple[tuple[float, ...], tuple[float, ...]], list[FrameRecord]] = defaultdict(list)
    for record in records:
        exact[record.position or (), record.orientation or ()].append(record)
    planes: list[list[FrameRecord]] = []
    # Of each plane: 6 numbers of its orientation, 3 of its position. A volume has a thousand planes.
    places = np.empty((len(exact), 9))
    for (position, orientation), group in exact.items():
        place = np.array([*orientation, *position])
        off = np.abs(places[: len(planes)] - place)
        is_same = (off[:, :6].max(axis=1) < _SAME_ORIENTATION) & (
            np.linalg.norm(off[:, 6:], axis=1) < _SAME_SLICE_MM
        )
        # Scanners may round the same place differently.
        if is_same.any():
            planes[int(is_same.argmax())] += group
        else:
            places[len(planes)] = place
            planes.append(group)
    return planes


def _is_covered(records: Sequence[FrameRecord], slices: Sequence[TimedSlice]) -> bool:
    """Whether another series has the plane of a broken slice whole."""
    first = records[0]
    if first.position is None or first.orientation is None:
        return False
    for each in slices:
        if each.first.series_uid == first.series_uid or each.first.study_uid != first.study_uid:
            continue
        if np.abs(each.orientation - first.orientation).max() < 1e-2:
            aside = np.subtract(first.position, each.position)
            if abs(aside @ each.normal) < SAME_PLACE_MM:
                return True
    return False
