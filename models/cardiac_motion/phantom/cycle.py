"""The cardiac cycle: how far each mechanism has gone at each phase (0 = end-diastole, 1 = the next one)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Curve:
    """A periodic curve through knots, with slope zero at each of them: it is smooth and never overshoots."""

    phases: tuple[float, ...]
    """Increasing, from 0 to 1."""
    values: tuple[float, ...]
    """One per phase; the last equals the first."""

    def __call__(self, phase: float) -> float:
        """The value at a phase; phases repeat with period 1."""
        p = phase % 1.0
        i = int(np.clip(np.searchsorted(self.phases, p, side="right") - 1, 0, len(self.phases) - 2))
        u = (p - self.phases[i]) / (self.phases[i + 1] - self.phases[i])
        return self.values[i] + (self.values[i + 1] - self.values[i]) * u * u * (3 - 2 * u)


@dataclass(frozen=True)
class Cycle:
    """Contraction, longitudinal shortening and torsion over the cycle, each from 0 to 1."""

    seconds: float
    end_systole: float
    """Phase at which contraction and shortening are complete."""
    contraction: Curve
    shortening: Curve
    torsion: Curve


def draw_cycle(rng: np.random.Generator, frames: int) -> Cycle:
    """Systole, isovolumic relaxation, rapid filling, diastasis and atrial kick, for a heart rate of 50 to 95.

    End-systole is put on a frame, so that the volumes on the frames reach the ejection fraction that was
    drawn.
    """
    seconds = float(60 / rng.uniform(50, 95))
    # Systole lasts about 0.32 s with a weak dependence on the heart rate.
    systole = 0.36 * np.sqrt(seconds / 0.9) * rng.uniform(0.92, 1.08) / seconds
    end_systole = float(np.clip(round(systole * frames), 1, frames - 2) / frames)
    rest = 1 - end_systole
    relaxed = end_systole + 0.08 * rest
    filled = end_systole + rng.uniform(0.40, 0.50) * rest
    kick = 1 - rng.uniform(0.20, 0.26) * rest
    left = float(rng.uniform(0.15, 0.32))
    drift = 0.9 * left

    def curve(remaining: float, after_relaxation: float, after_diastasis: float) -> Curve:
        phases = (0.0, end_systole, float(relaxed), float(filled), float(kick), 1.0)
        return Curve(phases, (0.0, 1.0, after_relaxation, remaining, after_diastasis, 0.0))

    return Cycle(
        seconds,
        end_systole,
        contraction=curve(left, 0.985, drift),
        shortening=curve(left * 1.15, 0.96, drift * 1.15),
        torsion=curve(0.12, 0.75, 0.08),
    )
