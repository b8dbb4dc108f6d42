"""Motion in the scene: grid transforms in the cine's browser, shown, and applied to what should ride."""

from __future__ import annotations

from collections.abc import Generator
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import slicer
import vtk

from CardiacMotionLib import scene_state
from CardiacMotionLib.affines import Affine, same_grid
from CardiacMotionLib.cine import Cine, in_seconds
from CardiacMotionLib.errors import InputError
from CardiacMotionLib.motion_files import MotionFields
from CardiacMotionLib.mrml import fill_image, finished, in_scene, removed_on_error, to_matrix
from CardiacMotionLib.scene_state import Role

_REFERENCE = "Reference"
_SPACING_MM = 8.0
"""Between arrows, or lines of the grid."""


class Look(StrEnum):
    """How motion is shown."""

    HIDDEN = "hidden"
    ARROWS = "arrows"
    GRID = "grid"


class MotionDisplay:
    """The motion of a cine, as transforms that move what lies at the reference frame to the current frame.

    Attributes:
        cine: whose motion it is.
        sequence: vtkMRMLSequenceNode of grid transforms, one per frame.
    """

    def __init__(self, cine: Cine, sequence: Any) -> None:
        self.cine, self.sequence = cine, sequence

    @classmethod
    def of(cls, cine: Cine, fields: MotionFields) -> MotionDisplay:
        """Put the motion into the scene at once; see `build`.

        Raises:
            InputError: it is the motion of another cine; the scene is as it was.
        """
        return finished(cls.build(cine, fields))

    @classmethod
    def build(cls, cine: Cine, fields: MotionFields) -> Generator[None, None, MotionDisplay]:
        """Put the motion into the scene, with a ``yield`` after each frame, so that the window can be drawn.

        One that the cine has already is replaced, what rides along stays so. Nothing is in the scene before the
        end: to give up half-way leaves it as it was.

        Raises:
            InputError: it is the motion of another cine; the scene is as it was.
        """
        if fields.shape != cine.shape or not same_grid(cine.affine, fields.cine_affine, cine.shape[1:]):
            raise InputError(
                f"the motion has the shape {fields.shape}, or lies elsewhere; it is not that of {cine.name}, "
                f"{cine.shape}"
            )
        sequence = in_seconds(slicer.vtkMRMLSequenceNode())
        sequence.SetName(slicer.mrmlScene.GenerateUniqueName(f"{cine.name} motion"))
        sequence.CopySequenceIndex(cine.sequence)
        scene_state.set_json(sequence, _REFERENCE, fields.reference)
        for value, displacement in zip(cine.index_values, fields.displacements, strict=True):
            sequence.SetDataNodeAtValue(_transform(sequence.GetName(), displacement, fields.affine), value)
            yield
        if not cine.is_alive:
            raise InputError("the scene was closed before the motion was there")
        found = cls.find(cine)
        if found is not None:
            found._replace(sequence)
            return found
        with removed_on_error() as made:
            made.append(slicer.mrmlScene.AddNode(sequence))
            motion = cls(cine, sequence)
            proxy = cine.add_sequence(Role.MOTION, sequence, save_changes=False)
            made.append(proxy)
            proxy.CreateDefaultDisplayNodes()
            motion.show(Look.HIDDEN)
            return motion

    @classmethod
    def find(cls, cine: Cine) -> MotionDisplay | None:
        """That which the cine has, as after a scene was loaded; None if it has none."""
        sequence = scene_state.get_node(cine.browser, Role.MOTION)
        return None if sequence is None or cine.browser.GetProxyNode(sequence) is None else cls(cine, sequence)

    @property
    def proxy(self) -> Any:
        """The vtkMRMLTransformNode of the current frame."""
        return self.cine.browser.GetProxyNode(self.sequence)

    @property
    def is_alive(self) -> bool:
        """Whether its nodes are still in the scene."""
        return self.cine.is_alive and in_scene(self.sequence, self.proxy)

    @property
    def reference(self) -> int:
        """The frame at which what rides along must lie."""
        return int(scene_state.get_json(self.sequence, _REFERENCE) or 0)

    def show(self, look: Look) -> None:
        """Show it as arrows or as a grid on the slices and in 3D, or not at all."""
        display = self.proxy.GetDisplayNode()
        if look is not Look.HIDDEN:
            modes = {Look.ARROWS: display.VIS_MODE_GLYPH, Look.GRID: display.VIS_MODE_GRID}
            display.SetVisualizationMode(modes[look])
            display.SetGlyphSpacingMm(_SPACING_MM)
            display.SetGridSpacingMm(_SPACING_MM)
            display.SetAndObserveRegionNode(self.cine.proxy)
        display.SetVisibility(look is not Look.HIDDEN)
        display.SetVisibility2D(look is not Look.HIDDEN)
        display.SetVisibility3D(look is not Look.HIDDEN)

    @property
    def look(self) -> Look:
        """How it is shown now."""
        display = self.proxy.GetDisplayNode()
        if not display.GetVisibility():
            return Look.HIDDEN
        return Look.GRID if display.GetVisualizationMode() == display.VIS_MODE_GRID else Look.ARROWS

    def carry(self, node: Any) -> None:
        """Let a model, markup or other node ride along; it must show the heart at the reference frame.

        Raises:
            InputError: it cannot be moved, or is of the cine itself.
        """
        if not node.IsA("vtkMRMLTransformableNode"):
            raise InputError(f"{node.GetName()} cannot be moved by a transform")
        if self.cine.browser.GetSequenceNode(node) is not None:
            raise InputError(f"{node.GetName()} changes with the frame already; it cannot ride along as well")
        node.SetAndObserveTransformNodeID(self.proxy.GetID())

    def release(self, node: Any) -> None:
        """Put a node back to where it lies without the motion."""
        if self.carries(node):
            node.SetAndObserveTransformNodeID(None)

    def carries(self, node: Any) -> bool:
        """Whether a node rides along."""
        return node.GetParentTransformNode() is not None and node.GetParentTransformNode() is self.proxy

    def _replace(self, other: Any) -> None:
        """Take the transforms of another sequence, which has the same index; they are not copied."""
        for t, value in enumerate(self.cine.index_values):
            self.sequence.UpdateDataNodeAtValue(other.GetNthDataNode(t), value, True)
        scene_state.set_json(self.sequence, _REFERENCE, scene_state.get_json(other, _REFERENCE))


def _transform(name: str, displacement: npt.NDArray[np.float32], affine: Affine) -> Any:
    """The node of one frame: displacements (Z, Y, X, 3), RAS in mm, on the grid of the affine."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    directions = np.eye(4)
    directions[:3, :3] = affine[:3, :3] / spacing
    image = fill_image(vtk.vtkImageData(), displacement)
    image.SetSpacing(spacing)
    image.SetOrigin(affine[:3, 3])
    grid = slicer.vtkOrientedGridTransform()
    grid.SetDisplacementGridData(image)
    grid.SetGridDirectionMatrix(to_matrix(directions))
    grid.SetInterpolationModeToLinear()
    # Of the class that Slicer makes when it reads the sequence: of another, it would replace the proxy after a
    # scene was loaded, and what rides along would stay where it is.
    node = slicer.vtkMRMLTransformNode()
    node.SetName(name)
    # Points are moved by the transform to the parent; Slicer's files have that from the parent.
    node.SetAndObserveTransformToParent(grid)
    return node
