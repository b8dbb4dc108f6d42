"""DeU-Net (Dong et al. 2020): temporal deformable aggregation, then a U-Net with deformable attention.

Where the paper leaves it open:

- attention is between pixels: its matrix is M × M, M = Y · X (beside eq. 4 the paper writes N × N);
- B, C and D are 1 × 1 convolutions of the features, B and C of an eighth of their channels, at least 4; the paper
  only says that they are reshaped to N × M;
- it stands where M × M fits: at the levels from a quarter of the resolution down, M = 1024 for the 128 × 128
  pixels of training, 1600 for windows of 160 × 160 that whole cines are seen through;
- encoders convolve deformably from half of the resolution down; the offsets of TDAM see the full one;
- normalisation is of single instances, as in the project's other networks.
"""

from __future__ import annotations

import itertools
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as nn_functional

from cardiac_motion.networks.deformable import DeformableConv, deform_conv2d
from cardiac_motion.networks.unet import ConvBlock

Fusion = Literal["tdam", "flow", "early", "none"]
FUSIONS: tuple[Fusion, ...] = ("tdam", "flow", "early", "none")
FIRST_ATTENTION = 2
"""Level of the first attention block: a quarter of the resolution."""


class PlainUNet(nn.Module):
    """The U-Net that predicts offsets: max pooling, transposed convolutions; (B, i, Y, X) -> (B, o, Y, X).

    Its last layer starts at zero, so that training starts with undeformed kernels.
    """

    def __init__(self, inputs: int, outputs: int, width: int = 8, levels: int = 3) -> None:
        super().__init__()
        channels = [width * 2**level for level in range(levels)]
        self.downs = nn.ModuleList(ConvBlock(a, b) for a, b in itertools.pairwise([inputs, *channels]))
        pairs = list(itertools.pairwise(reversed(channels)))
        self.ups = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in pairs)
        self.merges = nn.ModuleList(ConvBlock(2 * b, b) for _, b in pairs)
        self.last = nn.Conv2d(width, outputs, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """As the class says."""
        skips: list[Tensor] = []
        for level, down in enumerate(self.downs):
            x = down(x if level == 0 else nn_functional.max_pool2d(x, 2))
            skips.append(x)
        for level, (up, merge) in enumerate(zip(self.ups, self.merges, strict=True)):
            x = merge(torch.cat([up(x), skips[-2 - level]], dim=1))
        return self.last(x)


class TemporalDeformableAggregation(nn.Module):
    """TDAM, eqs. (1) and (2): every frame has kernels of its own, and their taps are moved at every place.

    The offsets of all frames and taps are predicted jointly, from the whole clip.

    Args:
        frames: of the clip, 2 r + 1.
        outputs: channels of the fused features.
        kernel: taps along each side, S.
        width: channels of the network of the offsets.
    """

    def __init__(self, frames: int, outputs: int, kernel: int = 3, width: int = 8) -> None:
        super().__init__()
        self.padding = kernel // 2
        self.offsets = PlainUNet(frames, 2 * frames * kernel * kernel, width)
        plain = nn.Conv2d(frames, outputs, kernel)
        self.weight, self.bias = plain.weight, plain.bias

    def forward(self, clip: Tensor) -> Tensor:
        """Fused features (B, o, Y, X) of a clip (B, T, Y, X)."""
        return deform_conv2d(clip, self.offsets(clip), self.weight, self.bias, padding=self.padding)


class FlowFusion(nn.Module):
    """In TDAM's place: the neighbours are warped to the middle frame by a predicted flow, then convolved.

    After task-oriented flow (Xue et al. 2019), which is trained by the task alone.
    """

    def __init__(self, frames: int, outputs: int, kernel: int = 3, width: int = 8) -> None:
        super().__init__()
        self.flow = PlainUNet(frames, 2 * (frames - 1), width)
        self.merge = nn.Conv2d(frames, outputs, kernel, padding=kernel // 2)
        self.middle = frames // 2

    def forward(self, clip: Tensor) -> Tensor:
        """Fused features (B, o, Y, X) of a clip (B, T, Y, X)."""
        flow = self.flow(clip)
        still = torch.zeros_like(flow[:, :2])
        before, after = flow.split([2 * self.middle, flow.shape[1] - 2 * self.middle], dim=1)
        # A flow is the offset of a kernel with a single tap that lets each frame through as it is.
        through = torch.eye(clip.shape[1], dtype=clip.dtype, device=clip.device)[:, :, None, None]
        return self.merge(deform_conv2d(clip, torch.cat([before, still, after], dim=1), through))


class GlobalPositionAttention(nn.Module):
    """DGPA's block, eqs. (3) to (5): a deformable convolution, and attention between all pixels added to it.

    The scale of the attention, alpha, is learnt and starts at zero; (B, c, Y, X) -> the same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.deform = DeformableConv(channels, channels)
        inner = max(channels // 8, 4)
        self.query = nn.Conv2d(channels, inner, 1)
        self.key = nn.Conv2d(channels, inner, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.alpha = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """As the class says."""
        o = self.deform(x)
        b, c, d = (each(x).flatten(2) for each in (self.query, self.key, self.value))
        # p[j, i]: the weight of pixel i in pixel j.
        p = torch.softmax(c.transpose(1, 2) @ b, dim=-1)
        return self.alpha * (d @ p.transpose(1, 2)).reshape(o.shape) + o


class DeformableBlock(nn.Sequential):
    """Deformable convolution, instance normalisation, leaky rectifier."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            DeformableConv(inputs, outputs), nn.InstanceNorm2d(outputs, affine=True), nn.LeakyReLU(0.01)
        )


class DeUNet(nn.Module):
    """Logits of classes for the middle frame of a clip.

    Args:
        classes: K, background included.
        radius: frames before and after the middle one, r.
        kernel: S of the temporal deformable convolution.
        width: channels of the first level; each further level has twice as many.
        levels: 2 or more; sizes must be multiples of 2 ** (levels - 1).
        fusion: ``tdam``, or one of the variants: ``flow``, ``early`` (eq. 1 as it stands) or ``none`` (the middle
            frame alone, the paper's DeU-Net(t)).
        attention: False for plain convolutions without attention, the paper's DeU-Net(d).
    """

    def __init__(
        self,
        classes: int = 4,
        *,
        radius: int = 1,
        kernel: int = 3,
        width: int = 8,
        levels: int = 5,
        fusion: Fusion = "tdam",
        attention: bool = True,
    ) -> None:
        super().__init__()
        frames = 2 * radius + 1
        self.radius, self.multiple = radius, 2 ** (levels - 1)
        self.uses_middle_only = fusion == "none"
        fusions = {
            "tdam": lambda: TemporalDeformableAggregation(frames, width, kernel, width),
            "flow": lambda: FlowFusion(frames, width, kernel, width),
            "early": lambda: nn.Conv2d(frames, width, kernel, padding=kernel // 2),
            "none": lambda: nn.Conv2d(1, width, kernel, padding=kernel // 2),
        }
        self.fusion = fusions[fusion]()
        channels = [width * 2**level for level in range(levels)]
        self.first = nn.Sequential(
            nn.InstanceNorm2d(width, affine=True), nn.LeakyReLU(0.01), ConvBlock(width, width)
        )
        block = DeformableBlock if attention else ConvBlock
        self.downs = nn.ModuleList(
            nn.Sequential(ConvBlock(a, b, stride=2), block(b, b)) for a, b in itertools.pairwise(channels)
        )
        self.attentions = nn.ModuleList(
            GlobalPositionAttention(c) if attention and level >= FIRST_ATTENTION else nn.Identity()
            for level, c in enumerate(channels)
        )
        pairs = list(itertools.pairwise(reversed(channels)))
        self.ups = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in pairs)
        self.merges = nn.ModuleList(nn.Sequential(ConvBlock(2 * b, b), ConvBlock(b, b)) for _, b in pairs)
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, clip: Tensor) -> Tensor:
        """Logits (B, K, Y, X) of the middle frames of clips (B, T, Y, X).

        Raises:
            ValueError: sizes that are no multiples of `multiple`, or another number of frames than 2 r + 1.
        """
        if any(n % self.multiple for n in clip.shape[2:]) or clip.shape[1] != 2 * self.radius + 1:
            raise ValueError(
                f"expected {2 * self.radius + 1} frames with sizes that are multiples of {self.multiple}, got "
                f"{tuple(clip.shape)}"
            )
        x = self.fusion(clip[:, self.radius : self.radius + 1] if self.uses_middle_only else clip)
        x = self.first(x)
        skips = [x]
        for level, down in enumerate(self.downs):
            x = self.attentions[level + 1](down(x))
            skips.append(x)
        for level, (up, merge) in enumerate(zip(self.ups, self.merges, strict=True)):
            x = merge(torch.cat([up(x), skips[-2 - level]], dim=1))
        return self.head(x)
