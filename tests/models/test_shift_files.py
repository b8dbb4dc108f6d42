"""Shifts on disk: what is written is read; what is damaged, foreign or of another image is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.errors import InputError
from cardiac_motion.motion_cache import MotionCache
from cardiac_motion.shift_files import KeptShifts, ShiftCache, read_shifts, shift_key, write_shifts
from cardiac_motion.slice_alignment import SliceShifts


def _cine(value: float = 1.0) -> Cine:
    return Cine(np.full((2, 3, 20, 24), value, np.float32), np.diag([1.5, 1.3, 8, 1]), np.array([0, 0.05]))


@pytest.fixture
def kept() -> KeptShifts:
    shifts = SliceShifts(
        np.array([[1.25, -0.1], [0.0, 1 / 3], [2.0, 0.0]]), np.array([True, False, True]), np.zeros(3, bool), 1.5
    )
    return KeptShifts(shifts, _cine().content_hash, {"from": "labels"})


def test_shifts_come_back_as_they_were(kept: KeptShifts, tmp_path: Path) -> None:
    write_shifts(tmp_path / "s.json", kept)
    found = read_shifts(tmp_path / "s.json")
    assert (found.shifts.shifts_mm == kept.shifts.shifts_mm).all()
    assert (found.shifts.observed == kept.shifts.observed).all()
    assert found.shifts.notes == kept.shifts.notes
    assert (found.shifts.spread_mm, found.source) == (1.5, {"from": "labels"})
    assert (found.alignment(_cine()).shifts_mm == kept.shifts.shifts_mm).all()
    text = json.loads((tmp_path / "s.json").read_text())
    assert "mean of the shifts" in text["about"]
    assert "linear trend" in text["about"]


def test_shifts_of_another_image_are_refused(kept: KeptShifts) -> None:
    with pytest.raises(InputError, match="belong to another image"):
        kept.alignment(_cine(2.0))


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 2},
        {"format": None},
        {"shifts_mm": []},
        {"shifts_mm": [[1, 2], [3, 4], [5]]},
        {"shifts_mm": [[1, 2], [3, 4], [5, "6"]]},
        {"shifts_mm": [[1, 2], [3, 4], [5, 1e300]]},
        {"shifts_mm": [[1, 2], [3, 4], [5, True]]},
        {"observed": [True, False]},
        {"limited": [0, 0, 0]},
        {"spread_mm": None},
        {"image_hash": 5},
        {"source": []},
    ],
)
def test_a_file_of_something_else_is_refused(kept: KeptShifts, tmp_path: Path, changes: dict[str, Any]) -> None:
    (tmp_path / "s.json").write_text(json.dumps({**kept.to_json(), **changes}))
    with pytest.raises(InputError, match="expected shifts of slices in"):
        read_shifts(tmp_path / "s.json")


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff\xfe", b"[" * 100_000, b'{"shifts_mm": NaN}'])
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s.json").write_bytes(content)
    with pytest.raises(InputError, match=r"s\.json"):
        read_shifts(tmp_path / "s.json")
    with pytest.raises(InputError, match="cannot read the shifts"):
        read_shifts(tmp_path / "none.json")


def test_too_long_a_shift_makes_no_alignment(kept: KeptShifts, tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(json.dumps({**kept.to_json(), "shifts_mm": [[0, 0], [0, 0], [0, 400]]}))
    with pytest.raises(InputError, match="at most 15 mm"):
        read_shifts(tmp_path / "s.json").alignment(_cine())


def test_what_was_estimated_once_is_kept_and_damage_counts_as_absent(kept: KeptShifts, tmp_path: Path) -> None:
    cache = ShiftCache.beside(MotionCache(tmp_path))
    keys = {
        shift_key(cine, model=model, version=version, weights_checksum=weights, frames=frames)
        for cine, model, version, weights, frames in (
            (_cine(), "unet", "1", "a", (0,)),
            (_cine(2.0), "unet", "1", "a", (0,)),
            (_cine(), "deunet", "1", "a", (0,)),
            (_cine(), "unet", "2", "a", (0,)),
            (_cine(), "unet", "1", "b", (0,)),
            (_cine(), "unet", "1", "a", (0, 2)),
        )
    }
    assert len(keys) == 6
    key, other = sorted(keys)[:2]
    assert cache.get(key) is None
    cache.put(key, kept)
    found = cache.get(key)
    assert found is not None
    assert (found.shifts.shifts_mm == kept.shifts.shifts_mm).all()
    assert cache.get(other) is None
    next(cache.folder.glob("*.json")).write_text("{")
    assert cache.get(key) is None
