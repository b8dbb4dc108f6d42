"""Blocks whose labels can be read off the image, and models that do so more or less well."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.io import write_cine, write_labels
from cardiac_motion.labels import Label
from cardiac_motion.progress import Progress, silent
from cardiac_motion.segmentation.base import Segmentation

Labels = npt.NDArray[np.uint8]

SPACING = (10.0, 2.0, 1.0)
"""(z, y, x) mm."""


def block_labels(widths: Sequence[int]) -> Labels:
    """(T, 3, 20, 30): in each frame an LV of 6 rows and so many columns in slices 0 and 1, an RV of 4 columns."""
    labels = np.zeros((len(widths), 3, 20, 30), np.uint8)
    for t, width in enumerate(widths):
        labels[t, :2, 5:11, 4 : 4 + width] = Label.LV
        labels[t, :2, 5:11, 20:24] = Label.RV
    return labels


def block_cine(labels: Labels, name: str = "cine") -> Cine:
    """Intensities are 50 for each label value, so that nothing else is needed to segment it."""
    affine = np.diag([SPACING[2], SPACING[1], SPACING[0], 1.0])
    return Cine(50.0 * labels.astype(np.float32), affine, np.arange(len(labels)) * 0.1, name=name)


@dataclass
class Reader:
    """A model that reads the labels off the image and moves them by so many columns.

    With ``misses`` it leaves the LV of these frames out; ``asked`` notes the frames that it was asked for.
    """

    shift: int = 0
    misses: tuple[int, ...] = ()
    name: str = "reader"
    version: str = "1"
    views: tuple[str, ...] = ("sax",)
    structures: tuple[Label, ...] = (Label.RV, Label.MYO, Label.LV)
    weights_checksum: str | None = "0123456789abcdef"
    default_options: Any = None
    asked: list[tuple[int, ...]] = field(default_factory=list)

    def segment(
        self, cine: Cine, *, frames: Sequence[int] | None = None, options: Any = None, progress: Progress = silent
    ) -> Segmentation:
        assert frames is not None
        self.asked.append(tuple(frames))
        progress(0.5, "half way")
        labels = np.roll(np.round(cine.frames[list(frames)] / 50).astype(np.uint8), self.shift, axis=3)
        for place, frame in enumerate(frames):
            if frame in self.misses:
                labels[place][labels[place] == Label.LV] = 0
        return Segmentation(tuple(frames), labels, self.structures, self.name, self.version, self.weights_checksum)


@dataclass
class Given:
    """A model that holds what it was given: the labels of the key frame, in every frame."""

    name: str = "given"
    version: str = "1"
    views: tuple[str, ...] = ("sax",)
    weights_checksum: str | None = None
    default_options: Any = None

    def segment_from(
        self,
        cine: Cine,
        key_frames: Mapping[int, Labels],
        *,
        frames: Sequence[int],
        options: Any = None,
        progress: Progress = silent,
    ) -> Segmentation:
        (labels,) = key_frames.values()
        structures = tuple(s for s in (Label.RV, Label.LV) if (labels == s).any())
        return Segmentation(tuple(frames), np.stack([labels] * len(frames)), structures, self.name, self.version)


@pytest.fixture(scope="session")
def reader() -> type[Reader]:
    return Reader


@pytest.fixture(scope="session")
def given() -> type[Given]:
    return Given


Write = Callable[..., Path]


@pytest.fixture
def write_blocks(tmp_path: Path) -> Write:
    """Writes cines with labels beside them; widths of the LV by name, and frames without labels by name."""

    def write(widths: Mapping[str, Sequence[int]], unlabelled: Mapping[str, Sequence[int]] | None = None) -> Path:
        folder = tmp_path / "data"
        folder.mkdir(exist_ok=True)
        for name, each in widths.items():
            labels = block_labels(each)
            cine = block_cine(labels, name)
            labels[list((unlabelled or {}).get(name, ()))] = 0
            write_cine(folder / f"{name}.nii.gz", cine)
            write_labels(folder / f"{name}_labels.nii.gz", labels, cine)
        return folder

    return write
