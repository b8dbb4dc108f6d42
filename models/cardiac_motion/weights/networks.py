"""From the name of a network and its arguments, as weights keep them, to the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from cardiac_motion.errors import InputError, shown
from cardiac_motion.networks.deunet import DeUNet
from cardiac_motion.networks.unet import ModifiedUNet

if TYPE_CHECKING:
    from cardiac_motion.weights.store import Weights

NETWORKS: Mapping[str, Callable[..., nn.Module]] = {"unet": ModifiedUNet, "deunet": DeUNet}
"""Networks that have weights, by the name that weights know them by."""

LARGEST = 4096
"""Of the numbers among a network's arguments, such as its channels."""

_AT_LEAST_ONE = ("classes", "inputs", "width", "levels", "kernel")


def build_network(network: str, config: Mapping[str, Any]) -> nn.Module:
    """A new network on the CPU.

    Args:
        network: one of `NETWORKS`.
        config: its keyword arguments.

    Raises:
        InputError: no such network, or arguments that it does not take.
    """
    if network not in NETWORKS:
        raise InputError(f"expected a network among {', '.join(NETWORKS)}, got {shown(network)}")
    for name, value in config.items():
        least = 1 if name in _AT_LEAST_ONE else 0
        if isinstance(value, int | float) and not least <= value <= LARGEST:
            raise InputError(f"expected {name} from {least} to {LARGEST} for the network {network}, got {value}")
    try:
        return NETWORKS[network](**config)
    except (TypeError, ValueError, LookupError, ArithmeticError, RuntimeError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise InputError(f"the network {network} cannot be made with {shown(dict(config))}: {reason}") from error


def fitted_network(weights: Weights) -> nn.Module:
    """The network that weights are of, with them, on the CPU.

    Raises:
        InputError: no such network, arguments that it does not take, or weights of another one.
    """
    # Without memory first: arguments may ask for any amount, and weights that fit have what they need.
    with torch.device("meta"):
        expected = _kinds(build_network(weights.network, weights.config).state_dict())
    found = _kinds(weights.state)
    if expected != found:
        name = next(name for name in sorted({*expected, *found}) if expected.get(name) != found.get(name))
        raise InputError(
            f"the weights are not those of {weights.network} with {shown(dict(weights.config))}: expected {name} "
            f"as {expected.get(name, 'nothing')}, got {found.get(name, 'nothing')}"
        )
    network = build_network(weights.network, weights.config)
    network.load_state_dict(dict(weights.state))
    return network


def _kinds(state: Mapping[str, Tensor]) -> dict[str, str]:
    """Size and kind of each tensor, as a message shows them."""
    kinds = {True: "numbers", False: "whole numbers"}
    return {name: f"{tuple(value.shape)} {kinds[value.is_floating_point()]}" for name, value in state.items()}
