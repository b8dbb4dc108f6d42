"""Which slices hold a structure in each frame: what a motion in the plane cannot know.

A ventricle leaves the slices at its base in systole. Propagation alone keeps it there; a segmentation sees that it
has gone, but is not to be believed in each slice and each frame. Here it is asked for a score of presence, which
is held against what it scored in the same slice at the key frames, where the answer is known. What it says is
believed as far as it was right there, and a slice changes its state only for evidence that lasts (the Viterbi
algorithm for two states, around the cycle, key frames fixed).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Floats = npt.NDArray[np.float32]
Vector = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

QUANTILE = 0.75
"""Of the probabilities in the region of a structure: a quarter of it has to be seen. It may have contracted."""
SMALLEST_MM2 = 25.0
"""A smaller region says nothing."""
AROUND_MM = 7.0
"""Around the cavity, where the wall is looked for."""
WALL_LEFT = 0.75
"""Of the wall around the cavity: what is left of it at least where the slice still is one of the ventricle.
Readers draw slices of which half of the circumference or more is wall; in a slice's thickness more of it shows."""
WALL_NATS = 16.0
"""Evidence for the whole of the wall more or less."""
_LEAST_WALL = 0.1
GAP_SHARE = 0.5
"""What evidence against a slice counts where a slice further out is seen to hold the structure."""
STILL_SEEN = 0.6
"""Of its score where it was drawn: what a structure has at least where it still is."""
SMOOTHING_CYCLE = 0.02
"""Standard deviation of the smoothing of scores over time, as a share of the cycle; at least half a frame."""
SWITCH = 3.0
"""Evidence, in nats, that a slice needs to change its state, if frames are `FRAMES` to the cycle; so much the less
if they are fewer."""
FRAMES = 25
_LEAST_SWITCH = 1.0
_PRIOR = 0.05
"""Nats, for what the nearer key frame says where the segmentation says nothing."""
REACH_MM = 30.0
"""How far a ventricle moves through the slices, and its cavity closes from the apex, at most: a slice that lies
deeper among those that hold the structure holds it at all times, whatever the segmentation misses."""
LARGEST_EVIDENCE = 3.0
"""Nats that one frame can give."""
MONOTONE = 0.6
"""Share of the way that the heart travels in a cycle. Between key frames no further apart than this, a slice that
has the same state at both keeps it: the base goes one way from one to the other."""


@dataclass(frozen=True)
class Evidence:
    """What key frames say about one structure.

    Attributes:
        held: (Z,) bool by key frame: slices in which it was drawn.
        weights: of key frames at every frame, as `blend_weights` gives them.
        steps: (T,) share of the cycle from each frame to the next, as `cycle_steps` gives them.
        slice_mm: from slice to slice.
    """

    held: Mapping[int, Mask]
    weights: Mapping[int, Mapping[int, float]]
    steps: Vector
    slice_mm: float


def scores(probability: Floats, regions: Mask, spacing: Sequence[float]) -> Vector:
    """How much of a structure the segmentation sees where it should be: (T, Z), 0 to 1.

    Args:
        probability: (T, Z, Y, X), of the structure, by the segmentation.
        regions: (T, Z, Y, X) bool, where propagation has it. A slice without takes the region of the nearest slice
            that has one in that frame.
        spacing: (y, x) in mm.
    """
    return _scored(probability, regions, spacing, lambda seen, region: float(np.quantile(seen[region], QUANTILE)))


def wall_scores(wall: Floats, cavity: Mask, spacing: Sequence[float]) -> Vector:
    """How much wall the segmentation sees around the cavity of the LV, where that should be: (T, Z), 0 to 1.

    Above the base the pool goes on as atrium or outflow tract, as bright as before. What ends there is the wall,
    by which readers, too, decide whether a slice still is one of the ventricle.

    Args:
        wall: (T, Z, Y, X), probability of the myocardium, by the segmentation.
        cavity: (T, Z, Y, X) bool, where propagation has the cavity. A slice without takes that of the nearest
            slice that has one in that frame.
        spacing: (y, x) in mm.
    """

    def of_ring(seen: Floats, region: Mask) -> float:
        away = ndimage.distance_transform_edt(~region, sampling=spacing)
        around = (away > 0) & (away <= AROUND_MM)
        return float(seen[around].mean()) if around.any() else 0.0

    return _scored(wall, cavity, spacing, of_ring)


def presence(score: Vector, evidence: Evidence, wall: Vector | None = None) -> Mask:
    """In which slices a structure is in each frame: (T, Z) bool.

    Args:
        score: (T, Z), as `scores` gives it.
        evidence: of the key frames; at them, the result is what was drawn.
        wall: (T, Z), as `wall_scores` gives it, for the cavity of the LV: it is where both are seen.
    """
    frames, slices = score.shape
    nats = np.zeros((frames, slices))
    for key, held in evidence.held.items():
        weight = np.array([evidence.weights[t].get(key, 0.0) for t in range(frames)])
        said = _evidence(score, score[key], held)
        if wall is not None:
            missed = _wall_evidence(wall, wall[key])
            # A wall that was not seen where it was drawn is not missed elsewhere.
            said = said + np.where(held, _share(wall[key]) * np.minimum(missed - said, 0), 0)
        nats += weight[:, None] * (said + np.where(held, _PRIOR, -_PRIOR))
    deep = _deep(evidence)
    if deep.any():
        # A frame in which it misses what is certainly there says nothing about where there is nothing.
        reliable = _share(score[:, deep].mean(axis=1))
        nats = np.where(nats < 0, reliable[:, None] * nats, nats)
    found = np.zeros((frames, slices), dtype=bool)
    for z in range(slices):
        states = {key: bool(held[z]) for key, held in evidence.held.items()}
        if deep[z]:
            found[:, z] = True
            continue
        states |= _between(states, evidence.steps)
        found[:, z] = cyclic_states(nats[:, z], states)
    return _without_gaps(found, nats, deep, evidence)


def _scored(
    seen: Floats, regions: Mask, spacing: Sequence[float], score: Callable[[Floats, Mask], float]
) -> Vector:
    """Scores (T, Z), smoothed over time: of the probabilities in each slice, and its region.

    A slice whose region is too small takes that of the nearest slice of its frame; a frame without any scores 0.
    """
    frames, slices = regions.shape[:2]
    pixel = float(spacing[0] * spacing[1])
    found = np.zeros((frames, slices))
    for t in range(frames):
        known = np.flatnonzero(regions[t].sum(axis=(1, 2)) * pixel >= SMALLEST_MM2)
        if len(known):
            nearest = known[np.abs(known[None] - np.arange(slices)[:, None]).argmin(axis=1)]
            found[t] = [score(seen[t, z], regions[t, nearest[z]]) for z in range(slices)]
    sigma = max(0.5, SMOOTHING_CYCLE * frames)
    return np.asarray(ndimage.gaussian_filter1d(found, sigma, axis=0, mode="wrap"))


def _evidence(score: Vector, at_key: Vector, held: Mask) -> Vector:
    """Log-odds (T, Z) that the structure is there, by the score and what it was where the answer is known."""
    # Where it was not drawn: halfway from what it scored there to certainty.
    threshold = np.where(held, STILL_SEEN * at_key, 0.5 + 0.5 * at_key)
    # A segmentation that missed it where it was drawn, or saw it where it was not, is not asked.
    believed = _share(np.where(held, at_key, 1 - at_key))
    nats = believed * np.clip(_logit(score) - _logit(threshold), -LARGEST_EVIDENCE, LARGEST_EVIDENCE)
    # One that misses it where it was drawn has nothing to say about where it is not.
    finds = believed[held].mean() if held.any() else 0.0
    return np.asarray(np.where((nats < 0) & ~held, finds * nats, nats))


def _wall_evidence(wall: Vector, at_key: Vector) -> Vector:
    """Log-odds (T, Z) that a slice that held the cavity still does, by how much of its wall is left."""
    left = wall / np.maximum(at_key, _LEAST_WALL)
    return np.clip(WALL_NATS * (left - WALL_LEFT), -LARGEST_EVIDENCE, LARGEST_EVIDENCE)


def _deep(evidence: Evidence) -> Mask:
    """Slices (Z,) that hold the structure at every key frame, too deep among others for it to leave them."""
    always = np.all(list(evidence.held.values()), axis=0)
    place = np.flatnonzero(always)
    if not len(place):
        return always
    z = np.arange(len(always))
    # From the middle of a slice to the outer faces of the outermost ones that hold it.
    inside = (np.minimum(z - place[0], place[-1] - z) + 0.5) * evidence.slice_mm
    return np.asarray(always & (inside > REACH_MM))


def _share(score: Vector) -> Vector:
    """How far a segmentation is believed that scores so much of what is right."""
    return np.clip((score - 0.3) / 0.4, 0, 1)


def _logit(p: Vector) -> Vector:
    clipped = np.clip(p, 0.02, 0.98)
    return np.asarray(np.log(clipped / (1 - clipped)))


def _between(states: Mapping[int, bool], steps: Vector) -> dict[int, bool]:
    """States of the frames between key frames that agree and are near enough to each other."""
    keys, frames = sorted(states), len(steps)
    found: dict[int, bool] = {}
    for key, following in zip(keys, [*keys[1:], keys[0]], strict=True):
        inside = [(key + i) % frames for i in range((following - key) % frames or frames)]
        if key != following and states[key] == states[following] and steps[inside].sum() <= MONOTONE:
            found |= dict.fromkeys(inside, states[key])
    return found


def cyclic_states(nats: Vector, known: Mapping[int, bool]) -> Mask:
    """The most likely states (T,) along a cycle: evidence on one side, changes of state on the other.

    Args:
        nats: (T,) log-odds of the state True.
        known: states by frame, at least one.
    """
    frames, first = len(nats), min(known)
    order = [(first + i) % frames for i in range(frames + 1)]
    cost = np.stack([nats / 2, -nats / 2])
    switch = np.clip(SWITCH * frames / FRAMES, _LEAST_SWITCH, SWITCH)
    for t, state in known.items():
        cost[int(not state), t] = np.inf
    total = cost[:, first].copy()
    came_from = np.zeros((frames + 1, 2), dtype=int)
    for i, t in enumerate(order[1:], start=1):
        stay, change = total, total[::-1] + switch
        came_from[i] = np.where(stay <= change, [0, 1], [1, 0])
        total = np.minimum(stay, change) + cost[:, t]
    found = np.zeros(frames, dtype=bool)
    now = int(known[first])
    for i in range(frames, 0, -1):
        found[order[i]] = now == 1
        now = int(came_from[i, now])
    return found


def _without_gaps(found: Mask, nats: Vector, deep: Mask, evidence: Evidence) -> Mask:
    """States without slices that hold nothing between two that hold a structure, where it was drawn in them.

    Outwards from the slice with most evidence, what lies beyond such a gap is kept, and the gap filled, if the
    evidence for the one outweighs that against the other. Slices that are deep among others are always kept.
    """
    drawn = np.any(list(evidence.held.values()), axis=0)
    filled = found.copy()
    for t in range(len(found)):
        place = np.flatnonzero(found[t])
        if t in evidence.held or not len(place):
            continue
        surest = int(place[nats[t, place].argmax()])
        for outwards in (range(surest, len(drawn)), range(surest, -1, -1)):
            beyond: list[int] = []
            balance = 0.0
            for z in outwards:
                if not found[t, z]:
                    beyond.append(z)
                    balance += GAP_SHARE * float(nats[t, z])
                elif beyond:
                    beyond.append(z)
                    balance += float(nats[t, z])
                    if balance >= 0 or deep[z]:
                        filled[t, beyond] |= drawn[beyond]
                        beyond, balance = [], 0.0
            filled[t, beyond] = False
    return filled
