"""From the name of a network and its arguments, as weights keep them, to the network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from cardiac_motion.errors import InputError
from cardiac_motion.networks.deunet import DeUNet
from cardiac_motion.networks.unet import ModifiedUNet

NETWORKS: Mapping[str, Callable[..., nn.Module]] = {"unet": ModifiedUNet, "deunet": DeUNet}
"""Networks that have weights, by the name that weights know them by."""


def build_network(network: str, config: Mapping[str, Any]) -> nn.Module:
    """A new network on the CPU.

    Args:
        network: one of `NETWORKS`.
        config: its keyword arguments.

    Raises:
        InputError: no such network, or arguments that it does not take.
    """
    if network not in NETWORKS:
        raise InputError(f"expected a network among {', '.join(NETWORKS)}, got {network!r}")
    try:
        return NETWORKS[network](**config)
    except (TypeError, ValueError, KeyError) as error:
        raise InputError(f"the network {network} cannot be made with {dict(config)}: {error}") from error
