"""Volumes over the cycle, and what is read off them, with the server's definitions. Knows no MRML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from CardiacMotionLib.curves import Curve, phases
from CardiacMotionLib.errors import InputError
from CardiacMotionLib.structures import BY_NAME, STRUCTURES

MYOCARDIAL_DENSITY = 1.05
"""Grams per millilitre."""

_GUIDES = ("LV", "RV")


class VolumeCurves:
    """Voxels of each structure, counted frame by frame and only when a frame has changed.

    A stack of a single slice has an area and no volume: it has no curves.
    """

    def __init__(self, shape: Sequence[int], spacing: Sequence[float]) -> None:
        """Start with empty frames.

        Args:
            shape: (T, Z, Y, X).
            spacing: (z, y, x) in mm; along z the distance between slices, gap included.
        """
        self._counts = np.zeros((shape[0], len(STRUCTURES)), dtype=np.int64)
        self._millilitres = float(np.prod(np.asarray(spacing, dtype=np.float64))) / 1000
        self._has_volume = shape[1] > 1
        self._seen: list[object] = [None] * shape[0]

    def update(self, frame: int, labels: npt.NDArray[np.uint8]) -> None:
        """Count a frame, (Z, Y, X)."""
        self._counts[frame] = [np.count_nonzero(labels == structure.value) for structure in STRUCTURES]

    def follow(self, segmentations: Any) -> tuple[int, ...]:
        """Count the frames of `Segmentations` that have changed since the last time; returns which."""
        changed = []
        for frame in range(len(self._seen)):
            version = segmentations.version(frame)
            if version != self._seen[frame]:
                self._seen[frame] = version
                self.update(frame, segmentations.labels(frame))
                changed.append(frame)
        return tuple(changed)

    @property
    def millilitres(self) -> dict[str, Curve]:
        """{structure: (T,) ml}, of structures that are there in at least one frame."""
        if not self._has_volume:
            return {}
        curves = {s.name: self._counts[:, index] * self._millilitres for index, s in enumerate(STRUCTURES)}
        return {name: curve for name, curve in curves.items() if curve.any()}


@dataclass(frozen=True)
class Ventricle:
    """Function of one ventricle: volumes in ml, ejection fraction in percent."""

    end_diastolic_ml: float
    end_systolic_ml: float
    stroke_ml: float
    ejection_fraction: float


@dataclass(frozen=True)
class Function:
    """What volumes over the cycle say about the heart.

    Attributes:
        ed: frame of end-diastole, counted from 0, the same for both ventricles.
        es: frame of end-systole.
        ventricles: by name, LV and RV, as far as they have a volume at ED.
        mass_g: of the LV myocardium at ED; None where it is not drawn there.
    """

    ed: int
    es: int
    ventricles: Mapping[str, Ventricle]
    mass_g: float | None


def cardiac_function(
    volumes: Mapping[str, npt.ArrayLike], *, ed: int | None = None, es: int | None = None
) -> Function | None:
    """Read ED, ES, volumes, ejection fractions and mass off the curves.

    Args:
        volumes: {structure: (T,) ml}, as `VolumeCurves.millilitres`.
        ed: frame of end-diastole; by default that of the left ventricle's curve, or of the right one's (`phases`).
        es: frame of end-systole, likewise.

    Returns:
        None where nothing can be said: no ventricle is drawn, or none at a frame `ed` that was given.

    Raises:
        InputError: a frame that is not there.
    """
    guide = next((name for name in _GUIDES if name in volumes), None)
    if guide is None:
        return None
    curves = {name: np.asarray(curve, dtype=np.float64) for name, curve in volumes.items()}
    if ed is None or es is None:
        found = phases(curves[guide])
        ed, es = found[0] if ed is None else ed, found[1] if es is None else es
    for frame in (ed, es):
        if not 0 <= frame < len(curves[guide]):
            raise InputError(f"frames are counted from 0 to {len(curves[guide]) - 1}, got {frame}")
    ventricles = {
        name: _ventricle(curves[name], ed, es) for name in _GUIDES if name in curves and curves[name][ed] > 0
    }
    if not ventricles:
        return None
    wall = curves.get("MYO")
    mass = MYOCARDIAL_DENSITY * float(wall[ed]) if wall is not None and wall[ed] > 0 else None
    return Function(ed, es, ventricles, mass)


def _ventricle(curve: Curve, ed: int, es: int) -> Ventricle:
    stroke = float(curve[ed] - curve[es])
    return Ventricle(float(curve[ed]), float(curve[es]), stroke, 100 * stroke / float(curve[ed]))


def is_drawn_throughout(volumes: Mapping[str, npt.ArrayLike], name: str) -> bool:
    """Whether a structure has a volume on every frame, so that its ED and ES mean something."""
    if name not in BY_NAME or name not in volumes:
        return False
    return bool((np.asarray(volumes[name]) > 0).all())
