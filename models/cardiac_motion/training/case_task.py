"""What a network is fine-tuned on: labelled cases, labels that it found by itself, or both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cardiac_motion.datasets import Case, Split, find_dataset
from cardiac_motion.errors import InputError
from cardiac_motion.progress import Progress, silent
from cardiac_motion.training.recipes.segmentation import SegmentationRecipe, SegmentationTask
from cardiac_motion.training.self_labels import SelfLabelled
from cardiac_motion.training.slices import LabelledSlices, hold_out, read_slices
from cardiac_motion.training.sources import ClipSource

Part = tuple[Split, int | None]
"""Of a data set: a split and the fold that is held out, or its part ``train`` where that is None."""


def case_task(
    recipe: SegmentationRecipe,
    *,
    data: Path | None = None,
    part: Part | None = None,
    own: SelfLabelled | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> SegmentationTask:
    """The task on cases rather than synthetic hearts; labelled and self-labelled slices are drawn as often.

    Args:
        recipe: what to train.
        data: folder of a data set with labels.
        part: of it.
        own: samples of unlabelled cines.
        seed: of the batches, and of who is held out.
        progress: while cases are read.

    Raises:
        InputError: neither of both, or no label in the data set.
    """
    sources: dict[str, ClipSource] = {}
    about = []
    if own is not None:
        sources["own"] = LabelledSlices(own.samples)
        about.append(
            f"Trained on {len(own.samples)} slices of {own.cines} cines whose labels were not looked at, out of "
            f"{own.slices}: those in which the segmentation by what training began with agreed with what the "
            "motion carried from other frames."
        )
        if own.left_out:
            about.append(f"Nothing was learnt from {'; '.join(own.left_out)}.")
    validation = sources.get("own")
    if data is not None:
        labelled, validation, text = _labelled(recipe, data, part, seed, progress)
        sources = {"cases": labelled, **sources}
        about.insert(0, text)
    if validation is None:
        raise InputError("expected cases with labels, cines without, or both to train on, got neither")
    if data is None:
        about.append("Validated on the same slices and labels: a score that nothing can be concluded from.")
    return SegmentationTask(
        replace(recipe, augmentation=recipe.case_augmentation),
        training=sources,
        validation=validation,
        seed=seed,
        about=" ".join(about),
    )


def _labelled(
    recipe: SegmentationRecipe, data: Path, part: Part | None, seed: int, progress: Progress
) -> tuple[LabelledSlices, LabelledSlices, str]:
    """Slices to train on, those to validate on, and what they are."""
    dataset = find_dataset(data)
    cases: tuple[Case, ...] = dataset.labelled
    if part is not None:
        parts, fold = part
        chosen = parts.part("train", dataset.cases) if fold is None else parts.fold(fold, dataset.cases)[0]
        cases = tuple(case for case in chosen if case.has_labels)
    training, validation = hold_out(cases, seed)
    arguments = recipe.training.arguments

    def read(some: tuple[Case, ...]) -> LabelledSlices:
        return read_slices(
            some, frames=recipe.frames, size=arguments.size, views=arguments.views, progress=progress
        )

    slices = read(training)
    held_out = slices if validation is training else read(validation)
    patients = len({case.patient for case in training})
    how = (
        "the same slices, since there are too few patients to hold one out"
        if validation is training
        else f"{len(held_out)} slices of {len({case.patient for case in validation})} other patients"
    )
    return (
        slices,
        held_out,
        f"Trained on {len(slices)} labelled slices of {patients} patients; validated on {how}.",
    )
