from __future__ import annotations

import numpy as np
import pytest
from cardiac_motion.errors import InputError
from cardiac_motion.working_grid import LARGEST_EXTENT_MM, SMALLEST_EXTENT_MM, Region, find_heart, normalise


def _beating_disc(
    centre: tuple[int, int], *, shape: tuple[int, int] = (200, 240), radius: float = 20.0
) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    distance = np.hypot(y - centre[0], x - centre[1])
    frames = [[(distance < radius * s).astype(np.float32)] * 2 for s in (1.0, 0.8, 0.6, 0.8)]
    noise = np.random.default_rng(0).normal(0, 0.02, (4, 2, *shape))
    return (np.array(frames) + noise).astype(np.float32)


@pytest.mark.parametrize("centre", [(100, 120), (80, 150), (130, 100)])
def test_the_region_holds_what_beats(centre: tuple[int, int]) -> None:
    region = find_heart(_beating_disc(centre), (8.0, 1.4, 1.4))
    assert region.y0 < centre[0] - 40 < centre[0] + 40 < region.y1
    assert region.x0 < centre[1] - 40 < centre[1] + 40 < region.x1


@pytest.mark.parametrize("pixel", [0.8, 1.4, 2.5])
def test_its_size_is_in_millimetres(pixel: float) -> None:
    shape = (round(300 / pixel), round(320 / pixel))
    frames = _beating_disc((shape[0] // 2, shape[1] // 2), shape=shape, radius=30 / pixel)
    region = find_heart(frames, (8.0, pixel, pixel))
    for size in region.shape:
        assert SMALLEST_EXTENT_MM - pixel <= size * pixel <= LARGEST_EXTENT_MM + pixel


def test_a_small_image_is_taken_whole() -> None:
    frames = _beating_disc((30, 32), shape=(60, 64), radius=10)
    assert find_heart(frames, (8.0, 1.4, 1.4)) == Region(0, 60, 0, 64)


def test_without_motion_it_is_the_middle() -> None:
    region = find_heart(np.ones((3, 2, 200, 220), np.float32), (8.0, 1.5, 1.5))
    assert abs(region.y0 + region.y1 - 200) <= 1
    assert abs(region.x0 + region.x1 - 220) <= 1


def test_crop_and_embed_are_each_others_inverse_inside() -> None:
    region = Region(3, 9, 2, 7)
    image = np.arange(2 * 12 * 10, dtype=np.float32).reshape(2, 12, 10)
    back = region.embed(region.crop(image), (12, 10))
    assert (region.crop(back) == region.crop(image)).all()
    assert back.sum() == region.crop(image).sum()
    with pytest.raises(ValueError, match="expected an array"):
        region.embed(image, (12, 10))


def test_intensities_are_scaled_between_percentiles() -> None:
    image = np.linspace(-500, 1500, 10_001)
    scaled = normalise(image)
    assert scaled.dtype == np.float32
    assert scaled.min() == 0
    assert scaled.max() == 1
    assert scaled[5000] == pytest.approx(0.5, abs=1e-3)
    assert normalise(3 * image + 7) == pytest.approx(scaled, abs=1e-5)


def test_contrast_in_a_few_voxels_is_enough_and_none_is_an_error() -> None:
    image = np.zeros(1000)
    image[0] = 5
    assert normalise(image)[0] == 1
    with pytest.raises(InputError, match="contrast, every voxel is 3"):
        normalise(np.full(10, 3.0))
