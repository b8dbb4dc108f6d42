"""What the tests of the panel share: a small cine on disk, and a panel that is connected to a real server."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.slicer.bed.session import Bed

SHAPE = (8, 3, 40, 36)
AFFINE = np.array([[-1.5, 0, 0, 30.0], [0, -1.5, 0, 20.0], [0, 0, 8.0, -12.0], [0, 0, 0, 1.0]])


def cine_values(shape: tuple[int, int, int, int] = SHAPE) -> npt.NDArray[np.int16]:
    """A bright disc that grows and shrinks, on every slice."""
    y, x = np.mgrid[: shape[2], : shape[3]]
    distance = np.hypot(y - shape[2] / 2, x - shape[3] / 2)
    radii = 9 + 3 * np.cos(2 * np.pi * np.arange(shape[0]) / shape[0])
    frames = np.stack([200.0 / (1 + np.exp(distance - radius)) for radius in radii])
    return np.repeat(frames[:, None], shape[1], axis=1).astype(np.int16)


def disc_labels(frame: int, shape: tuple[int, int, int, int] = SHAPE) -> npt.NDArray[np.uint8]:
    """LV in a ring of MYO, as large as the disc of `cine_values`."""
    y, x = np.mgrid[: shape[2], : shape[3]]
    distance = np.hypot(y - shape[2] / 2, x - shape[3] / 2)
    radius = 9 + 3 * np.cos(2 * np.pi * frame / shape[0])
    plane = np.where(distance < radius - 3, 3, np.where(distance < radius, 2, 0)).astype(np.uint8)
    return np.repeat(plane[None], shape[1], axis=0)


def write_cine(path: Path, shape: tuple[int, int, int, int] = SHAPE) -> Path:
    """The cine as a file."""
    nifti: Any = importlib.import_module("CardiacMotionLib.nifti")
    nifti.write_nifti(path, cine_values(shape), AFFINE, frame_seconds=0.04)
    return path


def begin_panel(bed: Bed) -> Any:
    """The module's widget, set up and entered; the panel in it follows bit by bit."""
    return bed.widget(importlib.import_module("CardiacMotion"))


def is_made(widget: Any) -> bool:
    """Whether the whole panel is there."""
    begun = widget._making.begun
    return begun is not None and bool(begun.is_made)


def open_panel(bed: Bed) -> Any:
    """The module's widget, set up and entered, with the whole panel."""
    widget = begin_panel(bed)
    bed.pump(lambda: is_made(widget), seconds=30, what="the panel")
    return widget


def load(bed: Bed, widget: Any, path: Path) -> Any:
    """Loads the file by the panel's button; returns the workspace."""
    bed.dialogs.answer(str(path), containing="Load a cine")
    before = widget.logic.session.workspace
    widget.panel.section("Case").ui.fileButton.click()
    bed.pump(lambda: widget.logic.session.workspace not in {None, before}, what="the file")
    settle(bed, widget)
    return widget.logic.session.workspace


def draw(bed: Bed, widget: Any, frame: int) -> None:
    """The user's brush: segments of the proxy are changed behind the panel's back."""
    segments: Any = importlib.import_module("CardiacMotionLib.segments")
    workspace = widget.logic.session.workspace
    workspace.cine.frame = frame
    values = {"RV": 1, "MYO": 2, "LV": 3}
    segments.write_labels(
        workspace.segmentations.proxy.GetSegmentation(), disc_labels(frame), workspace.cine.affine, values
    )
    bed.pump(lambda: frame in workspace.states.key_frames, what="the edit to be seen")
    settle(bed, widget)


def settle(bed: Bed, widget: Any) -> None:
    """Until what was put off has been done: the panel is up to date, volumes are counted."""
    panel = widget.panel

    def is_settled() -> bool:
        measures = panel.measures
        return not panel._is_waiting and not (measures and (measures._waiting or measures._is_scheduled))

    bed.pump(is_settled, what="the panel to be up to date")


def connect(bed: Bed, widget: Any, address: str, token: str = "") -> None:
    """Types the address, and presses the button."""
    ui = widget.panel.section("Case").ui
    ui.addressEdit.text, ui.tokenEdit.text = address, token
    ui.connectButton.click()
    link = widget.logic.session.link
    bed.pump(lambda: not link.is_connecting, what="the server's answer")
    settle(bed, widget)


def message(widget: Any) -> str:
    """What the panel says, or "" if it shows nothing."""
    label = widget.panel.ui.messageLabel
    return str(label.text) if label.visible else ""
