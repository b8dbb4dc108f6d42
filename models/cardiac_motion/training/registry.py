"""The one place where a model's name becomes the recipe that it is trained by."""

from __future__ import annotations

from cardiac_motion.errors import InputError
from cardiac_motion.training.recipes.deunet import DEUNET, DEUNET_VARIANTS
from cardiac_motion.training.recipes.segmentation import SegmentationRecipe
from cardiac_motion.training.recipes.unet import UNET, UNET_LAX, UNET_VIEWS

_RECIPES: dict[str, SegmentationRecipe] = {
    each.name: each for each in (UNET, UNET_LAX, UNET_VIEWS, DEUNET, *DEUNET_VARIANTS)
}


def recipe_names() -> tuple[str, ...]:
    """Names of the models that can be trained."""
    return tuple(_RECIPES)


def recipe(name: str) -> SegmentationRecipe:
    """How a model is trained.

    Raises:
        InputError: there is no such model.
    """
    if name not in _RECIPES:
        raise InputError(f"unknown model {name!r}; those that can be trained are {', '.join(_RECIPES)}")
    return _RECIPES[name]
