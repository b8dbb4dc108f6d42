"""A whole cine from one contoured frame, and the drift of registrations from frame to frame around the cycle.

    python -m benchmarks.cycle [--cine FILE --labels FILE] [--parametrisation velocity] [--markdown FILE]

By default the real short-axis cine in the folder of real data (`benchmarks.pairs.data_folder`). Every frame is
registered with frame 0 and scored against its labels, the labels of frame 0 unmoved beside it. For the drift, each
frame is registered with the next and the last with the first, and the T fields are composed: a point should come
back to where it started. The settings are those of frames that follow each other (`small_motion`); how well the
same chain carries labels to end-systole is printed beside the drift, since a chain that moves nothing has none.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from cardiac_motion.analysis.curves import end_systole
from cardiac_motion.analysis.volumes import volumes_ml
from cardiac_motion.atomic import atomic_path
from cardiac_motion.cine import Cine
from cardiac_motion.evaluation.tables import markdown_table, number
from cardiac_motion.fields import compose, warp
from cardiac_motion.io import check_labels, read_cine, read_labels
from cardiac_motion.labels import Label
from cardiac_motion.metrics import dice_shared_slices, dice_stack, mean_where_defined
from cardiac_motion.pipeline import share_of_folds
from cardiac_motion.propagation import propagate
from cardiac_motion.registration.recursive.model import RecursiveModel
from cardiac_motion.registration.recursive.options import RecursiveOptions
from cardiac_motion.working_grid import find_heart

from benchmarks.pairs import data_folder

Labels = npt.NDArray[np.uint8]
STRUCTURES = (Label.RV, Label.MYO, Label.LV)


def frames_table(truth: Labels, labels: Labels) -> str:
    """Mean Dice over the labelled frames but the first, shared slices and whole stack, unregistered beside."""
    held = np.broadcast_to(truth[0], truth.shape)
    frames = [t for t in range(1, len(truth)) if truth[t].any()]
    rows = []
    for structure in STRUCTURES:
        row = [structure.name]
        for which in (held, labels):
            pairs = [(truth[t] == structure, which[t] == structure, truth[0] == structure) for t in frames]
            row.append(number(mean_where_defined([dice_shared_slices(*pair) for pair in pairs]), 3))
            row.append(number(mean_where_defined([dice_stack(a, b) for a, b, _ in pairs]), 3))
        rows.append(row)
    header = ["structure", "unregistered", "unregistered, whole stack", "recursive", "recursive, whole stack"]
    return f"{len(frames)} labelled frames after frame 0\n\n{markdown_table(header, rows)}"


def drift_table(model: RecursiveModel, cine: Cine, truth: Labels, options: RecursiveOptions) -> str:
    """Drift around the cycle in the myocardium of frame 0, per slice, and Dice at ES along the same chain."""
    region = find_heart(cine.frames, cine.spacing)
    images = region.crop(cine.frames)
    wall = region.crop(truth[0]) == Label.MYO
    t, z, *plane = images.shape
    following = np.roll(images, -1, axis=0)
    pairs = model.register_pairs(
        images.reshape(t * z, *plane), following.reshape(t * z, *plane), spacing=cine.spacing[1:], options=options
    )
    ahead, back = (field.unflatten(0, (t, z)) for field in (pairs.forward, pairs.backward))
    around = ahead[0]
    for step in ahead[1:]:
        around = compose(step, around)
    spacing = torch.tensor(cine.spacing[1:]).view(1, 2, 1, 1)
    distance = (around * spacing).norm(dim=1).numpy()

    es = end_systole(volumes_ml(truth, cine.spacing)[Label.LV])
    to_first = back[0]
    for step in back[1:es]:
        to_first = compose(to_first, step)
    dice = []
    for structure in STRUCTURES:
        mask = torch.from_numpy((region.crop(truth[0]) == structure).astype(np.float32))[:, None]
        carried = warp(mask, to_first)[:, 0].numpy() > 0.5
        goal, source = region.crop(truth[es]) == structure, region.crop(truth[0]) == structure
        dice.append(
            f"{structure.name} {dice_shared_slices(goal, carried, source):.3f} "
            f"({dice_shared_slices(goal, source, source):.3f})"
        )
    rows = [
        [str(k), number(float(distance[k][wall[k]].mean()), 2), number(float(np.median(distance[k][wall[k]])), 2)]
        for k in range(z)
        if wall[k].any()
    ]
    rows.append(["all", number(float(distance[wall].mean()), 2), number(float(np.median(distance[wall])), 2)])
    table = markdown_table(["slice", "mean drift, mm", "median, mm"], rows)
    return f"{table}\n\nalong this chain to ES, frame {es}, Dice (unregistered): {', '.join(dice)}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cine", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--parametrisation", choices=["velocity", "network"], default="velocity")
    parser.add_argument("--markdown", type=Path)
    chosen = parser.parse_args(arguments)
    if (chosen.cine is None) != (chosen.labels is None):
        parser.error("--cine and --labels belong together")
    cine_file = chosen.cine or data_folder() / "cine_sax.nii.gz"
    label_file = chosen.labels or data_folder() / "cine_sax_labels.nii.gz"

    start = time.perf_counter()
    cine = read_cine(cine_file)
    label_image = read_labels(label_file)
    check_labels(label_image, cine)
    truth = label_image.labels
    reading = time.perf_counter() - start
    model = RecursiveModel()
    start = time.perf_counter()
    motion = model.estimate(cine, options=RecursiveOptions(parametrisation=chosen.parametrisation))
    estimating = time.perf_counter() - start
    start = time.perf_counter()
    labels = propagate(motion, {0: truth[0]})
    carrying = time.perf_counter() - start
    small = RecursiveOptions(parametrisation=chosen.parametrisation, small_motion=True)
    parts = [
        f"(T, Z, Y, X) = {cine.shape}, region {find_heart(cine.frames, cine.spacing).shape}, "
        f"{torch.get_num_threads()} threads",
        f"reading {reading:.1f} s, motion {estimating:.1f} s, labels {carrying:.2f} s; "
        f"folds {share_of_folds(motion):.6f}",
        frames_table(truth, labels),
        drift_table(model, cine, truth, small),
    ]
    text = "\n\n".join(parts) + "\n"
    print(text)
    if chosen.markdown:
        with atomic_path(chosen.markdown) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
