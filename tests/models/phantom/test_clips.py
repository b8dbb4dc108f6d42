"""Clips to train segmentation on: their labels belong to their images, and hold what they are to hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from cardiac_motion.errors import InputError
from cardiac_motion.labels import Label
from cardiac_motion.phantom import TRAINING_SEEDS_START
from cardiac_motion.phantom.clips import VIEWS, Clips, draw_clips
from cardiac_motion.phantom.heart import Heart, draw_heart
from cardiac_motion.phantom.options import stream
from cardiac_motion.phantom.variation import vary_heart
from cardiac_motion.phantom.views import LONG_AXIS_VIEWS
from cardiac_motion.training.pool import CODE_VERSION

SEED = TRAINING_SEEDS_START + 77
COUNT = 16
VERSION = "9"
DRAWN = {
    "usual": (7545.2, 906.6, 871.2, 676.9, 0.0, 0.0, 73.32),
    "varied": (7036.9, 999.3, 546.7, 768.7, 305.0, 343.3, 90.70),
}
"""Of the clips of that version: voxels of each label out of 10,000, and the mean of the images."""


def _drawn(**arguments: Any) -> Clips:
    return draw_clips(SEED, COUNT, **{"size": 96, **arguments})


@pytest.fixture(scope="module")
def usual() -> Clips:
    """As patients and scanners have them."""
    return _drawn(random_contrast=0.0, varied=False)


def _contrasts(clips: Clips) -> npt.NDArray[np.float64]:
    """Blood less muscle where there is enough of both, in the first frames."""
    found = []
    for images, labels in zip(clips.images[:, 0].astype(float), clips.labels[:, 0], strict=True):
        blood, muscle = (images[labels == label] for label in (Label.LV, Label.MYO))
        if min(len(blood), len(muscle)) > 60:
            found.append(np.median(blood) - np.median(muscle))
    assert len(found) > COUNT / 2
    return np.array(found)


def test_shapes_values_and_what_a_short_axis_slice_holds(usual: Clips) -> None:
    assert usual.images.shape == usual.labels.shape == (COUNT, 2, 96, 96)
    assert usual.images.dtype == usual.labels.dtype == np.uint8
    assert usual.images.min(axis=(1, 2, 3)).tolist() == [0] * COUNT
    assert usual.images.max(axis=(1, 2, 3)).tolist() == [255] * COUNT
    assert set(np.unique(usual.labels)) == {0, Label.RV, Label.MYO, Label.LV}
    assert [VIEWS[view] for view in usual.views] == ["sax"] * COUNT


def test_a_seed_always_gives_the_same_clips(usual: Clips) -> None:
    again = draw_clips(SEED, 2, size=96, random_contrast=0.0, varied=False)
    other = draw_clips(SEED + 1, 2, size=96, random_contrast=0.0, varied=False)
    np.testing.assert_array_equal(again.images, usual.images[:2])
    np.testing.assert_array_equal(again.labels, usual.labels[:2])
    assert not np.array_equal(other.images, again.images)


@pytest.mark.parametrize("kind", ["usual", "varied"])
def test_pools_of_clips_have_the_version_of_what_is_drawn(kind: str, usual: Clips) -> None:
    clips = usual if kind == "usual" else draw_clips(SEED, 8, size=96, views=("sax", "4ch"))
    found = [*(float((clips.labels == label).mean()) * 1e4 for label in Label), float(clips.images.mean())]
    assert CODE_VERSION == VERSION
    assert found == pytest.approx(DRAWN[kind], rel=0.01), (
        f"other clips: give the pools a new CODE_VERSION, and put it and {found} into this file"
    )


def test_blood_is_brighter_than_muscle_unless_contrast_is_random(usual: Clips) -> None:
    assert (_contrasts(usual) > 20).all()
    random = _contrasts(_drawn(random_contrast=1.0, varied=False))
    assert (random < -10).any()
    assert (random > 10).any()


def test_hearts_are_far_more_varied_than_patients(usual: Clips) -> None:
    patients = [draw_heart(stream(seed, "heart")) for seed in range(200)]
    varied = [vary_heart(heart, stream(seed, "varied")) for seed, heart in enumerate(patients)]

    def spread(hearts: list[Heart]) -> npt.NDArray[np.float64]:
        """Of the logarithms of wall, cavity and their ratio, of the RV, and of the length."""
        measures = [(h.wall, h.endo_radius, h.wall / h.endo_radius, h.rv_width, h.length) for h in hearts]
        return np.log(measures).std(axis=0)

    assert (spread(varied) > 1.3 * spread(patients)).all()
    walls = np.array([heart.wall for heart in varied])
    assert walls.max() > 3 * walls.min()
    first = draw_clips(SEED, 1, size=96, random_contrast=0.0)
    assert not np.array_equal(first.labels, usual.labels[:1])


def test_frames_are_steps_of_a_cycle_or_other_phases_contracted_ones_mostly(usual: Clips) -> None:
    def areas(clips: Clips) -> npt.NDArray[np.float64]:
        found = (clips.labels == Label.LV).sum(axis=(2, 3)).astype(float)
        return found[found.max(axis=1) > 200]

    steps = areas(_drawn(frames=3, step=1 / 25, random_contrast=0.0, varied=False))
    change = np.abs(np.diff(steps, axis=1)).max(axis=1) / steps.max(axis=1)
    assert change.max() < 0.35
    assert change.max() > 0.02
    others = areas(usual)
    smaller = others[:, 1] / others[:, 0]
    assert smaller.min() < 0.75
    assert np.median(smaller) < 0.95


def test_long_axis_views_have_the_atria_that_they_cut() -> None:
    clips = _drawn(views=LONG_AXIS_VIEWS, frames=1)
    assert len(set(clips.views)) == 3
    for labels, view in zip(clips.labels, clips.views, strict=True):
        held = set(np.unique(labels)) - {0}
        assert {Label.MYO, Label.LV, Label.LA} <= held
        assert (Label.RA in held) == (VIEWS[view] == "4ch")
        # A 3-chamber view may miss a small one.
        assert Label.RV in held or VIEWS[view] != "4ch"


@pytest.mark.parametrize(
    "arguments", [{"count": 0}, {"count": 1, "size": 16}, {"count": 1, "frames": 0}, {"count": 1, "views": ()}]
)
def test_nothing_to_draw_is_refused(arguments: Any) -> None:
    with pytest.raises(InputError, match="expected at least 1 clip of 1 frame of 32 pixels a side and 1 view"):
        draw_clips(SEED, **arguments)
