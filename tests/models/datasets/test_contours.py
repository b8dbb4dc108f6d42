from __future__ import annotations

import numpy as np
import pytest
from cardiac_motion.datasets.contours import area, coverage, mask_of

from tests.models.datasets.layouts import outline


def circle(x: float, y: float, radius: float, n: int = 720) -> np.ndarray:
    angle = 2 * np.pi * np.arange(n) / n
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)


def test_a_rectangle_between_pixels_covers_their_parts() -> None:
    # From x = 1.25 to 3.5 and y = 0.5 to 2: pixel 1 reaches from 0.5 to 1.5.
    corners = np.array([(1.25, 0.5), (3.5, 0.5), (3.5, 2.0), (1.25, 2.0)])
    across, down = np.array([0, 0.25, 1, 1, 0, 0]), np.array([0, 1, 0.5, 0])
    expected = down[:, None] * across
    for points in (corners, corners[::-1], np.roll(corners, 1, axis=0), np.vstack([corners, corners[:1]])):
        np.testing.assert_allclose(coverage(points, (4, 6)), expected, atol=1e-12)
        np.testing.assert_array_equal(mask_of(points, (4, 6)), expected >= 0.5)


@pytest.mark.parametrize("radius", [1.7, 6.0, 14.3])
def test_the_area_of_a_circle_wherever_it_lies(radius: float) -> None:
    rng = np.random.default_rng(0)
    masks, centres = [], []
    for x, y in rng.uniform(18, 22, (25, 2)):
        points = circle(x, y, radius, 360)
        covered = coverage(points, (40, 42))
        assert covered.sum() == pytest.approx(np.pi * radius**2, rel=2e-3)
        assert area(points) == pytest.approx(np.pi * radius**2, rel=1e-4)
        mask = mask_of(points, (40, 42))
        masks.append(mask.sum())
        centres.append(np.argwhere(mask).mean(axis=0)[::-1] - (x, y))
    # Whole pixels are right on average, but for a share that falls with the square of the curvature.
    assert np.mean(masks) == pytest.approx(np.pi * radius**2, rel=0.002 + 0.15 / radius**2)
    np.testing.assert_allclose(np.mean(centres, axis=0), 0, atol=0.04)


def test_x_is_the_column() -> None:
    mask = mask_of(circle(30, 10, 4), (40, 42))
    np.testing.assert_allclose(np.argwhere(mask).mean(axis=0), (10, 30), atol=0.05)


def test_what_lies_outside_is_cut_off() -> None:
    covered = coverage(circle(-0.5, 10, 5), (20, 20))
    assert covered.sum() == pytest.approx(np.pi * 25 / 2, rel=2e-3)
    assert not coverage(circle(60, 60, 5), (20, 20)).any()


def test_the_outline_of_a_mask_gives_it_back() -> None:
    y, x = np.mgrid[:30, :34]
    mask = ((x - 16.3) / 9) ** 2 + ((y - 13.8) / 6) ** 2 < 1
    np.testing.assert_array_equal(mask_of(outline(mask), mask.shape), mask)
