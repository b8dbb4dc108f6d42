"""Shifts of slices on disk: the file that `align` writes, and those that are kept with the motions."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cardiac_motion.aligned import SliceAlignment
from cardiac_motion.atomic import atomic_path
from cardiac_motion.cine import Cine
from cardiac_motion.errors import InputError
from cardiac_motion.json_input import parse_json
from cardiac_motion.motion_cache import MotionCache, cache_key
from cardiac_motion.slice_alignment import VERSION, SliceShifts

FORMAT = 1
UNOBSERVABLE = (
    "the mean of the shifts (the place of the whole heart) and their linear trend (the tilt of its axis) cannot "
    "be observed and are left at zero"
)
_LARGEST_BYTES = 4 * 2**20

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class KeptShifts:
    """Shifts of the slices of one image and where they come from.

    Attributes:
        shifts: as they were estimated.
        image_hash: `Cine.content_hash` of the image.
        source: what the estimate was made from, plain values.
    """

    shifts: SliceShifts
    image_hash: str
    source: Mapping[str, Any] = field(default_factory=dict)

    def alignment(self, cine: Cine) -> SliceAlignment:
        """The way to the aligned grid and back.

        Raises:
            InputError: shifts of another image, or that no alignment can have.
        """
        if self.image_hash != cine.content_hash:
            raise InputError(
                f"the shifts belong to another image: expected the hash {cine.content_hash[:12]}…, got "
                f"{self.image_hash[:12]}…"
            )
        return SliceAlignment.of(cine, self.shifts.shifts_mm)

    def to_json(self) -> dict[str, Any]:
        """Plain values, as the file has them."""
        return {
            "format": FORMAT,
            "image_hash": self.image_hash,
            "about": "shifts_mm: (y, x) for each slice along the axes of the array, in mm; the slice shows the "
            f"heart this much further along than it should, and is moved the other way; {UNOBSERVABLE}",
            "shifts_mm": self.shifts.shifts_mm.tolist(),
            "observed": self.shifts.observed.tolist(),
            "limited": self.shifts.limited.tolist(),
            "spread_mm": self.shifts.spread_mm,
            "notes": self.shifts.notes,
            "source": dict(self.source),
        }


def write_shifts(path: Path | str, kept: KeptShifts) -> None:
    """Write shifts as JSON, whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(kept.to_json(), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_shifts(path: Path | str) -> KeptShifts:
    """Read shifts as `write_shifts` leaves them.

    Raises:
        InputError: a file that is not there, or holds something else.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise InputError(f"expected shifts of slices in {path}, got a file of {path.stat().st_size} bytes")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the shifts {path}: {error.strerror or error}") from error
    try:
        return _parsed(parse_json(content))
    except ValueError as error:
        raise InputError(
            f"expected shifts of slices in {path}, as `cardiac-motion align` writes them: {error}"
        ) from error


class ShiftCache:
    """Shifts that were estimated once, by image and network; about a kilobyte each.

    They are those of the network's segmentation, or of drawn labels where that did not suffice. A motion that was
    estimated on an aligned cine is known by the shifts, so that these must not change with the machine or the day.
    A file that is damaged counts as absent. What cannot be written is not kept.

    Args:
        folder: made when first needed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def beside(cls, motions: MotionCache) -> ShiftCache:
        """In the folder of a cache of motions."""
        return cls(motions.folder / "shifts")

    def get(self, key: str) -> KeptShifts | None:
        """What is kept under a key, or None."""
        path = self._path(key)
        if not path.exists():
            return None
        try:
            return read_shifts(path)
        except InputError as error:
            _log.warning("kept shifts of slices could not be read: %s", type(error.__cause__ or error).__name__)
            return None

    def put(self, key: str, kept: KeptShifts) -> None:
        """Keep shifts under a key."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_shifts(self._path(key), kept)
        except (InputError, OSError) as error:
            _log.warning("shifts of slices could not be kept: %s", type(error.__cause__ or error).__name__)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"


def shift_key(
    cine: Cine, *, model: str, version: str, weights_checksum: str | None, frames: tuple[int, ...]
) -> str:
    """The key of shifts: everything that those of a segmentation depend on."""
    return cache_key(
        image_hash=cine.content_hash,
        model=model,
        weights_checksum=weights_checksum,
        code_version=version,
        reference=0,
        settings={"shifts": VERSION, "frames": list(frames)},
    )


def _parsed(found: Any) -> KeptShifts:
    kinds = {
        "format": int,
        "image_hash": str,
        "shifts_mm": list,
        "observed": list,
        "limited": list,
        "source": dict,
    }
    wrong = [
        name
        for name, kind in kinds.items()
        if not isinstance(found, dict) or not isinstance(found.get(name), kind)
    ]
    if wrong:
        raise InputError(f"{', '.join(wrong)} missing, or of another kind")
    if found["format"] != FORMAT:
        raise InputError(f"expected format {FORMAT}, got {found['format']}")
    rows, n = found["shifts_mm"], len(found["shifts_mm"])
    if not n or not all(isinstance(row, list) and len(row) == 2 and all(map(_is_number, row)) for row in rows):
        raise InputError("expected shifts_mm to be a pair of finite numbers for each slice")
    for name in ("observed", "limited"):
        if len(found[name]) != n or not all(isinstance(value, bool) for value in found[name]):
            raise InputError(f"expected {name} to be true or false for each of {n} slices")
    spread = found.get("spread_mm")
    if not _is_number(spread):
        raise InputError("expected spread_mm to be a finite number")
    shifts = SliceShifts(
        np.array(rows, dtype=np.float64), np.array(found["observed"]), np.array(found["limited"]), float(spread)
    )
    return KeptShifts(shifts, found["image_hash"], found["source"])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e6
