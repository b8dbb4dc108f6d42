"""Closed contours in pixels of an image, and the pixels that they hold."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cardiac_motion.datasets.files import read_text
from cardiac_motion.errors import InputError

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
"""As programs write numbers; Python takes more for one, such as 1_0."""

Points = npt.NDArray[np.float64]

_LINES_PER_PIXEL = 16
"""Lines across each pixel along which its covered part is measured; along a line it is exact."""


def read_contour(path: Path) -> Points:
    """Points (N, 2) of a text file with x and y of one point on each line.

    Raises:
        InputError: fewer than three points, or something else on a line than two finite numbers.
    """
    points = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        words = line.replace(",", " ").split()
        point = [float(word) for word in words if _NUMBER.fullmatch(word)]
        if len(words) != 2 or len(point) != 2 or not np.isfinite(point).all():
            raise InputError(f"{path}: line {number}: expected x and y of a point, got {line.strip()[:40]!r}")
        points.append(point)
    if len(points) < 3:
        raise InputError(f"{path}: expected a contour of at least 3 points, got {len(points)}")
    return np.array(points)


def area(points: Points) -> float:
    """Area in square pixels within a closed contour (N, 2) that does not cross itself (the shoelace formula)."""
    x, y = points.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def coverage(points: Points, shape: tuple[int, int]) -> npt.NDArray[np.float64]:
    """The part, 0 to 1, of each pixel (Y, X) that lies within a closed contour, by the even-odd rule.

    Args:
        points: (N, 2), x and y; the centre of the first pixel is (0, 0), its corners at half pixels.
        shape: (Y, X) of the image; what lies outside is cut off.
    """
    height, width = shape
    lines = (np.arange(height * _LINES_PER_PIXEL) + 0.5) / _LINES_PER_PIXEL - 0.5
    start, end = points, np.roll(points, -1, axis=0)
    result = np.zeros(shape)
    edges = np.arange(width + 1) - 0.5
    for number, y in enumerate(lines):
        # An end counts for one of the two lines that share it: half-open, so that none is crossed twice.
        crossed = (start[:, 1] <= y) != (end[:, 1] <= y)
        if not crossed.any():
            continue
        (x0, y0), (x1, y1) = start[crossed].T, end[crossed].T
        crossings = np.sort(x0 + (y - y0) / (y1 - y0) * (x1 - x0)).reshape(-1, 2)
        # Length of the line inside, left of each pixel's edge.
        inside = np.clip(edges[:, None] - crossings[:, 0], 0, crossings[:, 1] - crossings[:, 0]).sum(axis=1)
        result[number // _LINES_PER_PIXEL] += np.diff(inside) / _LINES_PER_PIXEL
    return result


def mask_of(points: Points, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Pixels (Y, X) at least half of which lie within a closed contour; see `coverage`."""
    return coverage(points, shape) >= 0.5
