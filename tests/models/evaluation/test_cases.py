from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cardiac_motion.datasets import CaseData
from cardiac_motion.errors import GeometryWarning, InputError
from cardiac_motion.evaluation.cases import Case, case_of
from cardiac_motion.labels import Label


def test_frames_without_labels_are_no_targets(study: Any) -> None:
    labels = study.labels.copy()
    labels[[0, 3]] = 0
    case = Case.of(study.cine, labels)
    assert (case.labelled, case.source, case.targets, case.es) == ((1, 2), 1, (2,), 2)


def test_es_of_atria_is_where_they_differ_most(study: Any) -> None:
    atrium = np.where(study.labels == Label.LV, np.uint8(Label.LA), np.uint8(0))
    assert Case.of(study.cine, atrium).es == 2


def test_one_labelled_frame_is_too_few(study: Any) -> None:
    labels = study.labels.copy()
    labels[1:] = 0
    with pytest.raises(InputError, match=r"at least 2 frames, got labels on \[0\]"):
        Case.of(study.cine, labels)


def test_what_a_data_set_says_of_ed_and_es_counts(study: Any) -> None:
    labels = {t: study.labels[t] for t in (0, 2, 3)}
    case = case_of("heart", CaseData(study.cine, labels, ed=3, es=0))
    assert (case.name, case.cine.name, case.labelled) == ("heart", "heart", (0, 2, 3))
    assert (case.source, case.es, case.targets) == (3, 0, (0, 2))
    assert not case.labels[1].any()
    np.testing.assert_array_equal(case.labels[[0, 2, 3]], study.labels[[0, 2, 3]])
    # Stated, but without labels: what can be read off the others.
    case = case_of("heart", CaseData(study.cine, labels, ed=1))
    assert (case.source, case.es) == (0, 2)


def test_structures_that_were_not_looked_for_everywhere_are_not_scored(study: Any) -> None:
    labels = {t: study.labels[t] for t in (0, 2)}
    every = frozenset((Label.RV, Label.MYO, Label.LV))
    data = CaseData(study.cine, labels, drawn={0: every, 2: every - {Label.MYO}})
    assert case_of("heart", data).structures == (Label.RV, Label.LV)
    with pytest.raises(InputError, match=r"drawn in all of the frames \[0, 2\]"):
        case_of("heart", CaseData(study.cine, labels, drawn={0: every, 2: frozenset()}))


def test_what_is_unusual_is_told(study: Any) -> None:
    data = CaseData(study.cine, {0: study.labels[0], 2: study.labels[2]}, notes=("its times are guessed",))
    with pytest.warns(GeometryWarning, match="heart: its times are guessed"):
        case_of("heart", data)
