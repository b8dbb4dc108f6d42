from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from cardiac_motion.cine import Cine
from cardiac_motion.errors import Cancelled, InputError
from cardiac_motion.fields import compose, exponential, smallest_corner_jacobian, warp
from cardiac_motion.labels import Label
from cardiac_motion.metrics import dice_shared_slices
from cardiac_motion.phantom import TEST_SEEDS, AppearanceOptions, PhantomOptions, PhantomStudy, make_study
from cardiac_motion.pipeline import share_of_folds
from cardiac_motion.propagation import propagate
from cardiac_motion.registration.recursive.model import RecursiveModel
from cardiac_motion.registration.recursive.options import RecursiveOptions
from cardiac_motion.registration.recursive.sequence import outward
from cardiac_motion.registration.recursive.velocity import integrate
from cardiac_motion.working_grid import find_heart

MODEL = RecursiveModel()
SPACING = (1.5, 1.5)


@pytest.fixture(scope="module")
def study() -> PhantomStudy:
    options = PhantomOptions(
        frames=8,
        slices=3,
        slice_spacing=20.0,
        matrix=(128, 128),
        pixel_spacing=1.8,
        ejection_fraction=0.6,
        through_plane=False,
        appearance=replace(AppearanceOptions.clean(), noise=True),
    )
    return make_study(TEST_SEEDS[0], options)


def _textured_pair(strength: float) -> tuple[np.ndarray, np.ndarray, torch.Tensor]:
    """Moving image, fixed image = moving image pulled back by a known field, and that field (1, 2, Y, X)."""
    size = 96
    noise = torch.from_numpy(np.random.default_rng(1).random((1, 1, size // 8, size // 8), dtype=np.float32))
    moving = torch.nn.functional.interpolate(noise, size=(size, size), mode="bicubic").clamp(0, 1)
    y, x = np.mgrid[:size, :size].astype(np.float32) - (size - 1) / 2
    bump = np.exp(-(x**2 + y**2) / (2 * 18.0**2))
    velocity = torch.from_numpy(strength * bump * np.stack([y, x]) / 18.0)[None].float()
    field = exponential(velocity)
    return moving[0].numpy(), warp(moving, field)[0].numpy(), field


def test_a_known_deformation_is_recovered_in_both_directions() -> None:
    moving, fixed, truth = _textured_pair(5.0)
    found = MODEL.register_pairs(fixed, moving, spacing=SPACING)
    middle = np.s_[..., 20:-20, 20:-20]
    error = (found.forward - truth).norm(dim=1)[middle].mean()
    unregistered = truth.norm(dim=1)[middle].mean()
    assert unregistered > 2
    assert error < 0.2 * unregistered
    there_and_back = compose(found.forward, found.backward).norm(dim=1)
    assert there_and_back.mean() < 0.05
    for field in (found.forward, found.backward):
        assert (smallest_corner_jacobian(field) > 0).all()


def test_a_pair_does_not_depend_on_the_others_of_its_batch() -> None:
    moving, fixed, _ = _textured_pair(4.0)
    other_moving, other_fixed, _ = _textured_pair(-6.0)
    options = RecursiveOptions(iterations=5)
    # Intensities are scaled over the whole batch: both pairs hold the same texture, so alone and together agree.
    alone = MODEL.register_pairs(fixed, moving, spacing=SPACING, options=options).forward
    together = MODEL.register_pairs(
        np.concatenate([fixed, other_fixed]),
        np.concatenate([moving, other_moving]),
        spacing=SPACING,
        options=options,
    ).forward
    assert torch.allclose(alone[0], together[0], atol=0.05)
    assert not torch.allclose(together[0], together[1], atol=0.5)


def test_equal_images_stay_where_they_are() -> None:
    moving, _, _ = _textured_pair(1.0)
    found = MODEL.register_pairs(moving, moving, spacing=SPACING)
    assert found.forward.abs().max() < 0.05


@pytest.mark.parametrize("similarity", ["mse", "ncc", "ssim+mi"])
def test_every_similarity_registers(similarity: str) -> None:
    moving, fixed, truth = _textured_pair(4.0)
    options = RecursiveOptions(similarity=similarity)  # type: ignore[arg-type]
    found = MODEL.register_pairs(fixed, moving, spacing=SPACING, options=options).forward
    middle = np.s_[..., 20:-20, 20:-20]
    assert (found - truth).norm(dim=1)[middle].mean() < 0.5 * truth.norm(dim=1)[middle].mean()


def test_forward_only_gives_an_inverse_all_the_same() -> None:
    moving, fixed, truth = _textured_pair(4.0)
    found = MODEL.register_pairs(fixed, moving, spacing=SPACING, options=RecursiveOptions(bidirectional=False))
    assert (found.forward - truth).norm(dim=1).mean() < 0.5 * truth.norm(dim=1).mean()
    assert compose(found.forward, found.backward).norm(dim=1).mean() < 0.05


def test_small_motion_moves_less() -> None:
    moving, fixed, _ = _textured_pair(4.0)
    free = MODEL.register_pairs(fixed, moving, spacing=SPACING).forward
    held = MODEL.register_pairs(
        fixed, moving, spacing=SPACING, options=RecursiveOptions(small_motion=True)
    ).forward
    assert held.norm(dim=1).mean() < 0.9 * free.norm(dim=1).mean()


def test_whole_stacks_are_registered_in_3d() -> None:
    moving, fixed, truth = _textured_pair(4.0)
    stack = (np.repeat(fixed[None], 4, axis=1), np.repeat(moving[None], 4, axis=1))
    options = RecursiveOptions(dimensions=3)
    found = MODEL.register_pairs(*stack, spacing=(10.0, *SPACING), options=options)
    assert found.forward.shape == (1, 3, 4, 96, 96)
    middle = np.s_[..., 20:-20, 20:-20]
    error = (found.forward[:, 1:, 2] - truth).norm(dim=1)[middle].mean()
    assert error < 0.4 * truth.norm(dim=1)[middle].mean()
    assert (smallest_corner_jacobian(found.forward) > 0).all()


def test_images_that_do_not_fit_are_refused() -> None:
    images = np.zeros((2, 32, 32), np.float32)
    with pytest.raises(InputError, match="two sets of 2D images of one shape"):
        MODEL.register_pairs(images, images[:1], spacing=SPACING)
    with pytest.raises(InputError, match="two sets of 3D images"):
        MODEL.register_pairs(images, images, spacing=SPACING, options=RecursiveOptions(dimensions=3))


def test_a_velocity_that_folds_is_held_back() -> None:
    generator = torch.Generator().manual_seed(0)
    wild = 12 * torch.randn(2, 2, 24, 24, generator=generator)
    calm = 0.1 * torch.randn(1, 2, 24, 24, generator=generator)
    forward, backward = integrate(torch.cat([wild, calm]), (48, 48))
    assert (smallest_corner_jacobian(forward) > 0).all()
    assert (smallest_corner_jacobian(backward) > 0).all()
    alone, _ = integrate(calm, (48, 48))
    assert torch.equal(alone[0], forward[2])


def test_frames_go_outwards_from_the_reference_along_the_cycle() -> None:
    assert outward(5, 0) == [(1, 4), (2, 3)]
    assert outward(6, 4) == [(5, 3), (0, 2), (1,)]
    assert outward(2, 1) == [(0,)]


def test_a_cines_motion_carries_labels_and_points_the_right_way(study: PhantomStudy) -> None:
    motion = MODEL.estimate(study.cine)
    labels = propagate(motion, {0: study.labels[0]})
    es = study.es_frame
    for structure in (Label.MYO, Label.LV):
        before = dice_shared_slices(
            study.labels[es] == structure, study.labels[0] == structure, study.labels[0] == structure
        )
        after = dice_shared_slices(
            study.labels[es] == structure, labels[es] == structure, study.labels[0] == structure
        )
        assert after > before + 0.4 * (1 - before)
    assert study.motion is not None
    wall = study.labels[0] == Label.MYO
    for found, truth, where in zip(
        (motion.to_reference, motion.from_reference),
        study.motion,
        (study.labels[es] == Label.MYO, wall),
        strict=True,
    ):
        error = np.linalg.norm(found[es] - truth[es], axis=0)[where].mean()
        assert error < 0.6 * np.linalg.norm(truth[es], axis=0)[where].mean()
    assert motion.is_in_plane
    assert not motion.to_reference[0].any()
    in_plane = torch.from_numpy(motion.to_reference[:, 1:] / 1.8).transpose(1, 2).flatten(0, 1)
    assert (smallest_corner_jacobian(in_plane) > 0).all()


def test_any_frame_can_be_the_reference_and_one_slice_is_enough(study: PhantomStudy) -> None:
    cine = Cine(study.cine.frames[:, 1:2], study.cine.affine, study.cine.frame_times)
    options = RecursiveOptions(iterations=4, dimensions=3)
    motion = MODEL.estimate(cine, reference=5, options=options)
    assert motion.reference == 5
    assert not motion.to_reference[5].any()
    assert motion.settings["dimensions"] == 2
    assert np.abs(motion.to_reference[1]).max() > 0.5
    assert motion.image_hash == cine.content_hash
    with pytest.raises(InputError, match="from 0 to 7, got 8"):
        MODEL.estimate(cine, reference=8)


def test_it_can_be_cancelled_and_says_how_far_it_is(study: PhantomStudy) -> None:
    seen: list[float] = []

    def stop_half_way(fraction: float, message: str) -> None:
        assert message
        seen.append(fraction)
        if fraction > 0.4:
            raise Cancelled

    with pytest.raises(Cancelled):
        MODEL.estimate(study.cine, options=RecursiveOptions(iterations=1), progress=stop_half_way)
    assert seen == sorted(seen)
    assert 0.4 < seen[-1] < 1


def test_a_long_fit_reports_after_every_step_so_that_it_can_be_stopped() -> None:
    moving, fixed, _ = _textured_pair(3.0)
    seen: list[float] = []

    def stop_early(fraction: float, _message: str) -> None:
        seen.append(fraction)
        if len(seen) == 7:
            raise Cancelled

    options = RecursiveOptions(levels=2, iterations=5000)
    with pytest.raises(Cancelled):
        MODEL.register_pairs(fixed, moving, spacing=(1.5, 1.5), options=options, progress=stop_early)
    assert seen == sorted(seen)
    assert 0 < seen[-1] < 0.01


def test_the_same_input_gives_the_same_motion(study: PhantomStudy) -> None:
    options = RecursiveOptions(iterations=3)
    one, two = (MODEL.estimate(study.cine, options=options) for _ in range(2))
    assert (one.to_reference == two.to_reference).all()


@pytest.mark.parametrize(
    ("dimensions", "bidirectional", "levels"), [(2, True, 2), (2, False, 1), (3, True, 1), (3, False, 2)]
)
def test_the_network_registers_a_cine_too(
    study: PhantomStudy, dimensions: Any, bidirectional: bool, levels: int
) -> None:
    region = np.s_[[0, study.es_frame], :2]
    cine = Cine(study.cine.frames[region], study.cine.affine, study.cine.frame_times[:2])
    options = RecursiveOptions(
        parametrisation="network",
        dimensions=dimensions,
        bidirectional=bidirectional,
        levels=levels,
        iterations=30 if dimensions == 2 else 3,
        similarity="mse",
    )
    motion = MODEL.estimate(cine, options=options)
    assert motion.is_in_plane == (dimensions == 2)
    assert share_of_folds(motion) == 0
    field = motion.to_reference[1]
    assert np.abs(field).max() > 0.1
    # The region lies in a still image: the field has to end where the region does.
    inside = find_heart(cine.frames, cine.spacing).crop(field)
    border = [inside[..., 0, :], inside[..., -1, :], inside[..., 0], inside[..., -1]]
    assert max(float(np.abs(edge).max()) for edge in border) < 0.2


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("levels", [1, 3])
def test_every_choice_of_the_pyramid_works(dimensions: Any, bidirectional: bool, levels: int) -> None:
    moving, fixed, truth = _textured_pair(2.0)
    stacks = (
        (fixed, moving)
        if dimensions == 2
        else (np.repeat(fixed[None], 2, axis=1), np.repeat(moving[None], 2, axis=1))
    )
    spacing = SPACING if dimensions == 2 else (9.0, *SPACING)
    options = RecursiveOptions(dimensions=dimensions, bidirectional=bidirectional, levels=levels)
    found = MODEL.register_pairs(*stacks, spacing=spacing, options=options).forward
    in_plane = found if dimensions == 2 else found[:, 1:, 0]
    middle = np.s_[..., 20:-20, 20:-20]
    assert (in_plane - truth).norm(dim=1)[middle].mean() < 0.6 * truth.norm(dim=1)[middle].mean()
