"""Labelled cases of a data set as samples to train on: the heart's region of each slice, on the pool's grid."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cardiac_motion.datasets import Case, CaseData, split
from cardiac_motion.errors import InputError
from cardiac_motion.labels import Label
from cardiac_motion.phantom.clips import PIXEL_MM, VIEWS
from cardiac_motion.progress import Progress, silent
from cardiac_motion.segmentation.neighbours import neighbours
from cardiac_motion.training.sources import Sample
from cardiac_motion.working_grid import Region, find_heart

_FEWEST_TO_HOLD_OUT_FROM = 8


class LabelledSlices:
    """Samples of labelled slices, in memory.

    Args:
        samples: of one size.

    Raises:
        InputError: none.
    """

    def __init__(self, samples: Sequence[Sample]) -> None:
        if not samples:
            raise InputError("expected at least one labelled slice to train on, got none")
        self._samples = tuple(samples)
        digest = hashlib.sha256()
        for sample in self._samples:
            digest.update(np.ascontiguousarray(sample.images).tobytes() + sample.labels.tobytes())
            digest.update(repr((sample.view, sorted(sample.known))).encode())
        self._identity = digest.hexdigest()

    @property
    def identity(self) -> str:
        """SHA-256 over all samples."""
        return self._identity

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        return self._samples[index]


def read_slices(
    cases: Iterable[Case],
    *,
    frames: int = 1,
    size: int = 160,
    views: Sequence[str] = ("sax",),
    progress: Progress = silent,
) -> LabelledSlices:
    """Every slice of every labelled frame of cases.

    A slice without a label in a labelled frame is one in which nothing of what was looked for is to be seen.

    Args:
        cases: labelled; those of other views are left out.
        frames: of a sample, odd: the labelled one in the middle, its neighbours along the cycle around it.
        size: pixels a side, of 1.4 mm, around the middle of the heart's region.
        views: taken.
        progress: called after each case.

    Raises:
        InputError: a case that cannot be read, or no labelled slice at all.
    """
    wanted = [case for case in cases if case.has_labels and (case.view or "sax") in views]
    samples: list[Sample] = []
    for number, case in enumerate(wanted):
        samples += case_samples(case.load(), view=case.view or "sax", frames=frames, size=size)
        progress((number + 1) / len(wanted), f"reading cases, {number + 1} of {len(wanted)}")
    return LabelledSlices(samples)


def case_samples(data: CaseData, *, view: str, frames: int, size: int) -> list[Sample]:
    """The samples of one case; see `read_slices`."""
    cine = data.cine
    region = find_heart(cine.frames, cine.spacing)
    samples = []
    for t, labels in data.labels.items():
        clip = cine.frames[neighbours(t, cine.n_frames, frames)]
        for k in range(cine.shape[1]):
            images = np.stack([_resampled(frame[k], region, cine.spacing[1:], size) for frame in clip])
            low, high = np.percentile(images, (1, 99.5))
            scaled = np.clip((images - low) / max(float(high - low), 1e-6), 0, 1)
            samples.append(
                Sample(
                    images=np.round(scaled * 255).astype(np.uint8),
                    labels=_resampled_labels(labels[k], region, cine.spacing[1:], size),
                    view=VIEWS.index(view),
                    known=(data.drawn or {}).get(t, frozenset[Label]()),
                )
            )
    return samples


def hold_out(cases: Sequence[Case], seed: int = 0) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """Cases to train on, and those of a fifth of the patients to validate on.

    Of fewer than eight patients none can be spared: each adds more than the score of one or two tells. All are in
    both then.
    """
    cases = tuple(case for case in cases if case.has_labels)
    if len({case.patient for case in cases}) < _FEWEST_TO_HOLD_OUT_FROM:
        return cases, cases
    parts = split(cases, seed=seed, fractions={"train": 0.8, "validation": 0.2})
    training, validation = parts.part("train", cases), parts.part("validation", cases)
    return (training, validation) if validation else (cases, cases)


def _resampled(
    image: npt.NDArray[np.floating], region: Region, spacing: tuple[float, float], size: int
) -> npt.NDArray[np.float32]:
    """A slice (Y, X) on the grid of the samples; beyond the image its border goes on."""
    matrix, offset = _placed(region, spacing, size)
    # What is finer than the new pixels would come out as noise.
    sigma = [0.5 * np.sqrt(max(0.0, m**2 - 1)) for m in matrix]
    smooth = ndimage.gaussian_filter(image.astype(np.float32), sigma, mode="nearest")
    return ndimage.affine_transform(smooth, np.diag(matrix), offset, (size, size), order=1, mode="nearest")


def _resampled_labels(
    labels: npt.NDArray[np.uint8], region: Region, spacing: tuple[float, float], size: int
) -> npt.NDArray[np.uint8]:
    """Labels (Y, X) likewise; beyond the image background."""
    matrix, offset = _placed(region, spacing, size)
    return ndimage.affine_transform(labels, np.diag(matrix), offset, (size, size), order=0, mode="constant")


def _placed(
    region: Region, spacing: tuple[float, float], size: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """For each axis how many voxels a pixel is, and the voxel at the first pixel."""
    matrix = PIXEL_MM / np.array(spacing)
    middle = np.array([region.y0 + region.y1 - 1, region.x0 + region.x1 - 1]) / 2
    return matrix, middle - matrix * (size - 1) / 2
