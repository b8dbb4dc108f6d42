"""A motion model that is given cines with their slices aligned, to be scored beside the same without."""

from __future__ import annotations

from typing import Any

from cardiac_motion.cine import Cine
from cardiac_motion.motion import Motion
from cardiac_motion.pipeline import estimate_aligned
from cardiac_motion.pipeline_alignment import alignment_for_motion
from cardiac_motion.progress import Progress, silent
from cardiac_motion.registration.base import MotionModel

_SEGMENTING = 0.2
"""Share of the progress."""


class AlignedMotion:
    """A `MotionModel`: another one, on cines whose slices are aligned by the segmentation of `unet`.

    A stack whose segmentation shows the LV in too few slices is taken as it is, and so is a single slice.

    Args:
        model: that estimates the motion.
    """

    def __init__(self, model: MotionModel) -> None:
        self.model = model
        self.name, self.version, self.views = model.name, model.version, model.views
        self.weights_checksum, self.default_options = model.weights_checksum, model.default_options

    def estimate(
        self, cine: Cine, *, reference: int = 0, options: Any = None, progress: Progress = silent
    ) -> Motion:
        """See `MotionModel.estimate`; on the cine's own grid."""
        alignment = None
        if cine.shape[1] > 1:
            aligned = alignment_for_motion(
                cine, progress=lambda fraction, message: progress(_SEGMENTING * fraction, message)
            )
            alignment = aligned.of(cine)
        return estimate_aligned(
            cine,
            self.model,
            reference=reference,
            options=options,
            alignment=alignment,
            progress=lambda fraction, message: progress(_SEGMENTING + (1 - _SEGMENTING) * fraction, message),
        )
