"""Registration as in the paper: a network optimised from scratch for every pair of images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from cardiac_motion.fields import smallest_corner_jacobian, warp
from cardiac_motion.losses import displacement_magnitude, inverse_consistency
from cardiac_motion.networks.recursive import RecursiveNetwork, canonical_units
from cardiac_motion.registration.recursive.objective import ImageLoss
from cardiac_motion.registration.recursive.pyramid import REDUCTION, border_window, level_shape, shrink

LEARNING_RATE = 5e-4
MAGNITUDE_WEIGHT = 5.0
"""lambda of gamma = lambda / K."""


def fit_network(
    fixed: Tensor,
    moving: Tensor,
    spacing: Sequence[float],
    *,
    loss: ImageLoss,
    levels: int,
    iterations: int,
    bidirectional: bool,
    seed: int,
    progress: Callable[[float], None],
    hold_border: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Forward and backward displacement (1, D, *S) in voxels of one pair of images (*S).

    Minimises eq. (5), or eq. (4) forward only, summed over the levels, each term a mean over voxels, with alpha =
    1 / K, gamma = 5 / K and displacements in the canonical range from -1 to 1, by Adam with steps of 5e-4.

    Args:
        fixed: image (*S), intensities from 0 to 1.
        moving: image of the same shape.
        spacing: in mm in the order of the axes; slices far apart are not reduced by the pyramid.
        loss: L1 of eq. (5).
        levels: K.
        iterations: Adam steps, 800 in the paper.
        bidirectional: eq. (5) or eq. (4).
        seed: of the first weights.
        progress: called with the fraction done.
        hold_border: nothing moves at the in-plane borders of the image, which the paper does not ask for: for a
            region that has to fit into a larger image that is still.

    Returns:
        Fields free of folds: where the discrete field of a level folds in spite of its smooth velocity, all
        velocities are reduced until it does not.
    """
    smallest = min(spacing)
    shapes = [level_shape(fixed.shape, spacing, smallest * 2**level) for level in reversed(range(levels))]
    targets = [shrink(fixed[None, None], shape) for shape in shapes]
    sources = [shrink(moving[None, None], shape) for shape in shapes]
    windows = None
    if hold_border:
        sizes = [[s * n / m for s, n, m in zip(spacing, fixed.shape, shape, strict=True)] for shape in shapes]
        windows = [border_window(shape, size, like=fixed) for shape, size in zip(shapes, sizes, strict=True)]
    alpha, gamma = 1 / levels, MAGNITUDE_WEIGHT / levels

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = RecursiveNetwork(fixed.ndim, bidirectional=bidirectional).to(fixed)
    adam = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    for iteration in range(iterations):
        total = fixed.new_zeros(())
        for fields, target, source in zip(network(shapes, windows), targets, sources, strict=True):
            units = canonical_units(target.shape[2:], like=target).flatten().tolist()
            forward, backward = fields.forward, fields.backward
            total = total + loss(warp(source, forward), target).sum()
            total = total + gamma * displacement_magnitude(forward, units)
            if backward is not None:
                total = total + loss(warp(target, backward), source).sum()
                total = total + gamma * displacement_magnitude(backward, units)
                total = total + alpha * inverse_consistency(forward, backward, units)
        adam.zero_grad()
        total.backward()
        adam.step()
        if iteration % 10 == 0:
            progress(iteration / iterations)
    with torch.no_grad():
        while True:
            finest = network(shapes, windows)[-1]
            both = [field for field in (finest.forward, finest.backward) if field is not None]
            if all(bool((smallest_corner_jacobian(field) > 0).all()) for field in both):
                return finest.forward, finest.backward
            network.gain *= REDUCTION
