"""What a few minutes of fine-tuning on five labelled patients of a foreign contrast are worth.

    python -m benchmarks.fine_tuning --weights WEIGHTS [--contrast dark_blood] [--patients 5] [--minutes 5]
                                     [--seeds report] [--without-labels] [--option NAME=VALUE]

Synthetic patients whose tissues have other signals than any bSSFP cine: five, labelled at ED and ES, are written
as files and given to what `cardiac-motion train --data` runs. Dice of RV, myocardium and LV is over all pixels of
all slices of ten unseen patients at ED and ES, before and after. With --without-labels the five come as cines of
12 frames without labels, and the network trains itself on what it finds (`cardiac-motion train --unlabelled`); the
minutes are then of the training alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from cardiac_motion.cine import Cine
from cardiac_motion.cli.console import parse_settings
from cardiac_motion.datasets import CaseData, find_dataset
from cardiac_motion.io import write_cine, write_labels
from cardiac_motion.phantom import (
    REPORT_SEEDS,
    TRAINING_SEEDS_START,
    TUNING_SEEDS,
    AppearanceOptions,
    PhantomOptions,
)
from cardiac_motion.phantom.artefacts import add_ghosts, add_noise, draw_artefacts, sensitivity
from cardiac_motion.phantom.model import draw_phantom
from cardiac_motion.phantom.options import stream
from cardiac_motion.phantom.render import render_slice
from cardiac_motion.phantom.threads import one_thread
from cardiac_motion.phantom.tissues import Contrast, Tissue
from cardiac_motion.phantom.views import short_axis_view
from cardiac_motion.training.fit import training_device
from cardiac_motion.training.recipes.segmentation import SegmentationTask
from cardiac_motion.training.registry import recipe
from cardiac_motion.training.run import train_model
from cardiac_motion.training.slices import read_slices
from cardiac_motion.weights import Weights, build_network, load_weights

_BODY = {
    Tissue.AIR: 0.01,
    Tissue.FAT: 0.95,
    Tissue.SKELETAL_MUSCLE: 0.55,
    Tissue.LUNG: 0.05,
    Tissue.MEDIASTINUM: 0.6,
    Tissue.LIVER: 0.7,
    Tissue.STOMACH: 0.4,
    Tissue.BONE: 0.3,
    Tissue.SPINAL_FLUID: 0.25,
    Tissue.EPICARDIAL_FAT: 0.9,
    Tissue.VALVE: 0.5,
}
_BLOOD = (Tissue.LV_BLOOD, Tissue.RV_BLOOD, Tissue.LA_BLOOD, Tissue.RA_BLOOD, Tissue.ARTERY, Tissue.VEIN)
_MUSCLE = (Tissue.MYOCARDIUM, Tissue.PAPILLARY)
_RIGHT = (Tissue.RV_BLOOD, Tissue.RA_BLOOD, Tissue.VEIN)

CONTRASTS: Mapping[str, Mapping[Tissue, float]] = {
    # Blood black, muscle grey, as spin echo has them.
    "dark_blood": _BODY | dict.fromkeys(_BLOOD, 0.08) | dict.fromkeys(_MUSCLE, 0.6),
    # Short-tau inversion recovery, as for oedema: blood black but where it is slow, in the right heart; fat dark,
    # muscle and still fluid bright.
    "stir": _BODY
    | dict.fromkeys((Tissue.FAT, Tissue.EPICARDIAL_FAT), 0.06)
    | dict.fromkeys(_BLOOD, 0.05)
    | dict.fromkeys(_RIGHT, 0.45)
    | dict.fromkeys(_MUSCLE, 0.7)
    | {
        Tissue.SPINAL_FLUID: 1.3,
        Tissue.LIVER: 0.3,
        Tissue.MEDIASTINUM: 0.2,
        Tissue.BONE: 0.08,
        Tissue.SKELETAL_MUSCLE: 0.45,
    },
    # Contrast agent in the right heart alone: the cavity of the LV is hardly told from its wall.
    "first_pass": _BODY | dict.fromkeys(_BLOOD, 0.32) | dict.fromkeys(_MUSCLE, 0.24) | dict.fromkeys(_RIGHT, 1.1),
    # Little inflow: blood is only a little brighter than muscle, fat brighter than both.
    "weak_inflow": _BODY | dict.fromkeys(_BLOOD, 0.62) | dict.fromkeys(_MUSCLE, 0.48),
}
PIXEL_MM, MATRIX = 1.5, 176
SEEDS = {"report": REPORT_SEEDS, "tuning": TUNING_SEEDS}


@one_thread()
def patient(seed: int, signals: Mapping[Tissue, float], frames_between: int = 1) -> CaseData:
    """A short-axis stack at ED and ES, labelled, with so many frames from one to the other and back."""
    options = PhantomOptions(
        frames=2 * (1 + frames_between),
        matrix=(MATRIX, MATRIX),
        pixel_spacing=PIXEL_MM,
        motion_truth=False,
        appearance=AppearanceOptions(),
    )
    phantom = draw_phantom(seed, options)
    values = np.array([signals[tissue] for tissue in Tissue])
    phantom = replace(phantom, contrast=Contrast(tuple(values.tolist()), tuple((0.12 * values).tolist())))
    view = short_axis_view(phantom, options)
    systole = phantom.cycle.end_systole
    half = 1 + frames_between
    phases = [systole * k / half for k in range(half)]
    phases += [systole + (1 - systole) * k / half for k in range(half)]
    artefacts = draw_artefacts(seed, view, len(phases), options.appearance)
    noise = torch.Generator().manual_seed(int(stream(seed, "noise of a foreign contrast").integers(2**62)))
    frames = np.empty((len(phases), *view.shape), np.float32)
    labels = np.empty(frames.shape, np.uint8)
    for k in range(view.shape[0]):
        shift = (float(artefacts.shifts[k, 0]), float(artefacts.shifts[k, 1]))
        rendered = render_slice(phantom, view, k, phases, shift=shift, samples=3, motion=False)
        images = add_ghosts(rendered.frames * sensitivity(phantom, view, k, artefacts), artefacts).clamp_min(0)
        frames[:, k] = add_noise(images, artefacts.noise, noise).numpy()
        labels[:, k] = np.where(rendered.labels.numpy() <= 3, rendered.labels.numpy(), 0)
    times = np.array(phases) * phantom.cycle.seconds
    cine = Cine(frames, phantom.heart_to_world @ view.to_heart, times, name=f"patient {seed}")
    return CaseData(cine, {0: labels[0], half: labels[half]}, ed=0, es=half)


def write_patients(
    folder: Path, seeds: Sequence[int], signals: Mapping[Tissue, float], *, without_labels: bool = False
) -> None:
    """Patients as files, as a reader of images has them: a cine, and labels that are empty at other frames."""
    for seed in seeds:
        data = patient(seed, signals, 5 if without_labels else 1)
        labels = np.zeros(data.cine.shape, np.uint8)
        for frame, drawn in data.labels.items():
            labels[frame] = drawn
        write_cine(folder / f"patient{seed}.nii.gz", data.cine)
        if without_labels:
            continue
        write_labels(folder / f"patient{seed}_labels.nii.gz", labels, data.cine)


def score(weights: Weights, folder: Path) -> dict[str, float]:
    """Dice of weights on the labelled cases of a folder."""
    found = recipe(weights.model)
    slices = read_slices(find_dataset(folder).labelled, frames=found.frames, size=found.training.arguments.size)
    task = SegmentationTask(
        replace(found, config=dict(weights.config)), training={"unseen": slices}, validation=slices
    )
    network = build_network(weights.network, weights.config)
    network.load_state_dict(dict(weights.state))
    return task.validate(network.to(training_device(None)).eval())


def main(given: Sequence[str] | None = None) -> int:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True, help="name of shipped weights, or a file")
    parser.add_argument("--contrast", choices=sorted(CONTRASTS), default="dark_blood")
    parser.add_argument("--patients", type=int, default=5)
    parser.add_argument("--unseen", type=int, default=10, help=f"at most {len(REPORT_SEEDS)}")
    parser.add_argument("--seeds", choices=sorted(SEEDS), default="report", help="of the unseen patients")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--without-labels", action="store_true", help="train on what the network finds itself")
    parser.add_argument("--option", action="append", default=[], help="of training, as NAME=VALUE")
    parser.add_argument("--before", action="store_true", help="only what the weights are worth as they are")
    arguments = parser.parse_args(given)
    signals, before = CONTRASTS[arguments.contrast], load_weights(arguments.weights)
    result: dict[str, object] = {
        "contrast": arguments.contrast,
        "labels": not arguments.without_labels,
        "weights": before.checksum[:12],
    }
    with tempfile.TemporaryDirectory() as temporary:
        folders = {name: Path(temporary) / name for name in ("new", "unseen")}
        for folder in folders.values():
            folder.mkdir()
        write_patients(folders["unseen"], SEEDS[arguments.seeds][: arguments.unseen], signals)
        result["before"] = score(before, folders["unseen"])
        if not arguments.before:
            first = TRAINING_SEEDS_START + 900_000
            new = range(first, first + arguments.patients)
            write_patients(folders["new"], new, signals, without_labels=arguments.without_labels)
            start = time.process_time()
            trained = train_model(
                before.model,
                Path(temporary) / "run",
                data=None if arguments.without_labels else folders["new"],
                unlabelled=folders["new"] if arguments.without_labels else None,
                start_from=arguments.weights,
                changes={"minutes": arguments.minutes} | parse_settings(arguments.option),
            )
            assert trained is not None
            result |= {
                "after": score(load_weights(trained.weights), folders["unseen"]),
                "steps": trained.result.steps,
                "kept_step": trained.result.kept_step,
                "ended_by": trained.result.reason,
                "seconds": round(trained.result.seconds, 1),
                "cpu_seconds": round(time.process_time() - start, 1),
                "threads": torch.get_num_threads(),
            }
    print(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
