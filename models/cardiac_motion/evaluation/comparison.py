"""Labels of a whole cycle against the truth, with the unregistered beside them: the table of the demo."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cardiac_motion.analysis.volumes import Curve, ejection_fraction, volumes_ml
from cardiac_motion.errors import InputError
from cardiac_motion.evaluation.cases import end_systole_of
from cardiac_motion.evaluation.scores import UNREGISTERED, structure_masks
from cardiac_motion.evaluation.tables import markdown_table, number
from cardiac_motion.labels import STRUCTURES, Label
from cardiac_motion.metrics import dice_shared_slices, dice_stack, hausdorff_per_slice, mean_where_defined

Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Comparison:
    """One structure of one set of labels against the truth; NaN where a figure is not defined.

    Attributes:
        method: whose labels they are.
        structure: which.
        dice_es: at end-systole, over the slices that hold the structure at both frames.
        dice_stack_es: at end-systole, over the whole stack.
        dice_all: mean over the frames compared, over the slices that hold the structure at both frames.
        dice_stack_all: the same over the whole stack.
        hausdorff_es: mm, at end-systole, 2D, mean over slices.
        hausdorff_all: mm, the same as mean over the frames compared.
        ejection_fraction: percent, of a ventricle.
        true_ejection_fraction: percent.
    """

    method: str
    structure: Label
    dice_es: float
    dice_stack_es: float
    dice_all: float
    dice_stack_all: float
    hausdorff_es: float
    hausdorff_all: float
    ejection_fraction: float
    true_ejection_fraction: float

    def to_json(self) -> dict[str, Any]:
        """Plain values; what is not defined is None."""
        values = {**asdict(self), "structure": self.structure.name}
        return {name: None if value != value else value for name, value in values.items()}  # noqa: PLR0124 - NaN


def compare_with_truth(
    truth: Labels,
    predictions: Mapping[str, Labels],
    *,
    spacing: tuple[float, float, float],
    source: int = 0,
    es: int | None = None,
    skip_frames: Iterable[int] = (),
) -> list[Comparison]:
    """Compare labels of whole cycles with the truth, the unregistered labels of the source frame first.

    Args:
        truth: (T, Z, Y, X).
        predictions: by name, likewise.
        spacing: (z, y, x) mm.
        source: the frame that labels were carried from; it is not compared.
        es: end-systole; by default read off the true volumes.
        skip_frames: further frames that are not compared, since they were given: the key frames. Where ES is one
            of them, figures at ES are NaN.

    Raises:
        InputError: shapes that differ, a frame that is not there, or no frame left to compare.
    """
    for name, labels in predictions.items():
        if np.shape(labels) != np.shape(truth):
            raise InputError(
                f"labels of {name}: expected the shape of the truth {truth.shape}, got {labels.shape}"
            )
    skipped = {source, *skip_frames}
    frames = [t for t in range(len(truth)) if t not in skipped and truth[t].any()]
    if not frames or not all(0 <= t < len(truth) for t in (*skipped, es or 0)):
        raise InputError(
            f"expected frames from 0 to {len(truth) - 1} with some left to compare, got source and key frames "
            f"{sorted(skipped)}, ES {es}"
        )
    es = end_systole_of(truth, spacing, source=source) if es is None else es
    # A single slice has an area and no volume, so that it has no ejection fraction either.
    is_stack = truth.shape[1] > 1
    true_volumes = volumes_ml(truth, spacing) if is_stack else {}
    rows = []
    held = np.broadcast_to(truth[source], truth.shape)
    for name, labels in {UNREGISTERED: held, **predictions}.items():
        volumes = volumes_ml(labels, spacing) if is_stack else {}
        for structure in (s for s in STRUCTURES if (truth == s).any()):
            shared, stack, distance = {}, {}, {}
            for t in frames:
                true, found, start = structure_masks(structure, truth[t], labels[t], truth[source])
                shared[t] = dice_shared_slices(true, found, start)
                stack[t] = dice_stack(true, found)
                distance[t] = mean_where_defined(hausdorff_per_slice(true, found, spacing))
            rows.append(
                Comparison(
                    method=name,
                    structure=structure,
                    dice_es=shared.get(es, np.nan),
                    dice_stack_es=stack.get(es, np.nan),
                    dice_all=mean_where_defined(list(shared.values())),
                    dice_stack_all=mean_where_defined(list(stack.values())),
                    hausdorff_es=distance.get(es, np.nan),
                    hausdorff_all=mean_where_defined(list(distance.values())),
                    ejection_fraction=_fraction(volumes, structure, source, es),
                    true_ejection_fraction=_fraction(true_volumes, structure, source, es),
                )
            )
    return rows


def _fraction(volumes: Mapping[Label, Curve], structure: Label, ed: int, es: int) -> float:
    """Ejection fraction in percent of a ventricle with a volume at ED, NaN of everything else."""
    if structure not in (Label.LV, Label.RV) or structure not in volumes or not volumes[structure][ed] > 0:
        return float("nan")
    return ejection_fraction(volumes[structure], ed=ed, es=es)


HEADER = (
    "structure",
    "labels",
    "Dice at ES",
    "Dice, all frames",
    "whole stack: ES",
    "all",
    "HD at ES, mm",
    "HD, all, mm",
    "EF, %",
    "true EF, %",
)
"""Columns of `comparison_cells`."""


def comparison_cells(rows: Sequence[Comparison]) -> list[list[str]]:
    """The rows as text, structure by structure, the methods of each one below the other."""
    structures = list(dict.fromkeys(row.structure for row in rows))
    return [
        [
            row.structure.name,
            row.method,
            number(row.dice_es, 3),
            number(row.dice_all, 3),
            number(row.dice_stack_es, 3),
            number(row.dice_stack_all, 3),
            number(row.hausdorff_es, 1),
            number(row.hausdorff_all, 1),
            number(row.ejection_fraction, 1),
            number(row.true_ejection_fraction, 1),
        ]
        for structure in structures
        for row in rows
        if row.structure == structure
    ]


def comparison_table(rows: Sequence[Comparison]) -> str:
    """The comparison as a Markdown table; Dice over shared slices first, then over the whole stack."""
    return markdown_table(HEADER, comparison_cells(rows))
