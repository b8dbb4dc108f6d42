"""The network of recursive diffeomorphic registration: from coordinates and deformation to velocity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from cardiac_motion.fields import compose, exponential, gaussian_smooth, resample

FILTERS = 24
KERNEL = 5
LAYERS = 4


def canonical_coordinates(shape: Sequence[int], *, like: Tensor | None = None) -> Tensor:
    """Voxel coordinates from -1 to 1 along every axis: (1, D, *shape); 0 along an axis of one voxel."""
    axes = [torch.linspace(-1, 1, n) if n > 1 else torch.zeros(1) for n in shape]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"))[None]
    return grid if like is None else grid.to(like)


def canonical_units(shape: Sequence[int], *, like: Tensor) -> Tensor:
    """Length of a voxel in the canonical range, per axis: (1, D, 1, ...)."""
    lengths = [2 / max(n - 1, 1) for n in shape]
    return like.new_tensor(lengths).view(1, -1, *([1] * len(lengths)))


class VelocityNetwork(nn.Module):
    """Four convolutions of 24 5 x 5 (5 x 5 x 5) filters, stride 1, each but the last followed by a ReLU.

    Input (B, 2 D, *S): coordinates from -1 to 1 and the current displacement in the same unit. Output
    (B, D, *S): velocity in that unit. The last layer starts near zero, so that the recursion starts at the
    identity; the borders repeat, so that a border is not a place of its own.

    Source: recursive diffeomorphic registration, section 2, figure 1.
    """

    def __init__(self, dimensions: int, *, filters: int = FILTERS) -> None:
        super().__init__()
        if dimensions not in (2, 3):
            raise ValueError(f"expected 2 or 3 dimensions, got {dimensions}")
        convolution = nn.Conv2d if dimensions == 2 else nn.Conv3d
        widths = [2 * dimensions, *[filters] * (LAYERS - 1), dimensions]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers.append(convolution(inputs, outputs, KERNEL, padding=KERNEL // 2, padding_mode="replicate"))
            layers.append(nn.ReLU())
        last = torch.channels_last if dimensions == 2 else torch.channels_last_3d
        self.layers = nn.Sequential(*layers[:-1]).to(memory_format=last)  # type: ignore[call-overload]
        weight, bias = self.layers[-1].parameters()
        nn.init.normal_(weight, std=1e-4)
        nn.init.zeros_(bias)

    def forward(self, inputs: Tensor) -> Tensor:
        """Velocity (B, D, *S) from coordinates and displacement (B, 2 D, *S), all in canonical units."""
        # A CPU convolves 24 channels half as fast again with the channels last.
        last = torch.channels_last if inputs.ndim == 4 else torch.channels_last_3d
        return self.layers(inputs.contiguous(memory_format=last))


@dataclass(frozen=True)
class LevelFields:
    """Displacements of one level of the pyramid, (1, D, *S) in voxels of that level."""

    forward: Tensor
    backward: Tensor | None


class RecursiveNetwork(nn.Module):
    """Algorithm 1: from the coarsest level to the finest, D_t = D_{t+1} up o exp(low-pass(f(X_t, D_{t+1} up))).

    One network serves all levels and both directions: the backward deformation comes from the coordinates with
    the sign changed.

    `gain`, 1 unless somebody lowers it, scales all velocities; at 0 the deformation is the identity.

    Args:
        dimensions: 2 or 3.
        sigma: of the Gaussian low-pass, in voxels of every level.
        bidirectional: also the backward deformation (eq. 5), or only the forward one (eq. 4).
    """

    def __init__(self, dimensions: int, *, sigma: float = 2.0, bidirectional: bool = True) -> None:
        super().__init__()
        self.velocity = VelocityNetwork(dimensions)
        self.sigma = sigma
        self.gain = 1.0
        self.bidirectional = bidirectional

    def _step(self, coordinates: Tensor, field: Tensor, window: Tensor | None) -> Tensor:
        units = canonical_units(field.shape[2:], like=field)
        velocity = self.velocity(torch.cat([coordinates, field * units], dim=1)) / units
        velocity = self.gain * gaussian_smooth(velocity, self.sigma)
        return compose(field, exponential(velocity if window is None else velocity * window))

    def forward(
        self, shapes: Sequence[Sequence[int]], windows: Sequence[Tensor] | None = None
    ) -> list[LevelFields]:
        """Fields of every level, batch 1.

        Args:
            shapes: of the levels, coarsest first.
            windows: (1, 1, *S) of the levels, which multiply the velocities; none by default.
        """
        parameter = next(self.parameters())
        count = 2 if self.bidirectional else 1
        field: Tensor | None = None
        levels = []
        for index, shape in enumerate(shapes):
            grid = canonical_coordinates(shape, like=parameter)
            coordinates = torch.cat([grid, -grid][:count])
            field = torch.zeros_like(coordinates) if field is None else resample(field, shape)
            field = self._step(coordinates, field, None if windows is None else windows[index])
            forward, *backward = field.chunk(count)
            levels.append(LevelFields(forward, backward[0] if backward else None))
        return levels
