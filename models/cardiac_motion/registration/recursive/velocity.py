"""Registration by a pyramid of stationary velocity fields, optimised directly, many pairs in one batch.

The same scheme as the paper's, with the network taken out: from the coarsest level to the finest, the velocity is
upsampled, low-passed by a Gaussian and exponentiated, and images are compared in both directions. One velocity
serves both, exp(v) and exp(-v), so that they are each other's inverse by construction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
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
from cardiac_motion.registration.recursive.pyramid import level_shape, shrink

FINEST_VOXEL_MM = 2.75
"""In-plane voxel of the finest level; each coarser one is twice as large."""
SQUARINGS = 4
FINAL_SQUARINGS = 7
REDUCTION = 0.9
_TAPER_MM = 11.0


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


ANY_MOTION = Regularity(sigma=2.5, smoothness=0.05, magnitude=0.0, learning_rate=0.15)
"""For frames any time apart."""
SMALL_MOTION = Regularity(sigma=3.0, smoothness=0.5, magnitude=0.5, learning_rate=0.03)
"""For frames that follow each other. Motion of a voxel or less has to be told from noise and from flow, and the
errors add up along a chain."""


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


def _taper(level: Level) -> Tensor:
    """A window (1, 1, *S), 1 inside and falling to 0 at the in-plane borders: nothing moves across them."""
    images = level.images
    window = images.new_ones(1)
    for axis in range(2, images.ndim):
        n, spacing = images.shape[axis], level.spacing[axis - 2]
        if images.ndim == 5 and axis == 2:
            ramp = images.new_ones(n)
        else:
            place = torch.arange(n, dtype=images.dtype, device=images.device)
            ramp = (torch.minimum(place, n - 1 - place) * spacing / _TAPER_MM).clamp(0, 1)
        window = window.unsqueeze(-1) * ramp
    return window[None]


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
    regularity: Regularity = ANY_MOTION,
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
    """
    images = fixed.images
    n, shape = images.shape[0], images.shape[2:]
    moving_images = moving.images.expand_as(images)
    taper, sigmas = _taper(fixed), _sigmas(fixed, regularity.sigma)
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
    return gaussian_smooth(begin + raw.detach(), sigmas) * taper


def fit_pyramid(
    fixed: Sequence[Level],
    moving: Sequence[Level],
    *,
    loss: ImageLoss,
    iterations: Sequence[int],
    bidirectional: bool = True,
    regularity: Regularity = ANY_MOTION,
    start: Tensor | None = None,
) -> Tensor:
    """Velocity at the finest level, from the coarsest to the finest; see `fit_level`."""
    velocity = start
    for one, other, steps in zip(fixed, moving, iterations, strict=True):
        if steps:
            velocity = fit_level(
                one,
                other,
                velocity,
                loss=loss,
                iterations=steps,
                bidirectional=bidirectional,
                regularity=regularity,
            )
    if velocity is None:
        raise ValueError("expected at least one level with iterations")
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
