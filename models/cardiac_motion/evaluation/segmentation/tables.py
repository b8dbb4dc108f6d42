"""Tables of an evaluation of segmentation, in Markdown; n counts patients."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import chain

from cardiac_motion.evaluation.results import summarise
from cardiac_motion.evaluation.segmentation.results import TIMES, CaseResult, Method, by_patient, structures_of
from cardiac_motion.evaluation.segmentation.scores import MEASURES
from cardiac_motion.evaluation.segmentation.volumes import QUANTITIES, Measured, agreement
from cardiac_motion.evaluation.tables import (
    NOTHING,
    PAIRED_HEADER,
    cell_text,
    markdown_table,
    mean_and_sd,
    number,
    paired_rows,
)
from cardiac_motion.labels import Label

TESTED = ("dice_stack", "dice_held", "hausdorff_stack", "assd_stack")
"""Measures whose differences between methods are tested."""


def measure_cell(
    cases: Sequence[CaseResult], method: str, measure: str, time: str, structures: Sequence[Label], digits: int
) -> str:
    """Mean ± SD over patients of the mean over structures; the number where some have no value.

    A dash where no patient has a structure with labels at this time.
    """
    held = [case for case in cases if any(case.scores(method, s, time) for s in structures)]
    values = by_patient(held, lambda case: case.mean(method, measure, time, structures))
    return cell_text(summarise(values), digits, len(values))


def measure_table(cases: Sequence[CaseResult], methods: Sequence[Method], measure: str) -> str:
    """One measure: three rows for each method, a column for each structure, and one for the patients' means."""
    digits = MEASURES[measure][1]
    structures = structures_of(cases)
    columns = [(s,) for s in structures] + ([tuple(structures)] if len(structures) > 1 else [])
    rows = [
        [method.name, title]
        + [measure_cell(cases, method.name, measure, time, column, digits) for column in columns]
        for method in methods
        for time, title in TIMES.items()
        if any(case.at(time) for case in cases)
    ]
    counts = [len({case.patient for case in cases if set(column) & set(case.structures)}) for column in columns]
    names = [column[0].name if len(column) == 1 else "mean" for column in columns]
    header = [f"{name} (n = {count})" for name, count in zip(names, counts, strict=True)]
    return markdown_table(["method", "frames", *header], rows)


def slice_table(cases: Sequence[CaseResult], methods: Sequence[Method]) -> str:
    """Slices and frames in which only one of truth and segmentation has the structure."""
    rows = []
    for method in methods:
        for s in structures_of(cases):
            scores = list(chain.from_iterable(case.scores(method.name, s, "all") for case in cases))
            held, missed = (
                sum(getattr(score, f"{which}_slices") for score in scores) for which in ("held", "missed")
            )
            rows.append(
                [
                    method.name,
                    s.name,
                    str(held),
                    f"{missed} ({100 * missed / held:.1f} %)" if held else NOTHING,
                    str(sum(score.extra_slices for score in scores)),
                    str(len(scores)),
                    str(sum(score.is_missed and not score.is_absent for score in scores)),
                    str(sum(score.is_absent and not score.is_missed for score in scores)),
                    str(sum(score.is_absent and score.is_missed for score in scores)),
                ]
            )
    header = [
        "method",
        "structure",
        "slices that hold it",
        "nothing found there",
        "found in other slices",
        "frames",
        "nothing found",
        "found, not in the truth",
        "in neither",
    ]
    return markdown_table(header, rows)


def volume_table(cases: Sequence[CaseResult], methods: Sequence[Method]) -> str:
    """Volumes, ejection fractions and mass against the true ones; empty where no case has any."""
    rows = []
    for method in methods:
        for quantity, unit in QUANTITIES.items():
            held = [case for case in cases if quantity in case.methods[method.name].volumes]
            if not held:
                continue
            pairs = _pairs(held, method.name, quantity)
            found = agreement(pairs)
            low, high = found.limits
            rows.append(
                [
                    method.name,
                    f"{quantity}, {'%' if unit == 'points' else unit}",
                    str(len(pairs)),
                    mean_and_sd(found.truth, 1),
                    mean_and_sd(found.found, 1)
                    + (f" (n = {found.found.n})" if found.found.n < len(pairs) else ""),
                    mean_and_sd(found.bias, 1),
                    number(found.absolute, 1),
                    NOTHING if math.isnan(low) else f"{low:.1f} to {high:.1f}",
                    number(found.correlation, 3),
                ]
            )
    header = [
        "method",
        "quantity",
        "n",
        "true",
        "found",
        "error (bias ± SD)",
        "mean absolute error",
        "limits of agreement",
        "r",
    ]
    return markdown_table(header, rows) if rows else ""


def _pairs(cases: Sequence[CaseResult], method: str, quantity: str) -> list[Measured]:
    """One for each patient: means over the cases."""

    def side(name: str) -> Callable[[CaseResult], float]:
        return lambda case: getattr(case.methods[method].volumes[quantity], name)

    sides = (by_patient(cases, side(name)) for name in ("truth", "found"))
    return [Measured(truth, found) for truth, found in zip(*sides, strict=True)]


def fold_table(cases: Sequence[CaseResult], methods: Sequence[Method]) -> str:
    """Mean over the patients of each fold, and mean ± SD of these; over all labelled frames and structures."""
    numbers = sorted({case.fold for case in cases if case.fold is not None})
    rows = []
    for method in methods:
        for measure, where in (("dice_stack", ""), ("dice_held", ", held slices"), ("hausdorff_stack", "")):
            title, digits = MEASURES[measure]
            means = [
                summarise(by_patient([c for c in cases if c.fold == k], _mean_of(method.name, measure))).mean
                for k in numbers
            ]
            rows.append([method.name, title + where, *(number(m, digits) for m in means)])
            rows[-1].append(mean_and_sd(summarise(means), digits))
    counts = [len({case.patient for case in cases if case.fold == k}) for k in numbers]
    header = [f"fold {k} (n = {count})" for k, count in zip(numbers, counts, strict=True)]
    return markdown_table(["method", "measure", *header, "of the folds"], rows)


def _mean_of(method: str, measure: str) -> Callable[[CaseResult], float]:
    return lambda case: case.mean(method, measure, "all")


def paired_table(cases: Sequence[CaseResult], methods: Sequence[Method]) -> str:
    """Every two methods against each other, on the patients' means over labelled frames and structures."""
    rows = []
    for measure in TESTED:
        title, digits = MEASURES[measure]
        where = "whole stack" if measure.endswith("_stack") else "held slices"
        values = {method.name: by_patient(cases, _mean_of(method.name, measure)) for method in methods}
        rows += paired_rows(f"{title}, {where}", values, digits + 1)
    return markdown_table(PAIRED_HEADER, rows)


def time_table(cases: Sequence[CaseResult], methods: Sequence[Method]) -> str:
    """Seconds for the labelled frames of a case, and for one of them."""
    rows = []
    for method in methods:
        seconds = [case.methods[method.name].seconds for case in cases]
        each = [s / len(case.frames) for s, case in zip(seconds, cases, strict=True)]
        rows.append([method.name, mean_and_sd(summarise(seconds), 2), mean_and_sd(summarise(each), 2)])
    return markdown_table(["method", "s per case", "s per labelled frame"], rows)


def case_table(cases: Sequence[CaseResult]) -> str:
    """What was evaluated."""
    rows = [
        [
            case.name,
            case.patient,
            "pair" if case.is_pair else "cine",
            str(case.slices),
            *(NOTHING if frame is None else str(frame) for frame in (case.ed, case.es)),
            str(len(case.frames)),
            ", ".join(s.name for s in case.structures),
        ]
        for case in cases
    ]
    return markdown_table(["case", "patient", "kind", "slices", "ED", "ES", "labelled frames", "structures"], rows)


def method_table(methods: Sequence[Method]) -> str:
    """What was evaluated, and with which weights."""
    rows = [[m.name, m.model, m.version, ", ".join(w[:12] for w in m.weights) or NOTHING] for m in methods]
    return markdown_table(["method", "model", "version", "SHA-256 of the weights"], rows)
