"""Slice views rendered off the screen with Slicer's own displayable managers."""

from __future__ import annotations

import ctypes.util
import importlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

MANAGERS = (
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLTransformsDisplayableManager2D",
)


def why_no_rendering() -> str | None:
    """The reason why nothing can be rendered here, or None."""
    if os.environ.get("DISPLAY") or ctypes.util.find_library("EGL"):
        return None
    return "no rendering: neither a display nor libEGL"


def render_window(size: tuple[int, int]) -> Any:
    """A window off the screen: EGL where there is no display."""
    vtk = importlib.import_module("vtk")
    egl = getattr(vtk, "vtkEGLRenderWindow", None)
    window = egl() if egl is not None and not os.environ.get("DISPLAY") else vtk.vtkRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(0)
    window.SetSize(*size)
    return window


class SlicePicture:
    """One slice view in a window off the screen: image below, overlays on a layer above."""

    def __init__(self, logic: Any, application_logic: Any, size: tuple[int, int]) -> None:
        slicer: Any = importlib.import_module("slicer")
        vtk: Any = importlib.import_module("vtk")
        self._vtk = vtk
        self._node = logic.GetSliceNode()
        self._node.SetDimensions(size[0], size[1], 1)
        logic.ResizeSliceNode(*size)
        self._window = render_window(size)
        self._window.SetNumberOfLayers(2)
        image, overlay = vtk.vtkRenderer(), vtk.vtkRenderer()
        overlay.SetLayer(1)
        for renderer in (image, overlay):
            self._window.AddRenderer(renderer)
        # The managers ask for the interactor; the generic one opens no connection to a screen.
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._window)
        mapper = vtk.vtkImageMapper()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        mapper.SetInputConnection(logic.GetImageDataConnection())
        actor = vtk.vtkActor2D()
        actor.SetMapper(mapper)
        image.AddViewProp(actor)
        self._has_image = logic.GetSliceCompositeNode().GetBackgroundVolumeID() is not None
        actor.SetVisibility(self._has_image)
        self._group = slicer.vtkMRMLDisplayableManagerGroup()
        self._group.SetRenderer(overlay)
        for name in MANAGERS:
            manager = getattr(slicer, name)()
            manager.SetMRMLApplicationLogic(application_logic)
            self._group.AddDisplayableManager(manager)
        self._group.SetMRMLDisplayableNode(self._node)
        logic.FitSliceToBackground(*size)

    def pixels(self) -> npt.NDArray[np.uint8]:
        """What is seen now, (rows, columns, 3), the top row first."""
        vtk = self._vtk
        numpy_support = importlib.import_module("vtk.util.numpy_support")
        self._window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self._window)
        grab.ReadFrontBufferOff()
        grab.Update()
        image = grab.GetOutput()
        width, height, _ = image.GetDimensions()
        values = numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
        return np.ascontiguousarray(values.reshape(height, width, -1)[::-1, :, :3])

    def save(self, path: Path) -> Path:
        """Writes a PNG."""
        Image.fromarray(self.pixels()).save(path)
        return path

    def close(self) -> None:
        """Takes the managers from the scene and frees the window."""
        self._group.SetMRMLDisplayableNode(None)
        self._group = None
        self._window.Finalize()

    def __enter__(self) -> SlicePicture:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
