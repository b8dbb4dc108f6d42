"""Signal of flowing blood: dephasing in jets, and patterns that change from frame to frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cardiac_motion.phantom.canvas import capsule
from cardiac_motion.phantom.cycle import Cycle
from cardiac_motion.phantom.deformation import Points
from cardiac_motion.phantom.model import Phantom


def flow_rates(cycle: Cycle, phase: float) -> tuple[float, float]:
    """Ejection and filling rate at a phase, each relative to a usual peak of the curve, 0 to about 1."""
    step = 0.01
    rate = (cycle.contraction(phase + step) - cycle.contraction(phase - step)) / (2 * step)
    usual = 1.5 / cycle.end_systole
    return max(rate, 0.0) / usual, max(-rate, 0.0) / usual


@dataclass(frozen=True)
class Flow:
    """How blood's signal changes with its flow.

    Attributes:
        inflow_loss: loss in the core of the filling jet through the mitral valve, at the peak of filling.
        outflow_loss: loss in the outflow tract and the root of the aorta, at the peak of ejection.
        swirl: amplitude of the pattern that drifts through the cavities, relative to blood.
        direction: (3,) mm by which the pattern travels to and fro over a cycle.
    """

    inflow_loss: float
    outflow_loss: float
    swirl: float
    direction: tuple[float, float, float]

    def change(self, phantom: Phantom, at: Points, phase: float) -> Tensor:
        """Relative change of blood's signal at deformed canonical points; 0 is none, -1 a void."""
        heart = phantom.heart
        ejection, filling = flow_rates(phantom.cycle, phase)
        x, y, z = at
        angle = 2 * math.pi * phase
        a, b, c = self.direction
        drift = (a * math.sin(angle), b * math.cos(angle), c * math.sin(angle + 1))
        coarse, _ = phantom.texture.at(x + drift[0], y + drift[1], z + drift[2])
        change = self.swirl * (0.5 + ejection + filling) * coarse
        turbulent = (0.7 + 0.5 * coarse).clamp(0, 1.2)
        if filling > 0.02:
            inflow = capsule(x, y, z, (0, 0, heart.length + 5), (0, 0, 0.55 * heart.length), 0.0) / 9.0
            change = change - self.inflow_loss * filling * turbulent * torch.exp(-inflow * inflow)
        if ejection > 0.02:
            root, bend, _ = heart.aorta_path
            below = (0.3 * root[0], 0.3 * root[1], 0.7 * heart.length)
            outflow = torch.minimum(capsule(x, y, z, below, root, 0.0), capsule(x, y, z, root, bend, 0.0)) / 8.0
            change = change - self.outflow_loss * ejection * turbulent * torch.exp(-outflow * outflow)
        return change.clamp_min(-0.95)


def draw_flow(rng: np.random.Generator) -> Flow:
    """Draw how strongly flow shows in the image."""
    direction = rng.uniform(10, 30, 3)
    return Flow(
        inflow_loss=float(rng.uniform(0.1, 0.6)),
        outflow_loss=float(rng.uniform(0.1, 0.6)),
        swirl=float(rng.uniform(0.03, 0.08)),
        direction=(float(direction[0]), float(direction[1]), float(direction[2])),
    )
