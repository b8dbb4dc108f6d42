"""How strongly a heart contracts: amplitudes that reach a drawn ejection fraction exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from cardiac_motion.phantom.heart import Heart, wrap
from cardiac_motion.phantom.longitudinal import descent_profile

STRONGEST = 0.93
"""Largest loss of area of the LV cavity at any place: the walls never meet."""


class OutOfReachError(ValueError):
    """A heart cannot contract as much as it should."""


@dataclass(frozen=True)
class Segment:
    """A dysfunctional region of the left ventricle."""

    angle: float
    """Centre, radians."""
    height: float
    """Centre, mm above the apex."""
    half_angle: float
    half_height: float
    depth: float
    """Share of the contraction that is lost: 1 is akinetic."""


@dataclass(frozen=True)
class Contraction:
    """How far each mechanism goes at its extreme."""

    ejection_fraction: float
    """Of the left ventricle, as drawn; the other amplitudes are set to reach it."""
    descent: float
    """Descent of the base at end-systole, mm."""
    lv: float
    """Loss of area of the LV cavity at end-systole, before regional modulation."""
    rv: float
    """Loss of area of the RV cavity at end-systole."""
    apical_gain: float
    """How much more the apex contracts than the base, relative to the mean."""
    la: float
    """Gain of area of the left atrium at ventricular end-systole."""
    ra: float
    apex_twist: float
    """Rotation of the apex at its peak, radians, positive from x to y."""
    base_twist: float
    segments: tuple[Segment, ...]

    def strength(self, share: Tensor, z: Tensor, theta: Tensor) -> Tensor:
        """Regional contraction relative to `lv`, at height z (share of the length) and angle theta."""
        strength = 1 + self.apical_gain * (0.5 - share)
        for s in self.segments:
            u = (wrap(theta - s.angle) / s.half_angle).square() + ((z - s.height) / s.half_height).square()
            strength = strength * (1 - s.depth * (1 - u.clamp_max(1)).square())
        return strength


def height_angle_grid(low: float, high: float, heights: int = 200, angles: int = 120) -> tuple[Tensor, Tensor]:
    """Midpoints in height, (heights, 1), and angle, (1, angles), float64."""
    z = low + (high - low) * (torch.arange(heights, dtype=torch.float64) + 0.5) / heights
    theta = 2 * math.pi * (torch.arange(angles, dtype=torch.float64) + 0.5) / angles - math.pi
    return z[:, None], theta[None]


def draw_segments(rng: np.random.Generator, length: float) -> tuple[Segment, ...]:
    """None, one or two dysfunctional segments."""
    count = int(rng.choice(3, p=(0.45, 0.35, 0.20)))
    return tuple(
        Segment(
            angle=float(rng.uniform(-math.pi, math.pi)),
            height=float(rng.uniform(0.15, 0.85) * length),
            half_angle=float(rng.uniform(0.7, 1.4)),
            half_height=float(rng.uniform(20, 35)),
            depth=float(rng.uniform(0.4, 1.0)),
        )
        for _ in range(count)
    )


def draw_ejection_fraction(rng: np.random.Generator) -> float:
    """Draw an ejection fraction of the LV: mostly healthy, from 0.15 to 0.75."""
    return float(np.clip(rng.normal(0.55, 0.13), 0.15, 0.75))


def draw_contraction(
    rng: np.random.Generator, heart: Heart, *, ejection_fraction: float | None, through_plane: bool
) -> Contraction:
    """Draw a contraction that reaches the ejection fraction (drawn too, from 0.15 to 0.75, if None)."""
    drawn = draw_ejection_fraction(rng)
    ef = drawn if ejection_fraction is None else ejection_fraction
    descent = heart.length * (0.035 + 0.21 * ef) * float(rng.uniform(0.85, 1.15))
    rv_ef = float(np.clip(ef * rng.uniform(0.75, 1.05) + 0.04, 0.15, 0.65))
    contraction = Contraction(
        ejection_fraction=ef,
        descent=descent if through_plane else 0.0,
        lv=0.0,
        rv=0.0,
        apical_gain=float(rng.uniform(0.0, 0.3)),
        la=float(rng.uniform(0.25, 0.5)) * ef / 0.6,
        ra=float(rng.uniform(0.15, 0.4)) * ef / 0.6,
        apex_twist=-math.radians(float(rng.uniform(3, 10)) * ef / 0.6),
        base_twist=math.radians(float(rng.uniform(0.5, 4)) * ef / 0.6),
        segments=draw_segments(rng, heart.length),
    )
    return _reach(heart, contraction, rv_ef)


def _reach(heart: Heart, contraction: Contraction, rv_ef: float) -> Contraction:
    """Set the losses of area for the ejection fractions; weaken the dysfunction where it leaves no way."""
    while True:
        lv, strongest = _lv_amplitude(heart, contraction)
        if lv * strongest <= STRONGEST or not contraction.segments:
            break
        weaker = tuple(replace(s, depth=0.8 * s.depth) for s in contraction.segments if s.depth > 0.1)
        contraction = replace(contraction, segments=weaker)
    if lv * strongest > STRONGEST:
        raise OutOfReachError(
            f"an ejection fraction of {contraction.ejection_fraction} is out of reach of this heart"
        )
    # The shortening alone may empty a weak ventricle by more than it should: then it shortens less.
    if lv < 0:
        return _reach(heart, replace(contraction, descent=0.5 * contraction.descent), rv_ef)
    return replace(contraction, lv=lv, rv=_rv_amplitude(heart, contraction, rv_ef))


def _lv_amplitude(heart: Heart, contraction: Contraction) -> tuple[float, float]:
    """Loss of area that gives this ejection fraction, and the largest regional strength."""
    z, theta = height_angle_grid(heart.apex_wall, heart.length)
    stretch = 1 - contraction.descent * descent_profile(z, heart.length)[1]
    strength = contraction.strength(z / heart.length, z, theta)
    area = heart.endo(z) * torch.ones_like(theta)
    # Volume at end-systole over 0.5 dz dtheta: the sum of stretch (1 - lv strength) area.
    kept = float((stretch * area).sum())
    target = (1 - contraction.ejection_fraction) * float(area.sum())
    return (kept - target) / float((stretch * strength * area).sum()), float(strength.max())


def _rv_amplitude(heart: Heart, contraction: Contraction, ef: float) -> float:
    z, theta = height_angle_grid(heart.rv_apex, heart.length + heart.rvot_height)
    stretch = 1 - contraction.descent * descent_profile(z, heart.length)[1]
    epi = heart.epi(z, theta)
    area = (heart.rv(z, theta, epi)[0] - epi) * (z < heart.rv_top(theta))
    ratio = float(area.sum()) * (1 - ef) / float((stretch * area).sum())
    return float(np.clip(1 - ratio, 0, 0.75))
