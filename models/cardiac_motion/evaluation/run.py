"""Run motion models on labelled cases and score them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiac_motion.analysis.volumes import ejection_fraction, volumes_ml
from cardiac_motion.errors import InputError
from cardiac_motion.evaluation.aligned import AlignedMotion
from cardiac_motion.evaluation.cases import Case, case_of
from cardiac_motion.evaluation.gallery import Gallery, write_figures
from cardiac_motion.evaluation.report import EvaluationReport
from cardiac_motion.evaluation.report_files import FIGURE_FOLDER, report_folder
from cardiac_motion.evaluation.results import CaseResult, Ejection, MethodResult
from cardiac_motion.evaluation.scores import (
    UNREGISTERED,
    heart_box,
    scaled,
    score_field,
    score_image,
    score_structure,
)
from cardiac_motion.evaluation.selection import LabelledCases, Selection
from cardiac_motion.labels import Label
from cardiac_motion.metrics import temporal_gradient
from cardiac_motion.motion import Motion
from cardiac_motion.progress import Progress, part_of, silent
from cardiac_motion.propagation import propagate
from cardiac_motion.registration.base import MotionModel

Labels = npt.NDArray[np.uint8]


def evaluate_folder(
    folder: Path | str,
    *,
    models: Mapping[str, MotionModel],
    output: Path | str,
    figures: bool = False,
    options: Mapping[str, Any] | None = None,
    selection: Selection | None = None,
    progress: Progress = silent,
) -> EvaluationReport:
    """Evaluate models on every labelled case of a data set; write tables, and figures if asked for.

    Labels of the source frame (ED) are carried to every other labelled frame, and scored against the truth there.

    Args:
        folder: images and labels in any layout that `cardiac_motion.datasets.find_dataset` knows.
        models: by the name that they have in the tables.
        output: a folder, made if need be, for ``summary.md``, ``structures.csv``, ``fields.csv``,
            ``ejection.csv`` (of ventricles in stacks), ``temporal_gradient.csv`` (of cines), ``report.json`` and
            ``figures/``. They appear in it together when all cases are done, in place of those of an earlier
            run, figures included; other files in it are kept.
        figures: draw the figures, too.
        options: by the name in ``models``, options for its `estimate`.
        selection: which of the cases; by default all.
        progress: called as progress(fraction, message); may raise to stop.

    Raises:
        InputError: no model, no case, whatever is wrong with one, or an output that cannot be written.
    """
    if not models or UNREGISTERED in models:
        raise InputError(f"expected at least one model, none of them called {UNREGISTERED!r}, got {list(models)}")
    unknown = set(options or {}) - set(models)
    if unknown:
        raise InputError(f"options are given for {', '.join(sorted(unknown))}, which are none of {list(models)}")
    cases = LabelledCases(folder, selection or Selection())
    gallery = Gallery() if figures else None
    results = []
    # First of all, the output: what cannot be written there is told before the computing, not after.
    with report_folder(Path(output), figures=figures) as temporary:
        for case, part in cases.read(lambda each, data: case_of(each.id, data), progress):
            results.append(evaluate_case(case, models, options=options, gallery=gallery, progress=part))
        if not results:
            reason = cases.skipped[0].reason
            raise InputError(f"{folder}: expected a case that can be read, got none; the first: {reason}")
        summary = EvaluationReport(
            tuple(results),
            data_set=cases.data.name,
            selection=cases.words,
            without_labels=cases.without_labels,
            skipped=tuple(cases.skipped),
            figures=write_figures(temporary / FIGURE_FOLDER, results, gallery) if gallery is not None else (),
        )
        summary.write(temporary)
    progress(1.0, "evaluation written")
    return summary


def evaluate_case(
    case: Case,
    models: Mapping[str, MotionModel],
    *,
    options: Mapping[str, Any] | None = None,
    gallery: Gallery | None = None,
    progress: Progress = silent,
) -> CaseResult:
    """Run and score every model on one case, with the unregistered first.

    Args:
        case: a cine with the truth.
        models: by name.
        options: by name, options for `estimate`.
        gallery: keeps what the figures need, if there are to be any.
        progress: called as progress(fraction, message); may raise to stop.
    """
    source_labels = case.labels[case.source]
    held = np.broadcast_to(source_labels, case.labels.shape)
    methods = {UNREGISTERED: _score(case, held, None, 0.0)}
    if gallery is not None:
        gallery.add_case(case)
    for number, (name, model) in enumerate(models.items()):
        report = part_of(progress, number, len(models), share=0.9, name=f"{case.name}, {name}")
        report(0.0, "motion")
        begin = time.perf_counter()
        chosen: dict[str, Any] = {"reference": case.source, "options": (options or {}).get(name)}
        if isinstance(model, AlignedMotion):
            motion = model.estimate_by({case.source: source_labels}, case.cine, **chosen, progress=report)
        else:
            motion = model.estimate(case.cine, **chosen, progress=report)
        seconds = time.perf_counter() - begin
        motion.check_belongs_to(case.cine)
        report(1.0, "scores")
        labels = propagate(motion, {case.source: source_labels})
        methods[name] = _score(case, labels, motion, seconds)
        if gallery is not None:
            gallery.add_result(case, name, labels, motion)
    progress(1.0, f"{case.name} done")
    return CaseResult(
        name=case.name,
        is_pair=case.is_pair,
        slices=case.cine.shape[1],
        source=case.source,
        es=case.es,
        targets=case.targets,
        structures=case.structures,
        methods=methods,
    )


def _score(case: Case, labels: Labels, motion: Motion | None, seconds: float) -> MethodResult:
    spacing = case.cine.spacing
    box = heart_box(case.labels, spacing)
    frames = scaled(case.cine.frames)
    structures, images, motion_fields = {}, {}, {}
    for t in case.targets:
        structures[t] = {
            s: score_structure(s, case.labels[t], labels[t], case.labels[case.source], spacing)
            for s in case.structures
        }
        warped = frames[case.source]
        if motion is not None:
            warped = motion.warp(warped, source=case.source, target=t)
            motion_fields[t] = score_field(motion.to_reference[t], spacing, box)
        images[t] = score_image(frames[t], warped, box)
    gradients = {}
    if motion is not None and not case.is_pair:
        gradients = {
            s: temporal_gradient(motion.from_reference, case.labels[case.source] == s) for s in case.structures
        }
    return MethodResult(structures, images, motion_fields, gradients, _ejections(case, labels), seconds)


def _ejections(case: Case, labels: Labels) -> dict[Label, Ejection]:
    """Ejection fractions from the source to ES; the source's labels are the truth on both sides.

    A single slice has none: it has an area, and no volume.
    """
    if case.cine.shape[1] == 1:
        return {}
    frames = [case.source, case.es]
    truth = volumes_ml(case.labels[frames], case.cine.spacing)
    found = volumes_ml(np.stack([case.labels[case.source], labels[case.es]]), case.cine.spacing)
    return {
        s: Ejection(ejection_fraction(truth[s], ed=0, es=1), ejection_fraction(found[s], ed=0, es=1))
        for s in (Label.LV, Label.RV)
        if s in truth and truth[s][0] > 0
    }
