"""How reliably a method reaches an accuracy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cardiac_motion.errors import InputError
from cardiac_motion.metrics.checks import FloatArray


def reliability_curve(
    dice: npt.ArrayLike, thresholds: npt.ArrayLike | None = None
) -> tuple[FloatArray, FloatArray]:
    """Reliability R(d) = Pr(Dice > d): the share of cases with a Dice higher than d, for each d.

    Args:
        dice: one value per case, any shape; NaN (a structure absent from both masks) is left out.
        thresholds: values of d; by default 0, 0.01 … 1.

    Returns:
        The thresholds and R at each, both (N,). R is NaN if no case is left.

    Raises:
        InputError: a Dice outside 0..1.

    Source: recursive diffeomorphic registration, eq. (7).
    """
    values = np.asarray(dice, dtype=np.float64).ravel()
    values = np.sort(values[~np.isnan(values)])
    if values.size and (values[0] < 0 or values[-1] > 1):
        raise InputError(f"Dice is between 0 and 1, got values from {values[0]} to {values[-1]}")
    levels = np.linspace(0, 1, 101) if thresholds is None else np.asarray(thresholds, dtype=np.float64).ravel()
    if not values.size:
        return levels, np.full(levels.shape, np.nan)
    above = values.size - np.searchsorted(values, levels, side="right")
    return levels, above / values.size


def reliability(dice: npt.ArrayLike, threshold: float) -> float:
    """R(d) at one threshold d. See `reliability_curve`."""
    return float(reliability_curve(dice, [threshold])[1][0])
