"""Frames segmented by a model of the server, and written as proposals. Knows no Qt."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from CardiacMotionLib.background import Task, Tasks
from CardiacMotionLib.client import Client, Offer, OfferedModel
from CardiacMotionLib.entropy_overlay import EntropyOverlay, Floats
from CardiacMotionLib.errors import InputError
from CardiacMotionLib.frame_states import FrameState
from CardiacMotionLib.frame_writing import write_frames
from CardiacMotionLib.label_answers import Shape, read_labels, read_values
from CardiacMotionLib.nifti import write_nifti
from CardiacMotionLib.segments import Labels
from CardiacMotionLib.server_link import OnGone, ServerLink, failing
from CardiacMotionLib.signals import Signal
from CardiacMotionLib.slice_shifts import SliceShifts, keep_shifts, parse_shifts
from CardiacMotionLib.workspace import Workspace
from CardiacMotionLib.zip_answers import unpack

KIND = "segmentation"
FUSED = "fused"
"""The task that has contours which are carried from key frames and a segmentation agree."""
STACKS = "sax"
"""The view of a model that takes short-axis stacks."""

_KEY = "segmentation"
_LABELS, _ENTROPY = "labels.nii.gz", "entropy.nii.gz"


@dataclass(frozen=True)
class Wish:
    """What is to be segmented.

    Attributes:
        task: of the server: a model's name, or `FUSED`.
        frame: the only one, or None for all.
        entropy: whether to send how unsure the model is.
        options: of the model, where they are not its own.
    """

    task: str
    frame: int | None = None
    entropy: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


def models_that_segment(offer: Offer | None) -> dict[str, str]:
    """The server's models that segment by the image alone, the default first: name and what to call them."""
    return {each.name: f"{each.name} {each.version or ''}".strip() for each in _by_the_image(offer)}


def can_segment_stacks(offer: Offer | None) -> bool:
    """Whether the server has a model that segments short-axis stacks by the image alone."""
    return any(STACKS in each.views for each in _by_the_image(offer))


def _by_the_image(offer: Offer | None) -> list[OfferedModel]:
    if offer is None:
        return []
    return [each for each in offer.models_of(KIND) if each.name in offer.tasks and each.name != FUSED]


def chosen_model(offer: Offer | None, wanted: str) -> str:
    """The model that is wanted, or the default one where it is not offered; "" without any."""
    named = models_that_segment(offer)
    return wanted if wanted in named else next(iter(named), "")


@dataclass(frozen=True)
class Done:
    """What came of it.

    Attributes:
        params: of the answer: model, volumes, warnings.
        written: frames that hold the model's contours now.
        kept: frames that do not, because they were drawn, corrected or verified.
        empty: frames on which the model found nothing; they are as they were.
    """

    params: Mapping[str, Any]
    written: tuple[int, ...]
    kept: tuple[int, ...]
    empty: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class _Request:
    """What is sent, taken out of the scene."""

    wish: Wish
    image_id: str
    shape: Shape
    affine: Any
    frame_seconds: float
    key_labels: Mapping[int, Labels] = field(default_factory=dict)
    motion: Mapping[str, Any] = field(default_factory=dict)

    @property
    def frames(self) -> tuple[int, ...]:
        """The frames that are asked for."""
        return tuple(range(self.shape[0])) if self.wish.frame is None else (self.wish.frame,)


@dataclass(frozen=True, eq=False)
class _Answer:
    """What came back, checked: labels and entropy (T, Z, Y, X)."""

    labels: Labels
    entropy: Floats | None
    entropy_max: float
    shifts: SliceShifts | None
    params: Mapping[str, Any]


def _segment(client: Client, request: _Request, task: Task[_Answer]) -> _Answer:
    """In a worker thread."""
    wish = request.wish
    params: dict[str, Any] = {"frames": "all" if wish.frame is None else [wish.frame], "entropy": wish.entropy}
    with tempfile.TemporaryDirectory(prefix="CardiacMotion-") as name:
        folder = Path(name)
        drawn: Path | None = None
        if wish.options:
            params["options"] = dict(wish.options)
        if wish.task == FUSED:
            params["key_frames"] = sorted(request.key_labels)
            motion = {"model": "motion_model", "options": "motion_options", "align": "align"}
            params |= {name: request.motion[told] for told, name in motion.items() if told in request.motion}
            drawn = folder / "drawn.nii.gz"
            values = np.zeros(request.shape, np.uint8)
            for frame, labels in request.key_labels.items():
                values[frame] = labels
            write_nifti(drawn, values, request.affine, frame_seconds=request.frame_seconds)
        answer = client.run_job(
            wish.task, request.image_id, params, label=drawn, progress=task.report, cancelled=task.cancelled
        )
        labels_file, entropy_file = folder / _LABELS, folder / _ENTROPY
        if wish.entropy:
            answer.save(folder / "answer.zip")
            _unpack(folder / "answer.zip", {_LABELS: labels_file, _ENTROPY: entropy_file})
        else:
            answer.save(labels_file)
        found = read_labels(labels_file, request.shape, request.affine)
        entropy = _read_entropy(entropy_file, request) if wish.entropy else None
    shifts = parse_shifts(answer.params.get("slice_shifts"), request.shape[1])
    return _Answer(found, entropy, _entropy_max(answer.params), shifts, answer.params)


def _unpack(archive: Path, places: Mapping[str, Path]) -> None:
    unpack(archive, lambda parts: places.get(parts[0]) if len(parts) == 1 else None, "labels and entropy")
    missing = [name for name, path in places.items() if not path.is_file()]
    if missing:
        raise InputError(f"expected {missing[0]} in the zip that the server sent, it is not there")


def _read_entropy(path: Path, request: _Request) -> Floats:
    values = read_values(path, request.shape, request.affine, "entropy").astype(np.float32)
    if values.min() < 0:
        raise InputError(f"expected an entropy of 0 or more from the server, got {values.min():g}")
    return values


def _entropy_max(params: Mapping[str, Any]) -> float:
    told = params.get("entropy_max")
    is_number = isinstance(told, int | float) and not isinstance(told, bool) and 0 < told < math.inf
    return float(told) if is_number and told is not None else math.log(4)


class Segmenting:
    """Starts segmentations and writes their results. Main thread only.

    Only the newest request counts. Frames that are key frames by then, or verified, are not overwritten; what is
    written is one step that can be undone, and no key frame before the reader edits or accepts it.

    Args:
        tasks: runs the work.
        link: to the server.

    Attributes:
        progress: emitted with fraction and message while one is under way.
        finished: emitted when its labels are on the frames.
        failed: emitted with what went wrong; nothing has changed then.
    """

    def __init__(self, tasks: Tasks, link: ServerLink) -> None:
        self._tasks, self._link = tasks, link
        self.progress: Signal[tuple[float, str]] = Signal()
        self.finished: Signal[Done] = Signal()
        self.failed: Signal[BaseException] = Signal()

    @property
    def is_running(self) -> bool:
        """Whether one is under way."""
        return self._tasks.newest(_KEY) is not None

    def check(self, workspace: Workspace, wish: Wish) -> None:
        """Whether it can be done.

        Raises:
            InputError: the only frame is kept, or there is no key frame for `FUSED`.
        """
        workspace.segmentations.look_now()
        if wish.frame is not None and wish.frame in workspace.states.kept:
            raise InputError(
                f"frame {wish.frame} is drawn, corrected or verified, and is not overwritten; release it first"
            )
        if wish.task == FUSED:
            workspace.key_labels()

    def start(
        self, workspace: Workspace, wish: Wish, motion: Mapping[str, Any], on_gone: OnGone | None = None
    ) -> None:
        """Segment frames.

        Args:
            workspace: the case.
            wish: what of it.
            motion: model and options that carry the contours of `FUSED`, as the motion task has them.
            on_gone: called in place of `failed` where the server does not have the image any more.

        Raises:
            InputError: no connection, the image is not on the server, or see `check`.
        """
        self.check(workspace, wish)
        case, cine = workspace.case, workspace.cine
        if case is None:
            raise InputError("expected the cine to be on the server; upload it first")
        request = _Request(
            wish=wish,
            image_id=case.image_id,
            shape=cine.shape,
            affine=cine.affine,
            frame_seconds=cine.frame_seconds,
            key_labels=workspace.key_labels() if wish.task == FUSED else {},
            motion=motion,
        )
        target = self._link.target

        def work(task: Task[_Answer]) -> _Answer:
            with target.client() as client:
                return _segment(client, request, task)

        self._tasks.start(
            _KEY,
            work,
            on_progress=lambda fraction, message: self.progress.emit((fraction, message)),
            on_done=lambda answer: self._write(workspace, request, answer),
            on_error=failing(self.failed, on_gone),
        )

    def cancel(self) -> None:
        """Want no more of the one that is under way; frames stay as they are."""
        task = self._tasks.newest(_KEY)
        if task is not None:
            task.cancel()

    def _write(self, workspace: Workspace, request: _Request, answer: _Answer) -> Generator[None, None, None]:
        if not workspace.is_alive:
            return
        found = {t: answer.labels[t] for t in request.frames if answer.labels[t].any()}
        kept = yield from write_frames(workspace, found, FrameState.SEGMENTED)
        if workspace.is_alive and answer.entropy is not None:
            values = {t: answer.entropy[t] for t in request.frames}
            yield from EntropyOverlay.build(workspace.cine, values, answer.entropy_max)
        if not workspace.is_alive:
            return
        if request.wish.frame is None:
            # Of a single frame nothing can be told.
            keep_shifts(workspace.cine, answer.shifts)
        self.finished.emit(
            Done(
                params=answer.params,
                written=tuple(t for t in found if t not in kept),
                kept=kept,
                empty=tuple(t for t in request.frames if t not in found),
            )
        )
