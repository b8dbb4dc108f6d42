"""Real MRML: a scene with the application's and the modules' logics, made for one test and gone after it."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import Any

LOGICS: dict[str, str] = {
    "Volumes": "vtkSlicerVolumesLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Models": "vtkSlicerModelsLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Texts": "vtkSlicerTextsLogic",
}
"""Module, and the class of its logic. Colors is made apart; Terminologies needs an installation's files."""


class Mrml:
    """A scene as Slicer starts it.

    ``logics`` holds the modules' logics by lower-case name, ``application_logic`` is vtkSlicerApplicationLogic,
    ``messages()`` is what VTK and MRML had to say (warnings and errors), oldest first.
    """

    def __init__(self, folder: Path) -> None:
        self.slicer: Any = importlib.import_module("slicer")
        self._vtk: Any = importlib.import_module("vtk")
        self._old_window = self._vtk.vtkOutputWindow.GetInstance()
        self._window = self._vtk.vtkStringOutputWindow()
        self._vtk.vtkOutputWindow.SetInstance(self._window)
        self.folder = folder
        self.scene: Any = self.slicer.vtkMRMLScene()
        self.application_logic: Any = self.slicer.vtkSlicerApplicationLogic()
        self.logics: dict[str, Any] = {}
        self._boot()
        self._forgotten = len(self._window.GetOutput())

    def _boot(self) -> None:
        slicer, scene, app = self.slicer, self.scene, self.application_logic
        app.SetTemporaryPath(str(self.folder))
        app.SetHomeDirectory(str(self.folder))
        app.SetShareDirectory("share")
        (self.folder / "share" / "ColorFiles").mkdir(parents=True, exist_ok=True)
        self._cache = slicer.vtkCacheManager()
        self._cache.SetRemoteCacheDirectory(tempfile.mkdtemp(prefix="cache", dir=self.folder))
        self._data_io = slicer.vtkDataIOManager()
        self._data_io.SetCacheManager(self._cache)
        scene.SetCacheManager(self._cache)
        scene.SetDataIOManager(self._data_io)
        app.SetMRMLScene(scene)
        colors = slicer.vtkSlicerColorLogic()
        colors.SetMRMLApplicationLogic(app)
        colors.SetMRMLScene(scene)
        colors.AddDefaultColorNodes()
        app.SetModuleLogic("Colors", colors)
        self.logics["colors"] = colors
        self._add_generic_colors()
        for module, class_name in LOGICS.items():
            logic = getattr(slicer, class_name)()
            logic.SetMRMLApplicationLogic(app)
            logic.SetMRMLScene(scene)
            app.SetModuleLogic(module, logic)
            self.logics[module.lower()] = logic

    def _add_generic_colors(self) -> None:
        """The table that label volumes refer to; Slicer reads it from a file of its installation."""
        table = self.slicer.vtkMRMLColorTableNode()
        table.SetTypeToUser()
        table.SetSingletonTag("FileGenericColors.txt")
        table.SetName("GenericColors")
        table.SetHideFromEditors(True)
        table.SetSaveWithScene(False)
        table.SetNumberOfColors(256)
        for i in range(256):
            table.SetColor(i, f"color {i}", (i * 97 % 256) / 255, (i * 57 % 256) / 255, (i * 23 % 256) / 255)
        self.scene.AddNode(table)

    def _forget_conversions(self) -> None:
        """Every logic of Segmentations adds its own to those of the process; each segmentation copies all."""
        factory = self.slicer.vtkSegmentationConverterFactory.GetInstance()
        for rule in list(factory.GetConverterRules()):
            factory.UnregisterConverterRule(rule)

    def messages(self) -> list[str]:
        """Warnings and errors of VTK and MRML since the start, or since the last `forget_messages`."""
        text = self._window.GetOutput()[self._forgotten :]
        return [line for line in text.splitlines() if line.strip()]

    def forget_messages(self) -> None:
        """Starts `messages` anew: for a test that provokes some."""
        self._forgotten = len(self._window.GetOutput())

    def close(self) -> None:
        """Takes the scene from every logic and empties it; without another reference it is gone."""
        self._vtk.vtkObject.GlobalWarningDisplayOff()  # a logic without a scene complains
        for logic in self.logics.values():
            logic.SetMRMLScene(None)
        self.logics.clear()
        self._forget_conversions()
        self.scene.Clear(1)
        self.application_logic.SetMRMLScene(None)
        self.application_logic = None
        self.scene.SetDataIOManager(None)
        self.scene.SetCacheManager(None)
        # What still observes the scene must not be called when it is destroyed, perhaps by Python's garbage
        # collection, which may have taken the function apart already: the process would end.
        self.scene.RemoveAllObservers()
        self.scene = None
        self._vtk.vtkObject.GlobalWarningDisplayOn()
        self._vtk.vtkOutputWindow.SetInstance(self._old_window)
