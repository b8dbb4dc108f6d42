from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cardiac_motion.datasets import find_dataset, folds
from cardiac_motion.errors import InputError
from cardiac_motion.evaluation.segmentation import evaluate_segmentation, merge_folds
from cardiac_motion.evaluation.selection import Selection

WIDTHS = {"a": (8, 4), "b": (10, 5), "c": (6, 3), "d": (12, 5)}


@pytest.fixture
def parts(write_blocks: Any, reader: Any, tmp_path: Path) -> list[Path]:
    """The reports of two folds, each with weights of its own."""
    folder = write_blocks(WIDTHS)
    split = folds(find_dataset(folder).cases, 2)
    made = []
    for fold in range(2):
        made.append(tmp_path / f"fold{fold}")
        models = {"true": reader(), "shifted": reader(shift=1, weights_checksum=f"{fold}" * 64)}
        evaluate_segmentation(folder, models=models, output=made[-1], selection=Selection(split, fold))
    return made


def test_folds_together_are_the_whole_data_set(
    parts: list[Path], write_blocks: Any, reader: Any, tmp_path: Path
) -> None:
    merged = merge_folds(parts[::-1], tmp_path / "all")
    models = {"true": reader(), "shifted": reader(shift=1)}
    whole = evaluate_segmentation(tmp_path / "data", models=models, output=tmp_path / "whole")
    assert [case.name for case in merged.cases] == list(WIDTHS)
    for name in ("a", "d"):
        here, there = (next(case for case in report.cases if case.name == name) for report in (merged, whole))
        assert here.methods["shifted"].scores == there.methods["shifted"].scores
        assert here.methods["shifted"].volumes == there.methods["shifted"].volumes
    text = (tmp_path / "all" / "summary.md").read_text()
    dice = "## Whole stack\n\n### Dice\n"
    tables = [report.split(dice)[1].split("###")[0] for report in (text, whole.markdown())]
    assert tables[0] == tables[1]
    assert "| shifted | reader | 1 | 000000000000, 111111111111 |" in text
    assert "Of the data set: all 2 folds" in text
    by_fold = [
        np.mean([case.mean("shifted", "dice_stack", "all") for case in merged.cases if case.fold == k])
        for k in (0, 1)
    ]
    summary = f"{np.mean(by_fold):.3f} ± {np.std(by_fold, ddof=1):.3f}"
    assert f"| shifted | Dice | {by_fold[0]:.3f} | {by_fold[1]:.3f} | {summary} |" in text
    written = json.loads((tmp_path / "all" / "report.json").read_text())
    assert written == merged.to_json()
    assert {case["fold"] for case in written["cases"]} == {0, 1}


def changed(folder: Path, change: Callable[[Any], None]) -> None:
    content = json.loads((folder / "report.json").read_text())
    change(content)
    (folder / "report.json").write_text(json.dumps(content))


def test_what_does_not_belong_together_is_refused(parts: list[Path], reader: Any, tmp_path: Path) -> None:
    output = tmp_path / "all"
    with pytest.raises(InputError, match="expected reports of all 2 folds, got none of 0"):
        merge_folds(parts[1:], output)
    with pytest.raises(InputError, match="expected another folder for the output"):
        merge_folds(parts, parts[0])
    copy = tmp_path / "copy"
    shutil.copytree(parts[0], copy)
    with pytest.raises(InputError, match="expected each fold once, got fold 0 twice"):
        merge_folds([parts[0], copy], output)
    changed(copy, lambda content: content["fold"].update(number=1))
    with pytest.raises(InputError, match=r"expected every patient in one fold, got \w in folds 0 and 1"):
        merge_folds([parts[0], copy], output)
    changed(copy, lambda content: content["methods"][0].update(model="other"))
    with pytest.raises(InputError, match=r"copy: expected the methods of .*fold0, true \(model reader"):
        merge_folds([parts[0], copy], output)
    evaluate_segmentation(tmp_path / "data", models={"true": reader()}, output=tmp_path / "whole")
    with pytest.raises(InputError, match="whole: expected the report of a fold, got one of a whole data set"):
        merge_folds([tmp_path / "whole", *parts], output)
    assert not output.exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("cases"),
        lambda c: c.update(cases=[]),
        lambda c: c.update(version=2),
        lambda c: c.update(kind="motion"),
        lambda c: c["fold"].update(number=7),
        lambda c: c["fold"].update(of=1e300),
        lambda c: c["cases"][0].update(structures=["heart"]),
        lambda c: c["cases"][0].update(ed=5),
        lambda c: c["cases"][0]["methods"].pop("true"),
        lambda c: c["cases"][0]["methods"]["true"]["scores"][0].update(frame=9),
        lambda c: c["cases"][0]["methods"]["true"]["scores"][0].update(dice_stack="much"),
    ],
)
def test_a_damaged_report_is_bad_input(parts: list[Path], tmp_path: Path, change: Callable[[Any], None]) -> None:
    changed(parts[1], change)
    with pytest.raises(InputError, match=r"fold1.report.json: "):
        merge_folds(parts, tmp_path / "all")
    assert not (tmp_path / "all").exists()
