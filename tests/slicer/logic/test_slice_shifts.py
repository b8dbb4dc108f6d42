"""Shifts of slices: what a server may tell, and slices put where they belong."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from tests.slicer.bed.session import Bed
from tests.slicer.panel_bed import AFFINE, cine_values

SPACING = (8.0, 1.25, 2.0)


@pytest.fixture
def shifts(bed: Bed) -> Any:
    return __import__("CardiacMotionLib.slice_shifts", fromlist=["aligned"])


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ([], "two shifts"),
        ({}, "two shifts"),
        ({"shifts_mm": [[1, 2]]}, "for each of 2 slices"),
        ({"shifts_mm": [[1, 2], [1, 2, 3]]}, "two shifts"),
        ({"shifts_mm": [[1, 2], [1, True]]}, "two shifts"),
        ({"shifts_mm": [[1, 2], [1, None]]}, "two shifts"),
        ({"shifts_mm": [[1, 2], [1, float("nan")]]}, "two shifts"),
        ({"shifts_mm": [[1, 2], [1, -51]]}, "two shifts"),
    ],
)
def test_what_can_be_no_shifts_is_refused(shifts: Any, told: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        shifts.parse_shifts(told, 2)


def test_shifts_are_kept_with_the_cine(bed: Bed, shifts: Any) -> None:
    make_cine: Any = __import__("CardiacMotionLib.cine", fromlist=["make_cine"]).make_cine
    cine = make_cine("disc", cine_values(), AFFINE, np.arange(8) * 0.04)
    assert shifts.parse_shifts(None, 3) is None
    assert shifts.shifts_of(cine) is None
    told = shifts.parse_shifts({"shifts_mm": [[0, 0], [3, -4], [0.5, 0]], "notes": ["slice 2 is limited"]}, 3)
    shifts.keep_shifts(cine, told)
    assert shifts.shifts_of(cine) == told
    assert told.lengths_mm.tolist() == [0.0, 5.0, 0.5]
    assert not told.is_nothing
    shifts.keep_shifts(cine, None)
    assert shifts.shifts_of(cine) is None


def test_slices_are_put_where_they_belong(shifts: Any) -> None:
    """Against SciPy's own interpolation, and the hearts of a stack that was taken apart."""
    rng = np.random.default_rng(3)
    frame = ndimage.gaussian_filter(rng.normal(size=(4, 50, 40)), (0, 2, 2)).astype(np.float32)
    mm = ((0.0, 0.0), (2.5, -4.0), (-1.0, 0.7), (12.0, 9.0))
    found = shifts.aligned(frame, shifts.SliceShifts(mm), SPACING)
    for z, pair in enumerate(mm):
        pixels = [-each / spacing for each, spacing in zip(pair, SPACING[1:], strict=True)]
        expected = ndimage.shift(frame[z], pixels, order=1, mode="nearest")
        np.testing.assert_allclose(found[z], expected, atol=1e-5)
    y, x = np.mgrid[:50, :40]
    heart = [np.exp(-((y - 25 - dy / 1.25) ** 2 + (x - 20 - dx / 2.0) ** 2) / 50) for dy, dx in mm]
    centres = [
        ndimage.center_of_mass(each) for each in shifts.aligned(np.stack(heart), shifts.SliceShifts(mm), SPACING)
    ]
    np.testing.assert_allclose(centres, [(25, 20)] * 4, atol=0.35)
