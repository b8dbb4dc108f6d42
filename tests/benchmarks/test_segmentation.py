"""The shipped weights are about as good as `docs/results.md` says: on phantoms, and on real cines."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import mean

import pytest
from cardiac_motion.labels import Label
from cardiac_motion.segmentation.registry import segmentation_model

from benchmarks.segmentation import Case, empty_slices, phantom_cases, real_cases, score

Scores = dict[tuple[str, str], list[float]]


def scores(cases: Iterable[Case]) -> tuple[Scores, int]:
    """Dice over the slices that hold a structure, by its name and phase, and mid-ventricular slices left empty."""
    model = segmentation_model("unet")
    found: Scores = {}
    empty = 0
    for case in cases:
        result = model.segment(case.cine, frames=sorted(case.frames.values()))
        for phase, t in case.frames.items():
            labels = result.labels[result.frames.index(t)]
            empty += empty_slices(labels, case.truth[phase])
            for structure in case.structures:
                found.setdefault((structure.name, phase), []).append(
                    score(labels, case.truth[phase], structure)[0]
                )
    return found, empty


def test_phantoms() -> None:
    found, empty = scores(phantom_cases(2, frames=5))
    assert empty == 0
    assert {key: len(values) for key, values in found.items()} == {
        (structure.name, phase): 2 for structure in (Label.RV, Label.MYO, Label.LV) for phase in ("ED", "ES")
    }
    assert min(mean(values) for values in found.values()) >= 0.88
    assert mean(mean(values) for values in found.values()) >= 0.92


@pytest.mark.usefixtures("real_data")
def test_real_hearts() -> None:
    found, empty = scores(real_cases())
    assert empty == 0
    assert mean(found["LV", "ED"]) >= 0.90
    assert mean(found["LV", "ES"]) >= 0.85
    assert min(found["LV", "ED"] + found["LV", "ES"]) >= 0.75
    assert mean(found["MYO", "ED"] + found["MYO", "ES"]) >= 0.70
    assert min(found["RV", "ED"] + found["RV", "ES"]) >= 0.78
