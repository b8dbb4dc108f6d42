"""The scale of the entropy, where models that tell apart more structures or fewer have answered."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.slicer.bed.session import Bed
from tests.slicer.client.fake_server import Fake, infer_reply
from tests.slicer.panel_bed import SHAPE, settle
from tests.slicer.panel_faults import Reader

FEW, MANY = 0.6931, 1.3863
"""Of the LV and the background, and of the ventricles with the myocardium."""
ONE = 4
ALONE = "0 nats: sure. {} nats: any structure as likely as the next."
BESIDE = f"{ALONE} The scale ends at 1.39 nats, for frames on which more structures were told apart."


@pytest.fixture
def reader(bed: Bed, tmp_path: Path) -> Iterator[Reader]:
    fake = Fake()
    made = Reader.begin(bed, fake, tmp_path)
    made.widget.panel.section("Segment").ui.entropyBox.click()
    settle(bed, made.widget)
    yield made
    fake.close()


def segment(reader: Reader, what: str, largest: float) -> None:
    """All frames, or the one that is shown, with an entropy that can be as large as this."""
    reply = infer_reply({"entropy_max": largest}, "answer.zip", reader.server.segmentation(1))
    reader.server.answers = {"result": reply}
    reader.work(what)


def overlay(reader: Reader) -> Any:
    entropy: Any = importlib.import_module("CardiacMotionLib.entropy_overlay").EntropyOverlay
    return entropy.find(reader.workspace.cine)


def end_of_scale(reader: Reader) -> float:
    display = overlay(reader).proxy.GetDisplayNode()
    assert display.GetUpperThreshold() == pytest.approx(display.GetWindowLevelMax())
    return float(display.GetWindowLevelMax())


def text(reader: Reader, frame: int) -> str:
    reader.workspace.cine.frame = frame
    settle(reader.bed, reader.widget)
    return str(reader.widget.panel.section("Segment").ui.entropyLabel.text)


@pytest.mark.parametrize(("first", "then"), [(FEW, MANY), (MANY, FEW)])
def test_the_scale_is_that_of_all_frames_and_each_says_its_own(reader: Reader, first: float, then: float) -> None:
    segment(reader, "fused", first)
    assert end_of_scale(reader) == pytest.approx(first, abs=1e-3)
    assert text(reader, 0) == ALONE.format(f"{first:.2f}")
    assert text(reader, ONE) == ALONE.format(f"{first:.2f}")
    segment(reader, "frame", then)
    assert end_of_scale(reader) == pytest.approx(MANY, abs=1e-3)
    texts = {FEW: BESIDE.format("0.69"), MANY: ALONE.format("1.39")}
    assert (text(reader, 0), text(reader, ONE)) == (texts[first], texts[then])
    # It is that of what there is: nothing of an answer that was replaced.
    segment(reader, "segment", FEW)
    assert end_of_scale(reader) == pytest.approx(FEW, abs=1e-3)
    assert (text(reader, 0), text(reader, ONE)) == (ALONE.format("0.69"), ALONE.format("0.69"))


def test_it_is_kept_with_the_scene(reader: Reader) -> None:
    segment(reader, "fused", FEW)
    text(reader, ONE)
    segment(reader, "frame", MANY)
    path = str(reader.folder / "scene.mrb")
    assert reader.bed.slicer.util.saveScene(path)
    reader.bed.scene.Clear(0)
    settle(reader.bed, reader.widget)
    reader.bed.slicer.util.loadScene(path)
    settle(reader.bed, reader.widget)
    assert end_of_scale(reader) == pytest.approx(MANY, abs=1e-3)
    assert (text(reader, 0), text(reader, ONE)) == (BESIDE.format("0.69"), ALONE.format("1.39"))


@pytest.mark.parametrize(
    ("kept", "largest"), [(FEW, FEW), (None, math.log(4)), ([FEW], math.log(4)), ("x", math.log(4))]
)
def test_one_for_all_frames_as_in_older_scenes_is_understood(reader: Reader, kept: Any, largest: float) -> None:
    segment(reader, "fused", MANY)
    state: Any = importlib.import_module("CardiacMotionLib.scene_state")
    state.set_json(overlay(reader).sequence, "EntropyMax", kept)
    assert overlay(reader).frames == tuple(range(SHAPE[0]))
    assert overlay(reader).largest == pytest.approx(largest)
    assert overlay(reader).largest_of(0) == pytest.approx(largest)
