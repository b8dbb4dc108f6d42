"""A .ui file in the bed: classes, properties, connections; and the stand-ins of Slicer's widgets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.slicer.bed.session import Bed

UI = """<?xml version="1.0" encoding="UTF-8"?>
<ui version="4.0">
 <class>Panel</class>
 <widget class="qMRMLWidget" name="Panel">
  <layout class="QVBoxLayout" name="verticalLayout">
   <item>
    <widget class="ctkCollapsibleButton" name="caseSection">
     <property name="text"><string>Case</string></property>
     <layout class="QFormLayout" name="caseLayout">
      <item row="0" column="0">
       <widget class="QLabel" name="cineLabel"><property name="text"><string>Cine:</string></property></widget>
      </item>
      <item row="0" column="1">
       <widget class="qMRMLNodeComboBox" name="cineSelector">
        <property name="nodeTypes"><stringlist><string>vtkMRMLSequenceNode</string></stringlist></property>
        <property name="noneEnabled"><bool>true</bool></property>
        <property name="addEnabled"><bool>false</bool></property>
       </widget>
      </item>
      <item row="1" column="0">
       <widget class="QCheckBox" name="moreBox"><property name="text"><string>More</string></property></widget>
      </item>
      <item row="1" column="1">
       <widget class="ctkSliderWidget" name="smoothness">
        <property name="minimum"><double>0.5</double></property>
        <property name="maximum"><double>4.0</double></property>
        <property name="singleStep"><double>0.5</double></property>
        <property name="value"><double>1.5</double></property>
        <property name="SlicerParameterName" stdset="0"><string>smoothness</string></property>
       </widget>
      </item>
     </layout>
    </widget>
   </item>
   <item><widget class="QPushButton" name="go"><property name="text"><string>Go</string></property></widget></item>
   <item><widget class="Line" name="line"/></item>
  </layout>
 </widget>
 <connections>
  <connection>
   <sender>Panel</sender><signal>mrmlSceneChanged(vtkMRMLScene*)</signal>
   <receiver>cineSelector</receiver><slot>setMRMLScene(vtkMRMLScene*)</slot>
  </connection>
  <connection>
   <sender>moreBox</sender><signal>toggled(bool)</signal>
   <receiver>smoothness</receiver><slot>setVisible(bool)</slot>
  </connection>
 </connections>
</ui>
"""


@pytest.fixture
def ui_file(tmp_path: Path) -> Path:
    path = tmp_path / "Panel.ui"
    path.write_text(UI, encoding="utf-8")
    return path


def test_a_ui_file_with_its_connections(bed: Bed, ui_file: Path) -> None:
    widget = bed.slicer.util.loadUI(str(ui_file))
    ui = bed.slicer.util.childWidgetVariables(widget)
    assert type(ui.cineSelector) is bed.slicer.qMRMLNodeComboBox
    assert type(ui.go) is bed.qt.QPushButton
    assert (ui.smoothness.value, ui.smoothness.minimum, ui.smoothness.singleStep) == (1.5, 0.5, 0.5)
    assert ui.smoothness.property("SlicerParameterName") == "smoothness"
    assert (ui.cineSelector.nodeTypes, ui.cineSelector.addEnabled) == (["vtkMRMLSequenceNode"], False)
    assert ui.caseLayout.rowCount() == 2
    widget.setMRMLScene(bed.scene)
    assert ui.cineSelector.mrmlScene() is bed.scene
    widget.show()
    ui.moreBox.checked = True
    ui.moreBox.checked = False
    assert not ui.smoothness.visible


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        ("toggled(bool)", "toggeld(bool)", "toggeld"),
        ("setVisible(bool)", "setVisibel(bool)", "setVisibel"),
        ("<receiver>smoothness", "<receiver>smoothnes", "smoothnes"),
        ('class="ctkSliderWidget"', 'class="ctkSlidderWidget"', "ctkSlidderWidget"),
    ],
)
def test_a_ui_file_with_a_mistake(bed: Bed, ui_file: Path, wrong: str, right: str, message: str) -> None:
    ui_file.write_text(UI.replace(wrong, right, 1), encoding="utf-8")
    with pytest.raises(RuntimeError, match=message):
        bed.slicer.util.loadUI(str(ui_file))


def test_node_selector(bed: Bed) -> None:
    selector = bed.slicer.qMRMLNodeComboBox()
    got: list[Any] = []
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.noneEnabled = True
    selector.connect("currentNodeChanged(vtkMRMLNode*)", lambda node: got.append(node and node.GetName()))
    selector.setMRMLScene(bed.scene)
    assert (selector.currentNode(), got) == (None, [])
    volume = bed.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Cine")
    bed.scene.AddNewNodeByClass("vtkMRMLModelNode", "Model")
    hidden = bed.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Hidden")
    hidden.SetHideFromEditors(True)
    assert selector.nodeCount() == 1
    selector.setCurrentNode(volume)
    assert selector.currentNodeID == volume.GetID()
    bed.scene.RemoveNode(volume)
    assert (selector.currentNode(), got) == (None, ["Cine", None])


def test_node_selector_without_none_takes_the_first(bed: Bed) -> None:
    selector = bed.slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.setMRMLScene(bed.scene)
    first = bed.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "A")
    bed.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "B")
    assert selector.currentNode() is first
    with pytest.raises(ValueError, match="vtkMRMLScalarNode"):
        selector.nodeTypes = ["vtkMRMLScalarNode"]


def test_segment_editor_keeps_the_order_that_slicer_wants(bed: Bed) -> None:
    editor = bed.slicer.qMRMLSegmentEditorWidget()
    editor.setMRMLScene(bed.scene)
    segmentation = bed.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    with pytest.raises(RuntimeError, match="vtkMRMLSegmentEditorNode"):
        editor.setSegmentationNode(segmentation)
    editor.setMRMLSegmentEditorNode(bed.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode"))
    segmentation.GetSegmentation().AddEmptySegment("LV", "LV")
    editor.setSegmentationNode(segmentation)
    editor.setCurrentSegmentID("LV")
    editor.setActiveEffectByName("Paint")
    assert (editor.segmentationNode(), editor.currentSegmentID(), editor.activeEffect()) == (
        segmentation,
        "LV",
        "Paint",
    )
    with pytest.raises(ValueError, match="Brush"):
        editor.setActiveEffectByName("Brush")


def test_sequence_widgets_follow_and_lead(bed: Bed) -> None:
    sequence = bed.scene.AddNewNodeByClass("vtkMRMLSequenceNode", "Texts")
    sequence.SetIndexUnit("s")
    for i in range(4):
        sequence.SetDataNodeAtValue(bed.slicer.vtkMRMLTextNode(), str(0.1 * i))
    browser = bed.scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    seek, play = bed.slicer.qMRMLSequenceBrowserSeekWidget(), bed.slicer.qMRMLSequenceBrowserPlayWidget()
    for widget in (seek, play):
        widget.setMRMLSequenceBrowserNode(browser)
    slider = seek.findChild(bed.qt.QSlider)
    slider.value = 2
    assert browser.GetSelectedItemNumber() == 2
    assert seek.findChild(bed.qt.QLabel).text == "0.200s"
    next(each for each in play.findChildren(bed.qt.QPushButton) if each.toolTip == "next").click()
    assert slider.value == 3


def test_table_view_follows_its_node(bed: Bed) -> None:
    table = bed.scene.AddNewNodeByClass("vtkMRMLTableNode")
    view = bed.slicer.qMRMLTableView()
    view.setMRMLTableNode(table)
    bed.slicer.util.updateTableFromArray(table, np.array([[1.5, 2.0]]), ["EDV", "ESV"])
    assert (view.rowCount, view.columnCount, view.item(0, 0).text()) == (1, 2, "1.5")


def test_file_dialogs_return_the_path_alone(bed: Bed) -> None:
    bed.dialogs.answer("/data/cine.nii.gz", containing="cine")
    chosen: Any = bed.qt.QFileDialog.getOpenFileName(None, "Open a cine", "/", "*.nii.gz")
    assert chosen == "/data/cine.nii.gz"
    bed.dialogs.answer(["/a", "/b"])
    assert bed.qt.QFileDialog.getOpenFileNames(None, "Open") == ["/a", "/b"]
    assert bed.dialogs.left_over == []


def test_a_menu_and_a_loop_never_block(bed: Bed) -> None:
    menu = bed.qt.QMenu()
    chosen: list[str] = []
    menu.addAction("Clear frame").triggered.connect(lambda: chosen.append("clear"))
    bed.dialogs.answer("Clear frame")
    menu.exec_()
    assert chosen == ["clear"]
    with pytest.raises(AssertionError, match="loop of its own"):
        bed.qt.QEventLoop().exec_()


def test_a_dialog_of_ones_own_never_blocks(bed: Bed) -> None:
    dialog = bed.qt.QDialog()
    dialog.windowTitle = "Server"
    edit = bed.qt.QLineEdit(dialog)
    bed.dialogs.answer(lambda shown: edit.setText(shown.windowTitle) or True, containing="Server")
    assert dialog.exec_() == bed.qt.QDialog.Accepted
    assert edit.text == "Server"
