"""Tissues and their signals."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np


class Tissue(IntEnum):
    """What the body is made of, as far as the image tells it apart."""

    AIR = 0
    FAT = 1
    SKELETAL_MUSCLE = 2
    LUNG = 3
    MEDIASTINUM = 4
    LIVER = 5
    STOMACH = 6
    BONE = 7
    SPINAL_FLUID = 8
    EPICARDIAL_FAT = 9
    MYOCARDIUM = 10
    LV_BLOOD = 11
    RV_BLOOD = 12
    LA_BLOOD = 13
    RA_BLOOD = 14
    ARTERY = 15
    VEIN = 16
    PAPILLARY = 17
    VALVE = 18


# Relative to blood, as balanced SSFP at 1.5 and 3 T shows them, and their spread between people and scanners.
_BSSFP: dict[Tissue, tuple[float, float]] = {
    Tissue.AIR: (0.01, 0.0),
    Tissue.FAT: (1.0, 0.15),
    Tissue.SKELETAL_MUSCLE: (0.24, 0.03),
    Tissue.LUNG: (0.07, 0.02),
    Tissue.MEDIASTINUM: (0.40, 0.10),
    Tissue.LIVER: (0.34, 0.06),
    Tissue.STOMACH: (0.35, 0.2),
    Tissue.BONE: (0.45, 0.08),
    Tissue.SPINAL_FLUID: (1.2, 0.1),
    Tissue.EPICARDIAL_FAT: (0.70, 0.2),
    Tissue.MYOCARDIUM: (0.27, 0.04),
    Tissue.LV_BLOOD: (1.0, 0.05),
    Tissue.RV_BLOOD: (0.93, 0.06),
    Tissue.LA_BLOOD: (0.97, 0.06),
    Tissue.RA_BLOOD: (0.90, 0.06),
    Tissue.ARTERY: (1.0, 0.08),
    Tissue.VEIN: (0.85, 0.1),
    Tissue.PAPILLARY: (0.31, 0.04),
    Tissue.VALVE: (0.45, 0.1),
}

# Tissues that differ far more than between people: what is around the heart, by sequence, coil and window.
_WIDE: dict[Tissue, tuple[float, float]] = {
    Tissue.FAT: (0.35, 1.5),
    Tissue.SKELETAL_MUSCLE: (0.12, 0.5),
    Tissue.LUNG: (0.02, 0.28),
    Tissue.MEDIASTINUM: (0.15, 0.8),
    Tissue.LIVER: (0.12, 0.65),
    Tissue.STOMACH: (0.05, 0.9),
    Tissue.EPICARDIAL_FAT: (0.2, 1.1),
    Tissue.MYOCARDIUM: (0.14, 0.45),
    # Blood that was not replaced between excitations; near the apex of the RV, most of all.
    Tissue.RV_BLOOD: (0.5, 1.05),
}

_FAT = (Tissue.FAT, Tissue.EPICARDIAL_FAT)

# Amplitude of the texture relative to the tissue's own signal.
_TEXTURE: dict[Tissue, float] = {
    Tissue.FAT: 0.08,
    Tissue.SKELETAL_MUSCLE: 0.30,
    Tissue.LUNG: 0.35,
    Tissue.MEDIASTINUM: 0.35,
    Tissue.LIVER: 0.15,
    Tissue.STOMACH: 0.3,
    Tissue.BONE: 0.2,
    Tissue.EPICARDIAL_FAT: 0.25,
    Tissue.MYOCARDIUM: 0.18,
    Tissue.PAPILLARY: 0.15,
    Tissue.LV_BLOOD: 0.06,
    Tissue.RV_BLOOD: 0.06,
    Tissue.LA_BLOOD: 0.06,
    Tissue.RA_BLOOD: 0.06,
    Tissue.ARTERY: 0.05,
    Tissue.VEIN: 0.06,
}


@dataclass(frozen=True)
class Contrast:
    """How tissues appear.

    Attributes:
        signal: of each tissue, indexed by `Tissue`; blood is about 1.
        texture: its amplitude, likewise.
        opposed: fat's signal has the opposite phase of water's, as balanced SSFP with an echo in the middle of the
            repetition time has it: where both share a voxel they cancel, and a dark line parts the heart from
            the fat around it.
        blur: pixels over which one tissue passes into the next.
    """

    signal: tuple[float, ...]
    texture: tuple[float, ...]
    opposed: bool = False
    blur: float = 1.0

    def of(self, tissue: Tissue) -> float:
        """Signal of a tissue; negative where its phase is the opposite one."""
        return -self.signal[tissue] if self.opposed and tissue in _FAT else self.signal[tissue]


def draw_contrast(rng: np.random.Generator, *, random: bool, texture: bool, wide: bool = False) -> Contrast:
    """Draw a bSSFP-like contrast, or with ``random`` one in which any tissue has any signal.

    With ``wide``, bSSFP-like contrasts differ more than scanners do in all that is not blood, edges are sharp to
    blurred, and fat has the opposite phase in most.

    Random contrasts follow the idea of SynthSeg (Billot et al. 2023): a network that has seen every contrast
    relies on none.
    """
    if random:
        values = rng.uniform(0.05, 1.2, len(Tissue))
        # In half of them all blood is alike, so that "cavities are one thing" is learnt as well.
        if rng.random() < 0.5:
            blood = [Tissue.LV_BLOOD, Tissue.RV_BLOOD, Tissue.LA_BLOOD, Tissue.RA_BLOOD, Tissue.ARTERY]
            values[blood] = rng.uniform(0.05, 1.2) * rng.uniform(0.9, 1.1, len(blood))
        if rng.random() < 0.5:
            values[Tissue.PAPILLARY] = values[Tissue.MYOCARDIUM]
        amplitude = rng.uniform(0.0, 0.3, len(Tissue)) * np.maximum(values, 0.3)
    else:
        values = np.array([max(0.0, rng.normal(*_BSSFP[t])) for t in Tissue])
        values[Tissue.LV_BLOOD] = max(values[Tissue.LV_BLOOD], 0.85)
        if wide:
            for tissue, (low, high) in _WIDE.items():
                values[tissue] = rng.uniform(low, high)
            values[Tissue.PAPILLARY] = values[Tissue.MYOCARDIUM] * rng.uniform(0.9, 1.3)
        relative = np.array([_TEXTURE.get(t, 0.0) for t in Tissue])
        amplitude = relative * values * rng.uniform(0.7, 1.3)
        if wide and rng.random() < 0.8:
            # Muscle pressed together looks just as the wall does: only its shape tells where the wall begins.
            values[Tissue.PAPILLARY] = values[Tissue.MYOCARDIUM]
            amplitude[Tissue.PAPILLARY] = amplitude[Tissue.MYOCARDIUM]
    if not texture:
        amplitude = np.zeros_like(values)
    if not wide:
        return Contrast(tuple(values.tolist()), tuple(amplitude.tolist()))
    opposed = not random and bool(rng.random() < 0.75)
    return Contrast(
        tuple(values.tolist()), tuple(amplitude.tolist()), opposed=opposed, blur=float(rng.uniform(1.0, 2.2))
    )
