"""A motion model that is given cines with their slices aligned, to be scored beside the same without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiac_motion.aligned import SliceAlignment
from cardiac_motion.cine import Cine
from cardiac_motion.motion import Motion
from cardiac_motion.pipeline import estimate_aligned
from cardiac_motion.pipeline_alignment import alignment_for_motion
from cardiac_motion.progress import Progress, silent
from cardiac_motion.registration.base import MotionModel

Labels = npt.NDArray[np.uint8]

_SEGMENTING = 0.2
"""Share of the progress."""


class AlignedMotion:
    """A `MotionModel`: another one, on cines whose slices are aligned as for `propagate --align`.

    A stack that cannot be aligned is taken as it is, and so is a single slice.

    Args:
        model: that estimates the motion.

    Attributes:
        unaligned: a sentence for each cine that was taken as it is.
    """

    def __init__(self, model: MotionModel) -> None:
        self.model = model
        self.name, self.version, self.views = model.name, model.version, model.views
        self.weights_checksum, self.default_options = model.weights_checksum, model.default_options
        self.unaligned: list[str] = []

    def estimate(
        self, cine: Cine, *, reference: int = 0, options: Any = None, progress: Progress = silent
    ) -> Motion:
        """See `MotionModel.estimate`; on the cine's own grid."""
        return self.estimate_by({}, cine, reference=reference, options=options, progress=progress)

    def estimate_by(
        self,
        drawn: Mapping[int, Labels],
        cine: Cine,
        *,
        reference: int = 0,
        options: Any = None,
        progress: Progress = silent,
    ) -> Motion:
        """`estimate` with drawn labels (Z, Y, X) by frame, to align by where the segmentation does not suffice."""
        return estimate_aligned(
            cine,
            self.model,
            reference=reference,
            options=options,
            alignment=self._alignment(cine, drawn, progress),
            progress=lambda fraction, message: progress(_SEGMENTING + (1 - _SEGMENTING) * fraction, message),
        )

    def _alignment(self, cine: Cine, drawn: Mapping[int, Labels], progress: Progress) -> SliceAlignment | None:
        if cine.shape[1] == 1:
            self.unaligned.append(f"{cine.name}: a single slice has no neighbours to be aligned with")
            return None
        found = alignment_for_motion(
            cine, drawn=drawn, progress=lambda fraction, message: progress(_SEGMENTING * fraction, message)
        )
        if found.kept is None:
            self.unaligned.append(f"{cine.name}: the slices were not aligned: {found.reason}")
        return found.of(cine)
