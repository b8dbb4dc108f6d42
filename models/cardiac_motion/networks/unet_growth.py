"""A U-Net for more classes, or one that is told the view, that begins as a trained one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from cardiac_motion.networks.unet import ModifiedUNet

UNSEEN = -1.0
"""Logits of a class that is new, less those of the background: it is found nowhere at first.

Classes that begin far below all others take hundreds of steps to appear, and one of two that look alike, such as
the atria, then takes the place of both."""


@torch.no_grad()
def grow(network: ModifiedUNet, smaller: Mapping[str, Tensor]) -> None:
    """Give a new network the weights of one with fewer classes, or that is not told the view, in place.

    The logits of the classes that both know are the same at first, whatever the view.

    Args:
        network: with its first weights.
        smaller: state of a network of the same width and levels.

    Raises:
        ValueError: weights of another kind or size, or of more classes.
    """
    wanted = network.state_dict()
    state = dict(smaller)
    if network.view is not None and "view.weight" not in state:
        state["view.weight"] = torch.zeros_like(wanted["view.weight"])
    for name, value in smaller.items():
        wide = wanted.get(name)
        is_head = name.startswith("heads.") and wide is not None and value.shape[1:] == wide.shape[1:]
        if wide is not None and is_head and len(value) <= len(wide):
            wide = wide.clone()
            wide[: len(value)] = value
            wide[len(value) :] = value[0]
            # The first levels' logits are added to those of the others.
            if name == "heads.0.bias":
                wide[len(value) :] += UNSEEN
            state[name] = wide
    wrong = [name for name in {*state, *wanted} if name not in state or name not in wanted]
    wrong += [name for name in state if name in wanted and state[name].shape != wanted[name].shape]
    if wrong:
        raise ValueError(f"expected weights of a smaller network of the same kind, {min(wrong)} does not fit")
    network.load_state_dict(state)
