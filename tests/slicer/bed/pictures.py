"""Pictures of widgets, with letters that can be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from PySide6 import QtGui, QtWidgets

FAMILY = "DejaVu Sans"


def use_readable_font() -> None:
    """Qt off the screen brings no fonts; where the system has none either, matplotlib's DejaVu Sans is used."""
    if FAMILY not in QtGui.QFontDatabase.families():
        fonts = Path(mpl.get_data_path()) / "fonts" / "ttf"
        for name in ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansMono.ttf"):
            QtGui.QFontDatabase.addApplicationFont(str(fonts / name))
    QtWidgets.QApplication.setFont(QtGui.QFont(FAMILY, 9))


def grab(widget: Any, path: Path, width: int = 420, height: int | None = None) -> Path:
    """A PNG of a widget, laid out at the given width and, unless told, at the height that it asks for."""
    widget.ensurePolished()
    widget.show()
    layout = widget.layout()
    tall = height
    if tall is None:
        widget.resize(width, 10)
        QtWidgets.QApplication.processEvents()
        flows = layout is not None and layout.hasHeightForWidth()
        tall = layout.totalHeightForWidth(width) if flows else widget.sizeHint.height()
    widget.resize(width, tall)
    QtWidgets.QApplication.processEvents()
    picture = widget.grab()
    if not picture.save(str(path), "PNG"):
        raise OSError(f"cannot write {path}")
    return path
