"""Where each structure of the heart is at rest: signed distances, labels, and the order of painting."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from cardiac_motion.labels import Label
from cardiac_motion.phantom.canvas import Canvas, capsule, ellipsoid, highest
from cardiac_motion.phantom.heart import WALL_RV, Heart, wrap
from cardiac_motion.phantom.tissues import Tissue

ATRIAL_WALL = 2.0
VESSEL_WALL = 1.5


@dataclass(frozen=True)
class Anatomy:
    """The heart's structures at canonical points (x, y, z), in mm, at rest."""

    heart: Heart
    x: Tensor
    y: Tensor
    z: Tensor

    @cached_property
    def r(self) -> Tensor:
        """Distance from the long axis."""
        return torch.hypot(self.x, self.y)

    @cached_property
    def theta(self) -> Tensor:
        """Angle about the long axis."""
        return torch.atan2(self.y, self.x)

    @cached_property
    def _surfaces(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Radii of the LV endocardium and epicardium, and of both sides of the RV free wall."""
        epi = self.heart.epi(self.z, self.theta)
        rv_in, rv_out = self.heart.rv(self.z, self.theta, epi)
        return self.heart.endo(self.z).sqrt(), epi.sqrt(), rv_in.sqrt(), rv_out.sqrt()

    @cached_property
    def _base(self) -> Tensor:
        return self.heart.base(self.x, self.y)

    @cached_property
    def outflow(self) -> Tensor | None:
        """Signed distance to the gap in the LV's wall where its outflow tract is; None for a wall all around."""
        heart = self.heart
        if heart.outflow_depth <= 0:
            return None
        # The gap widens towards the base.
        up = ((self.z - heart.length) / heart.outflow_depth + 1).clamp(0, 1)
        beside = wrap(self.theta - heart.outflow_angle).abs() - heart.outflow_half_angle * up.sqrt()
        inner, outer = self._surfaces[0], self._surfaces[1]
        return highest(beside * self.r, inner - self.r, self.r - outer, self.z - self._base, 0.5 - 20 * up)

    @cached_property
    def _rv_top(self) -> Tensor:
        return self.heart.rv_top(self.theta)

    @cached_property
    def lv_cavity(self) -> Tensor:
        """Signed distance to the LV cavity, papillary muscles included."""
        return highest(self.r - self._surfaces[0], self.heart.apex_wall - self.z, self.z - self._base)

    @cached_property
    def lv(self) -> Tensor:
        """Signed distance to the LV with its wall."""
        return highest(self.r - self._surfaces[1], -self.z, self.z - self._base)

    @cached_property
    def rv_cavity(self) -> Tensor:
        """Signed distance to the RV cavity with its outflow tract."""
        _, epi, inner, _ = self._surfaces
        return highest(self.r - inner, epi - self.r, self.heart.rv_apex - self.z, self.z - self._rv_top)

    @cached_property
    def _rv_wall(self) -> Tensor:
        _, epi, _, outer = self._surfaces
        return highest(self.r - outer, epi - self.r - WALL_RV, -self.z, self.z - self._rv_top - 2)

    @cached_property
    def la_cavity(self) -> Tensor:
        """Signed distance to the left atrium."""
        body = ellipsoid(self.x, self.y, self.z, self.heart.la_centre, self.heart.la_radii)
        return highest(body, self._base - self.z, -self.aorta - VESSEL_WALL)

    @cached_property
    def ra_cavity(self) -> Tensor:
        """Signed distance to the right atrium."""
        body = ellipsoid(self.x, self.y, self.z, self.heart.ra_centre, self.heart.ra_radii)
        clear = highest(-self.rv_cavity - WALL_RV, -self.aorta - VESSEL_WALL, -self.la_cavity - ATRIAL_WALL)
        return highest(body, self.heart.length - self.z, clear)

    @cached_property
    def aorta(self) -> Tensor:
        """Signed distance to the root of the aorta and its ascending part."""
        root, bend, arch = self.heart.aorta_path
        radius = self.heart.aorta_radius
        lower = capsule(self.x, self.y, self.z, root, bend, radius)
        upper = capsule(self.x, self.y, self.z, bend, arch, radius)
        return highest(torch.minimum(lower, upper), self.heart.length - self.z)

    @cached_property
    def pulmonary(self) -> Tensor:
        """Signed distance to the trunk of the pulmonary artery."""
        start, end = self.heart.pulmonary_path
        trunk = capsule(self.x, self.y, self.z, start, end, self.heart.pulmonary_radius)
        return highest(trunk, self._rv_top - self.z)

    @cached_property
    def _pulmonary_veins(self) -> Tensor:
        x, y, z = self.heart.la_centre
        a, b, _ = self.heart.la_radii
        right = capsule(self.x, self.y, self.z, (x - 0.6 * a, y + 4, z + 3), (x - 2.2 * a, y + 0.8 * b, z + 18), 6)
        left = capsule(self.x, self.y, self.z, (x + 0.6 * a, y + 4, z + 3), (x + 2.0 * a, y + 1.2 * b, z + 14), 6)
        return torch.minimum(left, right)

    @cached_property
    def papillaries(self) -> Tensor:
        """Signed distance to the two papillary muscles, tapering towards the valve."""
        heart = self.heart
        low, high = heart.papillary_heights
        offset = heart.papillary_offset * self._surfaces[0]
        along = ((self.z - low) / (high - low)).clamp(0, 1)
        radius = heart.papillary_radius * (1 - 0.5 * along * along)
        nearest: Tensor | None = None
        for angle in heart.papillary_angles:
            gap = (self.r - offset).square() + (wrap(self.theta - angle) * offset).square()
            distance = gap.sqrt() - radius
            nearest = distance if nearest is None else torch.minimum(nearest, distance)
        if nearest is None:
            raise ValueError("a heart has papillary muscles")
        return highest(nearest, low - self.z, self.z - high, self.lv_cavity)

    @cached_property
    def band(self) -> Tensor:
        """Signed distance to the moderator band and its continuation beyond both walls of the RV."""
        heart = self.heart
        x, y = math.cos(heart.rv_angle), math.sin(heart.rv_angle)
        far = heart.epi_radius + heart.rv_width
        start, end = (0.0, 0.0, heart.band_height), (far * x, far * y, 0.7 * heart.band_height)
        return capsule(self.x, self.y, self.z, start, end, heart.band_radius)

    @cached_property
    def fat(self) -> Tensor:
        """Signed distance to the outer side of the fat around the ventricles, thick in the grooves."""
        heart = self.heart
        insertion = wrap(self.theta - heart.rv_angle).abs() - heart.rv_half_angle
        thickness = heart.fat * (1 + torch.cos(self.theta - heart.fat_angle))
        thickness = thickness + 5 * torch.exp(-(insertion / 0.2).square()) - 0.8
        up = ((self.z - 0.1 * heart.length) / (0.5 * heart.length)).clamp(0, 1)
        top = self.z - heart.length - 30
        return highest(self.r - self._surfaces[3] - thickness * up, -2 - self.z, top)

    def labels(self) -> Tensor:
        """Label values, uint8."""
        result = torch.zeros_like(self.x, dtype=torch.uint8)
        result[self.ra_cavity < 0] = int(Label.RA)
        result[self.la_cavity < 0] = int(Label.LA)
        result[self.rv_cavity < 0] = int(Label.RV)
        result[self.lv < 0] = int(Label.MYO)
        if self.outflow is not None:
            result[self.outflow < 0] = int(Label.BACKGROUND)
        result[self.lv_cavity < 0] = int(Label.LV)
        return result

    def paint(self, canvas: Canvas, coarse: Tensor, fine: Tensor, squeeze: float) -> None:
        """Paint the heart over what surrounds it; the textures form the trabeculae.

        Contraction (squeeze, 0 to 1) presses the blood from between trabeculae and papillary muscles, so that
        they look thicker than the map of the motion alone would have them.
        """
        heart = self.heart
        if heart.pericardium > 0:
            sac = highest(torch.minimum(torch.minimum(self.lv, self._rv_wall), self.fat), self.z - heart.length)
            canvas.paint(sac - heart.pericardium - heart.pericardial_fat, Tissue.FAT)
            # Fibrous tissue gives no more signal than air does.
            canvas.paint(sac - heart.pericardium, Tissue.AIR)
        canvas.paint(self.fat, Tissue.EPICARDIAL_FAT)
        canvas.paint(self._pulmonary_veins, Tissue.VEIN)
        canvas.paint(torch.minimum(self.la_cavity, self.ra_cavity) - ATRIAL_WALL, Tissue.MYOCARDIUM)
        canvas.paint(torch.minimum(self.aorta, self.pulmonary) - VESSEL_WALL, Tissue.MYOCARDIUM)
        canvas.paint(self.pulmonary, Tissue.ARTERY)
        canvas.paint(self.ra_cavity, Tissue.RA_BLOOD)
        canvas.paint(self.la_cavity, Tissue.LA_BLOOD)
        canvas.paint(self.aorta, Tissue.ARTERY)
        canvas.paint(torch.minimum(self.lv, self._rv_wall), Tissue.MYOCARDIUM)
        if self.outflow is not None:
            canvas.paint(self.outflow, Tissue.ARTERY if heart.outflow_is_blood else Tissue.EPICARDIAL_FAT)
        canvas.paint(self.rv_cavity, Tissue.RV_BLOOD)
        canvas.paint(self.lv_cavity, Tissue.LV_BLOOD)
        # Trabeculae: strands of muscle within the cavities, denser towards the wall and the apex.
        low = (1 - self.z / heart.length).clamp(0, 1)
        strands = 1.2 + 0.9 * (-self.rv_cavity) / (4 + 10 * low) - heart.rv_trabeculae * (0.6 + low)
        strands = strands - heart.rv_compaction * squeeze
        canvas.paint(highest((strands - 0.6 * coarse - 0.6 * fine) * 2, self.rv_cavity), Tissue.PAPILLARY)
        if heart.band_radius > 0:
            canvas.paint(highest(self.band, self.rv_cavity), Tissue.PAPILLARY)
        strands = 0.5 + (-self.lv_cavity) / (2.2 + 5 * low) - heart.lv_trabeculae * (0.5 + low)
        strands = strands - heart.compaction * squeeze
        canvas.paint(highest((strands - coarse) * 2, self.lv_cavity), Tissue.PAPILLARY)
        canvas.paint(self.papillaries - 1.2 * coarse - 0.8 * (heart.compaction / 0.45) * squeeze, Tissue.PAPILLARY)
        leaflet = (self.z - self._base + 3 * (1 - self.r / heart.endo_radius)).abs() - 0.6
        canvas.paint(highest(leaflet, self.r - self._surfaces[0], -self.aorta), Tissue.VALVE)
