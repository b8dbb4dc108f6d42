"""The studies folder of a server: images in it, and the labels that readers accepted.

::

    heart.nii.gz
    .cardiac_motion/labels/final/heart/000002.nii.gz    labels of all frames, our values
    .cardiac_motion/labels/final/heart/000002.json      the record without which they are none: checksum, frames

The newest version counts. Where its record lists frames that were verified, those alone are labels; else all that
are not empty.
"""

from __future__ import annotations

import hashlib
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cardiac_motion.cine import Cine
from cardiac_motion.datasets.case import Case, CaseData, Dataset
from cardiac_motion.datasets.files import Listing, read_json, split_view
from cardiac_motion.datasets.label_files import OWN_VALUES, check_enclosure, read_remapped
from cardiac_motion.errors import InputError, shown
from cardiac_motion.io import check_labels, load_cine
from cardiac_motion.io.single_file import stem_of

NAME = "studies"

_LABELS = Path(".cardiac_motion", "labels")
_ACCEPTED = "final"
_RECORD = re.compile(r"(\d{6,})\.json")


def recognise(listing: Listing) -> Path | None:
    """The folder of labels that tells a folder of studies, None if there is none."""
    place = listing.folder / _LABELS
    return place if place.is_dir() else None


def read_dataset(listing: Listing) -> Dataset:
    """The cases of a folder.

    Raises:
        InputError: two images of one name.
    """
    folder = listing.folder
    images = (path for path in listing.images if path.parent == folder)
    return Dataset(NAME, folder, tuple(_case(folder, path) for path in images))


def _case(folder: Path, image: Path) -> Case:
    name = stem_of(image)
    record = _newest(folder / _LABELS / _ACCEPTED / name)
    patient, view = split_view(name)
    return Case(name, patient, record is not None, partial(_read, name, image, record), view=view)


def _newest(folder: Path) -> Path | None:
    """The record of the newest version."""
    if not folder.is_dir():
        return None
    numbers = {int(match[1]): path for path in folder.iterdir() if (match := _RECORD.fullmatch(path.name))}
    return numbers[max(numbers)] if numbers else None


def _read(name: str, image: Path, record: Path | None) -> CaseData:
    cine, notes = load_cine(image)
    cine = Cine(cine.frames, cine.affine, cine.frame_times, name=name)
    if record is None:
        return CaseData(cine, notes=notes)
    path = record.with_suffix(".nii.gz")
    content = _content(record)
    _check_sum(path, content.get("sha256"))
    labels = read_remapped(path, OWN_VALUES, source="this project")
    check_labels(labels, cine)
    if len(labels.labels) != cine.n_frames:
        raise InputError(f"{path}: expected labels of {cine.n_frames} frames, got {len(labels.labels)}")
    frames = _verified(content, record, cine.n_frames)
    if frames is None:
        frames = [int(t) for t in np.flatnonzero(labels.labels.any(axis=(1, 2, 3)))]
    drawn = {t: labels.labels[t] for t in frames}
    check_enclosure(drawn.values(), name=str(path))
    return CaseData(cine, drawn, notes=notes)


def _content(record: Path) -> dict[str, Any]:
    content = read_json(record, "JSON")
    if not isinstance(content, dict):
        raise InputError(f"{record}: expected a JSON object, got {type(content).__name__}")
    return content


def _check_sum(path: Path, expected: object) -> None:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    if found != expected:
        raise InputError(
            f"{path}: is no longer what was saved: expected the SHA-256 {shown(expected, 70)}, got {found}"
        )


def _verified(content: dict[str, Any], record: Path, n_frames: int) -> list[int] | None:
    info = content.get("info")
    frames = info.get("verified_frames") if isinstance(info, dict) else None
    if frames is None or frames == []:
        return None
    if not isinstance(frames, list) or not all(type(t) is int and 0 <= t < n_frames for t in frames):
        raise InputError(
            f"{record}: expected verified_frames as frames from 0 to {n_frames - 1}, got {shown(frames)}"
        )
    return sorted(set(frames))
