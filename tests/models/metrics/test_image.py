"""Likeness of images."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from cardiac_motion.errors import InputError
from cardiac_motion.metrics import rmse, ssim_per_slice, ssim_slices
from monai.metrics import SSIMMetric
from scipy.ndimage import gaussian_filter


def images(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = gaussian_filter(generator.random((3, 30, 34)), (0, 1, 1)) * 200
    return truth, truth + generator.normal(0, 5, truth.shape)


def test_rmse_by_hand_and_in_a_mask() -> None:
    truth = np.array([[0.0, 1.0], [2.0, 3.0]])
    image = np.array([[0.0, 4.0], [2.0, -1.0]])
    assert rmse(truth, image) == pytest.approx(2.5)
    assert rmse(truth, image, truth < 2) == pytest.approx(math.sqrt(9 / 2))
    assert math.isnan(rmse(truth, image, np.zeros((2, 2))))
    stack = np.stack([truth, truth])
    assert rmse(stack, np.stack([image, image]), truth < 2) == pytest.approx(math.sqrt(9 / 2))


def test_rmse_of_whole_numbers_does_not_overflow() -> None:
    truth = np.zeros((4, 4), dtype=np.uint8)
    assert rmse(truth, np.full((4, 4), 200, dtype=np.uint8)) == pytest.approx(200)


def test_ssim_agrees_with_monai_slice_by_slice() -> None:
    truth, image = images()
    data_range = float(truth.max() - truth.min())
    pair = [torch.from_numpy(stack)[:, None] for stack in (image, truth)]
    theirs = SSIMMetric(2, data_range=data_range)(*pair)
    assert isinstance(theirs, torch.Tensor)
    expected = theirs[:, 0].numpy()
    np.testing.assert_allclose(ssim_per_slice(truth, image), expected, atol=1e-4)
    assert ssim_slices(truth, image) == pytest.approx(np.mean(expected), abs=1e-4)
    assert 0.3 < ssim_slices(truth, image) < 0.95


def test_ssim_of_an_image_with_itself_is_one_and_does_not_depend_on_the_scale() -> None:
    truth, image = images()
    np.testing.assert_allclose(ssim_per_slice(truth, truth), 1)
    np.testing.assert_allclose(ssim_per_slice(truth / 1000, image / 1000), ssim_per_slice(truth, image))
    assert ssim_slices(truth, truth.max() - truth) < 0


def test_the_range_is_that_of_the_truth_unless_given() -> None:
    truth, image = images()
    extent = float(truth.max() - truth.min())
    assert ssim_slices(truth, image, data_range=extent) == ssim_slices(truth, image)
    assert ssim_slices(truth, image, data_range=10 * extent) > ssim_slices(truth, image)


def test_images_that_do_not_fit_are_refused() -> None:
    truth, image = images()
    with pytest.raises(InputError, match="two images of one shape"):
        rmse(truth, image[:2])
    with pytest.raises(InputError, match="at least 11 x 11 pixels"):
        ssim_per_slice(truth[:, :10], image[:, :10])
    with pytest.raises(InputError, match="at least 11 x 11 pixels"):
        ssim_per_slice(truth[0], image[0])
    with pytest.raises(InputError, match="range of intensities must be positive, got 0"):
        ssim_slices(np.zeros((1, 12, 12)), np.zeros((1, 12, 12)))
