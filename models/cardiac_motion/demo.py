"""The main job as a demonstration: one frame corrected, and a table, a curve and a film of what came of it.

How the labels are carried is the caller's: in this process, or through a server.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiac_motion.analysis.film import write_film
from cardiac_motion.analysis.plots import save_figure, volume_time_curve
from cardiac_motion.analysis.volumes import volumes_ml
from cardiac_motion.atomic import atomic_path
from cardiac_motion.cine import Cine
from cardiac_motion.errors import InputError
from cardiac_motion.evaluation import Comparison, compare_with_truth, comparison_table
from cardiac_motion.evaluation.cases import end_systole_of
from cardiac_motion.io import write_labels
from cardiac_motion.labels import Label
from cardiac_motion.progress import Progress, silent

Labels = npt.NDArray[np.uint8]

DEMO_SEED = 7
"""Of the phantom that is shown."""
DRAWN, CORRECTED = "from the drawn frame", "with one frame corrected"


@dataclass(frozen=True, eq=False)
class Carried:
    """Labels on all frames.

    Attributes:
        labels: (T, Z, Y, X).
        summary: as `Propagated.summary` gives it, and the server.
    """

    labels: Labels
    summary: Mapping[str, Any]


Carry = Callable[[Mapping[int, Labels], Progress], Carried]
"""Carries labels (Z, Y, X), by frame, through the cycle."""


@dataclass(frozen=True, eq=False)
class Runs:
    """What was carried.

    Attributes:
        by_name: in order: from the drawn frames, and with one frame corrected where a truth allows it.
        key_frames: labels (Z, Y, X) by frame, of the last of them.
        source: the first of the frames that were drawn.
        corrected_frame: the frame that was corrected, or None.
        truth: labels (T, Z, Y, X) with those of the source frame, or None.
    """

    by_name: Mapping[str, Carried]
    key_frames: Mapping[int, Labels]
    source: int
    corrected_frame: int | None
    truth: Labels | None

    @property
    def final(self) -> Carried:
        """The last of them."""
        return list(self.by_name.values())[-1]


@dataclass(frozen=True, eq=False)
class Demo:
    """What a demonstration made.

    Attributes:
        runs: by name, in order.
        comparison: against the truth, the unregistered labels first; empty without a truth.
        corrected_frame: the frame that was corrected, or None.
        written: what was written and where.
        further: what else there is to tell; plain values.
    """

    runs: Mapping[str, Carried]
    comparison: tuple[Comparison, ...]
    corrected_frame: int | None
    written: Mapping[str, Path]
    further: Mapping[str, Any] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "runs": {name: dict(run.summary) for name, run in self.runs.items()},
            "corrected_frame": self.corrected_frame,
            "comparison": [row.to_json() for row in self.comparison],
            "written": {name: str(path) for name, path in self.written.items()},
            **self.further,
        }


def frame_to_correct(labels: Labels, truth: Labels, skip: Sequence[int]) -> int:
    """The frame that a reader would mend first: the one with the most voxels that differ from the truth.

    Frames without a truth are not considered, nor those to skip: the key frames, and end-systole, so that the
    table still shows how the correction of another frame changes it.

    Raises:
        InputError: no frame is left.
    """
    wrong = (labels != truth).reshape(len(truth), -1).sum(axis=1)
    wrong[~truth.any(axis=(1, 2, 3))] = -1
    wrong[list(skip)] = -1
    if (wrong < 0).all():
        raise InputError(f"expected a frame with a truth to correct other than {sorted(skip)}, found none")
    return int(wrong.argmax())


def check_truth(truth: Labels, key_frames: Iterable[int]) -> None:
    """Refuse a truth (T, Z, Y, X) that has no labels on any frame but the key frames.

    Raises:
        InputError: there is nothing to compare.
    """
    keys = sorted(key_frames)
    if not _labelled_beside(truth, keys):
        labelled = [int(t) for t in np.flatnonzero(truth.any(axis=(1, 2, 3)))]
        raise InputError(
            "expected a truth with labels on at least one frame besides the key frames "
            f"{', '.join(map(str, keys))}, got one with labels on {', '.join(map(str, labelled)) or 'no frame'}"
        )


def _labelled_beside(truth: Labels, keys: Sequence[int]) -> list[int]:
    return [int(t) for t in np.flatnonzero(truth.any(axis=(1, 2, 3))) if t not in keys]


def carry_and_correct(
    cine: Cine,
    key_frames: Mapping[int, Labels],
    carry: Carry,
    *,
    truth: Labels | None = None,
    progress: Progress = silent,
) -> Runs:
    """Carry the labels, correct one frame if the truth is known, and carry them again.

    Args:
        cine: the images.
        key_frames: labels (Z, Y, X) by frame.
        carry: how.
        truth: labels (T, Z, Y, X); frames without labels are not corrected. A frame is corrected where that
            leaves another one to compare.
        progress: called with the fraction done; may raise `Cancelled`.

    Raises:
        InputError: whatever is wrong with the input.
        Cancelled: from the progress callback.
    """
    if truth is not None:
        check_truth(truth, key_frames)
    keys = dict(key_frames)
    source = min(keys, default=0)
    runs = {DRAWN: carry(keys, lambda fraction, message: progress(0.9 * fraction, message))}
    if truth is None:
        return Runs(runs, keys, source, None, None)
    truth = truth.copy()
    if not truth[source].any():
        # The labels that are carried are those that were drawn, also for the unregistered ones.
        truth[source] = keys[source]
    corrected = None
    if len(_labelled_beside(truth, list(keys))) > 1:
        es = end_systole_of(truth, cine.spacing, source=source)
        corrected = frame_to_correct(runs[DRAWN].labels, truth, [*keys, es])
        keys[corrected] = truth[corrected]
        runs[CORRECTED] = carry(keys, lambda fraction, message: progress(0.9 + 0.1 * fraction, message))
    return Runs(runs, keys, source, corrected, truth)


def write_demo(
    output: Path, cine: Cine, runs: Runs, *, further: Mapping[str, Any] | None = None, progress: Progress = silent
) -> Demo:
    """Write the labels, a report, a curve and a film, and compare with the truth if that is known.

    Args:
        output: an existing folder, for ``labels.nii.gz``, ``volumes.png``, ``film.gif``, ``report.json`` and, with
            a truth, ``table.md``.
        cine: the images.
        runs: what was carried.
        further: what else the report is to tell; plain values.
        progress: called with the fraction done; may raise `Cancelled`.

    Raises:
        InputError: an output that cannot be written.
        Cancelled: from the progress callback.
    """
    final, truth = runs.final.labels, runs.truth
    marks = {frame: "corrected" if frame == runs.corrected_frame else "drawn" for frame in sorted(runs.key_frames)}
    written = {"labels": output / "labels.nii.gz", "report": output / "report.json"}
    write_labels(written["labels"], final, cine)
    rows: list[Comparison] = []
    if truth is not None:
        rows = compare_with_truth(
            truth,
            {name: run.labels for name, run in runs.by_name.items()},
            spacing=cine.spacing,
            source=runs.source,
            skip_frames=runs.key_frames,
        )
        written["table"] = output / "table.md"
        with atomic_path(written["table"]) as temporary:
            temporary.write_text(comparison_table(rows) + "\n", encoding="utf-8")
    # A single slice has no volume.
    volumes = volumes_ml(final, cine.spacing) if cine.shape[1] > 1 else {}
    if Label.LV in volumes or Label.RV in volumes:
        written["curve"] = output / "volumes.png"
        true_volumes = None if truth is None else _whole_curves(truth, cine.spacing)
        figure = volume_time_curve(
            volumes, cine.frame_times, truth=true_volumes, key_frames=marks, title=cine.name
        )
        save_figure(figure, written["curve"])
    written["film"] = output / "film.gif"
    write_film(written["film"], cine, final, truth=truth, key_frames=marks, progress=progress)
    made = Demo(runs.by_name, tuple(rows), runs.corrected_frame, written, dict(further or {}))
    with atomic_path(written["report"]) as temporary:
        temporary.write_text(json.dumps(made.summary(), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return made


def _whole_curves(truth: Labels, spacing: Sequence[float]) -> dict[Label, npt.NDArray[np.float64]] | None:
    """Volume curves of a truth with a ventricle, labelled on all frames; None of any other."""
    curves = volumes_ml(truth, spacing)
    whole = bool(truth.any(axis=(1, 2, 3)).all())
    return curves if whole and (Label.LV in curves or Label.RV in curves) else None
