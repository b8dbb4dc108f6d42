"""Losses for registration and training, in 2D and 3D, differentiable.

Images are (B, C, *S) with intensities from about 0 to 1; displacement fields are (B, D, *S) in voxels, components
in the order of the axes, as in `cardiac_motion.fields`. Every loss is lower where the match is better or the field
smoother, and returns the mean over the batch, or with ``reduction="none"`` one value per sample, (B,).

Where a loss of a field takes ``spacing`` (the length of a voxel along each axis, in the order of the axes), both
the displacements and the derivatives are in that unit: mm with the spacing in mm; the canonical range from -1 to 1
of the recursive paper with 2 / n along an axis of n voxels. Without it the unit is the voxel. An axis of one voxel
has no derivative and adds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from cardiac_motion.fields import compose, multiply_along, to_mm

Reduction = Literal["mean", "none"]


def _reduce(per_sample: Tensor, reduction: Reduction) -> Tensor:
    if reduction == "mean":
        return per_sample.mean()
    if reduction == "none":
        return per_sample
    raise ValueError(f'reduction is "mean" or "none", got {reduction!r}')


def _sample_mean(values: Tensor) -> Tensor:
    """Mean over all axes but the first: (B,)."""
    return values.flatten(1).mean(dim=1)


def _check_images(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape or a.ndim not in (4, 5):
        raise ValueError(
            f"expected two images of one shape, (B, C, Y, X) or (B, C, Z, Y, X), "
            f"got {tuple(a.shape)} and {tuple(b.shape)}"
        )


def _check_field(field: Tensor) -> None:
    if field.ndim not in (4, 5) or field.shape[1] != field.ndim - 2:
        raise ValueError(f"a displacement field is (B, 2, Y, X) or (B, 3, Z, Y, X), got {tuple(field.shape)}")


# -------------------- similarity of images


def mse(a: Tensor, b: Tensor, *, reduction: Reduction = "mean") -> Tensor:
    """Mean squared error, mean over channels and voxels of (a - b)^2. Images (B, C, *S)."""
    _check_images(a, b)
    return _reduce(_sample_mean((a - b) ** 2), reduction)


def _window_matrix(size: int, window: int, stride: int, like: Tensor) -> Tensor:
    """The running mean along one axis as a matrix (ceil(size / stride), size); its rows add up to 1."""
    positions = torch.arange(size, device=like.device)
    centres = positions[::stride]
    inside = ((positions - centres[:, None]).abs() <= window // 2).to(like.dtype)
    return inside / inside.sum(dim=1, keepdim=True)


def window_mean(image: Tensor, window: int | Sequence[int], *, stride: int = 1) -> Tensor:
    """Mean of (B, C, *S) over a box-shaped window around every voxel, as far as it lies inside the image.

    Args:
        image: (B, C, *S).
        window: width in voxels, odd; one for all axes or one per axis.
        stride: one window every so many voxels along each axis.
    """
    windows = [window] * (image.ndim - 2) if isinstance(window, int) else list(window)
    if len(windows) != image.ndim - 2 or any(w < 1 or w % 2 == 0 for w in windows) or stride < 1:
        raise ValueError(f"expected an odd window and a positive stride, got {window} and {stride}")
    for axis, width in enumerate(windows):
        size = image.shape[axis + 2]
        if size > 1 and (width > 1 or stride > 1):
            image = multiply_along(_window_matrix(size, width, stride, image), image, axis + 2)
    return image


def local_ncc_map(a: Tensor, b: Tensor, window: int = 9, *, stride: int = 1, epsilon: float = 1e-5) -> Tensor:
    """Squared local normalised cross-correlation around every voxel, from 0 to 1: (B, C, *S / stride).

    cc^2 = cov(a, b)^2 / ((var(a) + epsilon) (var(b) + epsilon)) over a cubic window.

    Args:
        a: (B, C, *S).
        b: as ``a``.
        window: width of the window in voxels, odd.
        stride: one window every so many voxels.
        epsilon: variance below which a window counts as flat.

    Source: Avants et al. 2008, "Symmetric diffeomorphic image registration with cross-correlation".
    """
    _check_images(a, b)
    # Means near zero keep the differences of large sums below accurate in single precision.
    axes = tuple(range(1, a.ndim))
    a = a - a.detach().mean(dim=axes, keepdim=True)
    b = b - b.detach().mean(dim=axes, keepdim=True)
    mean_a, mean_b, mean_aa, mean_bb, mean_ab = window_mean(
        torch.cat([a, b, a * a, b * b, a * b]), window, stride=stride
    ).chunk(5)
    variance_a = (mean_aa - mean_a**2).clamp_min(0)
    variance_b = (mean_bb - mean_b**2).clamp_min(0)
    covariance = mean_ab - mean_a * mean_b
    return covariance**2 / ((variance_a + epsilon) * (variance_b + epsilon))


def local_ncc(
    a: Tensor, b: Tensor, window: int = 9, *, stride: int = 1, epsilon: float = 1e-5, reduction: Reduction = "mean"
) -> Tensor:
    """One minus the mean of the squared local normalised cross-correlation of two images (B, C, *S).

    0 is a perfect match up to a local linear change of intensity, 1 none. See `local_ncc_map`.
    """
    return _reduce(1 - _sample_mean(local_ncc_map(a, b, window, stride=stride, epsilon=epsilon)), reduction)


def ssim_map(
    a: Tensor, b: Tensor, window: int | Sequence[int] = 7, *, stride: int = 1, data_range: float = 1.0
) -> Tensor:
    """Structural similarity around every voxel, from -1 to 1, over uniform windows: (B, C, *S / stride).

    SSIM = (2 m_a m_b + c1) (2 cov + c2) / ((m_a^2 + m_b^2 + c1) (var_a + var_b + c2)), with c1 = (0.01 L)^2,
    c2 = (0.03 L)^2 for intensities of range L; variances over the n voxels of a window divide by n.

    Source: Wang et al. 2004, "Image quality assessment: from error visibility to structural similarity", eq. (13).
    """
    _check_images(a, b)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    # Only the sum of the two variances is needed: four running means instead of five.
    mean_a, mean_b, squares, products = window_mean(
        torch.cat([a, b, a * a + b * b, a * b]), window, stride=stride
    ).chunk(4)
    mean_squares = mean_a**2 + mean_b**2
    mean_product = mean_a * mean_b
    luminance = (2 * mean_product + c1) / (mean_squares + c1)
    return luminance * (2 * (products - mean_product) + c2) / ((squares - mean_squares).clamp_min(0) + c2)


def ssim(
    a: Tensor,
    b: Tensor,
    window: int = 7,
    *,
    stride: int = 1,
    data_range: float = 1.0,
    reduction: Reduction = "mean",
) -> Tensor:
    """One minus the mean structural similarity of two images (B, C, *S); 0 is a perfect match. See `ssim_map`."""
    return _reduce(1 - _sample_mean(ssim_map(a, b, window, stride=stride, data_range=data_range)), reduction)


def _joint_histogram(a: Tensor, b: Tensor, bins: int) -> Tensor:
    """Joint histogram of each pair of images, (B, bins, bins), adding up to 1.

    A voxel is shared out linearly between the two nearest bins of either image. Adding its four parts up where
    they belong is ten times faster, forward and backward, than weights of every voxel for every bin.
    """
    values = torch.stack([a.flatten(1), b.flatten(1)]).clamp(0, 1) * (bins - 1)
    below = values.detach().floor().clamp_max(bins - 2)
    upper_a, upper_b = values - below
    below_a, below_b = below.long()
    corner = below_a * bins + below_b
    both = upper_a * upper_b
    histogram = a.new_zeros(a.shape[0], bins * bins)
    for offset, share in (
        (0, 1 - upper_a - upper_b + both),
        (1, upper_b - both),
        (bins, upper_a - both),
        (bins + 1, both),
    ):
        histogram = histogram.scatter_add(1, corner + offset, share)
    return histogram.unflatten(1, (bins, bins)) / corner.shape[1]


def mutual_information(
    a: Tensor, b: Tensor, bins: int = 32, *, sigma: float = 0.5, reduction: Reduction = "mean"
) -> Tensor:
    """Negative mutual information in nats, of each pair of images, with Parzen windows.

    -MI = -sum_mn p_mn log(p_mn / (p_m p_n)), where p_mn is the joint histogram. The window of a voxel is the
    linear interpolation between Gaussians around the two nearest bin centres; at a bin centre it is the Gaussian
    itself, normalised over the bins.

    Args:
        a: (B, C, *S), intensities from 0 to 1; what lies outside is clamped and has no gradient.
        b: as ``a``.
        bins: number of bin centres from 0 to 1, both included.
        sigma: width of the Gaussian in bins, positive.
        reduction: "mean", or "none" for (B,).

    Source: Viola and Wells 1997; Mattes et al. 2001.
    """
    _check_images(a, b)
    if bins < 2 or sigma <= 0:
        raise ValueError(f"expected at least 2 bins and a positive sigma, got {bins} and {sigma}")
    distance = torch.arange(bins, dtype=a.dtype, device=a.device)
    spread = torch.exp(-0.5 * ((distance[:, None] - distance) / sigma) ** 2)
    spread = spread / spread.sum(dim=0)
    joint = spread @ _joint_histogram(a, b, bins) @ spread.T
    independent = joint.sum(dim=2, keepdim=True) * joint.sum(dim=1, keepdim=True)
    tiny = torch.finfo(joint.dtype).tiny
    information = (joint * (joint.clamp_min(tiny).log() - independent.clamp_min(tiny).log())).sum(dim=(1, 2))
    return _reduce(-information, reduction)


# -------------------- regularity of fields


def _in_units(field: Tensor, spacing: Sequence[float] | None) -> tuple[Tensor, list[float]]:
    """The field in the unit of the spacing, and the step along each axis in that unit."""
    _check_field(field)
    if spacing is None:
        return field, [1.0] * field.shape[1]
    return to_mm(field, spacing), [float(s) for s in spacing]


def gradient_smoothness(
    field: Tensor, spacing: Sequence[float] | None = None, *, reduction: Reduction = "mean"
) -> Tensor:
    """Diffusion: the mean over voxels of the squared gradient, sum_ij (d u_i / d x_j)^2.

    Differences to the next voxel; along each axis the mean is over those that exist.

    Args:
        field: (B, D, *S) in voxels.
        spacing: length of a voxel along each axis; see the top of this file.
        reduction: "mean", or "none" for (B,).

    Source: Balakrishnan et al. 2019 (VoxelMorph), eq. (9); Upendra et al., eq. (3).
    """
    field, steps = _in_units(field, spacing)
    total = field.new_zeros(field.shape[0])
    for axis, step in enumerate(steps):
        if field.shape[axis + 2] > 1:
            slope = field.diff(dim=axis + 2) / step
            total = total + field.shape[1] * _sample_mean(slope**2)
    return _reduce(total, reduction)


def laplacian(field: Tensor, spacing: Sequence[float] | None = None) -> Tensor:
    """Laplacian of each component, sum_j d^2 u_i / d x_j^2, by second differences: (B, D, *S).

    At the two ends of an axis the field is taken to go on linearly, so the second derivative there is zero.
    """
    field, steps = _in_units(field, spacing)
    total = torch.zeros_like(field)
    for axis, step in enumerate(steps):
        dim = axis + 2
        if field.shape[dim] > 2:
            second = field.diff(n=2, dim=dim) / step**2
            edge = torch.zeros_like(second.narrow(dim, 0, 1))
            total = total + torch.cat([edge, second, edge], dim=dim)
    return total


def laplacian_smoothness(
    field: Tensor, spacing: Sequence[float] | None = None, *, reduction: Reduction = "mean"
) -> Tensor:
    """Mean over voxels of the squared Laplacian, |Delta u|^2 = sum_i (sum_j d^2 u_i / d x_j^2)^2.

    Zero for every field that is linear in space.

    Args:
        field: (B, D, *S) in voxels.
        spacing: length of a voxel along each axis; see the top of this file.
        reduction: "mean", or "none" for (B,).

    Source: Upendra et al., eq. (4).
    """
    return _reduce(_sample_mean((laplacian(field, spacing) ** 2).sum(dim=1)), reduction)


def huber_smoothness(
    field: Tensor,
    spacing: Sequence[float] | None = None,
    *,
    epsilon: float = 0.01,
    reduction: Reduction = "mean",
) -> Tensor:
    """Mean over voxels of sqrt(epsilon + sum_ij (d u_i / d x_j)^2), an approximation of the Huber loss.

    Differences to the next voxel; those at the far end of an axis, which do not exist, count as zero. A constant
    field gives sqrt(epsilon), as in the paper.

    Source: Qin et al. 2018, section 2.1, epsilon = 0.01.
    """
    field, steps = _in_units(field, spacing)
    squares = torch.zeros_like(field[:, :1])
    for axis, step in enumerate(steps):
        dim = axis + 2
        if field.shape[dim] > 1:
            square = ((field.diff(dim=dim) / step) ** 2).sum(dim=1, keepdim=True)
            squares = squares + torch.cat([square, torch.zeros_like(square.narrow(dim, 0, 1))], dim=dim)
    return _reduce(_sample_mean((epsilon + squares).sqrt()), reduction)


def temporal_huber(
    fields: Tensor,
    spacing: Sequence[float] | None = None,
    *,
    epsilon: float = 0.01,
    reduction: Reduction = "mean",
) -> Tensor:
    """Mean over steps in time and voxels of sqrt(epsilon + sum_i (u_i(t + 1) - u_i(t))^2).

    Args:
        fields: (B, T, D, *S) in voxels, the fields of T >= 2 successive frames, all on one grid.
        spacing: length of a voxel along each axis; with it the displacements are in that unit.
        epsilon: below its root the penalty is quadratic, above it linear.
        reduction: "mean", or "none" for (B,).

    Source: Qin et al. 2018, eq. (1), the term of weight beta.
    """
    if fields.ndim not in (5, 6) or fields.shape[2] != fields.ndim - 3 or fields.shape[1] < 2:
        raise ValueError(
            "expected the fields of at least 2 frames, (B, T, 2, Y, X) or (B, T, 3, Z, Y, X), "
            f"got {tuple(fields.shape)}"
        )
    steps = fields.diff(dim=1).flatten(0, 1)
    steps, _ = _in_units(steps, spacing)
    lengths = (epsilon + (steps**2).sum(dim=1)).sqrt()
    return _reduce(_sample_mean(lengths.unflatten(0, (fields.shape[0], -1))), reduction)


def inverse_consistency(
    forward: Tensor, backward: Tensor, spacing: Sequence[float] | None = None, *, reduction: Reduction = "mean"
) -> Tensor:
    """Mean over voxels of |x - D_B(D_F(x))|^2 plus that of |x - D_F(D_B(x))|^2.

    Args:
        forward: (B, D, *S) in voxels, D_F(x) = x + forward(x).
        backward: as ``forward``, on the same grid.
        spacing: length of a voxel along each axis; with it the distance is in that unit.
        reduction: "mean", or "none" for (B,).

    Source: recursive diffeomorphic registration, eq. (5), the terms of weight alpha.
    """
    _check_field(forward)
    if forward.shape != backward.shape:
        raise ValueError(
            f"expected two fields of one shape, got {tuple(forward.shape)} and {tuple(backward.shape)}"
        )
    # One call for both directions: half the overhead of two.
    error = compose(torch.cat([backward, forward]), torch.cat([forward, backward]))
    error, _ = _in_units(error, spacing)
    there, back = _sample_mean((error**2).sum(dim=1)).chunk(2)
    return _reduce(there + back, reduction)


def displacement_magnitude(
    field: Tensor, spacing: Sequence[float] | None = None, *, reduction: Reduction = "mean"
) -> Tensor:
    """Mean over voxels of |D(x) - x|^2, the squared length of the displacement.

    Source: recursive diffeomorphic registration, eq. (5), the terms of weight gamma.
    """
    field, _ = _in_units(field, spacing)
    return _reduce(_sample_mean((field**2).sum(dim=1)), reduction)
