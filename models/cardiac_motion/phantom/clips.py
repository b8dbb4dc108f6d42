"""Short clips of single slices with their labels, of hearts more varied than patients' are, to train on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from cardiac_motion.errors import InputError
from cardiac_motion.labels import Label
from cardiac_motion.phantom.artefacts import add_ghosts, add_noise, draw_artefacts, sensitivity
from cardiac_motion.phantom.contraction import OutOfReachError
from cardiac_motion.phantom.flow import draw_flow
from cardiac_motion.phantom.model import Phantom, draw_phantom
from cardiac_motion.phantom.options import AppearanceOptions, PhantomOptions, stream
from cardiac_motion.phantom.render import render_slice
from cardiac_motion.phantom.threads import one_thread
from cardiac_motion.phantom.tissues import draw_contrast
from cardiac_motion.phantom.views import LONG_AXIS_VIEWS, View, ViewName, long_axis_view, short_axis_view

PER_HEART = 4
"""Slices that are taken of one phantom, each with its own phases, contrast and artefacts."""
SAMPLES = 3
"""Points through the thickness of a slice."""
PIXEL_MM = 1.4
VIEWS: tuple[ViewName, ...] = ("sax", *LONG_AXIS_VIEWS)
_SHORT_AXIS_HAS = (Label.RV, Label.MYO, Label.LV)


@dataclass(frozen=True)
class Clips:
    """N clips of T frames of single slices.

    Attributes:
        images: (N, T, Y, X), uint8, each clip from 0 to 255 between its own 1st and 99.5th percentile.
        labels: (N, T, Y, X), uint8; of short-axis slices RV, MYO and LV alone.
        views: (N,), uint8, index into `VIEWS`.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
    views: npt.NDArray[np.uint8]


@one_thread()
def draw_clips(
    seed: int,
    count: int,
    *,
    size: int = 160,
    frames: int = 2,
    step: float | None = None,
    views: tuple[ViewName, ...] = ("sax",),
    random_contrast: float = 0.3,
    varied: bool = True,
    samples: int = SAMPLES,
) -> Clips:
    """Draw clips; the same seed and arguments give the same clips. Pixels are of 1.4 mm.

    Args:
        seed: from 0 up. Training takes seeds from TRAINING_SEEDS_START up, apart from all others.
        count: number of clips, N.
        size: pixels a side.
        frames: of a clip, T.
        step: from frame to frame of a clip, as a share of the cycle; None draws each phase for itself, the first
            at end-diastole in a third, the others in systole mostly.
        views: each with the same probability.
        random_contrast: share of clips in which any tissue has any signal; the others are bSSFP-like.
        varied: hearts, and contrasts, far more varied than patients' are, instead of patients'.
        samples: points through the thickness of a slice, odd.

    Raises:
        InputError: nothing to draw, or slices too small to hold a heart.
    """
    if count < 1 or frames < 1 or size < 32 or not views:
        raise InputError(
            f"expected at least 1 clip of 1 frame of 32 pixels a side and 1 view, got {count}, {frames}, {size}, "
            f"{len(views)}"
        )
    rng = stream(seed, "clips")
    drawn: list[tuple[npt.NDArray[np.generic], ...]] = []
    while len(drawn) < count:
        options = PhantomOptions(
            matrix=(size, size),
            pixel_spacing=PIXEL_MM,
            ejection_fraction=float(rng.uniform(0.15, 0.75)),
            varied=varied,
        )
        try:
            phantom = draw_phantom(int(rng.integers(2**31)), options)
        except OutOfReachError:
            continue  # a thick heart that hardly moves its wall, asked for too much
        for _ in range(min(PER_HEART, count - len(drawn))):
            name = views[int(rng.integers(len(views)))]
            view = short_axis_view(phantom, options) if name == "sax" else long_axis_view(phantom, options, name)
            phases = _phases(phantom, rng, frames, step)
            drawn.append(_draw(phantom, view, rng, phases, random_contrast, varied, samples))
    images, labels, indices = zip(*drawn, strict=True)
    return Clips(np.stack(images), np.stack(labels), np.stack(indices))


def _phases(phantom: Phantom, rng: np.random.Generator, frames: int, step: float | None) -> list[float]:
    """Phases of a clip. Contracted hearts are the hard ones, and half of a cycle is diastole."""
    systole = phantom.cycle.end_systole
    first = 0.0 if rng.random() < 1 / 3 else float(rng.uniform(0, 1))
    if step is not None:
        if rng.random() < 0.5:
            first = systole + float(rng.normal(0, 0.08))
        return [(first + k * step) % 1 for k in range(frames)]
    others = [
        (systole + float(rng.normal(0, 0.08))) % 1 if rng.random() < 0.7 else float(rng.uniform(0, 1))
        for _ in range(frames - 1)
    ]
    return [first, *others]


def _draw(
    phantom: Phantom,
    view: View,
    rng: np.random.Generator,
    phases: list[float],
    random_contrast: float,
    varied: bool,
    samples: int,
) -> tuple[npt.NDArray[np.generic], ...]:
    """Images, labels and view of one clip."""
    random = bool(rng.random() < random_contrast)
    contrast = draw_contrast(rng, random=random, texture=rng.random() < 0.9, wide=varied)
    phantom = replace(phantom, contrast=contrast)
    artefacts = draw_artefacts(int(rng.integers(2**31)), view, len(phases), AppearanceOptions())
    flow = draw_flow(rng) if rng.random() < 0.7 else None
    last = view.shape[0] - 1
    k = int(np.clip(round(rng.uniform(-0.05, 1.05) * last), 0, last))
    # The heart lies anywhere in the picture, as it does in the crops of real images.
    reach = 0.12 * view.shape[1] * view.spacing[1]
    shift = (float(rng.uniform(-reach, reach)), float(rng.uniform(-reach, reach)))
    rendered = render_slice(phantom, view, k, phases, shift=shift, samples=samples, flow=flow, motion=False)
    frames = add_ghosts(rendered.frames * sensitivity(phantom, view, k, artefacts), artefacts).clamp_min(0)
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    images = add_noise(frames, artefacts.noise * float(rng.uniform(0, 2)), generator).numpy()
    low, high = np.percentile(images, (1, 99.5))
    images = np.clip((images - low) / max(float(high - low), 1e-6), 0, 1)
    labels = rendered.labels.numpy()
    if view.name == "sax":
        labels = np.where(np.isin(labels, _SHORT_AXIS_HAS), labels, 0).astype(np.uint8)
    return np.round(images * 255).astype(np.uint8), labels, np.array(VIEWS.index(view.name), dtype=np.uint8)
