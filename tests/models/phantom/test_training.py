"""Two-frame slices for training: images, labels and displacements that belong together."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cardiac_motion import fields
from cardiac_motion.errors import InputError
from cardiac_motion.labels import Label
from cardiac_motion.phantom import TRAINING_SEEDS_START, training_slices
from cardiac_motion.phantom.threads import one_thread

SEED = TRAINING_SEEDS_START + 5


def test_shapes_and_ranges() -> None:
    batch = training_slices(SEED, 5, size=96)
    assert batch.images.shape == batch.labels.shape == (5, 2, 96, 96)
    assert batch.second_to_first.shape == batch.first_to_second.shape == (5, 2, 96, 96)
    assert batch.through_plane.shape == (5, 96, 96)
    assert batch.spacing.shape == (5, 2)
    assert batch.images.dtype == batch.second_to_first.dtype == np.float32
    assert batch.labels.dtype == np.uint8
    assert batch.images.min() == 0
    assert batch.images.max() == 1
    assert ((batch.spacing * 96 > 150) & (batch.spacing * 96 < 220)).all()


def test_a_seed_always_gives_the_same_slices() -> None:
    first, again, other = (training_slices(seed, 3, size=64) for seed in (SEED, SEED, SEED + 1))
    assert np.array_equal(first.images, again.images)
    assert np.array_equal(first.second_to_first, again.second_to_first)
    assert not np.array_equal(first.images, other.images)


def test_displacements_carry_labels_each_way() -> None:
    batch = training_slices(SEED, 8, through_plane=False)
    assert not batch.through_plane.any()
    gained = []
    for n in range(8):
        spacing = batch.spacing[n].tolist()
        for field, source, target in ((batch.second_to_first, 0, 1), (batch.first_to_second, 1, 0)):
            labels = torch.from_numpy(batch.labels[n, source].astype(np.float32))[None, None]
            voxels = fields.to_voxels(torch.from_numpy(field[n : n + 1]), spacing)
            carried = fields.warp(labels, voxels, interpolation="nearest")[0, 0].numpy()
            truth = batch.labels[n, target]
            for label in (Label.RV, Label.MYO, Label.LV):
                if (truth == label).sum() < 100:
                    continue
                sizes = (truth == label).sum() + (carried == label).sum()
                overlap = 2 * ((carried == label) & (truth == label)).sum() / sizes
                before = labels[0, 0].numpy() == label
                unregistered = 2 * (before & (truth == label)).sum() / ((truth == label).sum() + before.sum())
                assert overlap > 0.92
                gained.append(overlap - unregistered)
    assert len(gained) > 20
    assert np.mean(gained) > 0.03


def test_contrast_can_be_held_to_that_of_a_scanner() -> None:
    batch = training_slices(SEED, 6, size=64, random_contrast=False)
    for n in range(6):
        blood, muscle = (batch.labels[n, 0] == label for label in (Label.LV, Label.MYO))
        if min(blood.sum(), muscle.sum()) > 30:
            assert np.median(batch.images[n, 0][blood]) > np.median(batch.images[n, 0][muscle])


@pytest.mark.parametrize(("count", "size"), [(0, 128), (1, 16)])
def test_nothing_to_draw_is_refused(count: int, size: int) -> None:
    with pytest.raises(InputError, match="at least 1 slice of at least 32 pixels"):
        training_slices(SEED, count, size=size)


def test_torch_keeps_its_number_of_threads() -> None:
    before = torch.get_num_threads()
    training_slices(SEED, 1, size=32)
    assert torch.get_num_threads() == before
    with one_thread():
        assert torch.get_num_threads() == 1
        with one_thread():
            pass
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
