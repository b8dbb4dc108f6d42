"""Scores of the labels of one frame: whole stack, and slices that hold the structure in the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cardiac_motion.evaluation.scores import structure_masks
from cardiac_motion.labels import Label
from cardiac_motion.metrics import dice_stack, slices_holding, surface_distances

Labels = npt.NDArray[np.integer]


@dataclass(frozen=True)
class SegmentationScore:
    """One structure at one frame, in 3D; NaN where a measure is not defined.

    Where both, truth and what was found, are empty, nothing is defined. Where one is, Dice is 0 and the distances
    are not defined. *Held* measures see only the slices that hold the structure in the truth of this frame.

    Attributes:
        dice_stack: over the whole stack.
        hausdorff_stack: mm, likewise.
        assd_stack: average symmetric surface distance, mm, likewise.
        dice_held: over the slices that hold the structure in the truth.
        hausdorff_held: mm, likewise.
        assd_held: mm, likewise.
        held_slices: number of these slices.
        missed_slices: those among them in which nothing was found.
        extra_slices: others, in which something was found.
    """

    dice_stack: float
    hausdorff_stack: float
    assd_stack: float
    dice_held: float
    hausdorff_held: float
    assd_held: float
    held_slices: int
    missed_slices: int
    extra_slices: int

    @property
    def is_absent(self) -> bool:
        """The truth has nothing of the structure in this frame."""
        return self.held_slices == 0

    @property
    def is_missed(self) -> bool:
        """Nothing was found of it."""
        return self.held_slices == self.missed_slices and self.extra_slices == 0


MEASURES: Mapping[str, tuple[str, int]] = {
    "dice_stack": ("Dice", 3),
    "hausdorff_stack": ("Hausdorff distance, mm", 2),
    "assd_stack": ("Average symmetric surface distance (ASSD), mm", 2),
    "dice_held": ("Dice", 3),
    "hausdorff_held": ("Hausdorff distance, mm", 2),
    "assd_held": ("Average symmetric surface distance (ASSD), mm", 2),
}
"""What each measure is called in tables, and with how many digits it is given."""


def score_segmentation(
    structure: Label, truth: Labels, found: Labels, spacing: tuple[float, float, float]
) -> SegmentationScore:
    """Score labels (Z, Y, X) of one frame for one structure; spacing (z, y, x) in mm."""
    true, other = structure_masks(structure, truth, found)
    held, filled = slices_holding(true), slices_holding(other)
    # The other slices are emptied rather than taken out, so that those on both sides of a gap keep their distance.
    within = other & held[:, None, None]
    whole, part = surface_distances(true, other, spacing), surface_distances(true, within, spacing)
    return SegmentationScore(
        dice_stack=dice_stack(true, other),
        hausdorff_stack=whole.hausdorff,
        assd_stack=whole.assd,
        dice_held=dice_stack(true, within),
        hausdorff_held=part.hausdorff,
        assd_held=part.assd,
        held_slices=int(held.sum()),
        missed_slices=int((held & ~filled).sum()),
        extra_slices=int((filled & ~held).sum()),
    )
