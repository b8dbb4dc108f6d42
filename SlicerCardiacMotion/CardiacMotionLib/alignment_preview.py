"""The slices of the frame that is shown, put where they belong: a volume to be looked at, and nothing else.

The cine and its contours stay as they are. The contours are hidden meanwhile, as they lie on the slices as those
were taken.
"""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from CardiacMotionLib import scene_state
from CardiacMotionLib.mrml import fill_image, in_scene, to_matrix
from CardiacMotionLib.slice_shifts import SliceShifts, aligned
from CardiacMotionLib.workspace import Workspace

_HAD_CONTOURS = "PreviewHides"


class AlignmentPreview:
    """Shows it, until `hide` is called. Main thread only.

    Args:
        workspace: the case.
        shifts: of its slices.
    """

    def __init__(self, workspace: Workspace, shifts: SliceShifts) -> None:
        self.workspace, self.shifts = workspace, shifts
        cine = workspace.cine
        scene = slicer.mrmlScene
        self._volume = slicer.vtkMRMLScalarVolumeNode()
        self._volume.SetName(scene.GenerateUniqueName(f"{cine.name} slices aligned"))
        self._volume.SetIJKToRASMatrix(to_matrix(cine.affine))
        # Is made anew whenever it is wanted.
        self._volume.SetSaveWithScene(False)
        self._frame = -1
        self.update()
        scene.AddNode(self._volume)
        self._volume.CreateDefaultDisplayNodes()
        self._display = self._volume.GetDisplayNode()
        self._display.SetSaveWithScene(False)
        self._look_alike()
        contours = workspace.segmentations.proxy.GetDisplayNode()
        scene_state.set_json(cine.browser, _HAD_CONTOURS, bool(contours.GetVisibility()))
        contours.SetVisibility(False)
        self._replace(cine.proxy, self._volume)

    def update(self) -> None:
        """Show the frame that the cine shows now."""
        cine = self.workspace.cine
        if self._frame == cine.frame or not self.workspace.is_alive:
            return
        self._frame = cine.frame
        values = aligned(cine.array(self._frame), self.shifts, cine.spacing)
        self._volume.SetAndObserveImageData(fill_image(vtk.vtkImageData(), values))

    def hide(self) -> None:
        """Show the cine again as it was taken; the volume leaves the scene."""
        if self.workspace.is_alive:
            self._replace(self._volume, self.workspace.cine.proxy)
            _show_contours(self.workspace)
        for node in (self._volume, self._display):
            if in_scene(node):
                node.GetScene().RemoveNode(node)

    def _look_alike(self) -> None:
        """Brightness and contrast of the cine."""
        other = self.workspace.cine.proxy.GetDisplayNode()
        self._display.SetAutoWindowLevel(False)
        self._display.SetWindowLevel(other.GetWindow(), other.GetLevel())
        self._display.SetInterpolate(other.GetInterpolate())

    def _replace(self, old: Any, new: Any) -> None:
        """In every slice view that shows the one, show the other."""
        for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            if composite.GetBackgroundVolumeID() == old.GetID():
                composite.SetBackgroundVolumeID(new.GetID())


def end_of_another(workspace: Workspace) -> None:
    """Show the cine of a scene that was saved while a preview was shown; the preview itself is not in it."""
    if not _show_contours(workspace):
        return
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        shown = composite.GetBackgroundVolumeID()
        if shown is None or slicer.mrmlScene.GetNodeByID(shown) is None:
            composite.SetBackgroundVolumeID(workspace.cine.proxy.GetID())


def _show_contours(workspace: Workspace) -> bool:
    """Contours as they were before a preview; whether there was one."""
    browser = workspace.cine.browser
    had_contours = scene_state.get_json(browser, _HAD_CONTOURS)
    if had_contours is None:
        return False
    workspace.segmentations.proxy.GetDisplayNode().SetVisibility(bool(had_contours))
    scene_state.set_json(browser, _HAD_CONTOURS, None)
    return True
