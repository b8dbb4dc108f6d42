"""The ctk widgets: what a scripted module uses of them, with their properties and signals."""

# ruff: noqa: N801, N815 - names are ctk's
from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from tests.slicer.bed.qt_double.ctk_numbers import NUMBERS
from tests.slicer.bed.qt_double.declare import Property, Signal, stored
from tests.slicer.bed.qt_double.namespace import qt_module
from tests.slicer.bed.qt_double.settings import QSettings

qt: Any = qt_module()


class ctkCheckBox(qt.QCheckBox):
    """A check box."""

    _stands_for = "ctkCheckBox"


class ctkComboBox(qt.QComboBox):
    """A combo box with a text for the case that nothing is chosen."""

    _stands_for = "ctkComboBox"
    defaultText = stored(str, "default_text", "")


class ctkPushButton(qt.QPushButton):
    """A push button."""

    _stands_for = "ctkPushButton"


class ctkSearchBox(qt.QLineEdit):
    """A line to search with."""

    _stands_for = "ctkSearchBox"


class ctkCollapsibleButton(qt.QAbstractButton):
    """A section with a headline that opens and closes it."""

    _stands_for = "ctkCollapsibleButton"
    contentsCollapsed = Signal(bool)

    def __init__(self, *values: Any) -> None:
        texts = [each for each in values if isinstance(each, str)]
        super().__init__(*[each for each in values if not isinstance(each, str)])
        self.setCheckable(True)
        self.setChecked(True)
        self.setText(texts[0] if texts else "")
        self.setContentsMargins(2, self._header() + 2, 2, 2)
        self.toggled.connect(self._stand_in_toggled)

    def _header(self) -> int:
        return int(QtGui.QFontMetrics(self.font).height() * 1.6)

    def _stand_in_toggled(self, opened: bool) -> None:
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget) and not child.isWindow():
                child.setVisible(opened)
        self.setMaximumHeight(16777215 if opened else self._header() + 4)
        self.updateGeometry()
        self.contentsCollapsed(not opened)

    def _collapsed(self) -> bool:
        return not self.checked

    def setCollapsed(self, value: bool) -> None:
        self.setChecked(not value)

    collapsed = Property(bool, _collapsed, setCollapsed)

    def sizeHint(self) -> QtCore.QSize:
        layout = self.layout()
        inner = layout.totalSizeHint() if layout is not None and self.checked else QtCore.QSize(100, 0)
        return QtCore.QSize(inner.width(), max(inner.height(), self._header() + 4))

    def minimumSizeHint(self) -> QtCore.QSize:
        layout = self.layout()
        inner = layout.totalMinimumSize() if layout is not None and self.checked else QtCore.QSize(60, 0)
        return QtCore.QSize(inner.width(), max(inner.height(), self._header() + 4))

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtGui.QPainter(self)
        bar = QtCore.QRect(0, 0, self.width, self._header())
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        painter.fillRect(bar, self.palette.button())
        painter.setPen(self.palette.mid().color())
        painter.drawRect(self.rect.adjusted(0, 0, -1, -1))
        painter.setPen(self.palette.buttonText().color())
        size, middle = bar.height() // 4, bar.center().y() + 1
        across = [(8, middle - size), (8 + 2 * size, middle - size), (8 + size, middle + size)]
        down = [(8, middle - size), (8, middle + size), (8 + 2 * size, middle)]
        painter.setBrush(self.palette.buttonText())
        corners = across if self.checked else down
        painter.drawPolygon(QtGui.QPolygon([QtCore.QPoint(x, y) for x, y in corners]))
        painter.drawText(
            bar.adjusted(8 + 3 * size, 0, 0, 0), QtCore.Qt.AlignmentFlag.AlignVCenter, self.text.replace("&", "")
        )
        painter.end()


class ctkCollapsibleGroupBox(qt.QGroupBox):
    """A group box that opens and closes."""

    _stands_for = "ctkCollapsibleGroupBox"

    def __init__(self, *values: Any) -> None:
        super().__init__(*values)
        self.setCheckable(True)
        self.toggled.connect(self._stand_in_toggled)

    def _stand_in_toggled(self, opened: bool) -> None:
        for child in self.children():
            if isinstance(child, QtWidgets.QWidget) and not child.isWindow():
                child.setVisible(opened)
        # As ctk's: what is closed is as high as its title.
        self.setMaximumHeight(16777215 if opened else QtGui.QFontMetrics(self.font).height() + 8)

    def _collapsed(self) -> bool:
        return not self.checked

    def setCollapsed(self, value: bool) -> None:
        self.setChecked(not value)

    collapsed = Property(bool, _collapsed, setCollapsed)


class _PathWidget(qt.QWidget):
    """A line for a path with a button to look for one."""

    _stands_for = "_PathWidget"

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._stand_in_line = qt.QLineEdit()
        self._stand_in_browse = qt.QToolButton()
        self._stand_in_browse.text = "…"
        layout = qt.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._stand_in_line)
        layout.addWidget(self._stand_in_browse)
        self._stand_in_browse.connect("clicked()", self.browse)


class ctkPathLineEdit(_PathWidget):
    """A path of a file or folder."""

    _stands_for = "ctkPathLineEdit"
    Files, Dirs, Drives, NoDot, NoDotDot = 0x2, 0x1, 0x4, 0x2000, 0x4000
    Hidden, Writable, Readable, Executable = 0x100, 0x20, 0x10, 0x40
    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)
    filters = stored(int, "filters", 0)
    nameFilters = stored("QStringList", "name_filters", [])
    settingKey = stored(str, "setting_key", "")
    showHistoryButton = stored(bool, "show_history", True)
    sizeAdjustPolicy = stored(int, "size_adjust", 0)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._stand_in_line.connect("textChanged(QString)", self._stand_in_text_changed)

    def _stand_in_text_changed(self, text: str) -> None:
        self.currentPathChanged(text)
        self.validInputChanged(self.validInput)

    def _path(self) -> str:
        return str(self._stand_in_line.text)

    def setCurrentPath(self, value: str) -> None:
        self._stand_in_line.setText(value)

    currentPath = Property(str, _path, setCurrentPath)

    def _valid(self) -> bool:
        path = Path(self.currentPath)
        return self.currentPath != "" and path.exists()

    validInput = Property(bool, _valid)

    def addCurrentPathToHistory(self) -> None:
        """Keeps the path under the setting key, as ctk does."""
        if self.settingKey:
            history = [self.currentPath, *(QSettings().value(self.settingKey) or [])]
            QSettings().setValue(self.settingKey, list(dict.fromkeys(history)))

    def browse(self) -> None:
        """Asks for a path: a folder where the filters name folders and no files."""
        folder = self.filters & self.Dirs and not self.filters & self.Files
        ask = qt.QFileDialog.getExistingDirectory if folder else qt.QFileDialog.getOpenFileName
        chosen = ask(self, "Select a folder" if folder else "Select a file")
        if chosen:
            self.currentPath = chosen


class ctkDirectoryButton(_PathWidget):
    """A folder."""

    _stands_for = "ctkDirectoryButton"
    directoryChanged = Signal(str)
    caption = stored(str, "caption", "")

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._stand_in_line.readOnly = True

    def _directory(self) -> str:
        return str(self._stand_in_line.text)

    def setDirectory(self, value: str) -> None:
        if value != self._directory():
            self._stand_in_line.setText(value)
            self.directoryChanged(value)

    directory = Property(str, _directory, setDirectory)

    def browse(self) -> None:
        chosen = qt.QFileDialog.getExistingDirectory(self, self.caption or "Select a folder")
        if chosen:
            self.directory = chosen


class ctkColorPickerButton(qt.QPushButton):
    """A colour."""

    _stands_for = "ctkColorPickerButton"
    colorChanged = Signal(QtGui.QColor)
    color = stored(QtGui.QColor, "color", QtGui.QColor("black"), changed="colorChanged")
    displayColorName = stored(bool, "display_color_name", True)


class ctkMessageBox(qt.QMessageBox):
    """A message box with "don't show again"; recorded, never shown."""

    _stands_for = "ctkMessageBox"
    dontShowAgainVisible = stored(bool, "dont_show_again_visible", False)
    dontShowAgain = stored(bool, "dont_show_again", False)
    dontShowAgainSettingsKey = stored(str, "dont_show_again_key", "")


EXPORTED: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        ctkCheckBox,
        ctkComboBox,
        ctkPushButton,
        ctkSearchBox,
        ctkCollapsibleButton,
        ctkCollapsibleGroupBox,
        ctkPathLineEdit,
        ctkDirectoryButton,
        ctkColorPickerButton,
        ctkMessageBox,
        *NUMBERS,
    )
}
