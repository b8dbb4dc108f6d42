"""The grid that a NRRD file says it has, which is not always the one that Slicer gives it. Knows no MRML."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from CardiacMotionLib.affines import Affine, check_affine
from CardiacMotionLib.errors import InputError

_MAX_HEADER_BYTES = 2**22
_TO_RAS = {
    "right-anterior-superior": (1.0, 1.0, 1.0),
    "left-anterior-superior": (-1.0, 1.0, 1.0),
    "left-posterior-superior": (-1.0, -1.0, 1.0),
    "ras": (1.0, 1.0, 1.0),
    "las": (-1.0, 1.0, 1.0),
    "lps": (-1.0, -1.0, 1.0),
}
_VECTOR = re.compile(r"none|\(([^)]*)\)")


def nrrd_affine(path: Path | str) -> Affine | None:
    """Voxel to RAS in mm, of the three axes that lie in space; None where the header does not say it."""
    fields = _fields(Path(path))
    flips = _TO_RAS.get(fields.get("space", "").lower())
    vectors = [found.group(1) for found in _VECTOR.finditer(fields.get("space directions", ""))]
    origin = _VECTOR.search(fields.get("space origin", ""))
    directions = [vector for vector in vectors if vector is not None]
    if flips is None or origin is None or origin.group(1) is None or len(directions) != 3:
        return None
    affine = np.eye(4)
    try:
        for axis, vector in enumerate((*directions, origin.group(1))):
            affine[:3, axis] = np.array([float(part) for part in vector.split(",")]) * flips
        return check_affine(affine)
    except (ValueError, InputError):
        return None


def _fields(path: Path) -> dict[str, str]:
    """Fields of the header by name; empty for what is no NRRD file."""
    try:
        with path.open("rb") as file:
            block = file.read(_MAX_HEADER_BYTES)
    except OSError:
        return {}
    if not block.startswith(b"NRRD"):
        return {}
    header = re.split(rb"\r?\n\r?\n", block, maxsplit=1)[0].decode("utf-8", errors="replace")
    fields: dict[str, str] = {}
    for line in header.splitlines()[1:]:
        name, colon, value = line.partition(": ")
        if colon and not line.startswith("#"):
            fields[name.strip().lower()] = value.strip()
    return fields
