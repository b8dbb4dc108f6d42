"""The synthetic case of the Sample Data module: offered once Slicer has started, loaded without any network."""

from __future__ import annotations

import importlib
import shlex
import shutil
import socket
import sys
import types
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import pytest
from cardiac_motion.cli import main as command
from cardiac_motion.io import read_cine, read_labels

from tests.slicer.bed.session import Bed
from tests.slicer.panel_bed import draw, load, open_panel, settle, write_cine

RESOURCES = Path(__file__).parents[2] / "SlicerCardiacMotion" / "Resources"
FILES = RESOURCES / "SampleData"


_NAMES = {
    "category", "sampleName", "uris", "fileNames", "nodeNames", "customDownloader", "thumbnailFileName",
    "loadFileType", "loadFiles", "loadFileProperties", "checksums",
}  # fmt: skip


class SampleDataLogic:
    """As Slicer's takes it: only these names, and as many of each."""

    sources: ClassVar[list[dict[str, Any]]] = []

    @classmethod
    def registerCustomSampleDataSource(cls, **source: Any) -> None:
        assert set(source) <= _NAMES
        one_each = ("uris", "fileNames", "nodeNames", "loadFileType")
        assert all(isinstance(source[name], str) for name in one_each)
        cls.sources.append(source)


@pytest.fixture
def sources(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    module: Any = types.ModuleType("SampleData")
    module.SampleDataLogic = SampleDataLogic
    SampleDataLogic.sources.clear()
    monkeypatch.setitem(sys.modules, "SampleData", module)
    return SampleDataLogic.sources


def downloaded(bed: Bed, widget: Any, source: dict[str, Any]) -> Any:
    """As the button does it."""
    nodes = source["customDownloader"](source)
    settle(bed, widget)
    return nodes


def test_it_is_offered_and_loaded_without_a_network(
    bed: Bed, sources: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry: Any = importlib.import_module("CardiacMotion")
    widget = bed.widget(entry)
    assert sources == []
    bed.app.startup_completed()
    (source,) = sources
    assert (source["category"], source["sampleName"]) == ("Cardiac Motion", "CardiacMotionPhantom")
    picture = bed.qt.QImage(source["thumbnailFileName"])
    assert (picture.width(), picture.height()) == (280, 260)
    assert Path(url2pathname(urlsplit(source["uris"]).path)) == FILES / source["fileNames"]

    def refuse(*_: object) -> None:
        raise AssertionError("expected no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    (sequence,) = downloaded(bed, widget, source)
    workspace = widget.logic.session.workspace
    assert workspace.cine.sequence is sequence
    assert workspace.cine.name == "CardiacMotionPhantom"
    assert workspace.cine.shape == (20, 8, 96, 96)
    assert (workspace.states.key_frames, workspace.cine.frame) == ((0,), 0)
    truth = read_labels(FILES / "CardiacMotionPhantom_labels.nii.gz").labels
    np.testing.assert_array_equal(workspace.labels(0), np.where(truth[0] <= 3, truth[0], 0))
    assert set(np.unique(workspace.labels(0))) == {0, 1, 2, 3}
    assert not any(workspace.labels(t).any() for t in range(1, 20))
    assert widget.panel.section("Contour").ui.editor.segmentationNode() is workspace.segmentations.proxy


def test_a_case_that_is_worked_on_stays(bed: Bed, sources: list[dict[str, Any]], tmp_path: Path) -> None:
    widget = bed.widget(importlib.import_module("CardiacMotion"))
    bed.app.startup_completed()
    mine = load(bed, widget, write_cine(tmp_path / "mine.nii.gz"))
    (sequence,) = downloaded(bed, widget, sources[0])
    assert widget.logic.session.workspace is mine
    draw(bed, widget, 2)
    assert mine.states.key_frames == (2,)
    browser = bed.slicer.modules.sequences.logic().GetFirstBrowserNodeForSequenceNode(sequence)
    case = widget.panel.section("Case").ui
    case.cineSelector.setCurrentNode(browser)
    settle(bed, widget)
    case.useButton.click()
    settle(bed, widget)
    assert widget.logic.session.workspace.states.key_frames == (0,)


def test_files_that_are_damaged_are_one_message_and_the_scene_as_it_was(
    bed: Bed, sources: list[dict[str, Any]], tmp_path: Path
) -> None:
    widget = open_panel(bed)
    sample_data: Any = importlib.import_module("CardiacMotionLib.sample_data")
    nodes = bed.scene.GetNumberOfNodes()
    for name in ("CardiacMotionPhantom.nii.gz", "CardiacMotionPhantom_labels.nii.gz"):
        shutil.copytree(FILES, tmp_path / name / "SampleData")
        (tmp_path / name / "SampleData" / name).write_bytes(b"nothing")
        sources.clear()
        assert sample_data.register(tmp_path / name, lambda: widget.logic.session)
        bed.dialogs.answer("OK", containing="The synthetic case could not be loaded")
        assert downloaded(bed, widget, sources[0]) == []
        assert bed.dialogs.texts[-1].count("\n") == 0
        assert bed.scene.GetNumberOfNodes() == nodes
        assert widget.logic.session.workspace is None


def test_a_slicer_without_the_module_does_without(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "SampleData", None)
    bed.module(importlib.import_module("CardiacMotion"))
    bed.app.startup_completed()
    assert bed.errors == []


def test_it_is_what_the_command_in_its_readme_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (FILES / "README.md").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("cardiac-motion phantom"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", shlex.split(line))
    with pytest.raises(SystemExit) as ended:
        command()
    assert ended.value.code in {0, None}
    made, kept = (
        read_cine(path) for path in (tmp_path / "made" / "cine.nii.gz", FILES / "CardiacMotionPhantom.nii.gz")
    )
    np.testing.assert_allclose(made.affine, kept.affine, atol=1e-6)
    np.testing.assert_allclose(made.frame_times, kept.frame_times)
    # Sums may be rounded otherwise elsewhere.
    assert np.abs(made.frames - kept.frames).max() <= 1
    labels = [
        read_labels(path).labels
        for path in (tmp_path / "made" / "labels.nii.gz", FILES / "CardiacMotionPhantom_labels.nii.gz")
    ]
    assert (labels[0] != labels[1]).mean() < 1e-5
    assert sum(path.stat().st_size for path in FILES.iterdir()) < 2e6
