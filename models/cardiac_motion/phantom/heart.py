"""The heart at rest (end-diastole): its measures, and the radii of its walls as functions of height and angle.

Canonical heart coordinates, in mm: z runs along the long axis of the left ventricle from its epicardial apex
(z = 0) to the base, the plane of the mitral annulus (z = length); x points from the septum to the lateral
wall, y to the inferior wall. They form a right-handed system and reach the scanner by a shape map (curved
axis, individual form; `shape.py`) and a rigid motion (`views.py`). Polar coordinates (r, theta) are about z.

Radii are kept as their squares q = r^2, since an area-preserving radial map is then a translation in q.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

WALL_RV = 3.0
"""Thickness of the free wall of the right ventricle, mm."""


Point = tuple[float, float, float]


def wrap(angle: Tensor) -> Tensor:
    """The same angle from -pi to pi."""
    return torch.remainder(angle + math.pi, 2 * math.pi) - math.pi


@dataclass(frozen=True)
class Heart:
    """Measures of one heart; lengths in mm, angles in radians, volumes follow from them."""

    length: float
    """Long axis of the left ventricle from the epicardial apex to the base."""
    endo_radius: float
    wall: float
    """Thickness of the wall of the left ventricle at its equator."""
    apex_wall: float
    equator: float
    """Height of the widest section."""
    wall_asymmetry: float
    wall_asymmetry_angle: float
    rv_width: float
    rv_apex: float
    """Height of the apex of the right ventricle."""
    rv_equator: float
    rv_angle: float
    """Direction of the middle of the right ventricle; pi is straight opposite the lateral wall."""
    rv_half_angle: float
    rvot_height: float
    """How far the outflow tract of the right ventricle reaches above the base."""
    rv_trabeculae: float
    lv_trabeculae: float
    la_radii: tuple[float, float, float]
    la_centre: tuple[float, float, float]
    ra_radii: tuple[float, float, float]
    ra_centre: tuple[float, float, float]
    aorta_radius: float
    pulmonary_radius: float
    papillary_angles: tuple[float, float]
    papillary_radius: float
    papillary_heights: tuple[float, float]
    papillary_offset: float
    """Distance of the papillary muscles from the axis, as a share of the endocardial radius."""
    fat: float
    """Thickness of the fat around the heart."""
    fat_angle: float
    compaction: float = 0.45
    """How far contraction presses the blood from between the trabeculae of the left ventricle, in units of their
    own depth."""
    rv_compaction: float = 0.0
    """The same of the right ventricle."""
    base_tilt: tuple[float, float] = (0.0, 0.0)
    """Slopes, along x and y, of the plane of the mitral annulus."""
    outflow_depth: float = 0.0
    """How far below the base the wall begins to give way to the outflow tract, mm; 0 for a wall all around."""
    outflow_half_angle: float = 0.0
    outflow_is_blood: bool = True
    """Whether blood fills the gap in the wall, or fat."""
    pericardium: float = 0.0
    """Thickness of the dark layer around the ventricles and their fat, mm; 0 for none."""
    pericardial_fat: float = 0.0
    """Thickness of the fat around that, mm."""
    band_radius: float = 0.0
    """Of the moderator band, which crosses the RV from the septum to its free wall, mm; 0 for none."""
    band_height: float = 0.0
    """Of the moderator band, mm."""

    @property
    def epi_radius(self) -> float:
        """Largest radius of the left ventricle, its asymmetry left aside."""
        return self.endo_radius + self.wall

    @property
    def aorta_path(self) -> tuple[Point, Point, Point]:
        """Centre line of the root of the aorta and its ascending part."""
        x, y = -0.30 * self.endo_radius, -0.75 * self.endo_radius
        return (x, y, self.length), (x - 9, y - 4, self.length + 35), (x - 6, y + 4, self.length + 80)

    @property
    def pulmonary_path(self) -> tuple[Point, Point]:
        """Centre line of the trunk of the pulmonary artery."""
        angle = self.rv_angle + 0.7
        r = self.epi_radius + 0.35 * self.rv_width
        start = (r * math.cos(angle), r * math.sin(angle), self.length + 0.6 * self.rvot_height)
        return start, (start[0] + 22, start[1] + 6, self.length + 62)

    def endo(self, z: Tensor) -> Tensor:
        """Square radius q of the endocardium at height z: an ellipsoid, continued above the base as a cylinder."""
        u = (z.clamp(self.apex_wall, self.length) - self.equator) / (self.equator - self.apex_wall)
        return self.endo_radius**2 * (1 - u * u).clamp_min(0)

    def epi(self, z: Tensor, theta: Tensor) -> Tensor:
        """Square radius q of the epicardium of the left ventricle (without the right ventricle's)."""
        u = (z.clamp(0, self.length) - self.equator) / self.equator
        inner = self.endo(z)
        round_epi = torch.maximum(self.epi_radius**2 * (1 - u * u), inner)
        thickness = 1 + self.wall_asymmetry * torch.cos(theta - self.wall_asymmetry_angle)
        return inner + (round_epi - inner) * thickness

    def rv_bump(self, theta: Tensor) -> Tensor:
        """Form of the RV crescent over the angle: 1 in its middle, 0 at the insertions and beyond."""
        u = (wrap(theta - self.rv_angle) / self.rv_half_angle).square().clamp_max(1)
        return (1 - u) * (1 + 0.6 * u)

    def rv(self, z: Tensor, theta: Tensor, q_epi: Tensor) -> tuple[Tensor, Tensor]:
        """Square radii q of both sides of the RV free wall, inner first; q_epi where there is no RV."""
        u = (self.rv_equator - z.clamp(self.rv_apex, self.rv_equator)) / (self.rv_equator - self.rv_apex)
        profile = 1 - u * u
        bump = self.rv_bump(theta)
        r_epi = q_epi.clamp_min(0).sqrt()
        inner = r_epi + self.rv_width * profile * bump
        outer = inner + WALL_RV * (4 * bump * profile).clamp_max(1)
        return inner.square(), outer.square()

    def rv_top(self, theta: Tensor) -> Tensor:
        """Height of the upper end of the RV cavity: the base, and the outflow tract in front."""
        u = wrap(theta - self.rv_angle - 0.7) / 0.6
        return self.length + self.rvot_height * (1 - u * u).clamp_min(0)

    def base(self, x: Tensor, y: Tensor) -> Tensor:
        """Height of the base of the left ventricle."""
        a, b = self.base_tilt
        return self.length + a * x + b * y

    @property
    def outflow_angle(self) -> float:
        """Direction of the outflow tract of the left ventricle."""
        x, y, _ = self.aorta_path[0]
        return math.atan2(y, x)

    def outer_radius(self, theta: Tensor) -> Tensor:
        """Radius that holds both ventricles at every height, atria included."""
        equator = torch.full_like(theta, self.equator)
        q_epi = self.epi(equator, theta)
        bump = self.rv_bump(theta)
        return q_epi.sqrt() + self.rv_width * bump + WALL_RV * (4 * bump).clamp_max(1)


def draw_heart(rng: np.random.Generator) -> Heart:
    """Draw a heart: normal, dilated or hypertrophic, with the variation seen between patients."""
    kind = rng.choice(3, p=(0.5, 0.25, 0.25))
    scale = float(rng.uniform(0.92, 1.08))
    radius, wall = (
        (rng.uniform(22, 27), rng.uniform(8.0, 11.0)),
        (rng.uniform(27, 33), rng.uniform(7.5, 10)),
        (rng.uniform(20, 24), rng.uniform(11.5, 16)),
    )[kind]
    radius, wall = float(radius * scale), float(wall)
    length = float(rng.uniform(84, 98) * scale + (4 if kind == 1 else 0))
    equator = length * float(rng.uniform(0.72, 0.82))
    rv_angle = math.pi + float(rng.uniform(-0.15, 0.25))
    la = float(rng.uniform(0.88, 1.15))
    ra = float(rng.uniform(0.88, 1.12))
    base = radius + wall
    rv_width = float(rng.uniform(28, 38) * scale)
    return Heart(
        length=length,
        endo_radius=radius,
        wall=wall,
        apex_wall=float(rng.uniform(5, 8)),
        equator=equator,
        wall_asymmetry=float(rng.uniform(0, 0.18)),
        wall_asymmetry_angle=float(rng.uniform(-math.pi, math.pi)),
        rv_width=rv_width,
        rv_apex=length * float(rng.uniform(0.10, 0.22)),
        rv_equator=length * float(rng.uniform(0.82, 0.95)),
        rv_angle=rv_angle,
        rv_half_angle=float(rng.uniform(1.15, 1.35)),
        rvot_height=float(rng.uniform(14, 22)),
        rv_trabeculae=float(rng.uniform(0.4, 1.0)),
        lv_trabeculae=float(rng.uniform(0.3, 1.0)),
        la_radii=(29 * la, 24 * la, 25 * la),
        la_centre=(float(rng.uniform(-1, 5)), float(rng.uniform(9, 13)), length + 20 * la),
        ra_radii=(24 * ra, 28 * ra, 25 * ra),
        ra_centre=(-base - 8 * ra, float(rng.uniform(8, 14)), length + 16 * ra),
        aorta_radius=float(rng.uniform(11, 14)),
        pulmonary_radius=float(rng.uniform(10, 13)),
        papillary_angles=(float(rng.uniform(-0.9, -0.5)), float(rng.uniform(1.3, 1.9))),
        papillary_radius=float(rng.uniform(3.8, 6.0)),
        papillary_heights=(length * float(rng.uniform(0.22, 0.30)), length * float(rng.uniform(0.58, 0.70))),
        papillary_offset=float(rng.uniform(0.64, 0.74)),
        fat=float(rng.uniform(0.5, 3.0)),
        fat_angle=float(rng.uniform(-math.pi, math.pi)),
    )
