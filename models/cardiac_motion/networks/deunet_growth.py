"""A DeU-Net, or a variant of it, that begins as a trained plain network: the same function, with parts added.

Deformable parts take several times as long to train as plain convolutions. A network without TDAM and DGPA learns
what hearts look like, then each variant learns from there what its own parts are for: all of them from the same
weights, so that their comparison is of the parts alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cardiac_motion.networks.deunet import DeformableBlock, DeUNet, FlowFusion, GlobalPositionAttention

PLAIN: Mapping[str, Any] = {"fusion": "none", "attention": False}
"""Arguments of a `DeUNet` without its own parts."""


@torch.no_grad()
def grow(network: DeUNet, plain: Mapping[str, Tensor]) -> None:
    """Give a new network the weights of a plain one with the same classes, width and levels, in place.

    It then gives the logits that the plain one gives for the middle frame: neighbouring frames have weights of
    zero, offsets are zero, blocks of attention let through what they get. All of that can be learnt away.

    Args:
        network: with its first weights.
        plain: state of a network with the arguments of `PLAIN`.

    Raises:
        ValueError: weights of another kind or size.
    """
    wanted = dict(network.state_dict())
    own: dict[str, Tensor] = {}
    left = dict(plain)
    for name, value in _fusion(network, left).items():
        own[f"fusion.{name}"] = value
    for name, module in network.downs.named_modules():
        if isinstance(module, DeformableBlock):
            # A plain block has no bias, which the normalisation behind it would take out again.
            own[f"downs.{name}.0.bias"] = torch.zeros_like(wanted[f"downs.{name}.0.bias"])
    for level, block in enumerate(network.attentions):
        if isinstance(block, GlobalPositionAttention):
            weight = torch.empty_like(block.deform.weight)
            own[f"attentions.{level}.deform.weight"] = nn.init.dirac_(weight)
            own[f"attentions.{level}.deform.bias"] = torch.zeros(len(weight))
    unknown = [name for name in left if name not in wanted or wanted[name].shape != left[name].shape]
    if unknown:
        raise ValueError(f"expected weights of a plain network of the same size, got {unknown[0]}")
    network.load_state_dict(wanted | left | own)


def _fusion(network: DeUNet, plain: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the first convolution, which sees one frame in the plain network; taken out of ``plain``."""
    weight, bias = plain.pop("fusion.weight", None), plain.pop("fusion.bias", None)
    if weight is None or bias is None or weight.shape[1] != 1 or set(plain) - set(_plain_names(network)):
        raise ValueError("expected weights of a network without TDAM and DGPA")
    prefix = "merge." if isinstance(network.fusion, FlowFusion) else ""
    wide = torch.zeros_like(network.state_dict()[f"fusion.{prefix}weight"])
    if wide.shape[0] != weight.shape[0] or wide.shape[2:] != weight.shape[2:]:
        raise ValueError(f"expected a first convolution {tuple(wide.shape)}, got {tuple(weight.shape)}")
    middle = wide.shape[1] // 2
    wide[:, middle : middle + 1] = weight
    return {f"{prefix}weight": wide, f"{prefix}bias": bias}


def _plain_names(network: DeUNet) -> list[str]:
    """Names of a plain network's weights, its first convolution left out."""
    return [
        name
        for name in network.state_dict()
        if not name.startswith(("fusion.", "attentions.")) and ".offsets." not in name and not _is_added(name)
    ]


def _is_added(name: str) -> bool:
    parts = name.split(".")
    return parts[0] == "downs" and parts[2:] == ["1", "0", "bias"]
