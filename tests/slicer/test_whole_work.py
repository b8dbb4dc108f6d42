"""The whole work in the panel, from the next case to the submitted label, on a phantom and on a real cine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cardiac_motion.io import read_labels, write_cine
from cardiac_motion.phantom import PhantomOptions, make_study
from CardiacMotionLib.client import Client

from monailabel_app.local_server import local_server
from tests.slicer.bed.session import Bed
from tests.slicer.panel_bed import connect, open_panel, settle

FRAME = 9
SECONDS = 120.0


@pytest.fixture
def widget(bed: Bed) -> Any:
    return open_panel(bed)


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    folder = tmp_path / "studies"
    folder.mkdir()
    return folder


@pytest.fixture
def address(studies: Path) -> Iterator[str]:
    with local_server(studies) as where:
        yield where


def draw(bed: Bed, workspace: Any, frame: int, labels: np.ndarray) -> None:
    """As a reader does: on the proxy, while the frame is shown."""
    workspace.cine.frame = frame
    for value, name in ((1, "RV"), (2, "MYO"), (3, "LV")):
        bed.slicer.util.updateSegmentBinaryLabelmapFromArray(
            (labels == value).astype(np.uint8), workspace.segmentations.proxy, name, workspace.cine.proxy
        )


def work(bed: Bed, widget: Any, address: str, truth: np.ndarray, folder: Path) -> None:
    """Next case, draw, propagate, edit frame 9, the rest follows, submit; the server has what the scene has."""
    panel, session = widget.panel, widget.logic.session
    connect(bed, widget, address)
    panel.section("Case").ui.nextButton.click()
    bed.pump(lambda: session.workspace is not None, SECONDS, what="the next case")
    settle(bed, widget)
    workspace = session.workspace
    draw(bed, workspace, 0, truth[0])
    bed.pump(lambda: workspace.states.key_frames == (0,), SECONDS, what="the drawn frame")
    settle(bed, widget)
    panel.section("Propagate").ui.propagateButton.click()
    bed.pump(lambda: len(workspace.states.propagated) == workspace.cine.n_frames - 1, SECONDS, what="all frames")
    settle(bed, widget)
    before = [workspace.labels(t).copy() for t in range(workspace.cine.n_frames)]
    panel.section("Propagate").ui.liveBox.click()
    draw(bed, workspace, FRAME, truth[FRAME])
    beside = (FRAME - 1, FRAME + 1)
    bed.pump(lambda: any((workspace.labels(t) != before[t]).any() for t in beside), SECONDS, what="the rest")
    bed.pump(lambda: not session.tasks.is_busy, SECONDS)
    settle(bed, widget)
    assert workspace.states.key_frames == (0, FRAME)
    assert (workspace.labels(FRAME) == truth[FRAME]).all()
    assert (workspace.labels(0) == truth[0]).all()
    panel.section("Learn").ui.verifiedBox.click()
    panel.section("Learn").ui.submitButton.click()
    case = workspace.case
    with Client(address) as client:
        bed.pump(lambda: bool(client.label_versions(case.image_id)), SECONDS, what="the submission")
        settle(bed, widget)
        client.get_label(case.image_id, "final", folder / "back.nii.gz")
        (version,) = client.label_versions(case.image_id)
    back = read_labels(folder / "back.nii.gz").labels
    assert all((back[t] == workspace.labels(t)).all() for t in range(workspace.cine.n_frames))
    assert (version["key_frames"], version["verified_frames"]) == ([0, FRAME], [FRAME])
    # Saved, closed, loaded: as it was.
    states, labels = workspace.states, [workspace.labels(t).copy() for t in range(workspace.cine.n_frames)]
    bed.slicer.util.saveScene(str(folder / "scene.mrb"))
    bed.scene.Clear(0)
    bed.slicer.util.loadScene(str(folder / "scene.mrb"))
    settle(bed, widget)
    again = widget.logic.session.workspace
    assert again is not None
    assert (again.states, again.case) == (states, case)
    assert all((again.labels(t) == labels[t]).all() for t in range(len(labels)))


def test_the_whole_work_on_a_phantom(bed: Bed, widget: Any, address: str, studies: Path, tmp_path: Path) -> None:
    study = make_study(
        5, PhantomOptions(frames=14, slices=3, matrix=(96, 96), pixel_spacing=2.2, motion_truth=False)
    )
    write_cine(studies / "pat-01.nii.gz", study.cine)
    truth = np.where(study.labels <= 3, study.labels, 0).astype(np.uint8)
    work(bed, widget, address, truth, tmp_path)


def test_the_whole_work_on_a_real_cine(
    bed: Bed, widget: Any, address: str, studies: Path, tmp_path: Path, real_data: Path
) -> None:
    cine, labels = real_data / "cine_sax.nii.gz", real_data / "cine_sax_labels.nii.gz"
    if not (cine.is_file() and labels.is_file()):
        pytest.skip(f"not run: {cine.name} and {labels.name} are not in {real_data}")
    (studies / "cine_sax.nii.gz").write_bytes(cine.read_bytes())
    truth = read_labels(labels).labels
    work(bed, widget, address, np.where(truth <= 3, truth, 0).astype(np.uint8), tmp_path)
