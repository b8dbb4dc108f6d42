"""Losses: hand-checked values, invariances, MONAI and SciPy as oracles, gradients."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from cardiac_motion import fields, losses
from monai.losses import (
    DiffusionLoss,
    GlobalMutualInformationLoss,
    LocalNormalizedCrossCorrelationLoss,
    SSIMLoss,
)
from scipy.ndimage import laplace, uniform_filter
from torch import Tensor

SHAPES = [(14, 17), (6, 9, 8), (1, 14, 12)]
"""2D; 3D; a long-axis cine of one slice."""

IMAGE_LOSSES: dict[str, Callable[..., Tensor]] = {
    "mse": losses.mse,
    "local_ncc": losses.local_ncc,
    "ssim": losses.ssim,
    "mutual_information": losses.mutual_information,
}
FIELD_LOSSES: dict[str, Callable[..., Tensor]] = {
    "gradient": losses.gradient_smoothness,
    "laplacian": losses.laplacian_smoothness,
    "huber": losses.huber_smoothness,
    "magnitude": losses.displacement_magnitude,
}


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def smooth_image(batch: int, shape: tuple[int, ...], seed: int = 0, sigma: float = 1.5) -> Tensor:
    """Smooth random images (B, 1, *S) from 0 to 1."""
    image = fields.gaussian_smooth(rand(batch, 1, *shape, seed=seed), sigma)
    return (image - image.min()) / (image.max() - image.min())


def random_field(batch: int, shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return fields.gaussian_smooth(rand(batch, len(shape), *shape, seed=seed) - 0.5, 1.0) * 4


def linear_field(shape: tuple[int, ...], matrix: Tensor) -> Tensor:
    """u(x) = A x + 1, (1, D, *S) in voxels."""
    grid = fields.identity_grid(shape, like=matrix)
    return (matrix @ grid.flatten(1) + 1).reshape(1, *grid.shape)


def cropped(image: Tensor, margin: int) -> Tensor:
    """Without the margin along each spatial axis."""
    for dim in range(2, image.ndim):
        image = image.narrow(dim, margin, image.shape[dim] - 2 * margin)
    return image


# -------------------- what all losses of images share


@pytest.mark.parametrize("name", IMAGE_LOSSES)
@pytest.mark.parametrize("shape", SHAPES)
def test_values_per_sample_are_those_of_each_sample_alone(name: str, shape: tuple[int, ...]) -> None:
    loss = IMAGE_LOSSES[name]
    a, b = smooth_image(3, shape), smooth_image(3, shape, seed=1)
    each = loss(a, b, reduction="none")
    assert each.shape == (3,)
    alone = torch.stack([loss(a[i : i + 1], b[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(each, alone)
    torch.testing.assert_close(loss(a, b), each.mean())
    torch.testing.assert_close(loss(b, a), loss(a, b))


@pytest.mark.parametrize("name", IMAGE_LOSSES)
def test_a_loss_grows_with_the_shift_between_two_images(name: str) -> None:
    image = smooth_image(2, (48, 52), sigma=3)
    values = []
    for shift in (0.0, 0.5, 1.0, 2.0, 3.0):
        field = torch.zeros(2, 2, 48, 52, dtype=torch.float64)
        field[:, 1] = shift
        values.append(float(IMAGE_LOSSES[name](fields.warp(image, field), image)))
    assert values == sorted(values)
    assert values[-1] - values[0] > 0.005


@pytest.mark.parametrize("name", IMAGE_LOSSES)
def test_flat_and_black_images_have_finite_values_and_gradients(name: str) -> None:
    for level in (0.0, 0.5, 1.0):
        a = torch.full((2, 1, 16, 16), level, requires_grad=True)
        b = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
        for other in (b, torch.zeros_like(b), torch.full_like(b, level)):
            value = IMAGE_LOSSES[name](a, other)
            (gradient,) = torch.autograd.grad(value, a)
            assert bool(torch.isfinite(value))
            assert bool(torch.isfinite(gradient).all())


@pytest.mark.parametrize("name", IMAGE_LOSSES)
@pytest.mark.parametrize("shape", [(4, 5), (3, 3, 4), (1, 4, 5)])
def test_gradients_of_losses_of_images(name: str, shape: tuple[int, ...]) -> None:
    a = (0.05 + 0.9 * rand(1, 1, *shape)).requires_grad_()
    b = (0.05 + 0.9 * rand(1, 1, *shape, seed=1)).requires_grad_()
    options = {"ssim": {"window": 3}, "local_ncc": {"window": 3}, "mutual_information": {"bins": 8}}.get(name, {})
    assert torch.autograd.gradcheck(lambda x, y: IMAGE_LOSSES[name](x, y, reduction="none", **options), (a, b))


@pytest.mark.parametrize("name", IMAGE_LOSSES)
def test_images_of_different_shapes_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"one shape.*\(2, 1, 8, 8\) and \(2, 1, 8, 9\)"):
        IMAGE_LOSSES[name](torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 9))
    with pytest.raises(ValueError, match='"mean" or "none"'):
        IMAGE_LOSSES[name](torch.rand(2, 1, 8, 8), torch.rand(2, 1, 8, 8), reduction="sum")


# -------------------- each loss of images


def test_mse_by_hand() -> None:
    a = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    b = torch.tensor([[[[1.0, 0.0], [3.0, 1.0]]]])
    assert float(losses.mse(a, b)) == pytest.approx((4 + 9) / 4)


@pytest.mark.parametrize("shape", [(15, 18), (7, 9, 11)])
def test_the_running_mean_agrees_with_scipy_and_covers_what_is_inside_the_image(shape: tuple[int, ...]) -> None:
    image = rand(1, 1, *shape)
    window = (1, 1, *[5] * len(shape))
    # Zeros outside, divided by the share of the window that is inside.
    total = uniform_filter(image.numpy(), size=window, mode="constant")
    share = uniform_filter(np.ones(image.shape), size=window, mode="constant")
    expected = torch.from_numpy(total / share)
    torch.testing.assert_close(losses.window_mean(image, 5), expected)
    for dim, size in enumerate(shape, start=2):
        expected = expected.index_select(dim, torch.arange(0, size, 2))
    torch.testing.assert_close(losses.window_mean(image, 5, stride=2), expected)


@pytest.mark.parametrize(("window", "stride"), [(4, 1), (0, 1), (-3, 1), (5, 0)])
def test_a_window_has_a_middle(window: int, stride: int) -> None:
    with pytest.raises(ValueError, match="odd window and a positive stride"):
        losses.window_mean(torch.zeros(1, 1, 8, 8), window, stride=stride)


@pytest.mark.parametrize("shape", [(24, 28), (12, 14, 13)])
def test_ssim_agrees_with_monai_where_its_windows_lie_inside(shape: tuple[int, ...]) -> None:
    a, b = smooth_image(2, shape), smooth_image(2, shape, seed=1)
    inside = cropped(losses.ssim_map(a, b, window=7), 3)
    theirs = SSIMLoss(len(shape), win_size=7, kernel_type="uniform")(a, b)
    assert float(1 - inside.mean()) == pytest.approx(float(theirs), abs=1e-5)


def test_ssim_is_zero_for_a_perfect_match_and_scales_with_the_range() -> None:
    a, b = smooth_image(1, (20, 20)), smooth_image(1, (20, 20), seed=1)
    assert float(losses.ssim(a, a)) == pytest.approx(0, abs=1e-12)
    assert 0.1 < float(losses.ssim(a, b)) < 1.5
    torch.testing.assert_close(losses.ssim(a * 255, b * 255, data_range=255), losses.ssim(a, b))


def test_ssim_by_hand_for_flat_images() -> None:
    # No variance and no covariance: what is left is the luminance term.
    a, b = torch.full((1, 1, 9, 9), 0.5).double(), torch.full((1, 1, 9, 9), 0.25).double()
    expected = (2 * 0.5 * 0.25 + 1e-4) / (0.25 + 0.0625 + 1e-4)
    assert float(losses.ssim(a, b)) == pytest.approx(1 - expected)


@pytest.mark.parametrize("shape", [(24, 28), (12, 14, 13)])
def test_local_ncc_agrees_with_monai_where_its_windows_lie_inside(shape: tuple[int, ...]) -> None:
    a, b = rand(2, 1, *shape), rand(2, 1, *shape, seed=1)
    theirs = LocalNormalizedCrossCorrelationLoss(len(shape), kernel_size=5, reduction="none")(a, b)
    ours = losses.local_ncc_map(a, b, window=5, epsilon=0)
    torch.testing.assert_close(cropped(ours, 2), -cropped(theirs, 2), rtol=1e-5, atol=1e-6)


def test_local_ncc_does_not_see_a_change_of_contrast() -> None:
    a = smooth_image(1, (24, 24))
    assert float(losses.local_ncc(a, 0.3 - 0.2 * a, epsilon=1e-12)) == pytest.approx(0, abs=1e-5)
    assert float(losses.local_ncc(a, smooth_image(1, (24, 24), seed=5))) > 0.3


def test_local_ncc_of_single_precision_is_accurate_on_a_bright_background() -> None:
    a, b = smooth_image(1, (32, 32)), smooth_image(1, (32, 32), seed=1)
    exact = losses.local_ncc(a, b)
    bright = losses.local_ncc((a + 100).float(), (b + 100).float())
    assert float(bright) == pytest.approx(float(exact), abs=2e-3)


def test_a_stride_thins_the_windows_out() -> None:
    a, b = smooth_image(1, (25, 26)), smooth_image(1, (25, 26), seed=1)
    for similarity in (losses.ssim_map, losses.local_ncc_map):
        torch.testing.assert_close(similarity(a, b, stride=2), similarity(a, b)[..., ::2, ::2])


def joint_images(table: list[list[int]], bins: int) -> tuple[Tensor, Tensor]:
    """Two images whose joint histogram over bin centres is the table."""
    pairs = [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
    values = torch.tensor(pairs, dtype=torch.float64) / (bins - 1)
    return values[:, 0].view(1, 1, 1, -1), values[:, 1].view(1, 1, 1, -1)


def test_mutual_information_of_values_at_bin_centres_is_that_of_the_table() -> None:
    table = [[8, 1, 0, 1], [2, 6, 1, 1], [0, 0, 9, 3], [1, 2, 0, 5]]
    a, b = joint_images(table, 4)
    p = np.array(table) / np.sum(table)
    outer = p.sum(axis=1, keepdims=True) * p.sum(axis=0, keepdims=True)
    expected = float((p[p > 0] * np.log(p[p > 0] / outer[p > 0])).sum())
    assert float(losses.mutual_information(a, b, 4, sigma=0.05)) == pytest.approx(-expected, abs=1e-9)


def test_mutual_information_of_values_at_bin_centres_agrees_with_monai() -> None:
    bins = 12
    a = (smooth_image(1, (40, 40)) * (bins - 1)).round() / (bins - 1)
    b = (smooth_image(1, (40, 40), sigma=1.0) * (bins - 1)).round() / (bins - 1)
    theirs = GlobalMutualInformationLoss(num_bins=bins, sigma_ratio=0.5)(a, b)
    assert float(losses.mutual_information(a, b, bins)) == pytest.approx(float(theirs), abs=1e-4)
    assert float(theirs) < -0.1


def test_mutual_information_of_any_values_ranks_images_as_monai_does() -> None:
    a = smooth_image(1, (40, 40))
    noise = rand(1, 1, 40, 40, seed=7)
    ours, theirs = [], []
    for share in np.linspace(0.05, 0.8, 8):
        b = (1 - share) * a + share * noise
        ours.append(float(losses.mutual_information(a, b, 24)))
        theirs.append(float(GlobalMutualInformationLoss(num_bins=24)(a, b)))
    assert ours == sorted(ours)
    assert theirs == sorted(theirs)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.98


def test_mutual_information_does_not_see_a_swap_of_contrast() -> None:
    a, b = smooth_image(1, (30, 30)), smooth_image(1, (30, 30), seed=1)
    torch.testing.assert_close(losses.mutual_information(a, 1 - b), losses.mutual_information(a, b))


def test_mutual_information_with_a_flat_image_is_zero() -> None:
    value = losses.mutual_information(smooth_image(1, (30, 30)), torch.full((1, 1, 30, 30), 0.4).double())
    assert float(value) == pytest.approx(0, abs=1e-9)


def test_mutual_information_clamps_what_lies_outside_the_range() -> None:
    a, b = smooth_image(1, (20, 20)), smooth_image(1, (20, 20), seed=1)
    wide = (a * 1.5 - 0.25).requires_grad_()
    value = losses.mutual_information(wide, b)
    torch.testing.assert_close(value, losses.mutual_information(wide.clamp(0, 1), b))
    (gradient,) = torch.autograd.grad(value, wide)
    outside = (wide < 0) | (wide > 1)
    assert bool(outside.any())
    assert not gradient[outside].any()


@pytest.mark.parametrize(("bins", "sigma"), [(1, 0.5), (16, 0.0), (16, -1.0)])
def test_mutual_information_needs_bins_and_a_width(bins: int, sigma: float) -> None:
    with pytest.raises(ValueError, match="at least 2 bins and a positive sigma"):
        losses.mutual_information(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4), bins, sigma=sigma)


# -------------------- what all losses of fields share


@pytest.mark.parametrize("name", FIELD_LOSSES)
@pytest.mark.parametrize("shape", SHAPES)
def test_field_values_per_sample_are_those_of_each_sample_alone(name: str, shape: tuple[int, ...]) -> None:
    field = random_field(3, shape)
    each = FIELD_LOSSES[name](field, reduction="none")
    alone = torch.stack([FIELD_LOSSES[name](field[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(each, alone)
    torch.testing.assert_close(FIELD_LOSSES[name](field), each.mean())


@pytest.mark.parametrize("name", FIELD_LOSSES)
@pytest.mark.parametrize("spacing", [None, (8.0, 1.4, 1.9)])
def test_axes_in_another_order_do_not_change_a_loss(name: str, spacing: tuple[float, float, float] | None) -> None:
    field = random_field(2, (6, 9, 8))
    order = [2, 0, 1]
    turned = field.permute(0, 1, *[i + 2 for i in order])[:, order]
    turned_spacing = None if spacing is None else [spacing[i] for i in order]
    loss = FIELD_LOSSES[name]
    torch.testing.assert_close(loss(turned, turned_spacing), loss(field, spacing))


@pytest.mark.parametrize("name", FIELD_LOSSES)
def test_a_single_slice_counts_as_its_plane(name: str) -> None:
    flat = random_field(2, (12, 10))
    stacked = torch.cat([torch.zeros_like(flat[:, :1]), flat], dim=1)[:, :, None]
    expected = FIELD_LOSSES[name](flat, (1.5, 1.2))
    # The mean squared gradient is a mean over differences that exist: through the slice there are none.
    torch.testing.assert_close(FIELD_LOSSES[name](stacked, (8.0, 1.5, 1.2)), expected)


@pytest.mark.parametrize("name", FIELD_LOSSES)
@pytest.mark.parametrize("shape", [(5, 6), (3, 4, 5), (1, 5, 4), (2, 5, 4)])
def test_gradients_of_losses_of_fields(name: str, shape: tuple[int, ...]) -> None:
    field = random_field(2, shape).requires_grad_()
    spacing = (5.0, 1.5, 1.2)[-len(shape) :]
    assert torch.autograd.gradcheck(lambda u: FIELD_LOSSES[name](u, spacing, reduction="none"), (field,))


@pytest.mark.parametrize("name", FIELD_LOSSES)
def test_what_is_no_field_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"a displacement field is .* got \(1, 3, 8, 8\)"):
        FIELD_LOSSES[name](torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match="one per axis"):
        FIELD_LOSSES[name](torch.zeros(1, 2, 8, 8), (1.0, 1.0, 1.0))


# -------------------- each loss of fields

MATRIX = torch.tensor([[0.1, 0.0, -0.2], [0.05, -0.1, 0.0], [0.0, 0.3, 0.15]], dtype=torch.float64)


# MONAI's loss indexes with a list, of which torch warns.
@pytest.mark.filterwarnings("ignore:Using a non-tuple sequence:UserWarning")
def test_gradient_smoothness_of_a_linear_field_is_the_norm_of_its_matrix() -> None:
    for dims, shape in ((2, (7, 9)), (3, (5, 7, 6))):
        matrix = MATRIX[:dims, :dims]
        field = linear_field(shape, matrix)
        expected = float((matrix**2).sum())
        assert float(losses.gradient_smoothness(field)) == pytest.approx(expected)
        # MONAI takes the mean over components where we take the sum.
        assert dims * float(DiffusionLoss()(field)) == pytest.approx(expected)


def test_gradient_smoothness_in_mm_is_that_of_the_physical_matrix() -> None:
    spacing = torch.tensor([8.0, 1.4, 1.9], dtype=torch.float64)
    physical = spacing[:, None] * MATRIX / spacing
    value = losses.gradient_smoothness(linear_field((5, 7, 6), MATRIX), spacing.tolist())
    assert float(value) == pytest.approx(float((physical**2).sum()))


def test_gradient_smoothness_sees_a_checkerboard() -> None:
    parity = fields.identity_grid((8, 8)).sum(dim=0) % 2
    field = torch.stack([parity, parity])[None]
    assert float(losses.gradient_smoothness(field)) == pytest.approx(4)
    assert float(losses.laplacian_smoothness(field)) > 10


@pytest.mark.parametrize("spacing", [None, (8.0, 1.4, 1.9)])
def test_laplacian_smoothness_is_zero_for_linear_fields_borders_included(
    spacing: tuple[float, float, float] | None,
) -> None:
    for shape in ((5, 7, 6), (1, 7, 6), (2, 7, 6)):
        field = linear_field(shape, MATRIX)
        assert float(losses.laplacian_smoothness(field, spacing)) == pytest.approx(0, abs=1e-20)
    flat = linear_field((7, 6), MATRIX[1:, 1:])
    assert float(losses.laplacian_smoothness(flat, spacing and spacing[1:])) == pytest.approx(0, abs=1e-20)
    assert float(losses.gradient_smoothness(flat)) > 0.01


def test_the_laplacian_agrees_with_scipy_and_the_formula() -> None:
    field = random_field(1, (6, 9, 8))
    expected = np.stack([laplace(component) for component in field[0].numpy()])
    inside = (..., slice(1, -1), slice(1, -1), slice(1, -1))
    np.testing.assert_allclose(losses.laplacian(field)[0].numpy()[inside], expected[inside], atol=1e-12)
    # u_x = x^2 / 2 in mm has the Laplacian 1 / mm, whatever the voxels.
    spacing = (1.5, 0.8)
    x = fields.identity_grid((6, 7), like=field)[1] * spacing[1]
    parabola = fields.to_voxels(torch.stack([torch.zeros_like(x), x**2 / 2])[None], spacing)
    value = losses.laplacian(parabola, spacing)
    torch.testing.assert_close(value[:, 1, :, 1:-1], torch.ones_like(value[:, 1, :, 1:-1]))
    assert not value[:, 0].any()


def test_huber_smoothness_by_hand() -> None:
    constant = torch.full((1, 2, 6, 7), 3.0, dtype=torch.float64)
    assert float(losses.huber_smoothness(constant)) == pytest.approx(0.1)
    field = torch.zeros(1, 2, 2, 2, dtype=torch.float64)
    field[0, :, 0, 0] = torch.tensor([3.0, 4.0])
    # At the corner both differences are (3, 4), everywhere else there are none.
    expected = (math.sqrt(0.01 + 50) + 3 * 0.1) / 4
    assert float(losses.huber_smoothness(field)) == pytest.approx(expected)
    # With voxels of 2 mm x 1 mm the displacement is (6, 4) mm and changes over 2 mm along y, over 1 mm along x.
    in_mm = (math.sqrt(0.01 + 52 / 4 + 52) + 3 * 0.1) / 4
    assert float(losses.huber_smoothness(field, (2.0, 1.0))) == pytest.approx(in_mm)


def test_huber_smoothness_grows_linearly_where_the_gradient_is_large() -> None:
    field = linear_field((8, 8), 10 * MATRIX[:2, :2])
    small, large = (float(losses.huber_smoothness(field * f, epsilon=1e-6)) for f in (1, 7))
    assert large / small == pytest.approx(7, rel=1e-3)


def test_temporal_huber_by_hand() -> None:
    sequence = torch.zeros(2, 3, 2, 4, 5, dtype=torch.float64)
    sequence[0, 1, 0] = 3.0
    sequence[0, 1, 1] = 4.0
    # The first sequence jumps by 5 and back, the second stands still.
    expected = torch.tensor([math.sqrt(0.01 + 25), 0.1], dtype=torch.float64)
    torch.testing.assert_close(losses.temporal_huber(sequence, reduction="none"), expected)
    torch.testing.assert_close(losses.temporal_huber(sequence), expected.mean())
    in_mm = losses.temporal_huber(sequence, (2.0, 1.0), reduction="none")
    assert float(in_mm[0]) == pytest.approx(math.sqrt(0.01 + 36 + 16))
    assert torch.autograd.gradcheck(losses.temporal_huber, (rand(1, 3, 3, 1, 4, 3).requires_grad_(),))


@pytest.mark.parametrize("shape", [(1, 1, 2, 4, 4), (1, 3, 3, 4, 4), (3, 2, 4, 4)])
def test_temporal_huber_needs_the_fields_of_two_frames(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="fields of at least 2 frames"):
        losses.temporal_huber(torch.zeros(shape))


def test_inverse_consistency_by_hand() -> None:
    forward = torch.zeros(2, 2, 8, 9, dtype=torch.float64)
    forward[:, 0], forward[:, 1] = 1.5, -2.0
    backward = -forward
    assert float(losses.inverse_consistency(forward, backward)) == pytest.approx(0, abs=1e-20)
    backward[1] = 0
    each = losses.inverse_consistency(forward, backward, reduction="none")
    torch.testing.assert_close(each, torch.tensor([0.0, 2 * (1.5**2 + 2.0**2)], dtype=torch.float64))
    in_mm = losses.inverse_consistency(forward, backward, (2.0, 0.5), reduction="none")
    assert float(in_mm[1]) == pytest.approx(2 * (3.0**2 + 1.0**2))


def test_inverse_consistency_is_small_for_an_inverse_and_treats_both_ways_alike() -> None:
    hill = torch.sin(math.pi * (torch.arange(32, dtype=torch.float64) + 0.5) / 32)
    velocity = fields.gaussian_smooth(random_field(1, (32, 32)), 3.0) * 8 * hill * hill[:, None]
    forward = fields.exponential(velocity, steps=8)
    backward = fields.exponential(-velocity, steps=8)
    value = losses.inverse_consistency(forward, backward)
    torch.testing.assert_close(losses.inverse_consistency(backward, forward), value)
    assert float(value) < 0.01 * float(losses.displacement_magnitude(forward))
    assert float(losses.inverse_consistency(forward, forward)) > 100 * float(value)


def test_inverse_consistency_has_gradients_and_refuses_fields_of_two_grids() -> None:
    forward = (0.2 + 0.05 * rand(2, 2, 5, 6)).requires_grad_()
    backward = (-0.3 + 0.05 * rand(2, 2, 5, 6, seed=1)).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda f, b: losses.inverse_consistency(f, b, (1.5, 1.2), reduction="none"), (forward, backward)
    )
    with pytest.raises(ValueError, match="two fields of one shape"):
        losses.inverse_consistency(forward, backward[..., :5])


def test_displacement_magnitude_by_hand() -> None:
    field = torch.zeros(1, 2, 4, 5)
    field[:, 0], field[:, 1] = 3.0, 4.0
    assert float(losses.displacement_magnitude(field)) == pytest.approx(25)
    # In the canonical range from -1 to 1 a voxel is 2 / n long.
    assert float(losses.displacement_magnitude(field, (2 / 4, 2 / 5))) == pytest.approx(1.5**2 + 1.6**2)


def test_a_window_may_differ_from_axis_to_axis() -> None:
    image = torch.rand(1, 1, 5, 6, 7, generator=torch.Generator().manual_seed(3))
    flat = losses.window_mean(image, (1, 3, 5))
    for z in range(5):
        expected = losses.window_mean(image[:, :, z], (3, 5))
        torch.testing.assert_close(flat[:, :, z], expected)
    assert flat[0, 0, 2, 3, 3] == pytest.approx(image[0, 0, 2, 2:5, 1:6].mean().item(), abs=1e-6)
    with pytest.raises(ValueError, match="odd window"):
        losses.window_mean(image, (3, 5))
