"""How alike two images are: the L1 of eq. (5) and its alternatives."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from cardiac_motion.losses import local_ncc, mse, mutual_information, ssim, ssim_map
from cardiac_motion.registration.recursive.options import Similarity

ImageLoss = Callable[[Tensor, Tensor], Tensor]
"""From two images (N, 1, *S) to one value per pair, (N,), lower for a better match."""

_WINDOWS: dict[int, int | tuple[int, ...]] = {2: 5, 3: (3, 5, 5)}
"""By dimension; slices lie farther apart than pixels."""
_FLOOR = 1e-3


def robust_ssim(a: Tensor, b: Tensor) -> Tensor:
    """Mean over voxels of sqrt(1 - SSIM + 0.001), windows of 5 pixels and 3 slices: (N,).

    The root keeps places that cannot be matched, where tissue moves through the slice, from pulling the rest
    along.
    """
    return (1 - ssim_map(a, b, _WINDOWS[a.ndim - 2]) + _FLOOR).clamp_min(_FLOOR).sqrt().flatten(1).mean(dim=1)


def image_loss(similarity: Similarity, *, robust: bool) -> ImageLoss:
    """The loss of this name; ``robust`` is for "ssim"."""
    if similarity == "ssim":
        return robust_ssim if robust else lambda a, b: ssim(a, b, reduction="none")
    if similarity == "mse":
        # In the range of the other losses, so that one weight of the smoothness serves all.
        return lambda a, b: 10 * mse(a, b, reduction="none")
    if similarity == "ncc":
        return lambda a, b: local_ncc(a, b, reduction="none")
    return lambda a, b: ssim(a, b, reduction="none") + mutual_information(a, b, reduction="none")
