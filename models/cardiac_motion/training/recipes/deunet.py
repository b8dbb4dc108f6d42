"""`deunet` on clips of three frames, and the variants of the paper's ablation, all trained alike.

Meant to be trained in two parts: `deunet_td` from nothing, whose weights come with the package, then each of the
others from these (``--from deunet_td``), with the same steps.

The paper trains from nothing with Adam at a learning rate of 2e-4 and stops when 20 epochs bring nothing better.
Here it is AdamW at 2e-3, falling to a hundredth of it, for so many steps as a CPU can make; the loss is Dice plus
cross-entropy, and some clips have a spoilt frame. `FitOptions.patience` stops a run that gets no better, where it
is wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cardiac_motion.phantom.seeds import TRAINING_SEEDS_START, TUNING_SEEDS
from cardiac_motion.training.options import FitOptions
from cardiac_motion.training.pool import ClipArguments
from cardiac_motion.training.recipes.segmentation import PoolRecipe, SegmentationRecipe

# One frame of 25 before and after the middle one.
_CLIP = ClipArguments(frames=3, step=1 / 25)

DEUNET = SegmentationRecipe(
    name="deunet",
    network="deunet",
    config={"classes": 4, "radius": 1, "kernel": 3, "width": 8, "levels": 5, "fusion": "tdam", "attention": True},
    training=PoolRecipe(clips=8192, seed=TRAINING_SEEDS_START + 100_000, arguments=_CLIP),
    validation=PoolRecipe(clips=128, seed=TUNING_SEEDS[0], arguments=replace(_CLIP, random_contrast=0.0)),
    fit=FitOptions(steps=6000, batch=16, learning_rate=2e-3, warmup=100, validate_every=250, minutes=90),
    fine_tuning=FitOptions(steps=2000, batch=16, learning_rate=2e-3, warmup=20, validate_every=100, minutes=5),
    # It gives logits at one level.
    supervision=(1.0,),
    frames=3,
    # What the neighbours of a frame are for.
    spoilt=0.3,
)

_CHANGES: Mapping[str, Mapping[str, Any]] = {
    # Without TDAM: the middle frame alone.
    "deunet_t": {"fusion": "none"},
    # Without DGPA: plain convolutions, no attention.
    "deunet_d": {"attention": False},
    "deunet_flow": {"fusion": "flow"},
    "deunet_early": {"fusion": "early"},
    # Without both: what the others can start from (`networks/deunet_growth.py`).
    "deunet_td": {"fusion": "none", "attention": False},
}

DEUNET_VARIANTS: tuple[SegmentationRecipe, ...] = tuple(
    replace(DEUNET, name=name, config={**DEUNET.config, **changes}) for name, changes in _CHANGES.items()
)
