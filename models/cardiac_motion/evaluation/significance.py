"""Whether two methods differ on the same cases: paired t-test and Wilcoxon signed-rank test."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from cardiac_motion.errors import InputError


@dataclass(frozen=True)
class PairedTest:
    """Two-sided tests of paired values a and b.

    Attributes:
        n: cases in which both values are defined.
        mean_difference: mean of a - b; NaN without cases.
        t_p: p of the paired t-test; NaN for n < 2.
        wilcoxon_p: p of the Wilcoxon signed-rank test, exact up to 50 cases without ties; NaN for n < 2.
    """

    n: int
    mean_difference: float
    t_p: float
    wilcoxon_p: float


def paired_test(a: npt.ArrayLike, b: npt.ArrayLike) -> PairedTest:
    """Test paired values, one of each per case; cases in which either is NaN are left out.

    Where all differences are zero, nothing speaks against equality and both p are 1. Where they are all the same
    but not zero, their spread is zero and p of the t-test is 0.

    Raises:
        InputError: not two lists of one length.

    Source: Student 1908; Wilcoxon 1945, zero differences dropped.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise InputError(f"expected two lists of one length, got {first.shape} and {second.shape}")
    differences = (first - second)[~(np.isnan(first) | np.isnan(second))]
    n = differences.size
    if n < 2:
        return PairedTest(n, float(differences.mean()) if n else math.nan, math.nan, math.nan)
    # Rounding leaves differences of equal values near 1e-16: neither a spread nor a rank.
    scale = float(max(np.nanmax(np.abs(first)), np.nanmax(np.abs(second))))
    differences = np.where(np.abs(differences) <= 1e-12 * scale, 0.0, differences)
    mean = float(differences.mean())
    if not differences.any():
        return PairedTest(n, mean, 1.0, 1.0)
    return PairedTest(n, mean, _t_test(differences), _wilcoxon(differences))


def _t_test(differences: npt.NDArray[np.float64]) -> float:
    mean, spread = float(differences.mean()), float(differences.std(ddof=1))
    if spread <= 1e-12 * abs(mean):
        return 0.0
    statistic = mean / (spread / math.sqrt(differences.size))
    return float(2 * stats.t.sf(abs(statistic), differences.size - 1))


def _wilcoxon(differences: npt.NDArray[np.float64]) -> float:
    nonzero = differences[differences != 0]
    exact = nonzero.size <= 50 and np.unique(np.abs(nonzero)).size == nonzero.size
    return float(stats.wilcoxon(nonzero, method="exact" if exact else "approx").pvalue)
