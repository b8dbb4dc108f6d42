"""Slice alignment: what is left of random shifts, and what it is worth to registration in 3D.

    python -m benchmarks.slice_alignment [--phantoms 20] [--seeds report] [--largest 8] [--frames 12]
                                         [--motion 20] [--motion-shifts segmentation] [--motion-frames 8]
                                         [--weights FILE] [--markdown FILE]

Phantoms with all artefacts, their slices displaced by up to 8 mm along either axis of the plane, evenly drawn. The
shifts are estimated from the true labels and from the segmentation by `unet` of the frames that it takes.

Residual: estimated less true shift, over the slices that are observed, its own mean and linear trend over them
removed, since no image shows these. Given as root mean square along an axis, as mean distance in the plane, and as
the largest distance. "before" is the same of the true shifts. "at rest" is the longest shift that is found where
there is none.

The second table: the motion of such phantoms by 3D `recursive`, native and aligned. The labels of end-diastole are
carried to end-systole: mean Dice of RV, MYO and LV over whole stacks, and over the slices that hold them at both
frames. End-point error in the wall, 3D, from end-diastole to end-systole, on the native grid: a point that arrives
between slices that are displaced differently is to arrive between their displacements.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import torch
from cardiac_motion.aligned import SliceAlignment
from cardiac_motion.analysis.curves import end_systole
from cardiac_motion.analysis.volumes import volumes_ml
from cardiac_motion.atomic import atomic_path
from cardiac_motion.cine import Cine
from cardiac_motion.evaluation.significance import paired_test
from cardiac_motion.evaluation.tables import markdown_table, number
from cardiac_motion.labels import Label
from cardiac_motion.metrics import dice_shared_slices, dice_stack, end_point_error, mean_where_defined
from cardiac_motion.motion import FloatField, Motion
from cardiac_motion.phantom import REPORT_SEEDS, TUNING_SEEDS, PhantomOptions, PhantomStudy, make_study
from cardiac_motion.phantom import study as study_module
from cardiac_motion.pipeline import estimate_aligned, share_of_folds
from cardiac_motion.pipeline_alignment import segment_for_shifts, shifts_of_labels, shifts_of_segmentation
from cardiac_motion.propagation import propagate
from cardiac_motion.registration.recursive.model import RecursiveModel
from cardiac_motion.registration.recursive.options import RecursiveOptions
from cardiac_motion.segmentation.base import SegmentationModel
from cardiac_motion.segmentation.registry import segmentation_model
from cardiac_motion.slice_alignment import SliceShifts

Labels = npt.NDArray[np.uint8]
Shifts = npt.NDArray[np.float64]
STRUCTURES = (Label.RV, Label.MYO, Label.LV)
SEEDS = {"report": REPORT_SEEDS, "tuning": TUNING_SEEDS}


def displaced_study(seed: int, largest: float, *, frames: int, motion_truth: bool = False) -> PhantomStudy:
    """A phantom with all artefacts whose slices are displaced by up to so many mm along either axis."""
    draw = study_module.draw_artefacts

    def with_shifts(*arguments: Any) -> Any:
        artefacts = draw(*arguments)
        shape = artefacts.shifts.shape
        shifts = np.random.default_rng([seed, 4711]).uniform(-1, 1, shape) * largest
        return replace(artefacts, shifts=shifts)

    with mock.patch.object(study_module, "draw_artefacts", with_shifts):
        study = make_study(seed, PhantomOptions(frames=frames, motion_truth=motion_truth))
    return replace(study, labels=np.where(study.labels <= Label.LV, study.labels, 0).astype(np.uint8))


@dataclass(frozen=True)
class Residual:
    """What is left of shifts, mm; see the head of this file."""

    rms: float
    mean_distance: float
    largest: float

    @classmethod
    def of(cls, left: Shifts, observed: npt.NDArray[np.bool_]) -> Residual:
        """Of differences (Z, 2) over the slices that count; the slices are evenly spaced."""
        kept = without_trend(left[observed], np.flatnonzero(observed))
        distance = np.linalg.norm(kept, axis=1)
        return cls(float(np.sqrt((kept**2).mean())), float(distance.mean()), float(distance.max()))


def without_trend(values: Shifts, places: npt.NDArray[np.intp]) -> Shifts:
    """Values (N, 2) at slices (N,) less their mean and linear trend."""
    return values - np.stack([np.polyval(np.polyfit(places, column, 1), places) for column in values.T], axis=1)


def found_by(cine: Cine, model: SegmentationModel) -> SliceShifts:
    """Shifts from a segmentation."""
    _, labels = segment_for_shifts(cine, model)
    return shifts_of_segmentation(cine, model, labels).shifts


def residual_table(seeds: Sequence[int], largest: float, frames: int, model: SegmentationModel) -> str:
    """A row for each phantom, and their mean."""
    rows, values = [], []
    for seed in seeds:
        row: list[float] = []
        displaced, still = (displaced_study(seed, size, frames=frames) for size in (largest, 0.0))
        for source in ("labels", model.name):
            given = [shifts_of_labels(s.cine, s.labels).shifts if source == "labels" else found_by(s.cine, model)
                     for s in (displaced, still)]  # fmt: skip
            truth = displaced.slice_shifts_mm
            if source == "labels":
                row.append(Residual.of(truth, given[0].observed).rms)
            left = Residual.of(given[0].shifts_mm - truth, given[0].observed)
            at_rest = float(np.linalg.norm(given[1].shifts_mm, axis=1).max())
            row += [int(given[0].observed.sum()), left.rms, left.mean_distance, left.largest, at_rest]
        values.append(row)
        rows.append([str(seed), str(len(truth)), *(number(v, 2) if isinstance(v, float) else str(v) for v in row)])
    mean = np.mean(values, axis=0)
    rows.append(["mean", "", *(number(float(v), 2) for v in mean)])
    rows.append(["largest", "", *(number(float(v), 2) for v in np.max(values, axis=0))])
    header = ["phantom", "slices", "before, RMS"]
    for source in ("labels", model.name):
        header += [f"{source}: observed", "RMS per axis", "mean distance", "largest", "at rest"]
    return markdown_table(header, rows)


def on_native_grid(truth: FloatField, shifts: Shifts, spacing: tuple[float, float, float]) -> FloatField:
    """The anatomy's displacement (3, Z, Y, X) as it is seen in slices displaced by (Z, 2) mm; see the head."""
    seen = truth.copy()
    heights = np.arange(len(shifts), dtype=np.float64)
    arrival = heights[:, None, None] + truth[0] / spacing[0]
    for k in range(2):
        seen[1 + k] += np.interp(arrival, heights, shifts[:, k]) - shifts[:, k, None, None]
    return seen


@dataclass(frozen=True)
class MotionScore:
    """One motion of one phantom."""

    dice: float
    dice_shared: float
    error_mm: float
    folds: float
    seconds: float


def score(study: PhantomStudy, motion: Motion | None, es: int, seconds: float = 0.0) -> MotionScore:
    """Of a motion; None for no motion at all."""
    ed_labels, es_labels = study.labels[0], study.labels[es]
    carried = ed_labels if motion is None else propagate(motion, {0: ed_labels})[es]
    triples = [(es_labels == s, carried == s, ed_labels == s) for s in STRUCTURES]
    if study.motion is None:
        raise ValueError("the phantom was made without its true motion")
    truth = on_native_grid(study.motion[1][es], study.slice_shifts_mm, study.cine.spacing)
    given = np.zeros_like(truth) if motion is None else motion.from_reference[es]
    return MotionScore(
        dice=mean_where_defined([dice_stack(a, b) for a, b, _ in triples]),
        dice_shared=mean_where_defined([dice_shared_slices(*triple) for triple in triples]),
        error_mm=end_point_error(given, truth, ed_labels == Label.MYO),
        folds=0.0 if motion is None else share_of_folds(motion),
        seconds=seconds,
    )


def motion_table(seeds: Sequence[int], largest: float, frames: int, model: SegmentationModel, source: str) -> str:
    """Registration in 3D without and with alignment, and whether they differ."""
    names = ("unregistered", "3D", f"3D, aligned by {source}")
    scores: dict[str, list[MotionScore]] = {name: [] for name in names}
    rows = []
    for seed in seeds:
        study = displaced_study(seed, largest, frames=frames, motion_truth=True)
        es = end_systole(volumes_ml(study.labels, study.cine.spacing)[Label.LV])
        shifts = {
            "truth": lambda s: s.slice_shifts_mm,
            "labels": lambda s: shifts_of_labels(s.cine, s.labels).shifts.shifts_mm,
            "segmentation": lambda s: found_by(s.cine, model).shifts_mm,
        }[source](study)
        scores[names[0]].append(score(study, None, es))
        for name, alignment in ((names[1], None), (names[2], SliceAlignment.of(study.cine, shifts))):
            start = time.perf_counter()
            motion = estimate_aligned(
                study.cine,
                RecursiveModel(),
                reference=0,
                options=RecursiveOptions(dimensions=3),
                alignment=alignment,
            )
            scores[name].append(score(study, motion, es, time.perf_counter() - start))
        rows.append([str(seed), *(_cell(scores[name][-1]) for name in names)])
        print(" | ".join(rows[-1]), flush=True)
    rows.append(["mean", *(_cell(_mean(scores[name])) for name in names)])
    lines = [
        markdown_table(["phantom", *names], rows),
        "",
        "Dice, whole stack (shared slices); error, mm; folds, s",
    ]
    for what in ("dice", "dice_shared", "error_mm"):
        with_it, without = ([getattr(s, what) for s in scores[name]] for name in (names[2], names[1]))
        test = paired_test(with_it, without)
        lines.append(
            f"{what}: aligned less native {test.mean_difference:+.4f}, n = {test.n}, Wilcoxon p = "
            f"{test.wilcoxon_p:.4f}, t-test p = {test.t_p:.4f}"
        )
    return "\n".join(lines)


def _mean(scores: Sequence[MotionScore]) -> MotionScore:
    names = MotionScore.__dataclass_fields__
    return MotionScore(**{name: float(np.mean([getattr(s, name) for s in scores])) for name in names})


def _cell(s: MotionScore) -> str:
    return (
        f"{number(s.dice, 3)} ({number(s.dice_shared, 3)}); {number(s.error_mm, 2)}; "
        f"{s.folds:.5f}, {number(s.seconds, 0)}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phantoms", type=int, default=20, help="for the residuals")
    parser.add_argument("--motion", type=int, default=20, help="phantoms for the registration")
    parser.add_argument("--seeds", choices=sorted(SEEDS), default="report")
    parser.add_argument("--largest", type=float, default=8.0, help="mm along an axis")
    parser.add_argument("--frames", type=int, default=12, help="of the phantoms for the residuals")
    parser.add_argument("--motion-frames", type=int, default=8, help="of those for the registration")
    parser.add_argument("--motion-shifts", choices=["segmentation", "labels", "truth"], default="segmentation")
    parser.add_argument("--weights", type=Path, help="of unet; by default its own")
    parser.add_argument("--markdown", type=Path)
    chosen = parser.parse_args(arguments)
    model = segmentation_model("unet", weights=chosen.weights)
    seeds = SEEDS[chosen.seeds]
    parts = [f"phantoms of the seeds `{chosen.seeds}`, {torch.get_num_threads()} threads"]
    if chosen.phantoms:
        parts.append(residual_table(seeds[: chosen.phantoms], chosen.largest, chosen.frames, model))
        print(parts[-1], flush=True)
    if chosen.motion:
        parts.append(
            motion_table(seeds[: chosen.motion], chosen.largest, chosen.motion_frames, model, chosen.motion_shifts)
        )
        print(parts[-1], flush=True)
    if chosen.markdown:
        with atomic_path(chosen.markdown) as temporary:
            temporary.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
