"""`fused` beside propagation alone and the network alone: ejection fraction, and Dice from ED to ES.

    python -m benchmarks.fusion [--phantoms 50] [--seeds report|tuning] [--first SEED] [--weights FILE] [--flips]
                                [--no-real] [--workers 1] [--picture FILE] [--markdown FILE]

The contours of ED, frame 0, are given as they are in the truth. Ejection fractions of the LV are compared with
that of the true labels, slices summed in both; every method's own curve says where ED and ES are. Dice is of the
whole stack at the true ES. Phantoms move through the planes of their slices; those beyond the seeds set apart for
reports take the numbers that follow; with --first they begin elsewhere. Motions are kept in the cache, so that
other weights take less time. Several workers take a phantom each, with one thread.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from cardiac_motion.analysis.phases import phases
from cardiac_motion.analysis.volumes import ejection_fraction, volumes_ml
from cardiac_motion.atomic import atomic_path
from cardiac_motion.cine import Cine
from cardiac_motion.evaluation.significance import paired_test
from cardiac_motion.evaluation.tables import markdown_table, number, probability
from cardiac_motion.fusion import fuse
from cardiac_motion.io import read_cine, read_labels
from cardiac_motion.labels import Label
from cardiac_motion.metrics import dice_stack
from cardiac_motion.motion_cache import MotionCache
from cardiac_motion.phantom import REPORT_SEEDS, TUNING_SEEDS, PhantomOptions, make_study
from cardiac_motion.pipeline import estimate_motion
from cardiac_motion.propagation import propagate
from cardiac_motion.registration.base import MotionModel
from cardiac_motion.registration.registry import motion_model
from cardiac_motion.segmentation.base import SegmentationModel
from cardiac_motion.segmentation.network import SegmentationOptions
from cardiac_motion.segmentation.registry import segmentation_model

from benchmarks import segmentation as pictures
from benchmarks.pairs import PHANTOM_FRAMES, data_folder

Labels = npt.NDArray[np.uint8]
STRUCTURES = (Label.RV, Label.MYO, Label.LV)
SHOWN = 6
"""Phantoms in the picture."""
PROPAGATION, NETWORK, FUSED = METHODS = ("propagation", "network", "fused")


@dataclass(frozen=True, eq=False)
class Case:
    """A cine with true labels of at least two frames.

    Attributes:
        name: of the case.
        cine: frame 0 is ED.
        truth: (Z, Y, X) by frame, 0 and `es` among them.
        es: the frame of end-systole.
        structures: those that are drawn.
    """

    name: str
    cine: Cine
    truth: dict[int, Labels]
    es: int
    structures: tuple[Label, ...]


@dataclass(frozen=True, eq=False)
class Result:
    """What the methods make of a case.

    Attributes:
        case: the case.
        labels: (T, Z, Y, X) by method.
        seconds: of the fusion itself.
    """

    case: Case
    labels: dict[str, Labels]
    seconds: float

    @property
    def is_phantom(self) -> bool:
        """Whether there are true labels of a whole cycle."""
        return len(self.case.truth) == self.case.cine.n_frames > 2

    def dice(self, method: str) -> list[float]:
        """Of each structure at ES, over the whole stack."""
        truth, found = self.case.truth[self.case.es], self.labels[method][self.case.es]
        return [dice_stack(truth == s, found == s) for s in self.case.structures]

    def ejection_error(self, method: str) -> float:
        """Ejection fraction of the LV less the true one, points."""
        truth = np.stack([self.case.truth[t] for t in range(self.case.cine.n_frames)])
        return self._fraction(self.labels[method]) - self._fraction(truth)

    def _fraction(self, labels: Labels) -> float:
        curve = volumes_ml(labels, self.case.cine.spacing).get(Label.LV)
        if curve is None:
            return float("nan")
        ed, es = phases(curve)
        return ejection_fraction(curve, ed=ed, es=es)


def phantom_cases(seeds: Sequence[int]) -> Iterator[Case]:
    """Phantoms, without their atria, which nobody draws in a short-axis stack."""
    for seed in seeds:
        study = make_study(seed, PhantomOptions(frames=PHANTOM_FRAMES, motion_truth=False))
        labels = np.where(study.labels <= Label.LV, study.labels, 0).astype(np.uint8)
        es = int(np.argmin(volumes_ml(labels, study.cine.spacing)[Label.LV]))
        yield Case(f"phantom {seed}", study.cine, dict(enumerate(labels)), es, STRUCTURES)


def real_cases() -> Iterator[Case]:
    """Three patients of Sunnybrook with the LV, of two frames, and cine_sax with RV, MYO and LV, whole."""
    for pair in pictures.real_cases():
        if pair.cine.n_frames == 2:
            truth = {pair.frames[phase]: labels for phase, labels in pair.truth.items()}
            yield Case(pair.name, pair.cine, truth, pair.frames["ES"], pair.structures)
    folder = data_folder()
    drawn = read_labels(folder / "cine_sax_labels.nii.gz").labels
    cine = read_cine(folder / "cine_sax.nii.gz")
    yield Case("cine_sax", cine, {0: drawn[0], 9: drawn[9]}, 9, STRUCTURES)


def run(case: Case, network: SegmentationModel, estimator: MotionModel, *, flips: bool) -> Result:
    """All methods on a case, ED given."""
    motion, _ = estimate_motion(case.cine, estimator, cache=MotionCache())
    seen = network.segment(case.cine, options=SegmentationOptions(flips=flips, probabilities=True))
    key = {0: case.truth[0]}
    start = time.perf_counter()
    fused = fuse(seen, motion, key).labels
    seconds = time.perf_counter() - start
    alone = np.where(np.isin(seen.labels, case.structures), seen.labels, 0).astype(np.uint8)
    return Result(case, {PROPAGATION: propagate(motion, key), NETWORK: alone, FUSED: fused}, seconds)


def case_table(results: Sequence[Result]) -> str:
    """Dice and error of the ejection fraction of every case."""
    rows = []
    for result in results:
        dice = [
            " / ".join(number(value, 3) for value in result.dice(method))
            + f" ({number(float(np.mean(result.dice(method))), 3)})"
            for method in METHODS
        ]
        errors = [f"{result.ejection_error(method):+.1f}" if result.is_phantom else "" for method in METHODS]
        names = ", ".join(s.name for s in result.case.structures)
        rows.append([result.case.name, names, *dice, *errors])
    header = ["case", "structures", *(f"{m}, Dice at ES (mean)" for m in METHODS)]
    return markdown_table([*header, *(f"{m}, EF error" for m in METHODS)], rows)


def dice_table(groups: Mapping[str, Sequence[Result]]) -> str:
    """Mean Dice at ES by structure, and what `fused` gains over propagation, case by case."""
    rows = []

    def add(group: str, results: Sequence[Result], what: str, values: Sequence[float], gain: str = "") -> None:
        rows.append([f"{group} ({len(results)})", what, *(number(value, 3) for value in values), gain])

    for group, results in groups.items():
        for structure in STRUCTURES:
            chosen = [result for result in results if structure in result.case.structures]
            if chosen:
                dice = [[r.dice(m)[r.case.structures.index(structure)] for r in chosen] for m in METHODS]
                add(group, chosen, structure.name, [float(np.mean(each)) for each in dice])
        means = {m: [float(np.mean(result.dice(m))) for result in results] for m in METHODS}
        test = paired_test(means[FUSED], means[PROPAGATION])
        gain = f"{test.mean_difference:+.3f}, p {probability(test.wilcoxon_p)}"
        add(group, results, "mean", [float(np.mean(means[m])) for m in METHODS], gain)
    return markdown_table(["cases", "structure", *METHODS, "fused less propagation (Wilcoxon)"], rows)


def ejection_table(results: Sequence[Result]) -> str:
    """Errors of the ejection fraction in points, over phantoms."""
    rows = []
    for method in METHODS:
        errors = np.array([result.ejection_error(method) for result in results])
        known = errors[~np.isnan(errors)]
        spread = float(known.std(ddof=1)) if len(known) > 1 else float("nan")
        values = [np.abs(known).mean(), known.mean(), spread, np.abs(known).max()]
        rows.append([method, str(len(known)), *(number(float(v), 1) for v in values)])
    return markdown_table(["method", "phantoms", "mean absolute error", "bias", "SD", "largest"], rows)


def run_phantom(seed: int, weights: Path | None, *, flips: bool) -> Result:
    """All methods on the phantom of a seed, in a process of its own."""
    torch.set_num_threads(1)
    (case,) = phantom_cases([seed])
    return run(case, segmentation_model("unet", weights=weights), motion_model(), flips=flips)


def picture(file: Path, results: Sequence[Result]) -> None:
    """Slices at ED and ES of the first few phantoms and the real cases: `fused` solid, the truth dotted."""
    phantoms = [result for result in results if result.is_phantom]
    rows = []
    for result in [*phantoms[:SHOWN], *(each for each in results if not each.is_phantom)]:
        case = result.case
        frames = {"ED": 0, "ES": case.es}
        truth = {phase: case.truth[t] for phase, t in frames.items()}
        shown = pictures.Case(case.name, case.cine, truth, frames, case.structures)
        rows.append((shown, {phase: result.labels[FUSED][t] for phase, t in frames.items()}))
    pictures.picture(file, rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all methods on all cases, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phantoms", type=int, default=50)
    parser.add_argument("--seeds", choices=("report", "tuning"), default="report")
    parser.add_argument("--first", type=int, help="seed of the first phantom, in place of those of --seeds")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--flips", action="store_true")
    parser.add_argument("--no-real", action="store_true")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--markdown", type=Path)
    chosen = parser.parse_args(arguments)
    first = chosen.first
    if first is None:
        first = (REPORT_SEEDS if chosen.seeds == "report" else TUNING_SEEDS)[0]
    network, estimator = segmentation_model("unet", weights=chosen.weights), motion_model()
    phantoms: list[Result] = []
    real: list[Result] = []
    seeds = range(first, first + chosen.phantoms)
    if chosen.workers > 1:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(chosen.workers, mp_context=context) as executor:
            phantoms += executor.map(partial(run_phantom, weights=chosen.weights, flips=chosen.flips), seeds)
        cases: Iterator[Case] = iter(())
    else:
        cases = phantom_cases(seeds)
    for case in chain(cases, [] if chosen.no_real else real_cases()):
        result = run(case, network, estimator, flips=chosen.flips)
        (phantoms if result.is_phantom else real).append(result)
        print(f"  {case.name} done", file=sys.stderr)
    groups = {name: group for name, group in (("phantoms", phantoms), ("real", real)) if group}
    parts = [f"unet, weights {network.weights_checksum}; motion by {estimator.name}; ED given"]
    if phantoms:
        parts.append(
            f"**Ejection fraction of the LV, points, {len(phantoms)} phantoms**\n\n{ejection_table(phantoms)}"
        )
    if groups:
        parts.append(f"**Dice at ES, whole stacks**\n\n{dice_table(groups)}")
        parts.append(f"**Case by case**\n\n{case_table([*phantoms, *real])}")
        seconds = np.median([result.seconds for result in (*phantoms, *real)])
        parts.append(f"fusion itself: median {seconds:.1f} s a case, {torch.get_num_threads()} threads")
    text = "\n\n".join(parts) + "\n"
    print(text)
    if chosen.picture:
        picture(chosen.picture, [*phantoms, *real])
    if chosen.markdown:
        with atomic_path(chosen.markdown) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
