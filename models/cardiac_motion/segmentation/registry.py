"""The one place where a segmentation model's name becomes a model."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

from cardiac_motion.errors import InputError
from cardiac_motion.segmentation.base import SegmentationModel
from cardiac_motion.segmentation.by_view import ByView
from cardiac_motion.segmentation.network import NetworkSegmentation
from cardiac_motion.weights import load_weights, shipped_weights

DEFAULT_SEGMENTATION_MODEL = "unet"
_LONG_AXIS = "unet_lax"
"""Weights of `unet` for long-axis views."""

Factory = Callable[[str | Path | None], SegmentationModel]
"""Makes a model with these weights; None for its own."""


def _unet(weights: str | Path | None) -> SegmentationModel:
    """The network of each view whose weights are shipped, or the one that a file is of."""
    if weights is not None:
        is_long_axis = load_weights(weights).model == _LONG_AXIS
        return NetworkSegmentation("unet", weights=weights, view="lax" if is_long_axis else "sax")
    models = {"sax": NetworkSegmentation("unet")}
    if _LONG_AXIS in shipped_weights():
        models["lax"] = NetworkSegmentation("unet", weights=_LONG_AXIS, view="lax")
    return ByView("unet", models)


_SEGMENTATION_MODELS: dict[str, Factory] = {
    "unet": _unet,
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


def segmentation_model_of(weights: str | Path) -> SegmentationModel:
    """The segmentation model that weights are of, also of a variant without a place among the names.

    Raises:
        InputError: no such file, a damaged one, or weights of what does not segment by the image alone.
    """
    with warnings.catch_warnings():
        # MONAI still uses a part of PyTorch that is on its way out.
        warnings.filterwarnings("ignore", message=".*torch.jit", category=DeprecationWarning)
        # It takes seconds to import, which other uses of this file should not.
        from cardiac_motion.training.registry import recipe  # noqa: PLC0415

    found = load_weights(weights)
    if found.network not in ("unet", "deunet") or found.config.get("views"):
        told = ", told the view" if found.config.get("views") else ""
        raise InputError(
            f"{weights}: expected weights of a network that segments by the image alone, got {found.model} "
            f"({found.network}{told})"
        )
    sees = "sax" if "sax" in recipe(found.model).training.arguments.views else "lax"
    radius = int(found.config.get("radius", 1)) if found.network == "deunet" else 0
    return NetworkSegmentation(found.model, weights=weights, view=sees, radius=radius)
