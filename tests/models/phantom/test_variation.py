"""What hearts to train on have that the phantom's patients do not: an oblique base, an outflow tract."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from cardiac_motion.labels import Label
from cardiac_motion.phantom.anatomy import Anatomy
from cardiac_motion.phantom.canvas import Canvas
from cardiac_motion.phantom.heart import Heart, draw_heart
from cardiac_motion.phantom.model import draw_phantom
from cardiac_motion.phantom.options import PhantomOptions, stream
from cardiac_motion.phantom.render import render_slice
from cardiac_motion.phantom.tissues import Contrast, Tissue, draw_contrast
from cardiac_motion.phantom.variation import vary_heart
from cardiac_motion.phantom.views import short_axis_view
from scipy import ndimage
from torch import Tensor


def _heart() -> Heart:
    return draw_heart(stream(5, "heart"))


def _plane(heart: Heart, below_base: float) -> Anatomy:
    line = torch.arange(-60.0, 61.0)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return Anatomy(heart, x, y, torch.full_like(x, heart.length - below_base))


def _area(labels: Tensor, label: Label) -> int:
    return int((labels == label).sum())


def test_the_wall_gives_way_to_the_outflow_tract_and_the_pool_stays() -> None:
    heart = _heart()
    opened = replace(heart, outflow_depth=20.0, outflow_half_angle=0.8)
    whole, gap = _plane(heart, 2).labels(), _plane(opened, 2).labels()
    assert _area(gap, Label.LV) == _area(whole, Label.LV)
    assert 0.15 < 1 - _area(gap, Label.MYO) / _area(whole, Label.MYO) < 0.35  # of a circle, 0.25
    missing = (whole == Label.MYO) & (gap == Label.BACKGROUND)
    theta = _plane(heart, 2).theta[missing]
    away = torch.remainder(theta - heart.outflow_angle + math.pi, 2 * math.pi) - math.pi
    assert float(away.abs().max()) < 0.85
    assert torch.equal(_plane(opened, 21).labels(), _plane(heart, 21).labels())


@pytest.mark.parametrize("is_blood", [True, False])
def test_blood_or_fat_fills_the_gap(is_blood: bool) -> None:
    heart = replace(_heart(), outflow_depth=20.0, outflow_half_angle=0.8, outflow_is_blood=is_blood)
    anatomy = _plane(heart, 5)
    contrast = draw_contrast(stream(1, "contrast"), random=False, texture=False)
    canvas = Canvas(anatomy.x, contrast, edge=1.0)
    nothing = torch.zeros_like(anatomy.x)
    anatomy.paint(canvas, nothing, nothing, 0.0)
    assert anatomy.outflow is not None
    tissue = Tissue.ARTERY if is_blood else Tissue.EPICARDIAL_FAT
    found = canvas.signal[anatomy.outflow < -2]
    assert float(found.mean()) == pytest.approx(contrast.signal[tissue], abs=0.02)


def test_an_oblique_base_ends_the_ventricle_where_its_plane_is() -> None:
    heart = replace(_heart(), base_tilt=(0.2, 0.0))
    labels = _plane(heart, 0).labels()
    held = _plane(heart, 0).x[labels == Label.LV]
    assert float(held.min()) > 0
    assert _area(labels, Label.LV) > 0.4 * _area(_plane(_heart(), 1).labels(), Label.LV)


def test_varied_hearts_stay_within_what_can_be_drawn() -> None:
    hearts = [vary_heart(_heart(), stream(seed, "variation")) for seed in range(200)]
    walls = torch.tensor([heart.wall for heart in hearts])
    assert 7.5 < float(walls.median()) < 9.5
    assert 4.5 <= float(walls.min()) < 6.5
    assert 16 < float(walls.max()) <= 20
    assert {heart.outflow_is_blood for heart in hearts} == {True, False}
    assert max(heart.compaction for heart in hearts) > 2.3


def test_fat_of_opposite_phase_parts_the_heart_from_fat_by_a_dark_line() -> None:
    phantom = draw_phantom(3, PhantomOptions(matrix=(96, 96)))
    phantom = replace(phantom, heart=replace(phantom.heart, fat=8.0))
    contrast = replace(draw_contrast(stream(1, "contrast"), random=False, texture=False), blur=2.0)
    view = short_axis_view(phantom, PhantomOptions(matrix=(96, 96)))
    middle = view.shape[0] // 2
    plain, opposed = (
        render_slice(replace(phantom, contrast=each), view, middle, [0.0], samples=1, motion=False)
        for each in (contrast, replace(contrast, opposed=True))
    )
    labels = opposed.labels[0].numpy()
    assert np.array_equal(labels, plain.labels[0].numpy())
    heart, muscle, fat = labels > 0, contrast.signal[Tissue.MYOCARDIUM], contrast.signal[Tissue.EPICARDIAL_FAT]
    before, after = plain.frames[0].numpy(), opposed.frames[0].numpy()
    rim = ndimage.binary_dilation(heart, iterations=2) & ~ndimage.binary_erosion(heart, iterations=2)
    # Where they mix, and nowhere else: fat alone and water alone are as bright as before.
    assert (rim & (before > 0.9 * muscle) & (after < 0.5 * muscle)).sum() > 40
    pure = ndimage.binary_erosion(np.isclose(before, fat, rtol=1e-4)) | ndimage.binary_erosion(
        labels == Label.LV, iterations=2
    )
    np.testing.assert_allclose(after[pure], before[pure], atol=1e-5)


def test_only_varied_contrasts_differ_in_phase_and_sharpness() -> None:
    drawn = [draw_contrast(stream(seed, "contrast"), random=False, texture=True, wide=True) for seed in range(60)]
    assert 0.55 < sum(each.opposed for each in drawn) / len(drawn) < 0.95
    assert {each.blur > 1.6 for each in drawn} == {True, False}
    plain = draw_contrast(stream(1, "contrast"), random=False, texture=True)
    assert (plain.opposed, plain.blur) == (False, 1.0)
    assert not draw_contrast(stream(1, "contrast"), random=True, texture=True, wide=True).opposed


def _painted(heart: Heart, below_base: float) -> tuple[Anatomy, Tensor, Contrast]:
    anatomy = _plane(heart, below_base)
    contrast = draw_contrast(stream(1, "contrast"), random=False, texture=False)
    canvas = Canvas(anatomy.x, contrast, edge=0.5)
    nothing = torch.zeros_like(anatomy.x)
    anatomy.paint(canvas, nothing, nothing, 0.0)
    return anatomy, canvas.signal, contrast


def test_the_pericardium_is_a_dark_layer_between_two_of_fat() -> None:
    heart = replace(_heart(), fat=4.0, pericardium=3.0, pericardial_fat=6.0)
    anatomy, signal, contrast = _painted(heart, 40)
    bare = torch.minimum(torch.minimum(anatomy.lv, anatomy._rv_wall), anatomy.fat)
    for low, high, tissue in ((0.5, 2.5, Tissue.AIR), (3.5, 8.5, Tissue.FAT)):
        found = signal[(bare > low) & (bare < high)]
        assert len(found) > 100
        assert found.tolist() == pytest.approx([contrast.signal[tissue]] * len(found), abs=0.02)
    without = replace(heart, pericardium=0.0)
    inside = bare < -0.5
    assert torch.equal(signal[inside], _painted(without, 40)[1][inside])
    assert torch.equal(anatomy.labels(), _plane(without, 40).labels())


def test_the_moderator_band_crosses_the_right_ventricle() -> None:
    heart = replace(_heart(), rv_trabeculae=0.0)
    height = 0.5 * heart.length
    band = replace(heart, band_radius=3.0, band_height=height / 0.8)  # it comes down on its way
    anatomy, with_band, contrast = _painted(band, heart.length - height)
    without = _painted(heart, heart.length - height)[1]
    muscle = (anatomy.rv_cavity < -1) & ((with_band - contrast.signal[Tissue.PAPILLARY]).abs() < 0.02)
    assert muscle.sum() > 10
    assert not torch.equal(with_band, without)
    assert torch.equal(with_band[anatomy.rv_cavity > 1], without[anatomy.rv_cavity > 1])
    assert torch.equal(anatomy.labels(), _plane(heart, heart.length - height).labels())
