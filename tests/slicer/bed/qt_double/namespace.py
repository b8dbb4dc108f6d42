"""The module ``qt``."""

from __future__ import annotations

import functools
import types
from typing import Any

from PySide6 import QtCore, QtWidgets

from tests.slicer.bed.qt_double import dialogs, idioms, settings, ui_loader

_WITHOUT_DOUBLE = (QtCore.QCoreApplication,)
_REPLACED: dict[str, Any] = {
    "QSettings": settings.QSettings,
    "QDesktopServices": dialogs.DesktopServices,
    "QUiLoader": ui_loader.UiLoader,
    "Slot": QtCore.Slot,
    "Signal": QtCore.Signal,
    "Property": QtCore.Property,
}

idioms.mix_into(QtWidgets.QDialog, dialogs.NeverBlocks)
idioms.mix_into(QtWidgets.QMenu, dialogs.Menu)
idioms.mix_into(QtCore.QEventLoop, dialogs.EventLoop)
idioms.mix_into(QtWidgets.QMessageBox, dialogs.MessageBox)
idioms.mix_into(QtWidgets.QFileDialog, dialogs.FileDialog)
idioms.mix_into(QtWidgets.QInputDialog, dialogs.InputDialog)


def _look_up(name: str) -> Any:
    if name in _REPLACED:
        return _REPLACED[name]
    for module in idioms.QT_MODULES:
        found = getattr(module, name, None)
        if found is None or name.startswith("_"):
            continue
        doubled = isinstance(found, type) and issubclass(found, QtCore.QObject)
        return idioms.double_of(found) if doubled and not issubclass(found, _WITHOUT_DOUBLE) else found
    raise AttributeError(f"qt has no {name!r}")


class _Namespace(types.ModuleType):
    """The module ``qt``: a class's double is made when it is first asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = _look_up(name)
        setattr(self, name, found)
        return found


@functools.cache
def qt_module() -> Any:
    """The module ``qt``."""
    return _Namespace("qt")
