"""Key frames, and the region of the grid that their labels can reach in the course of the cycle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiac_motion.errors import InputError
from cardiac_motion.labels import Label
from cardiac_motion.motion import Motion

LabelArray = npt.NDArray[np.uint8]

_MARGIN = 3
"""Pixels around what labels can reach, for the two directions of a motion may differ a little."""


@dataclass(frozen=True)
class KeyFrame:
    """Labels as they were drawn, with what is looked up in them more than once."""

    labels: LabelArray
    values: frozenset[int]
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    """First and last voxel (z, y, x) of a structure."""

    @classmethod
    def checked(cls, labels: npt.NDArray[Any], motion: Motion, frame: int) -> KeyFrame:
        """A copy of the labels, or InputError."""
        motion.check_frame(frame)
        given = np.asarray(labels)
        if given.shape != motion.shape[1:]:
            raise InputError(
                f"expected labels (Z, Y, X) = {motion.shape[1:]} for frame {frame}, got {given.shape}"
            )
        if given.dtype.kind not in "iub":
            raise InputError(f"labels must be whole numbers, got {given.dtype} for frame {frame}")
        if given.min() < min(Label) or given.max() > max(Label):
            raise InputError(
                f"labels must be from {int(min(Label))} to {int(max(Label))}, got {given.min()} to {given.max()}"
                f" for frame {frame}"
            )
        copy = given.astype(np.uint8)
        occupied = [np.flatnonzero(copy.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
        if not occupied[0].size:
            raise InputError(f"a key frame holds at least one structure, got an empty label for frame {frame}")
        counts = np.bincount(copy.ravel(), minlength=max(Label) + 1)
        return cls(
            labels=copy,
            values=frozenset(np.flatnonzero(counts).tolist()),
            first=np.array([places[0] for places in occupied]),
            last=np.array([places[-1] for places in occupied]),
        )


@dataclass(frozen=True)
class Box:
    """A region of the voxel grid: first voxels, and the ones after the last, along (z, y, x)."""

    start: tuple[int, int, int]
    stop: tuple[int, int, int]

    @classmethod
    def reached(cls, key: KeyFrame, frame: int, motion: Motion, cap_mm: float) -> Box:
        """All that labels of a frame, and the distances around them, can reach in any frame."""
        shape = np.array(motion.shape[1:])
        first, last = key.first.copy(), key.last.copy()
        if not motion.is_in_plane:
            first[0], last[0] = 0, shape[0] - 1
        cap = np.array([0, *(math.ceil(cap_mm / s) + 1 for s in motion.spacing[1:])])
        margin = np.array([0, _MARGIN, _MARGIN])
        lowest, highest = first - cap, last + cap
        # Everything in a box moves at least as far as its least displacement and at most as far as its largest.
        first, last = _pushed(first, last, motion.to_reference[frame], motion.spacing)
        for displacement in motion.from_reference:
            low, high = _pushed(first, last, displacement, motion.spacing)
            lowest, highest = np.minimum(lowest, low - margin), np.maximum(highest, high + margin)
        start, stop = np.maximum(lowest, 0).tolist(), np.minimum(highest + 1, shape).tolist()
        return cls((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """To cut the box out of an array (Z, Y, X)."""
        z, y, x = (slice(a, b) for a, b in zip(self.start, self.stop, strict=True))
        return z, y, x

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (z, y, x)."""
        z, y, x = (b - a for a, b in zip(self.start, self.stop, strict=True))
        return z, y, x

    def union(self, other: Box) -> Box:
        """The smallest box that holds both."""
        z, y, x = map(min, self.start, other.start)
        z1, y1, x1 = map(max, self.stop, other.stop)
        return Box((z, y, x), (z1, y1, x1))

    def dilated(self, pixels: int, shape: tuple[int, ...]) -> Box:
        """Larger by so many pixels in-plane, within a grid (Z, Y, X)."""
        y, x = (max(0, a - pixels) for a in self.start[1:])
        y1, x1 = (min(n, b + pixels) for n, b in zip(shape[1:], self.stop[1:], strict=True))
        return Box((self.start[0], y, x), (self.stop[0], y1, x1))

    def is_touched(self, labels: LabelArray, shape: tuple[int, ...]) -> bool:
        """Whether labels (Z, Y, X) of the box reach an in-plane edge of it that is none of the grid's."""
        sides = [
            (self.start[1] > 0, labels[:, 0]),
            (self.stop[1] < shape[1], labels[:, -1]),
            (self.start[2] > 0, labels[:, :, 0]),
            (self.stop[2] < shape[2], labels[:, :, -1]),
        ]
        return any(inner and edge.any() for inner, edge in sides)


def _pushed(
    first: npt.NDArray[np.int64],
    last: npt.NDArray[np.int64],
    displacement: npt.NDArray[np.float32],
    spacing: tuple[float, ...],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """A box moved by the least and the largest displacement in it, within the grid."""
    inside = tuple(slice(a, b + 1) for a, b in zip(first, last, strict=True))
    part = displacement[(slice(None), *inside)]
    low = np.floor(first + part.min(axis=(1, 2, 3)) / spacing).astype(np.int64)
    high = np.ceil(last + part.max(axis=(1, 2, 3)) / spacing).astype(np.int64)
    end = np.array(displacement.shape[1:]) - 1
    return np.clip(low, 0, end), np.clip(high, 0, end)
