"""The report of an evaluation: Markdown to read, CSV and JSON to go on with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cardiac_motion.datasets import SkippedCase
from cardiac_motion.evaluation import tables
from cardiac_motion.evaluation.report_files import csv_text, finite, json_text, write_texts
from cardiac_motion.evaluation.results import MEASURES, CaseResult

_DEFINITIONS = """\
Labels of the source frame (ED) are carried to the target frame and scored there. *unregistered* takes them as they
are. Values are mean ± standard deviation over cases; n counts cases. A value that is not defined, such as a
distance to an empty mask, is left out and the number of the others is given. *mean* is the mean over a case's
structures, then over cases. Image measures and SD log J are taken in the box of all labels with a margin of 20 mm,
on intensities scaled to 0 to 1; folds by one-sided corner Jacobians on the whole grid."""


@dataclass(frozen=True, eq=False)
class EvaluationReport:
    """All that was measured.

    Attributes:
        cases: in the order of their names.
        data_set: name of the layout of the folder.
        selection: which part of the data set, None for all of it.
        without_labels: names of images that were left out because no labels belong to them.
        skipped: cases that were left out because they could not be read.
        figures: paths relative to the folder of the report.
    """

    cases: tuple[CaseResult, ...]
    data_set: str = "folder"
    selection: str | None = None
    without_labels: tuple[str, ...] = ()
    skipped: tuple[SkippedCase, ...] = ()
    figures: tuple[str, ...] = ()

    def markdown(self, *, figures: bool = True) -> str:
        """The tables, each value with the unregistered one beside it.

        Args:
            figures: show the figures at the end.
        """
        cases = self.cases
        parts = ["# Evaluation", _DEFINITIONS, "## Cases", tables.case_table(cases)]
        if self.selection:
            parts.append(f"Of the data set: {self.selection}")
        if self.skipped:
            parts.append("Left out because they could not be read:")
            parts.append("\n".join(f"- {case.reason}" for case in self.skipped))
        if self.without_labels:
            parts.append("Without labels and left out: " + ", ".join(self.without_labels))
        parts += self._scores(cases, "ED → ES", all_frames=False)
        parts += ["### Ejection fraction", *self._ejection(cases)]
        if films := [case for case in cases if len(case.targets) > 1]:
            parts += self._scores(films, "ED → all labelled frames, cines only", all_frames=True)
        if any(not case.is_pair for case in cases):
            title = "### Temporal gradient of the displacement, mm per frame"
            parts += [title, tables.gradient_table(cases)]
        parts += [
            "## Differences between methods",
            "Two-sided tests of the cases' means over their structures, ED → ES, each case once; not corrected "
            "for the number of comparisons. Nothing can be said with fewer than two cases, and little with fewer "
            "than six: Wilcoxon's p cannot be below 0.05 then.",
            tables.significance_table(cases),
            "## Time",
            tables.time_table(cases),
        ]
        if figures and self.figures:
            parts += ["## Figures", *(f"![{Path(name).stem}]({name})" for name in self.figures)]
        return "\n\n".join(parts) + "\n"

    @staticmethod
    def _ejection(cases: Sequence[CaseResult]) -> list[str]:
        single = [case.name for case in cases if case.slices == 1]
        parts = []
        if any(result.ejection for case in cases for result in case.methods.values()):
            parts.append(tables.ejection_table(cases))
        if single:
            parts.append("Single slices, which have no volume, are left out: " + ", ".join(single))
        return parts or ["No case has labels of a ventricle."]

    @staticmethod
    def _scores(cases: Sequence[CaseResult], title: str, *, all_frames: bool) -> list[str]:
        parts = [f"## {title}"]
        for measure, (name, _) in MEASURES.items():
            parts += [f"### {name}", tables.structure_table(cases, measure, all_frames=all_frames)]
        return [*parts, "### Images and fields", tables.image_table(cases, all_frames=all_frames)]

    def structure_rows(self) -> list[dict[str, Any]]:
        """One row for each case, method, target frame and structure."""
        return [
            {
                **_where(case, method, frame),
                "structure": structure.name,
                **asdict(score),
            }
            for case in self.cases
            for method, result in case.methods.items()
            for frame, scores in result.structures.items()
            for structure, score in scores.items()
        ]

    def field_rows(self) -> list[dict[str, Any]]:
        """One row for each case, method and target frame."""
        nothing = {"folds": math.nan, "folded_voxels": math.nan, "sd_log_jacobian": math.nan}
        return [
            {
                **_where(case, method, frame),
                **asdict(image),
                **(asdict(result.motion_fields[frame]) if frame in result.motion_fields else nothing),
                "seconds_per_case": result.seconds,
            }
            for case in self.cases
            for method, result in case.methods.items()
            for frame, image in result.images.items()
        ]

    def ejection_rows(self) -> list[dict[str, Any]]:
        """One row for each case, method and ventricle, in percent."""
        return [
            {"case": case.name, "method": method, "ventricle": ventricle.name, **asdict(ejection)}
            for case in self.cases
            for method, result in case.methods.items()
            for ventricle, ejection in result.ejection.items()
        ]

    def gradient_rows(self) -> list[dict[str, Any]]:
        """One row for each cine, model and structure, mm per frame."""
        return [
            {"case": case.name, "method": method, "structure": structure.name, "temporal_gradient": gradient}
            for case in self.cases
            for method, result in case.methods.items()
            for structure, gradient in result.temporal_gradient.items()
        ]

    def to_json(self) -> dict[str, Any]:
        """Everything in plain values; what is not defined, or not finite, is None."""
        plain: dict[str, Any] = finite(
            {
                "cases": [
                    {
                        "name": case.name,
                        "kind": "pair" if case.is_pair else "cine",
                        "slices": case.slices,
                        "source": case.source,
                        "es": case.es,
                        "targets": list(case.targets),
                        "structures": [s.name for s in case.structures],
                    }
                    for case in self.cases
                ],
                "data_set": self.data_set,
                "selection": self.selection,
                "without_labels": list(self.without_labels),
                "skipped": [asdict(case) for case in self.skipped],
                "figures": list(self.figures),
                "structures": self.structure_rows(),
                "fields": self.field_rows(),
                "ejection": self.ejection_rows(),
                "temporal_gradient": self.gradient_rows(),
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
            "fields.csv": csv_text(self.field_rows()),
            "report.json": json_text(self.to_json()),
            "summary.md": self.markdown(),
        }
        if gradients := self.gradient_rows():
            texts["temporal_gradient.csv"] = csv_text(gradients)
        if ejections := self.ejection_rows():
            texts["ejection.csv"] = csv_text(ejections)
        write_texts(output, texts)


def _where(case: CaseResult, method: str, frame: int) -> dict[str, Any]:
    return {
        "case": case.name,
        "method": method,
        "source": case.source,
        "frame": frame,
        "is_es": frame == case.es,
    }
