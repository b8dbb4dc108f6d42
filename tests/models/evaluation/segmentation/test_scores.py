from __future__ import annotations

import math
from dataclasses import astuple
from typing import Any

import numpy as np
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.datasets import Case, CaseData
from cardiac_motion.errors import InputError
from cardiac_motion.evaluation.segmentation.cases import segmentation_case
from cardiac_motion.evaluation.segmentation.scores import score_segmentation
from cardiac_motion.evaluation.segmentation.volumes import Measured, agreement, measure_volumes
from cardiac_motion.labels import Label

SPACING = (10.0, 1.0, 1.0)


def squares(**columns: int) -> np.ndarray:
    """(4, 12, 12) with an LV of 4 x 4 pixels in some slices, from a column on."""
    labels = np.zeros((4, 12, 12), np.uint8)
    for name, column in columns.items():
        labels[int(name[1:]), 3:7, column : column + 4] = Label.LV
    return labels


def test_one_slice_shifted_one_missed_and_one_too_many() -> None:
    score = score_segmentation(Label.LV, squares(z1=4, z2=4), squares(z1=5, z3=4), SPACING)
    assert score.dice_stack == pytest.approx(2 * 12 / (32 + 32))
    assert score.dice_held == pytest.approx(2 * 12 / (32 + 16))
    # Slice 3 has the truth of slice 2 one slice away; without it the column beside slice 1's square is further.
    assert score.hausdorff_stack == pytest.approx(10.0)
    assert score.hausdorff_held == pytest.approx(math.sqrt(101))
    # Of every voxel: 4 of the truth in slice 1 and 4 that were found there are 1 mm off, slice 2 is a slice off.
    assert score.assd_held == pytest.approx((4 + 4 + 12 * 10 + 4 * math.sqrt(101)) / (32 + 16))
    assert score.assd_stack == pytest.approx((4 + 4 + 16 * 10 + 16 * 10) / (32 + 32))
    assert (score.held_slices, score.missed_slices, score.extra_slices) == (2, 1, 1)
    assert not score.is_absent
    assert not score.is_missed


def test_slices_on_both_sides_of_a_gap_keep_their_distance() -> None:
    score = score_segmentation(Label.LV, squares(z0=4, z2=4), squares(z0=4, z1=4), SPACING)
    assert score.hausdorff_held == pytest.approx(20.0)


def test_what_is_empty_has_no_distance() -> None:
    nothing, square = squares(), squares(z1=4)
    neither = score_segmentation(Label.LV, nothing, nothing, SPACING)
    assert np.isnan(astuple(neither)[:6]).all()
    assert neither.is_absent
    assert neither.is_missed
    missed = score_segmentation(Label.LV, square, nothing, SPACING)
    assert (missed.dice_stack, missed.dice_held, missed.missed_slices) == (0.0, 0.0, 1)
    assert np.isnan([missed.hausdorff_stack, missed.assd_stack, missed.hausdorff_held, missed.assd_held]).all()
    assert missed.is_missed
    invented = score_segmentation(Label.LV, nothing, square, SPACING)
    assert (invented.dice_stack, invented.extra_slices) == (0.0, 1)
    assert np.isnan([invented.hausdorff_stack, invented.dice_held]).all(), "no slice holds it"
    assert invented.is_absent


def data(**given: Any) -> CaseData:
    frames = 4
    cine = Cine(np.zeros((frames, 4, 12, 12), np.float32), np.diag([1.0, 1, 10, 1]), np.arange(frames) * 0.1)
    return CaseData(cine, **given)


def case(read: CaseData) -> Case:
    return Case("name", "patient", has_labels=True, read=lambda: read)


def test_ed_and_es_are_those_stated_and_labelled() -> None:
    large, small = squares(z1=4, z2=4), squares(z1=4)

    def phases(**given: Any) -> tuple[int | None, int | None]:
        read = data(**given)
        found = segmentation_case(case(read), read)
        return found.ed, found.es

    assert phases(labels={1: large, 2: small, 3: large}, ed=1, es=3) == (1, 3)
    assert phases(labels={1: large, 2: large, 3: small}) == (1, 3), "read off the volumes"
    assert phases(labels={1: large, 2: small}, ed=1) == (1, 2)
    assert phases(labels={1: large, 2: small}, ed=0, es=2) == (None, 2), "ED has no labels"
    assert phases(labels={2: large}) == (2, None)
    with pytest.raises(InputError, match="name: evaluation needs a frame with labels, got none"):
        phases(labels={2: squares()})


def test_a_structure_that_was_drawn_at_ed_alone_is_scored_there_alone() -> None:
    labels = squares(z1=4)
    labels[1, 8] = Label.MYO
    drawn = {0: frozenset({Label.LV, Label.MYO, Label.RV}), 2: frozenset({Label.LV})}
    read = data(labels={0: labels, 2: squares(z1=4)}, drawn=drawn)
    found = segmentation_case(case(read), read)
    assert found.structures == (Label.LV, Label.MYO), "there is no RV in the truth"
    assert found.drawn == {0: {Label.LV, Label.MYO}, 2: {Label.LV}}


def test_volumes_are_those_of_ed_and_es() -> None:
    true = {0: squares(z1=4, z2=4), 2: squares(z1=4)}
    read = data(labels=true, ed=0, es=2)
    stack = segmentation_case(case(read), read)
    found = measure_volumes(stack, {0: squares(z1=4, z2=4, z3=4), 2: squares(z1=4)}, [Label.LV])
    # 16 pixels of 1 mm² over 10 mm are 0.16 ml.
    assert {name: astuple(measured) for name, measured in found.items()} == {
        "LV EDV": pytest.approx((0.32, 0.48)),
        "LV ESV": pytest.approx((0.16, 0.16)),
        "LV EF": pytest.approx((50.0, 100 * 2 / 3)),
    }
    nothing = measure_volumes(stack, {0: squares(), 2: squares(z1=4)}, [Label.LV])
    assert nothing["LV EDV"].found == 0
    assert math.isnan(nothing["LV EF"].found)
    assert measure_volumes(stack, true, [Label.RV]) == {}
    assert set(measure_volumes(stack, true, [Label.LV], given=0)) == {"LV ESV", "LV EF"}
    single = CaseData(
        Cine(np.zeros((3, 1, 12, 12), np.float32), np.eye(4), np.arange(3) * 0.1),
        {t: x[1:2] for t, x in true.items()},
    )
    assert measure_volumes(segmentation_case(case(single), single), true, [Label.LV]) == {}


def test_agreement_is_that_of_bland_and_altman() -> None:
    pairs = [Measured(t, t + e) for t, e in zip((50, 60, 70, 80, 90), (1, -1, 2, -2, 5), strict=True)]
    found = agreement([*pairs, Measured(40, math.nan)])
    assert found.truth.n == 5
    assert found.bias.mean == pytest.approx(1.0)
    # Deviations 0, -2, 1, -3, 4: squares sum to 30, over 4.
    assert found.bias.sd == pytest.approx(math.sqrt(7.5))
    assert found.limits == pytest.approx((1 - 1.96 * math.sqrt(7.5), 1 + 1.96 * math.sqrt(7.5)))
    assert found.absolute == pytest.approx(11 / 5)
    truth, other = np.array([-20, -10, 0, 10, 20]), np.array([51, 59, 72, 78, 95]) - 71.0
    assert found.correlation == pytest.approx((truth @ other) / math.sqrt((truth @ truth) * (other @ other)))
    few = agreement(pairs[:4])
    assert few.bias.mean == pytest.approx(0.0)
    assert np.isnan([*few.limits, few.correlation]).all()
    assert math.isnan(agreement([Measured(60, 50 + k) for k in range(5)]).correlation), "the truth does not vary"
    assert agreement([]).truth.n == 0
