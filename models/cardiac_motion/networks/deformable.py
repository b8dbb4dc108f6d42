"""Deformable convolution (Dai et al. 2017) in plain PyTorch: on any device, differentiable in everything."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as nn_functional


def deform_conv2d(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    padding: int = 0,
    dilation: int = 1,
) -> Tensor:
    """Convolution whose taps are moved at every place; stride 1.

    Values between pixels are bilinear, and zero beyond the image. With offsets of zero it is `conv2d`. Places are
    computed in single precision at least: half has steps of a sixteenth of a pixel at column 64.

    Args:
        x: (B, C, Y, X).
        offset: (B, 2 G S S, Y', X'), in pixels: for each of G groups of channels, for each tap of the kernel row
            by row, how far it is moved along y and x. torchvision's operator has the same layout.
        weight: (O, C, S, S).
        bias: (O,).
        padding: zeros around the image.
        dilation: distance of the taps.

    Returns:
        (B, O, Y', X') with Y' = Y + 2 padding - dilation (S - 1).

    Raises:
        ValueError: shapes that do not fit each other.
    """
    batch, channels, height, width = x.shape
    outputs, inputs, size, other = weight.shape
    reach = dilation * (size - 1)
    rows, columns = height + 2 * padding - reach, width + 2 * padding - reach
    taps = size * size
    groups = offset.shape[1] // (2 * taps)
    fits = inputs == channels and size == other and groups > 0 and channels % groups == 0
    if not fits or offset.shape != (batch, 2 * taps * groups, rows, columns):
        raise ValueError(
            f"expected a square kernel for {channels} channels and offsets ({batch}, G * {2 * taps}, {rows}, "
            f"{columns}), got weight {tuple(weight.shape)} and offsets {tuple(offset.shape)}"
        )
    exact = torch.promote_types(torch.promote_types(x.dtype, offset.dtype), torch.float32)
    steps = torch.arange(size, device=x.device, dtype=exact) * dilation - padding
    tap_y, tap_x = (each.reshape(1, 1, taps, 1, 1) for each in torch.meshgrid(steps, steps, indexing="ij"))
    place_y = torch.arange(rows, device=x.device, dtype=exact)[:, None]
    place_x = torch.arange(columns, device=x.device, dtype=exact)[None]
    moved = offset.to(exact).reshape(batch, groups, taps, 2, rows, columns)
    # grid_sample counts from -1 to 1 between the outer edges of the outermost pixels, of which there may be one.
    y = (2 * (moved[:, :, :, 0] + tap_y + place_y) + 1) / height - 1
    x_ = (2 * (moved[:, :, :, 1] + tap_x + place_x) + 1) / width - 1
    grid = torch.stack([x_, y], dim=-1).reshape(batch * groups, taps * rows, columns, 2)
    parts = x.to(exact).reshape(batch * groups, channels // groups, height, width)
    sampled = nn_functional.grid_sample(parts, grid, padding_mode="zeros", align_corners=False).to(x.dtype)
    sampled = sampled.reshape(batch, channels, taps, rows * columns).flatten(1, 2)
    result = (weight.reshape(outputs, channels * taps) @ sampled).reshape(batch, outputs, rows, columns)
    return result if bias is None else result + bias[:, None, None]


class DeformableConv(nn.Module):
    """A convolution that finds its own offsets, at first zero: (B, i, Y, X) -> (B, o, Y, X).

    Args:
        inputs: channels.
        outputs: channels.
        kernel: taps along each side, odd.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__()
        self.padding = kernel // 2
        self.offsets = nn.Conv2d(inputs, 2 * kernel * kernel, kernel, padding=self.padding)
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.offsets.bias)  # type: ignore[arg-type]
        plain = nn.Conv2d(inputs, outputs, kernel)
        self.weight, self.bias = plain.weight, plain.bias

    def forward(self, x: Tensor) -> Tensor:
        """The convolution at the places that the input asks for."""
        return deform_conv2d(x, self.offsets(x), self.weight, self.bias, padding=self.padding)
