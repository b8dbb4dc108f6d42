"""M&Ms (Multi-Centre, Multi-Vendor and Multi-Disease Cardiac Segmentation Challenge, Campello et al. 2021).

One table in the folder or above it, and two 4D files for each patient at any depth::

    211230_M&Ms_Dataset_information_diagnosis_opendataset.csv
                       External code, VendorName, Vendor, Centre, ED, ES (from 0), Age, Pathology, Sex, ...
    Training/Labeled/A0S9V9/A0S9V9_sa.nii.gz
    Training/Labeled/A0S9V9/A0S9V9_sa_gt.nii.gz      1 LV, 2 MYO, 3 RV, at ED and ES; remapped to ours
    Training/Unlabeled/..., Validation/..., Testing/...
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from cardiac_motion.cine import Cine
from cardiac_motion.datasets.case import Case, CaseData, Dataset
from cardiac_motion.datasets.files import Listing, beside, known, read_table, table_header, whole_number
from cardiac_motion.datasets.label_files import check_enclosure, read_remapped
from cardiac_motion.errors import InputError
from cardiac_motion.io import check_labels, load_cine
from cardiac_motion.io.single_file import stem_of
from cardiac_motion.labels import Label

NAME = "mnms"

VALUES = {1: Label.LV, 2: Label.MYO, 3: Label.RV}

_KEY = "External code"
_IMAGE, _LABELS = "_sa", "_sa_gt"
_ABOUT = {
    "Pathology": "group",
    "VendorName": "vendor_name",
    "Vendor": "vendor",
    "Centre": "centre",
    "Age": "age",
    "Sex": "sex",
    "Height": "height_cm",
    "Weight": "weight_kg",
}
_FLOORS_UP = 3
"""The table lies above ``Training/Labeled/A0S9V9``, which somebody may have named as the folder."""


def recognise(listing: Listing) -> Path | None:
    """The table, where there is one in the folder, or above it for images with the names of this data set."""
    if found := _tables(listing.files):
        return found[0]
    if not any(stem_of(path).endswith(_IMAGE) for path in listing.images):
        return None
    for above in list(listing.folder.resolve().parents)[:_FLOORS_UP]:
        if found := _tables(above.glob("*.csv")):
            return found[0]
    return None


def _tables(paths: Iterable[Path]) -> list[Path]:
    files = sorted(path for path in paths if path.suffix.lower() == ".csv")
    return [path for path in files if {_KEY, "ED", "ES"} <= set(table_header(path))]


def read_dataset(listing: Listing) -> Dataset:
    """The cases of a folder.

    Raises:
        InputError: several tables, one that cannot be read, no image, or two of one name.
    """
    folder, tables = listing.folder, _tables(listing.files)
    if len(tables) > 1:
        raise InputError(
            f"{folder}: expected one table with the column {_KEY!r}, got {' and '.join(map(str, tables))}"
        )
    table = recognise(listing)
    if table is None:
        raise InputError(f"{folder}: expected a table with the columns {_KEY!r}, 'ED' and 'ES'")
    rows = read_table(table, _KEY)
    images = [path for path in listing.images if stem_of(path).endswith(_IMAGE)]
    if not images:
        raise InputError(f"{folder}: expected images such as CODE{_IMAGE}.nii.gz of {table.name}, got none")
    return Dataset(NAME, folder, tuple(_case(folder, path, table, rows) for path in images))


def _case(folder: Path, image: Path, table: Path, rows: Mapping[str, Mapping[str, str]]) -> Case:
    code = stem_of(image).removesuffix(_IMAGE)
    labels = beside(image.parent, f"{code}{_LABELS}")
    about = known(rows.get(code, {}), _ABOUT)
    # Whatever lies between the folder and the patient's own: Training/Labeled, Testing.
    part = [name for name in image.parent.relative_to(folder).parts if name != code]
    return Case(
        id=code,
        patient=code,
        has_labels=labels is not None,
        read=partial(_read, code, image, labels, table, rows.get(code)),
        group=about.pop("group", None),
        about={**about, **({"part": "/".join(part)} if part else {})},
    )


def _read(code: str, image: Path, labels: Path | None, table: Path, row: Mapping[str, str] | None) -> CaseData:
    cine, notes = load_cine(image)
    cine = Cine(cine.frames, cine.affine, cine.frame_times, name=code)
    if labels is None:
        ed, es = (whole_number((row or {}).get(phase)) for phase in ("ED", "ES"))
        is_known = None not in (ed, es) and ed != es and all(0 <= t < cine.n_frames for t in (ed or 0, es or 0))
        return CaseData(cine, ed=ed, es=es, notes=notes) if is_known else CaseData(cine, notes=notes)
    if row is None:
        raise InputError(f"{table}: expected a row of {code}, whose labels are {labels}")
    ed, es = (_frame(row, phase, code, table, cine) for phase in ("ED", "ES"))
    found = read_remapped(labels, VALUES, source="M&Ms")
    check_labels(found, cine)
    if not found.is_4d:
        raise InputError(f"{labels}: expected labels of {cine.n_frames} frames, got one frame")
    drawn = {int(t): found.labels[t] for t in np.flatnonzero(found.labels.any(axis=(1, 2, 3)))}
    if not {ed, es} <= set(drawn):
        raise InputError(
            f"{labels}: expected labels at ED = frame {ed} and ES = frame {es}, as {table.name} has it, got "
            f"labels at {sorted(drawn)} (frames from 0)"
        )
    check_enclosure(drawn.values(), name=str(labels))
    return CaseData(cine, drawn, ed=ed, es=es, notes=notes)


def _frame(row: Mapping[str, str], phase: str, code: str, table: Path, cine: Cine) -> int:
    frame = whole_number(row.get(phase))
    if frame is None or not 0 <= frame < cine.n_frames:
        raise InputError(
            f"{table}: {code}: expected {phase} as a frame from 0 to {cine.n_frames - 1}, got {row.get(phase)!r}"
        )
    return frame
