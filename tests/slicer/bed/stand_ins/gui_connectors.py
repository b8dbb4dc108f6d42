"""Which widget shows which type of parameter; the connectors ask for the widget's exact class, as Slicer's do."""

from __future__ import annotations

import enum
import importlib
import pathlib
import typing
from collections.abc import Callable
from typing import Any

from tests.slicer.bed.qt_double import modules, qt_module, slicer_widgets
from tests.slicer.bed.stand_ins.annotations import (
    Choice,
    Decimals,
    Maximum,
    Minimum,
    SingleStep,
    WithinRange,
    first,
    split,
)

slicer: Any = importlib.import_module("slicer")


class GuiConnector:
    """Reads and writes one widget, and tells of its changes."""

    signal = ""

    def __init__(self, widget: Any, datatype: Any) -> None:
        self._widget = widget
        self._kind, self._annotations = split(datatype)
        self._callback: Callable[[], None] | None = None

    def widget(self) -> Any:
        return self._widget

    def changed(self) -> None:
        if self._callback is not None:
            self._callback()

    def onChanged(self, callback: Callable[[], None] | None) -> None:
        self._callback = callback
        signal = getattr(self._widget, self.signal)
        if callback is None:
            signal.disconnect(self.changed)
        else:
            signal.connect(self.changed)

    def read(self) -> Any:
        raise NotImplementedError

    def write(self, value: Any) -> None:
        raise NotImplementedError


class _Property(GuiConnector):
    """A widget whose value is one of its properties."""

    def __init__(self, widget: Any, datatype: Any, name: str, signal: str) -> None:
        super().__init__(widget, datatype)
        self._name, self.signal = name, signal

    def read(self) -> Any:
        value = getattr(self._widget, self._name)
        return self._kind(value) if issubclass(self._kind, pathlib.PurePath) else value

    def write(self, value: Any) -> None:
        setattr(self._widget, self._name, str(value) if isinstance(value, pathlib.PurePath) else value)


_NEED_BOUNDS = ("QSlider", "ctkSliderWidget", "qMRMLSliderWidget")


class _Number(_Property):
    """A number; the annotations set the widget's range, step and decimals."""

    def __init__(self, widget: Any, datatype: Any) -> None:
        super().__init__(widget, datatype, "value", "valueChanged")
        for hint, name in ((Decimals, "decimals"), (SingleStep, "singleStep")):
            found = first(self._annotations, hint)
            if found is not None:
                setattr(widget, name, found.value)
        span = first(self._annotations, WithinRange)
        lower = span or first(self._annotations, Minimum)
        upper = span or first(self._annotations, Maximum)
        if type(widget).__name__ in _NEED_BOUNDS and (lower is None or upper is None):
            raise RuntimeError(f"{widget.objectName}: a slider needs a parameter with bounds")
        whole = self._kind is int
        widget.minimum = lower.minimum if lower else (-(2**31) if whole else float("-inf"))
        widget.maximum = upper.maximum if upper else (2**31 - 1 if whole else float("inf"))


class _Combo(GuiConnector):
    """A combo box: the values of a Choice, or the members of an enum."""

    signal = "currentIndexChanged"

    def __init__(self, widget: Any, datatype: Any) -> None:
        super().__init__(widget, datatype)
        if issubclass(self._kind, enum.Enum):
            self._values = list(self._kind)
            label = getattr(self._kind, "label", lambda each: each.name)
            labels = [label(each) for each in self._values]
        else:
            choice = first(self._annotations, Choice)
            if choice is None:
                raise RuntimeError(f"{widget.objectName}: a combo box needs a parameter with Choice")
            self._values = list(choice.choices)
            labels = [str(each) for each in self._values]
        widget.clear()
        for text in labels:
            widget.addItem(text)

    def read(self) -> Any:
        return self._values[self._widget.currentIndex]

    def write(self, value: Any) -> None:
        self._widget.currentIndex = self._values.index(value)


class _PlainText(GuiConnector):
    """A QTextEdit's text."""

    signal = "textChanged"

    def read(self) -> Any:
        return self._widget.toPlainText()

    def write(self, value: Any) -> None:
        self._widget.setPlainText(value)


class _Node(GuiConnector):
    """A node selector; it is told which types to offer."""

    signal = "currentNodeChanged"

    def __init__(self, widget: Any, datatype: Any) -> None:
        super().__init__(widget, datatype)
        widget.nodeTypes = [kind.__name__ for kind in _node_types(self._kind)]

    def read(self) -> Any:
        return self._widget.currentNode()

    def write(self, value: Any) -> None:
        self._widget.setCurrentNode(value)


def _node_types(kind: Any) -> list[type]:
    parts = (
        [split(part)[0] for part in typing.get_args(kind)] if typing.get_origin(kind) is typing.Union else [kind]
    )
    kinds = [part for part in parts if part is not type(None)]
    fits = kinds and all(isinstance(each, type) and issubclass(each, slicer.vtkMRMLNode) for each in kinds)
    return kinds if fits else []


_registered: list[type[GuiConnector]] = []


def parameterNodeGuiConnector(cls: Any = None) -> Any:
    """Class decorator: registers a connector of one's own (``canRepresent`` and ``create``)."""

    def register(connector: Any) -> Any:
        _registered.append(connector)
        return connector

    return register if cls is None else register(cls)


def createGuiConnector(widget: Any, datatype: Any) -> GuiConnector:
    """The connector for a widget and a type; RuntimeError where there is none."""
    for own in _registered:
        if own.canRepresent(widget, datatype):  # type: ignore[attr-defined]
            return own.create(widget, datatype)  # type: ignore[attr-defined]
    made = _create(widget, datatype, split(datatype)[0])
    if made is None:
        raise RuntimeError(f"no connector from {datatype} to a {type(widget).__name__} ({widget.objectName})")
    return made


def _create(widget: Any, datatype: Any, kind: Any) -> GuiConnector | None:
    classes = {**vars(modules()["ctk"]), **slicer_widgets()}
    name = type(widget).__name__
    exact = classes.get(name, getattr(qt_module(), name, None)) is type(widget)
    if _node_types(kind):
        return _Node(widget, datatype) if exact and name == "qMRMLNodeComboBox" else None
    if not exact or not isinstance(kind, type):
        return None
    if issubclass(kind, pathlib.PurePath) and name in _PATHS:
        return _Property(widget, datatype, *_PATHS[name])
    if name in {"QComboBox", "ctkComboBox"} and (kind in {int, float, str, bool} or issubclass(kind, enum.Enum)):
        return _Combo(widget, datatype)
    make = _MAKERS.get((kind, name))
    return make(widget, datatype) if make else None


def _checkable(widget: Any, datatype: Any) -> GuiConnector:
    widget.checkable = True
    return _Property(widget, datatype, "checked", "toggled")


def _number(widget: Any, datatype: Any) -> GuiConnector:
    return _Number(widget, datatype)


_PATHS = {
    "ctkPathLineEdit": ("currentPath", "currentPathChanged"),
    "ctkDirectoryButton": ("directory", "directoryChanged"),
}
_FLOATS = "QDoubleSpinBox ctkSliderWidget ctkDoubleSpinBox ctkDoubleSlider qMRMLSliderWidget qMRMLSpinBox"
_MAKERS: dict[tuple[Any, str], Callable[[Any, Any], GuiConnector]] = {
    **dict.fromkeys([(bool, name) for name in ("QCheckBox", "ctkCheckBox", "QPushButton")], _checkable),
    **dict.fromkeys([(int, name) for name in ("QSlider", "QSpinBox")], _number),
    **dict.fromkeys([(float, name) for name in _FLOATS.split()], _number),
    (str, "QLineEdit"): lambda widget, datatype: _Property(widget, datatype, "text", "textChanged"),
    (str, "QTextEdit"): _PlainText,
}
