"""Edits are seen whatever the Slicer's version tells about them."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("slicer", reason="not run: slicer-core is not installed")

from CardiacMotionLib import edit_watch

if TYPE_CHECKING:
    from tests.slicer.bed.session import Bed


@pytest.mark.parametrize("version", ["of now", "without the event of an exchanged segmentation"])
def test_an_edit_is_seen(bed: Bed, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    slicer: Any = bed.slicer
    if version != "of now":
        older = types.SimpleNamespace(vtkSegmentation=slicer.vtkSegmentation, vtkMRMLSegmentationNode=object())
        monkeypatch.setattr(edit_watch, "slicer", older)
    node = bed.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    seen: list[int] = []
    watch = edit_watch.EditWatch(node, lambda: 3, seen.append)
    node.GetSegmentation().AddEmptySegment("LV")
    assert set(seen) == {3}
    seen.clear()
    node.SetAndObserveSegmentation(slicer.vtkSegmentation())
    assert bool(seen) == (version == "of now")
    watch.stop()
    seen.clear()
    node.GetSegmentation().AddEmptySegment("RV")
    assert seen == []
