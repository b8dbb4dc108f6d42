"""Distances between the outlines of two masks, in mm.

Two outlines are in use, and the names keep them apart:

- *Surfaces* are the voxels of a mask with a face neighbour outside it (outside the array counts as outside),
  as points at the voxels' centres, all of one weight. These are the definitions of MONAI and of the ACDC
  evaluation: Hausdorff distances and the average symmetric surface distance.
- *Contours* run in a slice between the pixels inside and outside, with the length they have in each 2 x 2
  neighbourhood (marching squares). These are the definitions of DeepMind's surface-distance in 2D, and do not
  depend on how many border pixels a slope happens to have: the mean contour distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_erosion
from scipy.spatial import cKDTree

from cardiac_motion.metrics.checks import FloatArray, Mask, as_masks, check_spacing, mean_where_defined

NAN = float("nan")


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances between two surfaces, both ways; both empty if either mask is.

    Attributes:
        to_predicted: mm from each border voxel of the truth to the nearest one of the prediction.
        to_truth: mm from each border voxel of the prediction to the nearest one of the truth.
    """

    to_predicted: FloatArray
    to_truth: FloatArray

    @property
    def _defined(self) -> bool:
        return self.to_predicted.size > 0 and self.to_truth.size > 0

    @property
    def hausdorff(self) -> float:
        """The largest distance either way; NaN if a mask is empty."""
        return float(max(self.to_predicted.max(), self.to_truth.max())) if self._defined else NAN

    @property
    def hausdorff95(self) -> float:
        """The larger of the two 95th percentiles, interpolated linearly; NaN if a mask is empty."""
        if not self._defined:
            return NAN
        return float(max(np.percentile(self.to_predicted, 95), np.percentile(self.to_truth, 95)))

    @property
    def assd(self) -> float:
        """Average symmetric surface distance: the mean over the points of both; NaN if a mask is empty."""
        return float(np.concatenate([self.to_predicted, self.to_truth]).mean()) if self._defined else NAN


def _border(mask: Mask) -> Mask:
    return mask & ~binary_erosion(mask)


def _nearest(points: FloatArray, targets: FloatArray) -> FloatArray:
    distances, _ = cKDTree(targets).query(points)
    return np.asarray(distances, dtype=np.float64)


def surface_distances(
    truth: npt.ArrayLike, predicted: npt.ArrayLike, spacing: Sequence[float]
) -> SurfaceDistances:
    """Distances between the border voxels of two masks, in 3D for (Z, Y, X), in 2D for (Y, X).

    Args:
        truth: mask.
        predicted: mask of the same shape.
        spacing: mm, in the order of the axes.

    Raises:
        InputError: masks or spacing that do not fit each other.

    Source: Huttenlocher et al. 1993 (Hausdorff); Heimann et al. 2009 (ASSD).
    """
    first, second = as_masks(truth, predicted)
    scale = check_spacing(spacing, first.ndim)
    if not (first.any() and second.any()):
        return SurfaceDistances(np.empty(0), np.empty(0))
    a = np.argwhere(_border(first)) * np.array(scale)
    b = np.argwhere(_border(second)) * np.array(scale)
    return SurfaceDistances(_nearest(a, b), _nearest(b, a))


def _surface_distances_3d(
    truth: npt.ArrayLike, predicted: npt.ArrayLike, spacing: Sequence[float]
) -> SurfaceDistances:
    return surface_distances(*as_masks(truth, predicted, dims=(3,)), spacing)


def hausdorff_3d(truth: npt.ArrayLike, predicted: npt.ArrayLike, spacing: Sequence[float]) -> float:
    """Hausdorff distance in 3D over the whole stack, mm; NaN if a mask is empty. See `surface_distances`."""
    return _surface_distances_3d(truth, predicted, spacing).hausdorff


def hausdorff95_3d(truth: npt.ArrayLike, predicted: npt.ArrayLike, spacing: Sequence[float]) -> float:
    """95 % Hausdorff distance in 3D over the whole stack, mm; NaN if a mask is empty. See `surface_distances`."""
    return _surface_distances_3d(truth, predicted, spacing).hausdorff95


def assd_3d(truth: npt.ArrayLike, predicted: npt.ArrayLike, spacing: Sequence[float]) -> float:
    """Average symmetric surface distance in 3D over the whole stack, mm; NaN if a mask is empty."""
    return _surface_distances_3d(truth, predicted, spacing).assd


def hausdorff_per_slice(truth: npt.ArrayLike, predicted: npt.ArrayLike, spacing: Sequence[float]) -> FloatArray:
    """Hausdorff distance of each slice in 2D, mm: (Z,); NaN where either mask is empty.

    Args:
        truth: mask (Z, Y, X).
        predicted: mask (Z, Y, X).
        spacing: mm (z, y, x); z is not used.

    Source: recursive diffeomorphic registration, eq. (8).
    """
    first, second = as_masks(truth, predicted, dims=(3,))
    in_plane = check_spacing(spacing, 3)[1:]
    return np.array([surface_distances(a, b, in_plane).hausdorff for a, b in zip(first, second, strict=True)])


def _contour(mask: Mask, spacing: Sequence[float]) -> tuple[FloatArray, FloatArray]:
    """Contour elements of a slice: their places (N, 2) and lengths (N,), in mm.

    An element stands in the middle of the 2 x 2 pixels that it separates.
    """
    padded = np.pad(mask, 1)
    corners = np.stack([padded[:-1, :-1], padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]])
    inside = corners.sum(axis=0)
    upper = corners[0] & corners[1]
    lower = corners[2] & corners[3]
    left = corners[0] & corners[2]
    right = corners[1] & corners[3]
    height, width = spacing
    diagonal = np.hypot(height, width)
    lengths = np.zeros(inside.shape)
    lengths[(inside == 1) | (inside == 3)] = diagonal / 2
    # Two pixels: a straight piece between rows or columns, or two pieces where they touch at a corner only.
    two = inside == 2
    lengths[two] = diagonal
    lengths[two & (upper | lower)] = width
    lengths[two & (left | right)] = height
    places = np.argwhere(lengths > 0)
    return places * np.array(spacing), lengths[lengths > 0]


def _mean_contour_distance(truth: Mask, predicted: Mask, spacing: Sequence[float]) -> float:
    if not (truth.any() and predicted.any()):
        return NAN
    places_a, lengths_a = _contour(truth, spacing)
    places_b, lengths_b = _contour(predicted, spacing)
    there = np.average(_nearest(places_a, places_b), weights=lengths_a)
    back = np.average(_nearest(places_b, places_a), weights=lengths_b)
    return float((there + back) / 2)


def mean_contour_distance_per_slice(
    truth: npt.ArrayLike, predicted: npt.ArrayLike, spacing: Sequence[float]
) -> FloatArray:
    """Mean distance between the contours of each slice in 2D, mm: (Z,); NaN where either mask is empty.

    The mean, weighted by length, of the distances from the one contour to the other, and of those back; then the
    mean of the two.

    Args:
        truth: mask (Z, Y, X).
        predicted: mask (Z, Y, X).
        spacing: mm (z, y, x); z is not used.
    """
    first, second = as_masks(truth, predicted, dims=(3,))
    in_plane = check_spacing(spacing, 3)[1:]
    return np.array([_mean_contour_distance(a, b, in_plane) for a, b in zip(first, second, strict=True)])


def mean_contour_distance(truth: npt.ArrayLike, predicted: npt.ArrayLike, spacing: Sequence[float]) -> float:
    """Mean contour distance, mm: the mean of the 2D distances over the slices that both masks hold.

    Slices that only one mask holds are left out; NaN if no slice is left. As in Qin et al. 2018, table 2.
    """
    return mean_where_defined(mean_contour_distance_per_slice(truth, predicted, spacing))
