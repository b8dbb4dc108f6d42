"""What marks this module's nodes in a scene, so that they are found again, also after it was saved and loaded.

Everything hangs on the sequence browser of the cine: it has the attribute `CardiacMotion.Role`, and references to
the other nodes, which MRML keeps right when it renumbers nodes.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

import slicer

PREFIX = "CardiacMotion."
ROLE = f"{PREFIX}Role"
_CINE = "cine"


class Role(StrEnum):
    """What a node is to the browser of the cine."""

    CINE = f"{PREFIX}Cine"
    SEGMENTATIONS = f"{PREFIX}Segmentations"
    MOTION = f"{PREFIX}Motion"
    ENTROPY = f"{PREFIX}Entropy"
    VOLUME_TABLE = f"{PREFIX}VolumeTable"
    MARKER_TABLE = f"{PREFIX}MarkerTable"
    METRICS_TABLE = f"{PREFIX}MetricsTable"
    CHART = f"{PREFIX}Chart"
    LV_SERIES = f"{PREFIX}Series.LV"
    RV_SERIES = f"{PREFIX}Series.RV"
    MARKER_SERIES = f"{PREFIX}Series.Marker"


def set_node(browser: Any, role: Role, node: Any) -> None:
    """The browser refers to this node from now on; None for to none."""
    browser.SetNodeReferenceID(role.value, node.GetID() if node is not None else None)


def get_node(browser: Any, role: Role) -> Any:
    """The node that has this role, or None; also None for one that has left the scene."""
    node = browser.GetNodeReference(role.value)
    return node if node is not None and node.GetScene() is not None else None


def mark_cine(browser: Any, sequence: Any) -> None:
    """Make a browser and its sequence a cine of this module."""
    browser.SetAttribute(ROLE, _CINE)
    set_node(browser, Role.CINE, sequence)


def is_cine(browser: Any) -> bool:
    """Whether `mark_cine` was called for it, and its sequence is still there."""
    return browser.GetAttribute(ROLE) == _CINE and get_node(browser, Role.CINE) is not None


def cine_browsers() -> list[Any]:
    """Browsers of this module's cines in the scene, oldest first."""
    browsers = slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode")
    return [browser for browser in browsers if is_cine(browser)]


def set_json(node: Any, name: str, value: Any) -> None:
    """Keep a plain value with a node, under `CardiacMotion.` and this name; None removes it."""
    if value is None:
        node.RemoveAttribute(PREFIX + name)
    else:
        node.SetAttribute(PREFIX + name, json.dumps(value))


def get_json(node: Any, name: str) -> Any:
    """What `set_json` kept; None where there is nothing, or nothing that can be read."""
    text = node.GetAttribute(PREFIX + name)
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None
