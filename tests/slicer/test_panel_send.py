"""A cine of the reader's own goes to the server under the id that the reader chose, and with no other name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.slicer.bed.session import Bed
from tests.slicer.client.fake_server import Fake, refusal
from tests.slicer.panel_bed import load, settle, write_cine
from tests.slicer.panel_faults import Reader

PATIENT = "Doe^Jane 1950"
CLEANED = "Doe-Jane-1950"


@pytest.fixture
def reader(bed: Bed, tmp_path: Path) -> Iterator[Reader]:
    fake = Fake()
    reader = Reader.begin(bed, fake, tmp_path)
    reader.open(PATIENT)
    yield reader
    fake.close()


def case_ui(reader: Reader) -> Any:
    return reader.widget.panel.section("Case").ui


def type_id(reader: Reader, text: str) -> None:
    """As by the keyboard; the focus stays in the field."""
    edit = case_ui(reader).idEdit
    edit.selectAll()
    edit.insert(text)
    settle(reader.bed, reader.widget)


def sent(reader: Reader) -> list[str]:
    """All that went to the server, as text."""
    return [f"{each.path} {each.headers} {each.body[:2000]!r}" for each in reader.fake.requests]


def test_it_is_sent_under_the_id_that_was_typed(reader: Reader) -> None:
    ui = case_ui(reader)
    assert ui.idEdit.text == CLEANED
    type_id(reader, "study 7/b")
    assert ui.idEdit.text == "study 7/b"
    reader.press("Case", "sendButton")
    reader.wait()
    assert reader.said == []
    assert list(reader.server.images) == ["study-7-b"]
    assert not any("Doe" in each or "Jane" in each for each in sent(reader))
    assert (ui.idEdit.text, ui.idEdit.enabled) == ("study-7-b", False)
    assert (ui.sendButton.enabled, ui.sendButton.toolTip) == (False, "The server has it already")
    assert "On the server as study-7-b." in ui.caseLabel.text
    assert reader.work("propagate") == ""
    assert reader.server.count("upload") == 1


def test_what_is_typed_counts_also_where_the_cine_is_sent_by_itself(reader: Reader) -> None:
    type_id(reader, "study-8")
    assert reader.work("propagate") == ""
    assert list(reader.server.images) == ["study-8"]
    assert not any("Doe" in each for each in sent(reader))


def test_another_id_is_chosen_where_there_is_one_already_and_each_cine_has_its_own(reader: Reader) -> None:
    ui, patient = case_ui(reader), reader.workspace
    reader.fails("send", "choose another id for it in the section Case", {"upload": refusal(409)})
    assert ui.idEdit.enabled
    type_id(reader, "other")
    ui.idEdit.editingFinished()
    other = load(reader.bed, reader.widget, write_cine(reader.folder / "second.nii.gz"))
    assert ui.idEdit.text == "second"
    ui.cineSelector.setCurrentNode(patient.cine.browser)
    settle(reader.bed, reader.widget)
    ui.useButton.click()
    reader.wait()
    assert reader.workspace.cine.browser is patient.cine.browser is not other.cine.browser
    assert ui.idEdit.text == "other"
    type_id(reader, "  ")
    reader.press("Case", "sendButton")
    reader.wait()
    assert list(reader.server.images) == [CLEANED]


def test_without_a_server_or_a_cine_nothing_can_be_sent(reader: Reader) -> None:
    ui = case_ui(reader)
    ui.connectButton.click()
    settle(reader.bed, reader.widget)
    assert (ui.sendButton.enabled, ui.sendButton.toolTip) == (False, "Connect to a server first")
    reader.bed.scene.Clear(0)
    settle(reader.bed, reader.widget)
    assert not ui.idEdit.visible
    assert not ui.sendButton.visible
