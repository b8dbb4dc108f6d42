"""Sunnybrook Cardiac Data (Radau et al. 2009; CC0): DICOM images, and contours as text files.

The images of a patient in a folder of theirs, with other series beside them, and the contours in another one::

    SCD_IMAGES_01/SCD0000101/CINESAX_300/IM-0003-0059.dcm
    SCD_ManualContours/SC-HF-I-01/contours-manual/IRCCI-expert/IM-0001-0059-icontour-manual.txt
    scd_patientdata.csv                  PatientID (SCD0000101), OriginalID (SC-HF-I-1), Pathology, Gender, Age

or, as the challenge of 2009 gave them, both under the original id. Zeros before the last number of an id do not
count. The last number of a contour's name (59) is that of the image: in the image's name, else its instance
number. A line of a contour is x and y in pixels, taken from the centre of the first pixel. LV cavity is what the
inner contour (``icontour``) holds, papillary muscles included; myocardium is what the outer one holds beside it.
Outer contours were drawn at ED alone as a rule, so that there is no myocardium at ES: it is unknown there, not
absent. Of two phases ED is the one with the larger cavity.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from cardiac_motion.datasets.case import Case, CaseData, Dataset, Labels, broken_case
from cardiac_motion.datasets.contours import Points, area, mask_of, read_contour
from cardiac_motion.datasets.dicom_series import is_dicom, read_headers, read_series
from cardiac_motion.datasets.files import Listing, known, name_of, read_table, shown, table_header
from cardiac_motion.dicom.records import FrameRecord, Left
from cardiac_motion.errors import InputError
from cardiac_motion.labels import Label

NAME = "sunnybrook"

_CONTOUR = re.compile(r"(?:.*\D)?(?P<number>\d+)-(?P<kind>[io])contour-manual\.txt", re.IGNORECASE)
_IMAGE_NUMBER = re.compile(r"(?:im[-_]?\d+[-_])?(?P<number>\d+)", re.IGNORECASE)
_NOT_A_PATIENT = {"contours-manual", "ircci-expert", "i-contours", "o-contours", "contours"}
_PATIENT, _ORIGINAL = "PatientID", "OriginalID"
_ABOUT = {"Gender": "sex", "Age": "age"}
_SHORT_AXIS = "SAX"


@dataclass(frozen=True)
class _Contours:
    """Contour files of one image, inner and outer."""

    inner: Path | None
    outer: Path | None

    @property
    def name(self) -> Path:
        return self.inner or self.outer or Path()


@dataclass(frozen=True)
class _Patient:
    name: str
    contours: Mapping[int, _Contours]
    folders: tuple[Path, ...]
    """Where the images may be."""
    expected: str


def recognise(listing: Listing) -> Path | None:
    """A file that tells that a folder holds this data set, None if it does not."""
    return next((path for path in listing.files if _key(path)), None)


def read_dataset(listing: Listing) -> Dataset:
    """The cases of a folder: one for each patient with contours.

    Raises:
        InputError: a table that cannot be read, or two patients of one name.
    """
    folder, files = listing.folder, listing.files
    rows = _table(folder, files)
    contours: defaultdict[Path, list[Path]] = defaultdict(list)
    for path in files:
        if _key(path):
            contours[_folder_of_patient(path)].append(path)
    named: defaultdict[str, set[Path]] = defaultdict(set)
    for place in _folders(folder, files):
        named[_plain(place.name)].add(place)
    return Dataset(NAME, folder, tuple(_case(place, paths, rows, named) for place, paths in contours.items()))


def _folders(folder: Path, files: Iterable[Path]) -> set[Path]:
    """Every folder in a folder, itself included, that has a file in it or below it."""
    return {
        place
        for parent in {path.parent for path in files}
        for place in (parent, *parent.parents)
        if place.is_relative_to(folder)
    }


def _table(folder: Path, files: Iterable[Path]) -> dict[str, dict[str, str]]:
    """Rows of the table of patients by plain original id, if there is one."""
    tables = [
        p for p in sorted(files) if p.suffix.lower() == ".csv" and {_PATIENT, _ORIGINAL} <= set(table_header(p))
    ]
    if len(tables) > 1:
        raise InputError(f"{folder}: expected one table of patients, got {' and '.join(map(str, tables))}")
    return {_plain(key): row for table in tables for key, row in read_table(table, _ORIGINAL).items()}


def _folder_of_patient(contour: Path) -> Path:
    return next(place for place in contour.parents if place.name.lower() not in _NOT_A_PATIENT)


def _plain(name: str) -> str:
    """An id without zeros before its last number, in capitals: SC-HF-I-1 of SC-HF-I-01."""
    return re.sub(r"(?<=\D)0+(?=\d+$)", "", name).upper()


def _case(
    place: Path, paths: Sequence[Path], rows: Mapping[str, Mapping[str, str]], named: Mapping[str, set[Path]]
) -> Case:
    name = name_of(place)
    row = rows.get(_plain(name), {})
    ids = [name, *([row[_PATIENT]] if _PATIENT in row else [])]
    folders = sorted({folder for each in ids for folder in named.get(_plain(each), ())})
    # Of a folder and one in it, the outer one has all that the inner one has.
    outermost = tuple(f for f in folders if not any(o in f.parents for o in folders))
    try:
        patient = _Patient(name, _by_number(paths), outermost, " or ".join(ids))
    except InputError as error:
        return broken_case(name, name, error)
    about = known(row, _ABOUT)
    return Case(
        id=name,
        patient=name,
        has_labels=True,
        read=partial(_read, patient),
        group=row.get("Pathology") or _group_of(name),
        about=about,
    )


def _group_of(name: str) -> str | None:
    """The group that an original id begins with: HF-I, HF-NI, HYP or N of SC-HF-I-01 ..."""
    match = re.fullmatch(r"SC-(.+)-\d+", name, re.IGNORECASE)
    return match[1].upper() if match else None


def _by_number(paths: Iterable[Path]) -> dict[int, _Contours]:
    kinds: defaultdict[int, dict[str, Path]] = defaultdict(dict)
    for (number, kind), path in sorted((key, path) for path in paths if (key := _key(path))):
        if kind in kinds[number]:
            raise InputError(f"{path}: expected one such contour of image {number}, got {kinds[number][kind]} too")
        kinds[number][kind] = path
    return {number: _Contours(found.get("i"), found.get("o")) for number, found in kinds.items()}


def _key(path: Path) -> tuple[int, str] | None:
    """Number of the image, and "i" or "o", of the name of a contour."""
    # Most files are images; the pattern is slow to say no.
    match = _CONTOUR.fullmatch(path.name) if path.suffix.lower() == ".txt" else None
    return (int(match["number"]), match["kind"].lower()) if match else None


def _read(patient: _Patient) -> CaseData:
    images = _series(patient)
    series = read_series(list(images.values()), name=patient.name)
    shape = series.cine.shape[1:]
    labels: defaultdict[int, Labels] = defaultdict(lambda: np.zeros(shape, np.uint8))
    areas: defaultdict[int, dict[int, float]] = defaultdict(dict)
    without_wall: set[int] = set()
    for number, contours in patient.contours.items():
        frame, z = series.places[images[number].path]
        if contours.inner is None:
            raise InputError(f"{contours.outer}: expected the inner contour of image {number} beside it")
        labels[frame][z], areas[frame][z] = _labels_of(contours.inner, contours.outer, shape[1:])
        if contours.outer is None:
            without_wall.add(frame)
    ed, es = _phases(areas)
    both = frozenset((Label.MYO, Label.LV))
    drawn = {frame: frozenset((Label.LV,)) if frame in without_wall else both for frame in labels}
    return CaseData(series.cine, dict(labels), ed=ed, es=es, drawn=drawn, notes=series.notes)


def _labels_of(inner_file: Path, outer_file: Path | None, shape: tuple[int, int]) -> tuple[Labels, float]:
    """Labels (Y, X) of one slice, and the area of the cavity in square pixels."""
    inner = _within(inner_file, shape)
    if area(inner) == 0:
        raise InputError(f"{inner_file}: expected a contour around the cavity, got one around nothing")
    labels = np.zeros(shape, np.uint8)
    if outer_file is not None:
        outer = _within(outer_file, shape)
        if area(outer) <= area(inner):
            raise InputError(
                f"{outer_file}: expected an outer contour around the inner one, got {area(outer):.1f} pixels in "
                f"it and {area(inner):.1f} in {inner_file.name}"
            )
        labels[mask_of(outer, shape)] = Label.MYO
    labels[mask_of(inner, shape)] = Label.LV
    return labels, area(inner)


def _within(path: Path, shape: tuple[int, int]) -> Points:
    points = read_contour(path)
    if points.min() < -0.5 or (points.max(axis=0) > np.array(shape[::-1]) - 0.5).any():
        raise InputError(
            f"{path}: expected points within the image of {shape[1]} x {shape[0]} pixels, got x from "
            f"{points[:, 0].min():g} to {points[:, 0].max():g} and y from {points[:, 1].min():g} to "
            f"{points[:, 1].max():g}"
        )
    return points


def _phases(areas: Mapping[int, Mapping[int, float]]) -> tuple[int, int | None]:
    """ED: the frame with most of the cavity; ES: the other one that has least of it in the slices of both."""
    ed = max(areas, key=lambda frame: sum(areas[frame].values()))
    shared = {
        frame: sum(found[z] / areas[ed][z] for z in set(found) & set(areas[ed])) / len(set(found) & set(areas[ed]))
        for frame, found in areas.items()
        if frame != ed and set(found) & set(areas[ed])
    }
    return ed, min(shared, key=shared.__getitem__) if shared else None


def _series(patient: _Patient) -> dict[int, FrameRecord]:
    """Headers of the short-axis series that the contours were drawn on, by the number of the image."""
    where = ", ".join(map(str, patient.folders)) or "no such folder"
    files = sorted({path for folder in patient.folders for path in shown(folder) if is_dicom(path)})
    if not files:
        raise InputError(
            f"{next(iter(patient.contours.values())).name}: expected the DICOM images of the patient in a folder "
            f"{patient.expected}, got {where}"
        )
    found: list[dict[int, FrameRecord]] = []
    missing: Counter[int] = Counter()
    damaged: list[Left] = []
    for records, broken in _groups(files):
        numbers = {number: record for record in records if (number := _number(record)) is not None}
        absent = [number for number in patient.contours if number not in numbers]
        damaged += broken
        missing.update(absent)
        if not absent and len(numbers) == len(records):
            found.append(numbers)
    # Other series of the patient may have images of these numbers, too.
    found = [each for each in found if _is_short_axis(next(iter(each.values())))] or found
    if len(found) != 1:
        number = missing.most_common(1)[0][0] if missing else next(iter(patient.contours))
        what = f"{len(found)} such series" if found else "none"
        raise InputError(
            f"{patient.contours[number].name}: expected image {number} in one short-axis series of {where}, got "
            f"{what}{f'; {damaged[0]}' if damaged else ''}"
        )
    return found[0]


def _is_short_axis(record: FrameRecord) -> bool:
    return _SHORT_AXIS in f"{record.path.parent.name} {record.description}".upper()


def _number(record: FrameRecord) -> int | None:
    match = _IMAGE_NUMBER.fullmatch(record.path.stem)
    return int(match["number"]) if match else record.instance_number


def _groups(files: Iterable[Path]) -> Iterator[tuple[list[FrameRecord], list[Left]]]:
    """Images of each folder, and damaged ones; where numbers come twice in a folder, of each series in it."""
    folders: defaultdict[Path, list[Path]] = defaultdict(list)
    for path in files:
        folders[path.parent].append(path)
    for folder, paths in folders.items():
        records, damaged = read_headers(paths, folder)
        if len({_number(record) for record in records}) == len(records):
            yield records, damaged
            continue
        series: defaultdict[str, list[FrameRecord]] = defaultdict(list)
        for record in records:
            series[record.series_uid].append(record)
        for group in series.values():
            yield group, damaged
