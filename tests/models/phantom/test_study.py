"""Phantom studies: the truth agrees with itself, in every view."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch
from cardiac_motion import fields
from cardiac_motion.errors import Cancelled
from cardiac_motion.labels import Label
from cardiac_motion.phantom import TEST_SEEDS, AppearanceOptions, PhantomOptions, PhantomStudy, make_study
from cardiac_motion.phantom.strain import ventricular_strain
from cardiac_motion.phantom.views import short_axis_view

VENTRICLES = (Label.RV, Label.MYO, Label.LV)
CLEAN = AppearanceOptions.clean()


def overlap(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> float:
    return 2 * float((first & second).sum()) / float(first.sum() + second.sum())


@pytest.fixture(scope="module")
def fine() -> PhantomStudy:
    """Four frames on a grid that is fine in all directions, as points: labels there are the anatomy's own."""
    points = replace(CLEAN, slice_thickness=False)
    options = PhantomOptions(
        frames=4, slices=66, slice_spacing=3.0, pixel_spacing=2.5, matrix=(72, 72), appearance=points
    )
    return make_study(TEST_SEEDS[0], options)


@pytest.fixture(scope="module")
def views() -> PhantomStudy:
    """A usual stack and the long-axis views, of two kinds of phases, in coarse pixels."""
    options = PhantomOptions(frames=4, pixel_spacing=2.4, matrix=(96, 96), long_axis_views=True, appearance=CLEAN)
    return make_study(TEST_SEEDS[1], options)


def in_voxels(study: PhantomStudy, displacement: npt.NDArray[np.float32]) -> torch.Tensor:
    return fields.to_voxels(torch.from_numpy(displacement)[None], study.cine.spacing)


def test_labels_of_each_frame_are_those_of_frame_0_carried_by_to_reference(fine: PhantomStudy) -> None:
    assert fine.motion is not None
    start = torch.from_numpy(fine.labels[0].astype(np.float32))[None, None]
    for t in (1, 2, 3):
        carried = fields.warp(start, in_voxels(fine, fine.motion[0][t]), interpolation="nearest")[0, 0].numpy()
        for label in Label:
            if label is not Label.BACKGROUND:
                assert overlap(carried == label, fine.labels[t] == label) > 0.9, (t, label)


def test_the_wrong_direction_carries_labels_worse_than_none(fine: PhantomStudy) -> None:
    assert fine.motion is not None
    es = fine.es_frame
    start = torch.from_numpy(fine.labels[0].astype(np.float32))[None, None]
    wrong = fields.warp(start, in_voxels(fine, fine.motion[1][es]), interpolation="nearest")[0, 0].numpy()
    truth = fine.labels[es] == Label.LV
    assert overlap(wrong == Label.LV, truth) < overlap(fine.labels[0] == Label.LV, truth)


def test_the_two_directions_undo_each_other(fine: PhantomStudy) -> None:
    assert fine.motion is not None
    es = fine.es_frame
    there, back = (in_voxels(fine, m[es]) for m in fine.motion)
    # Linear interpolation between voxels of 2.5 mm cannot follow the kinks at the surfaces: most points only.
    loop = fields.to_mm(fields.compose(there, back), fine.cine.spacing).norm(dim=1)[0].numpy()
    inside = fine.labels[0] > 0
    assert np.median(loop[inside]) < 0.1
    assert np.quantile(loop[inside], 0.95) < 0.7


def test_the_two_directions_undo_each_other_exactly_off_the_grid(fine: PhantomStudy) -> None:
    assert fine.motion is not None
    es, k = fine.es_frame, 33
    view = short_axis_view(fine.phantom, PhantomOptions(**fine.parameters["options"] | {"appearance": CLEAN}))
    points = [p[0].double() for p in view.points(k, shift=(0.0, 0.0), offsets=(0.0,))]
    # to_reference leads to material points; the map must lead from there back to the pixels.
    axes = torch.from_numpy(view.directions.copy())
    step = torch.from_numpy(fine.motion[0][es, :, k]).double()
    material = [p + (axes[:, i, None, None] * step).sum(dim=0) for i, p in enumerate(points)]
    phase = float(fine.phases[es, k])
    again = fine.phantom.forward((material[0], material[1], material[2]), phase)
    error = torch.stack([a - b for a, b in zip(again, points, strict=True)]).norm(dim=0)
    assert float(error.max()) < 0.05
    # And from_reference is the map itself.
    moved = fine.phantom.forward((points[0], points[1], points[2]), phase)
    offset = torch.stack([a - b for a, b in zip(moved, points, strict=True)])
    stated = torch.from_numpy(fine.motion[1][es, :, k]).double()
    assert float(((axes[:, :, None, None] * offset[None]).sum(dim=1) - stated).abs().max()) < 0.01


def test_slice_summation_agrees_with_the_analytic_volumes(fine: PhantomStudy) -> None:
    for name, curves in fine.volumes_ml.items():
        assert curves["slices"] == pytest.approx(curves["analytic"], rel=0.03), name
    myocardium = fine.volumes_ml["MYO"]["slices"]
    assert np.ptp(myocardium) < 0.02 * myocardium[0]


def test_the_ejection_fraction_is_that_of_the_volumes(fine: PhantomStudy) -> None:
    lv = fine.volumes_ml["LV"]["analytic"]
    assert fine.es_frame == int(lv.argmin())
    assert fine.ejection_fraction == pytest.approx(1 - lv.min() / lv[0])
    assert fine.ejection_fraction == pytest.approx(fine.phantom.contraction.ejection_fraction, abs=2e-3)


def test_strain_agrees_with_the_gradient_of_the_displacement(fine: PhantomStudy) -> None:
    assert fine.motion is not None
    assert fine.strain is not None
    es = fine.es_frame
    gradient = fields.jacobian_matrix(in_voxels(fine, fine.motion[1][es]), fine.cine.spacing)[0]
    tensor = 0.5 * (torch.einsum("kizyx,kjzyx->ijzyx", gradient, gradient) - torch.eye(3)[:, :, None, None, None])
    trace = (tensor[0, 0] + tensor[1, 1] + tensor[2, 2]).numpy()
    parts = (fine.strain.radial, fine.strain.circumferential, fine.strain.longitudinal)
    stated = np.sum([part[es] for part in parts], axis=0)
    # Only where all neighbours are myocardium do differences over 5 mm see nothing else.
    wall = fine.labels[0] == Label.MYO
    core = wall.copy()
    for axis in range(3):
        for shift in (-1, 1):
            core &= np.roll(wall, shift, axis)
    assert core.sum() > 200
    error = np.abs(trace - stated)[core]
    assert np.median(error) < 0.05
    assert np.corrcoef(trace[core], stated[core])[0, 1] > 0.9


def test_strains_have_the_signs_of_a_beating_heart(fine: PhantomStudy) -> None:
    assert fine.strain is not None
    curves = fine.strain.curves()
    es = fine.es_frame
    assert all(abs(curve[0]) < 1e-6 for curve in curves.values())
    assert curves["radial"][es] > 0.1
    assert curves["circumferential"][es] < -0.05
    assert curves["longitudinal"][es] < -0.05
    assert np.isnan(fine.strain.radial[:, fine.labels[0] != Label.MYO]).all()


def test_radial_strain_is_the_thickening_of_the_wall(fine: PhantomStudy) -> None:
    # A short radial fibre in the wall, followed by hand.
    phantom = fine.phantom
    phase = phantom.cycle.end_systole
    heart = phantom.heart
    z = torch.tensor([0.5 * heart.length], dtype=torch.float64)
    theta = torch.zeros_like(z)
    middle = 0.5 * (heart.endo(z).sqrt() + heart.epi(z, theta).sqrt())
    x, y = phantom.shape.from_canonical(middle, torch.zeros_like(z), z)
    centre = phantom.shape.from_canonical(torch.zeros_like(z), torch.zeros_like(z), z)
    direction = torch.stack([x - centre[0], y - centre[1], torch.zeros_like(z)])
    direction = direction / direction.norm()
    ends = [
        torch.stack(phantom.forward((x + s * direction[0], y + s * direction[1], z), phase)) for s in (-0.01, 0.01)
    ]
    stretch = float((ends[1] - ends[0]).norm()) / 0.02

    radial, _, _ = ventricular_strain(phantom, (x, y, z), phase)

    assert float(radial) == pytest.approx((stretch**2 - 1) / 2, abs=1e-4)


def test_the_base_leaves_basal_slices(views: PhantomStudy) -> None:
    def top(t: int) -> int:
        return int(np.flatnonzero((views.labels[t] == Label.LV).any(axis=(1, 2))).max())

    assert top(views.es_frame) < top(0)


@pytest.mark.parametrize("name", ["2ch", "3ch", "4ch"])
def test_long_axis_views_show_the_same_heart_as_the_stack(views: PhantomStudy, name: str) -> None:
    view = views.long_axis[name]
    assert view.cine.shape[1] == 1
    for t in (0, views.es_frame):
        labels = view.labels[t, 0]
        j, i = np.nonzero(labels > 0)
        world = view.cine.affine @ np.stack([i, j, np.zeros_like(i), np.ones_like(i)])
        x, y, z = (np.linalg.inv(views.cine.affine) @ world)[:3]
        k = np.rint(z).astype(int)
        # Only points within half a millimetre of the middle of a slice of the stack.
        near = (np.abs(z - k) * views.cine.spacing[0] < 0.5) & (k >= 0) & (k < views.cine.shape[1])
        assert near.sum() > 60
        seen = views.labels[t][k[near], np.rint(y[near]).astype(int), np.rint(x[near]).astype(int)]
        assert float((seen == labels[j[near], i[near]]).mean()) > 0.85
        assert {int(Label.MYO), int(Label.LV), int(Label.LA)} <= set(np.unique(labels))


def test_the_four_chamber_view_has_four_chambers(views: PhantomStudy) -> None:
    assert set(np.unique(views.long_axis["4ch"].labels)) == {int(label) for label in Label}
    assert int(Label.RA) not in views.long_axis["2ch"].labels


def test_long_axis_motion_carries_the_base(views: PhantomStudy) -> None:
    view = views.long_axis["4ch"]
    assert view.motion is not None
    base = np.flatnonzero((view.labels[0, 0] == Label.MYO).any(axis=1)).max() - 1
    inside = view.labels[0, 0, base] == Label.MYO
    # The apex is at the top, so the base moves up the image: its y component is negative.
    assert float(view.motion[1][views.es_frame, 1, 0, base, inside].mean()) < -2


def test_motion_stays_in_the_plane_where_asked() -> None:
    options = PhantomOptions(
        frames=4, slices=6, matrix=(64, 64), pixel_spacing=3.0, through_plane=False, appearance=CLEAN
    )
    study = make_study(TEST_SEEDS[2], options)
    assert study.motion is not None
    for direction in study.motion:
        assert not direction[:, 0].any()
        assert direction[study.es_frame, 1:].any()
    # Nothing leaves a slice: each holds the same structures in all frames.
    for label in VENTRICLES:
        held = (study.labels == label).any(axis=(2, 3))
        assert (held == held[0]).all()


def test_a_default_study_is_what_a_scanner_gives() -> None:
    study = make_study(TEST_SEEDS[3], PhantomOptions(frames=4, motion_truth=False))
    t, z, y, x = study.cine.shape
    assert t == 4
    assert 8 <= z <= 12
    assert 8 <= study.cine.spacing[0] <= 10
    assert 1.2 <= study.cine.spacing[2] <= 1.8
    assert study.motion is None
    assert study.strain is None
    held = study.labels[0] == Label.LV
    rows, columns = np.nonzero(held.any(axis=0))
    # The heart is in the image as a whole, but not in its very middle.
    assert rows.min() > 20
    assert rows.max() < y - 20
    assert columns.min() > 20
    assert columns.max() < x - 20
    assert held[z // 2].any()


def test_progress_rises_to_one_for_every_frame_and_changes_nothing() -> None:
    options = PhantomOptions(frames=4, slices=2, matrix=(48, 48), pixel_spacing=4.0, long_axis_views=True)
    heard: list[tuple[float, str]] = []
    study = make_study(TEST_SEEDS[0], options, progress=lambda *call: heard.append(call))
    fractions = [fraction for fraction, _ in heard]
    assert fractions == sorted(fractions)
    assert 0 < fractions[0] < 0.2
    assert fractions[-1] == 1.0
    said = [message for _, message in heard]
    # A stack of two slices and three views of one, four frames each.
    places = ["sax, slice 1 of 2", "sax, slice 2 of 2", *(f"{name}, slice 1 of 1" for name in study.long_axis)]
    assert len(places) == 5
    assert all(said.count(place) >= 4 for place in places), said
    quiet = make_study(TEST_SEEDS[0], options)
    assert quiet.cine.content_hash == study.cine.content_hash
    assert np.array_equal(quiet.labels, study.labels)
    assert quiet.motion is not None
    assert study.motion is not None
    assert all(np.array_equal(a, b) for a, b in zip(quiet.motion, study.motion, strict=True))
    assert {name: view.cine.content_hash for name, view in quiet.long_axis.items()} == {
        name: view.cine.content_hash for name, view in study.long_axis.items()
    }


def test_a_study_can_be_stopped() -> None:
    threads = torch.get_num_threads()
    heard: list[float] = []

    def stop(fraction: float, _message: str) -> None:
        heard.append(fraction)
        if len(heard) == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        make_study(TEST_SEEDS[0], PhantomOptions(frames=4, slices=2, matrix=(48, 48)), progress=stop)
    assert len(heard) == 3
    assert torch.get_num_threads() == threads
