"""Registration by a pyramid of stationary velocity fields, optimised directly, many pairs in one batch.

After the paper's scheme: from scratch for every pair, from the coarsest level to the finest, a velocity that is
low-passed by a Gaussian and exponentiated, images compared in both directions. Apart from
the network, this differs:

- the levels are gone through one after the other instead of all at once;
- a finer level goes on with the velocity of the coarser one, where the paper composes the levels' deformations;
- one velocity serves both directions, exp(v) and exp(-v), so that no term for inverse consistency is needed;
- what keeps the velocity in bounds is its gradient rather than its size.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cardiac_motion.fields import (
    exponential,
    gaussian_smooth,
    resample,
    smallest_corner_jacobian,
    warp,
)
from cardiac_motion.losses import displacement_magnitude, gradient_smoothness
from cardiac_motion.registration.recursive.objective import ImageLoss
from cardiac_motion.registration.recursive.pyramid import REDUCTION, border_window, level_shape, shrink

FINEST_VOXEL_MM = 1.4
"""In-plane voxel of the finest level, if the image is not coarser; each coarser one is twice as large."""
SQUARINGS = 4
FINAL_SQUARINGS = 7


@dataclass(frozen=True)
class Regularity:
    """How far a velocity may go from rest and from smooth; lengths in voxels of the level, the same at every one.

    Attributes:
        sigma: of the Gaussian low-pass in-plane; through it the same distance in mm.
        smoothness: weight of the mean squared gradient of the velocity.
        magnitude: weight of the mean squared velocity, gamma of eq. (5).
        learning_rate: of Adam's first step, falling to a tenth by half a cosine.
    """

    sigma: float
    smoothness: float
    magnitude: float
    learning_rate: float


@dataclass(frozen=True)
class Schedule:
    """How the levels are gone through.

    Attributes:
        coarse: at all levels but the finest.
        finest: at the finest.
        shares: iterations of each level, finest first, as shares of the option `iterations`; levels beyond have
            the last one.
    """

    coarse: Regularity
    finest: Regularity
    shares: tuple[float, ...]

    def iterations(self, levels: int, base: int) -> list[int]:
        """Iterations of each level, coarsest first; at least one where the share is not zero."""
        shares = [self.shares[min(level, len(self.shares) - 1)] for level in reversed(range(levels))]
        return [max(1, round(share * base)) if share else 0 for share in shares]


ANY_MOTION = Schedule(
    coarse=Regularity(sigma=2.0, smoothness=0.2, magnitude=0.0, learning_rate=0.2),
    finest=Regularity(sigma=2.5, smoothness=0.4, magnitude=0.0, learning_rate=0.15),
    shares=(2 / 3, 4 / 3, 2.0, 1.0),
)
"""For frames any time apart. The coarse levels travel; the finest, on pixels of the image, only aligns."""

_HELD = Regularity(sigma=3.0, smoothness=4.0, magnitude=0.35, learning_rate=0.1)
SMALL_MOTION = Schedule(coarse=_HELD, finest=_HELD, shares=(0.0, 1.0))
"""For frames that follow each other. Motion of a voxel or less has to be told from noise and from flow, and the
errors add up along a chain: stronger regularity, and nothing from the finest level. Its weights are those with
which chains on phantoms stay closest to the truth (`benchmarks/chain_regularity.py`)."""


@dataclass(frozen=True)
class Level:
    """One level of the pyramid of one set of images."""

    images: Tensor
    """(N, 1, *S)."""
    spacing: tuple[float, ...]
    """Per axis, in mm."""


def build_pyramid(images: Tensor, spacing: Sequence[float], levels: int) -> list[Level]:
    """Pyramid of images (N, *S), coarsest level first; spacing in mm in the order of the axes."""
    pyramid = []
    for level in reversed(range(levels)):
        shape = level_shape(images.shape[1:], spacing, FINEST_VOXEL_MM * 2**level)
        sizes = [s * n / m for s, n, m in zip(spacing, images.shape[1:], shape, strict=True)]
        pyramid.append(Level(shrink(images[:, None], shape), tuple(sizes)))
    return pyramid


def _sigmas(level: Level, sigma: float) -> list[float]:
    in_plane = level.spacing[-1]
    return [sigma * in_plane / s for s in level.spacing]


def fit_level(
    fixed: Level,
    moving: Level,
    start: Tensor | None,
    *,
    loss: ImageLoss,
    iterations: int,
    bidirectional: bool = True,
    regularity: Regularity,
    after_step: Callable[[], None] = lambda: None,
) -> Tensor:
    """Velocity (N, D, *S) in voxels of this level that carries the moving images onto the fixed ones.

    Args:
        fixed: images of this level.
        moving: as many, or one for all.
        start: velocity of any level to start from, None for zero.
        loss: similarity of images.
        iterations: Adam steps.
        bidirectional: compare in both directions.
        regularity: weights and step.
        after_step: called after every Adam step.
    """
    images = fixed.images
    n, shape = images.shape[0], images.shape[2:]
    moving_images = moving.images.expand_as(images)
    taper = border_window(shape, fixed.spacing, like=images)
    sigmas = _sigmas(fixed, regularity.sigma)
    begin = images.new_zeros(n, len(shape), *shape) if start is None else resample(start, shape)
    raw = torch.zeros_like(begin, requires_grad=True)
    adam = torch.optim.Adam([raw], lr=regularity.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        adam, lambda i: 0.1 + 0.45 * (1 + math.cos(math.pi * i / iterations))
    )
    sources = torch.cat([moving_images, images]) if bidirectional else moving_images
    targets = torch.cat([images, moving_images]) if bidirectional else images
    for _ in range(iterations):
        velocity = gaussian_smooth(begin + raw, sigmas) * taper
        both = torch.cat([velocity, -velocity]) if bidirectional else velocity
        warped = warp(sources, exponential(both, steps=SQUARINGS))
        total = loss(warped, targets).sum()
        roughness = gradient_smoothness(velocity, fixed.spacing, reduction="none").sum()
        total = total + regularity.smoothness * roughness
        if regularity.magnitude:
            total = total + regularity.magnitude * displacement_magnitude(velocity, reduction="none").sum()
        adam.zero_grad()
        total.backward()
        adam.step()
        schedule.step()
        after_step()
    return gaussian_smooth(begin + raw.detach(), sigmas) * taper


def fit_pyramid(
    fixed: Sequence[Level],
    moving: Sequence[Level],
    *,
    loss: ImageLoss,
    iterations: int,
    bidirectional: bool = True,
    schedule: Schedule = ANY_MOTION,
    start: Tensor | None = None,
    progress: Callable[[float], None] = lambda _fraction: None,
) -> Tensor:
    """Velocity (N, D, *s) from the coarsest level to the finest that the schedule goes to; see `fit_level`.

    Args:
        fixed: levels, coarsest first.
        moving: likewise.
        loss: similarity of images.
        iterations: Adam steps, of which each level has its share.
        bidirectional: compare in both directions.
        schedule: shares and regularity.
        start: velocity to start from, on any grid.
        progress: called with the fraction done after every step, so that it can stop a long computation.
    """
    velocity = start
    steps = schedule.iterations(len(fixed), iterations)
    if not any(steps):
        steps[-1] = iterations
    taken = itertools.count(1)
    for level, (one, other, count) in enumerate(zip(fixed, moving, steps, strict=True)):
        if count:
            velocity = fit_level(
                one,
                other,
                velocity,
                loss=loss,
                iterations=count,
                bidirectional=bidirectional,
                regularity=schedule.finest if level == len(fixed) - 1 else schedule.coarse,
                after_step=lambda: progress(next(taken) / sum(steps)),
            )
    if velocity is None:
        raise ValueError("expected at least one level")
    return velocity


def _both_ways(velocity: Tensor) -> tuple[Tensor, Tensor]:
    """exp(v) and exp(-v); a fixed number of squarings, so that no pair depends on the others of its batch."""
    return exponential(velocity, steps=FINAL_SQUARINGS), exponential(-velocity, steps=FINAL_SQUARINGS)


def integrate(velocity: Tensor, shape: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Forward and backward displacement on the image's grid, exp(v) and exp(-v), free of folds.

    Args:
        velocity: (N, D, *s) in voxels of its own grid.
        shape: of the image, over the same extent.

    Returns:
        Two fields (N, D, *shape) in voxels. A pair whose discrete field folds anyway (see
        `fields.smallest_corner_jacobian`) has its velocity reduced until it does not.
    """
    fine = resample(velocity, shape).clone()
    forward, backward = _both_ways(fine)
    while True:
        smallest = torch.minimum(
            smallest_corner_jacobian(forward).flatten(1).amin(dim=1),
            smallest_corner_jacobian(backward).flatten(1).amin(dim=1),
        )
        folded = torch.nonzero(smallest <= 0).flatten()
        if len(folded) == 0:
            return forward, backward
        # Ends, since a field that is small enough cannot fold.
        fine[folded] = REDUCTION * fine[folded]
        forward[folded], backward[folded] = _both_ways(fine[folded])
