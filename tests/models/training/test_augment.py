"""Changes of clips for training: images and labels move together, as far as is said; intensities change alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from cardiac_motion.training.augment import Augmentation, augment, standardise
from torch import Tensor

STILL = Augmentation(
    size=96,
    scale=1.0,
    stretch=1.0,
    bend=0.0,
    gamma=0.0,
    bias=0.0,
    texture=0.0,
    blur=0.0,
    coarsen=1.0,
    noise=0.0,
    elsewhere=0.0,
)
"""Rotates, mirrors and cuts, and does nothing else."""
COUNT = 48


def _clips(frames: int = 2) -> tuple[Tensor, Tensor]:
    """Three discs of different sizes at the corners of a triangle, each with a value of its own."""
    y, x = torch.meshgrid(torch.arange(120.0) - 59.5, torch.arange(120.0) - 59.5, indexing="ij")
    labels = torch.zeros(120, 120)
    for value, (at_y, at_x, radius) in enumerate([(0, 0, 18), (-27, 0, 7), (0, 29, 9)], start=1):
        labels[torch.hypot(y - at_y, x - at_x) < radius] = value
    labels = labels.expand(COUNT, frames, -1, -1)
    return labels / 4, labels


def _augmented(options: Augmentation, seed: int = 0) -> tuple[Tensor, Tensor]:
    return augment(*_clips(), options, torch.Generator().manual_seed(seed))


def _centres(labels: Tensor, value: int) -> Tensor:
    """(B, 2), (y, x)."""
    mask = (labels[:, 0] == value).float()
    line = torch.arange(float(labels.shape[-1]))
    total = mask.sum(dim=(1, 2))
    return torch.stack([(mask.sum(dim=3 - axis) * line).sum(1) / total for axis in (1, 2)], 1)


@pytest.mark.parametrize("options", [STILL, replace(STILL, scale=1.35, stretch=1.15, bend=2.5, elsewhere=0.2)])
def test_images_and_labels_move_together(options: Augmentation) -> None:
    images, labels = _augmented(options)
    assert images.shape == labels.shape == (COUNT, 2, 96, 96)
    assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
    assert torch.equal(images[:, 0], images[:, 1])
    for image, label in zip(images[:, 0], labels[:, 0], strict=True):
        # The image is the label but for its scale and what lies between two pixels.
        assert float(torch.corrcoef(torch.stack([image.flatten(), label.flatten().float()]))[0, 1]) > 0.97


def test_hearts_are_turned_every_way_and_half_of_them_mirrored() -> None:
    _, labels = _augmented(STILL)
    first, second = (_centres(labels, value) - _centres(labels, 1) for value in (2, 3))
    assert float((first.norm(dim=1) - 27).abs().max()) < 0.7
    angle = torch.atan2(first[:, 0], first[:, 1])
    assert len(torch.unique((angle / (torch.pi / 4)).floor())) == 8
    handed = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    assert 0.25 < float((handed > 0).float().mean()) < 0.75


def test_sizes_change_as_far_as_is_said() -> None:
    before = float((_clips()[1][0, 0] == 1).sum())

    def areas(options: Augmentation) -> Tensor:
        return (_augmented(options)[1][:, 0] == 1).sum(dim=(1, 2)) / before

    assert areas(STILL) == pytest.approx(1.0, abs=0.03)
    scaled = areas(replace(STILL, scale=1.3))
    assert float(scaled.min()) < 0.75
    assert float(scaled.max()) > 1.35
    assert 1.3**-2 - 0.03 < float(scaled.min()) < float(scaled.max()) < 1.3**2 + 0.05
    assert areas(replace(STILL, stretch=1.3)) == pytest.approx(1.0, abs=0.03)


def test_the_middle_stays_near_the_middle_but_for_the_clips_cut_from_anywhere() -> None:
    def in_middle(options: Augmentation) -> Tensor:
        return _augmented(options)[1][:, 0, 32, 32] == 1

    assert bool(in_middle(replace(STILL, size=64)).all())
    assert not bool(in_middle(replace(STILL, size=64, elsewhere=1.0)).all())


@pytest.mark.parametrize(
    "change", [{"gamma": 0.4}, {"bias": 0.4}, {"texture": 0.4}, {"blur": 2.0}, {"coarsen": 3.0}, {"noise": 0.2}]
)
def test_intensities_change_and_labels_do_not(change: Any) -> None:
    shares = []
    for seed in range(3):
        images, labels = _augmented(STILL, seed)
        others, same = _augmented(replace(STILL, **change), seed)
        assert torch.equal(labels, same)
        assert bool(others.isfinite().all())
        differs = (images - others).abs().amax(dim=(1, 2, 3)) > 0.05
        shares.append(float(differs.float().mean()))
    assert max(shares) > 0.3


def test_the_generator_decides_everything() -> None:
    torch.manual_seed(1)
    images, labels = _augmented(Augmentation(size=64), seed=5)
    torch.manual_seed(2)
    again, same = _augmented(Augmentation(size=64), seed=5)
    assert torch.equal(images, again)
    assert torch.equal(labels, same)
    assert not torch.equal(images, _augmented(Augmentation(size=64), seed=6)[0])


def test_clips_are_standardised_each_for_itself() -> None:
    images = torch.rand(3, 2, 9, 9) * torch.tensor([1.0, 50.0, 0.0])[:, None, None, None] + 4
    found = standardise(images)
    assert found.mean(dim=(1, 2, 3)) == pytest.approx(0.0, abs=1e-4)
    assert found[:2].std(dim=(1, 2, 3)) == pytest.approx(1.0, abs=1e-4)
    assert not found[2].any()
    # The frames of a clip keep how bright they are to each other.
    torch.testing.assert_close(found[0, 0] - found[0, 1], (images[0, 0] - images[0, 1]) / images[0].std())
