"""The modified U-Net: residual context blocks, a localisation path, deep supervision.

Upendra et al. (2020) segment with the U-Net that Isensee et al. (BRATS 2017) modified; here in 2D. Departures: the
width and the dropout are arguments, and a network may be told which view it sees.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

SLOPE = 0.01
"""Of the leaky rectifiers."""


class ConvBlock(nn.Sequential):
    """Convolution, instance normalisation, leaky rectifier: (B, i, Y, X) -> (B, o, Y / stride, X / stride)."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False),
            nn.InstanceNorm2d(outputs, affine=True),
            nn.LeakyReLU(SLOPE),
        )


class ContextBlock(nn.Module):
    """Pre-activation residual block of two 3 × 3 convolutions with dropout between; (B, c, Y, X) -> the same."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.InstanceNorm2d(channels, affine=True),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.Dropout2d(dropout),
            nn.InstanceNorm2d(channels, affine=True),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """The input with what the block adds to it."""
        return x + self.body(x)


class UpBlock(nn.Sequential):
    """Twice the size by bilinear interpolation, then a convolution to half the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), ConvBlock(channels, channels // 2)
        )


class LocalisationBlock(nn.Sequential):
    """After the concatenation of the skip connection: a 3 × 3 convolution, then 1 × 1 to half the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__(ConvBlock(channels, channels), ConvBlock(channels, channels // 2, kernel=1))


class ModifiedUNet(nn.Module):
    """Logits of classes for single slices.

    Args:
        classes: K, background included.
        inputs: channels of the image.
        width: channels of the first level; each further level has twice as many.
        levels: 2 or more; sizes must be multiples of 2 ** (levels - 1).
        dropout: in the context blocks.
        views: how many views the network is told apart, 0 if it is not told.
        supervised: how many of the finest levels of the localisation path give logits, which are summed.
    """

    def __init__(
        self,
        classes: int = 4,
        *,
        inputs: int = 1,
        width: int = 16,
        levels: int = 5,
        dropout: float = 0.1,
        views: int = 0,
        supervised: int = 3,
    ) -> None:
        super().__init__()
        channels = [width * 2**level for level in range(levels)]
        self.multiple = 2 ** (levels - 1)
        """Sizes of images must be multiples of it."""
        self.entries = nn.ModuleList(
            [
                ConvBlock(inputs, width),
                *(ConvBlock(a, b, stride=2) for a, b in itertools.pairwise(channels)),
            ]
        )
        self.contexts = nn.ModuleList(ContextBlock(c, dropout) for c in channels)
        self.ups = nn.ModuleList(UpBlock(c) for c in reversed(channels[1:]))
        self.localisations = nn.ModuleList(LocalisationBlock(2 * c) for c in reversed(channels[:-1]))
        self.supervised = min(supervised, levels - 1)
        self.heads = nn.ModuleList(
            nn.Conv2d(c, classes, 1) for c in list(reversed(channels[:-1]))[-self.supervised :]
        )
        self.view = nn.Embedding(views, width) if views else None

    def forward(self, x: Tensor, view: Tensor | None = None) -> Tensor:
        """Logits (B, K, Y, X) of images (B, C, Y, X); ``view`` (B,), whole numbers, for a network that is told.

        Raises:
            ValueError: as `forward_all`.
        """
        return self.forward_all(x, view)[-1]

    def forward_all(self, x: Tensor, view: Tensor | None = None) -> Sequence[Tensor]:
        """Logits at every supervised level, coarsest first, each with those of the coarser levels added.

        Raises:
            ValueError: sizes that are no multiples of `multiple`, or no view where one has to be told.
        """
        if any(n % self.multiple for n in x.shape[2:]):
            raise ValueError(f"sizes must be multiples of {self.multiple}, got {tuple(x.shape[2:])}")
        skips = []
        for level, (entry, context) in enumerate(zip(self.entries, self.contexts, strict=True)):
            x = entry(x)
            if level == 0 and self.view is not None:
                if view is None:
                    raise ValueError("this network must be told the view")
                x = x + self.view(view)[:, :, None, None]
            x = context(x)
            skips.append(x)
        logits: list[Tensor] = []
        first = len(self.ups) - self.supervised
        for level, (up, localisation) in enumerate(zip(self.ups, self.localisations, strict=True)):
            x = localisation(torch.cat([up(x), skips[-2 - level]], dim=1))
            if level >= first:
                own = self.heads[level - first](x)
                if logits:
                    own = own + nn.functional.interpolate(
                        logits[-1], scale_factor=2, mode="bilinear", align_corners=False
                    )
                logits.append(own)
        return logits
