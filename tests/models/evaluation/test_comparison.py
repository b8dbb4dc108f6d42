from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from cardiac_motion.errors import InputError
from cardiac_motion.evaluation import UNREGISTERED, compare_with_truth, comparison_table
from cardiac_motion.labels import Label
from cardiac_motion.metrics import dice_stack


def rows_by_name(rows: list[Any]) -> dict[tuple[str, Label], Any]:
    return {(row.method, row.structure): row for row in rows}


def test_the_truth_is_perfect_and_the_unregistered_beside_it_is_not(study: Any) -> None:
    rows = rows_by_name(compare_with_truth(study.labels, {"truth": study.labels}, spacing=study.cine.spacing))
    assert set(rows) == {(m, s) for m in (UNREGISTERED, "truth") for s in (Label.RV, Label.MYO, Label.LV)}
    perfect, before = rows["truth", Label.LV], rows[UNREGISTERED, Label.LV]
    assert (perfect.dice_es, perfect.dice_all, perfect.dice_stack_es, perfect.hausdorff_all) == (1, 1, 1, 0)
    assert perfect.ejection_fraction == perfect.true_ejection_fraction == before.true_ejection_fraction
    assert before.ejection_fraction == 0.0
    assert before.dice_es < before.dice_all < 1
    assert before.hausdorff_es > 3
    wall = rows["truth", Label.MYO]
    assert math.isnan(wall.ejection_fraction)
    assert wall.to_json()["ejection_fraction"] is None


def test_figures_are_means_over_the_frames_that_were_not_given(study: Any) -> None:
    labels = np.roll(study.labels, 1, axis=2)
    rows = compare_with_truth(study.labels, {"moved": labels}, spacing=study.cine.spacing, skip_frames=[1])
    row = rows_by_name(rows)["moved", Label.LV]
    dice = {t: dice_stack(study.labels[t] == Label.LV, labels[t] == Label.LV) for t in range(4)}
    assert row.dice_stack_es == pytest.approx(dice[2])
    assert row.dice_stack_all == pytest.approx((dice[2] + dice[3]) / 2)


def test_es_among_the_key_frames_has_no_figure(study: Any) -> None:
    rows = compare_with_truth(study.labels, {"same": study.labels}, spacing=study.cine.spacing, skip_frames=[2])
    assert math.isnan(rows_by_name(rows)["same", Label.LV].dice_es)
    assert "nan" not in comparison_table(rows)


def test_the_table_has_the_methods_of_a_structure_below_each_other(study: Any) -> None:
    rows = compare_with_truth(
        study.labels, {"one": study.labels, "two": np.roll(study.labels, 1, axis=3)}, spacing=study.cine.spacing
    )
    lines = [line.split(" | ") for line in comparison_table(rows).splitlines()[2:]]
    assert [line[0].strip("| ") for line in lines] == ["RV"] * 3 + ["MYO"] * 3 + ["LV"] * 3
    assert [line[1] for line in lines[:3]] == [UNREGISTERED, "one", "two"]
    assert lines[1][2] == "1.000"


def test_atria_alone_have_no_ejection_fraction(study: Any) -> None:
    atrium = np.where(study.labels == Label.LV, np.uint8(Label.LA), np.uint8(0))
    before, perfect = compare_with_truth(atrium, {"same": atrium}, spacing=study.cine.spacing)
    assert (perfect.structure, perfect.dice_es) == (Label.LA, 1.0)
    assert before.dice_es < 0.9
    assert math.isnan(perfect.ejection_fraction)


def test_shapes_and_frames_are_checked(study: Any) -> None:
    spacing = study.cine.spacing
    with pytest.raises(InputError, match="labels of one: expected the shape of the truth"):
        compare_with_truth(study.labels, {"one": study.labels[1:]}, spacing=spacing)
    with pytest.raises(InputError, match="some left to compare"):
        compare_with_truth(study.labels, {}, spacing=spacing, skip_frames=[1, 2, 3])
    with pytest.raises(InputError, match="frames from 0 to 3"):
        compare_with_truth(study.labels, {}, spacing=spacing, skip_frames=[7])
