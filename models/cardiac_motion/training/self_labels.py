"""Labels that a network finds on unlabelled cines by itself, kept where its segmentation and the motion agree.

The segmentation of end-diastole and that of end-systole are carried to every frame by a motion that is estimated
from the images alone. The two ways of drawing a slice err differently: what they agree on is trusted, as labels
from consistency over the cycle (Bai et al. 2018, "Recurrent neural networks for aortic image sequence segmentation
with sparse annotations", train on labels that motion carries), and the rest is left out.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cardiac_motion.analysis.phases import phases
from cardiac_motion.atomic import atomic_path
from cardiac_motion.cine import Cine
from cardiac_motion.datasets import Case, CaseData
from cardiac_motion.errors import InputError
from cardiac_motion.labels import Label
from cardiac_motion.metrics import dice_stack
from cardiac_motion.motion import Motion
from cardiac_motion.progress import Progress, silent
from cardiac_motion.propagation import propagate
from cardiac_motion.registration.base import MotionModel
from cardiac_motion.registration.registry import motion_model
from cardiac_motion.segmentation.base import SegmentationModel
from cardiac_motion.segmentation.network import SegmentationOptions
from cardiac_motion.training.slices import case_samples
from cardiac_motion.training.sources import Sample

NAME = "self_labels.npz"
LEAST_AGREEMENT = 0.85
"""Dice of each structure in a slice, between what was segmented and what was carried."""
_SEGMENTING = 0.3
"""Share of a case's progress."""

Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class SelfLabels:
    """Labels of a cine that nobody drew.

    Attributes:
        labels: (T, Z, Y, X), at each pixel what two of the three ways say: segmented, carried from end-diastole,
            carried from end-systole; where all differ, what was segmented.
        kept: (T, Z), whether the slice is to be trusted.
    """

    labels: Labels
    kept: npt.NDArray[np.bool_]


def agreed_labels(
    segmented: Labels, motion: Motion, structures: Sequence[Label], *, least: float = LEAST_AGREEMENT
) -> SelfLabels:
    """What a segmentation of all frames and a motion agree on.

    A slice of a frame is kept if each structure that is segmented or carried there has this Dice at least; at
    end-diastole and end-systole themselves what the other one's labels carry counts. Slices in which neither has
    anything are left out: a heart that was missed would be learnt to be missed.

    Args:
        segmented: (T, Z, Y, X), of a short-axis stack or a long-axis slice.
        motion: of the same cine.
        structures: that were looked for.
        least: from 0 to 1.

    Raises:
        InputError: the left ventricle is found in no frame, or in all of them the same.
    """
    voxels = (segmented == Label.LV).sum(axis=(1, 2, 3))
    if not voxels.any():
        raise InputError("no left ventricle was found in any frame")
    ed, es = phases(voxels)
    if ed == es:
        raise InputError("the left ventricle that was found is as large in all frames")
    carried = {frame: propagate(motion, {frame: segmented[frame]}) for frame in (ed, es)}
    kept = np.zeros(segmented.shape[:2], bool)
    for t, k in np.ndindex(kept.shape):
        others = [labels[t, k] for frame, labels in carried.items() if frame != t]
        kept[t, k] = all(_agrees(segmented[t, k], other, structures, least) for other in others)
    return SelfLabels(np.where(carried[ed] == carried[es], carried[ed], segmented), kept)


def _agrees(one: Labels, other: Labels, structures: Sequence[Label], least: float) -> bool:
    """Whether two label maps (Y, X) have a structure, and all that one of them has alike."""
    there = [s for s in structures if (one == s).any() or (other == s).any()]
    return bool(there) and all(dice_stack(one == s, other == s) >= least for s in there)


@dataclass(frozen=True)
class SelfLabelled:
    """Samples of unlabelled cines.

    Attributes:
        samples: that were kept.
        slices: that were looked at.
        cines: that any were kept of.
        left_out: why a cine has none, a sentence each.
    """

    samples: tuple[Sample, ...]
    slices: int
    cines: int
    left_out: tuple[str, ...]


def self_labelled(
    cases: Sequence[Case],
    model: SegmentationModel,
    *,
    frames: int = 1,
    size: int = 160,
    views: Sequence[str] = ("sax",),
    estimator: MotionModel | None = None,
    progress: Progress = silent,
) -> SelfLabelled:
    """Samples of all frames of unlabelled cines, by a model and a motion that agree.

    Args:
        cases: whose labels, if they have any, are not looked at; those of other views are left out.
        model: that segments them.
        frames: of a sample, odd.
        size: pixels a side.
        views: taken.
        estimator: of the motion; None for the default one.
        progress: may raise `Cancelled`.

    Raises:
        InputError: a cine that cannot be read, or no slice at all that both agree on.
    """
    wanted = [case for case in cases if (case.view or "sax") in views]
    estimator = estimator or motion_model()
    samples: list[Sample] = []
    slices, cines, left_out = 0, 0, []
    for number, case in enumerate(wanted):

        def report(share: float, message: str, number: int = number, name: str = case.id) -> None:
            progress((number + share) / len(wanted), f"{name}: {message}")

        cine = case.load().cine
        try:
            found, structures = _labels_of(cine, case.view or "sax", model, estimator, report)
        except InputError as error:
            left_out.append(f"{case.id}: {error}")
            continue
        taken = _samples_of(cine, found, structures, case.view or "sax", frames, size)
        slices += found.kept.size
        cines += bool(taken)
        samples += taken
        if not taken:
            left_out.append(f"{case.id}: segmentation and motion agree on no slice")
    if not samples:
        raise InputError(
            f"expected unlabelled cines of {', '.join(views)} on which the model's segmentation and the motion "
            f"agree, got none: {'; '.join(left_out[:3]) or 'there is no such cine'}"
        )
    return SelfLabelled(tuple(samples), slices, cines, tuple(left_out))


def _labels_of(
    cine: Cine, view: str, model: SegmentationModel, estimator: MotionModel, progress: Progress
) -> tuple[SelfLabels, tuple[Label, ...]]:
    """Labels of a cine, and the structures that were looked for."""
    options = SegmentationOptions(view="sax" if view == "sax" else "lax")
    seen = model.segment(
        cine, options=options, progress=lambda share, message: progress(_SEGMENTING * share, message)
    )
    motion = estimator.estimate(
        cine, progress=lambda share, message: progress(_SEGMENTING + (1 - _SEGMENTING) * share, message)
    )
    return agreed_labels(seen.labels, motion, seen.structures), seen.structures


def _samples_of(
    cine: Cine, found: SelfLabels, structures: Sequence[Label], view: str, frames: int, size: int
) -> list[Sample]:
    """The kept slices as samples."""
    labels = dict(enumerate(found.labels))
    data = CaseData(cine, labels, drawn=dict.fromkeys(labels, frozenset(structures)))
    samples = case_samples(data, view=view, frames=frames, size=size)
    return [sample for sample, keep in zip(samples, found.kept.ravel(), strict=True) if keep]


def write_samples(path: Path, found: SelfLabelled) -> None:
    """Keep samples in a file, from which a run resumes; they can be looked at with numpy.

    Raises:
        InputError: it cannot be written.
    """
    samples = found.samples
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            images=np.stack([sample.images for sample in samples]),
            labels=np.stack([sample.labels for sample in samples]),
            view=np.array([sample.view for sample in samples]),
            known=np.array([[label in sample.known for label in Label] for sample in samples]),
            about=np.array([found.slices, found.cines]),
            left_out=np.array(found.left_out, dtype=np.str_),
        )


def read_samples(path: Path) -> SelfLabelled:
    """What `write_samples` has kept.

    Raises:
        InputError: it is not there, or damaged.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
            known = [
                frozenset(label for label, is_known in zip(Label, row, strict=True) if is_known)
                for row in content["known"]
            ]
            columns = zip(content["images"], content["labels"], content["view"], known, strict=True)
            samples = tuple(Sample(images, labels, int(view), found) for images, labels, view, found in columns)
            slices, cines = (int(count) for count in content["about"])
            left_out = tuple(map(str, content["left_out"]))
    except FileNotFoundError as error:
        raise InputError(
            f"expected the labels that the run was started with in {path}, there is no such file"
        ) from error
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"the labels in {path} cannot be read ({error}): the run cannot be resumed") from error
    return SelfLabelled(samples, slices, cines, left_out)
