"""Widgets of Slicer that carry a scene or show a table or a plot."""

# ruff: noqa: N801, N815 - names are Slicer's
from __future__ import annotations

import importlib
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

import shiboken6

from tests.slicer.bed.qt_double.ctk_numbers import ctkDoubleSpinBox, ctkSliderWidget
from tests.slicer.bed.qt_double.declare import Signal
from tests.slicer.bed.qt_double.namespace import qt_module

qt: Any = qt_module()
vtk: Any = importlib.import_module("vtk")


class Watched:
    """The observations that one widget has of one VTK object after another; they end with the widget or bed."""

    def __init__(self, widget: Any, function: Callable[[], None], *events: Any) -> None:
        self._widget = weakref.ref(widget)
        self._function, self._events = weakref.WeakMethod(function), events
        self.target: Any = None
        self._tags: list[int] = []
        _watching.add(self)

    def set(self, target: Any) -> None:
        """Observes another object, or with None no more."""
        for tag in self._tags:
            self.target.RemoveObserver(tag)
        self.target = target
        self._tags = (
            [target.AddObserver(event, self._seen) for event in self._events] if target is not None else []
        )

    def _seen(self, *_: Any) -> None:
        widget, function = self._widget(), self._function()
        if widget is not None and function is not None and shiboken6.isValid(widget):
            function()
        else:
            self.set(None)


_watching: weakref.WeakSet[Watched] = weakref.WeakSet()


def release_all() -> None:
    """Ends every observation of every stand-in."""
    for each in list(_watching):
        each.set(None)


class SceneHolder:
    """Mixed into every stand-in that is given a scene: `setMRMLScene`, `mrmlScene`, and the signal."""

    def mrmlScene(self) -> Any:
        return self.__dict__.get("_stand_in_scene")

    def setMRMLScene(self, scene: Any) -> None:
        if scene is self.mrmlScene():
            return
        self.__dict__["_stand_in_scene"] = scene
        self._stand_in_scene_set(scene)
        me: Any = self
        if "mrmlSceneChanged(vtkMRMLScene*)" in me.extra_signals:
            me.mrmlSceneChanged(scene)

    def _stand_in_scene_set(self, scene: Any) -> None:
        """What a widget does with its new scene."""


class qMRMLWidget(SceneHolder, qt.QWidget):
    """A widget with a scene."""

    _stands_for = "qMRMLWidget"
    mrmlSceneChanged = Signal(object)
    extra_signals: ClassVar[dict[str, str]] = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}


class qMRMLSliderWidget(SceneHolder, ctkSliderWidget):
    """A slider with a scene (for units)."""

    _stands_for = "qMRMLSliderWidget"


class qMRMLSpinBox(SceneHolder, ctkDoubleSpinBox):
    """A spin box with a scene (for units)."""

    _stands_for = "qMRMLSpinBox"


class qMRMLTableView(SceneHolder, qt.QTableWidget):
    """Shows a table node, and follows it."""

    _stands_for = "qMRMLTableView"

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._stand_in_watched = Watched(self, self._stand_in_fill, vtk.vtkCommand.ModifiedEvent)

    def mrmlTableNode(self) -> Any:
        return self._stand_in_watched.target

    def setMRMLTableNode(self, node: Any) -> None:
        self._stand_in_watched.set(node)
        self._stand_in_fill()

    def _stand_in_fill(self) -> None:
        node = self._stand_in_watched.target
        self.setRowCount(node.GetNumberOfRows() if node else 0)
        self.setColumnCount(node.GetNumberOfColumns() if node else 0)
        if node is None:
            return
        self.setHorizontalHeaderLabels([node.GetColumnName(i) for i in range(node.GetNumberOfColumns())])
        for row in range(node.GetNumberOfRows()):
            for column in range(node.GetNumberOfColumns()):
                self.setItem(row, column, qt.QTableWidgetItem(node.GetCellText(row, column)))


class qMRMLPlotView(SceneHolder, qt.QWidget):
    """Remembers the plot view node; draws nothing."""

    _stands_for = "qMRMLPlotView"

    def mrmlPlotViewNode(self) -> Any:
        return self.__dict__.get("_stand_in_node")

    def setMRMLPlotViewNode(self, node: Any) -> None:
        self._stand_in_node = node

    def fitToContent(self) -> None:
        """Nothing is drawn, so nothing is fitted."""


class qMRMLPlotWidget(SceneHolder, qt.QWidget):
    """A plot view in its widget."""

    _stands_for = "qMRMLPlotWidget"

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._stand_in_view = qMRMLPlotView(self)

    def plotView(self) -> Any:
        return self._stand_in_view

    def mrmlPlotViewNode(self) -> Any:
        return self._stand_in_view.mrmlPlotViewNode()

    def setMRMLPlotViewNode(self, node: Any) -> None:
        self._stand_in_view.setMRMLPlotViewNode(node)


EXPORTED: dict[str, type] = {
    cls.__name__: cls
    for cls in (qMRMLWidget, qMRMLSliderWidget, qMRMLSpinBox, qMRMLTableView, qMRMLPlotView, qMRMLPlotWidget)
}
