"""Splits written down: a JSON file, so that every run and every reader has the same."""

from __future__ import annotations

import json
from pathlib import Path

from cardiac_motion.atomic import atomic_path
from cardiac_motion.datasets.files import read_json
from cardiac_motion.datasets.splits import Split
from cardiac_motion.errors import InputError, shown

FORMAT = "cardiac-motion split"
VERSION = 1


def write_split(path: Path | str, split: Split) -> None:
    """Write a split, whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "seed": split.seed,
        "folds": split.is_folds,
        "parts": {name: list(patients) for name, patients in split.parts.items()},
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_split(path: Path | str) -> Split:
    """Read a split that `write_split` wrote.

    Raises:
        InputError: it cannot be read, is no such file, or has a patient in two parts.
    """
    path = Path(path)
    content = read_json(path, "a split as JSON")
    match content:
        case {"format": f, "version": v} if f == FORMAT and v != VERSION:
            raise InputError(f"{path}: expected version {VERSION} of a split, got {shown(v)}")
        case {"format": f, "seed": int(seed), "folds": bool(is_folds), "parts": dict(parts)} if f == FORMAT:
            pass
        case _:
            raise InputError(f"{path}: expected a split, with format, version, seed, folds and parts")
    for name, patients in parts.items():
        if not isinstance(patients, list) or not all(isinstance(patient, str) for patient in patients):
            raise InputError(f"{path}: expected a list of patients as the part {name[:60]}, got {shown(patients)}")
    try:
        return Split({name: tuple(patients) for name, patients in parts.items()}, seed, is_folds)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
