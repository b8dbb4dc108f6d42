"""The main job shown from end to end: contours on all frames, a correction, a table, a curve and a film."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
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
from cardiac_motion.motion_cache import MotionCache
from cardiac_motion.phantom import PhantomOptions, make_study
from cardiac_motion.phantom.write import write_study
from cardiac_motion.pipeline import Propagated, propagate_cine
from cardiac_motion.registration.base import MotionModel, Progress, silent

Labels = npt.NDArray[np.uint8]

DEMO_SEED = 7
DEMO_PHANTOM = PhantomOptions(ejection_fraction=0.58, motion_truth=False)
DRAWN, CORRECTED = "from the drawn frame", "with one frame corrected"


@dataclass(frozen=True, eq=False)
class Demo:
    """What a demonstration made.

    Attributes:
        runs: by name, in order: from the drawn frames, and with one frame corrected where a truth allows it.
        comparison: against the truth, the unregistered labels first; empty without a truth.
        corrected_frame: the frame that was corrected, or None.
        written: what was written and where.
    """

    runs: Mapping[str, Propagated]
    comparison: tuple[Comparison, ...]
    corrected_frame: int | None
    written: Mapping[str, Path]

    def summary(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "runs": {name: run.summary() for name, run in self.runs.items()},
            "corrected_frame": self.corrected_frame,
            "comparison": [row.to_json() for row in self.comparison],
            "written": {name: str(path) for name, path in self.written.items()},
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


def run_demo(
    output: Path,
    cine: Cine,
    key_frames: Mapping[int, Labels],
    model: MotionModel,
    *,
    truth: Labels | None = None,
    cache: MotionCache | None = None,
    progress: Progress = silent,
) -> Demo:
    """Propagate, correct one frame if the truth is known, propagate again, and write what came of it.

    Args:
        output: an existing folder, for ``labels.nii.gz``, ``volumes.png``, ``film.gif``, ``report.json`` and, with
            a truth, ``table.md``.
        cine: the images.
        key_frames: labels (Z, Y, X) by frame.
        model: motion model.
        truth: labels (T, Z, Y, X); frames without labels are neither corrected nor compared. A frame is corrected
            where that leaves another one to compare.
        cache: of motions; the second propagation reuses the motion of the first in any case.
        progress: called with the fraction done; may raise `Cancelled`.

    Raises:
        InputError: whatever is wrong with the input, or an output that cannot be written.
        Cancelled: from the progress callback.
    """
    if truth is not None:
        check_truth(truth, key_frames)
    keys = dict(key_frames)
    source = min(keys, default=0)
    corrected = None
    with TemporaryDirectory() as scratch:
        memory = cache or MotionCache(scratch)
        runs = {DRAWN: propagate_cine(cine, keys, model, cache=memory, progress=lambda f, m: progress(0.7 * f, m))}
        if truth is not None:
            truth = truth.copy()
            if not truth[source].any():
                # The labels that are carried are those that were drawn, also for the unregistered ones.
                truth[source] = keys[source]
            es = end_systole_of(truth, cine.spacing, source=source)
            known = _labelled_beside(truth, list(keys))
            if len(known) > 1:
                corrected = frame_to_correct(runs[DRAWN].labels, truth, [*keys, es])
                keys[corrected] = truth[corrected]
                runs[CORRECTED] = propagate_cine(cine, keys, model, cache=memory)
    final = list(runs.values())[-1]
    marks = {frame: "corrected" if frame == corrected else "drawn" for frame in final.key_frames}

    written = {"labels": output / "labels.nii.gz", "report": output / "report.json"}
    write_labels(written["labels"], final.labels, cine)
    rows: list[Comparison] = []
    if truth is not None:
        rows = compare_with_truth(
            truth,
            {name: run.labels for name, run in runs.items()},
            spacing=cine.spacing,
            source=source,
            skip_frames=keys,
        )
        written["table"] = output / "table.md"
        with atomic_path(written["table"]) as temporary:
            temporary.write_text(comparison_table(rows) + "\n", encoding="utf-8")
    volumes = final.volumes_ml
    if Label.LV in volumes or Label.RV in volumes:
        written["curve"] = output / "volumes.png"
        true_volumes = None if truth is None else _whole_curves(truth, cine.spacing)
        figure = volume_time_curve(
            volumes, cine.frame_times, truth=true_volumes, key_frames=marks, title=cine.name
        )
        save_figure(figure, written["curve"])
    written["film"] = output / "film.gif"
    write_film(
        written["film"],
        cine,
        final.labels,
        truth=truth,
        key_frames=marks,
        progress=lambda f, m: progress(0.7 + 0.3 * f, m),
    )
    made = Demo(runs=runs, comparison=tuple(rows), corrected_frame=corrected, written=written)
    with atomic_path(written["report"]) as temporary:
        temporary.write_text(json.dumps(made.summary(), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return made


def _whole_curves(truth: Labels, spacing: Sequence[float]) -> dict[Label, npt.NDArray[np.float64]] | None:
    """Volume curves of a truth with a ventricle, labelled on all frames; None of any other."""
    curves = volumes_ml(truth, spacing)
    whole = bool(truth.any(axis=(1, 2, 3)).all())
    return curves if whole and (Label.LV in curves or Label.RV in curves) else None


def phantom_demo(
    output: Path,
    model: MotionModel,
    *,
    seed: int = DEMO_SEED,
    options: PhantomOptions = DEMO_PHANTOM,
    cache: MotionCache | None = None,
    progress: Progress = silent,
) -> Demo:
    """`run_demo` on a phantom study, which is written to ``output/study``; the ED labels are the drawn ones."""
    progress(0.0, "making a phantom study")
    study = make_study(seed, options)
    write_study(study, output / "study")
    made = run_demo(
        output,
        study.cine,
        {0: study.labels[0]},
        model,
        truth=study.labels,
        cache=cache,
        progress=lambda f, m: progress(0.3 + 0.7 * f, m),
    )
    return Demo(made.runs, made.comparison, made.corrected_frame, {"study": output / "study", **made.written})
