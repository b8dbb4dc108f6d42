"""Cines to write and read."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from cardiac_motion.cine import Cine

Affine = npt.NDArray[np.float64]
MakeCine = Callable[..., Cine]
MakeAffine = Callable[..., Affine]


def _affine(seed: int = 0, *, shear: float = 0.0) -> Affine:
    """Oblique, anisotropic, of either handedness, axes in any order; skewed by ``shear`` (a tangent)."""
    rng = np.random.default_rng(seed)
    directions, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    axes = np.eye(3)[rng.permutation(3)] * rng.choice([-1.0, 1.0], size=3)
    skewing = np.eye(3)
    skewing[0, 2] = shear
    affine = np.eye(4)
    affine[:3, :3] = directions @ axes @ skewing @ np.diag(rng.uniform([0.7, 0.7, 2.0], [2.0, 2.0, 18.0]))
    affine[:3, 3] = rng.uniform(-300, 300, size=3)
    return affine


def _cine(
    shape: tuple[int, int, int, int] = (4, 3, 6, 5),
    *,
    seed: int = 0,
    shear: float = 0.0,
    whole: bool = True,
    step: float = 0.031,
) -> Cine:
    """Random intensities, whole numbers or not, evenly spaced in time."""
    rng = np.random.default_rng(seed)
    values = rng.normal(300, 200, size=shape)
    frames = (np.rint(values) if whole else values).astype(np.float32)
    return Cine(frames, _affine(seed, shear=shear), np.arange(shape[0]) * step)


@pytest.fixture(scope="session")
def make_cine() -> MakeCine:
    return _cine


@pytest.fixture(scope="session")
def make_affine() -> MakeAffine:
    return _affine
