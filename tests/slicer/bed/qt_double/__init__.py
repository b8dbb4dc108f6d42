"""Doubles of ``qt``, ``ctk`` and the widgets in ``slicer``, on PySide6, in the manner of PythonQt.

`modules` gives ``qt`` and ``ctk``, `slicer_widgets` what belongs into ``slicer``. Importing puts nothing anywhere.
"""

from __future__ import annotations

import functools
import types

from PySide6 import QtWidgets

from tests.slicer.bed.qt_double import (
    ctk_widgets,
    editor_widgets,
    mrml_widgets,
    node_selectors,
    sequence_widgets,
    ui_loader,
)
from tests.slicer.bed.qt_double.namespace import qt_module


@functools.cache
def modules() -> dict[str, types.ModuleType]:
    """``qt`` and ``ctk``, by name."""
    ctk = types.ModuleType("ctk")
    ctk.__dict__.update(ctk_widgets.EXPORTED)
    ui_loader.UiLoader.find_class = staticmethod(_class_of_ui)
    return {"qt": qt_module(), "ctk": ctk}


@functools.cache
def slicer_widgets() -> dict[str, type]:
    """The qMRML widgets."""
    return {
        **mrml_widgets.EXPORTED,
        **node_selectors.EXPORTED,
        **editor_widgets.EXPORTED,
        **sequence_widgets.EXPORTED,
    }


def _class_of_ui(name: str) -> type | None:
    """The double of a class that a .ui file names; None where there is none."""
    known = {**ctk_widgets.EXPORTED, **slicer_widgets()}
    if name in known:
        return known[name]
    return getattr(qt_module(), name) if hasattr(QtWidgets, name) else None


__all__ = ["modules", "qt_module", "slicer_widgets"]
