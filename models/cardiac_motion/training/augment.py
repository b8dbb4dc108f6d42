"""What is done to synthetic slices on their way into a network, so that real ones fall within what it has seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as nn_functional


@dataclass(frozen=True)
class Augmentation:
    """How far each change goes; drawn for each clip anew, and all frames of a clip have the same.

    The clips of a batch share how fine their texture is and by how much their resolution is lowered.

    Attributes:
        size: pixels a side of what comes out.
        scale: largest factor of size, either way.
        stretch: largest ratio of the scales of both axes.
        bend: standard deviation of the knots of a smooth displacement, in pixels.
        gamma: standard deviation of the logarithm of the exponent of intensities.
        bias: standard deviation of the knots of the logarithm of a smooth sensitivity.
        texture: largest relative amplitude of a multiplicative texture.
        blur: largest standard deviation of a Gaussian, pixels.
        coarsen: largest factor by which the resolution is lowered.
        noise: largest standard deviation, of intensities from 0 to 1.
        elsewhere: share of clips that are cut from anywhere; the others within 12 pixels of the middle.
    """

    size: int = 128
    scale: float = 1.35
    stretch: float = 1.15
    bend: float = 2.5
    gamma: float = 0.3
    bias: float = 0.25
    texture: float = 0.25
    blur: float = 1.2
    coarsen: float = 2.2
    noise: float = 0.08
    elsewhere: float = 0.2


def augment(
    images: Tensor, labels: Tensor, options: Augmentation, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Change a batch of clips.

    Args:
        images: (B, T, Y, X), 0 to 1.
        labels: (B, T, Y, X), whole numbers.
        options: how far.
        generator: to draw with, on the CPU.

    Returns:
        Images (B, T, size, size), float32, each clip with mean 0 and standard deviation 1; labels likewise, int64.
    """
    grid = _grid(images, options, generator)
    images = nn_functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    labels = nn_functional.grid_sample(
        labels.to(images.dtype), grid, mode="nearest", padding_mode="zeros", align_corners=False
    )
    return standardise(_intensities(images, options, generator)), labels.round().long()


def standardise(images: Tensor) -> Tensor:
    """Each clip (B, T, Y, X), or image, to mean 0 and standard deviation 1, over all but the first axis."""
    axes = tuple(range(1, images.ndim))
    mean = images.mean(dim=axes, keepdim=True)
    return (images - mean) / images.std(dim=axes, keepdim=True).clamp_min(1e-4)


def _uniform(batch: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(batch, generator=generator)


def _smooth(
    batch: int, knots: int, shape: tuple[int, int], generator: torch.Generator, channels: int = 1
) -> Tensor:
    """Smooth random fields (B, channels, Y, X), of standard deviation 1 at their knots."""
    coarse = torch.randn(batch, channels, knots, knots, generator=generator)
    return nn_functional.interpolate(coarse, size=shape, mode="bicubic", align_corners=True)


def _grid(images: Tensor, options: Augmentation, generator: torch.Generator) -> Tensor:
    batch, _, height, width = images.shape
    size = options.size
    reach = math.log(options.scale)
    zoom = torch.exp(_uniform(batch, -reach, reach, generator))
    ratio = torch.exp(_uniform(batch, -1, 1, generator) * math.log(options.stretch) / 2)
    angle = _uniform(batch, -math.pi, math.pi, generator)
    mirror = torch.where(torch.rand(batch, generator=generator) < 0.5, -1.0, 1.0)
    turn = _uniform(batch, -math.pi, math.pi, generator)  # stretches along any axis

    def rotation(a: Tensor) -> Tensor:
        return torch.stack([torch.stack([a.cos(), -a.sin()], -1), torch.stack([a.sin(), a.cos()], -1)], -2)

    stretch = torch.diag_embed(torch.stack([zoom * ratio * mirror, zoom / ratio], -1))
    matrix = rotation(turn) @ stretch @ rotation(-turn) @ rotation(angle)
    line = torch.arange(size, dtype=images.dtype) - (size - 1) / 2
    pixels = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)  # (y, x, (x, y))
    pixels = torch.einsum("bij,yxj->byxi", matrix, pixels)
    bend = _smooth(batch, 7, (size, size), generator, 2) * options.bend
    pixels = pixels + bend.permute(0, 2, 3, 1) * torch.rand(batch, 1, 1, 1, generator=generator)
    # What lies at the middle: mostly what does in the input, near which the heart is; in some anything, as long as
    # the cut mostly stays within the picture.
    free = (torch.tensor([width, height], dtype=images.dtype) * 0.5 - 0.33 * size).clamp_min(0)
    far = torch.rand(batch, 1, generator=generator) < options.elsewhere
    offset = (torch.rand(batch, 2, generator=generator) * 2 - 1) * torch.where(far, free, free.clamp_max(12.0))
    pixels = pixels + offset[:, None, None]
    return pixels * 2 / torch.tensor([width, height], dtype=images.dtype)


def _intensities(images: Tensor, options: Augmentation, generator: torch.Generator) -> Tensor:
    batch, _, *plane = images.shape
    shape = (plane[0], plane[1])

    def amount(largest: float) -> Tensor:
        # Little mostly: the square of an even draw, and nothing at all in a third.
        drawn = torch.rand(batch, 1, 1, 1, generator=generator) ** 2 * largest
        return drawn * (torch.rand(batch, 1, 1, 1, generator=generator) < 2 / 3)

    exponent = torch.exp(torch.randn(batch, 1, 1, 1, generator=generator) * options.gamma)
    images = images.clamp(0, 1) ** exponent
    images = images * torch.exp(_smooth(batch, 4, shape, generator) * options.bias)
    knots = int(torch.randint(12, 48, (1,), generator=generator))
    images = images * (1 + _smooth(batch, knots, shape, generator) * amount(options.texture))
    images = _blurred(images, amount(options.blur))
    factor = float(_uniform(1, 1.0, options.coarsen, generator))
    if float(torch.rand(1, generator=generator)) < 0.5:
        small = [max(8, round(n / factor)) for n in shape]
        images = nn_functional.interpolate(images, size=small, mode="area")
        images = nn_functional.interpolate(images, size=shape, mode="bilinear", align_corners=False)
    images = images + torch.randn(images.shape, generator=generator) * amount(options.noise)
    # Bright things clipped, as windowed or 8-bit images have them.
    top = _uniform(batch, 0.7, 1.3, generator)[:, None, None, None]
    return images.clamp_min(0).minimum(top)


def _blurred(images: Tensor, sigma: Tensor) -> Tensor:
    """Each clip (B, T, Y, X) with its own Gaussian, sigma (B, 1, 1, 1) in pixels, 3 at most."""
    batch, frames, *_ = images.shape
    line = torch.arange(-4, 5, dtype=images.dtype)
    weights = torch.exp(-0.5 * (line / sigma.reshape(batch, 1).clamp_min(0.05)) ** 2)
    weights = (weights / weights.sum(1, keepdim=True)).repeat_interleave(frames, 0)
    flat = images.reshape(1, batch * frames, *images.shape[2:])
    for kernel, padding in ((weights[:, None, :, None], (4, 0)), (weights[:, None, None, :], (0, 4))):
        pad = (padding[1], padding[1], padding[0], padding[0])
        flat = nn_functional.conv2d(nn_functional.pad(flat, pad, mode="replicate"), kernel, groups=batch * frames)
    return flat.reshape(images.shape)
