"""Cases to evaluate on: images with labels, found in a folder by their names.

Four kinds of names, in the folder or below it, each ending in .nii, .nii.gz, .nrrd or .seq.nrrd:

- a cine with labels of some or all frames: ``NAME`` and ``NAME_labels``;
- a study in a folder of its own, as `cardiac-motion phantom` writes it: ``cine`` and ``labels``, named after the
  folder, and what else lies beside them, such as ``2ch`` and ``2ch_labels``, named ``FOLDER_2ch``;
- a pair of end-diastole and end-systole: ``NAME_ED``, ``NAME_ES``, ``NAME_ED_gt`` and ``NAME_ES_gt``;
- the same as the ACDC challenge has it: ``NAME_frame01``, ``NAME_frame01_gt``, ``NAME_frame12`` and
  ``NAME_frame12_gt``; which is which from ``Info.cfg`` beside them, or the lower number is end-diastole.

For ``_labels`` and ``_gt``, ``_label`` and ``_seg`` do as well. ``_endo`` holds 0 and 1, the LV cavity.
Folders of motion (with ``motion.json``), the strains of a study and whatever is hidden are no images.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cardiac_motion.analysis.volumes import end_systole, volumes_ml
from cardiac_motion.cine import Cine
from cardiac_motion.errors import InputError
from cardiac_motion.io import (
    CORNER_TOLERANCE,
    LabelImage,
    check_labels,
    corner_distance,
    read_cine,
    read_frame,
    read_labels,
)
from cardiac_motion.labels import STRUCTURES, Label

_ENDINGS = (".nii", ".nii.gz", ".nrrd")
_LABEL_SUFFIXES = ("_gt", "_labels", "_label", "_seg", "_endo")
_CAVITY_SUFFIX = "_endo"
_STUDY_IMAGE, _STUDY_LABELS = "cine", "labels"
_MOTION_FILE = "motion.json"
_STRAINS = ("strain_radial", "strain_circumferential", "strain_longitudinal")
_PHASE = re.compile(r"(?P<name>.+)_(?P<phase>ED|ES)$", re.IGNORECASE)
_NUMBERED = re.compile(r"(?P<name>.+)_frame(?P<number>\d+)$", re.IGNORECASE)

PAIR_TIMES = (0.0, 0.3)
"""Seconds of the two frames of a pair, whose files have no times: about the length of systole."""


@dataclass(frozen=True)
class CaseFiles:
    """Files of one case: one image and label file of a cine, or two of each, end-diastole first."""

    name: str
    images: tuple[Path, ...]
    labels: tuple[Path, ...]

    @property
    def is_pair(self) -> bool:
        """Whether it is a pair of two frames."""
        return len(self.images) == 2


@dataclass(frozen=True)
class Found:
    """What a folder holds: the cases, and the images that have no labels and are left out."""

    cases: tuple[CaseFiles, ...]
    without_labels: tuple[Path, ...]


@dataclass(frozen=True, eq=False)
class Case:
    """A cine with the truth.

    Attributes:
        name: of the case.
        cine: (T, Z, Y, X); of a pair T = 2, ED first.
        labels: (T, Z, Y, X) uint8, empty where a frame has none.
        labelled: frames with labels, in order.
        source: the frame that labels are carried from: 0, or the first one with labels.
        es: the frame of end-systole among the other labelled ones.
        structures: those in any frame.
        is_pair: whether it came as two frames without times.
    """

    name: str
    cine: Cine
    labels: npt.NDArray[np.uint8]
    labelled: tuple[int, ...]
    source: int
    es: int
    structures: tuple[Label, ...]
    is_pair: bool = False

    @property
    def targets(self) -> tuple[int, ...]:
        """The labelled frames but the source."""
        return tuple(t for t in self.labelled if t != self.source)

    @classmethod
    def of(cls, cine: Cine, labels: npt.NDArray[np.uint8], *, is_pair: bool = False) -> Case:
        """A case from a cine and its labels (T, Z, Y, X).

        Raises:
            InputError: fewer than two labelled frames, or nothing in the frames to carry from or to.
        """
        if labels.shape != cine.shape:
            raise InputError(f"{cine.name}: expected labels (T, Z, Y, X) = {cine.shape}, got {labels.shape}")
        labelled = tuple(int(t) for t in np.flatnonzero(labels.any(axis=(1, 2, 3))))
        if len(labelled) < 2:
            raise InputError(
                f"{cine.name}: evaluation needs labels on at least 2 frames, got labels on {list(labelled)}"
            )
        source = labelled[0]
        return cls(
            name=cine.name,
            cine=cine,
            labels=labels,
            labelled=labelled,
            source=source,
            es=end_systole_of(labels, cine.spacing, source=source),
            structures=tuple(s for s in STRUCTURES if (labels == s).any()),
            is_pair=is_pair,
        )


def end_systole_of(labels: npt.NDArray[np.uint8], spacing: tuple[float, float, float], *, source: int) -> int:
    """The labelled frame, other than the source, with the smallest ventricle.

    Without ventricles it is the one in which the first structure differs most in volume from the source.

    Args:
        labels: (T, Z, Y, X), labels on the source and on at least one more frame.
        spacing: (z, y, x) mm.
        source: the frame of end-diastole.
    """
    volumes = volumes_ml(labels, spacing)
    targets = [int(t) for t in np.flatnonzero(labels.any(axis=(1, 2, 3))) if t != source]
    for ventricle in (Label.LV, Label.RV):
        if ventricle in volumes and volumes[ventricle][targets].any():
            return targets[end_systole(volumes[ventricle][targets])]
    first = next(iter(volumes.values()))
    return targets[int(np.argmax(np.abs(first[targets] - first[source])))]


def find_cases(folder: Path | str) -> Found:
    """Every case in a folder and below it, in the order of their names.

    Raises:
        InputError: no such folder, no case in it, a frame of a pair that is missing, or two cases of one name.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"expected a folder of images and labels, got {folder}")
    by_stem = {(p.parent, _stem(p)): p for p in _image_files(folder)}
    studies = {parent for parent, stem in by_stem if stem == _STUDY_IMAGE and (parent, _STUDY_LABELS) in by_stem}
    by_stem = {key: p for key, p in by_stem.items() if not (key[0] in studies and key[1] in _STRAINS)}
    labels = {key: _label_of(key, by_stem) for key in by_stem if not _is_label(key, by_stem)}
    labelled = {key: label for key, label in labels.items() if label is not None}
    cases: list[CaseFiles] = []
    pairs: dict[tuple[Path, str], dict[str, tuple[Path, Path]]] = {}
    for (parent, stem), label in labelled.items():
        image = by_stem[parent, stem]
        if match := _PHASE.match(stem):
            pairs.setdefault((parent, match["name"]), {})[match["phase"].upper()] = (image, label)
        elif match := _NUMBERED.match(stem):
            pairs.setdefault((parent, match["name"]), {})[match["number"]] = (image, label)
        else:
            cases.append(CaseFiles(_name_in(parent, stem, studies), (image,), (label,)))
    cases += [_pair(parent, name, frames) for (parent, name), frames in pairs.items()]
    cases.sort(key=lambda case: case.name)
    if not cases:
        raise InputError(
            f"found no case in {folder}: expected NAME.nii.gz with NAME_labels.nii.gz, cine.nii.gz with "
            "labels.nii.gz, or NAME_ED.nii.gz and NAME_ES.nii.gz with NAME_ED_gt.nii.gz and NAME_ES_gt.nii.gz; "
            f"got {len(by_stem)} image files"
        )
    names = [case.name for case in cases]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"expected one case of each name in {folder}, got several of {', '.join(twice)}")
    return Found(tuple(cases), tuple(by_stem[key] for key, label in labels.items() if label is None))


def _image_files(folder: Path) -> list[Path]:
    """Files with the name of an image that are not hidden and not part of a motion, in order."""
    files = sorted(p for p in folder.rglob("*") if p.name.lower().endswith(_ENDINGS) and p.is_file())
    motions = {parent for parent in {p.parent for p in files} if (parent / _MOTION_FILE).is_file()}
    shown = (p for p in files if not any(part.startswith(".") for part in p.relative_to(folder).parts))
    return [p for p in shown if p.parent not in motions]


def _name_in(parent: Path, stem: str, studies: Collection[Path]) -> str:
    """What a cine is called: in the folder of a study after that, elsewhere as its file."""
    if parent not in studies:
        return stem
    study = parent.resolve().name
    return study if stem == _STUDY_IMAGE else f"{study}_{stem}"


def _stem(path: Path) -> str:
    for ending in (".nii.gz", ".seq.nrrd", *_ENDINGS):
        if path.name.lower().endswith(ending):
            return path.name[: -len(ending)]
    return path.stem


def _is_label(key: tuple[Path, str], stems: Mapping[tuple[Path, str], Path]) -> bool:
    """Whether a file holds labels: its name ends so, and the image that it belongs to is there."""
    parent, stem = key
    if stem == _STUDY_LABELS and (parent, _STUDY_IMAGE) in stems:
        return True
    return any(
        stem.lower().endswith(suffix) and (parent, stem[: -len(suffix)]) in stems for suffix in _LABEL_SUFFIXES
    )


def _label_of(key: tuple[Path, str], stems: Mapping[tuple[Path, str], Path]) -> Path | None:
    parent, stem = key
    names = [stem + suffix for suffix in _LABEL_SUFFIXES]
    if stem == _STUDY_IMAGE:
        names.append(_STUDY_LABELS)
    return next((stems[parent, name] for name in names if (parent, name) in stems), None)


def _pair(parent: Path, name: str, frames: Mapping[str, tuple[Path, Path]]) -> CaseFiles:
    """End-diastole and end-systole of a case, by phase or by number."""
    phases = dict(frames)
    if not phases.keys() & {"ED", "ES"}:
        phases = _phases_of_numbers(parent / "Info.cfg", phases)
    if set(phases) != {"ED", "ES"}:
        raise InputError(
            f"{name} in {parent}: expected one labelled frame of ED and one of ES, got {', '.join(sorted(frames))}"
        )
    (ed, ed_label), (es, es_label) = phases["ED"], phases["ES"]
    return CaseFiles(name, (ed, es), (ed_label, es_label))


def _phases_of_numbers(info: Path, frames: Mapping[str, tuple[Path, Path]]) -> dict[str, tuple[Path, Path]]:
    by_number = {int(number): files for number, files in frames.items()}
    numbers = sorted(by_number)
    if info.is_file():
        stated = dict(re.findall(r"^\s*(ED|ES)\s*:\s*(\d+)\s*$", info.read_text(encoding="utf-8"), re.MULTILINE))
        numbers = [int(stated[phase]) for phase in ("ED", "ES") if phase in stated]
    if len(numbers) != 2 or any(number not in by_number for number in numbers):
        return dict(frames)
    return {phase: by_number[number] for phase, number in zip(("ED", "ES"), numbers, strict=True)}


def read_case(files: CaseFiles) -> Case:
    """Read a case and check that its labels belong to its images.

    Raises:
        InputError: whatever is wrong with a file, or files that do not belong together.
    """
    cine = _read_pair(files) if files.is_pair else read_cine(files.images[0])
    cine = Cine(cine.frames, cine.affine, cine.frame_times, name=files.name)
    images = [_read_checked(path, cine) for path in files.labels]
    labels = np.concatenate([image.labels for image in images])
    if labels.shape[0] != cine.n_frames:
        raise InputError(
            f"{files.labels[0]}: expected labels of {cine.n_frames} frames as the cine has, got {labels.shape[0]}"
        )
    return Case.of(cine, labels, is_pair=files.is_pair)


def _read_pair(files: CaseFiles) -> Cine:
    (ed, affine), (es, other) = (read_frame(path) for path in files.images)
    if ed.shape != es.shape:
        raise InputError(f"{files.name}: ED and ES must have one size, got (Z, Y, X) = {ed.shape} and {es.shape}")
    distance = corner_distance(affine, other, ed.shape)
    if distance.voxels > CORNER_TOLERANCE:
        raise InputError(
            f"{files.name}: ED and ES must lie in one place, their corners are {distance.mm:.3g} mm apart"
        )
    return Cine(np.stack([ed, es]), affine, np.array(PAIR_TIMES))


def _read_checked(path: Path, cine: Cine) -> LabelImage:
    image = read_labels(path)
    is_cavity = _stem(path).lower().endswith(_CAVITY_SUFFIX)
    check_labels(image, cine, allowed=(0, 1) if is_cavity else tuple(Label))
    if not is_cavity:
        return image
    labels = np.where(image.labels == 1, np.uint8(Label.LV), np.uint8(Label.BACKGROUND))
    return LabelImage(labels, image.affine, image.is_4d, name=image.name)
