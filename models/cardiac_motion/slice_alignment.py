"""Misalignment of the slices of a short-axis stack, estimated from the centres of the LV blood pool.

Each slice is acquired in a breath-hold of its own, and the heart is not always at the same place. Upendra et al.
(2020) align the slices by the LV centres of a segmentation. Here the centres are taken to lie on the long axis,
which is straight but for a slight bend, each moved by its slice's own shift. How large the shifts are altogether
is estimated along with them (empirical Bayes), so that a stack without misalignment stays as it is.

What cannot be observed: the mean of the shifts, which moves the whole heart, and their linear trend over the
stack, which tilts its axis. Both are left at zero. A bend of the axis differs from shifts only by being smooth and
small.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cardiac_motion.errors import InputError
from cardiac_motion.labels import Label

Labels = npt.NDArray[np.uint8]
Vector = npt.NDArray[np.float64]

VERSION = 3
"""Of the estimate, for the keys of what is kept."""
LARGEST_MM = 15.0
"""Larger shifts are taken for faults of the segmentation: they are limited to this."""
SMALLEST_AREA_MM2 = 60.0
SURROUNDED = 0.75
"""Share of the border of the blood pool that is myocardium; with less of it, the slice cuts through the valve or
the outflow tract, and the pool's centre is not on the axis."""
DIASTOLE = 0.85
"""Share of the LV's largest volume from which on a frame is used. In systole it moves through the slices."""
AXIS_BEND_MM = 0.45
"""Root mean square by which long axes leave their straight line; that of the phantoms for tuning."""
CENTRE_ERROR_MM = 0.3
"""Error of a centre of mass that is no shift; about that of a network's contours."""
END_ERROR_MM = 0.7
"""The same in the first and the last slice that is observed, where the pool is small or opens into the valve: a
network's contours were off by three times as much there in the phantoms for tuning. A shift of such a slice alone
is hard to tell from that, and found from about 5 mm on."""
EVIDENCE = 6.63
"""Twice the logarithm of the likelihood that shifts have to gain for there to be any: the likelihood-ratio test of
one parameter at 1 %. A stack without misalignment is not to be moved by the errors of its contours."""
_SIZES_MM = np.concatenate([[0.0], np.geomspace(0.05, 12, 60)])
"""Candidates of the standard deviation of the shifts."""


class TooFewSlicesError(InputError):
    """So few slices show the LV that shifts cannot be told from the axis."""


@dataclass(frozen=True)
class SliceShifts:
    """By how much each slice appears displaced.

    Attributes:
        shifts_mm: (Z, 2), along the array axes y and x: the heart in the slice lies this much further along than
            it should; the same for all frames.
        observed: (Z,), whether the slice shows the LV well enough; the shifts of the others are interpolated
            between those that do, and zero beyond them.
        limited: (Z,), whether the shift was implausibly large and has been limited.
        spread_mm: estimated standard deviation of the shifts.
    """

    shifts_mm: Vector
    observed: npt.NDArray[np.bool_]
    limited: npt.NDArray[np.bool_]
    spread_mm: float

    @property
    def notes(self) -> list[str]:
        """What a user should know, one sentence each."""
        notes = []
        if not self.observed.all():
            which = ", ".join(map(str, np.flatnonzero(~self.observed)))
            notes.append(
                f"slices {which} do not show the LV well enough; their shifts are interpolated, zero beyond the "
                "others"
            )
        if self.limited.any():
            which = ", ".join(map(str, np.flatnonzero(self.limited)))
            notes.append(
                f"slices {which} seemed to be shifted by more than {LARGEST_MM:g} mm; check their contours"
            )
        return notes


def estimate_shifts(labels: Labels, spacing: tuple[float, float, float]) -> SliceShifts:
    """Shifts of the slices, from labels of one frame or of several.

    Args:
        labels: (T, Z, Y, X) or (Z, Y, X). Of several frames, those in diastole are used. Where they have no wall
            at all, nothing tells slices through the valve from others: every slice with an LV counts.
        spacing: (z, y, x) in mm.

    Raises:
        TooFewSlicesError: fewer than four slices show the LV: a line and its bend leave nothing to tell shifts by.
        InputError: labels of another shape.
    """
    stack = labels[None] if labels.ndim == 3 else labels
    if stack.ndim != 4:
        raise InputError(f"expected labels (T, Z, Y, X) or (Z, Y, X), got shape {labels.shape}")
    volumes = (stack == Label.LV).sum(axis=(1, 2, 3))
    surrounded = SURROUNDED if (stack == Label.MYO).any() else 0.0
    diastolic = stack[volumes >= DIASTOLE * volumes.max()]
    centres = np.stack([_centres(frame, spacing, surrounded) for frame in diastolic])
    shown = np.isfinite(centres[..., 0])
    observed = shown.mean(axis=0) > 0.8
    # The same slices on every frame that is used: otherwise contraction would look like a shift.
    usable = centres[shown[:, observed].all(axis=1)]
    if observed.sum() < 4 or not len(usable):
        wall = " with its wall" if surrounded else ""
        raise TooFewSlicesError(f"expected at least 4 slices that show the LV{wall}, got {observed.sum()}")
    mean = usable.mean(axis=0)[observed]
    heights = np.flatnonzero(observed) * spacing[0]
    found, spread = separate_shifts(heights, mean)
    size = np.linalg.norm(found, axis=1)
    too_large = size > LARGEST_MM
    found[too_large] *= (LARGEST_MM / size[too_large])[:, None]
    shifts, limited = np.zeros((len(observed), 2)), np.zeros(len(observed), dtype=bool)
    limited[observed] = too_large
    every = np.arange(len(observed)) * spacing[0]
    for axis in range(2):
        shifts[:, axis] = np.interp(every, heights, found[:, axis], left=0.0, right=0.0)
    return SliceShifts(shifts, observed, limited, spread)


def separate_shifts(heights: Vector, centres: Vector) -> tuple[Vector, float]:
    """Which part of the positions of centres is shift, which part axis.

    The centres are a straight line (free), a smooth bend and an error (Gaussian, of the sizes named above), and
    shifts that are independent from slice to slice. Their standard deviation is that of the largest likelihood,
    or none if that is hardly larger than without shifts; with it their expectation follows.

    Args:
        heights: (N,), of the slices, mm.
        centres: (N, 2), mm.

    Returns:
        Shifts (N, 2), mm, without mean and linear trend, and their standard deviation.
    """
    u = (heights - heights.mean()) / max(float(np.ptp(heights)) / 2, 1e-9)
    line = np.stack([np.ones_like(u), u], axis=1)
    # An orthonormal basis of what is left without the line: likelihood and expectation live in it.
    basis = np.linalg.svd(line, full_matrices=True)[0][:, 2:]
    residual = basis.T @ centres
    bend = basis.T @ (u * u)
    bend = bend / max(float(np.linalg.norm(bend)), 1e-12) * np.sqrt(len(u))
    errors = np.full(len(u), CENTRE_ERROR_MM)
    errors[[0, -1]] = END_ERROR_MM
    usual = AXIS_BEND_MM**2 * np.outer(bend, bend) + basis.T @ np.diag(errors**2) @ basis

    def badness(sigma: float) -> float:
        covariance = usual + sigma**2 * np.eye(len(residual))
        _, determinant = np.linalg.slogdet(covariance)
        return float(2 * determinant + (residual * np.linalg.solve(covariance, residual)).sum())

    sigma = float(min(_SIZES_MM, key=badness))
    if badness(0.0) - badness(sigma) <= EVIDENCE:
        return np.zeros_like(centres), 0.0
    covariance = usual + sigma**2 * np.eye(len(residual))
    return basis @ (sigma**2 * np.linalg.solve(covariance, residual)), sigma


def _centres(frame: Labels, spacing: tuple[float, float, float], surrounded: float) -> Vector:
    """(Z, 2) centres of the LV blood pool in mm, NaN where the slice does not show it well enough."""
    centres = np.full((len(frame), 2), np.nan)
    for z, plane in enumerate(frame):
        pool = plane == Label.LV
        if pool.sum() * spacing[1] * spacing[2] < SMALLEST_AREA_MM2:
            continue
        border = ndimage.binary_dilation(pool) & ~pool
        if (plane[border] == Label.MYO).mean() < surrounded:
            continue
        centres[z] = np.array(ndimage.center_of_mass(pool)) * spacing[1:]
    return centres
