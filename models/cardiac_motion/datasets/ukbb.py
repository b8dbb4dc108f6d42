"""Folders as the ukbb_cardiac tools for UK Biobank have them (Bai et al. 2018).

A folder for each subject::

    1000001/sa.nii.gz                                    the short-axis cine; la_2ch, la_3ch, la_4ch likewise
    1000001/label_sa.nii.gz                              labels of all frames, empty where none were drawn; or
    1000001/label_sa_ED.nii.gz, label_sa_ES.nii.gz       labels of two, with sa_ED.nii.gz and sa_ES.nii.gz

Labels of the short axis are 1 LV, 2 MYO, 3 RV, in some copies 4 RV; of the long axis 1 LA, 2 RA. Which frame ES
is stands nowhere: it is the one with the voxels of ``sa_ES.nii.gz``. ED is found likewise, and is the first frame
where there is no ``sa_ED.nii.gz``, which is what those tools take. Without the cine ED and ES are a pair. What
their networks found (``seg_sa.nii.gz``) are no labels here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from cardiac_motion.cine import Cine
from cardiac_motion.datasets.case import Case, CaseData, Dataset, broken_case
from cardiac_motion.datasets.files import Listing, beside, name_of, view_of
from cardiac_motion.datasets.frame_files import find_frame, read_pair
from cardiac_motion.datasets.label_files import Values, check_enclosure, remap
from cardiac_motion.errors import InputError
from cardiac_motion.io import LabelImage, check_labels, load_cine, read_labels
from cardiac_motion.io.single_file import stem_of
from cardiac_motion.labels import Label

NAME = "ukbb"

_SEQUENCES = ("sa", "la_2ch", "la_3ch", "la_4ch")
_SHORT_AXIS: Values = {1: Label.LV, 2: Label.MYO, 3: Label.RV, 4: Label.RV}
_LONG_AXIS: Values = {1: Label.LA, 2: Label.RA}
_PHASES = ("ED", "ES")
_OTHER_SUFFIXES = ("_labels", "_label", "_gt", "_seg", "_endo")


@dataclass(frozen=True)
class _Sequence:
    """The files of one view of a subject; ``labels`` of all frames under the phase ""."""

    name: str
    sequence: str
    cine: Path | None
    frames: dict[str, Path]
    labels: dict[str, Path]


def recognise(listing: Listing) -> Path | None:
    """A file that tells that a folder holds this layout, None if it does not."""
    stems = {(path.parent, stem_of(path)): path for path in listing.images}
    for (parent, stem), path in stems.items():
        sequence = stem.removeprefix("label_").removesuffix("_ED").removesuffix("_ES")
        if sequence not in _SEQUENCES or any((parent, sequence + suffix) in stems for suffix in _OTHER_SUFFIXES):
            continue
        if stem.startswith("label_") or stem == sequence:
            return path
    return None


def read_dataset(listing: Listing) -> Dataset:
    """The cases of a folder: one for each view of a subject.

    Raises:
        InputError: two subjects of one name.
    """
    stems = {stem for sequence in _SEQUENCES for stem in _stems(sequence)}
    parents = sorted({path.parent for path in listing.images if stem_of(path) in stems})
    return Dataset(NAME, listing.folder, tuple(case for parent in parents for case in _cases(parent)))


def _stems(sequence: str) -> Iterator[str]:
    for ending in ("", "_ED", "_ES"):
        yield f"{sequence}{ending}"
        yield f"label_{sequence}{ending}"


def _cases(folder: Path) -> Iterator[Case]:
    subject = name_of(folder)
    for sequence in _SEQUENCES:
        name = subject if sequence == "sa" else f"{subject}_{sequence}"
        try:
            files = _files(folder, name, sequence)
        except InputError as error:
            yield broken_case(name, subject, error)
            continue
        if files.cine or files.frames or files.labels:
            has_labels, view = bool(files.labels), view_of(sequence)
            yield Case(name, subject, has_labels, partial(_read, files), view=view)


def _files(folder: Path, name: str, sequence: str) -> _Sequence:
    frames = {phase: path for phase in _PHASES if (path := beside(folder, f"{sequence}_{phase}"))}
    labels = {phase: path for phase in _PHASES if (path := beside(folder, f"label_{sequence}_{phase}"))}
    if every := beside(folder, f"label_{sequence}"):
        labels = {"": every}
    return _Sequence(name, sequence, beside(folder, sequence), frames, labels)


def _read(files: _Sequence) -> CaseData:
    if files.cine is None:
        return _read_pair(files)
    cine, notes = load_cine(files.cine)
    cine = Cine(cine.frames, cine.affine, cine.frame_times, name=files.name)
    if not files.labels:
        return CaseData(cine, notes=notes)
    if "" in files.labels:
        image = _labels(files, "", cine)
        if not image.is_4d:
            raise InputError(f"{files.labels['']}: expected labels of {cine.n_frames} frames, got one frame")
        drawn = {int(t): image.labels[t] for t in np.flatnonzero(image.labels.any(axis=(1, 2, 3)))}
        return _checked(files, CaseData(cine, drawn, notes=notes))
    frames = {phase: _place(files, phase, cine) for phase in files.labels}
    if len(set(frames.values())) < len(frames):
        raise InputError(
            f"{files.labels['ES']}: expected another frame than that of ED, got frame {frames['ES']} for both"
        )
    labels = {frames[phase]: _labels(files, phase, cine).labels[0] for phase in files.labels}
    return _checked(files, CaseData(cine, labels, ed=frames.get("ED"), es=frames.get("ES"), notes=notes))


def _read_pair(files: _Sequence) -> CaseData:
    if not files.frames:
        label = next(iter(files.labels.values()))
        raise InputError(f"{label}: expected the image {files.sequence}.nii.gz beside it")
    missing = [phase for phase in _PHASES if phase not in files.frames]
    if missing:
        there = next(iter(files.frames.values()))
        raise InputError(
            f"{there}: expected {files.sequence}.nii.gz or {files.sequence}_{missing[0]}.nii.gz beside it"
        )
    if "" in files.labels:
        raise InputError(f"{files.labels['']}: expected the cine {files.sequence}.nii.gz beside it")
    cine = read_pair(files.frames["ED"], files.frames["ES"], name=files.name)
    labels = {_PHASES.index(phase): _labels(files, phase, cine).labels[0] for phase in files.labels}
    return _checked(files, CaseData(cine, labels, ed=0, es=1, is_pair=True))


def _place(files: _Sequence, phase: str, cine: Cine) -> int:
    if phase in files.frames:
        return find_frame(files.frames[phase], cine)
    if phase == "ED":
        return 0
    raise InputError(
        f"{files.labels[phase]}: expected {files.sequence}_{phase}.nii.gz beside it, to tell which frame of the "
        "cine it belongs to"
    )


def _labels(files: _Sequence, phase: str, cine: Cine) -> LabelImage:
    path = files.labels[phase]
    image = read_labels(path)
    values = _SHORT_AXIS if files.sequence == "sa" else _LONG_AXIS
    if files.sequence == "sa" and (image.labels == 3).any() and (image.labels == 4).any():
        raise InputError(f"{path}: expected the RV as value 3 or 4, got both")
    labels = remap(image.labels, values, name=str(path), source=f"ukbb_cardiac ({files.sequence})")
    image = LabelImage(labels, image.affine, image.is_4d, name=image.name)
    check_labels(image, cine)
    if phase and image.is_4d:
        raise InputError(f"{path}: expected labels of one frame, got {len(image.labels)}")
    return image


def _checked(files: _Sequence, data: CaseData) -> CaseData:
    check_enclosure(data.labels.values(), name=str(next(iter(files.labels.values()), files.name)))
    return data
