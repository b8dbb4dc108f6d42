"""What every motion model offers, and the pieces that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from types import UnionType
from typing import Any, Literal, Protocol, Union, get_args, get_origin, get_type_hints, runtime_checkable

from torch import Tensor

from cardiac_motion.cine import Cine
from cardiac_motion.errors import InputError
from cardiac_motion.model import Model
from cardiac_motion.motion import Motion
from cardiac_motion.progress import Progress, silent

__all__ = [
    "MotionModel",
    "OpenOptions",
    "PairRegistration",
    "Progress",
    "as_settings",
    "check_reference",
    "silent",
    "with_options",
]


@dataclass(frozen=True)
class PairRegistration:
    """Displacements between two sets of images, (N, D, *S) in voxels, on the images' own grid.

    Attributes:
        forward: at each voxel of the fixed image, the way to the matching point of the moving image; it warps
            the moving image onto the fixed one.
        backward: the same the other way round.
    """

    forward: Tensor
    backward: Tensor


@runtime_checkable
class MotionModel(Model, Protocol):
    """A model that estimates the motion of a cine from its images alone."""

    def estimate(
        self, cine: Cine, *, reference: int = 0, options: Any = None, progress: Progress = silent
    ) -> Motion:
        """The motion of the cine relative to the reference frame.

        Raises:
            InputError: a reference frame or an option that does not exist.
            Cancelled: from the progress callback.
        """
        ...


def check_reference(cine: Cine, reference: int) -> None:
    """Raise InputError unless the cine has this frame."""
    if not 0 <= reference < cine.n_frames:
        raise InputError(f"the reference frame must be from 0 to {cine.n_frames - 1}, got {reference}")


def _parse(name: str, kind: Any, value: Any) -> Any:
    """A value from the command line or from JSON as the type of an option."""
    alternatives = (
        [k for k in get_args(kind) if k is not type(None)] if get_origin(kind) in (Union, UnionType) else []
    )
    if alternatives:
        return None if value is None or str(value).lower() == "none" else _parse(name, alternatives[0], value)
    if get_origin(kind) is Literal:
        allowed = get_args(kind)
        matching = [a for a in allowed if a == value or str(a) == str(value)]
        if not matching:
            raise InputError(f"option {name} is one of {', '.join(map(str, allowed))}, got {value!r}")
        return matching[0]
    if kind is bool:
        known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        if str(value).lower() not in known:
            raise InputError(f"option {name} is true or false, got {value!r}")
        return known[str(value).lower()]
    # Python takes true for 1, and cuts 2.5 down to 2.
    is_other = isinstance(value, bool) or (kind is int and isinstance(value, float) and not value.is_integer())
    with suppress(TypeError, ValueError, OverflowError):
        if not is_other:
            return kind(value)
    raise InputError(f"option {name} is of type {kind.__name__}, got {value!r}")


def with_options(default: Any, changes: Mapping[str, Any] | None) -> Any:
    """The default options with some of them changed, names and values checked.

    Args:
        default: an instance of a frozen dataclass.
        changes: names and values; a value may be a string.

    Raises:
        InputError: an unknown name, or a value that the option cannot take.
    """
    if not changes:
        return default
    if not is_dataclass(default) or isinstance(default, type):
        raise TypeError(f"expected an instance of a dataclass, got {default!r}")
    kinds = get_type_hints(type(default))
    names = [f.name for f in fields(default)]
    unknown = [name for name in changes if name not in names]
    if unknown:
        raise InputError(f"unknown option {', '.join(unknown)}; there are {', '.join(names)}")
    return replace(default, **{name: _parse(name, kinds[name], value) for name, value in changes.items()})


@runtime_checkable
class OpenOptions(Protocol):
    """Options of which some stand for a default of the model."""

    def resolved(self) -> Any:
        """A dataclass of everything that the model does depend on, nothing left open."""
        ...


def as_settings(options: Any) -> dict[str, Any]:
    """Options as JSON can hold them, every default filled in, so that they still say the same once one changes."""
    resolved = options.resolved() if isinstance(options, OpenOptions) else options
    return {
        name: list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
        for name, value in asdict(resolved).items()
    }
