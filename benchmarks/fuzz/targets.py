"""Everything that is fuzzed, by name."""

from __future__ import annotations

from benchmarks.fuzz.datasets import DatasetTarget
from benchmarks.fuzz.dicom import DicomTarget
from benchmarks.fuzz.frames import FramesTarget
from benchmarks.fuzz.motion import CacheTarget, MotionTarget
from benchmarks.fuzz.nifti import NiftiTarget
from benchmarks.fuzz.nrrd import NrrdTarget
from benchmarks.fuzz.target import Target
from benchmarks.fuzz.weights import WeightsTarget

_ALL: tuple[Target, ...] = (
    NiftiTarget(),
    NrrdTarget(),
    FramesTarget(),
    DicomTarget(),
    MotionTarget(),
    CacheTarget(),
    WeightsTarget(),
    DatasetTarget(),
)

TARGETS: dict[str, Target] = {target.name: target for target in _ALL}
