"""Any folder of images, with labels beside some of them, told by their names.

Five kinds of names, in the folder or below it, each ending in .nii, .nii.gz, .nrrd or .seq.nrrd:

- a cine with labels of some or all frames: ``NAME`` and ``NAME_labels``;
- a study in a folder of its own, as `cardiac-motion phantom` writes it: ``cine`` and ``labels``, named after the
  folder, and what else lies beside them, such as ``2ch`` and ``2ch_labels``, named ``FOLDER_2ch``;
- views in a folder of their own, as `cardiac-motion import` writes them: ``sax``, ``4ch`` and so on, named
  ``FOLDER_sax``;
- a pair of end-diastole and end-systole: ``NAME_ED``, ``NAME_ES``, ``NAME_ED_gt`` and ``NAME_ES_gt``;
- the same with numbers: ``NAME_frame01``, ``NAME_frame01_gt``, ``NAME_frame12`` and ``NAME_frame12_gt``; the lower
  number is end-diastole.

For ``_labels`` and ``_gt``, ``_label`` and ``_seg`` do as well. ``_endo`` holds 0 and 1, the LV cavity. Other
labels have our values. Folders of motion (with ``motion.json``), the strains of a study and whatever is hidden are
no images.

The patient is the folder of a study or of views, else the name without a view at its end: ``p1_4ch`` is of ``p1``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from cardiac_motion.cine import Cine
from cardiac_motion.datasets.case import Case, CaseData, Dataset, broken_case
from cardiac_motion.datasets.files import Listing, by_stem, name_of, split_view, view_of
from cardiac_motion.datasets.frame_files import read_pair
from cardiac_motion.datasets.label_files import OWN_VALUES, check_enclosure, read_remapped
from cardiac_motion.errors import InputError
from cardiac_motion.io import LabelImage, check_labels, load_cine
from cardiac_motion.io.single_file import stem_of
from cardiac_motion.labels import Label

NAME = "folder"

_LABEL_SUFFIXES = ("_gt", "_labels", "_label", "_seg", "_endo")
_CAVITY_SUFFIX = "_endo"
_CAVITY_VALUES = {1: Label.LV}
_STUDY_IMAGE, _STUDY_LABELS = "cine", "labels"
_MOTION_FILE = "motion.json"
_STRAINS = ("strain_radial", "strain_circumferential", "strain_longitudinal")
_PHASE = re.compile(r"(?P<name>.+)_(?P<phase>ED|ES)$", re.IGNORECASE)
_NUMBERED = re.compile(r"(?P<name>.+)_frame(?P<number>\d+)$", re.IGNORECASE)

Key = tuple[Path, str]
"""Folder and name without its ending."""


@dataclass(frozen=True)
class _Files:
    """Files of one case: one image and at most one label file of a cine, or two of each, end-diastole first."""

    name: str
    images: tuple[Path, ...]
    labels: tuple[Path, ...]


def read_dataset(listing: Listing) -> Dataset:
    """The cases of a folder, images without labels among them.

    Raises:
        InputError: no image, or two cases of one name.
    """
    folder = listing.folder
    stems = by_stem(path for path in listing.images if not (path.parent / _MOTION_FILE).is_file())
    if not stems:
        raise InputError(
            f"found no image in {folder}: expected a data set (ACDC, M&Ms, Sunnybrook, UK Biobank as ukbb_cardiac "
            "has it, studies of a server), NAME.nii.gz with NAME_labels.nii.gz, cine.nii.gz with labels.nii.gz, "
            "or NAME_ED.nii.gz and NAME_ES.nii.gz with NAME_ED_gt.nii.gz and NAME_ES_gt.nii.gz"
        )
    studies = {p for p, stem in stems if stem == _STUDY_IMAGE and ((p, _STUDY_LABELS) in stems or p != folder)}
    stems = {key: p for key, p in stems.items() if not (key[0] in studies and key[1] in _STRAINS)}
    labels = {key: _label_of(key, stems) for key in stems if not _is_label(key, stems)}
    cases: list[Case] = []
    pairs: dict[Key, dict[str, tuple[Path, Path]]] = {}
    for key, label in labels.items():
        if label is None:
            continue
        parent, stem = key
        if match := _PHASE.match(stem):
            pairs.setdefault((parent, match["name"]), {})[match["phase"].upper()] = (stems[key], label)
        elif match := _NUMBERED.match(stem):
            pairs.setdefault((parent, match["name"]), {})[match["number"]] = (stems[key], label)
        else:
            cases.append(_case(folder, key, studies, (stems[key],), (label,)))
    for key, frames in pairs.items():
        try:
            cases.append(_case(folder, key, studies, *_pair(key, frames)))
        except InputError as error:
            cases.append(broken_case(key[1], split_view(key[1])[0], error))
    return Dataset(NAME, folder, (*cases, *_without_labels(folder, stems, labels, studies, {c.id for c in cases})))


def _without_labels(
    folder: Path,
    stems: Mapping[Key, Path],
    labels: Mapping[Key, Path | None],
    studies: Collection[Path],
    taken: Collection[str],
) -> list[Case]:
    cases = [
        (key, _case(folder, key, studies, (stems[key],), ())) for key, label in labels.items() if label is None
    ]
    often = Counter(case.id for _, case in cases)
    # They need no names of their own to be left out of an evaluation; two scouts of two patients are no mistake.
    return [
        case if often[case.id] == 1 and case.id not in taken else _renamed(case, stems[key].relative_to(folder))
        for key, case in cases
    ]


def _renamed(case: Case, path: Path) -> Case:
    return Case(path.as_posix(), case.patient, case.has_labels, case.read, view=case.view)


def _case(
    folder: Path, key: Key, studies: Collection[Path], images: tuple[Path, ...], labels: tuple[Path, ...]
) -> Case:
    parent, stem = key
    view = view_of(stem)
    if parent in studies or (view is not None and parent != folder):
        patient = name_of(parent)
        name = patient if stem == _STUDY_IMAGE and parent in studies else f"{patient}_{stem}"
    else:
        name = stem
        patient, view = (stem, view) if view else split_view(stem)
    files = _Files(name, images, labels)
    return Case(name, patient, bool(labels), partial(_read, files), view=view)


def _is_label(key: Key, stems: Mapping[Key, Path]) -> bool:
    """Whether a file holds labels: its name ends so, and the image that it belongs to is there."""
    parent, stem = key
    if stem == _STUDY_LABELS and (parent, _STUDY_IMAGE) in stems:
        return True
    return any(
        stem.lower().endswith(suffix) and (parent, stem[: -len(suffix)]) in stems for suffix in _LABEL_SUFFIXES
    )


def _label_of(key: Key, stems: Mapping[Key, Path]) -> Path | None:
    parent, stem = key
    names = [stem + suffix for suffix in _LABEL_SUFFIXES]
    if stem == _STUDY_IMAGE:
        names.append(_STUDY_LABELS)
    return next((stems[parent, name] for name in names if (parent, name) in stems), None)


def _pair(key: Key, frames: Mapping[str, tuple[Path, Path]]) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Images and labels of end-diastole and end-systole, by phase or by number."""
    parent, name = key
    phases = dict(frames)
    if not phases.keys() & {"ED", "ES"} and len(phases) == 2:
        phases = dict(zip(("ED", "ES"), (phases[n] for n in sorted(phases, key=int)), strict=True))
    if set(phases) != {"ED", "ES"}:
        raise InputError(
            f"{name} in {parent}: expected one labelled frame of ED and one of ES, got {', '.join(sorted(frames))}"
        )
    images, labels = zip(phases["ED"], phases["ES"], strict=True)
    return images, labels


def _read(files: _Files) -> CaseData:
    is_pair = len(files.images) == 2
    notes: tuple[str, ...] = ()
    if is_pair:
        cine = read_pair(*files.images, name=files.name)
    else:
        cine, notes = load_cine(files.images[0])
        cine = Cine(cine.frames, cine.affine, cine.frame_times, name=files.name)
    images = [_read_labels(path, cine) for path in files.labels]
    if not images:
        return CaseData(cine, notes=notes)
    labels = np.concatenate([image.labels for image in images])
    if labels.shape[0] != cine.n_frames:
        raise InputError(
            f"{files.labels[0]}: expected labels of {cine.n_frames} frames as the cine has, got {labels.shape[0]}"
        )
    drawn = {int(t): labels[t] for t in np.flatnonzero(labels.any(axis=(1, 2, 3)))}
    check_enclosure(drawn.values(), name=str(files.labels[0]))
    ed, es = (0, 1) if is_pair else (None, None)
    return CaseData(cine, drawn, ed=ed, es=es, is_pair=is_pair, notes=notes)


def _read_labels(path: Path, cine: Cine) -> LabelImage:
    is_cavity = stem_of(path).lower().endswith(_CAVITY_SUFFIX)
    values, source = (_CAVITY_VALUES, f"NAME{_CAVITY_SUFFIX}") if is_cavity else (OWN_VALUES, "this project")
    image = read_remapped(path, values, source=source)
    check_labels(image, cine)
    return image
