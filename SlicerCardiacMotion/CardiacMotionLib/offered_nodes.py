"""Which nodes of the scene can be chosen as a cine."""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from CardiacMotionLib import scene_state
from CardiacMotionLib.cine_loading import is_multi_volume, is_of_volumes
from CardiacMotionLib.mrml import sequences_logic

BROWSER, SEQUENCE, VOLUME = "vtkMRMLSequenceBrowserNode", "vtkMRMLSequenceNode", "vtkMRMLScalarVolumeNode"
_MULTI_VOLUME = "vtkMRMLMultiVolumeNode"


def node_types() -> list[str]:
    """Classes of the nodes that `hidden_ids` chooses among."""
    # A MultiVolume comes with another extension, which need not be there.
    return [name for name in (BROWSER, SEQUENCE, VOLUME, _MULTI_VOLUME) if hasattr(slicer, name)]


def hidden_ids() -> list[str]:
    """Ids of the nodes of `node_types` that are not offered.

    Offered are browsers, sequences of volumes without one, the volumes that show a sequence, and MultiVolumes; of
    a cine that is set up already, the browser alone.
    """
    used = {sequence.GetID() for browser in scene_state.cine_browsers() for sequence in sequences_of(browser)}
    return [
        *(node.GetID() for node in _nodes(SEQUENCE) if not _is_free_sequence(node, used)),
        *(node.GetID() for node in _nodes(VOLUME) if not _is_free_volume(node, used)),
    ]


def sequences_of(browser: Any) -> list[Any]:
    """The sequences that a browser shows."""
    found = vtk.vtkCollection()
    browser.GetSynchronizedSequenceNodes(found, True)
    return [found.GetItemAsObject(index) for index in range(found.GetNumberOfItems())]


def _nodes(kind: str) -> list[Any]:
    scene = slicer.mrmlScene
    return [scene.GetNthNodeByClass(index, kind) for index in range(scene.GetNumberOfNodesByClass(kind))]


def _is_free_sequence(sequence: Any, used: set[str]) -> bool:
    has_browser = sequences_logic().GetFirstBrowserNodeForSequenceNode(sequence) is not None
    return not has_browser and sequence.GetID() not in used and is_of_volumes(sequence)


def _is_free_volume(volume: Any, used: set[str]) -> bool:
    browser = sequences_logic().GetFirstBrowserNodeForProxyNode(volume)
    if browser is None:
        return is_multi_volume(volume)
    sequence = browser.GetSequenceNode(volume)
    return sequence is not None and sequence.GetID() not in used and is_of_volumes(sequence)
