"""The radial part of the heart's motion: a monotone map of q = r^2 in pieces, inverted in closed form."""

from __future__ import annotations

import torch
from torch import Tensor

TINY = 1e-6


class RadialMap:
    """Q(q) at each point's height and angle; all tensors broadcast against the points.

    From the axis outwards:

    - LV cavity, q < endo: Q = gamma ((1 - c) q + c q^2 / endo) with c = 0.8 (1 - gamma). Its rim, where the
      papillary muscles are, is compressed less than its middle.
    - LV wall: slope `thicken`, which makes it incompressible.
    - RV cavity, epi < q < rv_in: slope `beta`; then its wall, slope `thicken`.
    - outside: the shift D of the heart's surface decays, Q = q + D u^2, u from 1 at the surface to 0 at the
      far end of a zone that is `surround` mm wide.

    Args:
        surfaces: q at rest of the LV endocardium, LV epicardium, and of both sides of the RV free wall; each
            at least as large as the one before.
        gamma: area of the LV cavity relative to rest.
        thicken: slope in the walls.
        beta: slope in the RV cavity.
        surround: mm.
    """

    def __init__(
        self,
        surfaces: tuple[Tensor, Tensor, Tensor, Tensor],
        *,
        gamma: Tensor,
        thicken: Tensor,
        beta: Tensor,
        surround: float,
    ) -> None:
        self.endo, self.epi, self.rv_in, self.rv_out = surfaces
        self.gamma, self.thicken, self.beta = gamma, thicken, beta
        self.bend = 0.8 * (1 - gamma).clamp(0, 1)
        self.endo_new = gamma * self.endo
        self.epi_new = self.endo_new + thicken * (self.epi - self.endo)
        self.rv_in_new = self.epi_new + beta * (self.rv_in - self.epi)
        self.rv_out_new = self.rv_in_new + thicken * (self.rv_out - self.rv_in)
        self.shift = self.rv_out_new - self.rv_out
        self.width = surround * (2 * self.rv_out.clamp_min(0).sqrt() + surround)

    def forward(self, q: Tensor) -> Tensor:
        """Q(q)."""
        inside = torch.minimum(q, self.endo)
        new = self.gamma * inside * (1 - self.bend + self.bend * inside / self.endo.clamp_min(TINY))
        new = new + self.thicken * (torch.minimum(q, self.epi) - self.endo).clamp_min(0)
        new = new + self.beta * (torch.minimum(q, self.rv_in) - self.epi).clamp_min(0)
        new = new + self.thicken * (torch.minimum(q, self.rv_out) - self.rv_in).clamp_min(0)
        u = (1 - (q - self.rv_out) / self.width).clamp(0, 1)
        return torch.where(q <= self.rv_out, new, q + self.shift * u * u)

    def inverse(self, new: Tensor) -> Tensor:
        """The q with Q(q) = new."""
        # The cavity's quadratic, in the form of its root that is stable as c goes to 0.
        share = torch.minimum(new, self.endo_new) / self.endo_new.clamp_min(TINY)
        linear = 1 - self.bend
        q = self.endo * (2 * share / (linear + (linear * linear + 4 * self.bend * share).sqrt()))
        q = q + (torch.minimum(new, self.epi_new) - self.endo_new).clamp_min(0) / self.thicken
        q = q + (torch.minimum(new, self.rv_in_new) - self.epi_new).clamp_min(0) / self.beta
        q = q + (torch.minimum(new, self.rv_out_new) - self.rv_in_new).clamp_min(0) / self.thicken
        # Outside, u solves shift u^2 - width u + (q_far - new) = 0.
        left = (self.rv_out + self.width - new).clamp_min(0)
        root = (self.width * self.width - 4 * self.shift * left).clamp_min(0).sqrt()
        u = 2 * left / (self.width + root)
        outside = torch.maximum(self.rv_out + self.width * (1 - u), new * (left <= 0))
        return torch.where(new <= self.rv_out_new, q, outside)

    def slope(self, q: Tensor) -> Tensor:
        """dQ/dq, the area ratio; at a surface that of its inner side."""
        cavity = self.gamma * (1 - self.bend + 2 * self.bend * q / self.endo.clamp_min(TINY))
        u = (1 - (q - self.rv_out) / self.width).clamp(0, 1)
        slope = 1 - 2 * self.shift * u / self.width
        slope = torch.where(q <= self.rv_out, self.thicken, slope)
        slope = torch.where(q <= self.rv_in, self.beta, slope)
        slope = torch.where(q <= self.epi, self.thicken, slope)
        return torch.where(q <= self.endo, cavity, slope)
