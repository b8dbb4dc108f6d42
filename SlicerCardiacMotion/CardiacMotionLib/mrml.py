"""Small things on MRML and VTK that several files need. Main thread only."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import slicer
import vtk
from vtk.util import numpy_support

from CardiacMotionLib.affines import Affine

R = TypeVar("R")


def to_matrix(affine: Affine) -> Any:
    """(4, 4) as a vtkMatrix4x4."""
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(affine.ravel().tolist())
    return matrix


def from_matrix(matrix: Any) -> Affine:
    """A vtkMatrix4x4 as (4, 4)."""
    return np.array([[matrix.GetElement(i, j) for j in range(4)] for i in range(4)])


def fill_image(image: Any, values: npt.NDArray[Any], first: tuple[int, int, int] = (0, 0, 0)) -> Any:
    """Give a vtkImageData a copy of the values (Z, Y, X), or (Z, Y, X, components); returns the image.

    Args:
        image: a new vtkImageData, or one of its kinds.
        values: of any type that VTK has.
        first: index (x, y, z) of the first voxel.
    """
    z, y, x = values.shape[:3]
    i, j, k = first
    image.SetExtent(i, i + x - 1, j, j + y - 1, k, k + z - 1)
    components = values.shape[3] if values.ndim == 4 else 1
    flat = np.ascontiguousarray(values).reshape((-1, components) if components > 1 else -1)
    scalars = numpy_support.numpy_to_vtk(flat, deep=True)
    scalars.SetName("ImageScalars")
    image.GetPointData().SetScalars(scalars)
    return image


def image_array(image: Any) -> npt.NDArray[Any]:
    """Voxels of a vtkImageData, (Z, Y, X) or (Z, Y, X, components), not copied."""
    shape = image.GetDimensions()[::-1]
    components = image.GetNumberOfScalarComponents()
    flat = numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
    return flat.reshape((*shape, components) if components > 1 else shape)


def volume_affine(volume: Any) -> Affine:
    """(4, 4), voxel (i, j, k) to RAS in mm, of a volume node; a transform that it is under does not count."""
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return from_matrix(matrix)


def sequences_logic() -> Any:
    """The logic of the Sequences module."""
    return slicer.modules.sequences.logic()


def in_scene(*nodes: Any) -> bool:
    """Whether all of these nodes are (still) in a scene."""
    return all(node is not None and node.GetScene() is not None for node in nodes)


@contextmanager
def one_update(node: Any) -> Iterator[None]:
    """Events of a node are held back until the end, and come once: views are drawn once."""
    state = node.StartModify()
    try:
        yield
    finally:
        node.EndModify(state)


@contextmanager
def removed_on_error() -> Iterator[list[Any]]:
    """Nodes that are put into the list leave the scene again if the work fails, as what shows and stores them."""
    made: list[Any] = []
    try:
        yield made
    except BaseException:
        # A browser first, which would make a proxy anew.
        for node in sorted(made, key=lambda each: not each.IsA("vtkMRMLSequenceBrowserNode")):
            for each in (node, *_display_and_storage(node)):
                if each.GetScene() is not None:
                    each.GetScene().RemoveNode(each)
        raise


def _display_and_storage(node: Any) -> list[Any]:
    found = []
    if node.IsA("vtkMRMLDisplayableNode"):
        found += [node.GetNthDisplayNode(index) for index in range(node.GetNumberOfDisplayNodes())]
    if node.IsA("vtkMRMLStorableNode"):
        found += [node.GetNthStorageNode(index) for index in range(node.GetNumberOfStorageNodes())]
    return [each for each in found if each is not None]


def finished(steps: Generator[None, None, R]) -> R:
    """Do all steps at once; gives what they end with."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: R = end.value
            return result


def add_node(class_name: str, name: str) -> Any:
    """A new node in the scene, its name made unique."""
    scene = slicer.mrmlScene
    return scene.AddNewNodeByClass(class_name, scene.GenerateUniqueName(name))
