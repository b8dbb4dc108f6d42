"""Cines come into the scene bit by bit; whoever gives up half-way finds it as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.slicer.logic.conftest import Small

pytest.importorskip("slicer", reason="not run: slicer-core is not installed")

import vtk
from CardiacMotionLib.mrml import fill_image, to_matrix
from CardiacMotionLib.nifti import write_nifti
from CardiacMotionLib.opening import Opening
from CardiacMotionLib.session import Session
from CardiacMotionLib.uploads import write_sequence

if TYPE_CHECKING:
    from tests.slicer.bed.session import Bed


class Opened:
    """An `Opening` whose steps are done one at a time."""

    def __init__(self) -> None:
        self.session = Session(lambda _call, _ms: lambda: None, lambda _ms, _call: None)
        self.opening = Opening(self.session)
        self.failures: list[BaseException] = []
        self.opening.failed.connect(self.failures.append)

    def steps(self, bed: Bed) -> Iterator[None]:
        while self.opening.is_busy:
            bed.pump(lambda: self.opening.is_busy, 1)
            self.session.tasks.drain(0)
            yield


def nodes(bed: Bed) -> list[str]:
    return sorted(bed.scene.GetNthNode(index).GetID() for index in range(bed.scene.GetNumberOfNodes()))


def _nifti(bed: Bed, small: Small, folder: Path) -> Callable[[Opened], None]:
    write_nifti(folder / "c.nii.gz", small.values, small.affine, frame_seconds=0.031)
    return lambda opened: opened.opening.file(folder / "c.nii.gz")


def _nrrd(bed: Bed, small: Small, folder: Path) -> Callable[[Opened], None]:
    write_sequence(folder / "c.seq.nrrd", small.values, small.affine, small.times)
    return lambda opened: opened.opening.file(folder / "c.seq.nrrd")


def _components(bed: Bed, small: Small, _folder: Path) -> Callable[[Opened], None]:
    node = bed.scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "c")
    node.SetAndObserveImageData(fill_image(vtk.vtkImageData(), np.moveaxis(small.values, 0, 3)))
    node.SetIJKToRASMatrix(to_matrix(small.affine))
    node.SetAttribute("MultiVolume.FrameLabels", ",".join(f"{1000 * time:.1f}" for time in small.times))
    return lambda opened: opened.opening.node(node)


@pytest.fixture(params=[_nifti, _nrrd, _components])
def start(request: pytest.FixtureRequest, bed: Bed, small: Small, tmp_path: Path) -> Any:
    return request.param(bed, small, tmp_path)


def test_one_frame_at_a_time_and_all_of_it_in_the_end(
    bed: Bed, small: Small, start: Callable[[Opened], None]
) -> None:
    opened = Opened()
    start(opened)
    assert sum(1 for _ in opened.steps(bed)) > len(small.values)
    workspace = opened.session.need_workspace()
    assert opened.failures == []
    assert workspace.cine.name.startswith("c")
    np.testing.assert_allclose(workspace.cine.times, small.times, atol=1e-9)
    for t, values in enumerate(small.values):
        np.testing.assert_array_equal(workspace.cine.array(t), values)


@pytest.mark.parametrize("after", [1, 4])
@pytest.mark.parametrize("how", ["cancel", "newer", "scene"])
def test_giving_up_leaves_the_scene_as_it_was(
    bed: Bed, start: Callable[[Opened], None], after: int, how: str
) -> None:
    opened = Opened()
    before = nodes(bed)
    start(opened)
    number = -1
    for number, _ in enumerate(opened.steps(bed)):
        if number == after:
            break
    assert (number, opened.opening.is_busy) == (after, True)
    if how == "scene":
        bed.scene.Clear()
        before = nodes(bed)
        opened.opening.cancel()
    elif how == "cancel":
        opened.opening.cancel()
    else:
        opened.opening.file(Path("gone.nii.gz"))
    for _ in opened.steps(bed):
        pass
    assert nodes(bed) == before
    assert opened.session.workspace is None
    assert len(opened.failures) == (1 if how == "newer" else 0)


@pytest.mark.parametrize("how", ["cancel", "scene"])
def test_giving_up_where_the_cine_is_in_the_scene_already(
    bed: Bed, small: Small, tmp_path: Path, how: str
) -> None:
    opened = Opened()
    before = nodes(bed)
    _nifti(bed, small, tmp_path)(opened)
    steps = opened.steps(bed)
    while not bed.slicer.util.getNodesByClass("vtkMRMLSequenceNode"):
        next(steps)
    if how == "scene":
        bed.scene.Clear()
        before = nodes(bed)
    else:
        opened.opening.cancel()
    for _ in steps:
        pass
    assert sorted(set(nodes(bed)) ^ set(before)) == []
    assert opened.session.workspace is None
    assert [str(error) for error in opened.failures] == (
        ["the scene was closed before the cine was there"] if how == "scene" else []
    )
