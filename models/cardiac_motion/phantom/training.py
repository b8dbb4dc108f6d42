"""Pairs of two-dimensional slices with known motion, fast enough to train on as they are drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from cardiac_motion.errors import InputError
from cardiac_motion.phantom.artefacts import add_ghosts, add_noise, draw_artefacts, sensitivity
from cardiac_motion.phantom.flow import draw_flow
from cardiac_motion.phantom.model import Phantom, draw_phantom
from cardiac_motion.phantom.options import AppearanceOptions, PhantomOptions, stream
from cardiac_motion.phantom.render import render_slice
from cardiac_motion.phantom.threads import one_thread
from cardiac_motion.phantom.tissues import draw_contrast
from cardiac_motion.phantom.views import View, short_axis_view

PER_HEART = 4
"""Slices that are taken of one phantom, each with its own phases, contrast and artefacts."""
SAMPLES = 3
"""Points through the thickness of a slice."""


@dataclass(frozen=True)
class TrainingSlices:
    """N pairs of frames of single short-axis slices.

    Attributes:
        images: (N, 2, Y, X), float32, each pair scaled to 0 to 1 by its own 1st and 99th percentile.
        labels: (N, 2, Y, X), uint8.
        second_to_first: (N, 2, Y, X), float32, mm, components (y, x): at each pixel of the second frame the way
            to the matching point in the first; it warps the first frame and its labels into the second.
        first_to_second: the same from the first to the second frame.
        through_plane: (N, Y, X), float32, mm, the part of second_to_first along the slice normal, which no
            in-plane displacement accounts for.
        spacing: (N, 2), mm, (y, x).
    """

    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.uint8]
    second_to_first: npt.NDArray[np.float32]
    first_to_second: npt.NDArray[np.float32]
    through_plane: npt.NDArray[np.float32]
    spacing: npt.NDArray[np.float32]


@one_thread()
def training_slices(
    seed: int,
    count: int,
    *,
    size: int = 128,
    random_contrast: bool | None = None,
    through_plane: bool = True,
    samples: int = SAMPLES,
) -> TrainingSlices:
    """Draw two-frame slices; the same seed and arguments give the same slices.

    The first frame is end-diastole in half of the pairs and any phase in the others; the second is any phase.

    Args:
        seed: from 0 up. Training takes seeds from TRAINING_SEEDS_START up, apart from all others.
        count: number of slices, N.
        size: pixels a side.
        random_contrast: every tissue with any signal (True), bSSFP-like (False), or half of each (None).
        through_plane: whether points may leave the slice; False gives motion in the plane alone.
        samples: points through the thickness of a slice, odd.

    Raises:
        InputError: nothing to draw, or slices too small to hold a heart.
    """
    if count < 1 or size < 32:
        raise InputError(f"expected at least 1 slice of at least 32 pixels a side, got {count} of {size}")
    rng = stream(seed, "training")
    drawn: list[tuple[npt.NDArray[np.generic], ...]] = []
    while len(drawn) < count:
        contrast = bool(rng.random() < 0.5) if random_contrast is None else random_contrast
        options = PhantomOptions(
            matrix=(size, size),
            # Keeps the field of view at the size of a usual crop whatever the number of pixels.
            pixel_spacing=float(rng.uniform(1.25, 1.65)) * 128 / size,
            through_plane=through_plane,
            appearance=AppearanceOptions(random_contrast=contrast),
        )
        phantom = draw_phantom(int(rng.integers(2**31)), options)
        view = short_axis_view(phantom, options)
        taken = min(PER_HEART, count - len(drawn))
        drawn.extend(_draw_slice(phantom, view, options, rng, samples) for _ in range(taken))
    columns = list(zip(*drawn, strict=True))
    return TrainingSlices(*(np.stack(column) for column in columns))


def _draw_slice(
    phantom: Phantom, view: View, options: PhantomOptions, rng: np.random.Generator, samples: int
) -> tuple[npt.NDArray[np.generic], ...]:
    """The fields of `TrainingSlices` for one slice."""
    appearance = options.appearance
    phantom = replace(
        phantom, contrast=draw_contrast(rng, random=appearance.random_contrast, texture=rng.random() < 0.9)
    )
    artefacts = draw_artefacts(int(rng.integers(2**31)), view, 2, appearance)
    flow = draw_flow(rng) if rng.random() < 0.7 else None
    # Slices beyond apex and base are kept, but fewer of them.
    k = int(np.clip(round(rng.normal(0.5, 0.27) * (view.shape[0] - 1)), 0, view.shape[0] - 1))
    second = float(rng.uniform(0.1, 0.9))
    first = 0.0 if rng.random() < 0.5 else float(rng.uniform(0, 1))
    shift = (float(artefacts.shifts[k, 0]), float(artefacts.shifts[k, 1]))
    rendered = render_slice(
        phantom, view, k, [first, second], shift=shift, samples=samples, flow=flow, motion=False
    )
    pull, push = pair_motion(phantom, view, k, (first, second), shift)
    frames = add_ghosts(rendered.frames * sensitivity(phantom, view, k, artefacts), artefacts).clamp_min(0)
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    images = add_noise(frames, artefacts.noise * float(rng.uniform(0, 2)), generator).numpy()
    low, high = np.percentile(images, (1, 99))
    images = np.clip((images - low) / max(float(high - low), 1e-6), 0, 1).astype(np.float32)
    spacing = np.array(view.spacing[1:], dtype=np.float32)
    return images, rendered.labels.numpy(), pull[1:], push[1:], pull[0], spacing


def pair_motion(
    phantom: Phantom, view: View, slice_index: int, phases: tuple[float, float], shift: tuple[float, float]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Displacements between two phases at the pixels of a slice: from the second to the first, and back.

    Each (3, Y, X), mm, components (z, y, x) along the array axes: the way through the material and out again.
    """
    x, y, z = (p[0] for p in view.points(slice_index, shift=shift, offsets=(0.0,)))
    canonical = (*phantom.shape.to_canonical(x, y, z), z)
    moves = phantom.deformation(0.0).moves(canonical[0], canonical[1])
    start = (x[moves], y[moves], z[moves])
    inside = (canonical[0][moves], canonical[1][moves], canonical[2][moves])
    fields = []
    for origin, target in (phases[::-1], phases):
        moved = phantom.deformation(target).forward(phantom.deformation(origin).inverse(inside))
        mx, my = phantom.shape.from_canonical(*moved)
        field = torch.zeros(3, *x.shape)
        field[:, moves] = view.components((mx - start[0], my - start[1], moved[2] - start[2]))
        fields.append(field.numpy())
    return fields[0], fields[1]
