"""Registration of a whole cine with one of its frames, each frame started from its neighbour in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cardiac_motion.registration.base import Progress
from cardiac_motion.registration.recursive.layout import as_images, as_stack
from cardiac_motion.registration.recursive.objective import image_loss
from cardiac_motion.registration.recursive.options import ResolvedOptions
from cardiac_motion.registration.recursive.velocity import (
    ANY_MOTION,
    SMALL_MOTION,
    Level,
    build_pyramid,
    fit_pyramid,
    integrate,
)

FOLLOWING = replace(ANY_MOTION, shares=(1 / 3, 2 / 3, 2 / 3, 1 / 3))
"""For a frame that starts from its neighbour's velocity, which leaves little way to go."""


def outward(frames: int, reference: int) -> list[tuple[int, ...]]:
    """Frames in the order of their distance from the reference along the cycle, those of one distance together.

    Of 5 frames with reference 0: (1, 4), (2, 3).
    """
    stages: list[tuple[int, ...]] = []
    for distance in range(1, frames // 2 + 1):
        after, before = (reference + distance) % frames, (reference - distance) % frames
        stages.append((after,) if after == before else (after, before))
    return stages


def _select(pyramid: Sequence[Level], frames: Sequence[int], per_frame: int) -> list[Level]:
    """The images of some frames, from levels whose images go frame by frame."""
    index = torch.cat([torch.arange(f * per_frame, (f + 1) * per_frame) for f in frames])
    return [Level(level.images[index], level.spacing) for level in pyramid]


def register_sequence(
    images: Tensor,
    reference: int,
    spacing: tuple[float, float, float],
    options: ResolvedOptions,
    progress: Progress,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Displacements from every frame to the reference and back: two (T, 3, Z, Y, X) in mm.

    Every frame is registered with the reference itself, so that errors do not add up along the cycle; its
    velocity starts from that of the frame next to it, on the side of the reference. All slices, and the two
    frames at the same distance before and after the reference, are one batch.

    Args:
        images: (T, Z, Y, X), from 0 to 1.
        reference: frame.
        spacing: (z, y, x) in mm.
        options: of the model.
        progress: called after every step.
    """
    frames = images.shape[0]
    stack = as_images(images, options.dimensions)
    per_frame = len(stack) // frames
    pyramid = build_pyramid(stack, spacing[-options.dimensions :], options.levels)
    loss = image_loss(options.similarity, robust=True)
    shape = stack.shape[1:]

    result = [np.zeros((frames, 3, *images.shape[1:]), dtype=np.float32) for _ in range(2)]
    neighbours: Tensor | None = None
    stages = outward(frames, reference)
    for done, stage in enumerate(stages):
        registered = f"{2 * done} of {frames - 1} frames registered"
        start = None if neighbours is None else neighbours[: len(stage) * per_frame]
        schedule = ANY_MOTION if start is None else FOLLOWING
        neighbours = fit_pyramid(
            _select(pyramid, stage, per_frame),
            _select(pyramid, [reference] * len(stage), per_frame),
            loss=loss,
            iterations=options.iterations,
            bidirectional=options.bidirectional,
            schedule=SMALL_MOTION if options.small_motion else schedule,
            start=start,
            progress=lambda share, done=done, registered=registered: progress(  # type: ignore[misc]
                (done + share) / len(stages), registered
            ),
        )
        for side, fields in zip(result, integrate(neighbours, shape), strict=True):
            side[list(stage)] = as_stack(fields, len(stage), spacing)
    progress(1.0, f"{frames - 1} of {frames - 1} frames registered")
    return result[0], result[1]
