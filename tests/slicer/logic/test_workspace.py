"""A stroke that waits to be noticed is never lost."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.slicer.bed.session import Bed
from tests.slicer.panel_bed import AFFINE, SHAPE, cine_values, disc_labels


@pytest.fixture
def workspace(bed: Bed) -> Any:
    """One whose edits are noticed only when somebody asks: the timer never fires."""
    cine: Any = importlib.import_module("CardiacMotionLib.cine")
    segmentation_sequence: Any = importlib.import_module("CardiacMotionLib.segmentation_sequence")
    workspace: Any = importlib.import_module("CardiacMotionLib.workspace")
    made = cine.make_cine("cine", cine_values(), AFFINE, np.arange(SHAPE[0]) * 0.04)
    never: list[Callable[[], None]] = []
    found = workspace.Workspace(made, segmentation_sequence.Segmentations.of(made), schedule=never.append)
    yield found
    found.close()


def stroke(bed: Bed, workspace: Any, frame: int) -> np.ndarray:
    """The reader draws, and nobody has noticed yet."""
    workspace.cine.frame = frame
    drawn = disc_labels(frame)
    for value, name in ((2, "MYO"), (3, "LV")):
        bed.slicer.util.updateSegmentBinaryLabelmapFromArray(
            (drawn == value).astype(np.uint8), workspace.segmentations.proxy, name, workspace.cine.proxy
        )
    assert frame not in workspace.states.key_frames
    return drawn


def test_carried_labels_do_not_overwrite_it(bed: Bed, workspace: Any) -> None:
    workspace.take_as_drawn({0: disc_labels(0)})
    drawn = stroke(bed, workspace, 3)
    assert workspace.write_carried(3, disc_labels(0)) is None
    assert (workspace.labels(3) == drawn).all()
    assert workspace.states.key_frames == (0, 3)


def test_it_counts_for_the_next_propagation_and_is_kept_by_undo(bed: Bed, workspace: Any) -> None:
    workspace.take_as_drawn({0: disc_labels(0)})
    before = workspace.states
    replaced = {t: workspace.write_carried(t, disc_labels(0)) for t in (1, 2)}
    workspace.end_step(before, replaced)
    drawn = stroke(bed, workspace, 4)
    assert sorted(workspace.key_labels()) == [0, 4]
    again = stroke(bed, workspace, 2)
    workspace.undo()
    assert (workspace.labels(2) == again).all()
    assert (workspace.labels(4) == drawn).all()
    assert not workspace.labels(1).any()
    assert workspace.states.key_frames == (0, 2, 4)
