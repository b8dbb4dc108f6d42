"""Cases to evaluate segmentation on: cines of which some frames have labels."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cardiac_motion.cine import Cine
from cardiac_motion.datasets import Case, CaseData
from cardiac_motion.errors import GeometryWarning, InputError
from cardiac_motion.evaluation.cases import end_systole_of
from cardiac_motion.labels import Label

Labels = npt.NDArray[np.uint8]

ORDER = (Label.LV, Label.MYO, Label.RV, Label.LA, Label.RA)
"""Of structures in the tables, as in those of the papers."""


@dataclass(frozen=True, eq=False)
class SegmentationCase:
    """A cine with the truth of some of its frames.

    Attributes:
        name: of the case.
        patient: whose it is.
        cine: (T, Z, Y, X).
        truth: (Z, Y, X) by labelled frame, in order.
        drawn: structures that were looked for, by labelled frame; only such as the truth holds in any of them.
        ed: the labelled frame of end-diastole, None where there is none.
        es: that of end-systole, likewise.
        is_pair: it came as two frames without times.
    """

    name: str
    patient: str
    cine: Cine
    truth: Mapping[int, Labels]
    drawn: Mapping[int, frozenset[Label]]
    ed: int | None
    es: int | None
    is_pair: bool = False

    @property
    def frames(self) -> tuple[int, ...]:
        """The labelled frames."""
        return tuple(self.truth)

    @property
    def structures(self) -> tuple[Label, ...]:
        """Those that the truth holds in any frame."""
        return tuple(s for s in ORDER if any(s in drawn for drawn in self.drawn.values()))

    @property
    def view(self) -> str:
        """As models declare it: "lax" of a single slice, "sax" of a stack."""
        return "lax" if self.cine.shape[1] == 1 else "sax"


def segmentation_case(case: Case, data: CaseData) -> SegmentationCase:
    """The case that a data set's case is for an evaluation of segmentation.

    ED and ES are the frames that the data set states, as far as they have labels. Where it states neither, ED is
    the first frame with labels and ES is read off the true volumes. What is unusual about the files is told in a
    warning.

    Raises:
        InputError: no frame with labels, or nothing in any of them.
    """
    if data.notes:
        warnings.warn(f"{case.id}: {'; '.join(data.notes)}", GeometryWarning, stacklevel=2)
    drawn = data.drawn or {}
    held = {s for s in ORDER if any(s in drawn[t] and (labels == s).any() for t, labels in data.labels.items())}
    if not held:
        raise InputError(f"{case.id}: evaluation needs a frame with labels, got none")
    ed, es = (frame if frame in data.labels else None for frame in (data.ed, data.es))
    if data.ed is None and data.es is None:
        ed = next(iter(data.labels))
    if data.es is None and ed is not None and sum(labels.any() for labels in data.labels.values()) > 1:
        whole = np.zeros(data.cine.shape, np.uint8)
        for frame, labels in data.labels.items():
            whole[frame] = labels
        es = end_systole_of(whole, data.cine.spacing, source=ed)
    return SegmentationCase(
        name=case.id,
        patient=case.patient,
        cine=data.cine,
        truth=dict(data.labels),
        drawn={frame: frozenset(structures & held) for frame, structures in drawn.items()},
        ed=ed,
        es=es,
        is_pair=data.is_pair,
    )
