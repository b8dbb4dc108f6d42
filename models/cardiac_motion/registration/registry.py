"""The one place where a model's name becomes a model."""

from __future__ import annotations

from collections.abc import Callable

from cardiac_motion.errors import InputError
from cardiac_motion.registration.base import MotionModel
from cardiac_motion.registration.recursive.model import RecursiveModel

DEFAULT_MOTION_MODEL = "recursive"

_MOTION_MODELS: dict[str, Callable[[], MotionModel]] = {"recursive": RecursiveModel}


def motion_model_names() -> tuple[str, ...]:
    """Names of the motion models."""
    return tuple(_MOTION_MODELS)


def motion_model(name: str = DEFAULT_MOTION_MODEL) -> MotionModel:
    """A motion model by its name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in _MOTION_MODELS:
        raise InputError(f"unknown motion model {name!r}; there are {', '.join(_MOTION_MODELS)}")
    return _MOTION_MODELS[name]()
