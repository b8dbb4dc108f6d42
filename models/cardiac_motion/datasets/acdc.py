"""ACDC (Automated Cardiac Diagnosis Challenge, Bernard et al. 2018).

A folder for each patient, at any depth::

    patient001/Info.cfg                      ED: 1, ES: 12, NbFrame: 30, Group: DCM, Height, Weight; frames from 1
    patient001/patient001_4d.nii.gz          the cine
    patient001/patient001_frame01.nii.gz     ED and ES apart ...
    patient001/patient001_frame01_gt.nii.gz  ... with labels 1 RV, 2 MYO, 3 LV, which are ours

Without the 4D file ED and ES are a pair. Without both label files the case has no labels, as in the test set.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from cardiac_motion.cine import Cine, spacing_of
from cardiac_motion.datasets.case import Case, CaseData, Dataset, broken_case
from cardiac_motion.datasets.files import Listing, beside, known, name_of, read_text, whole_number
from cardiac_motion.datasets.frame_files import is_frame_of, read_pair
from cardiac_motion.datasets.label_files import check_enclosure, read_remapped
from cardiac_motion.errors import InputError
from cardiac_motion.io import CORNER_TOLERANCE, LabelImage, check_labels, corner_distance, load_cine
from cardiac_motion.labels import Label

NAME = "acdc"

VALUES = {1: Label.RV, 2: Label.MYO, 3: Label.LV}

_INFO = "Info.cfg"
_LINE = re.compile(r"^[ \t]*([A-Za-z]+)[ \t]*:[ \t]*(.*?)[ \t\r]*$", re.MULTILINE)
_IMAGE = re.compile(
    r"(?P<name>.+)_(?:(?P<cine>4d)|frame(?P<number>\d+)(?P<label>_gt)?)\.nii(?:\.gz)?", re.IGNORECASE
)
_ABOUT = {"Group": "group", "Height": "height_cm", "Weight": "weight_kg"}
_SPACING_TOLERANCE = 0.01


@dataclass(frozen=True)
class _Patient:
    """A patient's folder. Frames are as in the names of the files: from 1."""

    folder: Path
    name: str
    cine: Path | None
    frames: dict[int, Path]
    labels: dict[int, Path]


def recognise(listing: Listing) -> Path | None:
    """A file that tells that a folder holds this data set, None if it does not."""
    return next((path for path in listing.files if path.name == _INFO), None)


def read_dataset(listing: Listing) -> Dataset:
    """The cases of a folder.

    Raises:
        InputError: two patients of one name.
    """
    return Dataset(NAME, listing.folder, tuple(_case(path.parent) for path in listing.files if path.name == _INFO))


def _case(folder: Path) -> Case:
    try:
        patient = _patient(folder)
    except InputError as error:
        return broken_case(name_of(folder), name_of(folder), error)
    # What is wrong with Info.cfg is told when the case is read, so that others can be read without it.
    row = dict(_LINE.findall(_readable(folder / _INFO)))
    about = known(row, _ABOUT)
    return Case(
        id=patient.name,
        patient=patient.name,
        has_labels=bool(patient.labels),
        read=partial(_read, patient),
        group=about.pop("group", None),
        about=about,
    )


def _readable(path: Path) -> str:
    try:
        return read_text(path)
    except InputError:
        return ""


def _patient(folder: Path) -> _Patient:
    # By the files and not the folder, which may have been renamed.
    found = [(match, path) for path in sorted(folder.iterdir()) if (match := _IMAGE.fullmatch(path.name))]
    names = sorted({match["name"] for match, _ in found})
    if len(names) != 1:
        raise InputError(
            f"{folder}: expected the images of one patient beside {_INFO}, such as patient001_4d.nii.gz or "
            f"patient001_frame01.nii.gz, got {'those of ' + ', '.join(names) if names else 'none'}"
        )
    frames = {int(match["number"]): path for match, path in found if match["number"] and not match["label"]}
    labels = {int(match["number"]): path for match, path in found if match["label"]}
    return _Patient(folder, names[0], beside(folder, f"{names[0]}_4d"), frames, labels)


def _read(patient: _Patient) -> CaseData:
    numbers = _read_info(patient)
    notes: list[str] = []
    is_pair = patient.cine is None
    if patient.cine is not None:
        cine, said = load_cine(patient.cine)
        cine = Cine(cine.frames, cine.affine, cine.frame_times, name=patient.name)
        notes += said
        _check_count(patient, numbers, cine)
    else:
        ed, es = (_of(patient, patient.frames, phase, numbers) for phase in ("ED", "ES"))
        cine = read_pair(ed, es, name=patient.name)
    places = {"ED": 0, "ES": 1} if is_pair else {phase: numbers[phase] - 1 for phase in ("ED", "ES")}
    labels = {}
    for phase, place in places.items() if patient.labels else ():
        path = _of(patient, patient.labels, phase, numbers)
        image = read_remapped(path, VALUES, source="ACDC")
        if image.is_4d:
            raise InputError(f"{path}: expected labels of one frame, got {len(image.labels)}")
        notes += _check_grid(image, cine, place, patient.frames.get(numbers[phase]))
        labels[place] = image.labels[0]
    check_enclosure(labels.values(), name=str(patient.folder))
    return CaseData(cine, labels, ed=places["ED"], es=places["ES"], is_pair=is_pair, notes=tuple(notes))


def _read_info(patient: _Patient) -> dict[str, int]:
    """ED and ES, and NbFrame where it is stated; frames from 1."""
    path = patient.folder / _INFO
    row = dict(_LINE.findall(read_text(path)))
    numbers = {}
    for name in ("ED", "ES", "NbFrame"):
        value = whole_number(row.get(name))
        if value is None and (name in row or name != "NbFrame"):
            got = repr(row[name]) if name in row else "no such line"
            raise InputError(f"{path}: expected a line '{name}: NUMBER', got {got}")
        if value is not None:
            numbers[name] = value
    last = numbers.get("NbFrame", max(numbers["ED"], numbers["ES"]))
    if numbers["ED"] == numbers["ES"] or not all(1 <= numbers[phase] <= last for phase in ("ED", "ES")):
        raise InputError(
            f"{path}: expected two frames from 1 to {last}, got ED {numbers['ED']} and ES {numbers['ES']}"
        )
    return numbers


def _check_count(patient: _Patient, numbers: dict[str, int], cine: Cine) -> None:
    last = numbers.get("NbFrame", cine.n_frames)
    if last != cine.n_frames or max(numbers["ED"], numbers["ES"]) > cine.n_frames:
        raise InputError(
            f"{patient.folder / _INFO}: states {last} frames with ED {numbers['ED']} and ES {numbers['ES']}, but "
            f"{patient.cine} has {cine.n_frames}"
        )


def _of(patient: _Patient, files: dict[int, Path], phase: str, numbers: dict[str, int]) -> Path:
    number = numbers[phase]
    if number not in files:
        kind = "labels" if files is patient.labels else "an image"
        raise InputError(
            f"{patient.folder / _INFO}: states that {phase} is frame {number}; expected {kind} of that frame, got "
            f"{kind} of {', '.join(f'{n:02d}' for n in sorted(files)) or 'none'}"
        )
    return files[number]


def _check_grid(image: LabelImage, cine: Cine, frame: int, own: Path | None) -> Sequence[str]:
    """Check that labels lie on the cine, and say so where their header places them elsewhere.

    Frames were cut out of the cine without their header in some copies of the data. Labels with the voxels of the
    cine's frame beside them are those of that frame, wherever its header is.
    """
    shape = cine.shape[1:]
    if image.labels.shape[1:] == shape and own is not None:
        is_elsewhere = corner_distance(cine.affine, image.affine, shape).voxels > CORNER_TOLERANCE
        same_size = np.allclose(spacing_of(image.affine), cine.spacing, rtol=_SPACING_TOLERANCE)
        if is_elsewhere and same_size and is_frame_of(own, cine, frame):
            return (
                f"the header of {Path(image.name).name} places it elsewhere than the 4D image; its frame has the "
                "same voxels, so its labels are taken voxel by voxel",
            )
    check_labels(image, cine)
    return ()
