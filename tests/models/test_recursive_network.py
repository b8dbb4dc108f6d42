from __future__ import annotations

import numpy as np
import torch
from cardiac_motion.fields import compose, exponential, resample, smallest_corner_jacobian, warp
from cardiac_motion.networks.recursive import (
    RecursiveNetwork,
    VelocityNetwork,
    canonical_coordinates,
    canonical_units,
)
from cardiac_motion.registration.recursive.objective import image_loss
from cardiac_motion.registration.recursive.paper import fit_network


def test_parameters_are_those_of_four_layers_of_24_filters() -> None:
    def count(dimensions: int) -> int:
        return sum(p.numel() for p in VelocityNetwork(dimensions).parameters())

    assert count(2) == 25 * (4 * 24 + 24 * 24 + 24 * 24 + 24 * 2) + 3 * 24 + 2
    assert count(3) == 125 * (6 * 24 + 24 * 24 + 24 * 24 + 24 * 3) + 3 * 24 + 3


def test_only_the_last_layer_has_no_relu() -> None:
    kinds = [type(layer).__name__ for layer in VelocityNetwork(2).layers]
    assert kinds == ["Conv2d", "ReLU", "Conv2d", "ReLU", "Conv2d", "ReLU", "Conv2d"]


def test_coordinates_and_units_are_canonical() -> None:
    grid = canonical_coordinates((3, 5))
    assert grid.shape == (1, 2, 3, 5)
    assert grid[0, 0, :, 0].tolist() == [-1, 0, 1]
    assert grid[0, 1, 0].tolist() == [-1, -0.5, 0, 0.5, 1]
    assert canonical_coordinates((1, 4))[0, 0].abs().max() == 0
    # One voxel is two units over n - 1.
    assert canonical_units((3, 5), like=grid).flatten().tolist() == [1, 0.5]


def test_levels_are_composed_as_algorithm_1_says() -> None:
    network = RecursiveNetwork(2, sigma=0.0)

    class Shift(torch.nn.Module):
        """A velocity that depends on the coordinates, of half a voxel of an 9 x 9 grid at most."""

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return 0.1 * inputs[:, :2] * (1 - inputs[:, :2] ** 2)

    network.velocity = Shift()  # type: ignore[assignment]
    network.register_parameter("any", torch.nn.Parameter(torch.zeros(1)))
    coarse, fine = network([(9, 9), (17, 17)])

    def velocity(size: int, sign: int) -> torch.Tensor:
        grid = sign * canonical_coordinates((size, size))
        return 0.1 * grid * (1 - grid**2) * (size - 1) / 2

    for sign, at_coarse, at_fine in ((1, coarse.forward, fine.forward), (-1, coarse.backward, fine.backward)):
        assert at_coarse is not None
        assert at_fine is not None
        first = exponential(velocity(9, sign))
        torch.testing.assert_close(at_coarse, first)
        second = compose(resample(first, (17, 17)), exponential(velocity(17, sign)))
        torch.testing.assert_close(at_fine, second)


def test_it_starts_near_the_identity_and_forward_only_has_no_backward() -> None:
    torch.manual_seed(0)
    network = RecursiveNetwork(2, bidirectional=False)
    levels = network([(16, 16), (32, 32)])
    assert all(level.backward is None for level in levels)
    assert levels[-1].forward.abs().max() < 0.1


def test_fitting_aligns_a_blob_both_ways_without_folds() -> None:
    y, x = np.mgrid[:40, :40].astype(np.float32)
    fixed = torch.from_numpy(np.exp(-((x - 18) ** 2 + (y - 20) ** 2) / 50))
    moving = torch.from_numpy(np.exp(-((x - 23) ** 2 + (y - 20) ** 2) / 70))
    seen: list[float] = []
    forward, backward = fit_network(
        fixed,
        moving,
        (1.5, 1.5),
        loss=image_loss("mse", robust=False),
        levels=2,
        iterations=80,
        bidirectional=True,
        seed=0,
        progress=seen.append,
    )
    assert backward is not None
    before = (fixed - moving).square().mean()
    assert (warp(moving[None, None], forward)[0, 0] - fixed).square().mean() < 0.3 * before
    assert (warp(fixed[None, None], backward)[0, 0] - moving).square().mean() < 0.3 * before
    assert forward[0, 1, 20, 18] > 2
    assert backward[0, 1, 20, 23] < -2
    assert (smallest_corner_jacobian(forward) > 0).all()
    assert seen == sorted(seen)
    assert len(seen) == 8


def test_the_seed_fixes_the_result_and_nothing_else_is_seeded() -> None:
    image = torch.rand(16, 16)

    def fit(seed: int) -> torch.Tensor:
        loss = image_loss("ssim+mi", robust=False)
        return fit_network(
            image,
            image.flip(0),
            (1.0, 1.0),
            loss=loss,
            levels=1,
            iterations=2,
            bidirectional=False,
            seed=seed,
            progress=lambda _: None,
        )[0]

    state = torch.get_rng_state()
    one = fit(1)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one, fit(1))
    assert not torch.equal(one, fit(2))
