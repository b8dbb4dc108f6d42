"""``slicer.app``, ``slicer.modules``, the main window and the module manager."""

# ruff: noqa: N815 - names are Slicer's
from __future__ import annotations

import types
from pathlib import Path
from typing import Any

from PySide6 import QtCore, QtWidgets

from tests.slicer.bed.io_manager import IoManager
from tests.slicer.bed.layout import LayoutManager
from tests.slicer.bed.mrml import Mrml
from tests.slicer.bed.qt_double import qt_module
from tests.slicer.bed.qt_double.dialogs import DIALOGS
from tests.slicer.bed.qt_double.idioms import adopt
from tests.slicer.bed.qt_double.mrml_widgets import release_all
from tests.slicer.bed.qt_double.settings import QSettings

qt: Any = qt_module()


class Module:
    """One entry of ``slicer.modules``: a C++ module with its logic, or a scripted one with its path."""

    def __init__(self, name: str, logic: Any = None, path: str = "") -> None:
        self.name, self.title, self.path = name, name, path
        self.categories: list[str] = []
        self.dependencies: list[str] = []
        self.contributors: list[str] = []
        self.helpText = self.acknowledgementText = ""
        self.hidden = False
        self.icon: Any = None
        self._logic = logic
        self.widget: Any = None

    def logic(self) -> Any:
        return self._logic

    def widgetRepresentation(self) -> Any:
        return self.widget


class ModuleManager(qt.QObject):
    """``slicer.app.moduleManager()``."""

    _stands_for = "qSlicerModuleManager"

    moduleAboutToBeUnloaded = QtCore.Signal(str)

    def __init__(self, modules: types.SimpleNamespace) -> None:
        super().__init__()
        self._stand_in_modules = modules

    def module(self, name: str) -> Module | None:
        return getattr(self._stand_in_modules, name.lower(), None)

    def modulesNames(self) -> list[str]:
        return [module.name for module in vars(self._stand_in_modules).values()]


def _main_window() -> Any:
    """A window with the name that Slicer's has; its status bar's messages are recorded."""
    window = qt.QMainWindow()
    window.objectName = "qSlicerMainWindow"
    window.statusBar().messageChanged.connect(lambda text: DIALOGS.status_messages.append(text) if text else None)
    return window


class _Signals(qt.QObject):
    startupCompleted = QtCore.Signal()


class Application:
    """``slicer.app``. An attribute that is not here is an AttributeError, not a silent yes."""

    applicationName = "Slicer"
    applicationVersion = "5.12.4-2026-10-01"
    majorVersion, minorVersion = 5, 12
    revision = "0"
    documentationBaseUrl = "https://slicer.readthedocs.io/en/5.12/"

    def __init__(
        self, mrml: Mrml, layout_manager: LayoutManager, modules: types.SimpleNamespace, folder: Path
    ) -> None:
        self._mrml, self._layout_manager, self._folder = mrml, layout_manager, folder
        self._module_manager = ModuleManager(modules)
        self._io_manager = IoManager(mrml.scene, mrml.logics, folder)
        self._main_window = _main_window()
        self.testing = False
        self.render_pauses = 0
        self.selected_modules: list[str] = []
        self._signals: Any = _Signals()

    def close(self) -> None:
        """Lets go of the scene and of the windows."""
        release_all()
        for widget in QtWidgets.QApplication.topLevelWidgets():
            widget.close()
            widget.deleteLater()
        self.processEvents()
        QtWidgets.QApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete)
        while QtWidgets.QApplication.overrideCursor() is not None:
            QtWidgets.QApplication.restoreOverrideCursor()
        self._mrml = self._io_manager = None  # type: ignore[assignment]

    def connect(self, signature: str, slot: Any) -> None:
        self._signals.connect(signature, slot)

    def startup_completed(self) -> None:
        """All modules have been made: Slicer says so once."""
        self._signals.startupCompleted()

    @property
    def temporaryPath(self) -> str:
        return str(self._folder)

    @property
    def slicerHome(self) -> str:
        return str(self._folder)

    @property
    def launcherExecutableFilePath(self) -> str:
        return ""

    def testingEnabled(self) -> bool:
        return self.testing

    def applicationLogic(self) -> Any:
        return self._mrml.application_logic

    def mrmlScene(self) -> Any:
        return self._mrml.scene

    def moduleManager(self) -> Any:
        return self._module_manager

    def layoutManager(self) -> LayoutManager:
        return self._layout_manager

    def coreIOManager(self) -> IoManager:
        return self._io_manager

    ioManager = coreIOManager

    def topLevelWidgets(self) -> list[Any]:
        found: list[Any] = adopt(QtWidgets.QApplication.topLevelWidgets())
        return found

    def mainWindow(self) -> Any:
        return self._main_window

    def processEvents(self, *_: Any) -> None:
        QtWidgets.QApplication.processEvents()

    def pauseRender(self) -> None:
        self.render_pauses += 1

    def resumeRender(self) -> None:
        if not self.render_pauses:
            raise RuntimeError("resumeRender without pauseRender")
        self.render_pauses -= 1

    def setOverrideCursor(self, cursor: Any) -> None:
        QtWidgets.QApplication.setOverrideCursor(cursor)

    def restoreOverrideCursor(self) -> None:
        QtWidgets.QApplication.restoreOverrideCursor()

    def settings(self) -> QSettings:
        return QSettings()

    userSettings = revisionUserSettings = settings

    def translate(self, context: str, text: str, *_: Any) -> str:
        return text

    def startupEnvironment(self) -> Any:
        """As a QProcessEnvironment."""
        found = QtCore.QProcessEnvironment.systemEnvironment()
        return types.SimpleNamespace(keys=found.keys, value=found.value)

    def moduleDocumentationUrl(self, name: str) -> str:
        return f"{self.documentationBaseUrl}user_guide/modules/{name.lower()}.html"
