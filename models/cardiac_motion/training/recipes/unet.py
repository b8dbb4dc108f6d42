"""`unet`: the modified U-Net on single slices; one for short-axis stacks, one for long-axis views.

`unet_views` is one network that is told the view, trained on both, to compare with.
"""

from __future__ import annotations

from dataclasses import replace

from cardiac_motion.phantom.clips import VIEWS
from cardiac_motion.phantom.seeds import TRAINING_SEEDS_START, TUNING_SEEDS
from cardiac_motion.phantom.views import LONG_AXIS_VIEWS, ViewName
from cardiac_motion.training.options import FitOptions
from cardiac_motion.training.pool import ClipArguments
from cardiac_motion.training.recipes.segmentation import PoolRecipe, SegmentationRecipe

# Short-axis slices as often as all long-axis views together.
_BOTH: tuple[ViewName, ...] = ("sax", "sax", "sax", *LONG_AXIS_VIEWS)

UNET = SegmentationRecipe(
    name="unet",
    network="unet",
    # A CPU of two cores trains about 20 slices a second at this width.
    config={"classes": 4, "width": 8, "levels": 5, "dropout": 0.1},
    training=PoolRecipe(clips=6144, seed=TRAINING_SEEDS_START, arguments=ClipArguments()),
    # As varied as those for training: phantoms as patients are would choose weights that know phantoms best.
    validation=PoolRecipe(clips=128, seed=TUNING_SEEDS[0], arguments=ClipArguments(random_contrast=0.0)),
    fit=FitOptions(steps=6000, batch=16, learning_rate=2e-3, warmup=100, validate_every=250, minutes=90),
    fine_tuning=FitOptions(steps=2000, batch=16, learning_rate=2e-3, warmup=20, validate_every=100, minutes=5),
)


def _seeing(
    recipe: SegmentationRecipe, name: str, views: tuple[ViewName, ...], seed: int, *, is_told: bool
) -> SegmentationRecipe:
    """The recipe for other views, with the atria."""

    def pool(of: PoolRecipe, seed: int) -> PoolRecipe:
        return replace(of, seed=seed, arguments=replace(of.arguments, views=views))

    told = {"views": len(VIEWS)} if is_told else {}
    return replace(
        recipe,
        name=name,
        config={**recipe.config, "classes": 6, **told},
        # Only one of the views has the right atrium.
        dice_over_batch=True,
        training=pool(recipe.training, TRAINING_SEEDS_START + seed),
        validation=pool(recipe.validation, recipe.validation.seed),
    )


UNET_LAX = _seeing(UNET, "unet_lax", LONG_AXIS_VIEWS, 200_000, is_told=False)
UNET_VIEWS = _seeing(UNET, "unet_views", _BOTH, 300_000, is_told=True)
