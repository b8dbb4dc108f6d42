"""`unet`: the modified U-Net on single short-axis slices."""

from __future__ import annotations

from cardiac_motion.phantom.seeds import TRAINING_SEEDS_START, TUNING_SEEDS
from cardiac_motion.training.options import FitOptions
from cardiac_motion.training.pool import ClipArguments
from cardiac_motion.training.recipes.segmentation import PoolRecipe, SegmentationRecipe

UNET = SegmentationRecipe(
    name="unet",
    network="unet",
    # A CPU of two cores trains about 20 slices a second at this width.
    config={"classes": 4, "width": 8, "levels": 5, "dropout": 0.1},
    training=PoolRecipe(clips=8192, seed=TRAINING_SEEDS_START, arguments=ClipArguments()),
    validation=PoolRecipe(
        clips=64, shard=64, seed=TUNING_SEEDS[0], arguments=ClipArguments(random_contrast=0.0, varied=False)
    ),
    fit=FitOptions(steps=6000, batch=16, learning_rate=2e-3, warmup=100, validate_every=250, minutes=90),
    fine_tuning=FitOptions(steps=2000, batch=16, learning_rate=2e-3, warmup=20, validate_every=100, minutes=5),
)
