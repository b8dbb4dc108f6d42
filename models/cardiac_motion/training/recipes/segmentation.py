"""Training of the segmentation networks: what their recipes say, and the task made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.losses import DiceCELoss
from torch import Tensor, nn
from torch.nn import functional as nn_functional

from cardiac_motion.errors import InputError
from cardiac_motion.labels import Label
from cardiac_motion.networks.unet import ModifiedUNet
from cardiac_motion.phantom.clips import VIEWS
from cardiac_motion.training.augment import Augmentation, augment, standardise
from cardiac_motion.training.frame_faults import spoil_frames
from cardiac_motion.training.options import FitOptions
from cardiac_motion.training.pool import CODE_VERSION, ClipArguments, ClipPool
from cardiac_motion.training.sources import ClipSource, PoolSource, stack_samples
from cardiac_motion.training.task import Batch
from cardiac_motion.weights.networks import build_network

_VALIDATION_BATCH = 16
GENTLE = Augmentation(
    scale=1.2, stretch=1.1, bend=2.0, gamma=0.15, bias=0.15, texture=0.1, blur=0.6, coarsen=1.5, noise=0.04
)
"""Changes within which the images of one scanner vary."""


@dataclass(frozen=True)
class PoolRecipe:
    """Which synthetic clips: see `ClipPool`."""

    clips: int
    seed: int
    arguments: ClipArguments
    shard: int = 128

    def pool(self, folder: Path | None = None) -> ClipPool:
        """The pool, not made yet."""
        return ClipPool(folder, seed=self.seed, clips=self.clips, shard=self.shard, arguments=self.arguments)


@dataclass(frozen=True)
class SegmentationRecipe:
    """Everything that decides how a segmentation network is trained.

    Attributes:
        name: of the model.
        network: name of the network, as `build_network` takes it.
        config: arguments of the network; ``classes`` and, of one that is told the view, ``views`` among them.
        training: clips to train on.
        validation: clips to score on.
        augmentation: of the synthetic clips.
        case_augmentation: of labelled cases, which look as those do that the model is then used on.
        fit: options for training from nothing.
        fine_tuning: options for going on from weights on labelled cases.
        supervision: weights of the logits at the levels that a network gives, coarsest first.
        smooth: added to both sides of the Dice ratio, in pixels; what makes a class that is absent count little.
        dice_over_batch: whether the Dice of the loss is of all slices of a part of a batch together. In views that
            lack a structure, that of single slices punishes looking for it so much that it is never found.
        frames: of a clip that the network sees, odd.
        spoilt: share of clips in which one frame is ghosted or mistriggered (`frame_faults.py`).
    """

    name: str
    network: str
    config: Mapping[str, Any]
    training: PoolRecipe
    validation: PoolRecipe
    fit: FitOptions
    fine_tuning: FitOptions
    augmentation: Augmentation = field(default_factory=Augmentation)
    case_augmentation: Augmentation = GENTLE
    supervision: tuple[float, ...] = (0.25, 0.5, 1.0)
    smooth: float = 1.0
    dice_over_batch: bool = False
    frames: int = 1
    spoilt: float = 0.0

    @property
    def classes(self) -> int:
        """K, background included."""
        return int(self.config["classes"])

    @property
    def structures(self) -> tuple[Label, ...]:
        """Classes that are scored."""
        return tuple(Label(k) for k in range(1, self.classes))


class SegmentationTask:
    """A `TrainingTask` for logits (B, K, Y, X) of the middle frames of clips (B, T, Y, X).

    Args:
        recipe: what to train.
        training: samples by the name of their source, all of one size.
        validation: samples to score on.
        seed: of the batches.
        shares: how often each source is drawn from, by name; evenly by default.
        about: what the sources are, in a few sentences.

    Attributes:
        started_from: name of the weights that training begins with, empty for none.

    Raises:
        InputError: no sample, samples that are too small, or shares of other sources.
    """

    def __init__(
        self,
        recipe: SegmentationRecipe,
        *,
        training: Mapping[str, ClipSource],
        validation: ClipSource,
        seed: int = 0,
        shares: Mapping[str, float] | None = None,
        about: str = "",
    ) -> None:
        shares = dict.fromkeys(training, 1.0) if shares is None else shares
        if not training or shares.keys() != training.keys() or min(shares.values()) <= 0:
            raise InputError(f"expected a positive share of each of {', '.join(training)}, got {dict(shares)}")
        if min(len(validation), *map(len, training.values())) < 1:
            raise InputError("expected at least 1 sample to train on and 1 to validate on, got none")
        self.recipe, self.training, self.validation, self.seed, self.about = (
            recipe,
            dict(training),
            validation,
            seed,
            about,
        )
        self.started_from = ""
        total = sum(shares.values())
        self.shares = {name: share / total for name, share in shares.items()}
        self._criterion = DiceCELoss(
            include_background=False,
            to_onehot_y=True,
            softmax=True,
            smooth_nr=recipe.smooth,
            smooth_dr=recipe.smooth,
            batch=recipe.dice_over_batch,
        )

    @property
    def name(self) -> str:
        """Of the model."""
        return self.recipe.name

    @property
    def description(self) -> str:
        """What it is trained on and how."""
        recipe = self.recipe
        clips = ""
        if recipe.frames > 1:
            clips = f" Clips of {recipe.frames} successive frames, of which the middle one is segmented"
            clips += f"; in {recipe.spoilt:.0%}, also to validate on," if recipe.spoilt else "."
            clips += " one frame is ghosted or mistriggered." if recipe.spoilt else ""
        over = "over each part of a batch" if recipe.dice_over_batch else "each of single slices"
        levels = ", ".join(f"{weight:g}" for weight in recipe.supervision)
        return (
            f"{self.about}{clips} Loss: soft Dice without background plus cross-entropy, {over}, at levels "
            f"weighted {levels}. AdamW, crops of {recipe.augmentation.size} pixels, augmented in shape, intensity "
            "and resolution."
        ).strip()

    @property
    def settings(self) -> dict[str, Any]:
        """What a run must have in common with the one that it resumes."""
        recipe = self.recipe
        return {
            "network": recipe.network,
            "config": dict(recipe.config),
            "augmentation": asdict(recipe.augmentation),
            "supervision": list(recipe.supervision),
            "smooth": recipe.smooth,
            "dice_over_batch": recipe.dice_over_batch,
            "frames": recipe.frames,
            "spoilt": recipe.spoilt,
            "shares": self.shares,
            "samples": {name: source.identity for name, source in self.training.items()},
            "validation": self.validation.identity,
            "seed": self.seed,
            "started_from": self.started_from,
        }

    def network(self) -> nn.Module:
        """A new network."""
        return build_network(self.recipe.network, self.recipe.config)

    def batch(self, index: int, size: int) -> Batch:
        """Augmented images (B, T, Y, X), labels (B, Y, X), known classes (B, K) and views (B,)."""
        rng = np.random.default_rng([self.seed, index])
        names = rng.choice(list(self.shares), size, p=list(self.shares.values()))
        sources = [self.training[name] for name in names]
        drawn = stack_samples([source[int(rng.integers(len(source)))] for source in sources], self.recipe.classes)
        generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
        labels = drawn.labels[:, None].expand(-1, drawn.images.shape[1], -1, -1)
        images = spoil_frames(drawn.images, self.recipe.spoilt, generator) if self.recipe.spoilt else drawn.images
        images, moved = augment(images, labels, self.recipe.augmentation, generator)
        return images, moved[:, 0], drawn.known, drawn.views

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """The mean over samples, and over levels by their weights."""
        images, labels, known, views = batch
        levels = all_logits(network, images, self._told(views))
        weights = self.recipe.supervision[-len(levels) :]
        total = images.new_zeros((), dtype=torch.float32)
        for weight, logits in zip(weights, levels, strict=True):
            if logits.shape[2:] != labels.shape[1:]:
                logits = nn_functional.interpolate(  # noqa: PLW2901 - the same logits, at the size of the labels
                    logits, size=labels.shape[1:], mode="bilinear", align_corners=False
                )
            total = total + weight * self._criterion(of_known(logits.float(), known), labels[:, None])
        return total / sum(weights)

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """Dice over all pixels of all samples: the mean over structures, then each; of several views each mean.

        Frames are spoilt as often as in training, the same ones each time: what a network does about it would not
        count otherwise.
        """
        device = next(network.parameters()).device
        generator = torch.Generator().manual_seed(0)
        samples = [self.validation[i] for i in range(len(self.validation))]
        counts = torch.zeros(len(VIEWS), self.recipe.classes, 3, dtype=torch.float64)
        for start in range(0, len(samples), _VALIDATION_BATCH):
            drawn = stack_samples(samples[start : start + _VALIDATION_BATCH], self.recipe.classes)
            seen = spoil_frames(drawn.images, self.recipe.spoilt, generator)
            images, views = standardise(seen).to(device), drawn.views.to(device)
            logits = of_known(all_logits(network, images, self._told(views))[-1].float(), drawn.known.to(device))
            counts.index_add_(0, drawn.views, _counts(logits.argmax(1).cpu(), drawn.labels, drawn.known))
        return _dice_table(counts, self.recipe.structures)

    def _told(self, views: Tensor) -> Tensor | None:
        return views if self.recipe.config.get("views") else None


def all_logits(network: nn.Module, images: Tensor, views: Tensor | None) -> Sequence[Tensor]:
    """Logits at each supervised level of a network, coarsest first; of other networks the only ones."""
    if isinstance(network, ModifiedUNet):
        return network.forward_all(images, views)
    return [network(images)]


def of_known(logits: Tensor, known: Tensor) -> Tensor:
    """Logits (B, K, Y, X) in which structures that nobody looked for, by ``known`` (B, K), are background.

    Their probability is added to that of the background, where a label without them would have them (marginal
    loss, Shi et al. 2021).
    """
    if bool(known.all()):
        return logits
    known = known[:, :, None, None]
    never = torch.finfo(logits.dtype).min / 4
    background = ~known
    background[:, 0] = True
    merged = logits.masked_fill(~background, never).logsumexp(1, keepdim=True)
    return torch.cat([merged, logits[:, 1:].masked_fill(~known[:, 1:], never)], dim=1)


def _counts(predicted: Tensor, labels: Tensor, known: Tensor) -> Tensor:
    """Pixels of each known class in both, in the prediction and in the label of each sample: (B, K, 3)."""
    classes = torch.arange(known.shape[1])[None, :, None, None]
    one, other = predicted[:, None] == classes, labels[:, None] == classes
    sums = [each.sum(dim=(2, 3)) for each in (one & other, one, other)]
    return torch.stack(sums, -1).double() * known[..., None]


def _dice_table(counts: Tensor, structures: Sequence[Label]) -> dict[str, float]:
    """Dice from counts (views, K, 3); a structure that nothing has does not count.

    Nor does, in a single view, one that the labels of the view do not have: what is wrongly found of it is in the
    score of all views.
    """

    def scores(of: Tensor) -> dict[str, float]:
        return {s.name: float(2 * of[s, 0] / of[s, 1:].sum()) for s in structures if of[s, 1:].sum() > 0}

    def of_view(of: Tensor) -> float:
        return _mean(value for name, value in scores(of).items() if of[Label[name], 2] > 0)

    overall = scores(counts.sum(0))
    found = {"dice": _mean(overall.values())} | {f"dice {name}": value for name, value in overall.items()}
    seen = [view for view in range(len(VIEWS)) if counts[view, :, 1:].sum() > 0]
    if len(seen) > 1:
        found |= {f"dice in {VIEWS[view]}": of_view(counts[view]) for view in seen}
    return found


def _mean(values: Any) -> float:
    values = list(values)
    return sum(values) / len(values) if values else 0.0


def _hearts(arguments: ClipArguments) -> str:
    hearts = "other hearts as varied" if arguments.varied else "hearts as patients have them"
    return hearts if arguments.random_contrast else f"{hearts}, bSSFP-like"


def synthetic_task(recipe: SegmentationRecipe, *, seed: int = 0, folder: Path | None = None) -> SegmentationTask:
    """Training on synthetic hearts alone; the pools must be made before a batch is asked for.

    Args:
        recipe: what to train.
        seed: of the batches.
        folder: of the pools; None for the cache.
    """
    training, validation = recipe.training.pool(folder), recipe.validation.pool(folder)
    arguments = recipe.training.arguments
    return SegmentationTask(
        recipe,
        training={"synthetic": PoolSource(training, recipe.frames)},
        validation=PoolSource(validation, recipe.frames),
        seed=seed,
        about=(
            f"Trained on {len(training)} synthetic clips of hearts far more varied than patients' are "
            f"(seeds from {training.seed}; views {', '.join(arguments.views)}; {arguments.random_contrast:.0%} of "
            "random contrast, the others bSSFP-like), no real image among them; validated on "
            f"{len(validation)} clips of {_hearts(recipe.validation.arguments)} (seeds from {validation.seed}); "
            f"version {CODE_VERSION} of the synthetic hearts."
        ),
    )
