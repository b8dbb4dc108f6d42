"""From a model's name to its weights with their card: what `cardiac-motion train` does."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from cardiac_motion.datasets import find_dataset
from cardiac_motion.errors import InputError
from cardiac_motion.networks import deunet_growth, unet_growth
from cardiac_motion.networks.deunet import DeUNet
from cardiac_motion.networks.unet import ModifiedUNet
from cardiac_motion.phantom.clips import PIXEL_MM
from cardiac_motion.progress import Progress, silent
from cardiac_motion.registration.base import with_options
from cardiac_motion.segmentation.registry import segmentation_model_of
from cardiac_motion.training.card import model_card
from cardiac_motion.training.case_task import Part, case_task
from cardiac_motion.training.checkpoint import Checkpoint, prepare_folder
from cardiac_motion.training.distributed import World
from cardiac_motion.training.fit import FitResult, fit, training_device
from cardiac_motion.training.options import FitOptions
from cardiac_motion.training.randomness import own_randomness, seed_step
from cardiac_motion.training.recipes.segmentation import SegmentationRecipe, SegmentationTask, synthetic_task
from cardiac_motion.training.registry import recipe as recipe_of
from cardiac_motion.training.self_labels import NAME, SelfLabelled, read_samples, self_labelled, write_samples
from cardiac_motion.training.sources import PoolSource
from cardiac_motion.weights import Weights, build_network, load_weights, save_weights, shipped_weights

NOTHING = "nothing"
"""In the place of weights to start from: train from random ones."""

WHAT_IT_IS = ("classes", "inputs", "views", "radius", "fusion", "attention")
"""Arguments of a network that a model is told from another by; weights to start from may have others beside them,
such as a width, which are then kept. A network may also begin as a smaller one: `deunet_growth.py`,
`unet_growth.py`."""


@dataclass(frozen=True)
class Trained:
    """What a run has left.

    Attributes:
        model: its name.
        weights: the file of weights; its card and the file that says what they are lie beside it.
        checksum: of that file.
        scores: on the validation samples, of the weights as they are kept.
        result: of `fit`.
    """

    model: str
    weights: Path
    checksum: str
    scores: dict[str, float]
    result: FitResult

    def to_json(self) -> dict[str, Any]:
        """Everything but weights and curves."""
        result = self.result
        return {
            "model": self.model,
            "weights": str(self.weights),
            "card": str(self.weights.with_suffix(".md")),
            "sha256": self.checksum,
            "scores": self.scores,
            "kept_step": result.kept_step,
            "steps": result.steps,
            "reason": result.reason,
            "seconds": round(result.seconds, 1),
            "loss": result.losses[-1] if result.losses else None,
        }


def train_model(
    model: str,
    output: Path,
    *,
    data: Path | None = None,
    part: Part | None = None,
    unlabelled: Path | None = None,
    start_from: str | Path | None = None,
    resume: bool = False,
    changes: Mapping[str, Any] | None = None,
    clips: int | None = None,
    pools: Path | None = None,
    device: torch.device | str | None = None,
    progress: Progress = silent,
) -> Trained | None:
    """Train a model by its recipe on synthetic hearts, or fine-tune it on cases.

    Args:
        model: its name.
        output: folder of this run.
        data: folder of a data set to fine-tune on; None for synthetic hearts.
        part: of that data set.
        unlabelled: folder of a data set to train itself on: on labels that the weights it starts from find on the
            cines, of those with labels too, where they agree with the motion (`self_labels.py`).
        start_from: name or file of weights, or `NOTHING`; by default the shipped ones for fine-tuning, else
            nothing.
        resume: go on with the run in the folder, with its options, clips and weights.
        changes: to the options of the recipe, or of the run that is resumed.
        clips: of synthetic hearts; None for as many as the run that is resumed has, or the recipe says.
        pools: folder of the synthetic clips; None for the cache.
        device: None for a GPU where there is one.
        progress: called often; may raise `Cancelled`.

    Returns:
        What there is now; None in all but the first of several processes.

    Raises:
        InputError: whatever was asked for wrongly, before training starts.
        CardiacMotionError: training failed.
        Cancelled: from the progress callback; what was done can be resumed.
    """
    has_cases = data is not None or unlabelled is not None
    _check_asked(
        resume=resume, start_from=start_from, clips=clips, has_cases=has_cases, is_own=unlabelled is not None
    )
    recipe = recipe_of(model)
    if clips is not None:
        recipe = replace(recipe, training=replace(recipe.training, clips=clips))
    world, device = World.current(), training_device(device)
    if not world.is_first:
        progress = silent
    found = world.of_first(Checkpoint.read(output) if world.is_first and resume else None)
    weights = None if found is not None else _starting_weights(recipe, start_from, is_fine_tuning=has_cases)
    origin = ""
    if found is not None:
        recipe = _resumed(recipe, found, has_clips=clips is not None or has_cases)
        origin = found.settings.get("started_from", "")
    elif weights is not None:
        recipe = replace(recipe, config=dict(weights.config))
        origin = _origin(weights, start_from)
    default = found.options if found is not None else recipe.fine_tuning if has_cases else recipe.fit
    options: FitOptions = with_options(default, changes)
    world.check_parts(options.parts)
    if has_cases:
        own = None
        if unlabelled is not None and world.is_first:
            own = read_samples(output / NAME) if resume else _own(recipe, unlabelled, start_from, output, progress)
        own = world.of_first(own)
        task = case_task(recipe, data=data, part=part, own=own, seed=options.seed, progress=progress)
    else:
        if world.is_first:
            # Before the hearts are drawn, which may take an hour.
            prepare_folder(output, resume=resume)
        task = synthetic_task(recipe, seed=options.seed, folder=pools)
    task.started_from = origin
    if found is not None:
        # Before the hearts of another run are drawn.
        found.check_fits(task.name, task.settings, options)
    if not has_cases:
        _draw(recipe, pools, progress)
    result = fit(
        task,
        output,
        options=options,
        resume=resume,
        device=device,
        progress=progress,
        start_from=weights.state if weights is not None else None,
    )
    return _finished(task, output, options, result, device) if world.is_first else None


def _own(
    recipe: SegmentationRecipe, unlabelled: Path, start_from: str | Path | None, output: Path, progress: Progress
) -> SelfLabelled:
    """Labels that the weights which a run begins with find on unlabelled cines; they are kept in its folder."""
    arguments = recipe.training.arguments
    cases = find_dataset(unlabelled).cases
    model = segmentation_model_of(start_from if start_from is not None else recipe.name)
    is_new = not output.exists()
    # Before the cines are segmented, which may take an hour.
    prepare_folder(output, resume=False)
    try:
        found = self_labelled(
            cases, model, frames=recipe.frames, size=arguments.size, views=arguments.views, progress=progress
        )
        write_samples(output / NAME, found)
    except BaseException:
        if is_new:
            with suppress(OSError):
                output.rmdir()
        raise
    return found


def _check_asked(
    *, resume: bool, start_from: str | Path | None, clips: int | None, has_cases: bool, is_own: bool
) -> None:
    """Refuse what contradicts itself."""
    if resume and start_from is not None:
        raise InputError("a run that is resumed goes on from its own weights, expected none to start from")
    if is_own and start_from == NOTHING:
        raise InputError("labels of unlabelled cines are found by the weights to start from, expected some")
    if clips is not None and has_cases:
        raise InputError("a number of synthetic clips is for training on synthetic hearts, not on a data set")


def _resumed(recipe: SegmentationRecipe, found: Checkpoint, *, has_clips: bool) -> SegmentationRecipe:
    """The recipe with the network of a run and, unless they were asked for, as many synthetic clips."""
    recipe = replace(recipe, config=found.settings.get("config", recipe.config))
    clips = PoolSource.clips_of(found.settings.get("samples", {}).get("synthetic", ""))
    if has_clips or clips is None:
        return recipe
    return replace(recipe, training=replace(recipe.training, clips=clips))


def _starting_weights(
    recipe: SegmentationRecipe, start_from: str | Path | None, *, is_fine_tuning: bool
) -> Weights | None:
    """The weights that a run begins with, of the network that it trains."""
    if start_from == NOTHING or (start_from is None and not is_fine_tuning):
        return None
    if start_from is None and recipe.name not in shipped_weights():
        raise InputError(
            f"expected weights of {recipe.name} to fine-tune, none come with this version: give a file, or "
            f"{NOTHING!r} to start from nothing"
        )
    weights = load_weights(start_from if start_from is not None else recipe.name)
    if weights.network != recipe.network:
        raise InputError(f"expected weights of the network {recipe.network}, got those of {weights.network}")
    differing = [
        name for name in WHAT_IT_IS if (recipe.config.get(name) or None) != (weights.config.get(name) or None)
    ]
    if differing and _can_grow(recipe, weights, set(differing)):
        return _grown(recipe, weights, differing)
    if differing:
        wanted, got = (config.get(differing[0]) for config in (recipe.config, weights.config))
        raise InputError(
            f"expected weights of a network as {recipe.name} has it, {differing[0]} {wanted}, got those of "
            f"{weights.model}, {differing[0]} {got}"
        )
    return weights


def _can_grow(recipe: SegmentationRecipe, weights: Weights, differing: set[str]) -> bool:
    """Whether the network can begin as the smaller one whose weights are given."""
    if recipe.network == "deunet":
        return differing <= deunet_growth.PLAIN.keys() and deunet_growth.PLAIN.items() <= weights.config.items()
    fewer = int(weights.config.get("classes", 0)) <= recipe.classes and not weights.config.get("views")
    return fewer and differing <= {"classes", "views"}


def _grown(recipe: SegmentationRecipe, weights: Weights, differing: Sequence[str]) -> Weights:
    """Weights of a network that begins as the smaller one whose weights are given."""
    own = {name: recipe.config[name] for name in differing if name in recipe.config}
    config: dict[str, Any] = {**weights.config, **own}
    with own_randomness():
        seed_step(recipe.fit.seed, -1, 0)
        network = build_network(recipe.network, config)
    try:
        if isinstance(network, DeUNet):
            deunet_growth.grow(network, weights.state)
        elif isinstance(network, ModifiedUNet):
            unet_growth.grow(network, weights.state)
    except ValueError as error:
        raise InputError(f"the weights to start from are of another network: {error}") from error
    return replace(weights, config=config, state=network.state_dict())


def _draw(recipe: SegmentationRecipe, pools: Path | None, progress: Progress) -> None:
    """Draw the synthetic clips that are not there yet; one process of each machine does."""
    if int(os.environ.get("LOCAL_RANK", "0")) == 0:
        for pool in (recipe.validation.pool(pools), recipe.training.pool(pools)):
            pool.make(progress=progress)
    World.current().wait()


def _finished(
    task: SegmentationTask,
    output: Path,
    options: FitOptions,
    result: FitResult,
    device: torch.device,
) -> Trained:
    """Write the weights, read them again, score them as they are, and write their card."""
    recipe = task.recipe
    path = output / f"{recipe.name}.pt"
    about: dict[str, Any] = {"model": recipe.name, "network": recipe.network, "config": recipe.config}
    save_weights(path, result.state, **about)
    kept = load_weights(path)
    network = build_network(kept.network, kept.config)
    network.load_state_dict(kept.state)
    scores = task.validate(network.to(device).eval())
    card = model_card(
        **about,
        parameters=sum(p.numel() for p in network.parameters()),
        description=task.description,
        options=options,
        result=result,
        scores=scores,
        device=device,
        processes=World.current().size,
        started_from=task.started_from,
        pixel_mm=PIXEL_MM,
    )
    checksum = save_weights(path, result.state, **about, card=card)
    return Trained(recipe.name, path, checksum, scores, result)


def _origin(weights: Weights, start_from: str | Path | None) -> str:
    """What training begins with, for the card."""
    name = Path(start_from).name if start_from is not None else f"the shipped {weights.model}"
    return f"{name} (SHA-256 {weights.checksum[:12]}…)"
