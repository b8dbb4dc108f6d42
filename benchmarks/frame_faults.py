"""Whether neighbouring frames help where a frame is ghosted or mistriggered: DeU-Net, its variants, the U-Net.

    python -m benchmarks.frame_faults unet=FILE deunet=FILE deunet_t=FILE … [--phantoms 10] [--markdown FILE]

Phantoms of the seeds for tests, bSSFP-like, 25 frames. At end-diastole and end-systole each slice is spoilt in
k-space, as `cardiac_motion.training.frame_faults` does it, and the true other frame, a quarter of the cycle
later, lends the lines of a wrong trigger. The other frames stay as they were. Dice over the slices that hold the
structure, mean over structures, both phases and phantoms; the models see the same images. p is of a paired
Wilcoxon signed-rank test over phantoms against the first model named.

Networks that were trained on clips with such faults (the DeU-Net and its variants) have an advantage over one
that was not (the U-Net): what aggregation over time alone gives is the difference between `deunet` and `deunet_t`,
which sees the middle frame only and is trained alike.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from cardiac_motion.atomic import atomic_path
from cardiac_motion.cine import Cine
from cardiac_motion.evaluation.tables import markdown_table, number
from cardiac_motion.phantom import TEST_SEEDS, PhantomOptions, make_study
from cardiac_motion.segmentation.network import NetworkSegmentation
from cardiac_motion.training.frame_faults import ghosted, mistriggered
from cardiac_motion.weights import load_weights
from scipy import stats

from benchmarks.segmentation import STRUCTURES, Case, case_of_study, score

FAULTS = ("none", "ghosted", "mistriggered")


def spoilt(case: Case, fault: str, seed: int) -> Cine:
    """The cine of a case with its scored frames spoilt in every slice."""
    frames: npt.NDArray[np.float32] = case.cine.frames.astype(np.float32).copy()
    generator = torch.Generator().manual_seed(seed)
    count = len(frames)
    for t in case.frames.values():
        for z in range(frames.shape[1]):
            frame = torch.from_numpy(case.cine.frames[t, z].astype(np.float32))
            other = torch.from_numpy(case.cine.frames[(t + count // 4) % count, z].astype(np.float32))
            if fault == "ghosted":
                frames[t, z] = ghosted(frame, generator).numpy()
            elif fault == "mistriggered":
                frames[t, z] = mistriggered(frame, other, generator).numpy()
    return replace(case.cine, frames=frames)


def mean_dice(model: NetworkSegmentation, cine: Cine, case: Case) -> float:
    """Over structures and both phases."""
    result = model.segment(cine, frames=sorted(case.frames.values()))
    return float(
        np.mean(
            [
                score(result.labels[result.frames.index(t)], case.truth[phase], structure)[0]
                for phase, t in case.frames.items()
                for structure in STRUCTURES
            ]
        )
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Spoil, segment, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="+", metavar="NAME=FILE")
    parser.add_argument("--phantoms", type=int, default=10)
    parser.add_argument("--markdown", type=Path)
    chosen = parser.parse_args(arguments)
    models: dict[str, NetworkSegmentation] = {}
    for each in chosen.weights:
        name, _, file = each.partition("=")
        source = file or name
        radius = int(load_weights(source).config.get("radius", 0))
        models[name] = NetworkSegmentation(name, weights=source, radius=radius)
    found: dict[tuple[str, str], list[float]] = {(name, fault): [] for name in models for fault in FAULTS}
    for seed in TEST_SEEDS[: chosen.phantoms]:
        case = case_of_study(seed, make_study(seed, PhantomOptions(frames=25, motion_truth=False)))
        for fault in FAULTS:
            cine = spoilt(case, fault, seed)
            for name, model in models.items():
                found[name, fault].append(mean_dice(model, cine, case))
    first = next(iter(models))
    rows = []
    for name in models:
        row = [name]
        for fault in FAULTS:
            values = found[name, fault]
            row.append(number(float(np.mean(values)), 3))
            differs = name != first and values != found[first, fault]
            row.append(f"{stats.wilcoxon(values, found[first, fault]).pvalue:.2g}" if differs else "")
        rows.append(row)
    header = ["model", *(column for fault in FAULTS for column in (fault, "p"))]
    text = markdown_table(header, rows) + f"\n\n{chosen.phantoms} phantoms, mean Dice of RV, MYO, LV\n"
    print(text)
    if chosen.markdown:
        with atomic_path(chosen.markdown) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
