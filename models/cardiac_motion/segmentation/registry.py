"""The one place where a segmentation model's name becomes a model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cardiac_motion.errors import InputError
from cardiac_motion.segmentation.base import SegmentationModel
from cardiac_motion.segmentation.network import NetworkSegmentation

DEFAULT_SEGMENTATION_MODEL = "unet"

Factory = Callable[[str | Path | None], SegmentationModel]
"""Makes a model with these weights; None for its own."""

_SEGMENTATION_MODELS: dict[str, Factory] = {
    "unet": lambda weights: NetworkSegmentation("unet", weights=weights),
    "deunet": lambda weights: NetworkSegmentation("deunet", weights=weights, radius=1),
}


def segmentation_model_names() -> tuple[str, ...]:
    """Names of the segmentation models."""
    return tuple(_SEGMENTATION_MODELS)


def segmentation_model(
    name: str = DEFAULT_SEGMENTATION_MODEL, *, weights: str | Path | None = None
) -> SegmentationModel:
    """A segmentation model by its name, with the weights of a file or its own.

    Raises:
        InputError: there is none of that name.
    """
    if name not in _SEGMENTATION_MODELS:
        raise InputError(f"unknown segmentation model {name!r}; there are {', '.join(_SEGMENTATION_MODELS)}")
    return _SEGMENTATION_MODELS[name](weights)
