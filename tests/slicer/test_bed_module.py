"""A scripted module lives in the bed as in Slicer; Slicer's own base classes take the stand-ins' place."""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.slicer.bed.session import Bed

SOURCE = """
import slicer, qt, vtk
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import *
from slicer.util import VTKObservationMixin

class Small(ScriptedLoadableModule):
    def __init__(self, parent):
        super().__init__(parent)
        parent.title = _("Small")

@parameterNodeWrapper
class Parameters:
    count: int = 3

class SmallWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.seen = []

    def setup(self):
        super().setup()
        self.ui = slicer.util.childWidgetVariables(slicer.util.loadUI(self.resourcePath("UI/Small.ui")))
        self.spin = self.ui.spin
        self.layout.addWidget(self.spin)
        self.logic = SmallLogic()
        self.parameters = Parameters(self.logic.getParameterNode())
        self.parameters.connectGui(self.ui)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, lambda *_: self.seen.append("closed"))

    def enter(self):
        self.seen.append("enter")

    def exit(self):
        self.seen.append("exit")

    def cleanup(self):
        self.seen.append("cleanup")
        self.removeObservers()

class SmallLogic(ScriptedLoadableModuleLogic):
    pass
"""
UI = """<?xml version="1.0" encoding="UTF-8"?>
<ui version="4.0"><class>Small</class><widget class="qMRMLWidget" name="Small">
<layout class="QVBoxLayout" name="l">
<item><widget class="QSpinBox" name="spin">
<property name="SlicerParameterName" stdset="0"><string>count</string></property></widget></item>
</layout></widget></ui>
"""


@pytest.fixture
def small(bed: Bed, tmp_path: Path) -> Iterator[types.ModuleType]:
    folder = tmp_path / "Small"
    (folder / "Resources" / "UI").mkdir(parents=True)
    (folder / "Small.py").write_text(SOURCE, encoding="utf-8")
    (folder / "Resources" / "UI" / "Small.ui").write_text(UI, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("Small", folder / "Small.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("Small", None)


def test_the_life_of_a_module(
    bed: Bed, small: types.ModuleType, widget_of: Callable[[types.ModuleType], Any]
) -> None:
    panel = widget_of(small)
    assert (panel.seen, panel.spin.value, panel.spin.visible) == (["enter"], 3, True)
    panel.spin.value = 8
    node = bed.scene.GetSingletonNode("Small", "vtkMRMLScriptedModuleNode")
    assert (node.GetAttribute("ModuleName"), node.GetParameter("count")) == ("Small", "8")
    assert bed.slicer.util.getModule("Small").title == "Small"
    assert bed.slicer.util.getModuleWidget("Small") is panel
    assert bed.slicer.util.modulePath("Small") == small.__file__
    bed.scene.Clear(0)
    bed.leave()
    assert panel.seen == ["enter", "closed", "exit", "cleanup"]
    bed.scene.Clear(0)
    assert panel.seen[-1] == "cleanup"


def test_panel_made_without_a_parent(bed: Bed, small: types.ModuleType) -> None:
    bed.module(small)
    panel: Any = small.SmallWidget()
    assert panel.parent.mrmlScene() is bed.scene
    assert panel.spin.value == 3
    panel.cleanup()


@pytest.fixture
def patched(bed: Bed) -> Iterator[pytest.MonkeyPatch]:
    """Undone before the bed is closed."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def test_parts_of_a_slicer_at_hand_take_the_place_of_the_stand_ins(
    bed: Bed, tmp_path: Path, patched: pytest.MonkeyPatch
) -> None:
    stand_ins = importlib.import_module("tests.slicer.bed.stand_ins")
    folder = tmp_path / "Slicer" / "Base" / "Python" / "slicer"
    (folder / "parameterNodeWrapper").mkdir(parents=True)
    (folder / "ScriptedLoadableModule.py").write_text("import qt, ctk, slicer\nreal = qt.QWidget\n")
    (folder / "i18n.py").write_text("def tr(text):\n    return text.upper()\n")
    (folder / "parameterNodeWrapper" / "__init__.py").write_text("from .wrapper import *\n")
    (folder / "parameterNodeWrapper" / "wrapper.py").write_text("answer = 42\n")
    patched.setattr(stand_ins, "_made", {})
    patched.setenv(stand_ins.VARIABLE, str(tmp_path / "Slicer"))
    for name in (*stand_ins.NAMES, "parameterNodeWrapper.wrapper"):
        patched.setitem(sys.modules, f"slicer.{name}", types.ModuleType("replaced"))
        patched.delitem(sys.modules, f"slicer.{name}")
    made = stand_ins.modules()
    assert made["slicer.ScriptedLoadableModule"].real is bed.qt.QWidget
    assert made["slicer.i18n"].tr("frame") == "FRAME"
    assert made["slicer.parameterNodeWrapper"].answer == 42
    with pytest.raises(RuntimeError, match="installs nothing"):
        made["slicer.packaging"].pip_install("x")
    patched.setattr(stand_ins, "_made", {})
    patched.setenv(stand_ins.VARIABLE, str(tmp_path))
    with pytest.raises(FileNotFoundError, match=stand_ins.VARIABLE):
        stand_ins.modules()
