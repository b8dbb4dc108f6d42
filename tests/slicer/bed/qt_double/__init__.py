"""Doubles of the modules ``qt`` and ``ctk`` and of the widgets in ``slicer``, on PySide6, in the manner of PythonQt.

`modules` gives ``qt`` and ``ctk``, `slicer_widgets` what belongs into ``slicer``. Nothing is put anywhere on import.
"""

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


@functools.cache
def modules() -> dict[str, types.ModuleType]:
    """``qt`` and ``ctk``, by name."""
    from tests.slicer.bed.qt_double import ctk_widgets

    ctk = types.ModuleType("ctk")
    ctk.__dict__.update(ctk_widgets.EXPORTED)
    ui_loader.UiLoader.find_class = staticmethod(_class_of_ui)
    return {"qt": qt_module(), "ctk": ctk}


@functools.cache
def slicer_widgets() -> dict[str, type]:
    """The qMRML widgets and the others that Slicer puts into its own namespace."""
    from tests.slicer.bed.qt_double import editor_widgets, mrml_widgets, node_selectors, sequence_widgets

    return {
        **mrml_widgets.EXPORTED,
        **node_selectors.EXPORTED,
        **editor_widgets.EXPORTED,
        **sequence_widgets.EXPORTED,
    }


def _class_of_ui(name: str) -> type | None:
    ctk = modules()["ctk"]
    if name in slicer_widgets():
        return slicer_widgets()[name]
    if hasattr(ctk, name):
        found: type = getattr(ctk, name)
        return found
    found = getattr(qt_module(), name, None) if hasattr(QtWidgets, name) else None  # type: ignore[assignment]
    return found


__all__ = ["modules", "qt_module", "slicer_widgets"]
