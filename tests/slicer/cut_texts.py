"""Texts of a panel that their widgets have no room for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from tests.slicer.bed.session import Bed

CHECK_PIXELS = 20
"""Of a box to be ticked, and of the triangle of what can be closed, with the gap before the text."""
MARGIN_PIXELS = 4
"""Beside a text in a line edit, a combo box, a cell."""

Found = Iterator[str]
Style, Control = QtWidgets.QStyle, QtWidgets.QStyle.ComplexControl
_Edit = QtCore.QRect


def cut(bed: Bed, root: Any) -> list[str]:
    """Name of the widget and the text, for each that is cut; of the visible ones."""
    qt, ctk = bed.qt, bed.ctk
    checks: list[tuple[Any, Callable[[Any], Found]]] = [
        (qt.QLabel, _label),
        (ctk.ctkCollapsibleButton, _title),
        (qt.QGroupBox, _group),
        ((qt.QPushButton, qt.QToolButton, qt.QCheckBox), _button),
        (qt.QLineEdit, _line),
        (qt.QComboBox, _combo),
        (qt.QSpinBox, _spin),
        (qt.QTableWidget, _table),
    ]
    found = []
    for widget in root.findChildren(qt.QWidget):
        check = next((call for kind, call in checks if isinstance(widget, kind)), None)
        if widget.visible and check is not None:
            found += [f"{widget.objectName}: {text!r}" for text in check(widget)]
    return found


def _wide(widget: Any, text: str) -> int:
    metrics: Any = widget.fontMetrics()
    return max(metrics.horizontalAdvance(line) for line in text.split("\n"))


def _label(label: Any) -> Found:
    text = str(label.text)
    if not text:
        return
    if label.wordWrap:
        # A word that is too long for a line is cut at its side.
        is_cut = (
            label.heightForWidth(label.width) > label.height or _wide(label, text.replace(" ", "\n")) > label.width
        )
    else:
        is_cut = _wide(label, text) > label.width or label.fontMetrics().height() > label.height
    if is_cut:
        yield text


def _button(button: Any) -> Found:
    text, metrics = str(button.text), button.fontMetrics()
    extra = CHECK_PIXELS if isinstance(button, QtWidgets.QCheckBox) else 0
    high = len(text.split("\n")) * metrics.height()
    if text and (_wide(button, text) + extra > button.width or high > button.height):
        yield text


def _title(button: Any) -> Found:
    if _wide(button, button.text) + CHECK_PIXELS + 2 * MARGIN_PIXELS > button.width:
        yield str(button.text)


def _group(box: Any) -> Found:
    extra = (CHECK_PIXELS if box.checkable else 0) + 2 * MARGIN_PIXELS
    if box.title and (_wide(box, box.title) + extra > box.width or box.fontMetrics().height() > box.height):
        yield str(box.title)


def _line(edit: Any) -> Found:
    """What is typed scrolls; the placeholder does not."""
    room = edit.width - 4 * MARGIN_PIXELS
    if edit.placeholderText and (
        _wide(edit, edit.placeholderText) > room or edit.fontMetrics().height() > edit.height
    ):
        yield str(edit.placeholderText)


def _combo(combo: Any) -> Found:
    option = QtWidgets.QStyleOptionComboBox()
    combo.initStyleOption(option)
    room: Any = combo.style().subControlRect(
        Control.CC_ComboBox, option, Style.SubControl.SC_ComboBoxEditField, combo
    )
    for index in range(combo.count):
        text = str(combo.itemText(index))
        if _wide(combo, text) > _width(room) - MARGIN_PIXELS:
            yield text


def _spin(spin: Any) -> Found:
    option = QtWidgets.QStyleOptionSpinBox()
    spin.initStyleOption(option)
    room: Any = spin.style().subControlRect(Control.CC_SpinBox, option, Style.SubControl.SC_SpinBoxEditField, spin)
    for value in (spin.minimum, spin.maximum):
        if _wide(spin, f"{spin.prefix}{value}{spin.suffix}") > _width(room) - MARGIN_PIXELS:
            yield str(value)


def _table(table: Any) -> Found:
    """Headers and cells in their columns, and every row within the table."""
    headers = table.horizontalHeader()
    for column in range(table.columnCount):
        room = headers.sectionSize(column) - 2 * MARGIN_PIXELS
        texts = [(headers, table.horizontalHeaderItem(column))]
        texts += [(table, table.item(row, column)) for row in range(table.rowCount)]
        for widget, item in texts:
            if item is not None and _wide(widget, item.text()) > room:
                yield str(item.text())
    last = table.rowCount - 1
    if last >= 0 and table.rowViewportPosition(last) + table.rowHeight(last) > _height(table.viewport()):
        yield "the last row"


def _width(rect: Any) -> int:
    return int(QtCore.QRect(rect).width())


def _height(widget: Any) -> int:
    return int(QtGui.QRegion(widget.visibleRegion()).boundingRect().height())
