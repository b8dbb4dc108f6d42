"""The picture along the long axis: bands where they belong, edges of the LV in a line once aligned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from cardiac_motion.aligned import SliceAlignment
from cardiac_motion.analysis.long_axis import LongAxis, alignment_figure
from cardiac_motion.analysis.plots import save_figure
from cardiac_motion.cine import Cine
from cardiac_motion.errors import InputError
from cardiac_motion.labels import COLOURS, Label
from cardiac_motion.slice_alignment import SliceShifts
from matplotlib.image import imread

SHIFTS = np.array([[0.0, -3.0], [6.0, 6.0], [-6.0, -3.0], [-6.0, -3.0], [6.0, 6.0], [0.0, -3.0]])
"""Whole pixels of 1.5 mm, without mean and trend."""


def _labels(shifts: npt.NDArray[np.float64] = SHIFTS, *, rv: bool = True) -> npt.NDArray[np.uint8]:
    y, x = np.mgrid[:90, :96]
    planes = []
    for dy, dx in shifts / 1.5:
        away = np.hypot(y - 45 - dy, x - 50 - dx)
        plane = np.where(away < 12, Label.LV, np.where(away < 18, Label.MYO, 0))
        if rv:
            plane[(np.hypot(y - 45 - dy, x - 22 - dx) < 9) & (plane == 0)] = Label.RV
        planes.append(plane)
    return np.stack(planes).astype(np.uint8)


@pytest.fixture
def cine() -> Cine:
    frames = np.stack([_labels() * 100.0] * 2).astype(np.float32)
    return Cine(frames, np.diag([1.5, 1.5, 9.0, 1.0]), np.array([0, 0.05]), name="stack")


def _shifts() -> SliceShifts:
    observed = np.array([True] * 5 + [False])
    return SliceShifts(SHIFTS, observed, np.array([False, True, *[False] * 4]), 3.0)


def test_the_axis_goes_through_the_lv_and_its_planes_towards_the_rv() -> None:
    axis = LongAxis.of(_labels(np.zeros((6, 2))), (9.0, 1.5, 1.5))
    assert axis.points == pytest.approx(np.tile([45.0, 50.0], (6, 1)), abs=0.01)
    assert axis.direction == pytest.approx([0, -1], abs=0.01)
    tilted = LongAxis.of(_labels(np.arange(6)[:, None] * [1.5, -3.0]), (9.0, 1.5, 1.5))
    assert np.diff(tilted.points, axis=0) == pytest.approx(np.tile([1.0, -2.0], (5, 1)), abs=0.01)
    assert LongAxis.of(_labels(rv=False), (9.0, 1.5, 1.5)).direction == pytest.approx([0, 1])
    with pytest.raises(InputError, match="at least 2 slices with the LV"):
        LongAxis.of(np.zeros((6, 90, 96), np.uint8), (9.0, 1.5, 1.5))


def test_edges_of_the_lv_are_in_a_line_once_aligned(cine: Cine, tmp_path: Path) -> None:
    figure = alignment_figure(cine, 0, _labels(), SliceAlignment.of(cine, SHIFTS), _shifts(), title="stack")
    spreads = {}
    for ax in figure.axes:
        edges = [line for line in ax.lines if line.get_color() == COLOURS[Label.LV]]
        if edges:
            lefts: dict[float, float] = {}
            for line in edges:
                middle = np.asarray(line.get_ydata(), dtype=float).mean()
                edge = float(np.asarray(line.get_xdata(), dtype=float)[0])
                lefts[middle] = min(lefts.get(middle, np.inf), edge)
            assert len(lefts) == 6
            spreads[ax.get_title()] = np.ptp(list(lefts.values()))
    assert {"native, towards the RV", "aligned, towards the RV"} <= set(spreads)
    assert len(spreads) == 4
    for name, spread in spreads.items():
        assert (spread < 1.5) if name.startswith("aligned") else (spread > 5), name
    texts = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert any("interpolated" in text and "limited" in text for text in texts)
    save_figure(figure, tmp_path / "p.png")
    picture = imread(tmp_path / "p.png")
    assert min(picture.shape[:2]) > 500
    assert picture[..., :3].std() > 0.1


def test_labels_of_another_shape_are_refused(cine: Cine) -> None:
    with pytest.raises(InputError, match="expected labels"):
        alignment_figure(cine, 0, _labels()[:5], SliceAlignment.of(cine, SHIFTS), _shifts())
