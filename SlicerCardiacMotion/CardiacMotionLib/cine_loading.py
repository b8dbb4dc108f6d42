"""Cines from wherever they come: files, and what is in the scene already."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk

from CardiacMotionLib import uploads
from CardiacMotionLib.affines import same_grid
from CardiacMotionLib.cine import Cine, build_cine, cine_of, make_cine, remember_affine
from CardiacMotionLib.errors import InputError
from CardiacMotionLib.image_file import ImageFile
from CardiacMotionLib.mrml import add_node, finished, image_array, removed_on_error, sequences_logic, volume_affine
from CardiacMotionLib.nifti import read_nifti
from CardiacMotionLib.nrrd import read_nrrd
from CardiacMotionLib.nrrd_header import OtherKind, nrrd_affine
from CardiacMotionLib.timing import frame_times

NIFTI_SUFFIXES = (".nii", ".nii.gz")
SEQUENCE_SUFFIXES = (".seq.nrrd", ".nrrd")


def name_of(path: Path | str) -> str:
    """Name of a file without what says its format."""
    name = Path(path).name
    for suffix in (*NIFTI_SUFFIXES[::-1], *SEQUENCE_SUFFIXES, ".seq.nhdr", ".nhdr"):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def read_cine(path: Path) -> ImageFile | None:
    """Read a 4D NIfTI, `.seq.nrrd` or 4D `.nrrd` file; no MRML, for any thread.

    Returns:
        None for one that only Slicer's reader may know, see `cine_from_storage`.

    Raises:
        InputError: it cannot be read, or is no cine.
    """
    lower = path.name.lower()
    if lower.endswith(NIFTI_SUFFIXES):
        image = read_nifti(path)
        if len(image.values) < 2:
            raise InputError(f"{path}: holds one frame; a cine has 2 or more")
        return image
    if not lower.endswith(SEQUENCE_SUFFIXES):
        raise InputError(f"{path}: expected a name that ends in .nii, .nii.gz, .seq.nrrd or .nrrd")
    try:
        return read_nrrd(path)
    except OtherKind:
        return None


def build_from_file(path: Path, image: ImageFile | None) -> Generator[None, None, Cine]:
    """Put what `read_cine` read into the scene, bit by bit, as `build_cine` does.

    Raises:
        InputError: it is no cine; the scene is as it was.
    """
    if image is None:
        return cine_from_storage(path)
    with removed_on_error() as made:
        cine = yield from build_cine(name_of(path), image.values, image.affine, image.times, image.timing_note)
        made += [cine.sequence, cine.browser, cine.proxy]
        yield
        _need(cine)
        uploads.remember_file(cine, path)
        yield
        return _need(cine)


def _need(cine: Cine) -> Cine:
    if not cine.is_alive:
        raise InputError("the scene was closed before the cine was there")
    return cine


def cine_from_file(path: Path | str) -> Cine:
    """Load a file at once; see `read_cine`.

    Raises:
        InputError: it cannot be read, or is no cine; the scene is as it was.
    """
    path = Path(path)
    return finished(build_from_file(path, read_cine(path)))


def cine_from_storage(path: Path) -> Cine:
    """Load a NRRD file with Slicer's own reader.

    Raises:
        InputError: it cannot be read, or is no cine; the scene is as it was.
    """
    if not path.is_file():
        raise InputError(f"{path}: is not there")
    with removed_on_error() as made:
        sequence = add_node("vtkMRMLSequenceNode", name_of(path))
        made.append(sequence)
        storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVolumeSequenceStorageNode")
        made.append(storage)
        storage.SetFileName(str(path))
        if not storage.ReadData(sequence):
            raise InputError(f"{path}: cannot be read as a sequence of volumes; is it damaged, or 3D?")
        sequence.SetAndObserveStorageNodeID(storage.GetID())
        affine = nrrd_affine(path)
        if affine is not None:
            remember_affine(sequence, affine)
        cine = cine_of(sequence)
    uploads.remember_file(cine, path)
    return cine


def cine_from_node(node: Any) -> Cine:
    """The cine of a node in the scene: sequence, its browser, its proxy, or a MultiVolume, which is converted.

    What is a cine already is found, not made again.

    Raises:
        InputError: none of these, or no cine; the scene is as it was.
    """
    if node is None:
        raise InputError("expected a cine, got no node")
    if node.IsA("vtkMRMLSequenceNode"):
        return cine_of(node)
    if node.IsA("vtkMRMLSequenceBrowserNode"):
        return _from_browser(node)
    browser = sequences_logic().GetFirstBrowserNodeForProxyNode(node)
    if browser is not None:
        sequence = browser.GetSequenceNode(node)
        return cine_of(sequence) if is_of_volumes(sequence) else _from_browser(browser)
    if is_multi_volume(node):
        return finished(build_from_components(node))
    raise InputError(
        f"{node.GetName()} is a single {node.GetNodeTagName()}; expected a sequence of volumes, or its browser"
    )


def _from_browser(browser: Any) -> Cine:
    sequences = [browser.GetMasterSequenceNode()]
    found = vtk.vtkCollection()
    browser.GetSynchronizedSequenceNodes(found, True)
    sequences += [found.GetItemAsObject(index) for index in range(found.GetNumberOfItems())]
    for sequence in sequences:
        if sequence is not None and is_of_volumes(sequence):
            return cine_of(sequence)
    raise InputError(f"{browser.GetName()} shows no sequence of volumes")


def is_of_volumes(sequence: Any) -> bool:
    """Whether a sequence's first frame is a scalar volume that is no label map."""
    first = sequence.GetNthDataNode(0) if sequence.GetNumberOfDataNodes() else None
    return (
        first is not None and first.IsA("vtkMRMLScalarVolumeNode") and not first.IsA("vtkMRMLLabelMapVolumeNode")
    )


def is_multi_volume(node: Any) -> bool:
    """Whether it is what the MultiVolumeImporter makes of DICOM: one volume, frames as its components."""
    return node.IsA("vtkMRMLMultiVolumeNode") or (
        node.IsA("vtkMRMLVolumeNode") and node.GetAttribute("MultiVolume.FrameLabels") is not None
    )


def build_from_components(volume: Any) -> Generator[None, None, Cine]:
    """Convert a volume whose voxels have one component per frame, bit by bit, as `build_cine` does.

    The volume itself stays as it is.

    Raises:
        InputError: one component, or no voxels.
    """
    image = volume.GetImageData()
    count = 0 if image is None else image.GetNumberOfScalarComponents()
    if count < 2:
        raise InputError(f"{volume.GetName()} has {count} frames; a cine has 2 or more")
    voxels = image_array(image)
    labels = (volume.GetAttribute("MultiVolume.FrameLabels") or "").split(",")
    try:
        numbers: list[float] | None = [float(label) for label in labels]
    except ValueError:
        numbers = None
    times, note = frame_times(numbers, count)
    frames = (voxels[..., t] for t in range(count))
    return (yield from build_cine(volume.GetName(), frames, volume_affine(volume), times, note))


def cine_from_volumes(name: str, volumes: Sequence[Any], seconds: Sequence[float] | None = None) -> Cine:
    """Make a cine of scalar volumes, one per frame, in this order; they stay as they are.

    Args:
        name: of the cine.
        volumes: vtkMRMLScalarVolumeNode, on one grid.
        seconds: when they were taken; by default they are spread over one second.

    Raises:
        InputError: fewer than two, or not on one grid.
    """
    if len(volumes) < 2:
        raise InputError(f"a cine has 2 frames or more, got {len(volumes)} volumes")
    arrays = [image_array(volume.GetImageData()) for volume in volumes if volume.GetImageData() is not None]
    first = volume_affine(volumes[0])
    for volume in volumes:
        image = volume.GetImageData()
        if image is None or image_array(image).shape != arrays[0].shape or arrays[0].ndim != 3:
            raise InputError(f"{volume.GetName()} does not have the size of {volumes[0].GetName()}")
        if not same_grid(first, volume_affine(volume), arrays[0].shape):
            raise InputError(f"{volume.GetName()} does not lie where {volumes[0].GetName()} does")
    return make_cine(name, np.stack(arrays), first, frame_times(seconds, len(volumes))[0])
