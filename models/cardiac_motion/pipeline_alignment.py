"""Shifts of the slices of a cine, from given labels or from a segmentation that is made once and kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiac_motion.aligned import SliceAlignment
from cardiac_motion.cine import Cine
from cardiac_motion.errors import InputError
from cardiac_motion.motion import Motion
from cardiac_motion.progress import Progress, silent
from cardiac_motion.segmentation.base import SegmentationModel
from cardiac_motion.segmentation.registry import (
    DEFAULT_SEGMENTATION_MODEL,
    segmentation_model,
    segmentation_model_names,
)
from cardiac_motion.shift_files import KeptShifts, ShiftCache, shift_key
from cardiac_motion.slice_alignment import TooFewSlicesError, estimate_shifts
from cardiac_motion.weights import shipped_weights

Labels = npt.NDArray[np.uint8]

FRAMES = 12
"""So many are segmented, evenly through the cycle; those of them in diastole count."""
_INSTEAD = "instead_of_segmentation"
"""In the source of shifts from drawn labels: why the segmentation did not do."""


def frames_for_shifts(n_frames: int) -> tuple[int, ...]:
    """The frames that are segmented."""
    return tuple(sorted({round(k) % n_frames for k in np.linspace(0, n_frames, FRAMES, endpoint=False)}))


def check_stack(cine: Cine) -> None:
    """Raise InputError for a single slice."""
    if cine.shape[1] == 1:
        raise InputError("a single slice has no neighbours to be aligned with; expected a stack of slices")


def shifts_of_labels(cine: Cine, labels: Labels) -> KeptShifts:
    """Shifts from labels (F, Z, Y, X) or (Z, Y, X) of frames of the cine; empty frames do not count.

    Raises:
        TooFewSlicesError: fewer slices that show the LV than it takes.
        InputError: a single slice, or labels of another grid.
    """
    check_stack(cine)
    if labels.shape[-3:] != cine.shape[1:]:
        raise InputError(f"expected labels (Z, Y, X) = {cine.shape[1:]}, got {labels.shape[-3:]}")
    return KeptShifts(estimate_shifts(labels, cine.spacing), cine.content_hash, {"from": "labels"})


def segment_for_shifts(
    cine: Cine, model: SegmentationModel, *, progress: Progress = silent
) -> tuple[tuple[int, ...], Labels]:
    """Frames and labels (F, Z, Y, X) from which shifts can be estimated.

    Raises:
        InputError: a single slice, or weights that are not there.
        Cancelled: from the progress callback.
    """
    check_stack(cine)
    found = model.segment(cine, frames=frames_for_shifts(cine.n_frames), progress=progress)
    return found.frames, found.labels


def shifts_of_segmentation(cine: Cine, model: SegmentationModel, labels: Labels) -> KeptShifts:
    """Shifts from the labels that `segment_for_shifts` gave.

    Raises:
        TooFewSlicesError: fewer slices that show the LV than it takes.
    """
    source = {
        "from": "segmentation",
        "model": model.name,
        "version": model.version,
        "weights_sha256": model.weights_checksum,
        "frames": list(frames_for_shifts(cine.n_frames)),
    }
    return KeptShifts(estimate_shifts(labels, cine.spacing), cine.content_hash, source)


def model_for_shifts(name: str = DEFAULT_SEGMENTATION_MODEL) -> SegmentationModel:
    """A segmentation model whose weights are there.

    Raises:
        InputError: no such model, or no weights of it.
    """
    there = [each for each in segmentation_model_names() if each in shipped_weights()]
    if name not in segmentation_model_names():
        raise InputError(
            f"unknown segmentation model {name!r}; there are {', '.join(there) or 'none with weights'}"
        )
    if name not in there:
        raise InputError(
            f"to align slices without labels, a segmentation is made by {name!r}, whose weights are not there; "
            "expected them, or labels"
        )
    return segmentation_model(name)


def key_of_shifts(cine: Cine, model: SegmentationModel) -> str:
    """The key under which the shifts from a model's segmentation are kept."""
    return shift_key(
        cine,
        model=model.name,
        version=model.version,
        weights_checksum=model.weights_checksum,
        frames=frames_for_shifts(cine.n_frames),
    )


@dataclass(frozen=True, eq=False)
class MotionAlignment:
    """How a cine is aligned before its motion is estimated.

    Attributes:
        kept: the shifts; None where too few slices show the LV.
        reason: why there are none.
    """

    kept: KeptShifts | None
    reason: str = ""

    def of(self, cine: Cine) -> SliceAlignment | None:
        """The alignment; None where nothing is known, or nothing is to be moved."""
        if self.kept is None:
            return None
        alignment = self.kept.alignment(cine)
        return alignment if alignment.moves else None

    def warnings(self, motion: Motion) -> list[str]:
        """What a user of the motion should know, one sentence each."""
        if self.kept is None:
            return [f"the slices were not aligned: {self.reason}"]
        notes = list(self.kept.shifts.notes)
        if _INSTEAD in self.kept.source:
            frames = ", ".join(map(str, self.kept.source.get("frames", ())))
            notes.append(
                f"the slices were aligned by contours drawn on frames {frames}; of the segmentation: "
                f"{self.kept.source[_INSTEAD]}"
            )
        if not self.kept.shifts.shifts_mm.any():
            notes.append("no misalignment of the slices was found; nothing was moved")
        elif motion.is_in_plane:
            notes.append(
                "the motion was estimated slice by slice, for which their alignment makes next to no difference"
            )
        return notes

    def summary(self) -> dict[str, Any] | None:
        """Plain values for JSON; None where there are no shifts."""
        if self.kept is None:
            return None
        found = self.kept.to_json()
        return {name: found[name] for name in ("shifts_mm", "observed", "limited", "spread_mm", "notes")}


def kept_alignment(
    cine: Cine,
    model: SegmentationModel,
    cache: ShiftCache | None,
    *,
    drawn: Mapping[int, Labels] | None = None,
) -> MotionAlignment | None:
    """How a cine is aligned, if that is known from before.

    Args:
        cine: a stack.
        model: that segments it.
        cache: where shifts are kept.
        drawn: labels (Z, Y, X) by frame. Where drawn labels served before, and these show the LV in more slices,
            theirs take the place of what is kept.
    """
    kept = None if cache is None else cache.get(key_of_shifts(cine, model))
    if cache is None or kept is None or kept.image_hash != cine.content_hash:
        return None
    if _INSTEAD in kept.source and drawn:
        better = _by_hand(cine, drawn, kept.source[_INSTEAD])
        if better is not None and better.shifts.observed.sum() > kept.shifts.observed.sum():
            kept = better
            cache.put(key_of_shifts(cine, model), kept)
    return MotionAlignment(kept)


def _by_hand(cine: Cine, drawn: Mapping[int, Labels], reason: str) -> KeptShifts | None:
    """Shifts from drawn labels where a segmentation, for this reason, does not do; None if they do not either."""
    frames = sorted(drawn)
    try:
        found = shifts_of_labels(cine, np.stack([drawn[t] for t in frames]))
    except TooFewSlicesError:
        return None
    return replace(found, source={**found.source, "frames": frames, _INSTEAD: reason})


def alignment_for_motion(
    cine: Cine,
    *,
    model: SegmentationModel | None = None,
    drawn: Mapping[int, Labels] | None = None,
    cache: ShiftCache | None = None,
    progress: Progress = silent,
) -> MotionAlignment:
    """Shifts from the segmentation of a cine, which is made once and whose shifts are kept; see `alignment_by`.

    Args:
        cine: a stack.
        model: by default the registry's.
        drawn: labels (Z, Y, X) by frame, to turn to where the segmentation does not suffice.
        cache: where shifts are kept.
        progress: called with the fraction done; may raise `Cancelled`.

    Raises:
        InputError: a single slice, or weights that are not there.
        Cancelled: from the progress callback.
    """
    check_stack(cine)
    model = model_for_shifts() if model is None else model
    known = kept_alignment(cine, model, cache, drawn=drawn)
    if known is not None:
        return known
    _, labels = segment_for_shifts(cine, model, progress=progress)
    return alignment_by(cine, model, labels, drawn=drawn, cache=cache)


def alignment_by(
    cine: Cine,
    model: SegmentationModel,
    labels: Labels,
    *,
    drawn: Mapping[int, Labels] | None = None,
    cache: ShiftCache | None = None,
) -> MotionAlignment:
    """Shifts from the labels that `segment_for_shifts` gave, or would have given; they are kept.

    Not from what is drawn, though that be better: with every correction of a contour the motion would have to be
    estimated anew. Only where too few slices of the segmentation show the LV, as in a foreign contrast, drawn
    labels are turned to; their shifts are kept until a drawing shows the LV in more slices. Where these do not
    suffice either there is nothing to align by: that is told, not refused, since a motion can be estimated all the
    same.
    """
    try:
        kept = shifts_of_segmentation(cine, model, labels)
    except TooFewSlicesError as error:
        by_hand = _by_hand(cine, drawn, str(error)) if drawn else None
        if by_hand is None:
            return MotionAlignment(None, str(error))
        kept = by_hand
    if cache is not None:
        cache.put(key_of_shifts(cine, model), kept)
    return MotionAlignment(kept)
