"""Tables in Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

from cardiac_motion.evaluation.results import (
    MEASURES,
    CaseResult,
    Summary,
    method_names,
    structures_of,
    summarise,
)
from cardiac_motion.evaluation.scores import UNREGISTERED
from cardiac_motion.evaluation.significance import paired_test
from cardiac_motion.labels import Label

NOTHING = "-"

TESTED = ("dice_shared", "dice_stack", "hausdorff_3d", "mean_contour_distance")
"""Measures whose differences between methods are tested."""


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; bars in cells are escaped."""
    lines = [list(header), ["---"] * len(header), *map(list, rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def number(value: float, digits: int) -> str:
    """A number, or a dash where it is not defined."""
    return NOTHING if math.isnan(value) else f"{value:.{digits}f}"


def mean_and_sd(summary: Summary, digits: int) -> str:
    """Mean ± SD; the mean alone where there is one value."""
    if math.isnan(summary.sd):
        return number(summary.mean, digits)
    return f"{summary.mean:.{digits}f} ± {summary.sd:.{digits}f}"


def probability(value: float) -> str:
    """A p value."""
    if math.isnan(value):
        return NOTHING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def structure_table(cases: Sequence[CaseResult], measure: str, *, all_frames: bool) -> str:
    """One measure: a row for each method, a column for each structure, and one for the mean of the cases' means.

    The heading counts the cases that have the structure; a cell in which fewer values are defined says so.
    """
    digits = MEASURES[measure][1]
    structures = structures_of(cases)
    counts = {s: sum(s in case.structures for case in cases) for s in structures}
    rows = []
    for method in method_names(cases):
        row = [method]
        for s in structures:
            values = [
                case.value(method, s, measure, all_frames=all_frames) for case in cases if s in case.structures
            ]
            row.append(cell_text(summarise(values), digits, counts[s]))
        if len(structures) > 1:
            means = [case.mean(method, measure, all_frames=all_frames) for case in cases]
            row.append(cell_text(summarise(means), digits, len(cases)))
        rows.append(row)
    header = ["method", *(f"{s.name} (n = {counts[s]})" for s in structures)]
    header += [f"mean (n = {len(cases)})"] if len(structures) > 1 else []
    return markdown_table(header, rows)


def cell_text(summary: Summary, digits: int, expected: int) -> str:
    """Mean ± SD; with their number where fewer values than expected are defined."""
    text = mean_and_sd(summary, digits)
    return text if summary.n in (0, expected) else f"{text} (n = {summary.n})"


def image_table(cases: Sequence[CaseResult], *, all_frames: bool) -> str:
    """Likeness of images and regularity of fields: a row for each method."""
    rows = []
    for method in method_names(cases):

        def cell(measure: str, digits: int, scale: float = 1.0, name: str = method) -> str:
            values = [scale * case.frame_value(name, measure, all_frames=all_frames) for case in cases]
            return mean_and_sd(summarise(values), digits)

        row = [method, cell("rmse", 3), cell("ssim", 3)]
        if method == UNREGISTERED:
            rows.append([*row, NOTHING, NOTHING, NOTHING])
            continue
        folded = sum(
            case.methods[method].motion_fields[t].folded_voxels for case in cases for t in case.frames(all_frames)
        )
        rows.append([*row, cell("folds", 4, 100.0), str(folded), cell("sd_log_jacobian", 3)])
    return markdown_table(["method", "RMSE", "SSIM", "folds, %", "folded voxels", "SD log J"], rows)


def gradient_table(cases: Sequence[CaseResult]) -> str:
    """Temporal gradient of the fields, mm per frame, of the cines; the unregistered does not move."""
    cines = [case for case in cases if not case.is_pair]
    structures = structures_of(cines)
    rows = [[UNREGISTERED, *("0.00" for _ in structures)]]
    for method in method_names(cines)[1:]:
        gradients = [case.methods[method].temporal_gradient for case in cines]
        rows.append(
            [method, *(mean_and_sd(summarise([g[s] for g in gradients if s in g]), 2) for s in structures)]
        )
    return markdown_table(["method", *(s.name for s in structures)], rows)


def ejection_table(cases: Sequence[CaseResult]) -> str:
    """Ejection fractions and their errors in percentage points."""
    rows = []
    for method in method_names(cases):
        for ventricle in (Label.LV, Label.RV):
            found = [case.methods[method].ejection for case in cases]
            pairs = [ejections[ventricle] for ejections in found if ventricle in ejections]
            if pairs:
                rows.append(
                    [
                        method,
                        f"{ventricle.name} (n = {len(pairs)})",
                        mean_and_sd(summarise([p.truth for p in pairs]), 1),
                        mean_and_sd(summarise([p.found for p in pairs]), 1),
                        mean_and_sd(summarise([p.error for p in pairs]), 1),
                        number(summarise([abs(p.error) for p in pairs]).mean, 1),
                    ]
                )
    header = ["method", "ventricle", "true EF, %", "EF, %", "error, points", "mean absolute error"]
    return markdown_table(header, rows)


def time_table(cases: Sequence[CaseResult]) -> str:
    """Seconds for the motion of one case."""
    rows = [
        [method, mean_and_sd(summarise([case.methods[method].seconds for case in cases]), 2)]
        for method in method_names(cases)[1:]
    ]
    return markdown_table(["method", "s per case"], rows)


def significance_table(cases: Sequence[CaseResult]) -> str:
    """Every two methods against each other, on the cases' means over their structures at ES."""
    rows = []
    for measure in TESTED:
        values = {name: [case.mean(name, measure) for case in cases] for name in method_names(cases)}
        rows += paired_rows(MEASURES[measure][0], values, MEASURES[measure][1] + 1)
    return markdown_table(PAIRED_HEADER, rows)


PAIRED_HEADER = ("measure", "methods", "n", "mean difference", "p, paired t", "p, Wilcoxon")
"""Columns of `paired_rows`."""


def paired_rows(measure: str, values: Mapping[str, Sequence[float]], digits: int) -> list[list[str]]:
    """Every two methods against each other; values by method, in one order."""
    rows = []
    for first, second in combinations(values, 2):
        test = paired_test(values[second], values[first])
        rows.append(
            [
                measure,
                f"{second} against {first}",
                str(test.n),
                NOTHING if math.isnan(test.mean_difference) else f"{test.mean_difference:+.{digits}f}",
                probability(test.t_p),
                probability(test.wilcoxon_p),
            ]
        )
    return rows


def case_table(cases: Sequence[CaseResult]) -> str:
    """What was evaluated."""
    rows = [
        [
            case.name,
            "pair" if case.is_pair else "cine",
            str(case.slices),
            "ED → ES" if case.is_pair else f"{case.source} → {case.es}",
            str(len(case.targets)),
            ", ".join(s.name for s in case.structures),
        ]
        for case in cases
    ]
    return markdown_table(["case", "kind", "slices", "frames ED → ES", "target frames", "structures"], rows)
