"""The segmentation task against what `fit` and its processes rely on."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from cardiac_motion.errors import InputError
from cardiac_motion.labels import Label
from cardiac_motion.phantom.clips import VIEWS
from cardiac_motion.training.recipes.segmentation import SegmentationTask, of_known
from cardiac_motion.training.registry import recipe, recipe_names
from cardiac_motion.training.sources import Sample, stack_samples
from cardiac_motion.training.task import Batch
from torch import nn

from tests.models.training.conftest import Discs


def _same(one: Batch, other: Batch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_batches_depend_on_seed_and_index_alone(make_task: Any) -> None:
    task = make_task()
    batch = task.batch(5, 6)
    torch.manual_seed(99)
    task.batch(2, 3)
    assert _same(task.batch(5, 6), batch)
    assert _same(pickle.loads(pickle.dumps(task)).batch(5, 6), batch)
    assert not _same(task.batch(6, 6), batch)
    assert not _same(make_task(seed=1).batch(5, 6), batch)
    images, labels, known, views = batch
    assert (images.shape, labels.shape, known.shape, views.shape) == ((6, 1, 32, 32), (6, 32, 32), (6, 4), (6,))
    assert images.mean(dim=(1, 2, 3)).abs().max() < 1e-5
    assert set(labels.unique().tolist()) <= {0, 1, 2, 3}
    # A disc is brighter than its ring, whatever was done to the picture.
    for image, label in zip(images[:, 0], labels, strict=True):
        if (label == Label.LV).sum() > 20 and (label == Label.MYO).sum() > 20:
            assert image[label == Label.LV].mean() > image[label == Label.MYO].mean()


def test_the_loss_of_a_batch_is_the_mean_of_its_shares(make_task: Any) -> None:
    task = make_task(dropout=0.0)
    network = task.network()
    batch = task.batch(0, 8)
    batch[2][3, Label.RV] = False
    whole = task.loss(network, batch)
    shares = [task.loss(network, tuple(each[rank::4] for each in batch)) for rank in range(4)]
    assert float(whole.detach()) == pytest.approx(float(torch.stack(shares).mean().detach()), rel=1e-5)


@pytest.mark.parametrize("over_batch", [False, True])
def test_dice_over_the_batch_hardly_punishes_a_class_that_some_slices_lack(over_batch: bool) -> None:
    """A little of a class everywhere, which one slice of three has: in those without it, all of it is wrong."""
    made = replace(recipe("unet"), dice_over_batch=over_batch, supervision=(1.0,))
    source = [Sample(np.zeros((1, 128, 128), np.uint8), np.zeros((128, 128), np.uint8), 0)]
    task = SegmentationTask(made, training={"one": source}, validation=source)  # type: ignore[dict-item, arg-type]
    labels = torch.zeros(3, 16, 16, dtype=torch.long)
    labels[0, :8] = Label.RV
    logits = torch.zeros(3, 4, 16, 16)
    logits[:, 1:] = -9.0
    logits[:, Label.RV] = -4.0

    class Saying(nn.Module):
        def forward(self, _images: torch.Tensor) -> torch.Tensor:
            return said

    # Dice alone: what cross-entropy says of both is the same.
    losses = []
    for more in (0.0, 0.5):
        said = logits.clone()
        said[:, Label.RV, :8] += more
        both = task.loss(
            Saying(), (labels[:, None].float(), labels, torch.ones(3, 4, dtype=torch.bool), labels[:, 0, 0])
        )
        losses.append(float(both - nn.functional.cross_entropy(said, labels)))
    assert (losses[1] < losses[0]) == over_batch


def test_the_loss_falls_as_the_logits_come_to_be_right(make_task: Any) -> None:
    task = make_task()

    class Knowing(nn.Module):
        def __init__(self, labels: torch.Tensor, strength: float) -> None:
            super().__init__()
            self.logits = strength * nn.functional.one_hot(labels, 4).permute(0, 3, 1, 2).float()

        def forward(self, _images: torch.Tensor) -> torch.Tensor:
            return self.logits

    batch = task.batch(0, 4)
    losses = [float(task.loss(Knowing(batch[1], strength), batch)) for strength in (0, 2, 5, 30)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 1e-3


def test_structures_that_nobody_looked_for_are_background_in_the_loss() -> None:
    logits = torch.randn(2, 4, 3, 3)
    known = torch.tensor([[True, False, False, True], [True, True, True, True]])
    probabilities = of_known(logits, known).softmax(1)
    truth = logits.softmax(1)
    torch.testing.assert_close(probabilities[0, 0], truth[0, :3].sum(0))
    torch.testing.assert_close(probabilities[0, 3], truth[0, 3])
    assert float(probabilities[0, 1:3].max()) == 0
    torch.testing.assert_close(probabilities[1], truth[1])
    logits.requires_grad_()
    of_known(logits, known).log_softmax(1)[:, 0].sum().backward()
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())


class _Answer(nn.Module):
    """Says of each slice what it is told to."""

    def __init__(self, labels: np.ndarray) -> None:
        super().__init__()
        answers = nn.functional.one_hot(torch.from_numpy(labels).long(), 4).permute(0, 3, 1, 2)
        self.answers = nn.Parameter(20.0 * answers)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        assert images.shape[0] == len(self.answers)
        return self.answers


class _Listed:
    identity = "listed"

    def __init__(self, samples: list[Sample]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]


def test_dice_is_over_all_pixels_of_what_is_known(make_task: Any) -> None:
    truth = np.zeros((3, 8, 8), np.uint8)
    truth[0, :4], truth[1, :2], truth[2, :2] = Label.LV, Label.LV, Label.MYO
    found = np.zeros_like(truth)
    found[0, :4], found[1, 2:4], found[2, :1], found[2, 1:4] = Label.LV, Label.LV, Label.MYO, Label.RV
    views = ("sax", "sax", "4ch")
    samples = [
        Sample(np.arange(64, dtype=np.uint8).reshape(1, 8, 8), each, VIEWS.index(view), frozenset(known))
        for each, view, known in zip(
            truth, views, [{Label.LV, Label.MYO}, {Label.LV, Label.MYO}, {Label.MYO}], strict=True
        )
    ]
    base = make_task()
    task = SegmentationTask(base.recipe, training=base.training, validation=_Listed(samples))
    scores = task.validate(_Answer(found))
    lv, myo = 2 * 32 / (48 + 48), 2 * 8 / (16 + 8)
    assert scores == {
        "dice": pytest.approx((lv + myo) / 2),
        "dice MYO": pytest.approx(myo),
        "dice LV": pytest.approx(lv),
        "dice in sax": pytest.approx(lv),
        "dice in 4ch": pytest.approx(myo),
    }


def test_frames_are_spoilt_to_validate_on_as_in_training_and_the_same_ones_each_time(make_task: Any) -> None:
    base = make_task()
    seen: dict[float, list[torch.Tensor]] = {0.0: [], 0.5: []}

    class Watching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unused = nn.Parameter(torch.zeros(()))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen[share].append(images)
            return torch.zeros(len(images), 4, *images.shape[2:])

    for share in seen:
        for seed in (0, 1):
            made = replace(base.recipe, frames=3, spoilt=share)
            validation = Discs(40, frames=3)
            task = SegmentationTask(made, training={"discs": validation}, validation=validation, seed=seed)
            task.validate(Watching().eval())
    clean, spoilt = (torch.cat(seen[share]).unflatten(0, (2, 40)) for share in seen)
    assert torch.equal(clean[0], clean[1])
    assert torch.equal(spoilt[0], spoilt[1])
    changed = (clean[0] - spoilt[0]).abs().amax(dim=(1, 2, 3)) > 1e-3
    assert 0.3 < float(changed.float().mean()) < 0.7


def test_what_a_view_does_not_hold_counts_over_all_views_alone(make_task: Any) -> None:
    truth, found = np.zeros((2, 8, 8), np.uint8), np.zeros((2, 8, 8), np.uint8)
    truth[0, :4], truth[1, :2] = Label.RV, Label.MYO
    found[0, :4], found[1, :2], found[1, 2:4] = Label.RV, Label.MYO, Label.RV
    known = frozenset({Label.RV, Label.MYO})
    images = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    samples = [
        Sample(images, each, VIEWS.index(view), known) for each, view in zip(truth, ("sax", "2ch"), strict=True)
    ]
    base = make_task()
    task = SegmentationTask(base.recipe, training=base.training, validation=_Listed(samples))
    scores = task.validate(_Answer(found))
    assert scores["dice RV"] == pytest.approx(2 * 32 / (48 + 32))
    assert (scores["dice in sax"], scores["dice in 2ch"]) == (1, 1)


def test_labels_beyond_the_classes_are_background() -> None:
    labels = np.array([[0, 3], [4, 5]], np.uint8)
    batch = stack_samples([Sample(np.full((1, 2, 2), 255, np.uint8), labels, 0)], 4)
    assert batch.labels.tolist() == [[[0, 3], [0, 0]]]
    assert float(batch.images.max()) == 1


def test_sources_are_drawn_by_their_shares(make_task: Any) -> None:
    base = make_task()
    dark = _Listed([Sample(np.zeros((1, 40, 40), np.uint8), np.zeros((40, 40), np.uint8), 2)])
    training = {"discs": base.training["discs"], "dark": dark}
    task = SegmentationTask(
        base.recipe, training=training, validation=base.validation, shares={"discs": 3, "dark": 1}
    )
    views = torch.cat([task.batch(i, 16)[3] for i in range(8)])
    assert 0.15 < float((views == 2).float().mean()) < 0.35
    with pytest.raises(InputError, match="a positive share of each of discs, dark"):
        SegmentationTask(base.recipe, training=training, validation=base.validation, shares={"discs": 1})


def test_a_network_that_is_told_the_view_is_told(make_task: Any) -> None:
    task = make_task(views=len(VIEWS))
    network = task.network().eval()
    images, labels, known, views = task.batch(0, 2)
    other = task.loss(network, (images, labels, known, views + 1))
    assert float(other.detach()) != float(task.loss(network, (images, labels, known, views)).detach())


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_makes_a_network_that_its_clips_fit(name: str, make_task: Any) -> None:
    found = recipe(name)
    assert found.frames <= found.training.arguments.frames
    small = replace(found, config={**found.config, "width": 4}, augmentation=replace(found.augmentation, size=32))
    sample = Sample(np.zeros((found.frames, 48, 48), np.uint8), np.full((48, 48), 2, np.uint8), 0)
    task = SegmentationTask(small, training={"one": _Listed([sample])}, validation=_Listed([sample]))
    torch.manual_seed(0)
    network = task.network()
    loss = task.loss(network, task.batch(0, 2))
    loss.backward()
    assert loss.dtype == torch.float32
    assert all(p.grad is not None for p in network.parameters()), "weights that nothing is learnt for"
    assert next(iter(task.validate(network))) == "dice"


def test_an_unknown_model_is_one_clear_error() -> None:
    with pytest.raises(InputError, match=r"unknown model 'net'; those that can be trained are unet, unet_lax"):
        recipe("net")
