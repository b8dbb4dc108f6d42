"""The methods that are compared, behind one signature for a whole stack of slices.

A method is ``method(fixed, moving, spacing) -> StackFields``: two stacks (Z, Y, X), registered slice by slice in
2D, and the spacing (z, y, x) in mm.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from cardiac_motion.fields import to_mm
from cardiac_motion.registration.base import PairRegistration, with_options
from cardiac_motion.registration.registry import motion_model

from benchmarks.peers import PEERS, Peer, missing_library

Stack = npt.NDArray[np.float32]
Spacing = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class StackFields:
    """Fields of a stack of slices, and the time they took.

    Attributes:
        field: (Z, 2, Y, X) mm, components (y, x): from the fixed grid to the matching points of the moving image.
        inverse: the same from the moving grid to the fixed image, where the method itself offers it.
        seconds: for each slice; for a method that takes all slices at once, its time divided by their number.
    """

    field: Stack
    inverse: Stack | None
    seconds: tuple[float, ...]


Method = Callable[[Stack, Stack, Spacing], StackFields]


def peer_method(peer: Peer) -> Method:
    """A peer, slice after slice."""

    def register(fixed: Stack, moving: Stack, spacing: Spacing) -> StackFields:
        found, seconds = [], []
        for a, b in zip(fixed, moving, strict=True):
            start = time.perf_counter()
            found.append(peer(a, b, spacing[1:]))
            seconds.append(time.perf_counter() - start)
        inverses = [each.inverse for each in found if each.inverse is not None]
        return StackFields(
            field=np.stack([each.field for each in found]),
            inverse=np.stack(inverses) if len(inverses) == len(found) else None,
            seconds=tuple(seconds),
        )

    return register


@runtime_checkable
class _RegistersPairs(Protocol):
    """A motion model that can register pairs of images, all at once."""

    @property
    def default_options(self) -> Any: ...

    def register_pairs(
        self, fixed: Stack, moving: Stack, *, spacing: Sequence[float], options: Any
    ) -> PairRegistration: ...


def model_method(name: str, **options: Any) -> Method:
    """A motion model of the registry, with some of its options changed, on all slices of a stack at once."""
    model = motion_model(name)
    if not isinstance(model, _RegistersPairs):
        raise TypeError(f"the motion model {name} cannot register pairs of slices")
    chosen = with_options(model.default_options, options)

    def register(fixed: Stack, moving: Stack, spacing: Spacing) -> StackFields:
        start = time.perf_counter()
        found = model.register_pairs(fixed, moving, spacing=spacing[1:], options=chosen)
        seconds = (time.perf_counter() - start) / len(fixed)
        return StackFields(
            field=to_mm(found.forward, spacing[1:]).numpy(),
            inverse=to_mm(found.backward, spacing[1:]).numpy(),
            seconds=(seconds,) * len(fixed),
        )

    return register


MODELS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "recursive": ("recursive", {}),
    "recursive-paper": ("recursive", {"parametrisation": "network"}),
}
"""Our own methods: name of the model in the registry, and the options that differ from its defaults."""

METHODS: tuple[str, ...] = (*PEERS, *MODELS)


def make_method(name: str) -> Method:
    """The method of this name.

    Raises:
        ValueError: there is none.
        ModuleNotFoundError: it needs a library that is not installed.
    """
    if name in MODELS:
        model, options = MODELS[name]
        return model_method(model, **options)
    library = missing_library(name)
    if library is not None:
        raise ModuleNotFoundError(f"{name} needs {library}: pip install 'cardiac-motion[benchmark]'")
    return peer_method(PEERS[name])
