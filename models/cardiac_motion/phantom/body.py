"""What surrounds the heart: chest wall, lungs, liver, stomach, spine and large vessels, at rest.

Body coordinates: mm, RAS directions (right, anterior, superior), origin in the middle of the left ventricle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cardiac_motion.phantom.canvas import Canvas, highest
from cardiac_motion.phantom.tissues import Tissue


@dataclass(frozen=True)
class Body:
    """Measures of a trunk, mm."""

    centre: tuple[float, float]
    """Its middle, (right, anterior)."""
    semi_axes: tuple[float, float]
    fat: float
    muscle: float
    diaphragm: float
    """Height of the diaphragm's edge."""
    dome: float
    rib_spacing: float
    rib_phase: float
    liver_edge: float
    stomach: tuple[float, float, float]
    stomach_radius: float
    stomach_air: bool
    aorta_radius: float
    vena_cava: tuple[float, float, float]
    """Where the venae cavae enter the right atrium."""

    def _outline(self, right: Tensor, anterior: Tensor, inset: float) -> Tensor:
        a, b = self.semi_axes[0] - inset, self.semi_axes[1] - inset
        u = ((right - self.centre[0]) / a).square()
        v = ((anterior - self.centre[1]) / b).square()
        # Between an ellipse and a rectangle: u^2 + v^2 + uv = 1.
        return ((u * u + v * v + u * v).sqrt().sqrt() - 1) * b

    def paint(self, canvas: Canvas, right: Tensor, anterior: Tensor, superior: Tensor, fine: Tensor) -> None:
        """Paint the trunk at body points; the fine texture forms the vessels of the lungs."""
        skin = self._outline(right, anterior, 0.0)
        # Fat is thicker at the sides and towards the belly.
        aside = ((right - self.centre[0]) / self.semi_axes[0]).square()
        chest = self._outline(right, anterior, self.fat)
        padding = self.fat * (0.5 * (aside - 0.5) - 0.004 * superior + 0.3 * torch.sin(0.03 * superior))
        muscle = chest + padding.clamp(-0.6 * self.fat, self.fat)
        cavity = self._outline(right, anterior, self.fat + self.muscle)
        canvas.paint(skin, Tissue.FAT)
        canvas.paint(muscle, Tissue.SKELETAL_MUSCLE)
        wave = torch.sin(superior * (2 * math.pi / self.rib_spacing) + self.rib_phase + 0.012 * anterior)
        ring = highest(chest + 3, -cavity + 2, (0.35 - wave) * 5)
        canvas.paint(ring, Tissue.BONE)
        canvas.paint(cavity, Tissue.LUNG)
        canvas.paint(highest((1.9 - fine) * 2, cavity + 4), Tissue.VEIN)
        spine_r, spine_a = self.centre[0], self.centre[1] - self.semi_axes[1] + self.fat + self.muscle + 16
        # Mediastinum: what lies between the heart and the spine.
        start_r, start_a = 0.75 * spine_r, -10.0
        along_r, along_a = spine_r - start_r, spine_a - start_a
        share = (right - start_r) * along_r + (anterior - start_a) * along_a
        share = (share / (along_r**2 + along_a**2)).clamp(0, 1)
        between = torch.hypot(right - start_r - share * along_r, anterior - start_a - share * along_a) - 24
        canvas.paint(highest(between, cavity), Tissue.MEDIASTINUM)
        self._paint_abdomen(canvas, right, anterior, superior, cavity, fine)
        spine = torch.hypot(right - spine_r, anterior - spine_a)
        disc = (torch.sin(superior * (math.pi / 17)).abs() - 0.25) * 5
        canvas.paint(spine - 20, Tissue.SKELETAL_MUSCLE)
        canvas.paint(highest(spine - 18, -disc), Tissue.BONE)
        canal = torch.hypot(right - spine_r, anterior - spine_a + 27)
        canvas.paint(canal - 15, Tissue.BONE)
        canvas.paint(canal - 7, Tissue.SPINAL_FLUID)
        aorta = torch.hypot(right - spine_r + 24, anterior - spine_a - 17) - self.aorta_radius
        canvas.paint(aorta - 1.5, Tissue.SKELETAL_MUSCLE)
        canvas.paint(aorta, Tissue.ARTERY)

    def _paint_abdomen(
        self, canvas: Canvas, right: Tensor, anterior: Tensor, superior: Tensor, cavity: Tensor, fine: Tensor
    ) -> None:
        a, b = self.semi_axes
        across = (right - self.centre[0]) / a
        u = across.square() + ((anterior - self.centre[1]) / b).square()
        surface = self.diaphragm + self.dome * (1 - u) + 14 * torch.tanh(2.5 * across)
        below = highest((superior - surface) * 0.8, cavity)
        canvas.paint(highest(below - 2, cavity), Tissue.SKELETAL_MUSCLE)
        canvas.paint(below, Tissue.EPICARDIAL_FAT)
        spleen = torch.hypot((right + 95) / 1.6, anterior + 55) - 38
        liver = torch.minimum(self.liver_edge - right + 0.3 * anterior, spleen)
        canvas.paint(highest(below, liver), Tissue.LIVER)
        canvas.paint(highest(below + 6, liver + 6, (2.0 - fine) * 2), Tissue.VEIN)
        x, y, z = self.stomach
        stomach = ((right - x).square() + (anterior - y).square() + (superior - z).square()).sqrt()
        content = highest(stomach - self.stomach_radius, below + 2)
        canvas.paint(content - 3, Tissue.SKELETAL_MUSCLE)
        canvas.paint(content, Tissue.AIR if self.stomach_air else Tissue.STOMACH)
        cava = torch.hypot(right - self.vena_cava[0], anterior - self.vena_cava[1])
        canvas.paint(cava - 10, Tissue.VEIN)


def draw_body(rng: np.random.Generator, *, reach: float, vena_cava: tuple[float, float, float]) -> Body:
    """Draw a trunk around a heart.

    Args:
        rng: random stream.
        reach: how far in front of the middle of the left ventricle the heart reaches, mm.
        vena_cava: where the venae cavae enter the right atrium, body coordinates.
    """
    fat, muscle = float(rng.uniform(8, 28)), float(rng.uniform(12, 18))
    behind = float(rng.uniform(88, 112))
    front = reach + float(rng.uniform(3, 10)) + fat + muscle
    depth = (front + behind + fat) / 2
    return Body(
        centre=(float(rng.uniform(32, 50)), front - depth),
        semi_axes=(depth * float(rng.uniform(1.38, 1.55)), depth),
        fat=fat,
        muscle=muscle,
        diaphragm=float(rng.uniform(-90, -74)),
        dome=float(rng.uniform(38, 52)),
        rib_spacing=float(rng.uniform(26, 34)),
        rib_phase=float(rng.uniform(0, 2 * math.pi)),
        liver_edge=float(rng.uniform(-45, 0)),
        stomach=(float(rng.uniform(-75, -45)), float(rng.uniform(-20, 20)), float(rng.uniform(-95, -75))),
        stomach_radius=float(rng.uniform(30, 48)),
        stomach_air=bool(rng.random() < 0.35),
        aorta_radius=float(rng.uniform(9, 13)),
        vena_cava=vena_cava,
    )
