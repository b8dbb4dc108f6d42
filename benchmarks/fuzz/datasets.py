"""Data sets: their tables, contours, records and splits, compared with the files read one by one."""

from __future__ import annotations

import csv
import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from cardiac_motion.datasets import find_dataset
from cardiac_motion.datasets.case import CaseData
from cardiac_motion.datasets.split_file import read_split
from cardiac_motion.datasets.splits import Split
from cardiac_motion.errors import InputError
from cardiac_motion.labels import Label
from skimage.measure import grid_points_in_poly

from benchmarks.dicom_folders import Files
from benchmarks.fuzz import layouts, nifti
from benchmarks.fuzz.compare import different_values
from benchmarks.fuzz.folders import files_moved
from benchmarks.fuzz.json_damage import damaged_json
from benchmarks.fuzz.target import CannotTellError, Mutant, Sample
from benchmarks.fuzz.text_damage import damaged_text

Array = npt.NDArray[Any]
Data = dict[str, CaseData]

_TEXTS = (".cfg", ".csv", ".txt", ".json")
_SPLIT = "split"
_SAME_FRAME = 1.01e-3
_LAYOUTS: Mapping[str, Callable[[], Files]] = {
    "acdc": layouts.acdc,
    "mnms": layouts.mnms,
    "ukbb": layouts.ukbb,
    "studies": layouts.studies,
    "folder": layouts.plain,
    "sunnybrook": layouts.sunnybrook,
}


class DatasetTarget:
    """Every layout, and files of splits."""

    name = "data sets"

    def samples(self) -> list[Sample]:
        """One patient of each layout."""
        parts = {"train": ["a", "b", "é"], "validation": ["c"], "test": ["d"]}
        split = {"format": "cardiac-motion split", "version": 1, "seed": 3, "folds": False, "parts": parts}
        folds = split | {"folds": True, "parts": {"0": ["a"], "1": ["b", "c"]}}
        return [
            *(Sample(make(), kind) for kind, make in _LAYOUTS.items()),
            *(Sample({"split.json": json.dumps(each).encode()}, _SPLIT) for each in (split, folds)),
        ]

    def mutate(self, samples: Sequence[Sample], luck: random.Random) -> Mutant:
        """Most often what is text; now and then images and which files there are."""
        sample = luck.choice(samples)
        files: Files = dict(sample.files)
        texts = [name for name in sorted(files) if name.endswith(_TEXTS)]
        images = [name for name in sorted(files) if name.endswith(".nii")]
        chance = luck.random()
        if chance < 0.03:
            what = "untouched"
        elif chance < 0.2:
            what = files_moved(files, luck)
        elif images and (chance < 0.4 or not texts):
            name = luck.choice(images)
            files[name], what = nifti.mutated(files[name], luck)
        else:
            name = luck.choice(texts)
            change = damaged_json if name.endswith(".json") else damaged_text
            files[name], what = change(files[name], luck)
            what = f"{Path(name).name}: {what}"
        return Mutant(files, what, sample.kind)

    def read(self, folder: Path, kind: str) -> Split | Data:
        """All cases that can be read; a refusal if there is none."""
        if kind == _SPLIT:
            return read_split(next(iter(sorted(folder.glob("*.json"))), folder / "split.json"))
        found: Data = {}
        refusals: list[InputError] = []
        for case in find_dataset(folder).cases:
            try:
                found[case.id] = case.load()
            except InputError as error:
                refusals.append(error)
        if not found:
            raise refusals[0] if refusals else InputError("no cases")
        return found

    def judge(self, folder: Path, kind: str, result: Split | Data) -> str | None:
        """Images as other readers have them, frames as the tables say, labels as they were drawn."""
        if isinstance(result, Split):
            path = next(iter(sorted(folder.glob("*.json"))))
            parts = json.loads(path.read_bytes().decode("utf-8-sig"))["parts"]
            same = {name: sorted(patients) for name, patients in parts.items()} == {
                name: list(patients) for name, patients in result.parts.items()
            }
            return None if same else "other patients than in the file"
        for name, data in result.items():
            wrong = _JUDGES[kind](folder, name, data)
            if wrong:
                return f"{name}: {wrong}"
        return None


def _values(path: Path) -> Array:
    """Voxels of an image by another reader: (T, Z, Y, X), or (1, Z, Y, X)."""
    values = nifti.independent(path).values
    return values if values.ndim == 4 else values[None]


def _one(paths: Sequence[Path], what: str) -> Path:
    if len(paths) != 1:
        raise CannotTellError(f"{len(paths)} {what}")
    return paths[0]


def _same_labels(data: CaseData, drawn: Mapping[int, Array], values: Mapping[Label, int]) -> str | None:
    """Whether labels are those of the files, with our values."""
    if set(data.labels) != set(drawn):
        return f"labels at {sorted(data.labels)}, files have them at {sorted(drawn)}"
    for frame, theirs in drawn.items():
        ours = np.zeros(theirs.shape)
        for label, value in values.items():
            ours[theirs == value] = label
        wrong = different_values(data.labels[frame], ours)
        if wrong:
            return f"labels of frame {frame}: {wrong}"
    return None


def _not_empty(labels: Array) -> dict[int, Array]:
    return {t: frame for t, frame in enumerate(labels) if frame.any()}


def _acdc(folder: Path, name: str, data: CaseData) -> str | None:  # noqa: ARG001 - all judges have one form
    info = _one(list(folder.rglob("Info.cfg")), "files Info.cfg")
    text = info.read_bytes().decode("utf-8-sig", "replace")
    said = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    said = {name.strip(): value.strip() for name, value in said.items()}
    ed, es = (int(float(said[phase])) for phase in ("ED", "ES"))
    cine = list(info.parent.glob("*_4d.nii*"))
    expected = (ed - 1, es - 1) if cine else (0, 1)
    if (data.ed, data.es) != expected:
        return f"ED and ES are {data.ed} and {data.es}, Info.cfg has {ed} and {es} (from 1)"
    wrong = different_values(data.cine.frames, _values(cine[0])) if cine else None
    labels = {
        frame: _values(_one(list(info.parent.glob(f"*_frame{number:02d}_gt.nii*")), f"labels of {number}"))[0]
        for frame, number in zip(expected, (ed, es), strict=True)
        if data.labels
    }
    return wrong or _same_labels(data, labels, layouts.ACDC)


def _mnms(folder: Path, name: str, data: CaseData) -> str | None:
    image = _one(list(folder.rglob(f"{name}_sa.nii*")), "images")
    wrong = different_values(data.cine.frames, _values(image))
    labels = list(folder.rglob(f"{name}_sa_gt.nii*"))
    if wrong or not labels:
        return wrong
    table = _one([path for path in folder.rglob("*.csv") if b"External code" in path.read_bytes()], "tables")
    rows = [
        {key.strip(): (value or "").strip() for key, value in row.items() if key}
        for row in csv.DictReader(table.read_text(encoding="utf-8-sig", errors="replace").splitlines())
    ]
    row = next((row for row in rows if row.get("External code") == name), None)
    if row is None or (data.ed, data.es) != (int(float(row["ED"])), int(float(row["ES"]))):
        return f"ED and ES are {data.ed} and {data.es}, the table has {row}"
    return _same_labels(data, _not_empty(_values(labels[0])), layouts.MNMS)


def _ukbb(folder: Path, name: str, data: CaseData) -> str | None:  # noqa: ARG001 - the same
    cine = list(folder.rglob("sa.nii*"))
    if not cine:
        return None
    wrong = different_values(data.cine.frames, _values(cine[0]))
    for phase, frame in (("ED", data.ed), ("ES", data.es)):
        own = list(folder.rglob(f"sa_{phase}.nii*"))
        labels = list(folder.rglob(f"label_sa_{phase}.nii*"))
        if wrong or frame is None or not labels:
            continue
        if own:
            # A frame is found by its voxels, rounding allowed for.
            off = float(np.abs(data.cine.frames[frame] - _values(own[0])[0]).max())
            wrong = f"{phase} is another frame" if off > _SAME_FRAME * float(np.ptp(data.cine.frames)) else None
        wrong = wrong or different_values(
            data.labels[frame],
            np.select(
                [_values(labels[0])[0] == v for v in (1, 2, 3, 4)], [Label.LV, Label.MYO, Label.RV, Label.RV]
            ),
        )
    return wrong


def _studies(folder: Path, name: str, data: CaseData) -> str | None:
    wrong = different_values(data.cine.frames, _values(_one(list(folder.glob(f"{name}.nii*")), "images")))
    records = sorted((folder / ".cardiac_motion" / "labels" / "final" / name).glob("??????*.json"))
    if wrong or not records:
        return wrong
    labels = _values(records[-1].with_suffix(".nii.gz"))
    info = json.loads(records[-1].read_bytes().decode("utf-8-sig")).get("info")
    frames = info.get("verified_frames") if isinstance(info, dict) else None
    drawn = {t: labels[t] for t in frames} if frames else _not_empty(labels)
    return _same_labels(data, drawn, layouts.OWN)


def _folder(folder: Path, name: str, data: CaseData) -> str | None:
    image = [path for path in folder.rglob("*.nii*") if path.name.split(".")[0] == name]
    if len(image) != 1:
        raise CannotTellError(f"{len(image)} images of this name")
    wrong = different_values(data.cine.frames, _values(image[0]))
    labels = [path for path in folder.rglob("*.nii*") if path.name.split(".")[0] == f"{name}_labels"]
    return wrong or (
        _same_labels(data, _not_empty(_values(labels[0])), layouts.OWN) if labels and data.labels else None
    )


def _sunnybrook(folder: Path, name: str, data: CaseData) -> str | None:  # noqa: ARG001 - the same
    """The LV is what a contour holds, in the slice and frame of the image that has its number."""
    places = _places(folder, data)
    drawn: set[tuple[int, int]] = set()
    for path in folder.rglob("*icontour-manual.txt"):
        number = re.search(r"(\d+)-icontour", path.name)
        points = np.atleast_2d(np.genfromtxt(_text(path).replace(",", " ").splitlines()))
        if number is None or int(number[1]) not in places:
            raise CannotTellError(f"no image of {path.name}")
        t, z = places[int(number[1])]
        if t not in data.labels or not _fits(points, data.labels[t][z]):
            return f"LV of frame {t}, slice {z} is not that of {path.name}"
        drawn.add((t, z))
    found = {(t, int(z)) for t, labels in data.labels.items() for z in np.flatnonzero(labels.any(axis=(1, 2)))}
    return f"labels at (frame, slice) {sorted(found - drawn)} without a contour" if found - drawn else None


def _places(folder: Path, data: CaseData) -> dict[int, tuple[int, int]]:
    """Frame and slice of each image by the number in its name, as pydicom has position and time."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ data.cine.affine
    slices = [(lps @ [0.0, 0.0, z, 1.0])[:3] for z in range(data.cine.shape[1])]
    images: dict[int, tuple[float, int]] = {}
    for path in folder.rglob("*.dcm"):
        number = re.fullmatch(r"IM-\d+-(\d+)", path.stem)
        ds = pydicom.dcmread(path, stop_before_pixels=True)
        away = [float(np.linalg.norm(np.array(ds.ImagePositionPatient, float) - place)) for place in slices]
        if number is None or min(away) > 1:
            raise CannotTellError(f"{path.name} is in no slice")
        images[int(number[1])] = float(ds.TriggerTime), int(np.argmin(away))
    times = {z: sorted(time for time, place in images.values() if place == z) for z in range(len(slices))}
    return {number: (times[z].index(time), z) for number, (time, z) in images.items()}


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        return path.read_bytes().decode("latin-1")


def _fits(points: Array, labels: Array) -> bool:
    """Whether the LV is what a contour holds, but for pixels that it crosses."""
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        return False
    inside = grid_points_in_poly(labels.shape, points[:, ::-1])
    ends = np.roll(points, -1, axis=0)
    share = np.linspace(0, 1, 200)[:, None, None]
    edge = np.unique(np.rint((points + share * (ends - points)).reshape(-1, 2)).astype(int), axis=0)
    known = np.ones(labels.shape, dtype=bool)
    edge = edge[(edge >= 0).all(axis=1) & (edge < labels.shape[::-1]).all(axis=1)]
    known[edge[:, 1], edge[:, 0]] = False
    return bool(((labels == Label.LV) == inside)[known].all())


_JUDGES: Mapping[str, Callable[[Path, str, CaseData], str | None]] = {
    "acdc": _acdc,
    "mnms": _mnms,
    "ukbb": _ukbb,
    "studies": _studies,
    "folder": _folder,
    "sunnybrook": _sunnybrook,
}
