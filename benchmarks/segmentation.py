"""Segmentation of real hearts and of phantoms, ED and ES, by weights that have seen no real label.

    python -m benchmarks.segmentation [--model unet] [--weights FILE] [--flips] [--phantoms 20] [--no-real]
                                      [--speed] [--picture FILE] [--markdown FILE] [--card FILE]

Dice over the slices that hold the structure in the truth, the whole stack in brackets. A slice is mid-ventricular
if slices on both sides of it hold the LV; one without any LV found is counted as empty. The wall of `cine_sax` is
compared once more in the directions in which its labels have one (`benchmarks/wall.py`). Phantoms are of the seeds
for tests, bSSFP-like. ``--speed`` times a whole cine of 10 slices by 25 frames by 256 by 256, from the array to
the labels, the network's loading included. ``--card`` puts it into the model card of the
weights, phantoms as their mean.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from cardiac_motion.analysis.curves import end_systole
from cardiac_motion.analysis.volumes import volumes_ml
from cardiac_motion.atomic import atomic_path
from cardiac_motion.cine import Cine
from cardiac_motion.evaluation.tables import markdown_table, number
from cardiac_motion.io import read_cine, read_frame, read_labels
from cardiac_motion.labels import Label
from cardiac_motion.phantom import TEST_SEEDS, PhantomOptions, PhantomStudy, make_study
from cardiac_motion.segmentation.base import SegmentationModel
from cardiac_motion.segmentation.network import SegmentationOptions
from cardiac_motion.segmentation.registry import segmentation_model

from benchmarks.cards import put_into_card
from benchmarks.pairs import SUNNYBROOK, data_folder
from benchmarks.wall import wall_where_drawn

Labels = npt.NDArray[np.uint8]
STRUCTURES = (Label.RV, Label.MYO, Label.LV)


@dataclass(frozen=True, eq=False)
class Case:
    """A cine of which two frames have labels.

    Attributes:
        name: of the case.
        cine: whole.
        truth: (Z, Y, X) of end-diastole and end-systole, by phase.
        frames: their frames.
        structures: those that are drawn.
    """

    name: str
    cine: Cine
    truth: dict[str, Labels]
    frames: dict[str, int]
    structures: tuple[Label, ...]


def real_cases() -> Iterator[Case]:
    """Three patients of Sunnybrook with the LV, of two frames, and cine_sax with RV, MYO and LV."""
    folder = data_folder()
    for name in SUNNYBROOK:
        frames, truth = [], {}
        for phase in ("ED", "ES"):
            frame, affine = read_frame(folder / "sunnybrook" / f"{name}_{phase}.nii.gz")
            cavity = read_labels(folder / "sunnybrook" / f"{name}_{phase}_endo.nii.gz").labels[0]
            frames.append(frame)
            truth[phase] = np.where(cavity > 0, np.uint8(Label.LV), np.uint8(0))
        cine = Cine(np.stack(frames), affine, np.array([0.0, 0.3]), name=name)
        yield Case(name, cine, truth, {"ED": 0, "ES": 1}, (Label.LV,))
    cine = read_cine(folder / "cine_sax.nii.gz")
    drawn = read_labels(folder / "cine_sax_labels.nii.gz").labels
    yield Case("cine_sax", cine, {"ED": drawn[0], "ES": drawn[9]}, {"ED": 0, "ES": 9}, STRUCTURES)


def phantom_cases(count: int, *, frames: int = 12) -> Iterator[Case]:
    """Phantoms of the seeds for tests."""
    for seed in TEST_SEEDS[:count]:
        yield case_of_study(seed, make_study(seed, PhantomOptions(frames=frames, motion_truth=False)))


def case_of_study(seed: int, study: PhantomStudy) -> Case:
    """A phantom at end-diastole and where its LV is smallest."""
    es = end_systole(volumes_ml(study.labels, study.cine.spacing)[Label.LV])
    labels = np.where(study.labels <= Label.LV, study.labels, 0).astype(np.uint8)
    return Case(
        f"phantom {seed}", study.cine, {"ED": labels[0], "ES": labels[es]}, {"ED": 0, "ES": es}, STRUCTURES
    )


def dice(found: npt.NDArray[np.bool_], truth: npt.NDArray[np.bool_]) -> float:
    """Of two masks; 1 if both are empty."""
    total = int(found.sum()) + int(truth.sum())
    return 2 * int((found & truth).sum()) / total if total else 1.0


def score(found: Labels, truth: Labels, structure: Label) -> tuple[float, float]:
    """Dice over the slices that hold the structure, and over the whole stack."""
    held = (truth == structure).any(axis=(1, 2))
    return dice(found[held] == structure, truth[held] == structure), dice(found == structure, truth == structure)


def empty_slices(found: Labels, truth: Labels) -> int:
    """Mid-ventricular slices in which no LV was found."""
    held = np.flatnonzero((truth == Label.LV).any(axis=(1, 2)))
    return sum(1 for z in held[1:-1] if not (found[z] == Label.LV).any())


def picture(file: Path, cases: Sequence[tuple[Case, dict[str, Labels]]]) -> None:
    """Slices of every case at ED and ES, found contours solid, the truth dashed."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - the tables do without

    rows = [(case, phase, found[phase]) for case, found in cases for phase in ("ED", "ES")]
    columns = 6
    figure = Figure(figsize=(2 * columns, 2 * len(rows)))
    for row, (case, phase, found) in enumerate(rows):
        truth = case.truth[phase]
        held = np.flatnonzero((truth > 0).any(axis=(1, 2)))
        shown = held[np.unique(np.linspace(0, len(held) - 1, columns).round().astype(int))]
        ys, xs = (np.flatnonzero((truth > 0).any(axis=axes)) for axes in ((0, 2), (0, 1)))
        y0, y1, x0, x1 = max(ys[0] - 15, 0), ys[-1] + 15, max(xs[0] - 15, 0), xs[-1] + 15
        for column, z in enumerate(shown):
            axes = figure.add_subplot(len(rows), columns, row * columns + column + 1)
            axes.imshow(case.cine.frames[case.frames[phase], z, y0:y1, x0:x1], cmap="gray")
            for structure, colour in zip(STRUCTURES, ("tab:cyan", "gold", "tab:red"), strict=True):
                for labels, style in ((found, "-"), (truth, ":")):
                    mask = labels[z, y0:y1, x0:x1] == structure
                    if mask.any():
                        axes.contour(mask, levels=[0.5], colors=[colour], linewidths=0.9, linestyles=style)
            axes.set_title(f"{case.name} {phase} {z}", fontsize=7)
            axes.axis("off")
    figure.tight_layout()
    figure.savefig(file, dpi=110)


def whole_cine_seconds(model: str, weights: Path | None, options: SegmentationOptions) -> float:
    """Of a model made anew, for 10 slices and 25 frames."""
    cine = make_study(TEST_SEEDS[0], PhantomOptions(slices=10, matrix=(256, 256), motion_truth=False)).cine
    start = time.perf_counter()
    segmentation_model(model, weights=weights).segment(cine, options=options)
    return time.perf_counter() - start


def scored(
    cases: Iterable[Case], model: SegmentationModel, options: SegmentationOptions
) -> tuple[list[list[str]], list[tuple[Case, dict[str, Labels]]], list[float]]:
    """Rows of the table, what was found by phase, and Dice of phantoms."""
    rows, kept, values = [], [], []
    for case in cases:
        start = time.perf_counter()
        result = model.segment(case.cine, frames=sorted(case.frames.values()), options=options)
        seconds = time.perf_counter() - start
        found = {phase: result.labels[result.frames.index(t)] for phase, t in case.frames.items()}
        kept.append((case, found))
        for phase, labels in found.items():
            row = [case.name, phase]
            for structure in STRUCTURES:
                if structure in case.structures:
                    held, whole = score(labels, case.truth[phase], structure)
                    row.append(f"{number(held, 3)} ({number(whole, 3)})")
                    if case.name.startswith("phantom"):
                        values.append(held)
                else:
                    row.append("")
            rows.append([*row, str(empty_slices(labels, case.truth[phase])), number(seconds, 1)])
    return rows, kept, values


def wall_lines(kept: Sequence[tuple[Case, dict[str, Labels]]]) -> list[str]:
    """The wall of real cases where their labels have one."""
    lines = []
    for case, found in kept:
        if Label.MYO not in case.structures or case.name.startswith("phantom"):
            continue
        for phase, labels in found.items():
            wall = wall_where_drawn(labels, case.truth[phase], case.cine.spacing[1:])
            lines.append(
                f"{case.name} {phase}: the labels have wall in {wall.share:.0%} of the directions from the LV; "
                f"there Dice {wall.dice:.3f}, {wall.found_mm:.1f} mm thick, in the labels {wall.true_mm:.1f} mm"
            )
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Segment, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="unet")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--flips", action="store_true")
    parser.add_argument("--phantoms", type=int, default=0)
    parser.add_argument("--no-real", action="store_true")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--card", type=Path)
    chosen = parser.parse_args(arguments)
    options = SegmentationOptions(flips=chosen.flips)
    model = segmentation_model(chosen.model, weights=chosen.weights)
    cases = itertools.chain(() if chosen.no_real else real_cases(), phantom_cases(chosen.phantoms))
    rows, kept, values = scored(cases, model, options)
    header = ["case", "phase", "RV", "MYO", "LV", "mid-ventricular slices empty", "s, both frames"]
    text = markdown_table(header, rows) + f"\n\n{torch.get_num_threads()} threads\n"
    text += "".join(f"\n{line}\n" for line in wall_lines(kept))
    if values:
        text += f"\nphantoms, mean Dice over structures, ED and ES: {np.mean(values):.3f}\n"
    if chosen.speed:
        seconds = whole_cine_seconds(chosen.model, chosen.weights, options)
        text += f"\n10 slices, 25 frames of 256 x 256: {seconds:.1f} s\n"
    print(text)
    if chosen.picture:
        picture(chosen.picture, kept)
    if chosen.markdown:
        with atomic_path(chosen.markdown) as temporary:
            temporary.write_text(text, encoding="utf-8")
    if chosen.card:
        lines = text.splitlines()
        put_into_card(chosen.card, "\n".join(line for line in lines if not line.startswith("| phantom ")))


if __name__ == "__main__":
    main()
