"""The map of the heart's motion: exact both ways, without folds, incompressible in the myocardium."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cardiac_motion.labels import Label
from cardiac_motion.phantom import TEST_SEEDS, AppearanceOptions, PhantomOptions
from cardiac_motion.phantom.anatomy import Anatomy
from cardiac_motion.phantom.deformation import Points
from cardiac_motion.phantom.model import Phantom, draw_phantom
from cardiac_motion.phantom.strain import deformation_gradient

OPTIONS = PhantomOptions(appearance=AppearanceOptions.clean())


@pytest.fixture(scope="module", params=TEST_SEEDS[:2])
def phantom(request: pytest.FixtureRequest) -> Phantom:
    return draw_phantom(request.param, OPTIONS)


def points_around(phantom: Phantom, count: int = 4000) -> Points:
    """Random points in and around the heart, heart coordinates, float64."""
    generator = torch.Generator().manual_seed(1)
    unit = torch.rand(3, count, generator=generator, dtype=torch.float64)
    x, y = (unit[:2] - 0.5) * 230
    return x, y, unit[2] * (phantom.heart.length + 140) - 30


def distance(first: Points, second: Points) -> torch.Tensor:
    return torch.stack([a - b for a, b in zip(first, second, strict=True)]).norm(dim=0)


@pytest.mark.parametrize("phase", [0.1, 0.36, 0.7])
def test_forward_and_inverse_undo_each_other(phantom: Phantom, phase: float) -> None:
    points = points_around(phantom)

    assert float(distance(phantom.inverse(phantom.forward(points, phase), phase), points).max()) < 1e-4
    assert float(distance(phantom.forward(phantom.inverse(points, phase), phase), points).max()) < 1e-4


def test_single_precision_is_within_a_hundredth_of_a_millimetre(phantom: Phantom) -> None:
    x, y, z = points_around(phantom)
    points = (x.float(), y.float(), z.float())

    back = phantom.inverse(phantom.forward(points, 0.36), 0.36)

    assert float(distance(back, points).max()) < 0.01


def test_the_jacobian_is_positive_and_as_stated(phantom: Phantom) -> None:
    points = points_around(phantom)
    canonical = (*phantom.shape.to_canonical(*points), points[2])

    for phase in (0.15, phantom.cycle.end_systole, 0.6):
        numeric = torch.linalg.det(deformation_gradient(phantom, points, phase, step=1e-5))
        stated = phantom.deformation(phase).jacobian(canonical)
        assert float(numeric.min()) > 0
        # A few points lie so near a surface that the two sides of a difference see different slopes.
        assert float((numeric - stated).abs().quantile(0.99)) < 1e-4


def test_the_myocardium_keeps_its_volume_everywhere(phantom: Phantom) -> None:
    x, y, z = points_around(phantom, 60_000)
    myocardium = Anatomy(phantom.heart, *phantom.shape.to_canonical(x, y, z), z).labels() == int(Label.MYO)
    inside = (x[myocardium], y[myocardium], z[myocardium])
    assert len(inside[0]) > 300

    determinants = torch.linalg.det(deformation_gradient(phantom, inside, phantom.cycle.end_systole, step=1e-5))

    assert float(determinants.median()) == pytest.approx(1, abs=1e-3)
    assert float(determinants.mean()) == pytest.approx(1, abs=0.02)


def test_the_cycle_closes(phantom: Phantom) -> None:
    points = points_around(phantom)

    assert phantom.deformation(1.0).at_rest
    assert phantom.deformation(0.0).at_rest
    assert float(distance(phantom.forward(points, 0.3), phantom.forward(points, 1.3)).max()) < 1e-6
    just_before = phantom.forward(points, 0.999)
    assert float(distance(just_before, points).max()) < 0.01


def test_the_base_descends_and_the_apex_stays(phantom: Phantom) -> None:
    heart = phantom.heart
    z = torch.tensor([0.0, heart.length], dtype=torch.float64)
    x, y = phantom.shape.from_canonical(torch.full_like(z, 10.0), torch.zeros_like(z), z)

    moved = phantom.forward((x, y, z), phantom.cycle.end_systole)[2] - z

    assert float(moved[1]) == pytest.approx(-phantom.contraction.descent, abs=1e-6)
    assert phantom.contraction.descent > 3
    assert abs(float(moved[0])) < 0.15 * phantom.contraction.descent


def test_torsion_turns_the_apex_against_the_base(phantom: Phantom) -> None:
    heart = phantom.heart
    z = torch.tensor([0.1, 0.95], dtype=torch.float64) * heart.length
    x, y = torch.full_like(z, 6.0), torch.zeros_like(z)

    x_new, y_new, _ = phantom.deformation(phantom.cycle.end_systole).forward((x, y, z))
    angles = torch.atan2(y_new, x_new)

    # Seen from the apex, with y down the image, a negative angle is counter-clockwise.
    assert float(angles[0]) < -0.01
    assert float(angles[1]) > 0.003


def test_the_body_far_from_the_heart_rests(phantom: Phantom) -> None:
    x, y, z = points_around(phantom)
    canonical = (*phantom.shape.to_canonical(x, y, z), z)
    still = ~phantom.deformation(0.0).moves(canonical[0], canonical[1])
    assert int(still.sum()) > 500

    moved = phantom.deformation(phantom.cycle.end_systole).forward(canonical)

    assert float(distance(moved, canonical)[still].max()) < 0.01


def test_the_motion_fades_out_without_a_jump(phantom: Phantom) -> None:
    x = torch.linspace(-150, 150, 3001, dtype=torch.float64)
    points = (x, torch.zeros_like(x) + 5, torch.zeros_like(x) + 0.6 * phantom.heart.length)

    step = torch.stack(phantom.forward(points, phantom.cycle.end_systole)).diff(dim=1).norm(dim=0)

    assert float(step.max()) < 0.3  # over 0.1 mm: nothing is torn apart
    assert float(step[:100].sub(0.1).abs().max()) < 1e-3
    assert float(step[-100:].sub(0.1).abs().max()) < 1e-3


def test_without_through_plane_motion_heights_are_kept_exactly() -> None:
    phantom = draw_phantom(TEST_SEEDS[0], PhantomOptions(through_plane=False))
    points = points_around(phantom)

    for phase in np.linspace(0.1, 0.9, 4):
        assert torch.equal(phantom.forward(points, float(phase))[2], points[2])
        assert torch.equal(phantom.inverse(points, float(phase))[2], points[2])
