"""What an evaluation of segmentation measured, case by case and method by method, and how it is averaged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cardiac_motion.evaluation.segmentation.cases import ORDER
from cardiac_motion.evaluation.segmentation.scores import SegmentationScore
from cardiac_motion.evaluation.segmentation.volumes import Measured
from cardiac_motion.labels import Label
from cardiac_motion.metrics import mean_where_defined

TIMES: Mapping[str, str] = {"ED": "ED", "ES": "ES", "all": "all labelled frames"}
"""When figures are given, and what that is called in tables."""


@dataclass(frozen=True)
class Method:
    """A model that was evaluated.

    Attributes:
        name: in the tables.
        model: name of the model.
        version: of its code.
        weights: SHA-256 of its weights; of several folds one for each, in their order.
        is_given_ed: it starts from the true labels of ED, which are not scored then.
    """

    name: str
    model: str
    version: str
    weights: tuple[str, ...] = ()
    is_given_ed: bool = False


@dataclass(frozen=True, eq=False)
class MethodResult:
    """One method on one case.

    Attributes:
        scores: by labelled frame, of each structure that was looked for there; without a frame that was given.
        volumes: by name, as in `QUANTITIES`; without those of a frame that was given.
        seconds: for all labelled frames.
    """

    scores: Mapping[int, Mapping[Label, SegmentationScore]]
    volumes: Mapping[str, Measured]
    seconds: float


@dataclass(frozen=True, eq=False)
class CaseResult:
    """All methods on one case.

    Attributes:
        name: of the case.
        patient: whose it is.
        is_pair: it came as two frames without times.
        slices: of the stack.
        ed: the labelled frame of end-diastole, None where there is none.
        es: that of end-systole, likewise.
        frames: all that have labels.
        structures: that are scored: those that the truth holds and every method tells apart.
        methods: by name.
        fold: that held the patient out, None without folds.
    """

    name: str
    patient: str
    is_pair: bool
    slices: int
    ed: int | None
    es: int | None
    frames: tuple[int, ...]
    structures: tuple[Label, ...]
    methods: Mapping[str, MethodResult]
    fold: int | None = None

    def at(self, time: str) -> tuple[int, ...]:
        """The frames of one of `TIMES`; "all" are those that were given to no method."""
        if time == "all":
            return tuple(t for t in self.frames if all(t in method.scores for method in self.methods.values()))
        frame = {"ED": self.ed, "ES": self.es}[time]
        return () if frame is None else (frame,)

    def scores(self, method: str, structure: Label, time: str) -> list[SegmentationScore]:
        """Of the frames of one of `TIMES` in which the structure was looked for."""
        found = self.methods[method].scores
        return [found[t][structure] for t in self.at(time) if structure in found.get(t, ())]

    def value(self, method: str, structure: Label, measure: str, time: str) -> float:
        """Mean of a measure over frames; NaN where there is none."""
        return mean_where_defined([getattr(score, measure) for score in self.scores(method, structure, time)])

    def mean(self, method: str, measure: str, time: str, structures: Sequence[Label] | None = None) -> float:
        """Mean of `value` over structures, by default all of the case."""
        chosen = self.structures if structures is None else [s for s in structures if s in self.structures]
        return mean_where_defined([self.value(method, s, measure, time) for s in chosen])


def structures_of(cases: Sequence[CaseResult]) -> list[Label]:
    """Structures of any case, in the order of the tables."""
    return [s for s in ORDER if any(s in case.structures for case in cases)]


def by_patient(cases: Sequence[CaseResult], value: Callable[[CaseResult], float]) -> list[float]:
    """One value for each patient, in the order of their first cases: the mean over the cases of the patient."""
    found: dict[str, list[float]] = {}
    for case in cases:
        found.setdefault(case.patient, []).append(value(case))
    return [mean_where_defined(values) for values in found.values()]
