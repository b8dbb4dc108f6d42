"""``slicer.ScriptedLoadableModule``: the four base classes of a scripted module."""

# ruff: noqa: N803, N815 - names are Slicer's
from __future__ import annotations

import importlib
import unittest
from pathlib import Path
from typing import Any

from tests.slicer.bed.qt_double import qt_module, slicer_widgets
from tests.slicer.bed.qt_double.settings import QSettings

slicer: Any = importlib.import_module("slicer")


class ScriptedLoadableModule:
    """What Slicer's module finder makes of a module's file."""

    def __init__(self, parent: Any) -> None:
        self.parent = parent
        self.moduleName = type(self).__name__
        for name in ("title", "helpText", "acknowledgementText"):
            setattr(parent, name, "")
        for name in ("categories", "dependencies", "contributors"):
            setattr(parent, name, [])
        icons = Path(parent.path).parent / "Resources" / "Icons"
        for suffix in (".svg", ".png"):
            icon = icons / f"{self.moduleName}{suffix}"
            if icon.is_file():
                parent.icon = qt_module().QIcon(str(icon))
                break

    def resourcePath(self, filename: str) -> str:
        return str(Path(self.parent.path).parent / "Resources" / filename)

    def getDefaultModuleDocumentationLink(self, docPage: str | None = None) -> str:
        base = slicer.app.documentationBaseUrl
        url = base + docPage if docPage else slicer.app.moduleDocumentationUrl(self.moduleName)
        return f'<p>See the <a href="{url}">documentation</a>.</p>'

    def runTest(self, msec: int = 100, **named: Any) -> None:
        """Runs the module's test class, ``<module>Test``."""
        test = getattr(importlib.import_module(type(self).__module__), f"{self.moduleName}Test")()
        test.messageDelay = msec
        test.runTest(**named)


class ScriptedLoadableModuleWidget:
    """A module's panel. Without a parent it makes one, and sets itself up."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Widget")
        value = QSettings().value("Developer/DeveloperMode", False)
        self.developerMode = slicer.util.toBool(value)
        self.parent = parent if parent is not None else slicer_widgets()["qMRMLWidget"]()
        if parent is None:
            self.parent.setLayout(qt_module().QVBoxLayout())
            self.parent.setMRMLScene(slicer.mrmlScene)
        self.layout = self.parent.layout()
        if parent is None:
            self.setup()
            self.parent.show()
        slicer.app.moduleManager().connect("moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded)

    def resourcePath(self, filename: str) -> str:
        return str(Path(slicer.util.modulePath(self.moduleName)).parent / "Resources" / filename)

    def setup(self) -> None:
        """Derived classes make their widgets here."""

    def cleanup(self) -> None:
        """Called before the module is unloaded."""

    def _onModuleAboutToBeUnloaded(self, moduleName: str) -> None:
        if moduleName == self.moduleName:
            self.cleanup()
            slicer.app.moduleManager().disconnect(
                "moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded
            )


class ScriptedLoadableModuleLogic:
    """A module's logic, with its parameter node."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__()
        self.moduleName = type(self).__name__.removesuffix("Logic")
        self.isSingletonParameterNode = True

    def getParameterNode(self) -> Any:
        """The module's first parameter node; a new one where there is none."""
        if self.isSingletonParameterNode:
            node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
            if node is not None:
                node.SetAttribute("ModuleName", self.moduleName)
                return node
        elif self.getAllParameterNodes():
            return self.getAllParameterNodes()[0]
        return slicer.mrmlScene.AddNode(self.createParameterNode())

    def getAllParameterNodes(self) -> list[Any]:
        nodes = slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode")
        return [node for node in nodes if node.GetAttribute("ModuleName") == self.moduleName]

    def createParameterNode(self) -> Any:
        node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
        node.UnRegister(None)
        if self.isSingletonParameterNode:
            node.SetSingletonTag(self.moduleName)
        node.SetAttribute("ModuleName", self.moduleName)
        node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """A module's self-test."""

    messageDelay = 0

    def delayDisplay(self, message: str, requestedDelay: int | None = None, msec: int | None = None) -> None:
        """Lets the events of the application run."""
        slicer.app.processEvents()

    def runTest(self) -> None:
        raise AssertionError(f"{type(self).__name__} runs no test")


EXPORTED = (
    ScriptedLoadableModule,
    ScriptedLoadableModuleWidget,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
)
