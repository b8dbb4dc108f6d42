"""Deformable convolution against ordinary convolution, shifts, numerical gradients and torchvision's operator."""

from __future__ import annotations

import importlib.util
import itertools
import math

import pytest
import torch
from cardiac_motion.networks.deformable import DeformableConv, deform_conv2d
from torch.nn import functional as nn_functional


def _random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize(("size", "padding", "dilation"), [(3, 1, 1), (3, 0, 1), (5, 2, 1), (3, 2, 2), (1, 0, 1)])
def test_zero_offsets_are_an_ordinary_convolution(size: int, padding: int, dilation: int) -> None:
    x, weight, bias = _random(2, 4, 9, 11), _random(6, 4, size, size, seed=1), _random(6, seed=2)
    expected = nn_functional.conv2d(x, weight, bias, padding=padding, dilation=dilation)
    offset = torch.zeros(2, 2 * size * size, *expected.shape[2:], dtype=x.dtype)
    found = deform_conv2d(x, offset, weight, bias, padding=padding, dilation=dilation)
    torch.testing.assert_close(found, expected)


def test_an_image_of_one_row_is_convolved_like_any_other() -> None:
    x, weight = _random(1, 2, 1, 6), _random(3, 2, 3, 3, seed=1)
    found = deform_conv2d(x, torch.zeros(1, 18, 1, 6, dtype=x.dtype), weight, padding=1)
    torch.testing.assert_close(found, nn_functional.conv2d(x, weight, padding=1))


def test_whole_offsets_are_shifts_with_zeros_beyond_the_image() -> None:
    x = _random(1, 2, 8, 9)
    offset = torch.zeros(1, 2, 8, 9, dtype=x.dtype)
    offset[:, 0], offset[:, 1] = 2, -1
    found = deform_conv2d(x, offset, torch.eye(2, dtype=x.dtype)[:, :, None, None])
    expected = torch.zeros_like(x)
    expected[:, :, :-2, 1:] = x[:, :, 2:, :-1]
    torch.testing.assert_close(found, expected)


def test_every_tap_and_group_has_an_offset_of_its_own() -> None:
    x = _random(1, 4, 7, 7)
    weight = torch.zeros(1, 4, 3, 3, dtype=x.dtype)
    weight[0, 3, 2, 0] = 1  # one tap: a row below, a column before
    offset = torch.zeros(1, 2, 9, 2, 7, 7, dtype=x.dtype)
    offset[0, 1, 6, 1] = 1  # of the second group, its tap (2, 0): one column on
    found = deform_conv2d(x, offset.reshape(1, 36, 7, 7), weight, padding=1)
    expected = torch.zeros_like(x[:, :1])
    expected[0, 0, :-1] = x[0, 3, 1:]
    torch.testing.assert_close(found, expected)


def test_offsets_between_pixels_are_bilinear() -> None:
    x = torch.arange(12, dtype=torch.float64).reshape(1, 1, 3, 4)
    offset = torch.zeros(1, 2, 3, 4, dtype=x.dtype)
    offset[:, 0], offset[:, 1] = 0.25, 0.5
    found = deform_conv2d(x, offset, torch.ones(1, 1, 1, 1, dtype=x.dtype))
    assert float(found[0, 0, 1, 1]) == pytest.approx(5 + 0.25 * 4 + 0.5)
    assert float(found[0, 0, 2, 1]) == pytest.approx(0.75 * 9.5)  # a quarter of it lies beyond the image


@pytest.mark.parametrize(("dtype", "share"), [(torch.float16, 2e-3), (torch.bfloat16, 1e-2)])
def test_half_precision_rounds_values_and_never_places(dtype: torch.dtype, share: float) -> None:
    x, weight = (_random(*shape, seed=i).to(dtype) for i, shape in enumerate([(1, 4, 96, 128), (2, 4, 3, 3)]))
    offset = _random(1, 18, 96, 128, seed=2).to(dtype)
    found = deform_conv2d(x, offset, weight, padding=1)
    expected = deform_conv2d(x.double(), offset.double(), weight.double(), padding=1)
    assert found.dtype == dtype
    assert float((found.double() - expected).abs().mean() / expected.abs().mean()) < share


def test_gradients() -> None:
    x, weight = _random(1, 2, 4, 5), _random(2, 2, 3, 3, seed=1)
    # Away from whole numbers, at which bilinear values have a kink.
    offset = 0.2 + 0.5 * torch.rand(1, 36, 4, 5, generator=torch.Generator().manual_seed(3), dtype=x.dtype)
    inputs = [each.requires_grad_() for each in (x, offset, weight)]
    assert torch.autograd.gradcheck(lambda a, b, c: deform_conv2d(a, b, c, padding=1), inputs)


def _sampled(plane: torch.Tensor, y: float, x: float) -> float:
    """Bilinear value between pixels, zero beyond the image; one at a time."""
    total = 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < plane.shape[0] and 0 <= column < plane.shape[1]:
                total += (1 - abs(y - row)) * (1 - abs(x - column)) * float(plane[row, column])
    return total


def test_equals_what_the_definition_says_place_by_place() -> None:
    x, weight = _random(1, 4, 6, 5), _random(2, 4, 3, 3, seed=1)
    offset = 2 * _random(1, 36, 4, 3, seed=2)
    found = deform_conv2d(x, offset, weight, padding=1, dilation=2)
    moved = offset.reshape(2, 9, 2, 4, 3)
    expected = torch.zeros_like(found)
    for j, i, channel, tap in itertools.product(range(4), range(3), range(4), range(9)):
        dy, dx = moved[channel // 2, tap, :, j, i].tolist()
        row, column = j - 1 + 2 * (tap // 3) + dy, i - 1 + 2 * (tap % 3) + dx
        expected[0, :, j, i] += weight[:, channel, tap // 3, tap % 3] * _sampled(x[0, channel], row, column)
    torch.testing.assert_close(found, expected)


@pytest.mark.skipif(importlib.util.find_spec("torchvision") is None, reason="torchvision is not installed")
def test_equals_torchvision() -> None:
    operator = importlib.import_module("torchvision.ops").deform_conv2d
    x, offset, weight = _random(2, 4, 9, 8), 3 * _random(2, 36, 9, 8, seed=1), _random(5, 4, 3, 3, seed=2)
    torch.testing.assert_close(deform_conv2d(x, offset, weight, padding=1), operator(x, offset, weight, padding=1))


@pytest.mark.parametrize(
    ("offset", "weight"),
    [((1, 18, 5, 6), (2, 3, 3, 3)), ((1, 16, 5, 5), (2, 4, 3, 3)), ((1, 54, 5, 5), (2, 4, 3, 3))],
)
def test_shapes_that_do_not_fit_are_refused(offset: tuple[int, ...], weight: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected a square kernel for 4 channels and offsets"):
        deform_conv2d(torch.zeros(1, 4, 5, 5), torch.zeros(offset), torch.zeros(weight), padding=1)


def test_the_layer_starts_as_an_ordinary_convolution_and_learns_to_look_aside() -> None:
    torch.manual_seed(0)
    layer = DeformableConv(1, 1)
    x = torch.randn(2, 1, 12, 12)
    expected = nn_functional.conv2d(x, layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(layer(x), expected)
    layer(x).square().mean().backward()
    assert layer.offsets.bias is not None
    assert layer.offsets.bias.grad is not None
    assert float(layer.offsets.bias.grad.abs().max()) > 0
