"""The phantom that valid files are made of."""

from __future__ import annotations

from functools import cache

import numpy as np
from cardiac_motion.cine import Cine
from cardiac_motion.phantom import REPORT_SEEDS, AppearanceOptions, PhantomOptions, PhantomStudy, make_study


@cache
def heart() -> PhantomStudy:
    """4 frames of 2 slices of 22 x 20 pixels, oblique, with labels, motion and long-axis views."""
    options = PhantomOptions(
        frames=4,
        slices=2,
        matrix=(22, 20),
        pixel_spacing=8.0,
        ejection_fraction=0.6,
        long_axis_views=True,
        appearance=AppearanceOptions.clean(),
    )
    return make_study(REPORT_SEEDS[0], options)


def whole_numbers(cine: Cine) -> Cine:
    """The same cine with intensities that 16 bits hold."""
    return Cine(np.rint(cine.frames), cine.affine, cine.frame_times, name=cine.name)
