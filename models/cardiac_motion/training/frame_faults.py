"""Single frames of clips that were acquired badly: ghosted by motion, or filled from other heartbeats.

A cine frame is put together from lines of k-space of several heartbeats. Where the heart or the chest lay
elsewhere when a line was taken, the image has ghosts along its phase-encoding axis; where a beat was taken for
another phase (a wrong trigger, an arrhythmia), lines of another frame are among its own.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as nn_functional

LARGEST_SHIFT = 6.0
"""Pixels by which lines of a ghosted frame are displaced."""
LARGEST_MIX = 0.5
"""Share of the lines of a mistriggered frame that are another's."""
SCALE = 1.25
"""Largest factor by which the heart of another phase is smaller or larger."""


def spoil_frames(images: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Spoil one frame in a share of clips, the middle one in half of them.

    Args:
        images: (B, T, Y, X).
        share: of the clips, 0 to 1.
        generator: to draw with, on the CPU.

    Returns:
        Images of the same shape; clips that are not spoilt are the same.
    """
    result = images.clone()
    clips, frames = images.shape[:2]
    for clip in range(clips):
        chosen, middle, kind = torch.rand(3, generator=generator).tolist()
        other = int(torch.randint(frames, (1,), generator=generator))
        if chosen >= share:
            continue
        t = frames // 2 if middle < 0.5 else other
        frame = images[clip, t]
        if kind < 0.5:
            result[clip, t] = ghosted(frame, generator)
        else:
            beat = resized(images[clip, (t + 1) % frames], generator)
            result[clip, t] = mistriggered(frame, beat, generator)
    return result


def ghosted(frame: Tensor, generator: torch.Generator) -> Tensor:
    """A frame (Y, X) whose lines were taken while everything moved to and fro along the phase-encoding axis."""
    axis, amplitude, periods, phase = _draw(4, generator)
    lines = frame.shape[0 if axis < 0.5 else 1]
    k = torch.fft.fftfreq(lines)
    order = torch.fft.fftshift(torch.arange(lines)).argsort() / lines  # when each line was taken
    way = amplitude * LARGEST_SHIFT * torch.sin(2 * math.pi * ((2 + 14 * periods) * order + phase))
    turn = torch.polar(torch.ones(lines), -2 * math.pi * k * way)
    spectrum = torch.fft.fft2(frame)
    return torch.fft.ifft2(spectrum * (turn[:, None] if axis < 0.5 else turn[None])).abs().to(frame.dtype)


def mistriggered(frame: Tensor, other: Tensor, generator: torch.Generator) -> Tensor:
    """A frame (Y, X) of which segments of lines were taken from another one."""
    axis, share, segments = _draw(3, generator)
    lines = frame.shape[0 if axis < 0.5 else 1]
    count = 3 + int(9 * segments)
    wrong = torch.rand(count, generator=generator) < LARGEST_MIX * (0.3 + 0.7 * share)
    taken = wrong[torch.arange(lines) % count]  # each heartbeat takes every so-many-th line
    mask = taken[:, None] if axis < 0.5 else taken[None]
    spectrum = torch.where(mask, torch.fft.fft2(other), torch.fft.fft2(frame))
    return torch.fft.ifft2(spectrum).abs().to(frame.dtype)


def resized(frame: Tensor, generator: torch.Generator) -> Tensor:
    """A frame (Y, X) that is smaller or larger about a place near its middle, as a heart of another phase is."""
    size, y, x = _draw(3, generator)
    scale = SCALE ** (2 * size - 1)
    centre = (torch.tensor([x, y]) - 0.5) * 0.4
    matrix = torch.tensor([[scale, 0.0, 0.0], [0.0, scale, 0.0]])
    matrix[:, 2] = centre * (1 - scale)
    grid = nn_functional.affine_grid(matrix[None], [1, 1, *frame.shape], align_corners=False)
    moved: Tensor = nn_functional.grid_sample(
        frame[None, None].float(), grid, padding_mode="border", align_corners=False
    )
    return moved[0, 0].to(frame.dtype)


def _draw(count: int, generator: torch.Generator) -> list[float]:
    return [float(value) for value in torch.rand(count, generator=generator)]
