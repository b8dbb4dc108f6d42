"""Where the labelled clips come from that a segmentation network is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cardiac_motion.errors import InputError
from cardiac_motion.labels import STRUCTURES, Label
from cardiac_motion.training.pool import ClipPool


@dataclass(frozen=True)
class Sample:
    """A clip of a single slice, of which the middle frame counts.

    Attributes:
        images: (T, Y, X), uint8, T odd.
        labels: (Y, X), uint8, of the middle frame.
        view: index into `cardiac_motion.phantom.clips.VIEWS`.
        known: structures that were looked for; another one may be there without its label.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]
    view: int
    known: frozenset[Label] = frozenset(STRUCTURES)


class ClipSource(Protocol):
    """Samples of one size, by their number."""

    @property
    def identity(self) -> str:
        """The same for the same samples alone."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


class PoolSource:
    """The clips of a pool, each as often as it has windows of the wanted number of frames.

    Args:
        pool: made before it is read.
        frames: of a sample, odd.

    Raises:
        InputError: an even number, or more frames than the clips have.
    """

    def __init__(self, pool: ClipPool, frames: int = 1) -> None:
        if not 1 <= frames <= pool.arguments.frames or frames % 2 == 0:
            raise InputError(f"expected an odd number of frames up to {pool.arguments.frames}, got {frames}")
        self.pool, self.frames = pool, frames
        self._windows = pool.arguments.frames - frames + 1

    @property
    def identity(self) -> str:
        """The key of the pool and how much is taken of it."""
        return f"{self.pool.key} {len(self.pool)} {self.frames}"

    @staticmethod
    def clips_of(identity: str) -> int | None:
        """How many clips a source of this identity takes of its pool; None if it is one of another kind."""
        parts = identity.split(" ")
        return int(parts[1]) if len(parts) == 3 and parts[1].isdecimal() else None

    def __len__(self) -> int:
        return len(self.pool) * self._windows

    def __getitem__(self, index: int) -> Sample:
        clip, start = divmod(index, self._windows)
        images, labels, view = self.pool.read(clip)
        return Sample(images[start : start + self.frames], labels[start + self.frames // 2], view)


@dataclass(frozen=True)
class SampleBatch:
    """B samples as tensors.

    Attributes:
        images: (B, T, Y, X), float32, 0 to 1.
        labels: (B, Y, X), float32, whole numbers; what is beyond the classes of the network is background.
        known: (B, K), bool: classes that were looked for; background always.
        views: (B,), int64.
    """

    images: Tensor
    labels: Tensor
    known: Tensor
    views: Tensor


def stack_samples(samples: Sequence[Sample], classes: int) -> SampleBatch:
    """Samples of one size as a batch, for a network of so many classes, background included."""
    images = torch.from_numpy(np.stack([sample.images for sample in samples])).float() / 255
    labels = torch.from_numpy(np.stack([sample.labels for sample in samples])).float()
    known = [[k == 0 or Label(k) in sample.known for k in range(classes)] for sample in samples]
    return SampleBatch(
        images=images,
        labels=torch.where(labels < classes, labels, 0.0),
        known=torch.tensor(known),
        views=torch.tensor([sample.view for sample in samples]),
    )
