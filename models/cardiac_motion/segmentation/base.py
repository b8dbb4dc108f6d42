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
from cardiac_motion.model import Model
from cardiac_motion.progress import Progress, silent
from cardiac_motion.working_grid import Region

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
        probabilities: (F, K, Z, y, x), background first, in `region`, before the anatomy was tidied up; None if
            not asked for. `probabilities_at` gives them anywhere.
        entropy: (F, Z, Y, X), of the probabilities, in nats, from 0 to log K; None if not asked for.
        notes: what a user should know, one sentence each.
        region: in-plane part of the grid outside of which there is background beyond doubt, so that large images
            take no more memory than the heart; None for the whole plane.
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
    region: Region | None = None

    def probabilities_at(self, index: int, rows: slice, columns: slice) -> Floats:
        """Probabilities (K, Z, y, x) of the frame of this index, in these rows and columns of the plane.

        Raises:
            ValueError: they were not asked for.
        """
        if self.probabilities is None:
            raise ValueError("this segmentation has no probabilities")
        given = self.probabilities[index]
        plane = self.labels.shape[-2:]
        if self.region is None:
            return given[..., rows, columns]
        (y0, y1, _), (x0, x1, _) = rows.indices(plane[0]), columns.indices(plane[1])
        found = np.zeros((*given.shape[:-2], y1 - y0, x1 - x0), np.float32)
        found[0] = 1
        top, bottom = max(y0, self.region.y0), min(y1, self.region.y1)
        left, right = max(x0, self.region.x0), min(x1, self.region.x1)
        if top < bottom and left < right:
            source = given[..., top - self.region.y0 : bottom - self.region.y0, :]
            source = source[..., left - self.region.x0 : right - self.region.x0]
            found[..., top - y0 : bottom - y0, left - x0 : right - x0] = source
        return found


@runtime_checkable
class SegmentationModel(Model, Protocol):
    """A model that segments single frames of a cine, from the images alone."""

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
