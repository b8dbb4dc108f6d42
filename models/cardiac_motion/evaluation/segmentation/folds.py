"""Reports of the folds of a data set, read back and put together into one over all patients."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from cardiac_motion.datasets import SkippedCase
from cardiac_motion.datasets.files import read_json
from cardiac_motion.errors import InputError, shown
from cardiac_motion.evaluation.report_files import report_folder
from cardiac_motion.evaluation.segmentation.report import KIND, VERSION, Fold, LeftOut, SegmentationReport
from cardiac_motion.evaluation.segmentation.results import CaseResult, Method, MethodResult
from cardiac_motion.evaluation.segmentation.scores import SegmentationScore
from cardiac_motion.evaluation.segmentation.volumes import QUANTITIES, Measured
from cardiac_motion.labels import Label

MOST_FOLDS = 1000
"""Of a report that is believed."""


def merge_folds(folders: Sequence[Path | str], output: Path | str) -> SegmentationReport:
    """Put the reports of all folds together: figures over all patients, each by the model that has not seen them.

    Args:
        folders: of `evaluate_segmentation`, one for each fold, in any order.
        output: a folder, made if need be, for ``summary.md``, ``structures.csv``, ``volumes.csv`` and
            ``report.json``; those of an earlier report in it are replaced.

    Raises:
        InputError: a folder without such a report; reports of other methods, data sets or numbers of folds; a fold
            that is missing or there twice; a patient in two folds; or an output that cannot be written.
    """
    output = Path(output)
    # First of all, the output: a folder of a fold would lose its own report.
    if output.resolve() in {Path(folder).resolve() for folder in folders}:
        raise InputError(f"expected another folder for the output than those of the folds, got {output}")
    merged = _merged({str(folder): read_report(folder) for folder in folders})
    with report_folder(output) as temporary:
        merged.write(temporary)
    return merged


def _merged(reports: Mapping[str, SegmentationReport]) -> SegmentationReport:
    parts = _in_order(reports)
    _check_patients(parts)
    methods = tuple(
        replace(each[0], weights=tuple(dict.fromkeys(w for method in each for w in method.weights)))
        for each in zip(*(part.methods for part in parts), strict=True)
    )
    return SegmentationReport(
        cases=tuple(sorted((case for part in parts for case in part.cases), key=lambda case: case.name)),
        methods=methods,
        data_set=parts[0].data_set,
        selection=f"all {len(parts)} folds, every patient in the fold that held it out",
        # What has no labels at all belongs to no fold, and every report names it.
        without_labels=parts[0].without_labels,
        skipped=tuple(each for part in parts for each in part.skipped),
        left_out=tuple(each for part in parts for each in part.left_out),
    )


def _in_order(reports: Mapping[str, SegmentationReport]) -> list[SegmentationReport]:
    """The reports by the number of their fold, each fold once, and all of one kind."""
    if not reports:
        raise InputError("expected folders of reports of folds, got none")
    by_fold: dict[int, SegmentationReport] = {}
    first: tuple[str, SegmentationReport, Fold] | None = None
    for name, report in reports.items():
        if report.fold is None:
            got = report.selection or "one of a whole data set"
            raise InputError(f"{name}: expected the report of a fold, got {got}")
        first = first or (name, report, report.fold)
        for what, here, there in (
            ("number of folds", report.fold.of, first[2].of),
            ("data set", report.data_set, first[1].data_set),
            ("methods", _methods(report), _methods(first[1])),
        ):
            if here != there:
                raise InputError(f"{name}: expected the {what} of {first[0]}, {there}, got {here}")
        if report.fold.number in by_fold:
            raise InputError(f"{name}: expected each fold once, got fold {report.fold.number} twice")
        by_fold[report.fold.number] = report
    of = first[2].of if first else 0
    missing = sorted(set(range(of)) - by_fold.keys())
    if missing:
        raise InputError(f"expected reports of all {of} folds, got none of {', '.join(map(str, missing))}")
    return [by_fold[number] for number in range(of)]


def _check_patients(parts: Sequence[SegmentationReport]) -> None:
    held: dict[str, int] = {}
    for number, part in enumerate(parts):
        for patient in sorted({case.patient for case in part.cases}):
            if held.setdefault(patient, number) != number:
                raise InputError(
                    f"expected every patient in one fold, got {patient} in folds {held[patient]} and {number}"
                )


def _methods(report: SegmentationReport) -> str:
    return ", ".join(f"{m.name} (model {m.model}, version {m.version})" for m in report.methods)


def read_report(folder: Path | str) -> SegmentationReport:
    """The report of an evaluation of segmentation that lies in a folder.

    Raises:
        InputError: there is none, one of something else, or one that is damaged.
    """
    path = Path(folder) / "report.json"
    content = read_json(path, "a report as JSON")
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise InputError(f"{path}: expected the report of an evaluation of segmentation, got something else")
    if content.get("version") != VERSION:
        raise InputError(f"{path}: expected version {VERSION} of a report, got {shown(content.get('version'))}")
    try:
        return _report(content)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise InputError(f"{path}: the report is damaged: {shown(error)}") from error


def _report(content: Mapping[str, Any]) -> SegmentationReport:
    fold = None if content["fold"] is None else Fold(int(content["fold"]["number"]), int(content["fold"]["of"]))
    if fold is not None and not 0 <= fold.number < fold.of <= MOST_FOLDS:
        raise ValueError(f"a fold from 0 to {fold.of - 1} expected, got {fold.number}")
    methods = tuple(
        Method(
            str(m["name"]),
            str(m["model"]),
            str(m["version"]),
            tuple(map(str, m["weights"])),
            bool(m["is_given_ed"]),
        )
        for m in content["methods"]
    )
    cases = tuple(_case(case) for case in content["cases"])
    if not cases or any(list(case.methods) != [method.name for method in methods] for case in cases):
        raise ValueError("cases with all methods expected")
    return SegmentationReport(
        cases=cases,
        methods=methods,
        data_set=str(content["data_set"]),
        selection=None if content["selection"] is None else str(content["selection"]),
        fold=fold,
        without_labels=tuple(map(str, content["without_labels"])),
        skipped=tuple(SkippedCase(str(c["id"]), str(c["reason"])) for c in content["skipped"]),
        left_out=tuple(LeftOut(str(c["case"]), str(c["reason"])) for c in content["left_out"]),
        figures=tuple(map(str, content["figures"])),
    )


def _case(content: Mapping[str, Any]) -> CaseResult:
    frames = tuple(int(frame) for frame in content["frames"])
    structures = tuple(Label[name] for name in content["structures"])
    ed, es, fold = (None if content[name] is None else int(content[name]) for name in ("ed", "es", "fold"))
    if {ed, es} - {None, *frames}:
        raise ValueError("ED and ES are expected among the frames")
    return CaseResult(
        name=str(content["name"]),
        patient=str(content["patient"]),
        is_pair=content["kind"] == "pair",
        slices=int(content["slices"]),
        ed=ed,
        es=es,
        frames=frames,
        structures=structures,
        methods={str(name): _method(result, frames) for name, result in content["methods"].items()},
        fold=fold,
    )


def _method(content: Mapping[str, Any], frames: Sequence[int]) -> MethodResult:
    scores: dict[int, dict[Label, SegmentationScore]] = {}
    for row in content["scores"]:
        values: dict[str, Any] = {
            f.name: int(row[f.name]) if f.name.endswith("slices") else _number(row[f.name])
            for f in fields(SegmentationScore)
        }
        if int(row["frame"]) not in frames:
            raise ValueError(f"a labelled frame expected, got {row['frame']}")
        scores.setdefault(int(row["frame"]), {})[Label[row["structure"]]] = SegmentationScore(**values)
    volumes = {
        name: Measured(_number(pair["truth"]), _number(pair["found"]))
        for name, pair in content["volumes"].items()
        if name in QUANTITIES
    }
    return MethodResult(scores, volumes, _number(content["seconds"]))


def _number(value: Any) -> float:
    """What is not defined is None in JSON."""
    return math.nan if value is None else float(value)
