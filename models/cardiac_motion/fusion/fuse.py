"""Segmentation of every frame and propagation from the key frames, made to agree by their uncertainties.

Both say, of each point, whether it lies in each of the nested regions (`propagation/structure_distances.py`):
propagation by a soft step over its signed distance, which grows wider with the way that the heart has travelled
from the nearest key frame; the segmentation by its probabilities, corrected for how the reader draws
(`calibration.py`). The two are pooled log-linearly (Genest and Zidek 1986, "Combining probability distributions"),
and labels are decided as propagation decides them, so that none gape or overlap. Whether a structure is in a slice
at all is decided before (`presence.py`). Key frames stay as they were drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cardiac_motion.errors import InputError
from cardiac_motion.fusion.calibration import Calibration, calibrate, move_borders, unconventional
from cardiac_motion.fusion.presence import Evidence, presence, scores, wall_scores
from cardiac_motion.labels import Label
from cardiac_motion.motion import Motion
from cardiac_motion.progress import Progress, silent
from cardiac_motion.propagation import Propagator
from cardiac_motion.propagation.blend_weights import blend_weights, cycle_steps
from cardiac_motion.propagation.key_frames import Box
from cardiac_motion.segmentation.anatomy import tidy
from cardiac_motion.segmentation.base import Segmentation
from cardiac_motion.working_grid import Region

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]
Vector = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_ABSENT = np.float32(-20.0)
"""Log-odds of a region that is not in a slice."""
_WIDE = 1 / 3
"""Share of the widest slice's cavity from which on one is too wide to have closed."""
_LEAST = 0.01
"""Probabilities are held between this and its complement: no network is surer than that."""


@dataclass(frozen=True)
class FusionOptions:
    """How far propagation and segmentation are believed.

    Attributes:
        near_mm: width of propagation's soft step at a key frame.
        far_mm: how much wider it is half a cycle of travel away.
        most: weight of a segmentation that agrees fully with the key frames, far from them; propagation has the
            rest.
        reach: share of the cycle's travel from a key frame after which it has that weight; it grows from zero.
        smoothing_mm: standard deviation of the smoothing of what is pooled, in the plane.
    """

    near_mm: float = 0.7
    far_mm: float = 2.3
    most: float = 0.6
    reach: float = 0.25
    smoothing_mm: float = 1.0


@dataclass(frozen=True, eq=False)
class Fused:
    """Labels of all frames on which segmentation and propagation agree.

    Attributes:
        labels: (T, Z, Y, X) uint8; those of key frames exactly as drawn.
        entropy: (T, Z, Y, X) float32, of the pooled probabilities, in nats; 0 at key frames.
        structures: those that are drawn on key frames; no other is labelled.
        held: (T, Z) by structure, whether it is in a slice.
        bias_mm: (Z,) by region, the labels that it consists of: how much further out than the reader the
            segmentation draws its border; the mean over the key frames.
        trust: (Z,) likewise, how far the segmentation is believed, 0 to 1.
        region: in-plane part of the grid outside of which there is background beyond doubt.
        probabilities: of a frame, (1 + S, Z, y, x) in `region`: the pooled ones of the background and of
            `structures`, before the anatomy was tidied up; at key frames 1 for what was drawn. Computed when
            called, since most have no use for them.
    """

    labels: Labels
    entropy: Floats
    structures: tuple[Label, ...]
    held: Mapping[Label, Mask]
    bias_mm: Mapping[tuple[Label, ...], Vector]
    trust: Mapping[tuple[Label, ...], Vector]
    region: Region
    probabilities: Callable[[int], Floats]


def fuse(
    segmentation: Segmentation,
    motion: Motion,
    key_frames: Mapping[int, npt.NDArray[Any]],
    *,
    uncertainty_mm: Floats | None = None,
    is_short_axis: bool | None = None,
    options: FusionOptions | None = None,
    progress: Progress = silent,
) -> Fused:
    """Make the segmentation of a cine agree with what its motion carries from the key frames.

    Args:
        segmentation: of all frames, with probabilities.
        motion: of the same cine.
        key_frames: labels (Z, Y, X) by frame, at least one.
        uncertainty_mm: (T, Z, Y, X), standard deviation of the motion, where its model has one; it adds to the
            width of propagation's step.
        is_short_axis: whether the slices are of the short axis, which ventricles leave and in which the wall is a
            ring; by default if there are several.
        options: by default those that were tuned on phantoms.
        progress: called for every frame; may raise `Cancelled`.

    Raises:
        InputError: a segmentation of some frames only, without probabilities, or of another grid; no key frame, or
            labels that do not fit.
        Cancelled: from the progress callback.
    """
    if not key_frames:
        raise InputError("fusion needs at least one key frame, got none")
    if segmentation.frames != tuple(range(motion.n_frames)):
        raise InputError(f"fusion needs all {motion.n_frames} frames segmented, got {len(segmentation.frames)}")
    if segmentation.probabilities is None:
        raise InputError("fusion needs the segmentation's probabilities, got labels alone")
    if segmentation.labels.shape != motion.shape:
        raise InputError(f"expected a segmentation (T, Z, Y, X) = {motion.shape}, got {segmentation.labels.shape}")
    if uncertainty_mm is not None and uncertainty_mm.shape != motion.shape:
        raise InputError(f"expected uncertainties of shape {motion.shape}, got {uncertainty_mm.shape}")
    work = _Fusion(segmentation, motion, key_frames, options or FusionOptions())
    if is_short_axis is not None:
        work.is_short_axis = is_short_axis
    return work.result(uncertainty_mm, progress)


class _Fusion:
    """One fusion, in the part of the grid that labels can reach in the plane, all slices of it."""

    def __init__(
        self,
        segmentation: Segmentation,
        motion: Motion,
        key_frames: Mapping[int, npt.NDArray[Any]],
        options: FusionOptions,
    ) -> None:
        self.segmentation, self.known = segmentation, segmentation.structures
        self.motion, self.options = motion, options
        self.propagator = Propagator(motion, key_frames)
        self.keys = self.propagator.key_frames
        self.regions = self.propagator.regions
        self.members = self.regions.members
        self.plane = motion.spacing[1:]
        self.is_short_axis = motion.shape[1] > 1
        self.cap = self.propagator.cap_mm
        reached, _ = self.propagator.distances(self.keys[0])
        self.box = Box((0, *reached.start[1:]), (motion.shape[1], *reached.stop[1:]))
        self.steps = cycle_steps(motion)
        self.weights = blend_weights(self.keys, self.steps)
        self.drawn = {key: self.propagator.labels[key][self.box.slices] for key in self.keys}
        # Half a cycle is as far from a key frame as can be.
        self.travel = 2 * _travel(self.keys, self.steps)

    def carried(self, t: int) -> Floats:
        """Signed distances (Z, C, Y, X) of propagation in the box."""
        reached, distances = self.propagator.distances(t)
        whole = np.full((self.box.shape[0], *distances.shape[1:]), self.cap, np.float32)
        whole[reached.start[0] : reached.stop[0]] = distances
        return whole

    def seen(self, t: int) -> Floats:
        """Probabilities (1 + S, Z, Y, X) by the segmentation, of the background and the structures that are drawn.

        What it tells apart and nobody drew is background. What is drawn and it does not know, such as atria, is to
        it background, of which propagation decides the share.
        """
        given = self.segmentation.probabilities_at(t, *self.box.slices[1:])
        classes = (Label.BACKGROUND, *self.known)
        structures = self.regions.structures
        found = np.zeros((1 + len(structures), *given.shape[1:]), np.float32)
        for label, probability in zip(classes, given, strict=True):
            found[1 + structures.index(label) if label in structures else 0] += probability
        foreign = [1 + i for i, label in enumerate(structures) if label not in classes]
        if foreign:
            distances = self.carried(t)
            shares = self.regions.shares(_sigmoid(-distances / np.float32(self.options.near_mm)))
            of_background = shares[foreign] / np.maximum(shares[[0, *foreign]].sum(axis=0), np.float32(1e-6))
            found[foreign] = found[0] * of_background
            found[0] *= 1 - of_background.sum(axis=0)
        return found

    def seen_regions(self, t: int) -> Floats:
        """Probabilities (Z, C, Y, X) of the regions by the segmentation."""
        seen, structures = self.seen(t), self.regions.structures
        return np.stack(
            [seen[[1 + structures.index(label) for label in each]].sum(axis=0) for each in self.members], axis=1
        )

    def wall(self) -> Floats:
        """Probability (T, Z, Y, X) of the myocardium by the segmentation, drawn or not."""
        place = 1 + self.known.index(Label.MYO)
        frames = range(self.motion.n_frames)
        return np.stack([self.segmentation.probabilities_at(t, *self.box.slices[1:])[place] for t in frames])

    @cached_property
    def calibrations(self) -> dict[int, Calibration]:
        """What each key frame says about the segmentation."""
        return {
            key: calibrate(
                self.seen_regions(key),
                np.stack([np.isin(drawn, each) for each in self.members], axis=1),
                self.plane,
                self.cap,
            )
            for key, drawn in self.drawn.items()
        }

    @cached_property
    def held(self) -> dict[Label, Mask]:
        """Slices (T, Z) that hold each structure."""
        carried = np.stack([self.regions.assign(self.carried(t)) for t in range(self.motion.n_frames)])
        seen = np.stack([self.seen(t) for t in range(self.motion.n_frames)], axis=1)
        found = {}
        for i, label in enumerate(self.regions.structures):
            mask = carried == label
            drawn = {key: (labels == label).any(axis=(1, 2)) for key, labels in self.drawn.items()}
            if not self.is_short_axis:
                found[label] = np.tile(np.any(list(drawn.values()), axis=0), (len(mask), 1))
            elif label in self.known:
                score = scores(seen[1 + i], mask, self.plane)
                has_wall = label == Label.LV and Label.MYO in self.known
                wall = wall_scores(self.wall(), mask, self.plane) if has_wall else None
                evidence = Evidence(drawn, self.weights, self.steps, self.motion.spacing[0])
                found[label] = presence(score, evidence, wall)
            else:
                found[label] = mask.any(axis=(2, 3))
        if self.is_short_axis and {Label.LV, Label.MYO} <= found.keys():
            # A cavity that the motion still has wide has not closed, as near the apex, but left the slice, and its
            # wall with it: a wall alone would fill the atrium.
            wide = (carried == Label.LV).sum(axis=(2, 3))
            found[Label.MYO] &= found[Label.LV] | (wide < _WIDE * wide.max(axis=1, keepdims=True))
        return found

    def odds(self, t: int, uncertainty_mm: Floats | None) -> Floats:
        """Pooled log-odds (Z, C, Y, X) of the regions."""
        options = self.options
        width = np.float32(options.near_mm + options.far_mm * self.travel[t])
        if uncertainty_mm is not None:
            # A step of a logistic distribution has the standard deviation of 1.8 times its width.
            doubt = uncertainty_mm[t][self.box.slices][:, None] / np.float32(np.pi / np.sqrt(3))
            width = np.hypot(width, doubt)
        distances = self.carried(t)
        bias, trust = self._blended(t)
        seen = move_borders(self.seen_regions(t), bias, self.plane, self.cap)
        weight = options.most * min(1.0, float(self.travel[t]) / (2 * options.reach)) * trust
        for c, each in enumerate(self.members):
            # How much of what contraction presses together belongs to the pool is a matter of convention, and
            # motion carries the reader's along: it decides, as long as they differ by no more than conventions do.
            # In a long-axis view the pool ends at the valve, too, which is no matter of convention.
            if self.is_short_axis and Label.LV in each and Label.MYO not in each:
                seen[:, c], fault = unconventional(seen[:, c], distances[:, c], self.plane, self.cap)
                weight[:, c] *= fault
        seen = seen.clip(_LEAST, 1 - _LEAST)
        there = self._there(t)
        for c in range(len(self.members)):
            only_seen = there[:, c] & ~(distances[:, c] < 0).any(axis=(1, 2))
            only_carried = there[:, c] & ~(seen[:, c] > 0.5).any(axis=(1, 2))
            weight[only_carried, c] = 0
            weight[only_seen & ~only_carried, c] = 1
        by = weight[:, :, None, None].astype(np.float32)
        odds = by * np.log(seen / (1 - seen)) - (1 - by) * distances / width
        sigma = [0, 0, *(options.smoothing_mm / step for step in self.plane)]
        return self._nested(ndimage.gaussian_filter(odds.astype(np.float32), sigma), t)

    def _blended(self, t: int) -> tuple[Vector, Vector]:
        """Bias and trust (Z, C) at a frame, of the key frames around it."""
        shares = self.weights[t].items()
        bias = sum((w * self.calibrations[key].bias_mm for key, w in shares), np.zeros(1))
        trust = sum((w * self.calibrations[key].trust for key, w in shares), np.zeros(1))
        return bias, trust

    def _there(self, t: int) -> Mask:
        """Whether the slices hold each region: (Z, C)."""
        return np.stack([np.any([self.held[s][t] for s in each], axis=0) for each in self.members], axis=1)

    def _nested(self, odds: Floats, t: int) -> Floats:
        """Log-odds of regions of which some are absent, none larger than that of a region around it."""
        there = self._there(t)
        odds[~there] = _ABSENT
        has_cavity = {Label.MYO, Label.LV} <= set(self.regions.structures)
        parts = len(self.members) - 1 - has_cavity
        wall = 1 if parts else 0
        if has_cavity:
            # A wall that is absent around a cavity leaves the cavity alone.
            no_wall = there[:, wall] & ~self.held[Label.MYO][t]
            odds[no_wall, wall] = odds[no_wall, -1]
            np.minimum(odds[:, -1], odds[:, wall], out=odds[:, -1])
        if parts:
            nearest = odds[:, 1 : 1 + parts].max(axis=1)
            fewer = ~there[:, 1 : 1 + parts].all(axis=1)
            odds[fewer, 0] = nearest[fewer]
            np.maximum(odds[:, 0], nearest, out=odds[:, 0])
        return odds

    def result(self, uncertainty_mm: Floats | None, progress: Progress) -> Fused:
        """The fusion of all frames."""
        shape = self.motion.shape
        labels = self.propagator.labels.copy()
        entropy = np.zeros(shape, np.float32)
        progress(0.0, "asking which slices hold what")
        held = self.held
        for t in range(shape[0]):
            progress((1 + t) / (1 + shape[0]), "segmentation and motion made to agree")
            if t in self.keys:
                continue
            odds = self.odds(t, uncertainty_mm)
            part = tidy(self.regions.assign(-odds), self.motion.spacing, wall_encloses=self.is_short_axis)
            labels[t] = 0
            labels[t][self.box.slices] = part
            shares = self.regions.shares(_sigmoid(odds)).clip(1e-7, 1)
            entropy[t][self.box.slices] = -(shares * np.log(shares)).sum(axis=0)

        def probabilities(t: int) -> Floats:
            if t in self.keys:
                classes = (Label.BACKGROUND, *self.regions.structures)
                return np.stack([self.drawn[t] == each for each in classes]).astype(np.float32)
            return np.asarray(self.regions.shares(_sigmoid(self.odds(t, uncertainty_mm))))

        (_, y0, x0), (_, y1, x1) = self.box.start, self.box.stop
        count = len(self.calibrations)
        bias = sum((each.bias_mm for each in self.calibrations.values()), np.zeros(1)) / count
        trust = sum((each.trust for each in self.calibrations.values()), np.zeros(1)) / count
        return Fused(
            labels=labels,
            entropy=entropy,
            structures=self.regions.structures,
            held=held,
            bias_mm={each: bias[:, c] for c, each in enumerate(self.members)},
            trust={each: trust[:, c] for c, each in enumerate(self.members)},
            region=Region(y0, y1, x0, x1),
            probabilities=probabilities,
        )


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))), dtype=np.float32)


def _travel(keys: tuple[int, ...], steps: Vector) -> Vector:
    """Share of the cycle's travel from each frame to the nearest key frame: (T,), 0 to 0.5."""
    place = np.concatenate([[0.0], np.cumsum(steps)[:-1]])
    away = np.abs(place[:, None] - place[list(keys)])
    return np.asarray(np.minimum(away, 1 - away).min(axis=1).clip(0))
