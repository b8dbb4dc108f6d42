"""QUiLoader for the doubles: exact classes, and the file's connections wired here, each of them checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

from PySide6 import QtCore, QtUiTools, QtWidgets

from tests.slicer.bed.qt_double.idioms import LOADING, adopt, plain
from tests.slicer.bed.qt_double.signals import normalized

ClassFinder = Callable[[str], type | None]


class UiLoader(QtUiTools.QUiLoader):
    """Loads a .ui file; a class, signal or slot that does not exist is an error."""

    find_class: ClassFinder
    """Given a class name of the .ui, its double; set by the namespace."""

    def __init__(self, parent: QtCore.QObject | None = None) -> None:
        super().__init__(parent)
        self._problems: list[str] = []
        self._kept: list[QtWidgets.QWidget] = []

    def createWidget(
        self, class_name: str, parent: QtWidgets.QWidget | None = None, name: str = ""
    ) -> QtWidgets.QWidget:
        cls = type(self).find_class("QFrame" if class_name == "Line" else class_name)
        if cls is None:
            self._problems.append(f"{name}: no double for the class {class_name}")
            cls = type(self).find_class("QWidget")
            assert cls is not None
        widget = cls() if parent is None else cls(parent)
        widget.setObjectName(name)
        self._kept.append(widget)
        return widget

    def load(self, device: Any, parent: QtWidgets.QWidget | None = None) -> Any:
        """The root widget of the file."""
        root = ET.fromstring(bytes(device.readAll().data()))
        connections = root.find("connections")
        if connections is not None:
            root.remove(connections)
        stripped = QtCore.QBuffer()
        stripped.setData(ET.tostring(root))
        stripped.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        LOADING.append(True)
        try:
            widget: Any = adopt(super().load(stripped, plain(parent)))
        finally:
            LOADING.pop()
        if widget is None:
            raise RuntimeError(f"the .ui file cannot be read: {self.errorString()}")
        for each in connections if connections is not None else ():
            self._wire(widget, {part.tag: (part.text or "").strip() for part in each})
        if self._problems:
            raise RuntimeError(".ui file: " + "; ".join(self._problems))
        widget._kept.extend(self._kept)
        return widget

    def _wire(self, root: Any, connection: dict[str, str]) -> None:
        ends = [self._end(root, connection[key]) for key in ("sender", "receiver")]
        if None in ends:
            return
        sender, receiver = ends
        slot = normalized(connection["slot"])
        name, arity = slot.partition("(")[0], 0 if slot.endswith("()") else slot.count(",") + 1
        if not _has_slot(receiver, slot):
            self._problems.append(f"{connection['receiver']} ({receiver.className()}) has no slot {slot}")
            return
        try:
            sender.connect(connection["signal"], lambda *values: getattr(receiver, name)(*values[:arity]))
        except RuntimeError as error:
            self._problems.append(f"{connection['sender']}: {error}")

    def _end(self, root: Any, name: str) -> Any:
        found = root if root.objectName == name else root.findChild(QtCore.QObject, name)
        if found is None:
            self._problems.append(f"a connection names {name}, which is not in the file")
        return found


def _has_slot(receiver: Any, slot: str) -> bool:
    if receiver.metaObject().indexOfMethod(slot) >= 0:
        return True
    return "vtkMRML" in slot and callable(getattr(type(receiver), slot.partition("(")[0], None))
