"""Interpolation in the calling thread: as PyTorch's own, in 2D and 3D."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cardiac_motion.fields import sample
from cardiac_motion.propagation.plane_sampling import normalised, sample_each
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 9999), sizes=st.lists(st.integers(1, 9), min_size=2, max_size=3), spread=st.floats(0, 6)
)
def test_values_are_those_of_the_fields_algebra(seed: int, sizes: list[int], spread: float) -> None:
    """Beyond the borders too, and for grids of another shape than the image."""
    rng = np.random.default_rng(seed)
    shape = [7, 6, 5][: len(sizes)]
    images = rng.normal(size=(2, 3, *sizes)).astype(np.float32)
    places = [
        (rng.uniform(0, n, size=(2, *shape)) + rng.normal(scale=spread, size=(2, *shape))).astype(np.float32)
        for n in sizes
    ]
    found = sample_each(images, normalised(places, sizes))
    expected = sample(torch.from_numpy(images), torch.from_numpy(np.stack(places, axis=1))).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("dims", [2, 3])
def test_whole_numbers_are_voxels(dims: int) -> None:
    image = np.arange(4**dims, dtype=np.float32).reshape(1, 1, *[4] * dims)
    places = [place[None].astype(np.float32) for place in np.indices([4] * dims)]
    np.testing.assert_allclose(sample_each(image, normalised(places, [4] * dims)), image, atol=1e-4)
