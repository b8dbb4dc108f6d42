"""The segmentation tables of the papers, with our models in their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cardiac_motion.evaluation.segmentation.results import CaseResult, Method
from cardiac_motion.evaluation.segmentation.scores import MEASURES
from cardiac_motion.evaluation.segmentation.tables import measure_cell
from cardiac_motion.evaluation.tables import markdown_table
from cardiac_motion.labels import Label

VENTRICLES = (Label.LV, Label.MYO, Label.RV)
"""What the papers segment, in their order."""

DEUNET_ROWS: Mapping[str, str] = {
    "unet": "U-Net",
    "deunet_flow": "ToFlow U-Net",
    "deunet_t": "DeU-Net(t)",
    "deunet_d": "DeU-Net(d)",
    "deunet": "DeU-Net",
}
"""Rows of DeU-Net's table 1 by the model that stands in them here."""

NOT_REPRODUCED = ("kU-Net", "GridNet", "Attention U-Net")
"""Its other rows."""

_DEUNET_MEASURES: Mapping[str, str] = {"assd_stack": "ASSD, mm", "hausdorff_stack": "HD, mm", "dice_stack": "Dice"}


def paper_tables(cases: Sequence[CaseResult], methods: Sequence[Method]) -> list[str]:
    """Headings, tables and what must be known beside them; nothing where no case has a ventricle.

    Methods that start from true labels have no place in them.
    """
    methods = [method for method in methods if not method.is_given_ed]
    cases = [case for case in cases if set(VENTRICLES) & set(case.structures)]
    if not cases or not methods:
        return []
    ordered = sorted(methods, key=_place)
    rows = [DEUNET_ROWS[method.model] for method in ordered if method.model in DEUNET_ROWS]
    missing = [name for name in DEUNET_ROWS.values() if name not in rows]
    notes = [
        "Our own figures on this data set, over whole stacks; those of the papers are on other patients. The "
        "average is over LV, MYO and RV, and all labelled frames as above.",
        "U-Net is here the modified U-Net of Upendra et al. (residual context blocks, deep supervision).",
        f"Not reproduced: {', '.join(NOT_REPRODUCED)}.",
    ]
    if missing:
        notes.insert(2, f"Of its other rows not evaluated here: {', '.join(missing)}.")
    parts = ["### DeU-Net (Dong et al. 2020), table 1"]
    parts += [_deunet_table(cases, ordered, measure) for measure in _DEUNET_MEASURES]
    parts.append(" ".join(notes))
    parts += [
        "### Joint motion and segmentation (Qin et al. 2018), table 1, row *Seg only*",
        _qin_table(cases, ordered),
        "Dice over all labelled frames as above, mean (SD). The paper's row is the segmentation branch of its own "
        "network, trained alone; here every model stands in it that segments from the images without estimating "
        "motion. Not evaluated here: Joint model.",
        "### Upendra et al.",
        "The paper has no figures for its segmentation: its table 1 is of motion, and the network's labels are "
        "the truth of its *silver* standard. Its U-Net is `unet` above.",
    ]
    return parts


def _place(method: Method) -> int:
    """Of a method among the paper's rows; others come last, in their own order."""
    models = list(DEUNET_ROWS)
    return models.index(method.model) if method.model in models else len(models)


def _named(method: Method) -> str:
    paper = DEUNET_ROWS.get(method.model)
    return method.name if paper is None else f"{paper} (`{method.name}`)"


def _deunet_table(cases: Sequence[CaseResult], methods: Sequence[Method], measure: str) -> str:
    digits = MEASURES[measure][1]
    columns: list[tuple[str, str, Sequence[Label]]] = [
        (f"{s.name} {time}", time, (s,)) for s in VENTRICLES for time in ("ED", "ES")
    ]
    columns.append(("average", "all", VENTRICLES))
    rows = [
        [_named(m), *(measure_cell(cases, m.name, measure, time, s, digits) for _, time, s in columns)]
        for m in methods
    ]
    return markdown_table([_DEUNET_MEASURES[measure], *(title for title, _, _ in columns)], rows)


def _qin_table(cases: Sequence[CaseResult], methods: Sequence[Method]) -> str:
    rows = [
        [_named(m), *(_in_brackets(measure_cell(cases, m.name, "dice_stack", "all", (s,), 4)) for s in VENTRICLES)]
        for m in methods
    ]
    return markdown_table(["Dice", *(s.name for s in VENTRICLES)], rows)


def _in_brackets(text: str) -> str:
    """Mean (SD), as this paper has it."""
    mean, plus_minus, sd = text.partition(" ± ")
    return f"{mean} ({sd})" if plus_minus else text
