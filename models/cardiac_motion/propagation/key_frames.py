"""Key frames, and the region of the grid that their labels can reach in the course of the cycle."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiac_motion.errors import InputError
from cardiac_motion.labels import Label
from cardiac_motion.motion import Motion

FloatArray = npt.NDArray[np.floating[Any]]
LabelArray = npt.NDArray[np.uint8]


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
        """Larger by so many pixels on all sides in-plane, within a grid (Z, Y, X)."""
        y, x = (max(0, a - pixels) for a in self.start[1:])
        y1, x1 = (min(n, b + pixels) for n, b in zip(shape[1:], self.stop[1:], strict=True))
        return Box((self.start[0], y, x), (self.stop[0], y1, x1))


class Reach:
    """Which part of the grid the labels of a key frame can reach through a motion, in any frame.

    For each row and each column of each frame, the least and the largest place that any of its points comes from
    are looked up once. A row or column whose places all lie off the labels cannot hold any; so what is found is
    never too small, and about as large as the labels and the motion around them.

    Args:
        motion: of the cine.
    """

    def __init__(self, motion: Motion) -> None:
        self._motion = motion
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            self._sources = list(pool.map(self._extremes, motion.to_reference))

    def __call__(self, key: KeyFrame, frame: int, margin_mm: float) -> Box:
        """A box that holds all that the labels can reach, and so much in-plane around them in their own frame."""
        motion = self._motion
        onwards = self._extremes(motion.from_reference[frame]) if frame != motion.reference else None
        start, stop = [int(key.first[0])], [int(key.last[0]) + 1]
        if not motion.is_in_plane:
            start, stop = [0], [motion.shape[1]]
        for i, (size, spacing) in enumerate(zip(motion.shape[2:], motion.spacing[1:], strict=True)):
            labels = (int(key.first[1 + i]), int(key.last[1 + i]))
            margin = math.ceil(margin_mm / spacing) + 1
            found = [max(0, labels[0] - margin), min(size - 1, labels[1] + margin)]
            at_reference = _leading_into(labels, *onwards[i]) if onwards is not None else labels
            if at_reference is not None:
                for source in self._sources:
                    reached = _leading_into(at_reference, *source[i])
                    if reached is not None:
                        found = [min(found[0], reached[0]), max(found[1], reached[1])]
            start.append(found[0])
            stop.append(found[1] + 1)
        return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))

    def _extremes(self, displacement: npt.NDArray[np.float32]) -> list[tuple[FloatArray, FloatArray]]:
        """For y and x, per row or column, the least and the largest place that its points are sent to, voxels."""
        found = []
        for component, others, spacing in (
            (1, (0, 2), self._motion.spacing[1]),
            (2, (0, 1), self._motion.spacing[2]),
        ):
            moved = displacement[component]
            rows = np.arange(displacement.shape[component + 1])
            found.append((rows + moved.min(axis=others) / spacing, rows + moved.max(axis=others) / spacing))
        return found


def _leading_into(target: tuple[int, int], least: FloatArray, largest: FloatArray) -> tuple[int, int] | None:
    """First and last row that has points in the target rows, by the extremes of where its points are sent."""
    # A pixel counts, by interpolation, up to its neighbours; one on the border for all that lies beyond.
    low = -np.inf if target[0] == 0 else target[0] - 1
    high = np.inf if target[1] == len(least) - 1 else target[1] + 1
    rows = np.flatnonzero((least <= high) & (largest >= low))
    return (int(rows[0]), int(rows[-1])) if rows.size else None
