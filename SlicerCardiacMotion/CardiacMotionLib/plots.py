"""Volume-time plot and tables in the scene; made once, then updated in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import vtk

from CardiacMotionLib import scene_state
from CardiacMotionLib.cine import Cine
from CardiacMotionLib.mrml import add_node, one_update, removed_on_error
from CardiacMotionLib.scene_state import Role
from CardiacMotionLib.structures import BY_NAME, STRUCTURES
from CardiacMotionLib.volumes import Function

TIME = "Time (s)"
MEASURE, VALUE, UNIT = "Measure", "Value", "Unit"
_MARKER_COLOUR = (0.55, 0.55, 0.55)
_SERIES = {"LV": Role.LV_SERIES, "RV": Role.RV_SERIES}


class VolumePlot:
    """Chart of the LV and RV volumes over time with a line at the current frame, their table, and one of measures.

    Attributes:
        table: vtkMRMLTableNode, a row per frame: time in s, and ml of each structure; NaN where it is not drawn.
        metrics: vtkMRMLTableNode, a row per measure.
        chart: vtkMRMLPlotChartNode.
    """

    def __init__(self, cine: Cine) -> None:
        """Those of the cine: found if it has some, else made, empty."""
        self.cine = cine
        with removed_on_error() as made:
            self.table = self._table(Role.VOLUME_TABLE, "volumes", made)
            self.metrics = self._table(Role.METRICS_TABLE, "measures", made)
            self._marker = self._table(Role.MARKER_TABLE, "current frame", made)
            self.chart = self._node(Role.CHART, "vtkMRMLPlotChartNode", "volume curves", made)
            series = [self._series(name, role, made) for name, role in _SERIES.items()]
            series.append(self._marker_series(made))
            if self.chart.GetNumberOfPlotSeriesNodes() != len(series):
                self._set_up_chart(series)
        self._fill(self.table, {TIME: cine.times, **{_column(s.name): _empty(cine) for s in STRUCTURES}}, "")
        self.show_frame(cine.frame)

    @staticmethod
    def is_made(cine: Cine) -> bool:
        """Whether the cine has a plot already, as after a scene was loaded."""
        return scene_state.get_node(cine.browser, Role.CHART) is not None

    def update(self, volumes: Mapping[str, npt.ArrayLike], function: Function | None) -> None:
        """Show these volumes, {structure: (T,) ml}, and what was read off them."""
        columns = {TIME: self.cine.times}
        for structure in STRUCTURES:
            curve = np.asarray(volumes.get(structure.name, _empty(self.cine)), dtype=np.float64)
            columns[_column(structure.name)] = np.where(curve > 0, curve, np.nan)
        self._fill(self.table, columns, "ml")
        self._fill_metrics(function)
        self.show_frame(self.cine.frame)

    def show_frame(self, frame: int) -> None:
        """Move the line of the current frame."""
        ventricles = [_values(self.table, _column(name)) for name in _SERIES]
        drawn = np.concatenate(ventricles)
        drawn = drawn[np.isfinite(drawn)]
        top = float(drawn.max()) if len(drawn) else 1.0
        self._fill(self._marker, {TIME: np.full(2, self.cine.times[frame]), _column(""): np.array([0.0, top])}, "")

    def _node(self, role: Role, class_name: str, title: str, made: list[Any]) -> Any:
        node = scene_state.get_node(self.cine.browser, role)
        if node is None:
            node = add_node(class_name, f"{self.cine.name} {title}")
            made.append(node)
            scene_state.set_node(self.cine.browser, role, node)
        return node

    def _table(self, role: Role, title: str, made: list[Any]) -> Any:
        table = self._node(role, "vtkMRMLTableNode", title, made)
        table.SetUseColumnTitleAsColumnHeader(True)
        table.SetLocked(True)
        return table

    def _series(self, name: str, role: Role, made: list[Any]) -> Any:
        series = self._node(role, "vtkMRMLPlotSeriesNode", name, made)
        series.SetName(name)
        series.SetAndObserveTableNodeID(self.table.GetID())
        series.SetXColumnName(TIME)
        series.SetYColumnName(_column(name))
        series.SetPlotType(series.PlotTypeScatter)
        series.SetLineStyle(series.LineStyleSolid)
        series.SetMarkerStyle(series.MarkerStyleCircle)
        series.SetColor(*BY_NAME[name].colour)
        return series

    def _marker_series(self, made: list[Any]) -> Any:
        series = self._node(Role.MARKER_SERIES, "vtkMRMLPlotSeriesNode", "current frame", made)
        series.SetAndObserveTableNodeID(self._marker.GetID())
        series.SetXColumnName(TIME)
        series.SetYColumnName(_column(""))
        series.SetPlotType(series.PlotTypeScatter)
        series.SetLineStyle(series.LineStyleDash)
        series.SetMarkerStyle(series.MarkerStyleNone)
        series.SetColor(*_MARKER_COLOUR)
        return series

    def _set_up_chart(self, series: Sequence[Any]) -> None:
        self.chart.RemoveAllPlotSeriesNodeIDs()
        for node in series:
            self.chart.AddAndObservePlotSeriesNodeID(node.GetID())
        self.chart.SetTitle("Volumes over the cycle")
        self.chart.SetXAxisTitle(TIME)
        self.chart.SetYAxisTitle("Volume (ml)")

    @staticmethod
    def _fill(table: Any, columns: Mapping[str, npt.NDArray[np.float64]], unit: str) -> None:
        """Give a table these columns of numbers; columns that are there keep their place and their array."""
        with one_update(table):
            for name, values in columns.items():
                column = table.GetTable().GetColumnByName(name)
                if column is None:
                    column = vtk.vtkDoubleArray()
                    column.SetName(name)
                    column.SetNumberOfValues(len(values))
                    table.AddColumn(column)
                    table.SetColumnUnitLabel(name, "s" if name == TIME else unit)
                column.SetNumberOfValues(len(values))
                for row, value in enumerate(values):
                    column.SetValue(row, float(value))
                column.Modified()
            table.GetTable().Modified()
            table.Modified()

    def _fill_metrics(self, function: Function | None) -> None:
        rows = _measures(function)
        with one_update(self.metrics):
            for index, name in enumerate((MEASURE, VALUE, UNIT)):
                column = self.metrics.GetTable().GetColumnByName(name)
                if column is None:
                    column = vtk.vtkStringArray()
                    column.SetName(name)
                    self.metrics.AddColumn(column)
                column.SetNumberOfValues(len(rows))
                for row, entries in enumerate(rows):
                    column.SetValue(row, entries[index])
                column.Modified()
            self.metrics.GetTable().Modified()
            self.metrics.Modified()


def _measures(function: Function | None) -> list[tuple[str, str, str]]:
    """Rows (measure, value, unit) in the order of a report; no row for what is not known."""
    if function is None:
        return []
    rows = [("ED frame", str(function.ed), ""), ("ES frame", str(function.es), "")]
    for name, ventricle in function.ventricles.items():
        rows += [
            (f"{name} EDV", f"{ventricle.end_diastolic_ml:.1f}", "ml"),
            (f"{name} ESV", f"{ventricle.end_systolic_ml:.1f}", "ml"),
            (f"{name} SV", f"{ventricle.stroke_ml:.1f}", "ml"),
            (f"{name} EF", f"{ventricle.ejection_fraction:.1f}", "%"),
        ]
    if function.mass_g is not None:
        rows.append(("LV mass", f"{function.mass_g:.1f}", "g"))
    return rows


def _column(name: str) -> str:
    return f"{name} (ml)".strip() if name else "Current frame"


def _values(table: Any, name: str) -> npt.NDArray[np.float64]:
    column = table.GetTable().GetColumnByName(name)
    return np.array([column.GetValue(row) for row in range(column.GetNumberOfValues())], dtype=np.float64)


def _empty(cine: Cine) -> npt.NDArray[np.float64]:
    return np.full(cine.n_frames, np.nan)
