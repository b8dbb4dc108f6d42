"""Model cards: what a model was trained on, how, with what result, and what it is not for."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict

import torch

from cardiac_motion import __version__
from cardiac_motion.training.fit import FitResult
from cardiac_motion.training.options import FitOptions

_HEAD = """# {model}

Weights of the model `{model}`. {summary}

| | |
|---|---|
| network | `{network}`, {parameters} parameters |
| arguments | {config} |
| package | cardiac-motion {version} |
{rows}
## Data and recipe

"""

_TRAINED = """| training | {steps} steps in {minutes:.0f} minutes on {machine}; ended by {reason} |
| weights | the {which}, after step {kept_step} |
"""

_AVERAGED = """\
The mean of a network before and after it was trained on keeps much of what each is good at (Wortsman et al. 2022,
"Model soups"). What each was trained on, by its own card:

{origins}
"""

_REST = """
## Results

On the samples that training validates on, with the weights as they are kept (half precision):

{scores}

Other results, on phantoms and on real cines: not measured when this card was written. Look at it on cases of
one's own before it is used; `cardiac-motion evaluate` scores it on labelled ones.

## Failures

Nobody has looked for any yet.

## Intended use

{use}

## Limits

- It has seen pixels of {pixel_mm:g} mm around the heart; other resolutions are resampled to that.
- Contrasts, views, anatomies and artefacts that its data do not hold are unknown to it. Synthetic hearts have no
  congenital disease, masses, prostheses or artefacts of pacemakers.
- It knows nothing of its own errors: entropy tells doubt, not correctness.
"""

_USE = (
    "Research: first contours of the structures above on cine cardiac MR, to be looked at and corrected by a "
    "reader before anything is measured from them. It is no medical device."
)


def model_card(
    *,
    model: str,
    network: str,
    config: Mapping[str, object],
    parameters: int,
    description: str,
    options: FitOptions,
    result: FitResult,
    scores: Mapping[str, float],
    device: torch.device,
    processes: int = 1,
    started_from: str,
    pixel_mm: float,
) -> str:
    """The card, in Markdown.

    Args:
        model: its name.
        network: the network's.
        config: arguments of the network.
        parameters: how many the network has.
        description: of data and recipe.
        options: of the run.
        result: of the run.
        scores: of the weights as they are kept.
        device: that it was trained on.
        processes: that trained together.
        started_from: name and checksum of the weights that training began with, empty for none.
        pixel_mm: of what the network sees.
    """
    begun = "Trained from nothing." if not started_from else f"Training went on from {started_from}."
    rows = _TRAINED.format(
        steps=result.steps,
        minutes=result.seconds / 60,
        machine=machine(device, processes),
        reason={"steps": "its steps", "minutes": "its minutes", "patience": "lack of progress"}[result.reason],
        which=options.keep,
        kept_step=result.kept_step,
    )
    kept = ", ".join(f"{name} {value}" for name, value in asdict(options).items() if value is not None)
    return (
        _head(model, begun, network, config, parameters, rows)
        + f"{description}\n\nOptions: {kept}.\n"
        + _rest(scores, pixel_mm)
    )


def mean_card(
    *,
    model: str,
    network: str,
    config: Mapping[str, object],
    parameters: int,
    origins: Mapping[str, str],
    scores: Mapping[str, float],
    pixel_mm: float,
) -> str:
    """The card of a mean of weights, in Markdown.

    Args:
        model: its name.
        network: the network's.
        config: arguments of the network.
        parameters: how many the network has.
        origins: cards of the weights that were averaged, by what to call them; empty where there is none.
        scores: of the weights as they are kept.
        pixel_mm: of what the network sees.
    """
    summary = f"The mean of {len(origins)} networks' weights, which nothing was trained on after."
    told = "\n\n".join(f"**{name}.** {_training_of(card)}" for name, card in origins.items())
    return (
        _head(model, summary, network, config, parameters, "")
        + _AVERAGED.format(origins=told)
        + _rest(scores, pixel_mm)
    )


def _head(model: str, summary: str, network: str, config: Mapping[str, object], parameters: int, rows: str) -> str:
    """What every card begins with, to the heading of data and recipe; ``rows`` are further ones of the table."""
    arguments = ", ".join(f"{name} {value}" for name, value in config.items())
    return _HEAD.format(
        model=model,
        summary=summary,
        network=network,
        parameters=parameters,
        config=arguments,
        version=__version__,
        rows=rows,
    )


def _training_of(card: str) -> str:
    """What a card says about training: its summary, its row about it, and its recipe."""
    if not card:
        return "It came without a card."
    summary = card.split("\n\n")[1]
    row = next((line for line in card.splitlines() if line.startswith("| training |")), "")
    recipe = card.partition("## Data and recipe")[2].partition("## Results")[0].strip()
    ran = row.removeprefix("| training |").strip(" |")
    return " ".join(part for part in (summary, f"{ran[:1].upper()}{ran[1:]}." if ran else "", recipe) if part)


def _rest(scores: Mapping[str, float], pixel_mm: float) -> str:
    table = ["| figure | value |", "|---|---|", *(f"| {name} | {value:.3f} |" for name, value in scores.items())]
    return _REST.format(scores="\n".join(table), use=_USE, pixel_mm=pixel_mm)


def machine(device: torch.device, processes: int = 1) -> str:
    """What kind of machine this is, without its name, and how many processes of how many threads."""
    if device.type == "cuda":
        each = f"a GPU ({torch.cuda.get_device_name(device)})"
        return each if processes == 1 else f"{processes} processes, each with {each}"
    threads = torch.get_num_threads()
    each = f"{threads} thread{'' if threads == 1 else 's'}"
    shared = each if processes == 1 else f"{processes} processes of {each}"
    return f"{shared}, {os.cpu_count()} cores ({platform.machine()} CPU)"
