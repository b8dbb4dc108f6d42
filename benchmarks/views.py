"""One network that is told the view, or one per view: which measures better.

    python -m benchmarks.views unet=FILE unet_lax=FILE unet_views=FILE [--clips 16] [--markdown FILE]

Single slices of phantoms of the seeds for tests, hearts and contrasts as patients have them. Dice over all pixels
of a phantom's slices of a view, mean over structures, mean over phantoms. Each network is asked for the views that
its recipe trains on. Of a view that two networks know, p is of a paired Wilcoxon signed-rank test over phantoms.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from cardiac_motion.atomic import atomic_path
from cardiac_motion.evaluation.tables import markdown_table, number
from cardiac_motion.phantom import TEST_SEEDS
from cardiac_motion.phantom.clips import VIEWS, Clips, draw_clips
from cardiac_motion.training.augment import standardise
from cardiac_motion.training.registry import recipe
from cardiac_motion.weights import Weights, fitted_network, load_weights
from scipy import stats
from torch import nn


def mean_dice(network: nn.Module, weights: Weights, clips: Clips) -> float:
    """Over the structures that are there, of all pixels of the first frames."""
    classes = int(weights.config["classes"])
    images = torch.from_numpy(clips.images[:, :1]).float() / 255
    told = (torch.from_numpy(clips.views).long(),) if weights.config.get("views") else ()
    with torch.inference_mode():
        found = network(standardise(images), *told).argmax(1).numpy()
    truth = clips.labels[:, 0]
    scores = []
    for value in range(1, classes):
        one, other = found == value, truth == value
        if other.any():
            scores.append(2 * float((one & other).sum()) / float(one.sum() + other.sum()))
    return float(np.mean(scores))


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw, segment, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="+", metavar="NAME=FILE")
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--markdown", type=Path)
    chosen = parser.parse_args(arguments)
    models: dict[str, tuple[nn.Module, Weights]] = {}
    for each in chosen.weights:
        name, _, file = each.partition("=")
        weights = load_weights(file or name)
        models[name] = fitted_network(weights).eval(), weights
    rows = []
    for view in VIEWS:
        able = {k: v for k, v in models.items() if view in recipe(v[1].model).training.arguments.views}
        found: dict[str, list[float]] = {name: [] for name in able}
        for seed in TEST_SEEDS:
            clips = draw_clips(
                seed, chosen.clips, frames=1, views=(view,), random_contrast=0.0, varied=False, samples=5
            )
            for name, (network, weights) in able.items():
                found[name].append(mean_dice(network, weights, clips))
        p = ""
        if len(able) == 2:
            p = f"{stats.wilcoxon(*found.values()).pvalue:.2g}"
        rows.append([view, *(number(float(np.mean(found[n])), 3) if n in able else "" for n in models), p])
    text = markdown_table(["view", *models, "p"], rows)
    text += f"\n\n{len(TEST_SEEDS)} phantoms, {chosen.clips} slices of each view\n"
    print(text)
    if chosen.markdown:
        with atomic_path(chosen.markdown) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
