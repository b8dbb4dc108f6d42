"""Volumes over the cycle, and what is read off them: ED, ES, stroke volume, ejection fraction, mass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiac_motion.analysis.curves import Curve
from cardiac_motion.analysis.phases import phases
from cardiac_motion.errors import InputError
from cardiac_motion.labels import STRUCTURES, Label

MYOCARDIAL_DENSITY = 1.05
"""Grams per millilitre."""

PLAUSIBLE_EJECTION_FRACTION = (5.0, 90.0)
"""Percent; one that is lower or higher comes from wrong contours, ED or ES rather than from a heart."""

_VENTRICLES = (Label.LV, Label.RV)


def volumes_ml(labels: npt.NDArray[np.integer[Any]], spacing: Sequence[float]) -> dict[Label, Curve]:
    """Volume of each structure over time by slice summation: {structure: (T,) ml}.

    Args:
        labels: (T, Z, Y, X), or (Z, Y, X) for one frame.
        spacing: (z, y, x) in mm; along z the distance between slices, gap included.

    Returns:
        Only structures that are there in at least one frame.

    Raises:
        InputError: another number of axes, or a spacing that is not positive.
    """
    frames = np.asarray(labels)
    if frames.ndim == 3:
        frames = frames[None]
    if frames.ndim != 4:
        raise InputError(f"expected labels (T, Z, Y, X), got shape {frames.shape}")
    sizes = np.asarray(spacing, dtype=np.float64)
    if sizes.shape != (3,) or not np.isfinite(sizes).all() or (sizes <= 0).any():
        raise InputError(f"expected a positive spacing (z, y, x) in mm, got {list(spacing)}")
    millilitres = float(sizes.prod()) / 1000
    # Frame by frame: counting a whole cine at once is several times slower.
    counts = {label: np.array([np.count_nonzero(frame == label) for frame in frames]) for label in STRUCTURES}
    return {label: count * millilitres for label, count in counts.items() if count.any()}


def ejection_fraction(volume: npt.ArrayLike, *, ed: int, es: int) -> float:
    """(EDV - ESV) / EDV in percent of a volume curve (T,).

    Raises:
        InputError: a frame that is not there, or no volume at ED.
    """
    curve = np.asarray(volume, dtype=np.float64)
    for name, frame in (("ED", ed), ("ES", es)):
        if not 0 <= frame < len(curve):
            raise InputError(f"frames are counted from 0 to {len(curve) - 1}, got {name} = {frame}")
    if not curve[ed] > 0:
        raise InputError(f"the ejection fraction needs a volume at ED, frame {ed} has {curve[ed]:g} ml")
    return float(100 * (curve[ed] - curve[es]) / curve[ed])


def mass_g(volume_ml: float) -> float:
    """Mass of so much myocardium, in grams."""
    return MYOCARDIAL_DENSITY * float(volume_ml)


@dataclass(frozen=True)
class Ventricle:
    """Function of one ventricle: volumes in ml, ejection fraction in percent."""

    end_diastolic_ml: float
    end_systolic_ml: float
    stroke_ml: float
    ejection_fraction: float


@dataclass(frozen=True)
class CardiacFunction:
    """What volumes over the cycle say about the heart.

    Attributes:
        ed: frame of end-diastole, counted from 0, the same for both ventricles.
        es: frame of end-systole.
        ventricles: LV and RV, as far as they have a volume at ED.
        mass_g: of the LV myocardium at ED; None where it is not labelled there.
    """

    ed: int
    es: int
    ventricles: Mapping[Label, Ventricle]
    mass_g: float | None

    def warnings(self) -> list[str]:
        """What cannot be right about the ventricles, for the reader, one sentence each."""
        low, high = PLAUSIBLE_EJECTION_FRACTION
        found = []
        for label, ventricle in self.ventricles.items():
            name, fraction = label.name, ventricle.ejection_fraction
            if low <= fraction <= high:
                continue
            wrong = (
                f"the volume of {name} at ES ({ventricle.end_systolic_ml:.1f} ml, frame {self.es}) is larger than "
                f"at ED ({ventricle.end_diastolic_ml:.1f} ml, frame {self.ed})"
                if fraction < 0
                else f"an ejection fraction of {fraction:.1f} % of {name} is implausible (expected {low:.0f} to "
                f"{high:.0f} %; ED is frame {self.ed}, ES frame {self.es})"
            )
            found.append(f"{wrong}; look at the contours of these two frames")
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain numbers by name, as in the answers of the server."""
        return {
            "ed": self.ed,
            "es": self.es,
            "ejection_fraction": {label.name: v.ejection_fraction for label, v in self.ventricles.items()},
            "stroke_ml": {label.name: v.stroke_ml for label, v in self.ventricles.items()},
            "mass_g": {} if self.mass_g is None else {Label.LV.name: self.mass_g},
        }


def cardiac_function(
    volumes: Mapping[Label, npt.ArrayLike], *, ed: int | None = None, es: int | None = None
) -> CardiacFunction:
    """Read ED, ES, volumes, ejection fractions and mass off the curves.

    Args:
        volumes: {structure: (T,) ml}, as `volumes_ml` gives.
        ed: frame of end-diastole; by default that of the left ventricle's curve, or of the right one's (`phases`).
        es: frame of end-systole, likewise.

    Raises:
        InputError: no ventricle, or a curve or frame that cannot be.
    """
    guide = next((label for label in _VENTRICLES if label in volumes), None)
    if guide is None:
        names = ", ".join(label.name for label in volumes) or "none"
        raise InputError(f"ED and ES are read off the volume of LV or RV, got the structures {names}")
    if ed is None or es is None:
        found = phases(volumes[guide])
        ed, es = found[0] if ed is None else ed, found[1] if es is None else es
    ventricles = {}
    for label in _VENTRICLES:
        curve = np.asarray(volumes.get(label, ()), dtype=np.float64)
        # A ventricle without labels at ED has no ejection fraction; that of the guide must be there.
        if label == guide or (len(curve) and curve[ed] > 0):
            fraction = ejection_fraction(curve, ed=ed, es=es)
            ventricles[label] = Ventricle(
                end_diastolic_ml=float(curve[ed]),
                end_systolic_ml=float(curve[es]),
                stroke_ml=float(curve[ed] - curve[es]),
                ejection_fraction=fraction,
            )
    wall = np.asarray(volumes.get(Label.MYO, ()), dtype=np.float64)
    mass = mass_g(float(wall[ed])) if len(wall) and wall[ed] > 0 else None
    return CardiacFunction(ed=ed, es=es, ventricles=ventricles, mass_g=mass)
