"""Pictures of the panel at two widths, and that nothing in it is cut."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.slicer.bed.session import Bed
from tests.slicer.client.fake_server import Fake, refusal
from tests.slicer.cut_texts import cut
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


def nothing_is_cut(bed: Bed, widget: Any, picture: Path, width: int) -> None:
    """Once Qt has laid out what was just shown or hidden; the picture is taken then."""
    bed.grab(widget.parent, picture, width)
    with suppress(TimeoutError):
        bed.pump(lambda: cut(bed, widget.parent) == [], 5)
    bed.grab(widget.parent, picture, width)
    assert cut(bed, widget.parent) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_every_label_can_be_read(bed: Bed, fake: Fake, tmp_path: Path, pictures: Path, width: int) -> None:
    widget = open_panel(bed)
    case = widget.panel.section("Case").ui
    nothing_is_cut(bed, widget, pictures / f"panel_start_{width}.png", width)
    case.advancedBox.collapsed = case.localBox.collapsed = False
    case.addressEdit.text = "http://heart.hospital:8000"
    nothing_is_cut(bed, widget, pictures / f"panel_open_{width}.png", width)
    case.advancedBox.collapsed = True
    connect(bed, widget, fake.address)
    workspace = load(bed, widget, write_cine(tmp_path / "cine_sax.nii.gz", SHAPE))
    states = workspace.states
    workspace.take_as_drawn({t: _with_rv(t) for t in range(SHAPE[0])})
    carried = states.edited(0).carried(range(SHAPE[0])).edited(9).edited(21)
    proposed = carried.carried(range(22, 26), type(carried.state(0)).SEGMENTED)
    workspace._set_states(proposed.with_verified(9, True).with_verified(4, True))
    _segmented(workspace.cine)
    workspace.cine.frame = 9
    suggestion: Any = importlib.import_module("CardiacMotionLib.suggestion")
    suggestion.keep_suggestion(workspace.cine, {"frames": [12, 24], "slices": [1]})
    answer, may_answer = refusal(409, message="expected the image as it is on the server"), threading.Event()
    answer.wait = may_answer
    fake.replies = Script(datastore=answer)
    settle(bed, widget)
    widget.panel.section("Propagate").ui.propagateButton.click()
    nothing_is_cut(bed, widget, pictures / f"panel_working_{width}.png", width)
    assert widget.panel.ui.progressBar.visible
    may_answer.set()
    bed.pump(lambda: not widget.logic.session.tasks.is_busy, what="the refusal")
    settle(bed, widget)
    nothing_is_cut(bed, widget, pictures / f"panel_refused_{width}.png", width)
    widget.panel.ui.dismissButton.click()
    nothing_is_cut(bed, widget, pictures / f"panel_full_{width}.png", width)
    assert widget.parent.width == width


LONG = "a text that is much too long for its place"


def test_a_text_that_is_cut_is_found(bed: Bed) -> None:
    qt, root = bed.qt, bed.qt.QWidget()
    root.resize(600, 600)
    label, wrapped, word = qt.QLabel(LONG, root), qt.QLabel(LONG, root), qt.QLabel(LONG.replace(" ", "-"), root)
    wrapped.wordWrap = word.wordWrap = True
    button, box, group = qt.QPushButton(LONG, root), qt.QCheckBox(LONG, root), qt.QGroupBox(LONG, root)
    title, line, combo = bed.ctk.ctkCollapsibleButton(LONG, root), qt.QLineEdit(root), qt.QComboBox(root)
    line.placeholderText = LONG
    combo.addItem("short")
    combo.addItem(LONG)
    spin, table = qt.QSpinBox(root), qt.QTableWidget(2, 1, root)
    spin.setMaximum(999999999)
    table.setHorizontalHeaderLabels([LONG])
    widgets = [label, wrapped, word, button, box, group, title, line, combo, spin, table]
    for index, widget in enumerate(widgets):
        widget.objectName = f"{index}"
        widget.setGeometry(0, 40 * index, 60, 20)
    root.show()
    assert {text.partition(":")[0] for text in cut(bed, root)} == {str(index) for index in range(len(widgets))}
    assert "10: 'the last row'" in cut(bed, root)
    for widget in widgets:
        widget.resize(600, 200)
    table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Stretch)
    qt.QApplication.processEvents()
    assert cut(bed, root) == []


def _with_rv(frame: int) -> Any:
    labels = disc_labels(frame, SHAPE)
    labels[:, 14:26, 2:7][labels[:, 14:26, 2:7] == 0] = 1
    return np.ascontiguousarray(labels)


def _segmented(cine: Any) -> None:
    """Entropy over some frames, and shifts of the slices, as they come with a segmentation."""
    mrml: Any = importlib.import_module("CardiacMotionLib.mrml")
    overlay: Any = importlib.import_module("CardiacMotionLib.entropy_overlay").EntropyOverlay
    shifts: Any = importlib.import_module("CardiacMotionLib.slice_shifts")
    entropy = np.full(SHAPE[1:], 0.5, np.float32)
    mrml.finished(overlay.build(cine, {9: entropy, 22: entropy}, 1.386)).show(0.5)
    shifts.keep_shifts(cine, shifts.SliceShifts(((0.0, 0.4), (-2.1, 3.0), (0.6, 0.0))))
