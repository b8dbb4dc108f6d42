"""How strongly chains of registrations have to be held: the choice of `small_motion`, made on phantoms alone.

    python -m benchmarks.chain_regularity [--seeds 4] [--slices 3] [--unlabelled FILE ...] [--markdown FILE]

Phantoms of the seeds for tuning, without through-plane motion, so that a chain in the plane can be right. Every
frame is registered with the next and the last with the first. Points of the myocardium of frame 0 are followed
along the chain: their mean distance from the truth over all frames, which moving too little and drifting both make
larger, and their distance from where they started once around, which alone is least if nothing moves.

Cines without labels: the distance once the cycle is closed over the tenth of the region of work whose intensity
changes most, in which the borders of a moving heart lie.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from cardiac_motion.atomic import atomic_path
from cardiac_motion.evaluation.tables import markdown_table, number
from cardiac_motion.fields import compose
from cardiac_motion.io import read_cine
from cardiac_motion.labels import Label
from cardiac_motion.phantom import TUNING_SEEDS, PhantomOptions, make_study
from cardiac_motion.registration.recursive.objective import image_loss
from cardiac_motion.registration.recursive.options import RecursiveOptions
from cardiac_motion.registration.recursive.velocity import (
    SMALL_MOTION,
    Schedule,
    build_pyramid,
    fit_pyramid,
    integrate,
)
from cardiac_motion.working_grid import find_heart, normalise
from torch import Tensor, from_numpy

SMOOTHNESS = (0.5, 2.0, 4.0, 8.0)
MAGNITUDES = (0.0, 0.2, 0.35, 0.5, 1.0)
CANDIDATES = tuple(itertools.product(SMOOTHNESS, MAGNITUDES))
Floats = npt.NDArray[np.floating]


def held(smoothness: float, magnitude: float) -> Schedule:
    """`SMALL_MOTION` with other weights of the velocity's gradient and of its size."""
    regularity = replace(SMALL_MOTION.coarse, smoothness=smoothness, magnitude=magnitude)
    return replace(SMALL_MOTION, coarse=regularity, finest=regularity)


def follow(images: Floats, spacing: Sequence[float], schedule: Schedule) -> Floats:
    """Where the points of frame 0 are after each link of the chain, the last of which closes the cycle.

    Args:
        images: (T, Z, Y, X).
        spacing: (y, x) in mm.
        schedule: of the registration.

    Returns:
        Displacement in mm, (T, 2, Z, Y, X): at frame 1, 2, … T - 1 and, once around, 0.
    """
    t, z, *plane = images.shape
    options = RecursiveOptions(small_motion=True).resolved()
    one = from_numpy(normalise(images)).reshape(t * z, *plane)
    other = one.roll(-z, 0)
    velocity = fit_pyramid(
        build_pyramid(one, spacing, options.levels),
        build_pyramid(other, spacing, options.levels),
        loss=image_loss(options.similarity, robust=True),
        iterations=options.iterations,
        bidirectional=options.bidirectional,
        schedule=schedule,
    )
    ahead = integrate(velocity, one.shape[1:])[0].unflatten(0, (t, z))
    path: list[Tensor] = [ahead[0]]
    for step in ahead[1:]:
        path.append(compose(step, path[-1]))
    voxels = np.stack([field.numpy() for field in path]).swapaxes(1, 2)
    return np.asarray(voxels * np.reshape(spacing, (1, 2, 1, 1, 1)))


def on_phantom(seed: int, slices: int) -> list[tuple[float, float]]:
    """Mean distance from the truth over all frames, and from the start once around, in mm, of each candidate."""
    study = make_study(seed, PhantomOptions(slices=slices, through_plane=False))
    assert study.motion is not None
    region = find_heart(study.cine.frames, study.cine.spacing)
    wall = region.crop(study.labels[0]) == Label.MYO
    truth = region.crop(study.motion[1][1:, 1:])
    figures = []
    for candidate in CANDIDATES:
        path = follow(region.crop(study.cine.frames), study.cine.spacing[1:], held(*candidate))
        error = np.linalg.norm(path[:-1] - truth, axis=1)[:, wall].mean()
        figures.append((float(error), float(np.linalg.norm(path[-1], axis=0)[wall].mean())))
    return figures


def phantom_table(seeds: Sequence[int], slices: int) -> str:
    """Means over the phantoms, a row for each candidate."""
    found = [on_phantom(seed, slices) for seed in seeds]
    chosen = SMALL_MOTION.coarse.smoothness, SMALL_MOTION.coarse.magnitude
    rows = []
    for index, candidate in enumerate(CANDIDATES):
        error, drift = np.mean([figures[index] for figures in found], axis=0)
        size = f"{candidate[1]:g}{' (`small_motion`)' if candidate == chosen else ''}"
        rows.append([f"{candidate[0]:g}", size, number(float(error), 2), number(float(drift), 2)])
    header = ["weight of the gradient", "of the size", "from the truth, all frames, mm", "drift, mm"]
    return markdown_table(header, rows)


def unlabelled_table(files: Sequence[Path]) -> str:
    """Drift with `small_motion` where the intensity changes most."""
    rows = []
    for file in files:
        cine = read_cine(file)
        region = find_heart(cine.frames, cine.spacing)
        images = region.crop(cine.frames)
        change = images.std(axis=0)
        moving = change >= np.quantile(change, 0.9)
        drift = np.linalg.norm(follow(images, cine.spacing[1:], SMALL_MOTION)[-1], axis=0)[moving]
        rows.append([cine.name, number(float(drift.mean()), 2), number(float(np.median(drift)), 2)])
    return markdown_table(["cine", "mean drift, mm", "median, mm"], rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=4, help="how many of the seeds for tuning")
    parser.add_argument("--slices", type=int, default=3, help="of each phantom")
    parser.add_argument("--unlabelled", type=Path, nargs="*", default=[], help="cines without labels")
    parser.add_argument("--markdown", type=Path)
    chosen = parser.parse_args(arguments)
    parts = [phantom_table(TUNING_SEEDS[: chosen.seeds], chosen.slices)] if chosen.seeds else []
    if chosen.unlabelled:
        parts.append(unlabelled_table(chosen.unlabelled))
    text = "\n\n".join(parts) + "\n"
    print(text)
    if chosen.markdown:
        with atomic_path(chosen.markdown) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
