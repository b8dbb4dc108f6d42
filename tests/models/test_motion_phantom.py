"""The conventions of a motion, on the beating heart of the phantom, whose truth is computed apart from them."""

from __future__ import annotations

import numpy as np
import pytest
from cardiac_motion.labels import Label
from cardiac_motion.motion import Motion
from cardiac_motion.phantom import TEST_SEEDS, PhantomOptions, PhantomStudy, make_study
from cardiac_motion.phantom.options import AppearanceOptions
from cardiac_motion.propagation import propagate


@pytest.fixture(scope="module")
def study() -> PhantomStudy:
    """6 frames of 3 slices, all motion in-plane."""
    options = PhantomOptions(
        frames=6,
        slices=3,
        matrix=(96, 96),
        pixel_spacing=2.0,
        ejection_fraction=0.6,
        through_plane=False,
        appearance=AppearanceOptions.clean(),
    )
    return make_study(TEST_SEEDS[0], options)


@pytest.fixture(scope="module")
def motion(study: PhantomStudy) -> Motion:
    assert study.motion is not None
    return Motion(
        *study.motion,
        reference=0,
        affine=study.cine.affine,
        frame_times=study.cine.frame_times,
        model="truth",
        version="1",
        image_hash=study.cine.content_hash,
    )


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def test_to_reference_carries_the_label_of_the_reference_to_every_frame(
    study: PhantomStudy, motion: Motion
) -> None:
    labels = propagate(motion, {0: study.labels[0]})
    for structure in (Label.RV, Label.MYO, Label.LV):
        for t in range(1, 6):
            truth = study.labels[t] == structure
            assert dice(labels[t] == structure, truth) > 0.9
        unregistered = dice(study.labels[0] == structure, study.labels[study.es_frame] == structure)
        assert unregistered < 0.8
    # With the sign the other way round it would be worse than nothing.
    turned = Motion(
        motion.from_reference,
        motion.to_reference,
        **{
            name: getattr(motion, name)
            for name in ("reference", "affine", "frame_times", "model", "version", "image_hash")
        },
    )
    es = study.es_frame
    wrong = propagate(turned, {0: study.labels[0]})[es] == Label.LV
    assert dice(wrong, study.labels[es] == Label.LV) < dice(
        study.labels[0] == Label.LV, study.labels[es] == Label.LV
    )


def test_from_reference_carries_any_other_frame_to_the_reference(study: PhantomStudy, motion: Motion) -> None:
    es = study.es_frame
    labels = propagate(motion, {es: study.labels[es]})
    for structure in (Label.RV, Label.MYO, Label.LV):
        assert dice(labels[0] == structure, study.labels[0] == structure) > 0.9


def test_points_of_the_wall_stay_in_the_wall(study: PhantomStudy, motion: Motion) -> None:
    wall = np.argwhere(study.labels[0] == Label.MYO).astype(float)
    paths = motion.track(wall)
    for t in range(1, 6):
        z, y, x = np.rint(paths[t]).astype(int).T
        assert np.mean(study.labels[t][z, y, x] == Label.MYO) > 0.85
    z, y, x = np.rint(wall).astype(int).T
    assert np.mean(study.labels[study.es_frame][z, y, x] == Label.MYO) < 0.7


def test_the_two_directions_undo_each_other(motion: Motion) -> None:
    for t in range(6):
        assert np.nanpercentile(motion.inverse_error_mm(t), 99) < 0.3
