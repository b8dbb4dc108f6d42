"""What the shipped weights are said to be good for, on a phantom each: agreement, alignment, other views, faults.

The figures themselves are in `docs/results.md`, of many phantoms; here they have room, and must not be far off.
"""

from __future__ import annotations

import numpy as np
import pytest
from cardiac_motion.labels import Label
from cardiac_motion.phantom import TEST_SEEDS, PhantomOptions, PhantomStudy, make_study
from cardiac_motion.pipeline_segmentation import segment_cine
from cardiac_motion.registration.registry import motion_model
from cardiac_motion.segmentation.registry import segmentation_model

from benchmarks import fusion
from benchmarks.segmentation import dice
from benchmarks.slice_alignment import Residual, displaced_study, found_by

FRAMES = 5


@pytest.fixture(scope="module")
def study() -> PhantomStudy:
    """A phantom that moves through the planes of its slices, and its long-axis cines."""
    options = PhantomOptions(
        frames=FRAMES, matrix=(160, 160), pixel_spacing=1.9, long_axis_views=True, motion_truth=False
    )
    return make_study(TEST_SEEDS[3], options)


def test_fused_is_better_than_propagation_and_its_ejection_fraction_near_the_truth(study: PhantomStudy) -> None:
    truth = np.where(study.labels <= Label.LV, study.labels, 0).astype(np.uint8)
    case = fusion.Case("phantom", study.cine, dict(enumerate(truth)), study.es_frame, fusion.STRUCTURES)
    result = fusion.run(case, segmentation_model("unet"), motion_model(), flips=False)
    gain = np.mean(result.dice(fusion.FUSED)) - np.mean(result.dice(fusion.PROPAGATION))
    assert gain >= 0.03
    errors = {method: abs(result.ejection_error(method)) for method in fusion.METHODS}
    assert errors[fusion.FUSED] < 10
    assert errors[fusion.FUSED] < 0.6 * min(errors[fusion.PROPAGATION], errors[fusion.NETWORK])


def test_displaced_slices_are_found_by_the_segmentation_and_none_where_there_are_none() -> None:
    model, seed = segmentation_model("unet"), TEST_SEEDS[5]
    displaced = displaced_study(seed, 8.0, frames=4)
    found = found_by(displaced.cine, model)
    assert found.observed.sum() >= 7
    assert Residual.of(found.shifts_mm - displaced.slice_shifts_mm, found.observed).rms < 1.5
    assert Residual.of(displaced.slice_shifts_mm, found.observed).rms > 3
    assert np.abs(found_by(displaced_study(seed, 0.0, frames=4).cine, model).shifts_mm).max() < 0.2


@pytest.mark.parametrize("view", ["2ch", "4ch"])
def test_long_axis_views_have_weights_of_their_own(study: PhantomStudy, view: str) -> None:
    seen = study.long_axis[view]
    found = segment_cine(seen.cine, frames=[0, study.es_frame])
    truth = seen.labels[[0, study.es_frame]]
    structures = (Label.LV, Label.MYO) if view == "2ch" else (Label.LV, Label.MYO, Label.RV)
    assert set(structures) < set(found.structures)
    for structure in structures:
        assert dice(found.labels == structure, truth == structure) > (0.75 if structure == Label.MYO else 0.85)


def test_deunet_segments_frames_by_their_neighbours(study: PhantomStudy) -> None:
    found = segment_cine(study.cine, model="deunet", frames=[0, study.es_frame])
    truth = study.labels[[0, study.es_frame]]
    for structure, least in ((Label.LV, 0.85), (Label.MYO, 0.75), (Label.RV, 0.75)):
        assert dice(found.labels == structure, truth == structure) > least
