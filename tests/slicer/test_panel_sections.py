"""A section joins the panel by its two files alone, and is shown where the server has its task."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.slicer.bed.session import Bed
from tests.slicer.client.fake_server import INFO, Fake, as_json
from tests.slicer.panel_bed import begin_panel, connect, is_made, load, message, open_panel, settle, write_cine

SCRIPT = """
from CardiacMotionLib.errors import InputError
from CardiacMotionLib.sections.section import Section
from CardiacMotionLib.signals import Signal


class StrainSection(Section):
    UI, ORDER, TASK = "Strain", 45, "strain"

    def __init__(self, panel):
        super().__init__(panel)
        self.failed = Signal()
        self.listen(self.failed, self.fail)
        self.on_click(self.ui.strainButton, self._start)
        self.steps = []

    @property
    def is_busy(self):
        return len(self.steps) == 1

    def scene_closes(self):
        self.steps.append("scene closes")

    def close(self):
        super().close()
        self.steps.append("close")

    def _start(self):
        self.panel.show_progress(self, lambda: self.steps.append("cancelled"))
        self.steps.append("started")
"""
UI = """<ui version="4.0"><class>StrainSection</class><widget class="qMRMLWidget" name="StrainSection">
<layout class="QVBoxLayout" name="rootLayout"><item><widget class="QPushButton" name="strainButton">
<property name="text"><string>Strain</string></property></widget></item></layout></widget>
<customwidgets><customwidget><class>qMRMLWidget</class><extends>QWidget</extends><header>qMRMLWidget.h</header>
<container>1</container></customwidget></customwidgets></ui>"""
NAMES = ["Case", "Contour", "Segment", "Propagate", "Look", "Learn"]


@pytest.fixture
def dropped(bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The two files, as if they lay in the module's own folders."""
    (tmp_path / "strain.py").write_text(SCRIPT, encoding="utf-8")
    (tmp_path / "Strain.ui").write_text(UI, encoding="utf-8")
    package: Any = importlib.import_module("CardiacMotionLib.sections")
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    entry: Any = importlib.import_module("CardiacMotion")
    usual = entry.CardiacMotionWidget.resourcePath

    def resource(self: Any, name: str) -> str:
        return str(tmp_path / "Strain.ui") if name == "UI/Strain.ui" else str(usual(self, name))

    monkeypatch.setattr(entry.CardiacMotionWidget, "resourcePath", resource)
    yield
    sys.modules.pop("CardiacMotionLib.sections.strain", None)


def info(*tasks: str) -> Any:
    return as_json({**INFO, "cardiac_motion": {"api": 1, "tasks": list(tasks)}})


def names(widget: Any) -> list[str]:
    return [section.UI for section in widget.panel.sections]


def test_the_sections_are_those_of_the_package(bed: Bed) -> None:
    assert names(open_panel(bed)) == NAMES


def test_the_panel_is_made_bit_by_bit_and_shown_when_it_is_whole(bed: Bed) -> None:
    widget = begin_panel(bed)
    making = widget._making
    assert making.begun is None
    bed.pump(lambda: making.begun is not None, what="the beginning")
    begun: Any = making.begun
    seen: list[tuple[int, bool]] = []
    frame = widget.parent.findChild(bed.slicer.qMRMLWidget)

    def looked() -> bool:
        seen.append((len(begun.sections), frame.visible))
        return is_made(widget)

    bed.pump(looked, what="the panel")
    assert seen[0] == (0, False)
    assert len({count for count, _is_shown in seen}) == len(NAMES) + 1  # a turn after each
    assert [is_shown for _count, is_shown in seen] == [False] * (len(seen) - 1) + [True]
    assert (widget.panel, names(widget)) == (begun, NAMES)
    assert widget.panel.section("Contour")._is_entered


def until_two_sections(bed: Bed, widget: Any) -> Any:
    """The panel when it is half made."""
    making = widget._making
    bed.pump(lambda: making.begun is not None and len(making.begun.sections) == 2, what="two sections")
    return making.begun


def test_who_needs_the_panel_at_once_gets_it_whole(bed: Bed) -> None:
    assert names(begin_panel(bed)) == NAMES
    widget = begin_panel(bed)
    begun = until_two_sections(bed, widget)
    assert (names(widget), widget.panel) == (NAMES, begun)
    assert begun.is_made


def test_a_case_that_is_opened_before_the_panel_is_whole_is_shown(bed: Bed, tmp_path: Path) -> None:
    widget = begin_panel(bed)
    loading: Any = importlib.import_module("CardiacMotionLib.cine_loading")
    begun = until_two_sections(bed, widget)
    workspace = widget.logic.session.open(loading.cine_from_file(write_cine(tmp_path / "disc.nii.gz")))
    bed.pump(lambda: begun.is_made, what="the panel")
    settle(bed, widget)
    assert widget.panel.section("Contour").widget.visible
    assert widget.panel.parameters.browser is workspace.cine.browser
    assert widget.panel.measures is not None


def test_the_module_is_left_before_the_panel_is_begun(bed: Bed) -> None:
    widget = begin_panel(bed)
    widget.exit()
    assert not widget.panel.section("Contour")._is_entered
    widget.enter()
    assert widget.panel.section("Contour")._is_entered


@pytest.mark.parametrize("sections", [0, 2])
def test_the_module_goes_before_the_panel_is_whole(bed: Bed, sections: int) -> None:
    widget = begin_panel(bed)
    making, link = widget._making, widget.logic.session.link
    begun = until_two_sections(bed, widget) if sections else None
    bed.leave()
    assert link.failed._callbacks == []
    later: list[bool] = []
    bed.qt.QTimer.singleShot(50, lambda: later.append(True))
    bed.pump(lambda: bool(later))
    assert making.begun is begun
    assert (len(begun.sections) if begun else 0, widget.panel) == (sections, None)


@pytest.mark.usefixtures("dropped")
def test_a_section_joins_in_by_its_two_files(bed: Bed) -> None:
    widget = open_panel(bed)
    assert names(widget) == [*NAMES[:5], "Strain", "Learn"]
    section, fake = widget.panel.section("Strain"), Fake()
    try:
        assert not section.widget.visible
        fake.replies = [info("motion")]
        connect(bed, widget, fake.address)
        assert not section.widget.visible
        widget.panel.section("Case").ui.connectButton.click()
        fake.replies = [info("motion", "strain")]
        connect(bed, widget, fake.address)
        assert section.widget.visible
    finally:
        fake.close()
    frame, layout = widget.panel.ui, widget.panel._layout
    section.ui.strainButton.click()
    assert frame.progressBar.visible
    assert layout.indexOf(frame.statusFrame) == layout.indexOf(section.widget) + 1
    frame.cancelButton.click()
    settle(bed, widget)
    assert section.steps == ["started", "cancelled"]
    assert not frame.progressBar.visible
    # What fails is told below the section that listens, wherever a message was before.
    widget.panel.say("elsewhere", widget.panel.section("Case"))
    errors: Any = importlib.import_module("CardiacMotionLib.errors")
    section.failed.emit(errors.InputError("no strain"))
    settle(bed, widget)
    assert message(widget) == "No strain"
    assert layout.indexOf(frame.statusFrame) == layout.indexOf(section.widget) + 1
    bed.scene.Clear(0)
    settle(bed, widget)
    bed.leave()
    assert section.steps[2:] == ["scene closes", "close"]
    assert section.failed._callbacks == []


def test_every_signal_of_the_sections_is_let_go(bed: Bed, tmp_path: Path) -> None:
    widget = open_panel(bed)
    load(bed, widget, write_cine(tmp_path / "disc.nii.gz"))
    session = widget.logic.session
    signals = (session.link.failed, session.propagation.failed, session.propagation.finished, session.cases.failed)
    assert all(signal._callbacks for signal in signals)
    widget.panel.close()
    ours = [
        each for signal in signals for each in signal._callbacks if getattr(each, "__self__", None) is not session
    ]
    assert ours == []
