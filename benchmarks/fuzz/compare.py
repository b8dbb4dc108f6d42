"""Results against what independent readers say of the same file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from cardiac_motion.cine import Cine
from cardiac_motion.io import LabelImage

Array = npt.NDArray[Any]

_RELATIVE = 2e-6
"""Rounding of float32, and of slopes that are float32 in one reader and float64 in another."""
_SMALLEST = 1e-38
"""Below which float32 loses digits."""
_AT_ONCE = 2**24
_PLACE = 1e-3
"""Of a voxel size, and of the distance from the origin."""


@dataclass(frozen=True, eq=False)
class Independent:
    """An image as other readers have it.

    Attributes:
        values: (T, Z, Y, X) or (Z, Y, X).
        itk: affine to RAS as ITK has it, the first to be believed; None where it refuses the geometry.
        places: affines to RAS that others have.
        times: (T,) seconds; None where nobody says.
    """

    values: Array
    itk: Array | None
    places: Sequence[Array] = field(default_factory=tuple)
    times: Array | None = None


def compare(result: Cine | LabelImage, other: Independent) -> str | None:
    """What differs, in a sentence."""
    values = result.frames if isinstance(result, Cine) else result.labels
    theirs = other.values if other.values.ndim == 4 else other.values[None]
    if values.shape != theirs.shape:
        return f"(T, Z, Y, X) = {values.shape}, another reader has {theirs.shape}"
    return (
        different_values(values, theirs)
        or _different_place(result.affine, other)
        or _different_times(result, other)
    )


def different_values(ours: Array, theirs: Array) -> str | None:
    """How values of one shape differ, in a sentence."""
    if ours.size > _AT_ONCE and ours.ndim > 1:
        return next((wrong for pair in zip(ours, theirs, strict=True) if (wrong := different_values(*pair))), None)
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if np.isfinite(theirs).all():
        scale = np.maximum(np.abs(theirs), np.abs(theirs).max() * 1e-3)
        off = np.abs(ours - theirs) > _RELATIVE * scale + _SMALLEST
        if not off.any():
            return None
        worst = int(off.argmax())
        return f"{int(off.sum())} of {off.size} values differ: {ours.flat[worst]} instead of {theirs.flat[worst]}"
    return f"finite values where another reader has {int((~np.isfinite(theirs)).sum())} that are not"


def same_place(ours: Array, theirs: Array) -> bool:
    """Whether two affines are the same but for rounding."""
    if not np.isfinite(theirs).all():
        return False
    size = np.linalg.norm(theirs[:3, :3], axis=0)
    reach = max(float(size.max()), 1e-6 * float(np.abs(theirs[:3, 3]).max()))
    return bool(
        (np.abs(ours[:3, :3] - theirs[:3, :3]) <= _PLACE * size).all()
        and (np.abs(ours[:3, 3] - theirs[:3, 3]) <= _PLACE * reach).all()
    )


def _different_place(affine: Array, other: Independent) -> str | None:
    known = [*([] if other.itk is None else [other.itk]), *other.places]
    if any(same_place(affine, each) for each in known):
        return None
    return f"its affine is {affine.round(4).tolist()}, others have {[each.round(4).tolist() for each in known]}"


def _different_times(result: Cine | LabelImage, other: Independent) -> str | None:
    """Times that the file states, where they are those of a cine."""
    if not isinstance(result, Cine) or other.times is None or not np.isfinite(other.times).all():
        return None
    step = float(np.diff(other.times).mean()) if len(other.times) > 1 else 0.0
    if not 0.005 <= step <= 0.8 or np.allclose(result.frame_times, other.times - other.times[0], rtol=1e-4):
        return None
    return f"its frames are at {result.frame_times.tolist()} s, another reader has {other.times.tolist()}"
