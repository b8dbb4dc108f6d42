"""Shapes, sizes and behaviour of the networks that segment."""

from __future__ import annotations

import pytest
import torch
from cardiac_motion.networks.deformable import DeformableConv
from cardiac_motion.networks.deunet import (
    FUSIONS,
    DeUNet,
    FlowFusion,
    Fusion,
    GlobalPositionAttention,
    TemporalDeformableAggregation,
)
from cardiac_motion.networks.deunet_growth import grow
from cardiac_motion.networks.unet import ModifiedUNet
from cardiac_motion.networks.unet_growth import grow as grow_unet
from torch import Tensor, nn


def _parameters(network: nn.Module) -> int:
    return sum(each.numel() for each in network.parameters())


def _learns(network: nn.Module, x: Tensor) -> None:
    """Every parameter has a gradient, and a few steps lower the loss on a single example."""
    target = (x[:, x.shape[1] // 2] > 0.3).long()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(12):
        loss = nn.functional.cross_entropy(network(x), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert all(each.grad is not None for each in network.parameters())
    assert losses[-1] < 0.75 * losses[0]


def test_unet_gives_logits_at_every_supervised_level() -> None:
    network = ModifiedUNet(4, width=4).eval()
    outputs = network.forward_all(torch.randn(2, 1, 32, 48))
    assert [tuple(each.shape) for each in outputs] == [(2, 4, 8, 12), (2, 4, 16, 24), (2, 4, 32, 48)]
    # Numbers of parameters at the widths in use, so that no change goes unnoticed.
    assert _parameters(ModifiedUNet(4, width=8)) == 798_148
    assert _parameters(ModifiedUNet(4, width=16)) == 3_187_068


def test_unet_sums_the_logits_of_its_levels() -> None:
    network = ModifiedUNet(3, width=4, levels=3).eval()
    x = torch.randn(1, 1, 16, 16)
    coarse, fine = network.forward_all(x)
    head = network.heads[-1]
    assert isinstance(head, nn.Conv2d)
    nn.init.zeros_(head.weight)
    assert head.bias is not None
    nn.init.zeros_(head.bias)
    upsampled = nn.functional.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(network(x), upsampled)
    assert not torch.allclose(fine, upsampled)


def test_unet_that_is_told_the_view() -> None:
    torch.manual_seed(0)
    network = ModifiedUNet(6, width=4, levels=3, views=4).eval()
    x = torch.randn(2, 1, 16, 16)
    one, other = network(x, torch.tensor([0, 0])), network(x, torch.tensor([0, 2]))
    torch.testing.assert_close(one[0], other[0])
    assert not torch.allclose(one[1], other[1])
    with pytest.raises(ValueError, match="must be told the view"):
        network(x)


@pytest.mark.parametrize("views", [0, 4])
def test_unet_grown_from_one_of_fewer_classes_finds_what_that_finds(views: int) -> None:
    torch.manual_seed(0)
    smaller = ModifiedUNet(4, width=4, levels=3).eval()
    network = ModifiedUNet(6, width=4, levels=3, views=views).eval()
    grow_unet(network, smaller.state_dict())
    x = torch.randn(2, 1, 32, 40)
    told = (torch.tensor([0, 3]),) if views else ()
    for ours, theirs in zip(network.forward_all(x, *told), smaller.forward_all(x), strict=True):
        torch.testing.assert_close(ours[:, :4], theirs)
        # Found nowhere, but not so far off that they would take long to appear.
        missing = theirs[:, :1] - ours[:, 4:]
        assert ((missing > 0.5) & (missing < 2)).all()
    for other in (ModifiedUNet(7, width=4, levels=3), ModifiedUNet(4, width=8, levels=3)):
        with pytest.raises(ValueError, match="smaller network of the same kind"):
            grow_unet(network, other.state_dict())


def test_unet_learns() -> None:
    torch.manual_seed(0)
    _learns(ModifiedUNet(2, width=4, levels=3, dropout=0.0), torch.randn(1, 1, 32, 32))


@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_deunet_and_its_variants_learn(fusion: Fusion, *, attention: bool) -> None:
    torch.manual_seed(0)
    network = DeUNet(2, width=4, levels=4, fusion=fusion, attention=attention)
    x = torch.randn(1, 3, 32, 32)
    assert network(x).shape == (1, 2, 32, 32)
    _learns(network, x)


def test_deunet_has_its_parts_where_its_description_says() -> None:
    whole, plain = DeUNet(width=8), DeUNet(width=8, attention=False)
    # Levels from full resolution down to a sixteenth.
    attends = [isinstance(each, GlobalPositionAttention) for each in whole.attentions]
    assert attends == [False, False, True, True, True]
    for down in whole.downs:
        assert any(isinstance(each, DeformableConv) for each in down.modules())
    aside = (DeformableConv, GlobalPositionAttention)
    assert not any(isinstance(each, aside) for part in (whole.first, whole.merges) for each in part.modules())
    assert not any(isinstance(each, aside) for each in plain.modules())
    fusions = {"tdam": TemporalDeformableAggregation, "flow": FlowFusion, "early": nn.Conv2d, "none": nn.Conv2d}
    counts = {"tdam": 801_467, "flow": 797_817, "early": 783_045, "none": 782_901}
    for name in FUSIONS:
        network = DeUNet(width=8, fusion=name)
        assert isinstance(network.fusion, fusions[name])
        assert _parameters(network) == counts[name]
    assert _parameters(plain) == 505_010


def test_deunet_without_tdam_sees_the_middle_frame_alone() -> None:
    torch.manual_seed(0)
    network = DeUNet(2, width=4, levels=3, fusion="none").eval()
    clip = torch.randn(1, 3, 16, 16)
    other = clip.clone()
    other[:, [0, 2]] = torch.randn(1, 2, 16, 16)
    torch.testing.assert_close(network(clip), network(other))
    network = DeUNet(2, width=4, levels=3, fusion="tdam").eval()
    assert not torch.allclose(network(clip), network(other))


@pytest.mark.parametrize("attention", [True, False])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_deunet_grown_from_a_plain_one_is_the_same_function(fusion: Fusion, *, attention: bool) -> None:
    torch.manual_seed(0)
    plain = DeUNet(2, width=4, levels=4, fusion="none", attention=False)
    for each in plain.parameters():
        nn.init.normal_(each, std=0.3)
    network = DeUNet(2, width=4, levels=4, fusion=fusion, attention=attention)
    grow(network, plain.state_dict())
    clip = torch.randn(2, 3, 32, 40)
    torch.testing.assert_close(network(clip), plain(clip), atol=1e-3, rtol=1e-3)
    network(clip).square().mean().backward()
    for name, each in network.named_parameters():
        # What multiplies a zero has no gradient until that has moved.
        waits = name.startswith(("fusion.offsets.", "fusion.flow.")) or ".query." in name or ".key." in name
        assert each.grad is not None
        assert waits or ".value." in name or ".offsets." in name or float(each.grad.abs().max()) > 0


def test_growing_refuses_what_is_not_plain_or_of_another_size() -> None:
    network = DeUNet(2, width=4, levels=3)
    for other in (DeUNet(2, width=4, levels=3), DeUNet(2, width=4, levels=3, fusion="none")):
        with pytest.raises(ValueError, match="expected weights of a network without TDAM and DGPA"):
            grow(network, other.state_dict())
    for classes, width, levels in ((3, 4, 3), (2, 8, 3), (2, 4, 4)):
        other = DeUNet(classes, width=width, levels=levels, fusion="none", attention=False)
        with pytest.raises(ValueError, match="expected"):
            grow(network, other.state_dict())


def test_tdam_starts_as_early_fusion() -> None:
    torch.manual_seed(0)
    tdam = TemporalDeformableAggregation(3, 5, width=4)
    clip = torch.randn(2, 3, 16, 20)
    torch.testing.assert_close(tdam(clip), nn.functional.conv2d(clip, tdam.weight, tdam.bias, padding=1))


def test_flow_fusion_moves_the_neighbours_and_never_the_middle() -> None:
    torch.manual_seed(0)
    fusion = FlowFusion(3, 1, width=4)
    clip = torch.randn(1, 3, 16, 16)
    torch.testing.assert_close(fusion(clip), fusion.merge(clip))
    assert fusion.flow.last.bias is not None
    fusion.flow.last.bias.data[:] = torch.tensor([0.0, 1.0, 0.0, -1.0])  # (y, x) of the frame before, and after
    moved = torch.zeros_like(clip)
    moved[:, 0, :, :-1], moved[:, 1], moved[:, 2, :, 1:] = clip[:, 0, :, 1:], clip[:, 1], clip[:, 2, :, :-1]
    torch.testing.assert_close(fusion(clip), fusion.merge(moved))


def test_attention_is_what_eqs_4_and_5_say() -> None:
    torch.manual_seed(0)
    block = GlobalPositionAttention(8)
    x = torch.randn(1, 8, 3, 4)
    torch.testing.assert_close(block(x), block.deform(x))  # alpha is zero at first
    block.alpha.data.fill_(0.7)
    b, c, d = (each(x)[0].flatten(1) for each in (block.query, block.key, block.value))
    expected = block.deform(x)[0].flatten(1).clone()
    for j in range(12):
        scores = torch.stack([(b[:, i] * c[:, j]).sum() for i in range(12)])
        weights = scores.exp() / scores.exp().sum()
        expected[:, j] += 0.7 * sum(weights[i] * d[:, i] for i in range(12))
    torch.testing.assert_close(block(x)[0].flatten(1), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(1, 3, 24, 32), (1, 2, 32, 32)])
def test_deunet_refuses_what_does_not_fit(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected 3 frames with sizes that are multiples of 16"):
        DeUNet(width=4)(torch.zeros(shape))


def test_unet_refuses_sizes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="sizes must be multiples of 16, got"):
        ModifiedUNet(width=4)(torch.zeros(1, 1, 40, 32))
