"""Chart and tables in the scene: made once, updated in place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.slicer.logic.conftest import Small

pytest.importorskip("slicer", reason="not run: slicer-core is not installed")

import vtk
from CardiacMotionLib.plots import TIME, VolumePlot
from CardiacMotionLib.structures import BY_NAME
from CardiacMotionLib.volumes import cardiac_function

if TYPE_CHECKING:
    from tests.slicer.bed.session import Bed

LV = np.array([100.0, 80, 45, 60, 90])
RV = np.array([110.0, 0, 0, 0, 99])


def _column(table: Any, name: str) -> list[Any]:
    column = table.GetTable().GetColumnByName(name)
    return [column.GetValue(row) for row in range(column.GetNumberOfValues())]


def _measures(plot: VolumePlot) -> dict[str, tuple[str, str]]:
    names, values, units = (_column(plot.metrics, name) for name in ("Measure", "Value", "Unit"))
    return {name: (value, unit) for name, value, unit in zip(names, values, units, strict=True)}


def test_curves_measures_and_marker_follow_without_new_nodes(bed: Bed, small: Small) -> None:
    cine = small.in_scene()
    plot = VolumePlot(cine)
    count = bed.scene.GetNumberOfNodes()
    volumes = {"LV": LV, "RV": RV, "MYO": LV + 20}
    plot.update(volumes, cardiac_function(volumes))
    np.testing.assert_allclose(_column(plot.table, TIME), small.times)
    np.testing.assert_array_equal(_column(plot.table, "LV (ml)"), LV)
    np.testing.assert_array_equal(_column(plot.table, "RV (ml)"), np.where(RV > 0, RV, np.nan))
    assert np.isnan(_column(plot.table, "LA (ml)")).all()
    assert _measures(plot) == {
        "ED frame": ("0", ""),
        "ES frame": ("2", ""),
        "LV EDV": ("100.0", "ml"),
        "LV ESV": ("45.0", "ml"),
        "LV SV": ("55.0", "ml"),
        "LV EF": ("55.0", "%"),
        "RV EDV": ("110.0", "ml"),
        "RV ESV": ("0.0", "ml"),
        "RV SV": ("110.0", "ml"),
        "RV EF": ("100.0", "%"),
        "LV mass": ("126.0", "g"),
    }
    plot.update({"LV": LV / 2}, cardiac_function({"LV": LV / 2}))
    assert _measures(plot)["LV EDV"] == ("50.0", "ml")
    assert "RV EDV" not in _measures(plot)
    plot.update({}, None)
    assert _measures(plot) == {}
    assert bed.scene.GetNumberOfNodes() == count
    assert bed.mrml.messages() == []


def test_the_chart_shows_both_ventricles_and_the_current_frame(bed: Bed, small: Small) -> None:
    cine = small.in_scene()
    plot = VolumePlot(cine)
    plot.update({"LV": LV, "RV": RV}, None)
    series = [plot.chart.GetNthPlotSeriesNode(index) for index in range(3)]
    assert [node.GetName() for node in series[:2]] == ["LV", "RV"]
    for node in series[:2]:
        assert node.GetTableNode() is plot.table
        assert (node.GetXColumnName(), node.GetYColumnName()) == (TIME, f"{node.GetName()} (ml)")
        assert node.GetColor() == pytest.approx(BY_NAME[node.GetName()].colour)
    marker = series[2].GetTableNode()
    for frame in (0, 3):
        plot.show_frame(frame)
        assert _column(marker, TIME) == [small.times[frame]] * 2
        assert _column(marker, "Current frame") == [0.0, 110.0]


def test_events_come_once_an_update(bed: Bed, small: Small) -> None:
    plot = VolumePlot(small.in_scene())
    events: list[str] = []
    plot.table.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: events.append("modified"))
    plot.update({"LV": LV}, None)
    assert events == ["modified"]


def test_it_is_found_again(bed: Bed, small: Small) -> None:
    cine = small.in_scene()
    assert not VolumePlot.is_made(cine)
    first = VolumePlot(cine)
    first.update({"LV": LV}, None)
    count = bed.scene.GetNumberOfNodes()
    second = VolumePlot(cine)
    assert VolumePlot.is_made(cine)
    assert (second.chart, second.table, second.metrics) == (first.chart, first.table, first.metrics)
    assert bed.scene.GetNumberOfNodes() == count
    assert second.chart.GetNumberOfPlotSeriesNodes() == 3
