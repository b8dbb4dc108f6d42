"""Displacement fields beside SimpleITK's, and their physical meaning under flips, permutations and spacing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk  # noqa: N813 - the customary name
import torch
from cardiac_motion import fields
from torch import Tensor

SHAPE = (9, 22, 26)
SPACING = (8.0, 1.4, 1.9)
OBLIQUE = np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])
"""A rotation; its columns are the directions of the x, y and z axes in LPS."""


def smooth_field(shape: tuple[int, ...], amplitude: float = 1.5, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(1, len(shape), *shape, generator=generator, dtype=torch.float64)
    field = fields.gaussian_smooth(noise, 2.0)
    return field * (amplitude / field.abs().max())


def image_of(array: npt.NDArray[np.float64], spacing: tuple[float, ...], direction: npt.ArrayLike) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing[::-1])
    image.SetOrigin((12.0, -40.0, 7.5)[: len(spacing)])
    image.SetDirection(np.asarray(direction).ravel().tolist())
    return image


def displacement_image(field: Tensor, spacing: tuple[float, ...], direction: npt.ArrayLike) -> sitk.Image:
    """The field as SimpleITK has it: vectors (x, y, z) in mm along the world's axes."""
    mm = fields.to_mm(field, spacing)[0].numpy()
    vectors = np.moveaxis(mm[::-1], 0, -1) @ np.asarray(direction).T
    image = sitk.GetImageFromArray(np.ascontiguousarray(vectors), isVector=True)
    template = image_of(mm[0], spacing, direction)
    image.CopyInformation(template)
    return image


@pytest.mark.parametrize("direction", [np.eye(3), OBLIQUE], ids=["aligned", "oblique"])
@pytest.mark.parametrize("interpolation", ["linear", "nearest"])
def test_warp_agrees_with_simpleitk_in_3d(direction: npt.NDArray[np.float64], interpolation: str) -> None:
    field = smooth_field(SHAPE)
    values = np.random.default_rng(0).random(SHAPE)
    image = image_of(values, SPACING, direction)
    transform = sitk.DisplacementFieldTransform(displacement_image(field, SPACING, direction))
    interpolator = sitk.sitkLinear if interpolation == "linear" else sitk.sitkNearestNeighbor
    expected = sitk.GetArrayFromImage(sitk.Resample(image, image, transform, interpolator, -1.0))
    mode: fields.Interpolation = "linear" if interpolation == "linear" else "nearest"
    result = fields.warp(torch.from_numpy(values)[None, None], field, interpolation=mode)[0, 0].numpy()
    inside = expected >= 0  # SimpleITK has no value outside the image; we repeat the border
    assert inside.mean() > 0.7
    agree = np.isclose(result, expected, atol=1e-9)[inside]
    # Where a point lies half-way between voxels to the last digit, nearest may go either way.
    assert agree.all() if interpolation == "linear" else agree.mean() > 0.9999


def test_warp_agrees_with_simpleitk_in_2d() -> None:
    shape, spacing = (30, 25), (1.3, 1.8)
    field = smooth_field(shape, seed=4)
    values = np.random.default_rng(1).random(shape)
    image = image_of(values, spacing, np.eye(2))
    transform = sitk.DisplacementFieldTransform(displacement_image(field, spacing, np.eye(2)))
    expected = sitk.GetArrayFromImage(sitk.Resample(image, image, transform, sitk.sitkLinear, -1.0))
    result = fields.warp(torch.from_numpy(values)[None, None], field)[0, 0].numpy()
    inside = expected >= 0
    assert inside.mean() > 0.8
    np.testing.assert_allclose(result[inside], expected[inside], atol=1e-9)


def test_points_agree_with_simpleitk() -> None:
    field = smooth_field(SHAPE)
    displacement = displacement_image(field, SPACING, OBLIQUE)
    template = image_of(np.zeros(SHAPE), SPACING, OBLIQUE)
    transform = sitk.DisplacementFieldTransform(displacement)
    points = np.array([[4.0, 10.0, 12.0], [2.5, 6.25, 20.75], [6.1, 15.5, 3.3]])
    ours = fields.warp_points(torch.from_numpy(points), field).numpy()
    for point, expected in zip(points, ours, strict=True):
        world = template.TransformContinuousIndexToPhysicalPoint(point[::-1].tolist())
        moved = template.TransformPhysicalPointToContinuousIndex(transform.TransformPoint(world))
        np.testing.assert_allclose(moved[::-1], expected, atol=1e-6)


def test_composition_agrees_with_simpleitk() -> None:
    outer, inner = smooth_field(SHAPE, seed=1), smooth_field(SHAPE, seed=2)
    both = sitk.CompositeTransform(
        [  # the one added last acts first
            sitk.DisplacementFieldTransform(displacement_image(outer, SPACING, np.eye(3))),
            sitk.DisplacementFieldTransform(displacement_image(inner, SPACING, np.eye(3))),
        ]
    )
    template = image_of(np.zeros(SHAPE), SPACING, np.eye(3))
    as_field = sitk.TransformToDisplacementField(
        both, sitk.sitkVectorFloat64, template.GetSize(), template.GetOrigin(), template.GetSpacing()
    )
    expected = np.moveaxis(sitk.GetArrayFromImage(as_field), -1, 0)[::-1]
    result = fields.to_mm(fields.compose(outer, inner), SPACING)[0].numpy()
    interior = (slice(None), slice(2, -2), slice(2, -2), slice(2, -2))
    np.testing.assert_allclose(result[interior], expected[interior], atol=1e-6)


@pytest.mark.parametrize(("shape", "spacing"), [(SHAPE, SPACING), ((30, 25), (1.3, 1.8))])
def test_the_jacobian_determinant_agrees_with_simpleitk(
    shape: tuple[int, ...], spacing: tuple[float, ...]
) -> None:
    field = smooth_field(shape)
    displacement = displacement_image(field, spacing, np.eye(len(shape)))
    expected = sitk.GetArrayFromImage(sitk.DisplacementFieldJacobianDeterminant(displacement))
    result = fields.jacobian_determinant(field)[0].numpy()
    interior = tuple(slice(1, -1) for _ in shape)  # the two treat the borders in different ways
    assert expected[interior].std() > 0.05
    np.testing.assert_allclose(result[interior], expected[interior], atol=1e-6)


# -------------------- geometry


def flipped(array: Tensor, axis: int, *, is_field: bool) -> Tensor:
    """The same image or field on a grid that counts one axis the other way."""
    result = array.flip(axis + 2)
    if is_field:
        result = result.clone()
        result[:, axis] *= -1
    return result


def permuted(array: Tensor, order: tuple[int, ...], *, is_field: bool) -> Tensor:
    """The same image or field with its axes in another order."""
    result = array.permute(0, 1, *[i + 2 for i in order])
    return result[:, list(order)] if is_field else result


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_flipping_the_grid_changes_nothing_physical(axis: int) -> None:
    shape = (6, 9, 8)
    image = torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    field, other = smooth_field(shape), smooth_field(shape, seed=1)
    mirrored, mirrored_other = flipped(field, axis, is_field=True), flipped(other, axis, is_field=True)

    warped = fields.warp(flipped(image, axis, is_field=False), mirrored)
    torch.testing.assert_close(warped, flipped(fields.warp(image, field), axis, is_field=False))
    for function in (fields.exponential, lambda u: fields.invert(u).field):
        torch.testing.assert_close(function(mirrored), flipped(function(field), axis, is_field=True))
    composed = flipped(fields.compose(field, other), axis, is_field=True)
    torch.testing.assert_close(fields.compose(mirrored, mirrored_other), composed)
    for measure in (fields.jacobian_determinant, fields.smallest_corner_jacobian):
        torch.testing.assert_close(measure(mirrored), measure(field).flip(axis + 1))


@pytest.mark.parametrize("order", [(0, 2, 1), (2, 1, 0), (1, 2, 0)])
def test_permuting_the_axes_changes_nothing_physical(order: tuple[int, ...]) -> None:
    shape = (6, 9, 8)
    image = torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    field = smooth_field(shape)
    turned = permuted(field, order, is_field=True)

    warped = fields.warp(permuted(image, order, is_field=False), turned)
    torch.testing.assert_close(warped, permuted(fields.warp(image, field), order, is_field=False))
    torch.testing.assert_close(
        fields.exponential(turned), permuted(fields.exponential(field), order, is_field=True)
    )
    spacing = (8.0, 1.4, 1.9)
    torch.testing.assert_close(
        fields.to_mm(turned, [spacing[i] for i in order]),
        permuted(fields.to_mm(field, spacing), order, is_field=True),
    )
    torch.testing.assert_close(
        fields.smallest_corner_jacobian(turned),
        permuted(fields.smallest_corner_jacobian(field)[:, None], order, is_field=False)[:, 0],
    )


def test_the_same_physical_motion_on_a_finer_grid_moves_to_the_same_places() -> None:
    # A linear motion in mm, sampled on two grids over the same extent.
    coarse, fine, extent = (8, 24, 20), (8, 48, 60), (64.0, 36.0, 30.0)
    strain = torch.tensor([[0.02, 0.0, 0.1], [0.0, -0.15, 0.05], [0.0, 0.08, 0.1]], dtype=torch.float64)

    def sampled(shape: tuple[int, ...]) -> tuple[Tensor, tuple[float, ...]]:
        spacing = tuple(e / n for e, n in zip(extent, shape, strict=True))
        steps = torch.tensor(spacing, dtype=torch.float64).view(3, 1, 1, 1)
        places = (fields.identity_grid(shape, like=torch.zeros((), dtype=torch.float64)) + 0.5) * steps
        middle = torch.tensor(extent, dtype=torch.float64).view(3, 1, 1, 1) / 2
        motion = torch.einsum("ij,jzyx->izyx", strain, places - middle)[None]
        return fields.to_voxels(motion, spacing), spacing

    (field, spacing), (fine_field, fine_spacing) = sampled(coarse), sampled(fine)
    resampled = fields.resample(field, fine)
    interior = (..., slice(1, -1), slice(3, -3), slice(3, -3))
    torch.testing.assert_close(resampled[interior], fine_field[interior])
    for measure in (fields.exponential, lambda u: fields.invert(u, iterations=100, tolerance=1e-8).field):
        on_fine = fields.to_mm(measure(fine_field), fine_spacing)
        on_coarse = fields.to_mm(fields.resample(measure(field), fine), spacing=fine_spacing)
        # Both are exact for linear motion up to the squaring's step, which differs between the grids.
        middle = (..., slice(2, -2), slice(12, -12), slice(15, -15))
        torch.testing.assert_close(on_fine[middle], on_coarse[middle], atol=0.05, rtol=0)
    torch.testing.assert_close(
        fields.jacobian_matrix(fine_field, fine_spacing)[..., 4, 20, 20],
        fields.jacobian_matrix(field, spacing)[..., 4, 10, 7],
    )
