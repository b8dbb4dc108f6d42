"""The mean of weights: of networks that were trained on from each other, on other data or in another order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from cardiac_motion.errors import InputError
from cardiac_motion.phantom.clips import PIXEL_MM
from cardiac_motion.progress import Progress, silent
from cardiac_motion.training.card import mean_card
from cardiac_motion.training.recipes.segmentation import synthetic_task
from cardiac_motion.training.registry import recipe as recipe_of
from cardiac_motion.weights import Weights, build_network, load_weights, save_weights, weights_card


def mean_state(weights: Sequence[Weights]) -> dict[str, Tensor]:
    """The mean of each number of networks of the same arguments (Wortsman et al. 2022).

    Raises:
        InputError: fewer than two, networks that differ, or whole numbers that do.
    """
    if len(weights) < 2:
        raise InputError(f"expected weights of two networks or more, got {len(weights)}")
    first = weights[0]
    for other in weights[1:]:
        if (other.model, other.network, dict(other.config)) != (first.model, first.network, dict(first.config)):
            raise InputError(
                f"expected weights of one model with the same arguments, got {first.model} {dict(first.config)} "
                f"and {other.model} {dict(other.config)}"
            )
        if {k: v.shape for k, v in other.state.items()} != {k: v.shape for k, v in first.state.items()}:
            raise InputError(f"expected weights of one network, those of {first.model} differ in their sizes")
    result = {}
    for name, value in first.state.items():
        values = [each.state[name] for each in weights]
        if value.is_floating_point():
            result[name] = torch.stack([each.double() for each in values]).mean(0).to(value.dtype)
        elif all(torch.equal(value, each) for each in values):
            result[name] = value
        else:
            raise InputError(f"{name} is whole numbers, which have no mean, and differs between the weights")
    return result


def average_weights(
    sources: Sequence[str | Path], output: Path, *, pools: Path | None = None, progress: Progress = silent
) -> tuple[str, dict[str, float]]:
    """Write the mean of weights with its card, scored on the clips that their recipe validates on.

    Args:
        sources: names of shipped weights, or files.
        output: file that ends in ``.pt``.
        pools: folder of the synthetic clips; None for the cache.
        progress: while the clips to validate on are drawn.

    Returns:
        The checksum, and the scores.

    Raises:
        InputError: as `mean_state`; files that cannot be read or written.
    """
    weights = [load_weights(source) for source in sources]
    state, first = mean_state(weights), weights[0]
    recipe = recipe_of(first.model)
    recipe.validation.pool(pools).make(progress=progress)
    network = build_network(first.network, first.config)
    network.load_state_dict({name: value.half().float() for name, value in state.items()})
    scores = synthetic_task(recipe, folder=pools).validate(network.eval())
    card = mean_card(
        model=first.model,
        network=first.network,
        config=first.config,
        parameters=sum(p.numel() for p in network.parameters()),
        origins={
            f"SHA-256 {each.checksum[:12]}…": weights_card(source)
            for source, each in zip(sources, weights, strict=True)
        },
        scores=scores,
        pixel_mm=PIXEL_MM,
    )
    checksum = save_weights(
        output, state, model=first.model, network=first.network, config=dict(first.config), card=card
    )
    return checksum, scores
