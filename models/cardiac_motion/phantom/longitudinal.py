"""How the descent of the base is shared out along the long axis."""

from __future__ import annotations

import torch
from torch import Tensor

BELOW = 15.0
"""How far below the apex the longitudinal motion begins, mm."""
ABOVE = 80.0
"""How far above the base it has decayed, mm."""


def descent_profile(z: Tensor, length: float) -> tuple[Tensor, Tensor]:
    """h(z), the share of the base's descent that height z (mm, at rest) follows, and dh/dz in 1/mm.

    h is 0 from `BELOW` the apex downwards, about still at the apex, 1 at the base (z = length), and decays to
    0 over `ABOVE`. It is continuous; its slope changes sign at the valve plane.
    """
    rise = length + BELOW
    u = ((z + BELOW) / rise).clamp(0, 1)
    v = ((z - length) / ABOVE).clamp(0, 1)
    value = u * u * (2 - u) - v * v * (3 - 2 * v)
    slope = torch.where(v > 0, -6 * v * (1 - v) / ABOVE, u * (4 - 3 * u) / rise)
    return value, slope
