"""The Segment Editor's widget and the selector of segments: they keep the real nodes right, and paint nothing."""

# ruff: noqa: N801, N815 - names are Slicer's
from __future__ import annotations

import importlib
from typing import Any, ClassVar

from tests.slicer.bed.qt_double.declare import Signal, stored
from tests.slicer.bed.qt_double.mrml_widgets import SceneHolder, Watched
from tests.slicer.bed.qt_double.namespace import qt_module
from tests.slicer.bed.qt_double.node_selectors import qMRMLNodeComboBox

qt: Any = qt_module()
slicer: Any = importlib.import_module("slicer")
vtk: Any = importlib.import_module("vtk")

EFFECTS = (
    "Paint", "Draw", "Erase", "Level tracing", "Grow from seeds", "Fill between slices", "Threshold", "Margin",
    "Hollow", "Smoothing", "Scissors", "Islands", "Logical operators", "Mask volume",
)  # fmt: skip
"""The effects of an unmodified Slicer."""


class qMRMLSegmentEditorWidget(SceneHolder, qt.QWidget):
    """The editor: its state is a real vtkMRMLSegmentEditorNode. It has no effects that act."""

    _stands_for = "qMRMLSegmentEditorWidget"
    segmentationNodeChanged = Signal(object)
    sourceVolumeNodeChanged = Signal(object)
    currentSegmentIDChanged = Signal(str)
    extra_signals: ClassVar[dict[str, str]] = {
        "segmentationNodeChanged(vtkMRMLSegmentationNode*)": "segmentationNodeChanged",
        "sourceVolumeNodeChanged(vtkMRMLVolumeNode*)": "sourceVolumeNodeChanged",
        "currentSegmentIDChanged(QString)": "currentSegmentIDChanged",
    }
    maximumNumberOfUndoStates = stored(int, "undo_states", 0)
    segmentationNodeSelectorVisible = stored(bool, "segmentation_selector", True)
    sourceVolumeNodeSelectorVisible = stored(bool, "source_selector", True)
    switchToSegmentationsButtonVisible = stored(bool, "switch_button", True)
    addRemoveSegmentButtonsVisible = stored(bool, "add_remove_buttons", True)
    specifyGeometryButtonVisible = stored(bool, "geometry_button", True)
    show3DButtonVisible = stored(bool, "show_3d_button", True)
    autoShowSourceVolumeNode = stored(bool, "auto_show_source", True)
    readOnly = stored(bool, "read_only", False)
    unorderedEffectsVisible = stored(bool, "unordered_effects", True)
    effectColumnCount = stored(int, "effect_columns", 2)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._stand_in_node: Any = None
        self._stand_in_shortcuts = False
        self._stand_in_observed = False
        self._stand_in_order = list(EFFECTS)
        self._stand_in_table = qt.QListWidget()
        layout = qt.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._stand_in_table)
        self._stand_in_watched = Watched(self, self._stand_in_fill, vtk.vtkCommand.ModifiedEvent)
        self._stand_in_segmentation: Any = None

    def mrmlSegmentEditorNode(self) -> Any:
        return self._stand_in_node

    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        self._stand_in_node = node
        self._stand_in_watched.set(node)
        self._stand_in_fill()

    def _stand_in_fill(self) -> None:
        segmentation = self.segmentationNode()
        self._stand_in_table.clear()
        if segmentation is not None:
            segments = segmentation.GetSegmentation()
            for i in range(segments.GetNumberOfSegments()):
                self._stand_in_table.addItem(segments.GetNthSegment(i).GetName())
        if segmentation is not self._stand_in_segmentation:
            self._stand_in_segmentation = segmentation
            self.segmentationNodeChanged(segmentation)

    def _stand_in_need_node(self) -> Any:
        if self._stand_in_node is None:
            raise RuntimeError("the segment editor needs its vtkMRMLSegmentEditorNode first")
        return self._stand_in_node

    def segmentationNode(self) -> Any:
        return self._stand_in_node.GetSegmentationNode() if self._stand_in_node is not None else None

    def setSegmentationNode(self, node: Any) -> None:
        self._stand_in_need_node().SetAndObserveSegmentationNode(node)
        self._stand_in_fill()

    def sourceVolumeNode(self) -> Any:
        return self._stand_in_node.GetSourceVolumeNode() if self._stand_in_node is not None else None

    def setSourceVolumeNode(self, node: Any) -> None:
        if self.segmentationNode() is None and node is not None:
            raise RuntimeError("the segment editor needs a segmentation before a source volume")
        self._stand_in_need_node().SetAndObserveSourceVolumeNode(node)
        if self.segmentationNode() is not None and node is not None:
            self.segmentationNode().SetReferenceImageGeometryParameterFromVolumeNode(node)
        self.sourceVolumeNodeChanged(node)

    def currentSegmentID(self) -> str:
        return (self._stand_in_node.GetSelectedSegmentID() or "") if self._stand_in_node is not None else ""

    def setCurrentSegmentID(self, segment_id: str) -> None:
        self._stand_in_need_node().SetSelectedSegmentID(segment_id)
        self.currentSegmentIDChanged(segment_id)

    def setEffectNameOrder(self, names: list[str]) -> None:
        unknown = set(names) - set(EFFECTS)
        if unknown:
            raise ValueError(f"no such effects: {sorted(unknown)}")
        self._stand_in_order = list(names)

    def effectNameOrder(self) -> list[str]:
        return list(self._stand_in_order)

    def availableEffectNames(self) -> list[str]:
        return list(EFFECTS)

    def setActiveEffectByName(self, name: str) -> None:
        if name and name not in EFFECTS:
            raise ValueError(f"no such effect: {name}")
        self._stand_in_need_node().SetActiveEffectName(name)

    def activeEffect(self) -> str | None:
        """The name alone: the stand-in's effects do nothing."""
        return (self._stand_in_node.GetActiveEffectName() or None) if self._stand_in_node is not None else None

    def setupViewObservations(self) -> None:
        self._stand_in_observed = True

    def removeViewObservations(self) -> None:
        self._stand_in_observed = False

    def installKeyboardShortcuts(self, *_: Any) -> None:
        self._stand_in_shortcuts = True

    def uninstallKeyboardShortcuts(self) -> None:
        self._stand_in_shortcuts = False

    @property
    def _stand_in_active(self) -> bool:
        """Whether it still listens to views or keys, which a module must end when it is left."""
        return bool(self._stand_in_observed or self._stand_in_shortcuts)


class qMRMLSegmentSelectorWidget(SceneHolder, qt.QWidget):
    """A segmentation, and one of its segments."""

    _stands_for = "qMRMLSegmentSelectorWidget"
    currentNodeChanged = Signal(object)
    currentSegmentChanged = Signal(str)
    mrmlSceneChanged = Signal(object)
    extra_signals: ClassVar[dict[str, str]] = {
        "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged",
        "currentSegmentChanged(QString)": "currentSegmentChanged",
        "mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged",
    }

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._stand_in_nodes = qMRMLNodeComboBox()
        self._stand_in_nodes.nodeTypes = ["vtkMRMLSegmentationNode"]
        self._stand_in_segments = qt.QComboBox()
        layout = qt.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._stand_in_nodes)
        layout.addWidget(self._stand_in_segments)
        self._stand_in_ids: list[str] = []
        self._stand_in_nodes.currentNodeChanged.connect(self._stand_in_node_changed)
        self._stand_in_segments.connect("currentIndexChanged(int)", self._stand_in_segment_changed)

    def _stand_in_scene_set(self, scene: Any) -> None:
        self._stand_in_nodes.setMRMLScene(scene)

    def _stand_in_node_changed(self, node: Any) -> None:
        segments: Any = node.GetSegmentation() if node is not None else None
        ids = [segments.GetNthSegmentID(i) for i in range(segments.GetNumberOfSegments())] if segments else []
        self._stand_in_ids = ids
        self._stand_in_segments.clear()
        self._stand_in_segments.addItems([segments.GetSegment(each).GetName() for each in ids])
        self.currentNodeChanged(node)

    def _stand_in_segment_changed(self, index: int) -> None:
        self.currentSegmentChanged(self._stand_in_ids[index] if index >= 0 else "")

    def currentNode(self) -> Any:
        return self._stand_in_nodes.currentNode()

    def setCurrentNode(self, node: Any) -> None:
        self._stand_in_nodes.setCurrentNode(node)

    def currentSegmentID(self) -> str:
        index = self._stand_in_segments.currentIndex
        return self._stand_in_ids[index] if index >= 0 else ""

    def setCurrentSegmentID(self, segment_id: str) -> None:
        self._stand_in_segments.currentIndex = self._stand_in_ids.index(segment_id)


EXPORTED: dict[str, type] = {cls.__name__: cls for cls in (qMRMLSegmentEditorWidget, qMRMLSegmentSelectorWidget)}
