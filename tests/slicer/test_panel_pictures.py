"""Pictures of the panel at two widths, and that nothing in it is cut."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.slicer.bed.session import Bed
from tests.slicer.client.fake_server import Fake, refusal
from tests.slicer.panel_bed import connect, disc_labels, load, open_panel, settle, write_cine
from tests.slicer.test_panel_faults import Script

WIDTHS = (400, 600)
SHAPE = (30, 3, 40, 36)


@pytest.fixture
def fake() -> Iterator[Fake]:
    fake = Fake()
    fake.replies = Script()
    yield fake
    fake.close()


def cut(bed: Bed, root: Any) -> list[str]:
    """Texts that their widget has no room for."""
    qt = bed.qt
    found = []
    kinds = (qt.QLabel, qt.QPushButton, qt.QCheckBox)
    for widget in [each for each in root.findChildren(qt.QWidget) if isinstance(each, kinds) and each.visible]:
        # A widget of the double that stands for one of Slicer's looks otherwise there.
        lines = str(widget.text).split("\n")
        if not any(lines):
            continue
        metrics = widget.fontMetrics()
        if isinstance(widget, qt.QLabel) and widget.wordWrap:
            enough = widget.heightForWidth(widget.width) <= widget.height
        else:
            extra = 20 if isinstance(widget, qt.QCheckBox) else 0
            wide = max(metrics.horizontalAdvance(line) for line in lines) + extra
            enough = wide <= widget.width and len(lines) * metrics.height() <= widget.height
        if not enough:
            found.append(f"{widget.objectName}: {widget.text!r}")
    return found


def nothing_is_cut(bed: Bed, widget: Any) -> None:
    """Once Qt has laid out what was just shown or hidden."""
    with suppress(TimeoutError):
        bed.pump(lambda: cut(bed, widget.parent) == [], 5)
    assert cut(bed, widget.parent) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_every_label_can_be_read(bed: Bed, fake: Fake, tmp_path: Path, pictures: Path, width: int) -> None:
    widget = open_panel(bed)
    bed.grab(widget.parent, pictures / f"panel_start_{width}.png", width)
    nothing_is_cut(bed, widget)
    connect(bed, widget, fake.address)
    workspace = load(bed, widget, write_cine(tmp_path / "cine_sax.nii.gz", SHAPE))
    states = workspace.states
    workspace.take_as_drawn({t: _with_rv(t) for t in range(SHAPE[0])})
    carried = states.edited(0).carried(range(SHAPE[0])).edited(9).edited(21)
    workspace._set_states(carried.with_verified(9, True).with_verified(4, True))
    workspace.cine.frame = 9
    widget.panel.section("Case").ui.localBox.collapsed = False
    fake.replies = Script(datastore=refusal(409, message="expected the image as it is on the server, got another"))
    settle(bed, widget)
    widget.panel.section("Propagate").ui.propagateButton.click()
    bed.grab(widget.parent, pictures / f"panel_working_{width}.png", width)
    nothing_is_cut(bed, widget)
    bed.pump(lambda: not widget.logic.session.tasks.is_busy, what="the refusal")
    settle(bed, widget)
    bed.grab(widget.parent, pictures / f"panel_full_{width}.png", width)
    nothing_is_cut(bed, widget)
    assert widget.parent.width == width


def _with_rv(frame: int) -> Any:
    labels = disc_labels(frame, SHAPE)
    labels[:, 14:26, 2:7][labels[:, 14:26, 2:7] == 0] = 1
    return np.ascontiguousarray(labels)
