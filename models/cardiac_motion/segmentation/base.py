"""What every segmentation model offers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from cardiac_motion.cine import Cine
from cardiac_motion.errors import InputError
from cardiac_motion.labels import Label
from cardiac_motion.progress import Progress, silent

Labels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Labels of some frames of a cine, on its native grid.

    Attributes:
        frames: F frames, counted from 0, increasing.
        labels: (F, Z, Y, X).
        structures: what the model tells apart, in the order of its classes after the background.
        model: its name.
        version: of its code.
        weights_checksum: SHA-256 of its weights.
        probabilities: (F, K, Z, Y, X), background first, before the anatomy was tidied up; None if not asked for.
        entropy: (F, Z, Y, X), of the probabilities, in nats, from 0 to log K; None if not asked for.
        notes: what a user should know, one sentence each.
    """

    frames: tuple[int, ...]
    labels: Labels
    structures: tuple[Label, ...]
    model: str
    version: str
    weights_checksum: str | None = None
    probabilities: Floats | None = None
    entropy: Floats | None = None
    notes: tuple[str, ...] = field(default=())


@runtime_checkable
class SegmentationModel(Protocol):
    """A model that segments single frames of a cine, from the images alone."""

    @property
    def name(self) -> str:
        """Name in the registry."""
        ...

    @property
    def version(self) -> str:
        """Version of the model's code."""
        ...

    @property
    def views(self) -> tuple[str, ...]:
        """Views that it is made for: "sax", "lax"."""
        ...

    @property
    def weights_checksum(self) -> str | None:
        """SHA-256 of the weights."""
        ...

    @property
    def default_options(self) -> Any:
        """A frozen dataclass of typed options with their defaults."""
        ...

    def segment(
        self,
        cine: Cine,
        *,
        frames: Sequence[int] | None = None,
        options: Any = None,
        progress: Progress = silent,
    ) -> Segmentation:
        """Labels of these frames, by default of all.

        Raises:
            InputError: a frame or an option that does not exist, or a cine of another view.
            Cancelled: from the progress callback.
        """
        ...


def check_frames(cine: Cine, frames: Sequence[int] | None) -> tuple[int, ...]:
    """The frames that are meant, increasing, each once.

    Raises:
        InputError: none, or one that the cine does not have.
    """
    if frames is None:
        return tuple(range(cine.n_frames))
    wrong = [frame for frame in frames if not 0 <= frame < cine.n_frames]
    if wrong or not frames:
        raise InputError(
            f"expected frames from 0 to {cine.n_frames - 1}, got {', '.join(map(str, wrong)) or 'none'}"
        )
    return tuple(sorted(set(frames)))
