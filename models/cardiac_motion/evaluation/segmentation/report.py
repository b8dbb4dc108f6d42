"""The report of an evaluation of segmentation: Markdown to read, CSV and JSON to go on with."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cardiac_motion.datasets import SkippedCase
from cardiac_motion.evaluation.report_files import csv_text, finite, json_text, write_texts
from cardiac_motion.evaluation.segmentation import tables
from cardiac_motion.evaluation.segmentation.papers import paper_tables
from cardiac_motion.evaluation.segmentation.results import CaseResult, Method
from cardiac_motion.evaluation.segmentation.scores import MEASURES, SegmentationScore

KIND = "segmentation"
VERSION = 1
"""Of ``report.json``."""

_DEFINITIONS = """\
Labelled frames are segmented and scored against their labels, in 3D. Values are mean ± standard deviation over
patients; n counts patients. A patient's value at *all labelled frames* is the mean over them; *mean* is the mean
over a patient's structures, then over patients.

- *Whole stack*: every slice counts. *Slices that hold the structure*: those alone in which the truth of that frame
  has it, so that how far up and down the heart was drawn does not count.
- Where neither truth nor segmentation has the structure, there is no value. Where only one has it, Dice is 0, and
  the distances are not defined: they are left out, a cell with fewer values than patients says how many, and the
  frames are counted under *Slices and frames missed*.
- Distances are between the voxels on the surface; ASSD is the mean over the points of both surfaces."""


@dataclass(frozen=True)
class LeftOut:
    """What was not evaluated, or not scored, and why."""

    case: str
    reason: str


@dataclass(frozen=True)
class Fold:
    """Which fold of how many was held out."""

    number: int
    of: int


@dataclass(frozen=True, eq=False)
class SegmentationReport:
    """All that was measured.

    Attributes:
        cases: in the order of their names.
        methods: in the order of the tables.
        data_set: name of the layout of the folder.
        selection: which part of the data set, None for all of it.
        fold: which fold, None for another part or for all folds together.
        without_labels: names of images that were left out because no labels belong to them.
        skipped: cases that were left out because they could not be read.
        left_out: cases, or structures of cases, that were not evaluated.
        figures: paths relative to the folder of the report.
    """

    cases: tuple[CaseResult, ...]
    methods: tuple[Method, ...]
    data_set: str = "folder"
    selection: str | None = None
    fold: Fold | None = None
    without_labels: tuple[str, ...] = ()
    skipped: tuple[SkippedCase, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    figures: tuple[str, ...] = ()

    def markdown(self, *, figures: bool = True) -> str:
        """The tables.

        Args:
            figures: show the figures at the end.
        """
        cases, methods = self.cases, self.methods
        parts = ["# Evaluation of segmentation", _DEFINITIONS, "## Methods and cases"]
        parts += [tables.method_table(methods), tables.case_table(cases), *self._about_cases()]
        for title, suffix in (("Whole stack", "stack"), ("Slices that hold the structure", "held")):
            parts.append(f"## {title}")
            for measure, (name, _) in MEASURES.items():
                if measure.endswith(suffix):
                    parts += [f"### {name}", tables.measure_table(cases, methods, measure)]
        parts += ["## Slices and frames missed", tables.slice_table(cases, methods)]
        parts += ["## Volumes and function", *self._volumes()]
        if len({case.fold for case in cases if case.fold is not None}) > 1:
            parts += [
                "## Folds",
                "Means over all labelled frames and structures.",
                tables.fold_table(cases, methods),
            ]
        if papers := paper_tables(cases, methods):
            parts += ["## As in the papers", *papers]
        if len(methods) > 1:
            parts += [
                "## Differences between methods",
                "Two-sided tests of the patients' means over labelled frames and structures; not corrected for "
                "the number of comparisons. Little can be said with fewer than six patients: Wilcoxon's p cannot "
                "be below 0.05 then.",
                tables.paired_table(cases, methods),
            ]
        parts += ["## Time", tables.time_table(cases, methods)]
        if figures and self.figures:
            parts += ["## Figures", *(f"![{Path(name).stem}]({name})" for name in self.figures)]
        return "\n\n".join(parts) + "\n"

    def _about_cases(self) -> list[str]:
        parts = [f"Of the data set: {self.selection}"] if self.selection else []
        if given := [method.name for method in self.methods if method.is_given_ed]:
            parts.append(
                f"{', '.join(given)}: starts from the true labels of ED (of the first labelled frame where there "
                "is no ED). They are not scored, and *all labelled frames* are without them for every method."
            )
        if any(case.is_pair for case in self.cases):
            parts.append("A frame of a pair has no neighbours: a model that looks at them sees it in their place.")
        if self.skipped:
            parts += [
                "Left out because they could not be read:",
                "\n".join(f"- {case.reason}" for case in self.skipped),
            ]
        if self.left_out:
            reasons = dict.fromkeys(each.reason for each in self.left_out)
            lines = [
                f"- {reason}: {', '.join(each.case for each in self.left_out if each.reason == reason)}"
                for reason in reasons
            ]
            parts += ["Not evaluated:", "\n".join(lines)]
        if self.without_labels:
            parts.append("Without labels and left out: " + ", ".join(self.without_labels))
        return parts

    def _volumes(self) -> list[str]:
        table = tables.volume_table(self.cases, self.methods)
        single = [case.name for case in self.cases if case.slices == 1]
        parts = []
        if table:
            parts += [
                "By slice summation at the true ED and ES; errors are found minus true, of ejection fractions in "
                "percentage points. Limits of agreement and Pearson's r are given from five patients on.",
                table,
            ]
        if single:
            parts.append("Single slices, which have no volume, are left out: " + ", ".join(single))
        return parts or ["No case has labels of a ventricle at ED."]

    def structure_rows(self) -> list[dict[str, Any]]:
        """One row for each case, method, frame and structure."""
        return [
            {
                "case": case.name,
                "patient": case.patient,
                "fold": "" if case.fold is None else case.fold,
                "method": method,
                "frame": frame,
                "is_ed": frame == case.ed,
                "is_es": frame == case.es,
                "structure": structure.name,
                **asdict(scores[structure]),
                "empty": _empty(scores[structure]),
            }
            for case in self.cases
            for method, result in case.methods.items()
            for frame, scores in result.scores.items()
            for structure in case.structures
            if structure in scores
        ]

    def volume_rows(self) -> list[dict[str, Any]]:
        """One row for each case, method and quantity, in ml, percent or grams."""
        return [
            {
                "case": case.name,
                "patient": case.patient,
                "method": method,
                "quantity": name,
                **asdict(measured),
                "error": measured.error,
            }
            for case in self.cases
            for method, result in case.methods.items()
            for name, measured in result.volumes.items()
        ]

    def to_json(self) -> dict[str, Any]:
        """Everything in plain values; what is not defined is None. See `read_report`."""
        plain: dict[str, Any] = finite(
            {
                "kind": KIND,
                "version": VERSION,
                "data_set": self.data_set,
                "selection": self.selection,
                "fold": None if self.fold is None else asdict(self.fold),
                "methods": [{**asdict(method), "weights": list(method.weights)} for method in self.methods],
                "cases": [_case_json(case) for case in self.cases],
                "without_labels": list(self.without_labels),
                "skipped": [asdict(case) for case in self.skipped],
                "left_out": [asdict(each) for each in self.left_out],
                "figures": list(self.figures),
            }
        )
        return plain

    def write(self, output: Path) -> None:
        """Write all files but the figures into a folder that exists, each whole or not at all.

        Raises:
            InputError: a file cannot be written.
        """
        texts = {
            "structures.csv": csv_text(self.structure_rows()),
            "report.json": json_text(self.to_json()),
            "summary.md": self.markdown(),
        }
        if volumes := self.volume_rows():
            texts["volumes.csv"] = csv_text(volumes)
        write_texts(output, texts)


def _empty(score: SegmentationScore) -> str:
    """Which side is empty: ``truth``, ``found``, ``both``, or none."""
    sides = {"truth": score.is_absent, "found": score.is_missed}
    return "both" if all(sides.values()) else "".join(name for name, is_empty in sides.items() if is_empty)


def _case_json(case: CaseResult) -> dict[str, Any]:
    return {
        "name": case.name,
        "patient": case.patient,
        "fold": case.fold,
        "kind": "pair" if case.is_pair else "cine",
        "slices": case.slices,
        "ed": case.ed,
        "es": case.es,
        "frames": list(case.frames),
        "structures": [s.name for s in case.structures],
        "methods": {
            name: {
                "seconds": result.seconds,
                "volumes": {quantity: asdict(measured) for quantity, measured in result.volumes.items()},
                "scores": [
                    {"frame": frame, "structure": s.name, **asdict(score)}
                    for frame, scores in result.scores.items()
                    for s, score in scores.items()
                ],
            }
            for name, result in case.methods.items()
        },
    }
