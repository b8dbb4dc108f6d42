"""The two widgets that play and browse a sequence, on a real browser node."""

# ruff: noqa: N801 - names are Slicer's
from __future__ import annotations

import importlib
from typing import Any

from PySide6 import QtCore

from tests.slicer.bed.qt_double.mrml_widgets import SceneHolder, Watched
from tests.slicer.bed.qt_double.namespace import qt_module

qt: Any = qt_module()
vtk: Any = importlib.import_module("vtk")


class _OfBrowser(SceneHolder):
    """Follows a browser node."""

    def mrmlSequenceBrowserNode(self) -> Any:
        watched = self.__dict__.get("_stand_in_watched")
        return watched.target if watched is not None else None

    def setMRMLSequenceBrowserNode(self, node: Any) -> None:
        me: Any = self
        if "_stand_in_watched" not in self.__dict__:
            me._stand_in_watched = Watched(me, me._stand_in_show, vtk.vtkCommand.ModifiedEvent)
        me._stand_in_watched.set(node)
        me._stand_in_show()


class qMRMLSequenceBrowserSeekWidget(_OfBrowser, qt.QWidget):
    """A slider over the items, with the index value beside it."""

    _stands_for = "qMRMLSequenceBrowserSeekWidget"

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._stand_in_slider = qt.QSlider(QtCore.Qt.Orientation.Horizontal)
        self._stand_in_label = qt.QLabel()
        layout = qt.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._stand_in_slider)
        layout.addWidget(self._stand_in_label)
        self._stand_in_slider.connect("valueChanged(int)", self._stand_in_moved)
        self._stand_in_show()

    def _stand_in_moved(self, item: int) -> None:
        browser = self.mrmlSequenceBrowserNode()
        if browser is not None:
            browser.SetSelectedItemNumber(item)

    def _stand_in_show(self) -> None:
        browser = self.mrmlSequenceBrowserNode()
        master: Any = browser.GetMasterSequenceNode() if browser is not None else None
        count = master.GetNumberOfDataNodes() if master is not None else 0
        self._stand_in_slider.enabled = count > 0
        was = self._stand_in_slider.blockSignals(True)
        self._stand_in_slider.setRange(0, max(count - 1, 0))
        self._stand_in_slider.value = browser.GetSelectedItemNumber() if count else 0
        self._stand_in_slider.blockSignals(was)
        chosen = browser.GetSelectedItemNumber() if count else -1
        shown = f"{float(master.GetNthIndexValue(chosen)):.3f}{master.GetIndexUnit() or ''}" if chosen >= 0 else ""
        self._stand_in_label.text = shown


class qMRMLSequenceBrowserPlayWidget(_OfBrowser, qt.QWidget):
    """Buttons: first, previous, play, next, last. Playing sets the node's flag; only Slicer's own timer plays."""

    _stands_for = "qMRMLSequenceBrowserPlayWidget"

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        layout = qt.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._stand_in_buttons = {}
        for name, sign in (("first", "|<"), ("previous", "<"), ("play", "▶"), ("next", ">"), ("last", ">|")):
            button = qt.QPushButton(sign)
            button.toolTip = name
            button.maximumWidth = 36
            layout.addWidget(button)
            self._stand_in_buttons[name] = button
            button.connect("clicked()", lambda name=name: self._stand_in_pressed(name))
        self._stand_in_show()

    def _stand_in_pressed(self, name: str) -> None:
        browser = self.mrmlSequenceBrowserNode()
        if browser is None:
            return
        if name == "play":
            browser.SetPlaybackActive(not browser.GetPlaybackActive())
        elif name in {"first", "last"}:
            browser.SelectFirstItem() if name == "first" else browser.SelectLastItem()
        else:
            browser.SelectNextItem(1 if name == "next" else -1)

    def _stand_in_show(self) -> None:
        browser = self.mrmlSequenceBrowserNode()
        for button in self._stand_in_buttons.values():
            button.enabled = browser is not None and browser.GetNumberOfItems() > 0


EXPORTED: dict[str, type] = {
    cls.__name__: cls for cls in (qMRMLSequenceBrowserSeekWidget, qMRMLSequenceBrowserPlayWidget)
}
