"""The motion of the heart at one phase: a map of canonical coordinates onto themselves, exact both ways.

The map is a composition of three, each triangular in suitable coordinates, so that the Jacobian of the whole
is the product of one-dimensional derivatives, all positive by construction:

1. longitudinal, at fixed (x, y): z' = z - W(r, theta) d h(z). The base descends by d, the apex is about still,
   the atria above are stretched; W is 1 in the heart and decays around it. |J| = dz'/dz.
2. radial, at fixed theta and height: q' = Q(q) with q = r^2, made of pieces: the LV cavity shrinks to gamma of
   its area, the wall is shifted (slope 1 / lambda, lambda = dz'/dz: incompressible, so it thickens), the RV
   cavity shrinks to beta, its wall is incompressible again, and what is around decays to rest. |J| = dq'/dq.
3. torsion, at fixed (r, z): theta' = theta + tau(r, z). |J| = 1.

gamma depends on the angle and the height (regional dysfunction) and on time; incompressibility holds for any
gamma because the radial map keeps the angle.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cardiac_motion.phantom.contraction import Contraction
from cardiac_motion.phantom.heart import Heart, wrap
from cardiac_motion.phantom.longitudinal import descent_profile
from cardiac_motion.phantom.radial import RadialMap

SURROUND = 38.0
"""Width of the zone around the heart in which the motion decays to rest, mm."""
VALVE_ZONE = 16.0
"""Height above the base over which ventricular contraction passes into atrial filling, mm."""

Points = tuple[Tensor, Tensor, Tensor]


def smoothstep(u: Tensor) -> Tensor:
    """0 below 0, 1 above 1, with slope zero at both."""
    u = u.clamp(0, 1)
    return u * u * (3 - 2 * u)


@dataclass(frozen=True)
class Deformation:
    """The map from end-diastole to one phase.

    Attributes:
        squeeze: course of the contraction at this phase, 0 to 1.
        descent: descent of the base at this phase, mm.
        twist: course of the torsion at this phase, 0 to 1.
    """

    heart: Heart
    contraction: Contraction
    squeeze: float
    descent: float
    twist: float

    @property
    def at_rest(self) -> bool:
        """Whether this is the identity."""
        return self.squeeze == 0 and self.descent == 0 and self.twist == 0

    def profile(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """h(z), the share of the descent that each height follows, and dh/dz in 1/mm."""
        return descent_profile(z, self.heart.length)

    def _weight(self, r: Tensor, theta: Tensor) -> Tensor:
        return 1 - smoothstep((r - self.heart.outer_radius(theta)) / SURROUND)

    def _raise(self, z_new: Tensor, drop: Tensor | float) -> Tensor:
        """The z with z - drop h(z) = z_new, by Newton's method; exact to 1e-5 mm after three steps."""
        z = z_new + drop * self.profile(z_new)[0]
        for _ in range(3):
            value, slope = self.profile(z)
            z = z - (z - drop * value - z_new) / (1 - drop * slope)
        return z

    def stretch(self, z: Tensor) -> Tensor:
        """The stretch dz'/dz in the heart at height z (at rest)."""
        return 1 - self.descent * self.profile(z)[1]

    def cavity_ratio(self, z: Tensor, theta: Tensor) -> Tensor:
        """gamma: area of the LV cavity relative to rest at height z (at rest) and angle theta."""
        length = self.heart.length
        c = self.contraction
        strength = c.strength(z.clamp(0, length) / length, z.clamp(0, length), theta)
        ventricle = 1 - self.squeeze * c.lv * strength
        return self._towards_atrium(z, z - length, ventricle, c.la)

    def rv_ratio(self, z: Tensor, theta: Tensor) -> Tensor:
        """beta: area of the RV cavity relative to rest at height z (at rest) and angle theta."""
        c = self.contraction
        return self._towards_atrium(z, z - self.heart.rv_top(theta), 1 - self.squeeze * c.rv, c.ra)

    def _towards_atrium(self, z: Tensor, beyond: Tensor, ventricle: Tensor | float, gain: float) -> Tensor:
        above = smoothstep(beyond / VALVE_ZONE)
        atrium = 1 + gain * self.squeeze * (1 - smoothstep((z - self.heart.length - 35) / 35))
        return ventricle + (atrium - ventricle) * above

    def radial_map(self, z: Tensor, theta: Tensor) -> RadialMap:
        """The radial map at height z (at rest) and angle theta."""
        heart = self.heart
        epi = heart.epi(z, theta)
        thicken = 1 / self.stretch(z.clamp_max(heart.length))
        thicken = thicken + (1 - thicken) * smoothstep((z - heart.length) / VALVE_ZONE)
        return RadialMap(
            (heart.endo(z), epi, *heart.rv(z, theta, epi)),
            gamma=self.cavity_ratio(z, theta),
            thicken=thicken,
            beta=self.rv_ratio(z, theta),
            surround=SURROUND,
        )

    def _rotation(self, r: Tensor, z: Tensor) -> Tensor:
        """tau, radians, at a deformed radius and height."""
        c, length = self.contraction, self.heart.length
        along = c.apex_twist + (c.base_twist - c.apex_twist) * (z / length).clamp(0, 1)
        along = along * smoothstep((z + 40) / 40) * (1 - smoothstep((z - length) / 60))
        return self.twist * along * (1 - smoothstep((r - self.heart.epi_radius) / SURROUND))

    def forward(self, points: Points) -> Points:
        """Where the material points (x, y, z) are at this phase; canonical coordinates, mm."""
        x, y, z = points
        if self.at_rest:
            return points
        r, theta = torch.hypot(x, y), torch.atan2(y, x)
        z_new = z - self._weight(r, theta) * self.descent * self.profile(z)[0]
        nominal = self._raise(z_new, self.descent)
        r_new = self.radial_map(nominal, theta).forward(r * r).clamp_min(0).sqrt()
        theta = theta + self._rotation(r_new, z_new)
        return r_new * torch.cos(theta), r_new * torch.sin(theta), z_new

    def inverse(self, points: Points) -> Points:
        """The material points that are at (x, y, z) at this phase; canonical coordinates, mm."""
        x, y, z_new = points
        if self.at_rest:
            return points
        r_new = torch.hypot(x, y)
        theta = wrap(torch.atan2(y, x) - self._rotation(r_new, z_new))
        nominal = self._raise(z_new, self.descent)
        r = self.radial_map(nominal, theta).inverse(r_new * r_new).clamp_min(0).sqrt()
        z = self._raise(z_new, self._weight(r, theta) * self.descent)
        return r * torch.cos(theta), r * torch.sin(theta), z

    def jacobian(self, points: Points) -> Tensor:
        """|J| of `forward` at the material points, from the derivatives of its parts."""
        x, y, z = points
        r, theta = torch.hypot(x, y), torch.atan2(y, x)
        drop = self._weight(r, theta) * self.descent
        value, slope = self.profile(z)
        nominal = self._raise(z - drop * value, self.descent)
        return (1 - drop * slope) * self.radial_map(nominal, theta).slope(r * r)

    def moves(self, x: Tensor, y: Tensor) -> Tensor:
        """Where, seen along the axis, anything moves at all: bool, the same for all phases."""
        r, theta = torch.hypot(x, y), torch.atan2(y, x)
        limit = self.heart.outer_radius(theta).clamp_min(self.heart.epi_radius) + SURROUND
        return r < limit
