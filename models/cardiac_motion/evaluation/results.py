"""What an evaluation measured, case by case and method by method, and how it is averaged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from cardiac_motion.evaluation.scores import FieldScore, ImageScore, StructureScore
from cardiac_motion.labels import Label
from cardiac_motion.metrics import mean_where_defined


@dataclass(frozen=True)
class Ejection:
    """Ejection fraction of a ventricle in percent, of the truth and of what was carried from ED to ES."""

    truth: float
    found: float

    @property
    def error(self) -> float:
        """Percentage points, found minus true."""
        return self.found - self.truth


IMAGE_MEASURES = tuple(field.name for field in fields(ImageScore))


@dataclass(frozen=True, eq=False)
class MethodResult:
    """One method on one case.

    Attributes:
        structures: by target frame, scores of each structure.
        images: by target frame.
        motion_fields: by target frame; empty for the unregistered.
        temporal_gradient: by structure, mm per frame; empty for a pair and for the unregistered.
        ejection: by ventricle; empty for a single slice, which has an area and no volume.
        seconds: that the model took for the whole case; 0 for the unregistered.
    """

    structures: Mapping[int, Mapping[Label, StructureScore]]
    images: Mapping[int, ImageScore]
    motion_fields: Mapping[int, FieldScore]
    temporal_gradient: Mapping[Label, float]
    ejection: Mapping[Label, Ejection]
    seconds: float


@dataclass(frozen=True, eq=False)
class CaseResult:
    """All methods on one case, "unregistered" first."""

    name: str
    is_pair: bool
    slices: int
    source: int
    es: int
    targets: tuple[int, ...]
    structures: tuple[Label, ...]
    methods: Mapping[str, MethodResult]

    def frames(self, all_frames: bool) -> tuple[int, ...]:
        """The target frames, all or ES alone."""
        return self.targets if all_frames else (self.es,)

    def frame_value(self, method: str, measure: str, *, all_frames: bool = False) -> float:
        """A measure of `ImageScore` or `FieldScore` at ES, or its mean over all target frames."""
        result = self.methods[method]
        scores = result.images if measure in IMAGE_MEASURES else result.motion_fields
        return mean_where_defined([getattr(scores[t], measure) for t in self.frames(all_frames)])

    def value(self, method: str, structure: Label, measure: str, *, all_frames: bool = False) -> float:
        """A measure of `StructureScore` at ES, or its mean over all target frames; NaN where there is none."""
        scores = self.methods[method].structures
        return mean_where_defined(
            [getattr(scores[t][structure], measure) for t in self.frames(all_frames) if structure in scores[t]]
        )

    def mean(self, method: str, measure: str, *, all_frames: bool = False) -> float:
        """Mean of `value` over the structures of the case."""
        return mean_where_defined(
            [self.value(method, structure, measure, all_frames=all_frames) for structure in self.structures]
        )


MEASURES: Mapping[str, tuple[str, int]] = {
    "dice_shared": ("Dice over the slices that hold the structure at both frames", 3),
    "dice_stack": ("Dice over the whole stack", 3),
    "hausdorff_3d": ("Hausdorff distance in 3D over the whole stack, mm", 2),
    "hausdorff_2d": ("Hausdorff distance in 2D, mean over slices, mm", 2),
    "hausdorff95_3d": ("95 % Hausdorff distance in 3D over the whole stack, mm", 2),
    "assd_3d": ("Average symmetric surface distance in 3D over the whole stack, mm", 2),
    "mean_contour_distance": ("Mean contour distance in 2D, mean over slices, mm", 2),
}
"""What each measure of `StructureScore` is called in tables, and with how many digits it is given."""

if list(MEASURES) != [field.name for field in fields(StructureScore)]:
    raise RuntimeError("every measure of a structure needs a name for the tables")


@dataclass(frozen=True)
class Summary:
    """Mean, standard deviation (of the sample; NaN for one value) and number of defined values."""

    mean: float
    sd: float
    n: int


def summarise(values: Sequence[float]) -> Summary:
    """Summary of the values that are not NaN."""
    defined = np.array([v for v in values if not math.isnan(v)], dtype=np.float64)
    if not defined.size:
        return Summary(math.nan, math.nan, 0)
    sd = float(defined.std(ddof=1)) if defined.size > 1 else math.nan
    return Summary(float(defined.mean()), sd, int(defined.size))


def method_names(cases: Sequence[CaseResult]) -> list[str]:
    """Names of the methods, the same in every case."""
    return list(cases[0].methods)


def structures_of(cases: Sequence[CaseResult]) -> list[Label]:
    """Structures of any case, in the order of their values."""
    return sorted({structure for case in cases for structure in case.structures})
