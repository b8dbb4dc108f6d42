"""Labels drawn on one or several key frames, carried to every frame of the cycle through the motion.

At each key frame, in-plane signed distances of the structures are computed once (see `structure_distances`).
They are warped to the other frames and blended, at each, between the key frame before it and the one after it
along the cycle, by the distance to either (see `blend_weights`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiac_motion.errors import InputError
from cardiac_motion.motion import Motion
from cardiac_motion.propagation.blend_weights import blend_weights, cycle_steps
from cardiac_motion.propagation.key_frames import Box, KeyFrame, Reach
from cardiac_motion.propagation.plane_sampling import normalised, sample_each
from cardiac_motion.propagation.structure_distances import NestedRegions

FloatArray = npt.NDArray[np.float32]
LabelArray = npt.NDArray[np.uint8]

_SLACK = 3
"""Pixels by which the region of work is larger than it need be, so that a correction seldom makes it grow."""

_WORKERS = min(8, os.cpu_count() or 1)
"""Frames done at a time."""


def propagate(motion: Motion, key_frames: Mapping[int, npt.NDArray[Any]], *, cap_mm: float = 10.0) -> LabelArray:
    """Labels (T, Z, Y, X) uint8 of all frames from the labels (Z, Y, X) of one or several key frames.

    Raises:
        InputError: no key frame, a frame that is not there, a shape or a value that no label map has.
    """
    if not key_frames:
        raise InputError("propagation needs at least one key frame, got none")
    return Propagator(motion, key_frames, cap_mm=cap_mm).labels


class Propagator:
    """Labels of all frames, kept up to date while key frames are added, corrected and released.

    When a key frame changes, only its own distances are computed anew, and only the frames between it and its
    neighbouring key frames are redone. A key frame keeps exactly the labels that were given for it.

    Args:
        motion: of the cine; it never depends on the labels.
        key_frames: labels (Z, Y, X) by frame to begin with, as for `update`.
        cap_mm: signed distances are cut off at plus and minus this, so that a structure that is absent from a
            slice has a finite distance there: between a key frame with it and one without, it fades out. At
            least three pixels.

    Raises:
        InputError: as `update`; or a cap that is no distance.
    """

    def __init__(
        self, motion: Motion, key_frames: Mapping[int, npt.NDArray[Any]] | None = None, *, cap_mm: float = 10.0
    ) -> None:
        if not (math.isfinite(cap_mm) and cap_mm > 0):
            raise InputError(f"cap_mm must be a distance above 0, got {cap_mm}")
        self.motion = motion
        self.cap_mm = max(float(cap_mm), 3 * max(motion.spacing[1:]))
        self._keys: dict[int, KeyFrame] = {}
        self._blends: dict[int, dict[int, float]] = {}
        self._labels: LabelArray = np.zeros(motion.shape, dtype=np.uint8)
        self._labels.setflags(write=False)
        self._regions = NestedRegions(())
        self._reach = Reach(motion)
        self._steps = cycle_steps(motion)
        self._box: Box | None = None
        # All three depend on the box and are dropped when it grows. A pair is (key frame, frame).
        self._distances: dict[int, FloatArray] = {}
        self._grids: dict[tuple[int, int], FloatArray] = {}
        self._warped: dict[tuple[int, int], FloatArray] = {}
        if key_frames:
            self._change({t: KeyFrame.checked(labels, motion, t) for t, labels in key_frames.items()})

    @property
    def key_frames(self) -> tuple[int, ...]:
        """The frames that have labels of their own, in order."""
        return tuple(sorted(self._keys))

    @property
    def labels(self) -> LabelArray:
        """Labels of all frames, (T, Z, Y, X) uint8, read-only; a later update leaves this array as it is."""
        return self._labels

    @property
    def nbytes(self) -> int:
        """Memory of the labels and of what is kept to redo them quickly; the motion's not counted."""
        kept = [*self._distances.values(), *self._grids.values(), *self._warped.values()]
        return self._labels.nbytes + sum(array.nbytes for array in kept)

    @property
    def regions(self) -> NestedRegions:
        """The regions whose distances are carried."""
        return self._regions

    def distances(self, frame: int) -> tuple[Box, FloatArray]:
        """Signed distances of the regions at a frame, mm, negative inside, from which its labels are decided.

        Returns:
            The box that they are of, outside of which all are `cap_mm`; and (Z, C, Y, X) in it, not to be written
            to. At a key frame, those of what was drawn.

        Raises:
            InputError: no such frame, or no key frame.
        """
        self.motion.check_frame(frame)
        if self._box is None or not self._keys:
            raise InputError("distances are those of key frames, and there is none")
        if frame in self._keys:
            drawn = self._keys[frame].labels[self._box.slices]
            return self._box, self._regions.distances(drawn, self.motion.spacing[1:], self.cap_mm)
        self._measure(self._blends[frame], self._box)
        return self._box, self._blended(frame, self._box, self._onwards(self._blends[frame], self._box))

    def update(self, frame: int, labels: npt.NDArray[Any]) -> tuple[int, ...]:
        """Add or replace a key frame.

        Args:
            frame: counted from 0.
            labels: (Z, Y, X), whole numbers from 0 to 5, with at least one structure.

        Returns:
            The frames whose labels were redone, in order, the key frame among them.

        Raises:
            InputError: a frame that is not there, a shape or a value that no label map has, an empty label; all
                is then as it was before.
        """
        return self._change({frame: KeyFrame.checked(labels, self.motion, frame)})

    def release(self, frame: int) -> tuple[int, ...]:
        """Make a key frame an ordinary one again; returns the frames whose labels were redone.

        Without any key frame left, all labels are background.

        Raises:
            InputError: it is not a key frame.
        """
        if frame not in self._keys:
            raise InputError(f"frame {frame} is not a key frame; key frames are {list(self.key_frames)}")
        return self._change({frame: None})

    def set_key_frames(self, key_frames: Mapping[int, npt.NDArray[Any]]) -> tuple[int, ...]:
        """Make these the key frames, and no others; what stays the same costs nothing.

        Args:
            key_frames: labels (Z, Y, X) by frame, as for `update`.

        Returns:
            The frames whose labels were redone, in order.

        Raises:
            InputError: as `update`.
        """
        changes: dict[int, KeyFrame | None] = {t: None for t in self._keys if t not in key_frames}
        for t, labels in key_frames.items():
            held = self._keys.get(t)
            if held is None or not np.array_equal(held.labels, labels):
                changes[t] = KeyFrame.checked(labels, self.motion, t)
        return self._change(changes) if changes else ()

    def _change(self, changes: Mapping[int, KeyFrame | None]) -> tuple[int, ...]:
        for frame, given in changes.items():
            if given is None:
                del self._keys[frame]
            else:
                self._keys[frame] = given
        before = self._blends
        self._blends = blend_weights(self._keys, self._steps)
        stale = [
            t
            for t, blend in self._blends.items()
            if blend != before.get(t) or any(key in changes for key in blend)
        ]
        self._keep_caches(changes)
        labels = self._labels.copy()
        if not self._keys:
            stale = list(range(self.motion.n_frames))
            labels[:] = 0
        else:
            self._fill(labels, stale, self._grown_box())
        labels.setflags(write=False)
        self._labels = labels
        return tuple(stale)

    def _keep_caches(self, changes: Iterable[int]) -> None:
        """Drop what was computed from the old labels of changed frames, and what no frame needs any more."""
        regions = NestedRegions.of(value for key in self._keys.values() for value in key.values)
        if regions != self._regions:
            self._regions = regions
            self._distances.clear()
            self._warped.clear()
        needed = {(key, t) for t, blend in self._blends.items() for key in blend if key != t}
        for frame in changes:
            self._distances.pop(frame, None)
        for pair in list(self._warped):
            if pair[0] in changes or pair not in needed:
                del self._warped[pair]
        for pair in list(self._grids):
            if pair not in needed:
                del self._grids[pair]

    def _grown_box(self) -> Box:
        """The region of work, made to hold everything that the key frames' labels can reach."""
        reached = [
            self._reach(key, frame, self.cap_mm)
            for frame, key in self._keys.items()
            if frame not in self._distances
        ]
        box = reduce(Box.union, reached) if self._box is None else reduce(Box.union, reached, self._box)
        if box != self._box:
            box = box.dilated(_SLACK, self.motion.shape[1:])
            self._box = box
            for cache in (self._distances, self._grids, self._warped):
                cache.clear()
        return box

    def _fill(self, labels: LabelArray, frames: Iterable[int], box: Box) -> None:
        """Write the labels of these frames."""
        keys = {key for t in frames for key in self._blends[t] if key != t}
        self._measure(keys, box)
        onwards = self._onwards(keys, box)

        def fill(t: int) -> None:
            if t in self._keys:
                labels[t] = self._keys[t].labels
                return
            labels[t] = 0
            labels[t][box.slices] = self._regions.assign(self._blended(t, box, onwards))

        with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
            for _ in pool.map(fill, frames):
                pass

    def _measure(self, keys: Iterable[int], box: Box) -> None:
        """See to it that there are distances of these key frames."""
        for key in set(keys) - set(self._distances):
            drawn = self._keys[key].labels[box.slices]
            self._distances[key] = self._regions.distances(drawn, self.motion.spacing[1:], self.cap_mm)

    def _onwards(self, keys: Iterable[int], box: Box) -> dict[int, FloatArray]:
        """From the reference to these key frames, as `_pull_back` takes it."""
        in_plane = self.motion.is_in_plane
        whole = box.slices[0] if in_plane else slice(None)
        return {key: _each(self.motion.from_reference[key][:, whole], in_plane=in_plane) for key in keys}

    def _blended(self, t: int, box: Box, onwards: Mapping[int, FloatArray]) -> FloatArray:
        """Distances (Z, C, Y, X) at a frame, in the box."""
        parts = []
        for key in self._blends[t]:
            if (key, t) not in self._grids:
                self._grids[key, t] = _pull_back(self.motion, key, t, box, onwards[key])
            if (key, t) not in self._warped:
                distances = self._distances[key]
                grid = self._grids[key, t]
                if self.motion.is_in_plane:
                    self._warped[key, t] = sample_each(distances, grid)
                else:
                    self._warped[key, t] = sample_each(distances.swapaxes(0, 1)[None], grid)[0].swapaxes(0, 1)
            parts.append(self._warped[key, t])
        if len(parts) == 1:
            return parts[0]
        before, after = parts
        _, weight_after = self._blends[t].values()
        blended = np.subtract(after, before)
        blended *= np.float32(weight_after)
        blended += before
        return blended


def _pull_back(motion: Motion, key: int, t: int, box: Box, from_reference: FloatArray) -> FloatArray:
    """Where the voxels of the box at frame t come from in the key frame, as `sample_each` takes it.

    Args:
        motion: of the cine.
        key: the key frame.
        t: another frame.
        box: the region of work.
        from_reference: of the key frame, as `_each` gives it.

    Returns:
        (Z, Y, X, 2) for a motion in-plane, each slice for itself; (1, Z, Y, X, 3) otherwise; within the box.
    """
    axes = [1, 2] if motion.is_in_plane else [0, 1, 2]
    moved = motion.to_reference[t][(slice(None), *box.slices)]
    places = []
    for axis in axes:
        along = np.arange(box.start[axis], box.stop[axis], dtype=np.float32)
        place = moved[axis] / np.float32(motion.spacing[axis])
        place += along.reshape([-1 if i == axis else 1 for i in range(3)])
        places.append(place if motion.is_in_plane else place[None])
    if key != motion.reference:
        onwards = sample_each(from_reference, normalised(places, [motion.shape[1 + axis] for axis in axes]))
        for i, axis in enumerate(axes):
            places[i] += onwards[:, i] / np.float32(motion.spacing[axis])
    for i, axis in enumerate(axes):
        places[i] -= box.start[axis]
    return normalised(places, [box.shape[axis] for axis in axes])


def _each(image: FloatArray, *, in_plane: bool) -> FloatArray:
    """A displacement (3, Z, Y, X) as images for `sample_each`: (Z, 2, Y, X) in-plane, or (1, 3, Z, Y, X)."""
    return np.array(image[1:].swapaxes(0, 1) if in_plane else image[None], order="C")
