"""Files of a data set: which are images, whose they are, and tables beside them."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cardiac_motion.errors import InputError
from cardiac_motion.io.single_file import stem_of
from cardiac_motion.json_input import parse_json
from cardiac_motion.listing import files_below

IMAGE_ENDINGS = (".nii", ".nii.gz", ".nrrd")

_MAX_TEXT_BYTES = 2**24

_UNKNOWN = {"", "n/a", "na", "nan", "none"}

_VIEW = re.compile(r"(?P<view>sax|sa|cine|(?:la_|lax_)?[234]ch)(?:_\d+)?", re.IGNORECASE)
_WITH_VIEW = re.compile(rf"(?P<patient>.+?)_{_VIEW.pattern}", re.IGNORECASE)


def shown(folder: Path) -> list[Path]:
    """Every file in a folder and below it that is not hidden, nor in a hidden folder, in order.

    Raises:
        InputError: a folder that cannot be looked at.
    """

    def refuse(place: Path, error: OSError) -> None:
        raise InputError(f"{place}: cannot be looked at: {error.strerror or error}") from error

    return files_below(folder, cannot_list=refuse, hidden=False)


def name_of(folder: Path) -> str:
    """The name of a folder, however it is written; of a link its own."""
    return Path(os.path.abspath(folder)).name  # noqa: PTH100 - `resolve` would follow a link


@dataclass(frozen=True)
class Listing:
    """A folder, and every file in it and below it that is not hidden, in order."""

    folder: Path
    files: tuple[Path, ...]

    @classmethod
    def of(cls, folder: Path) -> Listing:
        """List a folder.

        Raises:
            InputError: a folder in it that cannot be looked at.
        """
        return cls(folder, tuple(shown(folder)))

    @property
    def images(self) -> tuple[Path, ...]:
        """Those with the name of an image."""
        return tuple(path for path in self.files if path.name.lower().endswith(IMAGE_ENDINGS))


def beside(folder: Path, stem: str) -> Path | None:
    """The NIfTI file of this stem in a folder, compressed or not.

    Raises:
        InputError: there are both.
    """
    found = [path for ending in (".nii.gz", ".nii") if (path := folder / f"{stem}{ending}").is_file()]
    if len(found) > 1:
        raise InputError(f"expected one image {stem} in {folder}, got {found[0].name} and {found[1].name}")
    return found[0] if found else None


def view_of(stem: str) -> str | None:
    """The view (``sax``, ``2ch`` ...) that a name stands for; None where it is the name of something else."""
    match = _VIEW.fullmatch(stem)
    return _canonical(match["view"]) if match else None


def split_view(stem: str) -> tuple[str, str | None]:
    """A name as that of a patient and, where it ends in one, the view: ``p1_4ch`` is ``p1`` and ``4ch``."""
    match = _WITH_VIEW.fullmatch(stem)
    return (match["patient"], _canonical(match["view"])) if match else (stem, None)


def _canonical(view: str) -> str:
    view = view.lower()
    return "sax" if view in ("sax", "sa", "cine") else view[-3:]


def read_text(path: Path) -> str:
    """A small text file, UTF-8 with or without a mark at its beginning, else Latin-1.

    Raises:
        InputError: it cannot be read, or is no small text file.
    """
    content = _content(path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def read_json(path: Path, what: str) -> Any:
    """What a small JSON file holds.

    Args:
        path: of the file, UTF-8.
        what: is expected of it, for the message.

    Raises:
        InputError: it cannot be read, or is no JSON.
    """
    try:
        return parse_json(_content(path))
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: expected {what}, got {error}") from error


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_TEXT_BYTES:
            raise InputError(f"{path}: expected a text file of at most {_MAX_TEXT_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


def read_table(path: Path, key: str) -> dict[str, dict[str, str]]:
    """Rows of a CSV file by the value of one column; names of columns and values without blanks around them.

    Raises:
        InputError: it cannot be read, has no such column, or a value of it twice.
    """
    rows: dict[str, dict[str, str]] = {}
    try:
        reader = csv.DictReader(read_text(path).splitlines())
        for row in reader:
            plain = {name.strip(): (value or "").strip() for name, value in row.items() if isinstance(name, str)}
            value = plain.get(key)
            if value is None:
                raise InputError(f"{path}: expected a column {key!r}, got {list(plain)}")
            if not value:
                continue
            if value in rows:
                raise InputError(f"{path}: expected one row of each {key}, got several of {value}")
            rows[value] = plain
    except csv.Error as error:
        raise InputError(f"{path}: cannot be read as a table: {error}") from error
    return rows


def table_header(path: Path) -> tuple[str, ...]:
    """Names of the columns of a CSV file; none for what is none."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            line = file.readline(10_000)
        return tuple(name.strip() for name in next(csv.reader([line]), []))
    except (OSError, csv.Error):
        return ()


def whole_number(value: str | None) -> int | None:
    """A whole number from a table, where programs write 9 as 9.0 at times; None for what is none."""
    match = re.fullmatch(r"\s*(-?\d{1,9})(?:\.0*)?\s*", value or "", re.ASCII)
    return int(match[1]) if match else None


def known(row: Mapping[str, str], names: Mapping[str, str]) -> dict[str, str]:
    """What a row has of some columns, under our names for them."""
    return {ours: row[theirs] for theirs, ours in names.items() if row.get(theirs, "").lower() not in _UNKNOWN}


def by_stem(paths: Iterable[Path]) -> dict[tuple[Path, str], Path]:
    """Files by folder and name without the ending."""
    return {(path.parent, stem_of(path)): path for path in paths}
