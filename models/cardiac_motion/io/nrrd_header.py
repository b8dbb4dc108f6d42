"""Headers of NRRD files, with what the parser beneath passes over."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import nrrd
import numpy as np

from cardiac_motion.errors import InputError

_MAX_HEADER_BYTES = 2**22

_FIELDS = frozenset({
    "axis maxs", "axis mins", "axismaxs", "axismins", "block size", "blocksize", "byte skip", "byteskip",
    "centerings", "centers", "content", "data file", "datafile", "dimension", "encoding", "endian", "kinds",
    "labels", "line skip", "lineskip", "max", "measurement frame", "min", "number", "old max", "old min",
    "oldmax", "oldmin", "sample units", "sampleunits", "sizes", "space", "space dimension", "space directions",
    "space origin",
    "space units", "spacings", "thicknesses", "type", "units",
})  # fmt: skip
"""Of the format's definition, which ignores case in their names."""

_WHOLE_SIZES = re.compile(r"\s*sizes\s*:\s*[-+]?[0-9]+(\s+[-+]?[0-9]+)*", re.IGNORECASE)


@dataclass(frozen=True)
class NrrdHeader:
    """The fields of a NRRD header, parsed, and its free key/value pairs, as they stand."""

    fields: dict[str, Any]
    pairs: dict[str, str] = field(default_factory=dict)

    @property
    def sizes(self) -> list[int]:
        """Voxels along each axis, the fastest first."""
        return [int(size) for size in self.fields["sizes"]]

    def per_axis(self, name: str) -> list[Any] | None:
        """A field with one entry per axis, or None."""
        entries = self.fields.get(name)
        if entries is None:
            return None
        if len(entries) != len(self.sizes):
            raise InputError(f"its header has {len(entries)} {name} for {len(self.sizes)} axes")
        return list(entries)

    def index(self, what: str, axis: int) -> str | None:
        """Slicer's key "axis N index ..." of the axis of the frames, which it may also call axis 0 or 3."""
        keys = (f"axis {number} index {what}" for number in (axis, 0, 3))
        return next((self.pairs[key] for key in keys if key in self.pairs), None)


def read_nrrd_header(file: BinaryIO) -> NrrdHeader:
    """Parse the header and leave the file at its first voxel.

    Raises:
        InputError: it is damaged, lacks what every image has, or its voxels are in another file.
    """
    if file.read(4) != b"NRRD":
        raise InputError("is not a NRRD file: it does not begin with NRRD")
    file.seek(0)
    lines, pairs = _lines(file)
    try:
        with np.errstate(invalid="ignore"):
            fields = dict(nrrd.read_header(lines))
    except (nrrd.NRRDError, ValueError, IndexError, TypeError) as error:
        raise InputError(f"its header is damaged: {error}") from error
    missing = [name for name in ("type", "dimension", "sizes", "encoding") if name not in fields]
    if missing:
        raise InputError(f"its header lacks {', '.join(missing)}")
    if "data file" in fields or "datafile" in fields:
        raise InputError("is a header whose voxels are in another file; expected both in one .nrrd file")
    skipped = {"line skip", "lineskip", "byte skip", "byteskip"} & fields.keys()
    if any(fields[name] != 0 for name in skipped):
        raise InputError("its header skips lines or bytes before the voxels; expected them right after the header")
    _check_sizes_are_whole(lines)
    header = NrrdHeader(fields, pairs)
    if fields["dimension"] != len(header.sizes):
        raise InputError(f"its header has {len(header.sizes)} sizes for {fields['dimension']} axes")
    return header


def _lines(file: BinaryIO) -> tuple[list[str], dict[str, str]]:
    """The mark and the fields, line by line, and the free key/value pairs."""
    lines: list[str] = []
    pairs: dict[str, str] = {}
    while line := file.readline(_MAX_HEADER_BYTES):
        if file.tell() > _MAX_HEADER_BYTES:
            raise InputError(f"its header is longer than {_MAX_HEADER_BYTES} bytes")
        text = line.decode("utf-8", errors="replace").rstrip()
        if not text:
            return lines, pairs
        # A key/value pair has ":=" where a field has ": "; Slicer repeats names of fields as keys.
        pair = re.match(r"([^:]+):=(.*)", text)
        if pair and lines:
            key, value = pair[1].strip(), pair[2].strip()
            if pairs.setdefault(key, value) != value:
                raise InputError(f"its header has two values of the key {key[:60]!r}")
        elif not text.startswith("#"):
            lines.append(_field_line(text) if lines else text)
    raise InputError("ends within its header: truncated, or its voxels are in another file")


def _field_line(line: str) -> str:
    """The line of a field with its name as the parser knows it; it passes over any other way to write it."""
    name, colon, value = line.partition(":")
    if not colon or name.strip().lower() not in _FIELDS:
        raise InputError(f"its header has the line {line[:60]!r}, which is no field of a NRRD file")
    return f"{name.strip().lower()}:{value}"


def _check_sizes_are_whole(lines: Sequence[str]) -> None:
    """Raise InputError for sizes that the parser has cut down to whole numbers."""
    if not any(_WHOLE_SIZES.fullmatch(line) for line in lines):
        raise InputError("its header has sizes that are no whole numbers")
