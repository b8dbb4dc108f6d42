"""Segmentation of a cine: by a network alone, or made to agree with contours that the motion carries."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiac_motion.analysis.phases import phases
from cardiac_motion.analysis.volumes import CardiacFunction, cardiac_function, volumes_ml
from cardiac_motion.cine import Cine
from cardiac_motion.errors import InputError
from cardiac_motion.fusion import Fused, fuse
from cardiac_motion.labels import Label
from cardiac_motion.motion_cache import MotionCache
from cardiac_motion.pipeline import estimate_motion, function_json, whole_number
from cardiac_motion.pipeline_alignment import (
    MotionAlignment,
    alignment_by,
    alignment_for_motion,
    check_stack,
    frames_for_shifts,
    kept_alignment,
)
from cardiac_motion.progress import Progress, silent
from cardiac_motion.registration import registry as motion_models
from cardiac_motion.registration.registry import DEFAULT_MOTION_MODEL
from cardiac_motion.segmentation.base import Segmentation, SegmentationModel, check_frames
from cardiac_motion.segmentation.network import SegmentationOptions, view_of
from cardiac_motion.segmentation.registry import (
    DEFAULT_SEGMENTATION_MODEL,
    segmentation_model,
    segmentation_model_names,
)
from cardiac_motion.shift_files import ShiftCache
from cardiac_motion.weights import shipped_weights
from cardiac_motion.working_grid import Region

Labels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

FUSED = "fused"
"""Not a network of its own: `unet` on every frame, made to agree with key frames."""
FUSION_VERSION = "3"
_LEAST_TRUST = 0.5
_BIAS_MM = 1.0
_SHARES = {"segmentation": 0.35, "motion": 0.6, "fusion": 0.05}
"""Of the time that `fused` takes, for its progress."""


@dataclass(frozen=True, eq=False)
class Segmented:
    """Labels of frames of a cine and how they came about.

    Attributes:
        frames: F frames, increasing.
        labels: (F, Z, Y, X) uint8, on the native grid.
        entropy: (F, Z, Y, X) float32, nats; None if not asked for.
        structures: that can be in the labels.
        model: its name.
        version: of its code.
        weights_checksum: SHA-256 of the weights.
        key_frames: that keep what was drawn; only of `fused`.
        seconds: by step.
        warnings: for the reader; the summary also has those of the function.
        n_frames: of the cine.
        spacing: (z, y, x) mm.
        motion: name, version and whether it was known, of the motion that `fused` used.
        probabilities: (F, 1 + S, Z, y, x) float32 in `region`, of the background and then of `structures`, before
            the anatomy was tidied up; of `fused` the pooled ones, 1 for what was drawn on key frames; None if not
            asked for.
        region: in-plane part of the grid outside of which there is background beyond doubt; None for the whole
            plane.
        slice_shifts: by which the slices were aligned for the motion of `fused`, as in the server's answers; None
            where they were not.
        is_aligned: whether that was asked for.
    """

    frames: tuple[int, ...]
    labels: Labels
    entropy: Floats | None
    structures: tuple[Label, ...]
    model: str
    version: str
    weights_checksum: str | None
    key_frames: tuple[int, ...]
    seconds: dict[str, float]
    warnings: tuple[str, ...]
    n_frames: int
    spacing: tuple[float, float, float]
    motion: dict[str, Any] | None = field(default=None)
    probabilities: Floats | None = field(default=None)
    region: Region | None = field(default=None)
    slice_shifts: dict[str, Any] | None = field(default=None)
    is_aligned: bool = field(default=False)

    @cached_property
    def volumes_ml(self) -> dict[Label, npt.NDArray[np.float64]]:
        """Volume of each structure in each frame, ml; none unless all frames are there, or for a single slice."""
        if len(self.frames) < self.n_frames or self.labels.shape[1] == 1:
            return {}
        return volumes_ml(self.labels, self.spacing)

    @cached_property
    def phases(self) -> tuple[int, int] | None:
        """ED and ES in spite of noise, by the volume of the LV, else of the RV; of a single slice by its area.

        None unless all frames are there, and a ventricle is in any of them.
        """
        if len(self.frames) < self.n_frames:
            return None
        for guide in (Label.LV, Label.RV):
            voxels = (self.labels == guide).sum(axis=(1, 2, 3))
            if voxels.any():
                return phases(voxels)
        return None

    @cached_property
    def function(self) -> CardiacFunction | None:
        """Function of the ventricles at ED and ES; None without volumes of them."""
        volumes = self.volumes_ml
        guide = next((label for label in (Label.LV, Label.RV) if label in volumes), None)
        if guide is None or self.phases is None:
            return None
        ed, es = self.phases
        return cardiac_function(volumes, ed=ed, es=es) if volumes[guide][ed] > 0 else None

    def summary(self) -> dict[str, Any]:
        """Plain values for JSON: model, frames, volumes, function, seconds, warnings."""
        function = self.function
        ed, es = self.phases or (None, None)
        return {
            "model": {
                "name": self.model,
                "version": whole_number(self.version),
                "weights": self.weights_checksum,
            },
            **({} if self.motion is None else {"motion": dict(self.motion)}),
            **({"slice_shifts": self.slice_shifts} if self.is_aligned else {}),
            "frames": list(self.frames),
            "key_frames": list(self.key_frames),
            "volumes_ml": {s.name: [round(float(v), 3) for v in curve] for s, curve in self.volumes_ml.items()},
            **function_json(function),
            "ed": ed,
            "es": es,
            "seconds": {step: round(seconds, 3) for step, seconds in self.seconds.items()},
            "warnings": [*self.warnings, *(function.warnings() if function else ())],
        }


def segmentation_names() -> tuple[str, ...]:
    """Models that can be used: those whose weights are there, and `fused` if those of `unet` are."""
    there = shipped_weights()
    names = tuple(name for name in segmentation_model_names() if name in there)
    return (*names, FUSED) if DEFAULT_SEGMENTATION_MODEL in names else names


def segment_cine(
    cine: Cine,
    *,
    model: str = DEFAULT_SEGMENTATION_MODEL,
    frames: Sequence[int] | None = None,
    options: SegmentationOptions | None = None,
    key_frames: Mapping[int, Labels] | None = None,
    motion_model: str = DEFAULT_MOTION_MODEL,
    motion_options: Any = None,
    align: bool = False,
    cache: MotionCache | None = None,
    weights: str | Path | None = None,
    progress: Progress = silent,
) -> Segmented:
    """Segment frames of a cine.

    Args:
        cine: of the view that the model is made for.
        model: one of the registry, or "fused".
        frames: by default all. `fused` looks at all of them in any case.
        options: of the segmentation.
        key_frames: labels (Z, Y, X) by frame, for `fused` and for no other.
        motion_model: name of the motion model of `fused`.
        motion_options: of the motion model.
        align: whether that motion is estimated with the slices aligned; of `fused` alone.
        cache: where motions are kept.
        weights: a file in place of the shipped weights; of `unet` for `fused`.
        progress: may raise `Cancelled`.

    Raises:
        InputError: no such model or frame, no weights of it, a cine of another view, key frames that are missing,
            not wanted or do not fit, a single slice that is to be aligned.
        Cancelled: from the progress callback.
    """
    chosen = check_frames(cine, frames)
    wanted = options or SegmentationOptions()
    network = _network(model, weights)
    if model == FUSED:
        if not key_frames:
            raise InputError("fused needs the labels of at least one key frame, got none")
        if align:
            check_stack(cine)
        return _segment_fused(
            cine, network, chosen, wanted, key_frames, motion_model, motion_options, align, cache, progress
        )
    if align:
        raise InputError(f"slices are aligned for the motion of {FUSED}; {model} estimates none")
    if key_frames:
        raise InputError(f"labels of key frames are for {FUSED}; {model} segments from the image alone")
    start = time.perf_counter()
    found = network.segment(cine, frames=chosen, options=wanted, progress=progress)
    return Segmented(
        frames=found.frames,
        labels=found.labels,
        entropy=found.entropy,
        structures=found.structures,
        model=model,
        version=found.version,
        weights_checksum=found.weights_checksum,
        key_frames=(),
        seconds={"segmentation": time.perf_counter() - start},
        warnings=(*found.notes, *_gaps(found.frames, found.labels)),
        n_frames=cine.n_frames,
        spacing=cine.spacing,
        probabilities=found.probabilities,
        region=found.region,
    )


def _network(model: str, weights: str | Path | None) -> SegmentationModel:
    """The network behind a model, or InputError if there is none, or no weights of it."""
    name = DEFAULT_SEGMENTATION_MODEL if model == FUSED else model
    if name not in segmentation_model_names():
        # With a file of weights any of them can be used.
        there = segmentation_names() if weights is None else (*segmentation_model_names(), FUSED)
        raise InputError(
            f"unknown segmentation model {model!r}; there are {', '.join(there) or 'none with weights'}"
        )
    if weights is None and name not in shipped_weights():
        can = ", ".join(segmentation_names()) or "none"
        raise InputError(
            f"{model} needs the weights of {name}, which are not there; expected a file of them, or another "
            f"model: those that have weights are {can}"
        )
    return segmentation_model(name, weights=weights)


def _segment_fused(
    cine: Cine,
    network: SegmentationModel,
    frames: tuple[int, ...],
    options: SegmentationOptions,
    key_frames: Mapping[int, Labels],
    motion_name: str,
    motion_options: Any,
    align: bool,
    cache: MotionCache | None,
    progress: Progress,
) -> Segmented:
    estimator = motion_models.motion_model(motion_name)
    _check_key_frames(cine, key_frames)
    steps = _Steps(progress)
    seen = network.segment(
        cine, options=replace(options, probabilities=True, entropy=False), progress=steps.of("segmentation")
    )
    aligned = _alignment(cine, network, seen, options, key_frames, cache) if align else None
    motion, known = estimate_motion(
        cine,
        estimator,
        options=motion_options,
        alignment=aligned.of(cine) if aligned else None,
        cache=cache,
        progress=steps.of("motion"),
    )
    is_short_axis = view_of(cine, options) == "sax"
    report = steps.of("fusion")
    found = fuse(seen, motion, key_frames, is_short_axis=is_short_axis, progress=report)
    probabilities = _pooled(found, frames, report) if options.probabilities else None
    chosen = list(frames)
    return Segmented(
        frames=frames,
        labels=found.labels[chosen],
        entropy=found.entropy[chosen] if options.entropy else None,
        structures=found.structures,
        model=FUSED,
        version=FUSION_VERSION,
        weights_checksum=seen.weights_checksum,
        key_frames=tuple(sorted(key_frames)),
        seconds=steps.done(),
        warnings=(*seen.notes, *(aligned.warnings(motion) if aligned else ()), *_disagreements(found, seen)),
        n_frames=cine.n_frames,
        spacing=cine.spacing,
        motion={"name": motion.model, "version": whole_number(motion.version), "from_cache": known},
        probabilities=probabilities,
        region=found.region,
        slice_shifts=aligned.summary() if aligned else None,
        is_aligned=align,
    )


def _alignment(
    cine: Cine,
    network: SegmentationModel,
    seen: Segmentation,
    options: SegmentationOptions,
    key_frames: Mapping[int, Labels],
    cache: MotionCache | None,
) -> MotionAlignment:
    """How the slices are aligned, by the segmentation that is there already if it is made as it is for shifts."""
    shifts = None if cache is None else ShiftCache.beside(cache)
    usual = SegmentationOptions()
    if (options.flips, options.tidy) != (usual.flips, usual.tidy):
        return alignment_for_motion(cine, model=network, drawn=key_frames, cache=shifts)
    known = kept_alignment(cine, network, shifts, drawn=key_frames)
    if known is not None:
        return known
    labels = seen.labels[list(frames_for_shifts(cine.n_frames))]
    return alignment_by(cine, network, labels, drawn=key_frames, cache=shifts)


def _pooled(found: Fused, frames: tuple[int, ...], progress: Progress) -> Floats:
    """Probabilities (F, 1 + S, Z, y, x) of these frames, in the region of the fusion."""
    shape = (len(frames), 1 + len(found.structures), found.labels.shape[1], *found.region.shape)
    pooled = np.zeros(shape, np.float32)
    for target, frame in zip(pooled, frames, strict=True):
        progress(1.0, "probabilities of what was agreed on")
        target[...] = found.probabilities(frame)
    return pooled


def _check_key_frames(cine: Cine, key_frames: Mapping[int, Labels]) -> None:
    """Raise InputError for what fusion would refuse, before the long work."""
    for frame, labels in key_frames.items():
        if not 0 <= frame < cine.n_frames:
            raise InputError(f"frames are counted from 0 to {cine.n_frames - 1}, got key frame {frame}")
        if np.shape(labels) != cine.shape[1:]:
            raise InputError(
                f"expected labels (Z, Y, X) = {cine.shape[1:]} for frame {frame}, got {np.shape(labels)}"
            )
        if not np.any(labels):
            raise InputError(f"a key frame holds at least one structure, got an empty label for frame {frame}")


class _Steps:
    """Progress and seconds of work in several steps."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._before = 0.0
        self._step = ""
        self._start = 0.0
        self._seconds: dict[str, float] = {}

    def of(self, step: str) -> Progress:
        """Begin a step: its progress callback."""
        self.done()
        before, share = self._before, _SHARES[step]
        self._before += share
        self._step, self._start = step, time.perf_counter()

        def report(fraction: float, message: str) -> None:
            self._progress(min(1.0, before + share * fraction), message)

        return report

    def done(self) -> dict[str, float]:
        """End the step: seconds by step."""
        if self._step:
            self._seconds[self._step] = time.perf_counter() - self._start
            self._step = ""
        return dict(self._seconds)


def _gaps(frames: Sequence[int], labels: Labels) -> list[str]:
    """Warnings where there is no LV in a frame, or in a slice between two that hold it."""
    held = (labels == Label.LV).any(axis=(2, 3))
    if not held.any():
        return ["no LV was found in any frame; expected the heart, in a view that the model is made for"]
    without = [frame for frame, slices in zip(frames, held, strict=True) if not slices.any()]
    found = [f"no LV was found in frames {', '.join(map(str, without))}"] if without else []
    wrong = []
    for frame, slices in zip(frames, held, strict=True):
        inside = np.flatnonzero(slices)
        if len(inside) and len(inside) < inside[-1] - inside[0] + 1:
            wrong.append(frame)
    if wrong:
        which = ", ".join(map(str, wrong))
        found.append(f"no LV was found in a slice between others that hold it, in frames {which}")
    return found


def _disagreements(found: Fused, seen: Segmentation) -> list[str]:
    """Warnings about structures that the segmentation sees otherwise than the reader."""
    warnings = []
    known = set(seen.structures)
    for region, trust in found.trust.items():
        name = " with ".join(label.name for label in reversed(region))
        if not known & set(region) or (len(found.trust) > 1 and region == found.structures):
            continue
        if np.nanmedian(trust) < _LEAST_TRUST:
            warnings.append(
                f"the segmentation agrees little with the key frames about {name}; the motion decided almost alone"
            )
        bias = float(np.median(found.bias_mm[region]))
        if abs(bias) > _BIAS_MM:
            where = "further out" if bias > 0 else "further in"
            warnings.append(
                f"the segmentation draws the border of {name} {abs(bias):.1f} mm {where} than the key frames; "
                "this was corrected"
            )
    return warnings
