"""One test's Slicer: what it puts in place, and takes away again."""

from __future__ import annotations

import importlib
import os
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PySide6 import QtWidgets

from tests.slicer.bed import qt_double, stand_ins
from tests.slicer.bed.application import Application, Module
from tests.slicer.bed.heartbeat import Heartbeat, pump
from tests.slicer.bed.layout import LayoutManager
from tests.slicer.bed.mrml import LOGICS, Mrml
from tests.slicer.bed.pictures import grab, use_readable_font
from tests.slicer.bed.qt_double import settings
from tests.slicer.bed.qt_double.dialogs import DIALOGS, Dialogs

_MISSING = object()


@dataclass
class Bed:
    """A running bed.

    ``errors`` holds what was raised where nobody could catch it: in slots, timers and observers.
    """

    slicer: Any
    qt: Any
    ctk: Any
    mrml: Mrml
    app: Application
    dialogs: Dialogs = field(default_factory=lambda: DIALOGS)
    errors: list[BaseException] = field(default_factory=list)
    _widgets: list[Any] = field(default_factory=list)

    @property
    def scene(self) -> Any:
        """The vtkMRMLScene."""
        return self.mrml.scene

    def heartbeat(self) -> Heartbeat:
        """See `tests.slicer.bed.heartbeat`."""
        return Heartbeat()

    def pump(self, until: Callable[[], bool], seconds: float = 10.0, *, what: str = "") -> None:
        """Processes events until the condition holds; TimeoutError where it does not in time."""
        pump(until, seconds, what=what)

    def grab(self, widget: Any, path: Path, width: int = 420, height: int | None = None) -> Path:
        """A PNG of a widget; see `tests.slicer.bed.pictures.grab`."""
        return grab(widget, path, width, height)

    def restart_settings(self) -> None:
        """Settings become text, as after a restart of Slicer."""
        settings.as_after_restart()

    def module(self, source: types.ModuleType) -> Module:
        """Registers a scripted module from its imported file, as Slicer's module finder does.

        The file defines a class of its own name, which describes the module.
        """
        name = source.__name__.rpartition(".")[2]
        entry = Module(name, path=str(source.__file__))
        entry.description = getattr(source, name)(entry)  # type: ignore[attr-defined]
        entry.description.__class__.__module__ = source.__name__  # type: ignore[attr-defined]
        setattr(self.slicer.modules, name.lower(), entry)
        return entry

    def widget(self, source: types.ModuleType) -> Any:
        """The module's panel, set up as Slicer does it: parent, scene, ``setup``, then ``enter``."""
        name = source.__name__.rpartition(".")[2]
        entry = self.module(source)
        parent = self.slicer.qMRMLWidget()
        parent.setLayout(self.qt.QVBoxLayout())
        parent.setMRMLScene(self.scene)
        panel = getattr(source, f"{name}Widget")(parent)
        entry.widget = types.SimpleNamespace(self=lambda: panel)
        self._widgets.append(panel)
        panel.setup()
        parent.show()
        if hasattr(panel, "enter"):
            panel.enter()
        return panel

    def leave(self) -> None:
        """Leaves every panel, and unloads it, as Slicer does when it ends."""
        for panel in self._widgets:
            if hasattr(panel, "exit"):
                panel.exit()
            panel.cleanup()
            panel.parent.close()
            panel.parent.deleteLater()
        self._widgets.clear()

    def check(self) -> None:
        """Raises what went wrong out of sight: errors in slots, and dialogs that nobody answered."""
        if self.dialogs.unanswered:
            raise AssertionError(f"asked without an answer: {self.dialogs.unanswered}")
        if self.errors:
            raise AssertionError(f"errors in slots, timers or observers: {self.errors!r}") from self.errors[0]


@contextmanager
def _replaced(target: dict[str, Any], values: dict[str, Any]) -> Iterator[None]:
    """Sets entries of a dictionary, and puts back what was there."""
    before = {name: target.get(name, _MISSING) for name in values}
    target.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is _MISSING:
                target.pop(name, None)
            else:
                target[name] = value


def qt_application() -> Any:
    """The process's one QApplication, off the screen."""
    running = QtWidgets.QApplication.instance()
    if running is None:
        with _replaced(os.environ, {"QT_QPA_PLATFORM": os.environ.get("QT_QPA_PLATFORM", "offscreen")}):  # type: ignore[arg-type]
            running = QtWidgets.QApplication(["Slicer"])
        use_readable_font()
    return running


@contextmanager
def _collected(errors: list[BaseException]) -> Iterator[None]:
    """Qt and VTK print what a callback raises; here it is kept."""
    before: Callable[..., Any] = sys.excepthook

    def keep(kind: type[BaseException], error: BaseException | None, trace: Any) -> None:
        errors.append(error if error is not None else kind())

    sys.excepthook = keep
    try:
        yield
    finally:
        sys.excepthook = before


@contextmanager
def open_bed(folder: Path) -> Iterator[Bed]:
    """See `tests.slicer.bed.open_bed`."""
    qt_application()
    slicer: Any = importlib.import_module("slicer")
    importlib.import_module("slicer.util")
    settings.clear()
    DIALOGS.clear()
    doubles = qt_double.modules()
    with ExitStack() as undo:
        undo.enter_context(_replaced(sys.modules, dict(doubles)))
        undo.enter_context(_replaced(vars(slicer), _empty_slicer()))
        # Slicer's own copies of the stand-ins look at `slicer`, `qt` and `ctk` while they are imported.
        extra = stand_ins.modules()
        undo.enter_context(_replaced(sys.modules, dict(extra)))
        inside = {name.partition(".")[2]: module for name, module in extra.items()}
        undo.enter_context(_replaced(vars(slicer), inside))
        mrml = Mrml(folder)
        undo.callback(mrml.close)
        slicer.mrmlScene = mrml.scene
        for name in ("Colors", *LOGICS):
            setattr(slicer.modules, name.lower(), Module(name, mrml.logics[name.lower()]))
        layout_manager = LayoutManager(mrml.scene, mrml.application_logic)
        undo.callback(layout_manager.close)
        slicer.app = Application(mrml, layout_manager, slicer.modules, folder)
        undo.callback(slicer.app.close)
        bed = Bed(slicer, doubles["qt"], doubles["ctk"], mrml, slicer.app)
        undo.enter_context(_collected(bed.errors))
        undo.callback(bed.leave)
        yield bed


def _empty_slicer() -> dict[str, Any]:
    """What the bed adds to ``slicer``, before there is a scene."""
    return {
        **qt_double.slicer_widgets(),
        "modules": types.SimpleNamespace(),
        "selfTests": {},
        "mrmlScene": None,
        "app": None,
        "qSlicerScriptedLoadableModule": type("qSlicerScriptedLoadableModule", (), {}),
        "qSlicerScriptedLoadableModuleWidget": types.SimpleNamespace,
    }
