"""What happens between the tissue and the stored image: sensitivity, ghosts, noise, shifts, wrong triggers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cardiac_motion.phantom.model import Phantom
from cardiac_motion.phantom.options import AppearanceOptions, stream
from cardiac_motion.phantom.views import View


@dataclass(frozen=True)
class Artefacts:
    """Drawn artefacts of one view.

    Attributes:
        gradient: (3,) of the log sensitivity along (right, anterior, superior), per mm.
        curvature: of the log sensitivity with the squared distance from the heart, per mm^2.
        ghost: amplitude of each of the two ghosts; 0 for none.
        ghost_axis: phase-encoding axis, 0 (y) or 1 (x).
        ghost_shift: distance of the ghosts, as a share of the field of view.
        noise: standard deviation in either channel, relative to blood; 0 for none.
        shifts: (Z, 2) mm, (y, x), by which each slice's anatomy appears displaced.
        jitter: (T, Z) phases by which each frame of each slice was mistriggered; 0 for most, and in frame 0.
        scale: stored value of blood.
    """

    gradient: tuple[float, float, float]
    curvature: float
    ghost: float
    ghost_axis: int
    ghost_shift: float
    noise: float
    shifts: npt.NDArray[np.float64]
    jitter: npt.NDArray[np.float64]
    scale: float


def draw_artefacts(seed: int, view: View, frames: int, options: AppearanceOptions) -> Artefacts:
    """Draw artefacts; those that are switched off are nought, and change nothing about the others."""

    def rng(name: str) -> np.random.Generator:
        return stream(seed, f"{view.name} {name}")

    slices = view.shape[0]
    bias = rng("bias")
    gradient = bias.normal((0.0, 0.0055, 0.0), (0.0015, 0.0020, 0.0015))
    curvature = float(bias.uniform(-3e-5, 0))
    if not options.bias_field:
        gradient, curvature = np.zeros(3), 0.0
    ghost = rng("ghost")
    amplitude, axis, distance = (
        float(ghost.uniform(0.02, 0.10)),
        int(ghost.integers(2)),
        float(ghost.uniform(0.2, 0.5)),
    )
    shifts = rng("shifts").normal(0, 1.3, (slices, 2)).clip(-4, 4)
    triggers = rng("triggers")
    wrong = triggers.random((frames, slices)) < 0.025
    jitter = triggers.choice((-2, -1, 1, 2), (frames, slices)) / frames * wrong
    jitter[0] = 0
    return Artefacts(
        gradient=(float(gradient[0]), float(gradient[1]), float(gradient[2])),
        curvature=curvature,
        ghost=amplitude if options.ghosting else 0.0,
        ghost_axis=axis,
        ghost_shift=distance,
        noise=float(rng("noise").uniform(0.008, 0.028)) if options.noise else 0.0,
        shifts=shifts if options.breath_hold_shifts and slices > 1 else np.zeros((slices, 2)),
        jitter=jitter if options.mistriggering else np.zeros((frames, slices)),
        scale=float(rng("scale").uniform(150, 600)),
    )


def sensitivity(phantom: Phantom, view: View, slice_index: int, artefacts: Artefacts) -> Tensor:
    """Coil sensitivity over a slice, (Y, X), 1 in the middle of the left ventricle; it does not move."""
    x, y, z = (p[0] for p in view.points(slice_index, shift=(0.0, 0.0), offsets=(0.0,)))
    right, anterior, superior = phantom.to_body((x, y, z))
    a, b, c = artefacts.gradient
    square = right * right + anterior * anterior + superior * superior
    return torch.exp((a * right + b * anterior + c * superior + artefacts.curvature * square).clamp(-2.5, 1.3))


def add_ghosts(frames: Tensor, artefacts: Artefacts) -> Tensor:
    """Ghosts of what moves, (T, Y, X): its deviation from the mean over time, displaced both ways."""
    if artefacts.ghost == 0:
        return frames
    axis = artefacts.ghost_axis - 2
    distance = round(artefacts.ghost_shift * frames.shape[axis])
    moving = (frames - frames.mean(dim=0)) * artefacts.ghost
    return frames + moving.roll(distance, dims=axis) - moving.roll(-distance, dims=axis)


def add_noise(frames: Tensor, sigma: float, generator: torch.Generator) -> Tensor:
    """Rician noise: the magnitude of a signal with Gaussian noise of this sigma in both channels."""
    if sigma == 0:
        return frames
    real = frames + sigma * torch.randn(frames.shape, generator=generator)
    return torch.hypot(real, sigma * torch.randn(frames.shape, generator=generator))
