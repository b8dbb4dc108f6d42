"""The layout manager: the real layout logic and slice logics, with plain objects where Slicer has view widgets."""

from __future__ import annotations

import importlib
from typing import Any

from tests.slicer.bed.qt_double import slicer_widgets
from tests.slicer.bed.rendering import SlicePicture


class SliceView:
    """What a slice widget's view can be asked for without a window."""

    def __init__(self, logic: Any) -> None:
        self._logic = logic
        self.renders = 0

    def mrmlSliceNode(self) -> Any:
        return self._logic.GetSliceNode()

    def forceRender(self) -> None:
        """Counted; `SlicePicture` renders."""
        self.renders += 1

    def scheduleRender(self) -> None:
        self.renders += 1


class SliceWidget:
    """A slice widget: real logic, no window."""

    def __init__(self, logic: Any) -> None:
        self._logic = logic
        self._view = SliceView(logic)

    def sliceLogic(self) -> Any:
        return self._logic

    def sliceView(self) -> SliceView:
        return self._view

    def mrmlSliceNode(self) -> Any:
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self) -> Any:
        return self._logic.GetSliceCompositeNode()

    def fitSliceToBackground(self) -> None:
        size = self.mrmlSliceNode().GetDimensions()
        self._logic.FitSliceToBackground(size[0], size[1])

    def sliceController(self) -> SliceWidget:
        return self


class ThreeDView:
    """A 3D view's node, and what was asked of the view."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self.asked: list[str] = []

    def mrmlViewNode(self) -> Any:
        return self._node

    def resetFocalPoint(self) -> None:
        self.asked.append("resetFocalPoint")

    def resetCamera(self, *_: Any) -> None:
        self.asked.append("resetCamera")

    def forceRender(self) -> None:
        self.asked.append("forceRender")


class ThreeDWidget:
    """A 3D view in its widget."""

    def __init__(self, node: Any) -> None:
        self._view = ThreeDView(node)

    def threeDView(self) -> ThreeDView:
        return self._view

    def threeDController(self) -> ThreeDView:
        return self._view

    def mrmlViewNode(self) -> Any:
        return self._view.mrmlViewNode()


class LayoutManager:
    """``slicer.app.layoutManager()``. ``layouts`` lists every layout that was set, in order."""

    def __init__(self, scene: Any, application_logic: Any) -> None:
        self._slicer: Any = importlib.import_module("slicer")
        self._vtk: Any = importlib.import_module("vtk")
        self._scene, self._app = scene, application_logic
        self._logic: Any = self._slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLScene(scene)
        self._slices: dict[str, SliceWidget] = {}
        self._three_d: dict[str, ThreeDWidget] = {}
        self._plots: dict[str, Any] = {}
        self._collection = self._vtk.vtkCollection()
        self._app.SetSliceLogics(self._collection)
        self.layouts: list[int] = []
        self._logic.GetLayoutNode().SetViewArrangement(self._slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self._update()
        self._tag = scene.AddObserver(self._slicer.vtkMRMLScene.EndCloseEvent, lambda *_: self._update())

    def close(self) -> None:
        """Lets go of the scene."""
        self._scene.RemoveObserver(self._tag)
        self._app.SetSliceLogics(None)
        for widget in self._slices.values():
            widget.sliceLogic().SetMRMLScene(None)
        self._logic.SetMRMLScene(None)
        self._slices.clear()
        self._three_d.clear()
        self._plots.clear()
        self._scene = self._app = None

    def _nodes(self, class_name: str) -> list[Any]:
        """The layout's view nodes of a class, in the layout's order."""
        found = self._logic.GetViewNodes()
        nodes = [found.GetItemAsObject(i) for i in range(found.GetNumberOfItems())]
        return [node for node in nodes if node is not None and node.IsA(class_name)]

    def _update(self) -> None:
        for node in self._nodes("vtkMRMLSliceNode"):
            if node.GetLayoutName() not in self._slices:
                logic = self._slicer.vtkMRMLSliceLogic()
                logic.SetMRMLApplicationLogic(self._app)
                logic.SetMRMLScene(self._scene)
                logic.SetSliceNode(node)
                self._slices[node.GetLayoutName()] = SliceWidget(logic)
                self._collection.AddItem(logic)
        for node in self._nodes("vtkMRMLViewNode"):
            self._three_d.setdefault(node.GetID(), ThreeDWidget(node))
        for node in self._nodes("vtkMRMLPlotViewNode"):
            if node.GetID() not in self._plots:
                self._plots[node.GetID()] = slicer_widgets()["qMRMLPlotWidget"]()
                self._plots[node.GetID()].setMRMLPlotViewNode(node)

    def layoutLogic(self) -> Any:
        return self._logic

    @property
    def layout(self) -> int:
        """The arrangement (vtkMRMLLayoutNode's numbers); an attribute, as PythonQt has it."""
        return int(self._logic.GetLayoutNode().GetViewArrangement())

    @layout.setter
    def layout(self, value: int) -> None:
        self.setLayout(value)

    def setLayout(self, value: int) -> None:
        self.layouts.append(value)
        self._logic.GetLayoutNode().SetViewArrangement(value)
        self._update()

    def sliceViewNames(self) -> tuple[str, ...]:
        return tuple(node.GetLayoutName() for node in self._nodes("vtkMRMLSliceNode"))

    def sliceWidget(self, name: str) -> SliceWidget | None:
        return self._slices.get(name)

    @property
    def threeDViewCount(self) -> int:
        return len(self._nodes("vtkMRMLViewNode"))

    def threeDWidget(self, index: int) -> ThreeDWidget | None:
        nodes = self._nodes("vtkMRMLViewNode")
        return self._three_d[nodes[index].GetID()] if index < len(nodes) else None

    @property
    def plotViewCount(self) -> int:
        return len(self._nodes("vtkMRMLPlotViewNode"))

    def plotWidget(self, index: int) -> Any:
        nodes = self._nodes("vtkMRMLPlotViewNode")
        return self._plots[nodes[index].GetID()] if index < len(nodes) else None

    @property
    def tableViewCount(self) -> int:
        return len(self._nodes("vtkMRMLTableViewNode"))

    def mrmlSliceLogics(self) -> Any:
        return self._collection

    def resetSliceViews(self) -> None:
        """Fits every slice view to its background."""
        for widget in self._slices.values():
            widget.fitSliceToBackground()

    def resetThreeDViews(self) -> None:
        for widget in self._three_d.values():
            widget.threeDView().resetFocalPoint()

    def picture(self, name: str = "Red", size: tuple[int, int] = (500, 400)) -> SlicePicture:
        """The slice view, rendered off the screen; not part of Slicer's interface."""
        widget = self._slices[name]
        return SlicePicture(widget.sliceLogic(), self._app, size)
