"""Selectors of MRML nodes on the real scene."""

# ruff: noqa: N801, N815 - names are Slicer's
from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, ClassVar

from PySide6 import QtCore

from tests.slicer.bed.qt_double.declare import Property, Signal, stored
from tests.slicer.bed.qt_double.mrml_widgets import SceneHolder, Watched
from tests.slicer.bed.qt_double.namespace import qt_module

qt: Any = qt_module()
slicer: Any = importlib.import_module("slicer")
vtk: Any = importlib.import_module("vtk")
_SCENE_EVENTS = ("NodeAddedEvent", "NodeRemovedEvent", "EndBatchProcessEvent", "EndCloseEvent")


class _Filter:
    """What `sortFilterProxyModel()` gives: of the real one, the ids that are hidden."""

    __slots__ = ("_hidden", "_refresh")

    def __init__(self, refresh: Callable[[], None]) -> None:
        self._hidden: tuple[str, ...] = ()
        self._refresh = refresh

    @property
    def hiddenNodeIDs(self) -> tuple[str, ...]:
        return self._hidden

    @hiddenNodeIDs.setter
    def hiddenNodeIDs(self, ids: list[str]) -> None:
        self._hidden = tuple(ids)
        self._refresh()


class _Selector(SceneHolder):
    """The nodes that a selector offers, and the observations of the scene and of the nodes' names."""

    def _stand_in_scene_set(self, scene: Any) -> None:
        me: Any = self
        if "_stand_in_watched" not in self.__dict__:
            events = [getattr(slicer.vtkMRMLScene, event) for event in _SCENE_EVENTS]
            me._stand_in_watched = Watched(me, me._stand_in_refresh, *events)
        me._stand_in_watched.set(scene)
        me._stand_in_refresh()

    def nodes(self) -> list[Any]:
        """Every node offered, in the scene's order."""
        me: Any = self
        scene = me.mrmlScene()
        if scene is None:
            return []
        found = []
        for i in range(scene.GetNumberOfNodes()):
            node = scene.GetNthNode(i)
            fits = any(
                node.IsA(kind) if me.showChildNodeTypes else node.GetClassName() == kind for kind in me.nodeTypes
            )
            hidden = node.GetHideFromEditors() and not me.showHidden
            hidden = hidden or node.GetID() in me.sortFilterProxyModel().hiddenNodeIDs
            if fits and not hidden and me._stand_in_has_attributes(node):
                found.append(node)
        return found

    def sortFilterProxyModel(self) -> _Filter:
        """The filter of the nodes; PythonQt gives a list of strings as a tuple."""
        me: Any = self
        if "_stand_in_filter" not in self.__dict__:
            me._stand_in_filter = _Filter(me._stand_in_refresh)
        found: _Filter = me._stand_in_filter
        return found

    def addAttribute(self, node_type: str, name: str, value: Any = None) -> None:
        """Offers only nodes of the type that have the attribute (and the value, where one is given)."""
        me: Any = self
        self.__dict__.setdefault("_stand_in_attributes", []).append((node_type, name, value))
        me._stand_in_refresh()

    def _stand_in_has_attributes(self, node: Any) -> bool:
        for node_type, name, value in self.__dict__.get("_stand_in_attributes", ()):
            has = node.GetAttribute(name)
            if node.IsA(node_type) and (has is None if value is None else has != str(value)):
                return False
        return True


class qMRMLNodeComboBox(_Selector, qt.QWidget):
    """A combo box of nodes."""

    _stands_for = "qMRMLNodeComboBox"
    currentNodeChanged = Signal(object)
    currentNodeIDChanged = Signal(str)
    nodeActivated = Signal(object)
    nodeAdded = Signal(object)
    nodeAddedByUser = Signal(object)
    mrmlSceneChanged = Signal(object)
    _stand_in_valid = Signal(bool)
    extra_signals: ClassVar[dict[str, str]] = {
        "currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged",
        "currentNodeChanged(bool)": "_stand_in_valid",
        "currentNodeIDChanged(QString)": "currentNodeIDChanged",
        "nodeActivated(vtkMRMLNode*)": "nodeActivated",
        "nodeAdded(vtkMRMLNode*)": "nodeAdded",
        "nodeAddedByUser(vtkMRMLNode*)": "nodeAddedByUser",
        "mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged",
    }
    noneEnabled = stored(bool, "none_enabled", False, changed="_stand_in_changed")
    addEnabled = stored(bool, "add_enabled", True)
    removeEnabled = stored(bool, "remove_enabled", True)
    editEnabled = stored(bool, "edit_enabled", False)
    renameEnabled = stored(bool, "rename_enabled", False)
    showHidden = stored(bool, "show_hidden", False, changed="_stand_in_changed")
    showChildNodeTypes = stored(bool, "show_child_node_types", True, changed="_stand_in_changed")
    hideChildNodeTypes = stored("QStringList", "hide_child_node_types", [])
    selectNodeUponCreation = stored(bool, "select_upon_creation", True)
    baseName = stored(str, "base_name", "")
    noneDisplay = stored(str, "none_display", "None")
    interactionNodeSingletonTag = stored(str, "interaction_tag", "")

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._stand_in_types: list[str] = []
        self._stand_in_current: Any = None
        self._stand_in_combo = qt.QComboBox()
        layout = qt.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._stand_in_combo)
        self._stand_in_combo.connect("activated(int)", self._stand_in_activated)

    def _types(self) -> list[str]:
        return list(self._stand_in_types)

    def setNodeTypes(self, value: list[str]) -> None:
        unknown = [name for name in value if not hasattr(slicer, name)]
        if unknown:
            raise ValueError(f"{self.objectName}: no such node types {unknown}")
        self._stand_in_types = list(value)
        self._stand_in_refresh()

    nodeTypes = Property("QStringList", _types, setNodeTypes)

    def _stand_in_changed(self, _: Any) -> None:
        self._stand_in_refresh()

    def _stand_in_refresh(self) -> None:
        """Shows the nodes anew; a current node that is gone gives way to none, or to the first node."""
        nodes = self.nodes()
        combo, current = self._stand_in_combo, self._stand_in_current
        if current not in nodes:
            current = None if self.noneEnabled or not nodes else nodes[0]
        combo.clear()
        if self.noneEnabled or not nodes:
            combo.addItem(self.noneDisplay)
        for node in nodes:
            combo.addItem(node.GetName())
        offset = combo.count - len(nodes)
        combo.setCurrentIndex(nodes.index(current) + offset if current is not None else 0)
        self._stand_in_nodes = [None] * offset + nodes
        self._stand_in_set(current)

    def _stand_in_set(self, node: Any) -> None:
        if node is self._stand_in_current:
            return
        self._stand_in_current = node
        self.currentNodeChanged(node)
        self._stand_in_valid(node is not None)
        self.currentNodeIDChanged(node.GetID() if node is not None else "")

    def _stand_in_activated(self, index: int) -> None:
        self._stand_in_set(self._stand_in_nodes[index])
        self.nodeActivated(self._stand_in_nodes[index])

    def currentNode(self) -> Any:
        return self._stand_in_current

    def setCurrentNode(self, node: Any) -> None:
        """A node, its id, or None (which chooses none even where "None" is not offered, as Slicer does)."""
        if isinstance(node, str):
            node = self.mrmlScene().GetNodeByID(node) if self.mrmlScene() is not None else None
        if node is not None and node not in self.nodes():
            node = None
        if node is not None:
            self._stand_in_combo.setCurrentIndex(self._stand_in_nodes.index(node))
        else:
            self._stand_in_combo.setCurrentIndex(0 if None in self._stand_in_nodes_or_empty() else -1)
        self._stand_in_set(node)

    def _stand_in_nodes_or_empty(self) -> list[Any]:
        return list(self.__dict__.get("_stand_in_nodes", ()))

    def _id(self) -> str:
        node = self._stand_in_current
        return str(node.GetID()) if node is not None else ""

    def setCurrentNodeID(self, node_id: str) -> None:
        self.setCurrentNode(node_id or None)

    currentNodeID = Property(str, _id, setCurrentNodeID)

    def setCurrentNodeIndex(self, index: int) -> None:
        self.setCurrentNode(self.nodes()[index])

    def nodeCount(self) -> int:
        return len(self.nodes())

    def addNode(self, node_type: str = "") -> Any:
        """What the menu entry "Create new …" does."""
        if not self.addEnabled:
            raise RuntimeError(f"{self.objectName} offers no new nodes")
        kind = node_type or self.nodeTypes[0]
        scene = self.mrmlScene()
        name = scene.GenerateUniqueName(self.baseName or scene.CreateNodeByClass(kind).GetNodeTagName())
        node = scene.AddNewNodeByClass(kind, name)
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        self.nodeAddedByUser(node)
        return node


class qMRMLCheckableNodeComboBox(_Selector, qt.QWidget):
    """Nodes, each of which can be checked."""

    _stands_for = "qMRMLCheckableNodeComboBox"
    checkedNodesChanged = Signal()
    mrmlSceneChanged = Signal(object)
    extra_signals: ClassVar[dict[str, str]] = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}
    showHidden = stored(bool, "show_hidden", False)
    showChildNodeTypes = stored(bool, "show_child_node_types", True)
    nodeTypes = stored("QStringList", "node_types", [])
    noneEnabled = stored(bool, "none_enabled", False)
    addEnabled = stored(bool, "add_enabled", True)
    removeEnabled = stored(bool, "remove_enabled", True)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._stand_in_checked: list[str] = []

    def _stand_in_refresh(self) -> None:
        ids = [node.GetID() for node in self.nodes()]
        kept = [each for each in self._stand_in_checked if each in ids]
        if kept != self._stand_in_checked:
            self._stand_in_checked = kept
            self.checkedNodesChanged()

    def checkedNodes(self) -> list[Any]:
        return [node for node in self.nodes() if node.GetID() in self._stand_in_checked]

    def uncheckedNodes(self) -> list[Any]:
        return [node for node in self.nodes() if node.GetID() not in self._stand_in_checked]

    def setCheckState(self, node: Any, state: Any) -> None:
        others = [each for each in self._stand_in_checked if each != node.GetID()]
        checked = state == QtCore.Qt.CheckState.Checked
        new = [*others, node.GetID()] if checked else others
        if set(new) != set(self._stand_in_checked):
            self._stand_in_checked = new
            self.checkedNodesChanged()


EXPORTED: dict[str, type] = {cls.__name__: cls for cls in (qMRMLNodeComboBox, qMRMLCheckableNodeComboBox)}
