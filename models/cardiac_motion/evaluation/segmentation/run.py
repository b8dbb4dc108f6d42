"""Run segmentation models on the labelled frames of cases and score them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiac_motion.errors import InputError
from cardiac_motion.evaluation.report_files import FIGURE_FOLDER, report_folder
from cardiac_motion.evaluation.segmentation.cases import ORDER, SegmentationCase, segmentation_case
from cardiac_motion.evaluation.segmentation.figures import SegmentationGallery, write_figures
from cardiac_motion.evaluation.segmentation.fused import Found, KeyFrameModel, Segmenter
from cardiac_motion.evaluation.segmentation.report import Fold, LeftOut, SegmentationReport
from cardiac_motion.evaluation.segmentation.results import CaseResult, Method, MethodResult
from cardiac_motion.evaluation.segmentation.scores import score_segmentation
from cardiac_motion.evaluation.segmentation.volumes import measure_volumes
from cardiac_motion.evaluation.selection import LabelledCases, Selection
from cardiac_motion.labels import Label
from cardiac_motion.progress import Progress, part_of, silent

Labels = npt.NDArray[np.uint8]


def evaluate_segmentation(
    folder: Path | str,
    *,
    models: Mapping[str, Segmenter],
    output: Path | str,
    figures: bool = False,
    options: Mapping[str, Any] | None = None,
    selection: Selection | None = None,
    progress: Progress = silent,
) -> SegmentationReport:
    """Segment the labelled frames of every case of a data set, and write tables, and figures if asked for.

    Cases of a view that a model is not made for are left out, and structures that a model does not tell apart; the
    report names both.

    Args:
        folder: images and labels in any layout that `cardiac_motion.datasets.find_dataset` knows.
        models: by the name that they have in the tables.
        output: a folder, made if need be, for ``summary.md``, ``structures.csv``, ``volumes.csv`` (of stacks with
            ventricles), ``report.json`` and ``figures/``. They appear in it together when all cases are done, in
            place of those of an earlier run, figures included; other files in it are kept.
        figures: draw the figures, too.
        options: by the name in ``models``, options for its `segment`.
        selection: which of the cases; by default all.
        progress: called as progress(fraction, message); may raise to stop.

    Raises:
        InputError: no model, no case that can be evaluated, whatever is wrong with one, or an output that cannot
            be written.
    """
    if not models:
        raise InputError("expected at least one segmentation model, got none")
    selection = selection or Selection()
    cases = LabelledCases(folder, selection)
    left_out: list[LeftOut] = []
    gallery = SegmentationGallery() if figures else None
    results: list[CaseResult] = []
    # First of all, the output: what cannot be written there is told before the computing, not after.
    with report_folder(Path(output), figures=figures) as temporary:
        # Before the first case is read: weights that are missing or damaged.
        methods = tuple(_method(name, model) for name, model in models.items())
        for case, part in cases.read(segmentation_case, progress):
            if reason := _not_for(case, models):
                left_out.append(LeftOut(case.name, reason))
                continue
            result, reasons = segment_case(
                case, models, options=options, fold=selection.fold, gallery=gallery, progress=part
            )
            left_out += [LeftOut(case.name, reason) for reason in reasons]
            if result is not None:
                results.append(result)
        if not results:
            reasons = [f"{each.case}: {each.reason}" for each in left_out] + [
                each.reason for each in cases.skipped
            ]
            raise InputError(f"{folder}: expected a case that can be evaluated, got none; the first: {reasons[0]}")
        summary = SegmentationReport(
            tuple(results),
            methods,
            data_set=cases.data.name,
            selection=cases.words,
            fold=_fold(selection),
            without_labels=cases.without_labels,
            skipped=tuple(cases.skipped),
            left_out=tuple(left_out),
            figures=write_figures(temporary / FIGURE_FOLDER, results, gallery) if gallery is not None else (),
        )
        summary.write(temporary)
    progress(1.0, "evaluation written")
    return summary


def _fold(selection: Selection) -> Fold | None:
    if selection.split is None or selection.fold is None:
        return None
    return Fold(selection.fold, len(selection.split.parts))


def _method(name: str, model: Segmenter) -> Method:
    checksum = model.weights_checksum
    return Method(
        name, model.name, model.version, () if checksum is None else (checksum,), isinstance(model, KeyFrameModel)
    )


def _not_for(case: SegmentationCase, models: Mapping[str, Segmenter]) -> str | None:
    """Why a case is not evaluated: every method is to have the same cases."""
    for name, model in models.items():
        if case.view not in model.views:
            return f"a cine of {case.view}; {name} is made for {', '.join(model.views)}"
        if isinstance(model, KeyFrameModel) and len(case.frames) == 1:
            return f"{name} is given its only labelled frame"
    return None


def segment_case(
    case: SegmentationCase,
    models: Mapping[str, Segmenter],
    *,
    options: Mapping[str, Any] | None = None,
    fold: int | None = None,
    gallery: SegmentationGallery | None = None,
    progress: Progress = silent,
) -> tuple[CaseResult | None, list[str]]:
    """Run and score every model on one case.

    Args:
        case: a cine with the truth.
        models: by name.
        options: by name, options for `segment`.
        fold: that held the case out.
        gallery: keeps what the figures need, if there are to be any.
        progress: called as progress(fraction, message); may raise to stop.

    Returns:
        The result, None where no structure is left to score, and why any was left out.
    """
    found: dict[str, dict[int, Labels]] = {}
    seconds: dict[str, float] = {}
    told: dict[str, tuple[Label, ...]] = {}
    given = case.frames[0] if case.ed is None else case.ed
    for number, (name, model) in enumerate(models.items()):
        report = part_of(progress, number, len(models), share=0.9, name=f"{case.name}, {name}")
        begin = time.perf_counter()
        answer = _ask(model, case, given, (options or {}).get(name), report)
        seconds[name] = time.perf_counter() - begin
        found[name] = _checked(name, case, answer)
        told[name] = answer.structures
    structures = tuple(s for s in case.structures if all(s in each for each in told.values()))
    reasons = list(_unscored(case.structures, told))
    if not structures:
        return None, reasons
    methods = {
        name: MethodResult(
            scores={
                t: {
                    s: score_segmentation(s, case.truth[t], labels[t], case.cine.spacing)
                    for s in structures
                    if s in case.drawn[t]
                }
                for t in case.frames
                if t != given or not isinstance(models[name], KeyFrameModel)
            },
            volumes=measure_volumes(
                case, labels, structures, given=given if isinstance(models[name], KeyFrameModel) else None
            ),
            seconds=seconds[name],
        )
        for name, labels in found.items()
    }
    if gallery is not None:
        gallery.add(case, structures, found)
    progress(1.0, f"{case.name} done")
    result = CaseResult(
        name=case.name,
        patient=case.patient,
        is_pair=case.is_pair,
        slices=case.cine.shape[1],
        ed=case.ed,
        es=case.es,
        frames=case.frames,
        structures=structures,
        methods=methods,
        fold=fold,
    )
    return result, reasons


def _ask(model: Segmenter, case: SegmentationCase, given: int, options: Any, progress: Progress) -> Found:
    if isinstance(model, KeyFrameModel):
        key = {given: case.truth[given]}
        return model.segment_from(case.cine, key, frames=case.frames, options=options, progress=progress)
    return model.segment(case.cine, frames=case.frames, options=options, progress=progress)


def _checked(name: str, case: SegmentationCase, answer: Found) -> dict[int, Labels]:
    expected = (len(case.frames), *case.cine.shape[1:])
    if answer.frames != case.frames or answer.labels.shape != expected:
        raise ValueError(
            f"{name}: expected labels {expected} of the frames {case.frames}, got {answer.labels.shape} of "
            f"{answer.frames}"
        )
    return dict(zip(answer.frames, answer.labels, strict=True))


def _unscored(structures: Sequence[Label], told: Mapping[str, tuple[Label, ...]]) -> Iterator[str]:
    """Why structures are not scored: one side or the other does not have them."""
    absent = [s for s in ORDER if s not in structures and any(s in each for each in told.values())]
    if absent:
        yield f"{_names(absent)} not scored: not in the truth"
    for name, each in told.items():
        unknown = [s for s in structures if s not in each]
        if unknown:
            yield f"{_names(unknown)} not scored: {name} does not tell them apart"


def _names(structures: Sequence[Label]) -> str:
    return ", ".join(s.name for s in structures)
