"""The whole of the work without the panel: real MRML here, a real server in another process."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from cardiac_motion.io import read_labels, write_cine
from cardiac_motion.phantom import PhantomOptions, PhantomStudy, make_study
from CardiacMotionLib.client import Client, ServerRefused, ServerUnreachable

from monailabel_app.local_server import local_server

if TYPE_CHECKING:
    from tests.slicer.bed.session import Bed

QUICK = {"options": {"iterations": 4, "levels": 2}}
SLOW = {"options": {"iterations": 4000, "levels": 2}}
SECONDS = 60.0
TOKEN = "a-token-of-this-test-alone"


@pytest.fixture(scope="module")
def study() -> PhantomStudy:
    return make_study(
        5, PhantomOptions(frames=6, slices=3, matrix=(96, 96), pixel_spacing=2.2, motion_truth=False)
    )


@pytest.fixture(scope="module")
def address(study: PhantomStudy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    studies = tmp_path_factory.mktemp("studies")
    write_cine(studies / "pat-01.nii.gz", study.cine)
    with local_server(studies, token=TOKEN) as where:
        yield where


class Reader:
    """A session with Qt's timers, and what it told."""

    def __init__(self, bed: Bed, address: str) -> None:
        self.bed = bed
        self.lib = SimpleNamespace(
            **{
                name: importlib.import_module(f"CardiacMotionLib.{name}")
                for name in ("cine_loading", "server_link", "session", "structures")
            }
        )
        self.session = self.lib.session.Session(self._timer, bed.qt.QTimer.singleShot)
        self.told: list[Any] = []
        self.failures: list[BaseException] = []
        for part in (self.session.link, self.session.cases, self.session.propagation):
            part.failed.connect(self.failures.append)
        self.session.propagation.finished.connect(self.told.append)
        self.target = self.lib.server_link.Target(address, TOKEN)

    def _timer(self, call: Callable[[], None], milliseconds: int) -> Callable[[], None]:
        timer = self.bed.qt.QTimer()
        timer.setInterval(milliseconds)
        timer.timeout.connect(call)
        timer.start()
        return timer.stop

    def wait(self, until: Callable[[], Any], what: str = "") -> None:
        self.bed.pump(lambda: bool(until()) or bool(self.failures), SECONDS, what=what)
        if self.failures:
            raise self.failures[0]

    def connect(self) -> None:
        self.session.link.connect(self.target)
        self.wait(lambda: self.session.link.offer, "the offer")
        self.session.motion_params = QUICK

    def next_case(self, folder: Path) -> Any:
        found: list[Any] = []
        self.session.cases.next_case("first", folder, found.append)
        self.wait(lambda: found, "the next case")
        workspace = self.session.open(self.lib.cine_loading.cine_from_file(found[0].path))
        workspace.case = found[0].case
        return workspace

    def draw(self, frame: int, labels: np.ndarray) -> None:
        """As a reader does: on the proxy, while the frame is shown."""
        workspace = self.session.need_workspace()
        workspace.cine.frame = frame
        proxy, volume = workspace.segmentations.proxy, workspace.cine.proxy
        for name in workspace.segmentations.names:
            value = self.lib.structures.BY_NAME[name].value
            self.bed.slicer.util.updateSegmentBinaryLabelmapFromArray(
                (labels == value).astype(np.uint8), proxy, name, volume
            )

    def propagated(self) -> Any:
        before = len(self.told)
        self.session.propagate()
        self.wait(lambda: len(self.told) > before, "the labels")
        return self.told[-1]


@pytest.fixture
def reader(bed: Bed, address: str) -> Iterator[Reader]:
    made = Reader(bed, address)
    yield made
    made.session.close()


def ventricles(labels: np.ndarray) -> np.ndarray:
    """Without the atria."""
    return np.where(labels <= 3, labels, 0).astype(np.uint8)


def test_from_the_next_case_to_the_label_on_the_server(
    reader: Reader, study: PhantomStudy, tmp_path: Path
) -> None:
    reader.connect()
    workspace = reader.next_case(tmp_path)
    truth = ventricles(study.labels)
    assert workspace.cine.shape == truth.shape

    reader.draw(0, truth[0])
    reader.wait(lambda: workspace.states.key_frames == (0,), "the edit")
    answer = reader.propagated()
    assert answer["key_frames"] == [0]
    assert workspace.states.propagated == (1, 2, 3, 4, 5)
    assert (workspace.labels(0) == truth[0]).all()
    first = [workspace.labels(t).copy() for t in range(6)]
    assert all(labels.any() for labels in first)

    reader.session.live.is_on = True
    before = len(reader.told)
    reader.draw(3, truth[3])
    reader.wait(lambda: len(reader.told) > before, "the other frames to follow")
    assert workspace.states.key_frames == (0, 3)
    assert (workspace.labels(3) == truth[3]).all()
    assert (workspace.labels(0) == truth[0]).all()
    assert reader.told[-1]["motion_from_cache"] is True
    assert any((workspace.labels(t) != first[t]).any() for t in (1, 2, 4, 5))

    workspace.undo()
    assert all((workspace.labels(t) == first[t]).all() for t in (1, 2, 4, 5))
    assert (workspace.labels(3) == truth[3]).all()
    assert workspace.states.key_frames == (0, 3)

    reader.session.live.is_on = False
    reader.propagated()
    for frame in (0, 3):
        workspace.set_verified(frame, True)
    saved: list[Any] = []
    reader.session.cases.submit(
        workspace, saved.append, model=reader.told[-1]["model"], note="as the truth has it"
    )
    reader.wait(lambda: saved, "the submission")
    with Client(reader.target.address, token=TOKEN) as client:
        client.get_label("pat-01", "final", tmp_path / "back.nii.gz")
        (version,) = client.label_versions("pat-01")
    back = read_labels(tmp_path / "back.nii.gz")
    assert all((back.labels[t] == workspace.labels(t)).all() for t in range(6))
    assert np.allclose(back.affine, study.cine.affine, atol=1e-4)
    assert (version["version"], version["verified_frames"], version["key_frames"]) == (1, [0, 3], [0, 3])
    assert version["model"]["name"] == "recursive"


def test_a_cine_that_the_server_does_not_have_is_sent_by_itself(
    reader: Reader, study: PhantomStudy, tmp_path: Path
) -> None:
    reader.connect()
    write_cine(
        tmp_path / "Mine, of today.nii.gz",
        type(study.cine)(study.cine.frames + 1, study.cine.affine, study.cine.frame_times),
    )
    workspace = reader.session.open(reader.lib.cine_loading.cine_from_file(tmp_path / "Mine, of today.nii.gz"))
    workspace.take_as_drawn({2: ventricles(study.labels)[2]})
    assert workspace.case is None
    reader.propagated()
    assert workspace.case is not None
    assert workspace.case.image_id == "Mine-of-today"
    assert workspace.states.key_frames == (2,)


def test_frames_that_are_drawn_meanwhile_are_not_overwritten_and_cancelled_work_changes_nothing(
    reader: Reader, study: PhantomStudy, tmp_path: Path
) -> None:
    reader.connect()
    truth = ventricles(study.labels)
    cine = type(study.cine)(study.cine.frames + 2, study.cine.affine, study.cine.frame_times)
    write_cine(tmp_path / "two.nii.gz", cine)
    workspace = reader.session.open(reader.lib.cine_loading.cine_from_file(tmp_path / "two.nii.gz"))
    workspace.take_as_drawn({0: truth[0]})
    started: list[Any] = []
    reader.session.propagation.progress.connect(started.append)
    reader.session.propagate()
    reader.wait(lambda: any(fraction > 0 for fraction, _ in started) or reader.told, "the propagation to begin")
    workspace.take_as_drawn({4: truth[4]})
    reader.wait(lambda: reader.told, "the labels")
    assert workspace.states.key_frames == (0, 4)
    assert (workspace.labels(4) == truth[4]).all()

    before = [workspace.labels(t).copy() for t in range(6)]
    states, told = workspace.states, len(reader.told)
    reader.session.motion_params = SLOW
    reader.session.propagate()
    reader.bed.pump(lambda: reader.session.propagation.is_running, SECONDS)
    reader.session.propagation.cancel()
    reader.bed.pump(lambda: not reader.session.tasks.is_busy, SECONDS)
    assert all((workspace.labels(t) == before[t]).all() for t in range(6))
    assert (workspace.states, len(reader.told)) == (states, told)


def test_a_closed_scene_in_the_middle_of_a_job_ends_it(
    reader: Reader, study: PhantomStudy, tmp_path: Path
) -> None:
    reader.connect()
    workspace = reader.session.open(reader.lib.cine_loading.cine_from_file(_written(study, tmp_path)))
    workspace.take_as_drawn({0: ventricles(study.labels)[0]})
    reader.session.motion_params = SLOW
    reader.session.propagate()
    reader.wait(lambda: reader.session.propagation.is_running, "the job")
    reader.bed.scene.Clear()
    assert reader.session.workspace is None
    reader.bed.pump(lambda: not reader.session.tasks.is_busy, SECONDS)
    assert reader.told == []


def _written(study: PhantomStudy, folder: Path) -> Path:
    write_cine(
        folder / "three.nii.gz",
        type(study.cine)(study.cine.frames + 3, study.cine.affine, study.cine.frame_times),
    )
    return folder / "three.nii.gz"


def test_what_goes_wrong_is_told_and_leaves_everything(
    bed: Bed, reader: Reader, study: PhantomStudy, tmp_path: Path
) -> None:
    wrong = reader.lib.server_link.Target(reader.target.address, "another-token-than-that-one")
    reader.session.link.connect(wrong)
    bed.pump(lambda: bool(reader.failures), SECONDS)
    assert isinstance(reader.failures.pop(), ServerRefused)
    reader.session.link.connect(reader.lib.server_link.Target("http://127.0.0.1:9"))
    bed.pump(lambda: bool(reader.failures), SECONDS)
    assert isinstance(reader.failures.pop(), ServerUnreachable)
    with pytest.raises(ValueError, match="connect first"):
        reader.session.cases.next_case("first", tmp_path, lambda _case: None)

    reader.connect()
    with pytest.raises(ValueError, match="expected a cine"):
        reader.session.propagate()
    workspace = reader.session.open(reader.lib.cine_loading.cine_from_file(_written(study, tmp_path)))
    with pytest.raises(ValueError, match="contour on at least one frame"):
        reader.session.propagate()
    workspace.take_as_drawn({0: ventricles(study.labels)[0]})
    reader.session.motion_params = {"model": "no such model"}
    reader.session.propagate()
    bed.pump(lambda: bool(reader.failures), SECONDS)
    error = reader.failures.pop()
    assert isinstance(error, ServerRefused)
    assert "there is no motion model" in str(error)
    assert workspace.states.key_frames == (0,)
    assert not any(workspace.labels(t).any() for t in range(1, 6))
