"""Volumes of the cavities and the myocardium at any phase, from the anatomy and the map, not from voxels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from cardiac_motion.labels import Label
from cardiac_motion.phantom.anatomy import Anatomy
from cardiac_motion.phantom.contraction import height_angle_grid
from cardiac_motion.phantom.deformation import Points
from cardiac_motion.phantom.model import Phantom

GRID = 1.5
"""Spacing of the grid on which the volumes of the atria are integrated, mm."""


@dataclass(frozen=True)
class VolumeIntegrals:
    """Volumes of one phantom.

    The ventricles are integrals over height and angle of the area between two surfaces, which the radial map
    gives in closed form; the atria are sums of |J| over the material on a fine grid.
    """

    phantom: Phantom

    def at(self, phase: float) -> dict[Label, float]:
        """Volume of each structure at a phase, ml."""
        deformation = self.phantom.deformation(phase)
        heart = self.phantom.heart
        volumes = {}

        z, theta = height_angle_grid(heart.apex_wall, heart.length)
        area = deformation.radial_map(z, theta).endo_new * deformation.stretch(z)
        volumes[Label.LV] = _integral(area, heart.length - heart.apex_wall)

        z, theta = height_angle_grid(0.0, heart.length)
        radial = deformation.radial_map(z, theta)
        whole = _integral(radial.epi_new * deformation.stretch(z), heart.length)
        volumes[Label.MYO] = whole - volumes[Label.LV]

        top = heart.length + heart.rvot_height
        z, theta = height_angle_grid(heart.rv_apex, top)
        radial = deformation.radial_map(z, theta)
        area = (radial.rv_in_new - radial.epi_new) * deformation.stretch(z) * (z < heart.rv_top(theta))
        volumes[Label.RV] = _integral(area, top - heart.rv_apex)

        for label, points in self._atria.items():
            volumes[label] = float(deformation.jacobian(points).double().sum()) * GRID**3 / 1000
        return volumes

    @cached_property
    def _atria(self) -> dict[Label, Points]:
        heart = self.phantom.heart
        result = {}
        for label, centre, radii in (
            (Label.LA, heart.la_centre, heart.la_radii),
            (Label.RA, heart.ra_centre, heart.ra_radii),
        ):
            axes = [torch.arange(c - r + GRID / 2, c + r, GRID) for c, r in zip(centre, radii, strict=True)]
            x, y, z = (g.flatten() for g in torch.meshgrid(*axes, indexing="ij"))
            chosen = Anatomy(heart, x, y, z).labels() == int(label)
            result[label] = (x[chosen], y[chosen], z[chosen])
        return result


def _integral(area: Tensor, height: float) -> float:
    """The integral of q / 2 over angle and height, ml, of values at the midpoints of a grid."""
    return float(area.mean()) * height * math.pi / 1000
