from __future__ import annotations

import pytest
from cardiac_motion.phantom import TEST_SEEDS, AppearanceOptions, PhantomOptions, PhantomStudy, make_study


@pytest.fixture(scope="session")
def studies() -> tuple[PhantomStudy, PhantomStudy]:
    """Two patients with 5 frames of 3 slices; the first with long-axis views. ES is neither first nor last."""
    made = []
    for number, seed in enumerate(TEST_SEEDS[:2]):
        options = PhantomOptions(
            frames=5,
            slices=3,
            matrix=(64, 60),
            pixel_spacing=3.0,
            ejection_fraction=0.6,
            long_axis_views=number == 0,
            motion_truth=False,
            appearance=AppearanceOptions.clean(),
        )
        made.append(make_study(seed, options))
    first, second = made
    return first, second


@pytest.fixture(scope="session")
def study(studies: tuple[PhantomStudy, PhantomStudy]) -> PhantomStudy:
    """The first of the two."""
    return studies[0]
