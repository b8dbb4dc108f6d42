"""The algebra of displacement fields: identities, analytic maps, gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from cardiac_motion import fields
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from torch import Tensor

SHAPES = [(13, 17), (7, 11, 9), (1, 12, 10)]
"""2D; 3D; a long-axis cine of one slice."""


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth_field(shape: Sequence[int], *, amplitude: float = 1.0, sigma: float = 2.0, seed: int = 0) -> Tensor:
    """A smooth random field (1, D, *S), float64, largest component equal to the amplitude."""
    noise = torch.randn(1, len(shape), *shape, generator=generator(seed), dtype=torch.float64)
    field = fields.gaussian_smooth(noise, sigma)
    return field * (amplitude / field.abs().max())


def coordinates(shape: Sequence[int]) -> Tensor:
    return fields.identity_grid(shape, like=torch.zeros((), dtype=torch.float64))[None]


def affine_field(shape: Sequence[int], matrix: Tensor, offset: Tensor) -> Tensor:
    """u(x) = (A - 1) (x - centre) + b, in voxels."""
    dims = len(shape)
    centre = torch.tensor([(n - 1) / 2 for n in shape], dtype=torch.float64)
    points = coordinates(shape).reshape(dims, -1) - centre[:, None]
    moved = (matrix - torch.eye(dims, dtype=torch.float64)) @ points + offset[:, None]
    return moved.reshape(1, dims, *shape)


def interior(values: Tensor, margin: int) -> Tensor:
    """Without the margin along each spatial axis that is longer than the two margins."""
    for dim in range(2, values.ndim):
        size = values.shape[dim]
        if size > 2 * margin:
            values = values.narrow(dim, margin, size - 2 * margin)
    return values


# -------------------- the basics


@pytest.mark.parametrize("shape", SHAPES)
def test_a_zero_field_is_the_identity(shape: tuple[int, ...]) -> None:
    image = torch.rand(2, 3, *shape, generator=generator(), dtype=torch.float64)
    zero = torch.zeros(2, len(shape), *shape, dtype=torch.float64)
    torch.testing.assert_close(fields.warp(image, zero), image)
    torch.testing.assert_close(fields.warp(image, zero, interpolation="nearest"), image, rtol=0, atol=0)
    assert not fields.exponential(zero).any()
    assert not fields.compose(zero, zero).any()
    assert not fields.invert(zero).field.any()
    torch.testing.assert_close(fields.jacobian_determinant(zero), torch.ones(2, *shape, dtype=torch.float64))


@pytest.mark.parametrize("shape", SHAPES)
def test_single_precision_keeps_the_identity_to_a_thousandth_of_a_voxel(shape: tuple[int, ...]) -> None:
    ramp = fields.identity_grid(shape)[None]
    warped = fields.warp(ramp, torch.zeros(1, len(shape), *shape))
    assert float((warped - ramp).abs().max()) < 1e-3


def test_identity_grid_counts_voxels_along_each_axis() -> None:
    grid = fields.identity_grid((2, 3, 4))
    assert grid.shape == (3, 2, 3, 4)
    assert grid[:, 1, 2, 3].tolist() == [1, 2, 3]
    assert grid[:, 0, 1, 0].tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("axis", "shape"), [(0, (6, 7)), (1, (6, 7)), (0, (5, 6, 7)), (1, (5, 6, 7)), (2, (5, 6, 7))]
)
def test_a_unit_displacement_pulls_the_next_voxel_and_repeats_the_border(
    axis: int, shape: tuple[int, ...]
) -> None:
    image = torch.rand(1, 1, *shape, generator=generator(), dtype=torch.float64)
    field = torch.zeros(1, len(shape), *shape, dtype=torch.float64)
    field[:, axis] = 1
    dim = axis + 2
    last = image.narrow(dim, shape[axis] - 1, 1)
    expected = torch.cat([image.narrow(dim, 1, shape[axis] - 1), last], dim=dim)
    torch.testing.assert_close(fields.warp(image, field), expected)


def test_half_a_voxel_is_the_mean_of_two() -> None:
    image = torch.tensor([[[[1.0, 5.0, 2.0], [3.0, 3.0, 3.0]]]])
    field = torch.zeros(1, 2, 2, 3)
    field[:, 1] = 0.5
    expected = torch.tensor([[[[3.0, 3.5, 2.0], [3.0, 3.0, 3.0]]]])
    torch.testing.assert_close(fields.warp(image, field), expected)


def test_nearest_interpolation_keeps_label_values() -> None:
    labels = torch.randint(0, 6, (1, 1, 9, 8, 7), generator=generator()).float()
    warped = fields.warp(labels, smooth_field((9, 8, 7), amplitude=3).float(), interpolation="nearest")
    assert set(warped.unique().tolist()) <= {0.0, 1.0, 2.0, 3.0, 4.0, 5.0}
    assert (warped != labels).any()


def test_one_image_is_warped_by_many_fields() -> None:
    image = torch.rand(1, 2, 8, 9, generator=generator(), dtype=torch.float64)
    many = torch.cat([smooth_field((8, 9), seed=s) for s in range(3)])
    together = fields.warp(image, many)
    for i in range(3):
        torch.testing.assert_close(together[i : i + 1], fields.warp(image, many[i : i + 1]))


def test_units_convert_there_and_back() -> None:
    field = smooth_field((4, 5, 6))
    spacing = (10.0, 1.5, 1.25)
    mm = fields.to_mm(field, spacing)
    torch.testing.assert_close(mm[:, 0], field[:, 0] * 10)
    torch.testing.assert_close(mm[:, 2], field[:, 2] * 1.25)
    torch.testing.assert_close(fields.to_voxels(mm, spacing), field)


def test_points_follow_the_field() -> None:
    shape = (6, 9, 8)
    matrix = torch.eye(3, dtype=torch.float64) + torch.tensor([[0.1, 0, 0], [0, 0, 0.2], [0, -0.1, 0]]).double()
    field = affine_field(shape, matrix, torch.tensor([0.5, 0.0, -0.25], dtype=torch.float64))
    points = torch.tensor([[2.5, 3.25, 4.0], [0.0, 8.0, 7.0], [5.0, 0.5, 0.75]], dtype=torch.float64)
    centre = torch.tensor([2.5, 4.0, 3.5], dtype=torch.float64)
    expected = (points - centre) @ matrix.T + centre + torch.tensor([0.5, 0.0, -0.25]).double()
    torch.testing.assert_close(fields.warp_points(points, field), expected)


def test_points_follow_a_field_in_2d() -> None:
    field = smooth_field((8, 9))
    points = torch.tensor([[3.0, 4.0], [7.0, 0.0]], dtype=torch.float64)
    expected = torch.stack([points[0] + field[0, :, 3, 4], points[1] + field[0, :, 7, 0]])
    torch.testing.assert_close(fields.warp_points(points, field), expected)


@pytest.mark.parametrize(
    "wrong", [torch.zeros(1, 3, 5, 5), torch.zeros(1, 2, 5, 5, 5), torch.zeros(2, 5, 5), torch.zeros(1, 1, 5)]
)
def test_what_is_no_field_is_refused_with_its_shape(wrong: Tensor) -> None:
    for function in (fields.exponential, fields.invert, fields.jacobian_matrix, fields.smallest_corner_jacobian):
        with pytest.raises(ValueError, match=r"a displacement field is .* got \("):
            function(wrong)


def test_wrong_numbers_of_values_are_refused() -> None:
    field = torch.zeros(1, 2, 5, 5)
    with pytest.raises(ValueError, match="2 values, one per axis"):
        fields.to_mm(field, (1, 1, 1))
    with pytest.raises(ValueError, match="2 coordinates per point"):
        fields.sample(torch.zeros(1, 1, 5, 5), torch.zeros(1, 3, 4, 4))
    with pytest.raises(ValueError, match="2 non-negative sigmas"):
        fields.gaussian_smooth(field, -1.0)
    with pytest.raises(ValueError, match="2 non-negative sigmas"):
        fields.gaussian_smooth(field, (1.0, 1.0, 1.0))


# -------------------- composition and exp


def test_composition_of_affine_maps_is_their_product() -> None:
    shape = (21, 25)
    outer = torch.tensor([[1.05, 0.02], [-0.03, 0.95]], dtype=torch.float64)
    inner = torch.tensor([[0.9, -0.05], [0.04, 0.92]], dtype=torch.float64)
    shift_outer = torch.tensor([0.3, -0.2], dtype=torch.float64)
    shift_inner = torch.tensor([-0.4, 0.5], dtype=torch.float64)
    composed = fields.compose(affine_field(shape, outer, shift_outer), affine_field(shape, inner, shift_inner))
    expected = affine_field(shape, outer @ inner, outer @ shift_inner + shift_outer)
    torch.testing.assert_close(interior(composed, 1), interior(expected, 1))


@pytest.mark.parametrize("shape", [(24, 26), (14, 16, 15)])
def test_composition_is_what_warping_twice_does(shape: tuple[int, ...]) -> None:
    # A linear image is interpolated without error: warping it by the inner after the outer is one warp by both.
    image = coordinates(shape)
    outer, inner = smooth_field(shape, seed=1), smooth_field(shape, seed=2)
    twice = fields.warp(fields.warp(image, outer), inner)
    once = fields.warp(image, fields.compose(outer, inner))
    torch.testing.assert_close(interior(twice, 3), interior(once, 3))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_constant_velocity_integrates_to_itself_borders_included(shape: tuple[int, ...]) -> None:
    velocity = torch.empty(1, len(shape), *shape, dtype=torch.float64)
    for i, value in enumerate((-3.2, 2.7, 5.1)[: len(shape)]):
        velocity[:, i] = value
    torch.testing.assert_close(fields.exponential(velocity), velocity)
    torch.testing.assert_close(fields.exponential(velocity, steps=7), velocity)


@pytest.mark.parametrize("shape", [(32, 36), (18, 20, 22)])
def test_the_exponentials_of_v_and_minus_v_undo_each_other(shape: tuple[int, ...]) -> None:
    velocity = smooth_field(shape, amplitude=3, sigma=4)
    there, back = fields.exponential(velocity, steps=8), fields.exponential(-velocity, steps=8)
    error = interior(fields.compose(there, back), 4).norm(dim=1)
    assert float(there.abs().max()) > 2
    assert float(error.max()) < 0.06
    assert float(error.mean()) < 0.01


def test_the_exponential_of_a_linear_velocity_is_the_matrix_exponential() -> None:
    shape = (41, 41)
    generator_matrix = torch.tensor([[-0.15, -0.30], [0.25, 0.10]], dtype=torch.float64)
    eye = torch.eye(2, dtype=torch.float64)
    velocity = affine_field(shape, eye + generator_matrix, torch.zeros(2, dtype=torch.float64))
    expected = affine_field(shape, torch.linalg.matrix_exp(generator_matrix), torch.zeros(2, dtype=torch.float64))
    result = fields.exponential(velocity, steps=12)
    # The flow of the outer voxels passes the border, where the velocity is no longer linear.
    torch.testing.assert_close(interior(result, 12), interior(expected, 12), atol=2e-3, rtol=0)


def test_the_default_number_of_squarings_is_fine_enough() -> None:
    velocity = smooth_field((40, 40), amplitude=4, sigma=4)
    error = (fields.exponential(velocity) - fields.exponential(velocity, steps=12)).norm(dim=1)
    assert float(error.max()) < 0.1


@given(st.integers(0, 10_000), st.floats(0.5, 6.0))
@settings(max_examples=15, deadline=None)
def test_the_exponential_of_a_smooth_velocity_has_no_folds(seed: int, amplitude: float) -> None:
    field = fields.exponential(smooth_field((24, 24), amplitude=amplitude, sigma=4, seed=seed))
    assert float(fields.smallest_corner_jacobian(field).min()) > 0


# -------------------- inverse


@pytest.mark.parametrize(
    "matrix",
    [
        [[1.25, 0.0], [0.0, 1.25]],
        [[0.6, 0.0], [0.0, 0.8]],
        [[math.cos(0.6), -math.sin(0.6)], [math.sin(0.6), math.cos(0.6)]],
        [[1.1, 0.5], [-0.2, 2.6]],
        [[0.3, 0.2], [0.0, 0.5]],
    ],
)
def test_the_inverse_of_an_affine_map_is_the_inverse_matrix(matrix: list[list[float]]) -> None:
    shape = (41, 45)
    a = torch.tensor(matrix, dtype=torch.float64)
    shift = torch.tensor([0.7, -1.2], dtype=torch.float64)
    inverse = fields.invert(affine_field(shape, a, shift), iterations=200, tolerance=1e-7)
    inverted = torch.linalg.inv(a)
    expected = affine_field(shape, inverted, -inverted @ shift)
    # Compared where the true inverse stays in the grid; elsewhere there is nothing to compare with.
    valid = fields.stays_inside(expected + 0.5 * expected.sign())
    assert float(valid.double().mean()) > 0.1
    error = (inverse.field - expected).norm(dim=1, keepdim=True)[valid]
    assert float(error.max()) < 1e-5


@pytest.mark.parametrize("shape", [(30, 34), (12, 16, 14), (1, 30, 30)])
def test_the_inverse_undoes_a_smooth_map_and_reports_its_residual(shape: tuple[int, ...]) -> None:
    field = fields.exponential(smooth_field(shape, amplitude=3, sigma=3))
    inverse = fields.invert(field, iterations=100, tolerance=1e-6)
    error = fields.compose(field, inverse.field).norm(dim=1, keepdim=True)
    inside = fields.stays_inside(inverse.field)
    assert inverse.residual < 1e-5
    assert float(error[inside].max()) == pytest.approx(inverse.residual, abs=1e-9)


def test_an_iteration_that_ended_too_soon_says_so() -> None:
    field = fields.exponential(smooth_field((30, 34), amplitude=4, sigma=3))
    early = fields.invert(field, iterations=2)
    error = fields.compose(field, early.field).norm(dim=1, keepdim=True)
    assert early.residual == pytest.approx(float(error[fields.stays_inside(early.field)].max()))
    assert early.residual > 10 * fields.invert(field).residual > 0


def test_an_inverse_that_lies_outside_altogether_has_no_residual() -> None:
    field = torch.full((1, 2, 8, 8), 20.0, dtype=torch.float64)
    assert math.isnan(fields.invert(field).residual)


def test_stays_inside_reaches_to_the_edges_of_the_voxels() -> None:
    field = torch.zeros(1, 2, 4, 1, dtype=torch.float64)
    field[0, 0, :, 0] = torch.tensor([-0.5, -1.6, 0.0, 0.51])
    field[0, 1, 2, 0] = 1e-9  # a single slice stays inside in spite of rounding
    assert fields.stays_inside(field)[0, 0, :, 0].tolist() == [True, False, True, False]


# -------------------- Jacobians


def matrices() -> list[Tensor]:
    return [
        torch.tensor([[1.2, 0.1], [-0.3, 0.8]], dtype=torch.float64),
        torch.tensor([[-1.0, 0.0], [0.0, 1.0]], dtype=torch.float64),
        torch.tensor([[0.9, 0.2, 0.0], [-0.1, 1.1, 0.3], [0.05, 0.0, 1.3]], dtype=torch.float64),
    ]


@pytest.mark.parametrize("matrix", matrices())
def test_an_affine_field_has_its_matrix_as_jacobian_borders_included(matrix: Tensor) -> None:
    shape = (6, 7) if len(matrix) == 2 else (5, 6, 7)
    field = affine_field(shape, matrix, torch.ones(len(matrix), dtype=torch.float64))
    spread = matrix.view(1, *matrix.shape, *([1] * len(shape))).expand(1, *matrix.shape, *shape)
    torch.testing.assert_close(fields.jacobian_matrix(field), spread)
    determinant = torch.linalg.det(matrix).expand(1, *shape)
    torch.testing.assert_close(fields.jacobian_determinant(field), determinant)
    torch.testing.assert_close(fields.smallest_corner_jacobian(field), determinant)


def test_spacing_changes_the_jacobian_matrix_and_not_its_determinant() -> None:
    field = smooth_field((6, 8, 9), amplitude=0.8)
    spacing = (9.0, 1.5, 1.2)
    in_voxels, in_mm = fields.jacobian_matrix(field), fields.jacobian_matrix(field, spacing)
    torch.testing.assert_close(in_mm[:, 0, 2] * 1.2 / 9.0, in_voxels[:, 0, 2])
    torch.testing.assert_close(in_mm[:, 1, 1], in_voxels[:, 1, 1])
    determinant = torch.linalg.det(in_mm.movedim((1, 2), (-2, -1)))
    torch.testing.assert_close(determinant, fields.jacobian_determinant(field))


def test_a_single_slice_has_the_jacobian_of_its_plane() -> None:
    flat = smooth_field((10, 12), amplitude=0.8)
    stacked = torch.cat([torch.zeros_like(flat[:, :1]), flat], dim=1)[:, :, None]
    torch.testing.assert_close(fields.jacobian_determinant(stacked)[:, 0], fields.jacobian_determinant(flat))
    torch.testing.assert_close(
        fields.smallest_corner_jacobian(stacked)[:, 0], fields.smallest_corner_jacobian(flat)
    )


def test_slice_wise_motion_has_the_jacobian_of_its_planes() -> None:
    slices = torch.cat([smooth_field((10, 12), amplitude=0.8, seed=s) for s in range(4)])
    stack = torch.cat([torch.zeros_like(slices[:, :1]), slices], dim=1).movedim(0, 1)[None]
    stacked = fields.smallest_corner_jacobian(stack)[0]
    torch.testing.assert_close(stacked, fields.smallest_corner_jacobian(slices))


@pytest.mark.parametrize("shape", [(8, 9), (4, 6, 5)])
def test_a_checkerboard_folds_everywhere_though_central_differences_see_nothing(shape: tuple[int, ...]) -> None:
    parity = coordinates(shape).sum(dim=1) % 2
    field = torch.zeros(1, len(shape), *shape, dtype=torch.float64)
    field[:, -1] = 0.6 * (1 - 2 * parity)
    central = interior(fields.jacobian_determinant(field)[None], 1)
    torch.testing.assert_close(central, torch.ones_like(central))
    assert (interior(fields.smallest_corner_jacobian(field)[None], 1) < 0).all()


def test_the_smallest_corner_is_never_above_the_mean_of_all() -> None:
    field = smooth_field((12, 14), amplitude=1.5, sigma=1.0)
    assert (fields.smallest_corner_jacobian(field) <= fields.jacobian_determinant(field) + 1e-12).all()


# -------------------- grids and low-pass filtering


@pytest.mark.parametrize("new", [(40, 30), (10, 15), (20, 30), (27, 41)])
def test_an_affine_field_is_resampled_exactly_in_the_interior(new: tuple[int, int]) -> None:
    old = (20, 30)
    matrix = torch.tensor([[1.1, 0.07], [-0.04, 0.93]], dtype=torch.float64)
    shift = torch.tensor([0.4, -0.8], dtype=torch.float64)
    scale = torch.tensor([n / o for n, o in zip(new, old, strict=True)], dtype=torch.float64)
    expected = affine_field(new, scale.diag() @ matrix @ (1 / scale).diag(), scale * shift)
    result = fields.resample(affine_field(old, matrix, shift), new)
    assert result.shape == (1, 2, *new)
    torch.testing.assert_close(interior(result, 2), interior(expected, 2))


def test_resampling_in_3d_keeps_physical_displacements_and_a_single_slice() -> None:
    field = torch.ones(1, 3, 1, 12, 16, dtype=torch.float64)
    result = fields.resample(field, (1, 24, 8))
    assert result.shape == (1, 3, 1, 24, 8)
    for component, value in enumerate((1.0, 2.0, 0.5)):
        torch.testing.assert_close(result[:, component], torch.full_like(result[:, component], value))


def test_resampling_to_the_same_grid_changes_nothing() -> None:
    field = smooth_field((9, 8))
    torch.testing.assert_close(fields.resample(field, (9, 8)), field, rtol=0, atol=0)


@pytest.mark.parametrize("shape", [(40,) * 2, (5, 31, 29)])
def test_gaussian_smoothing_agrees_with_scipy(shape: tuple[int, ...]) -> None:
    image = torch.rand(2, 1, *shape, generator=generator(), dtype=torch.float64)
    sigmas = (1.0, 2.0, 0.7)[-len(shape) :]
    expected = gaussian_filter(
        image.numpy(),
        sigma=(0, 0, *sigmas),
        mode="nearest",
        radius=(0, 0, *(max(1, math.ceil(3 * s)) for s in sigmas)),
    )
    torch.testing.assert_close(fields.gaussian_smooth(image, sigmas), torch.from_numpy(expected))


def test_gaussian_smoothing_keeps_constants_single_slices_and_sigma_zero() -> None:
    image = torch.rand(1, 2, 1, 9, 11, generator=generator(), dtype=torch.float64)
    torch.testing.assert_close(fields.gaussian_smooth(image, 0), image, rtol=0, atol=0)
    torch.testing.assert_close(fields.gaussian_smooth(image, (3, 0, 0)), image, rtol=0, atol=0)
    constant = torch.full_like(image, 0.7)
    torch.testing.assert_close(fields.gaussian_smooth(constant, 2.5), constant)


@pytest.mark.parametrize("dim", [2, 3, 4])
def test_a_matrix_acts_along_the_axis_it_is_given(dim: int) -> None:
    image = torch.rand(2, 3, 4, 5, 6, generator=generator(), dtype=torch.float64)
    matrix = torch.rand(7, image.shape[dim], generator=generator(1), dtype=torch.float64)
    expected = torch.tensordot(image, matrix, dims=([dim], [1])).movedim(-1, dim)
    torch.testing.assert_close(fields.multiply_along(matrix, image, dim), expected)


# -------------------- gradients


@pytest.mark.parametrize("shape", [(5, 6), (3, 4, 5), (1, 4, 5)])
def test_gradients_of_warp_composition_and_exponential(shape: tuple[int, ...]) -> None:
    image = torch.rand(1, 2, *shape, generator=generator(), dtype=torch.float64, requires_grad=True)
    # Positions away from whole numbers, where linear interpolation has a kink, and inside the border.
    noise = torch.rand(1, len(shape), *shape, generator=generator(3), dtype=torch.float64)
    centre = coordinates(shape) - torch.tensor([(n - 1) / 2 for n in shape]).view(1, -1, *([1] * len(shape)))
    field = (-0.3 * centre + 0.11 + 0.05 * noise).requires_grad_()
    other = smooth_field(shape, amplitude=0.2).requires_grad_()
    assert torch.autograd.gradcheck(fields.warp, (image, field))
    assert torch.autograd.gradcheck(fields.compose, (other, field))
    assert torch.autograd.gradcheck(lambda v: fields.exponential(v, steps=2), (field,))
    assert torch.autograd.gradcheck(lambda v: fields.resample(v, [n + 2 for n in shape]), (field,))
    assert torch.autograd.gradcheck(fields.jacobian_determinant, (field,))
    assert torch.autograd.gradcheck(lambda v: fields.gaussian_smooth(v, 0.8), (field,))


def test_the_inverse_can_be_differentiated() -> None:
    field = (0.1 * smooth_field((5, 6))).requires_grad_()
    assert torch.autograd.gradcheck(lambda u: fields.invert(u, iterations=4, tolerance=0).field, (field,))
