"""Label maps as signed distances of nested regions, and back, without gaps or overlaps between structures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cardiac_motion.labels import Label

FloatArray = npt.NDArray[np.float32]
LabelArray = npt.NDArray[np.uint8]

_FAR = np.float32(1e6)
"""A squared distance in mm^2 beyond any cap."""

_TIE_MM = np.float32(1e-3)
"""Far below a pixel: at points that are as near to the cavity as to the LV as a whole, the cavity wins."""


@dataclass(frozen=True)
class NestedRegions:
    """The regions whose distances stand for a label map that holds the given structures.

    The union of all structures holds, side by side, the RV, the LV with its wall, the LA and the RA; the LV with
    its wall holds the cavity. A region within another has the larger signed distance at every point, and every
    interpolation or mean with positive weights keeps it so. Hence, whatever was warped and blended, each point
    of the union gets one structure, and nothing lies between LV cavity and myocardium.

    Attributes:
        structures: the structures that occur, in the order of their values.
    """

    structures: tuple[Label, ...]

    @classmethod
    def of(cls, values: Iterable[int]) -> NestedRegions:
        """The regions for label maps with these values; background does not count."""
        return cls(tuple(sorted({Label(v) for v in values} - {Label.BACKGROUND})))

    @property
    def _side_by_side(self) -> list[tuple[Label, ...]]:
        wall_and_cavity = tuple(s for s in self.structures if s in {Label.MYO, Label.LV})
        parts: list[tuple[Label, ...]] = [wall_and_cavity] if wall_and_cavity else []
        parts.extend((s,) for s in self.structures if s not in {Label.MYO, Label.LV})
        return parts

    @property
    def members(self) -> list[tuple[Label, ...]]:
        """The labels of each region, in the order of the channels: the union, its parts, the cavity."""
        parts = self._side_by_side
        members = [self.structures]
        if len(parts) > 1:
            members += parts
        if {Label.MYO, Label.LV} <= set(self.structures):
            members.append((Label.LV,))
        return members

    def distances(self, labels: LabelArray, spacing: Sequence[float], cap_mm: float) -> FloatArray:
        """In-plane signed distances, negative inside: (Z, C, Y, X) float32, mm, between -cap_mm and cap_mm.

        They are smoothed as `without_staircase` does, which leaves every pixel on its side of the edge.

        Args:
            labels: (Z, Y, X) uint8.
            spacing: (y, x) in mm.
            cap_mm: where distances are cut off; a region that is absent from a slice is this far away.
        """
        members = self.members
        found = np.empty((len(labels), len(members), *labels.shape[1:]), np.float32)
        chosen = np.zeros((len(members), max(Label) + 1), dtype=bool)
        for row, values in zip(chosen, members, strict=True):
            row[list(values)] = True
        for plane, distance in zip(labels, found, strict=True):
            distance[:] = without_staircase(signed_distance(chosen[:, plane], spacing, cap_mm), spacing)
        return found

    def assign(self, distances: FloatArray) -> LabelArray:
        """Labels (Z, Y, X) uint8 from distances (Z, C, Y, X), warped and blended as they may be."""
        parts = self._side_by_side
        union = distances[:, 0]
        labels = np.zeros(union.shape, np.uint8)
        nearest = np.full(union.shape, np.inf, np.float32)
        for i, part in enumerate(parts):
            distance = union if len(parts) == 1 else distances[:, 1 + i]
            nearer = distance < nearest
            labels[nearer] = part[0]
            if len(part) == 2:
                # Where the union bridges a gap between blended structures, no part has a negative distance, and
                # what counts is whether the nearest point of the LV is one of the cavity.
                nearer &= distances[:, -1] < np.maximum(distance, 0) + _TIE_MM
                labels[nearer] = part[1]
            if i + 1 < len(parts):
                np.minimum(nearest, distance, out=nearest)
        labels *= union < 0
        return labels

    def shares(self, regions: FloatArray) -> FloatArray:
        """Probabilities (1 + S, Z, Y, X) of the background and the structures from those of the regions.

        Side by side, parts have what their union has, in proportion; the wall has what the cavity leaves.

        Args:
            regions: (Z, C, Y, X), that a point lies in each region; none larger than that of a region around it.
        """
        parts = self._side_by_side
        union = regions[:, 0]
        found = np.zeros((1 + len(self.structures), *union.shape), np.float32)
        found[0] = 1 - union
        total = regions[:, 1 : 1 + len(parts)].sum(axis=1) if len(parts) > 1 else union
        scale = union / np.maximum(total, np.float32(1e-30))
        for i, part in enumerate(parts):
            share = regions[:, 1 + i] if len(parts) > 1 else union
            if len(part) == 2:
                found[1 + self.structures.index(part[1])] = regions[:, -1] * scale
                share = share - regions[:, -1]
            found[1 + self.structures.index(part[0])] = share * scale
        return found


def signed_distance(masks: npt.NDArray[np.bool_], spacing: Sequence[float], cap_mm: float) -> FloatArray:
    """Signed distances to the edge of 2D masks, negative inside: (N, Y, X) float32, mm.

    The edge lies halfway between the last pixel inside and the first one outside. An empty mask is `cap_mm` away
    everywhere, a full one -`cap_mm`: nothing is known of what lies beyond the image.

    Args:
        masks: (N, Y, X) bool.
        spacing: (y, x) in mm.
        cap_mm: where distances are cut off.
    """
    half = np.float32(min(spacing) / 2)
    outside, inside = capped_distance(np.stack([masks, ~masks]), spacing, cap_mm + min(spacing))
    # One of the two is zero at every pixel; the other is at least a pixel.
    signed = outside - inside
    signed -= np.copysign(half, signed)
    return np.clip(signed, -cap_mm, cap_mm, out=signed)


def without_staircase(distances: FloatArray, spacing: Sequence[float]) -> FloatArray:
    """Signed distances (N, Y, X) of masks, with most of the steps taken out that pixels cut into a smooth edge.

    The kernel (1, 6, 1) / 8 has a standard deviation of half a pixel, in the finer direction; the coarser one
    gets as much in mm. Its mean reach is less than the half pixel by which a pixel's centre is off the edge. As a
    signed distance changes by no more than the way between two points, none changes its sign: where nothing
    moves, the mask stays what it was, down to a single pixel.
    """
    for axis, step in zip((1, 2), spacing, strict=True):
        side = np.float32((min(spacing) / step) ** 2 / 8)
        source = np.moveaxis(distances, axis, 0)
        smooth = source.copy(order="K")
        if len(source) > 1:
            change = np.diff(source, axis=0)
            change *= side
            smooth[:-1] += change
            smooth[1:] -= change
        distances = np.moveaxis(smooth, 0, axis)
    return distances


def capped_distance(masks: npt.NDArray[np.bool_], spacing: Sequence[float], cap_mm: float) -> FloatArray:
    """Distance from each pixel's centre to the nearest one in the mask, at most `cap_mm`: (..., Y, X) float32, mm.

    Exact below the cap: the least, over shifts along x, of the squared shift and the squared distance along y.
    No shift beyond the cap is looked at. Source: Felzenszwalb and Huttenlocher 2012, "Distance transforms of
    sampled functions", section 3.

    Args:
        masks: (..., Y, X) bool.
        spacing: (y, x) in mm.
        cap_mm: where distances are cut off.
    """
    squared = np.where(masks, np.float32(0), _FAR)
    shifted = np.empty_like(squared)
    for axis, step in zip((-2, -1), spacing, strict=True):
        # The axis is brought to the front, as a view, to shift along it by slicing.
        source = np.moveaxis(squared, axis, 0)
        least = source.copy(order="K")
        raised = np.moveaxis(shifted, axis, 0)
        for shift in range(1, min(math.ceil(cap_mm / step), len(source) - 1) + 1):
            np.add(source, np.float32((shift * step) ** 2), out=raised)
            np.minimum(least[shift:], raised[:-shift], out=least[shift:])
            np.minimum(least[:-shift], raised[shift:], out=least[:-shift])
        squared = np.moveaxis(least, 0, axis)
    np.sqrt(squared, out=squared)
    return np.minimum(squared, np.float32(cap_mm), out=squared)
