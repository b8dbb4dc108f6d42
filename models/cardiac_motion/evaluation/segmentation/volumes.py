"""Volumes, ejection fractions and mass found against the true ones, and how well they agree."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cardiac_motion.analysis.volumes import ejection_fraction, mass_g, volumes_ml
from cardiac_motion.evaluation.results import Summary, summarise
from cardiac_motion.evaluation.segmentation.cases import SegmentationCase
from cardiac_motion.labels import Label

Labels = npt.NDArray[np.uint8]

ENOUGH = 5
"""Patients from which on a correlation and limits of agreement are given."""

QUANTITIES: Mapping[str, str] = {
    "LV EDV": "ml",
    "LV ESV": "ml",
    "LV EF": "points",
    "RV EDV": "ml",
    "RV ESV": "ml",
    "RV EF": "points",
    "MYO mass": "g",
}
"""Units of what is compared; ejection fractions are percent, and their errors percentage points."""


@dataclass(frozen=True)
class Measured:
    """A quantity of the truth and of what was found; NaN where what was found has none."""

    truth: float
    found: float

    @property
    def error(self) -> float:
        """Found minus true."""
        return self.found - self.truth


def measure_volumes(
    case: SegmentationCase, found: Mapping[int, Labels], structures: Sequence[Label], *, given: int | None = None
) -> dict[str, Measured]:
    """What can be read off a stack's labels at ED and ES, those of the truth: by name, as in `QUANTITIES`.

    A single slice has an area and no volume, and a ventricle without truth at ED nothing to compare with.

    Args:
        case: with the truth.
        found: (Z, Y, X) by frame, ED and ES among them where the case has them.
        structures: that are compared.
        given: a frame whose truth the model was given; volumes of that frame are not compared.
    """
    result: dict[str, Measured] = {}
    if case.cine.shape[1] == 1:
        return result
    true, other = (_volumes(case, labels) for labels in (case.truth, found))
    for s in (Label.LV, Label.RV):
        at_ed, at_es = ((s, frame) for frame in (case.ed, case.es))
        if s not in structures or not true.get(at_ed, 0) > 0:
            continue
        if case.ed != given:
            result[f"{s.name} EDV"] = Measured(true[at_ed], other[at_ed])
        if at_es in true:
            result[f"{s.name} ESV"] = Measured(true[at_es], other[at_es])
            fractions = (
                ejection_fraction([each[at_ed], each[at_es]], ed=0, es=1) if each[at_ed] > 0 else math.nan
                for each in (true, other)
            )
            result[f"{s.name} EF"] = Measured(*fractions)
    wall = (Label.MYO, case.ed)
    if Label.MYO in structures and case.ed != given and true.get(wall, 0) > 0:
        result["MYO mass"] = Measured(mass_g(true[wall]), mass_g(other[wall]))
    return result


def _volumes(case: SegmentationCase, labels: Mapping[int, Labels]) -> dict[tuple[Label, int | None], float]:
    """Volume in ml by structure and frame, of those that were looked for at ED and at ES."""
    found: dict[tuple[Label, int | None], float] = {}
    for frame in (case.ed, case.es):
        if frame is None:
            continue
        volumes = volumes_ml(labels[frame], case.cine.spacing)
        for s in case.drawn[frame]:
            found[s, frame] = float(volumes[s][0]) if s in volumes else 0.0
    return found


@dataclass(frozen=True)
class Agreement:
    """A quantity over the patients in whom it is defined on both sides.

    Attributes:
        truth: of the true values.
        found: of those found.
        bias: of the errors, found minus true; its SD with it.
        absolute: mean absolute error.
        limits: of agreement, bias ± 1.96 SD; NaN with fewer than `ENOUGH` patients.
        correlation: Pearson's r, likewise; NaN, too, where either side does not vary.

    Source: Bland and Altman 1986.
    """

    truth: Summary
    found: Summary
    bias: Summary
    absolute: float
    limits: tuple[float, float]
    correlation: float


def agreement(pairs: Sequence[Measured]) -> Agreement:
    """How well found and true values agree; pairs with NaN are left out."""
    defined = [pair for pair in pairs if not math.isnan(pair.error)]
    truth, found = (np.array([getattr(pair, name) for pair in defined]) for name in ("truth", "found"))
    bias = summarise((found - truth).tolist())
    enough = len(defined) >= ENOUGH
    varies = enough and truth.std() > 0 and found.std() > 0
    return Agreement(
        truth=summarise(truth.tolist()),
        found=summarise(found.tolist()),
        bias=bias,
        absolute=float(np.abs(found - truth).mean()) if defined else math.nan,
        limits=(bias.mean - 1.96 * bias.sd, bias.mean + 1.96 * bias.sd) if enough else (math.nan, math.nan),
        correlation=float(np.corrcoef(truth, found)[0, 1]) if varies else math.nan,
    )
