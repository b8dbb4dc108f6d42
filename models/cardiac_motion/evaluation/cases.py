"""Cases to evaluate on: cines with the truth, as `cardiac_motion.datasets` reads them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cardiac_motion.analysis.curves import end_systole
from cardiac_motion.analysis.volumes import volumes_ml
from cardiac_motion.cine import Cine
from cardiac_motion.datasets import CaseData
from cardiac_motion.errors import GeometryWarning, InputError
from cardiac_motion.labels import STRUCTURES, Label


@dataclass(frozen=True, eq=False)
class Case:
    """A cine with the truth.

    Attributes:
        name: of the case.
        cine: (T, Z, Y, X); of a pair T = 2, ED first.
        labels: (T, Z, Y, X) uint8, empty where a frame has none.
        labelled: frames with labels, in order.
        source: the frame that labels are carried from: end-diastole, or the first one with labels.
        es: the frame of end-systole among the other labelled ones.
        structures: those in any frame, but for such as are unknown in a labelled one.
        is_pair: whether it came as two frames without times.
    """

    name: str
    cine: Cine
    labels: npt.NDArray[np.uint8]
    labelled: tuple[int, ...]
    source: int
    es: int
    structures: tuple[Label, ...]
    is_pair: bool = False

    @property
    def targets(self) -> tuple[int, ...]:
        """The labelled frames but the source."""
        return tuple(t for t in self.labelled if t != self.source)

    @classmethod
    def of(
        cls,
        cine: Cine,
        labels: npt.NDArray[np.uint8],
        *,
        is_pair: bool = False,
        ed: int | None = None,
        es: int | None = None,
        structures: Sequence[Label] = STRUCTURES,
    ) -> Case:
        """A case from a cine and its labels (T, Z, Y, X).

        Args:
            cine: (T, Z, Y, X).
            labels: likewise, empty where a frame has none.
            is_pair: it came as two frames without times.
            ed: the frame to carry from; the first one with labels if none is stated, or that one has no labels.
            es: the frame of end-systole; read off the labels if none is stated, or that one has no labels.
            structures: that are scored, if they are in any frame; others are unknown in some.

        Raises:
            InputError: labels of another shape, fewer than two frames with labels, or none of these structures.
        """
        if labels.shape != cine.shape:
            raise InputError(f"{cine.name}: expected labels (T, Z, Y, X) = {cine.shape}, got {labels.shape}")
        labelled = tuple(int(t) for t in np.flatnonzero(labels.any(axis=(1, 2, 3))))
        if len(labelled) < 2:
            raise InputError(
                f"{cine.name}: evaluation needs labels on at least 2 frames, got labels on {list(labelled)}"
            )
        source = ed if ed is not None and ed in labelled else labelled[0]
        if es is None or es not in labelled or es == source:
            es = end_systole_of(labels, cine.spacing, source=source)
        found = tuple(s for s in STRUCTURES if s in structures and (labels == s).any())
        if not found:
            raise InputError(
                f"{cine.name}: expected a structure that was drawn in all of the frames {list(labelled)}, got none"
            )
        return cls(
            name=cine.name,
            cine=cine,
            labels=labels,
            labelled=labelled,
            source=source,
            es=es,
            structures=found,
            is_pair=is_pair,
        )


def end_systole_of(labels: npt.NDArray[np.uint8], spacing: tuple[float, float, float], *, source: int) -> int:
    """The labelled frame, other than the source, with the smallest ventricle.

    Without ventricles it is the one in which the first structure differs most in volume from the source.

    Args:
        labels: (T, Z, Y, X), labels on the source and on at least one more frame.
        spacing: (z, y, x) mm.
        source: the frame of end-diastole.
    """
    volumes = volumes_ml(labels, spacing)
    targets = [int(t) for t in np.flatnonzero(labels.any(axis=(1, 2, 3))) if t != source]
    for ventricle in (Label.LV, Label.RV):
        if ventricle in volumes and volumes[ventricle][targets].any():
            return targets[end_systole(volumes[ventricle][targets])]
    first = next(iter(volumes.values()))
    return targets[int(np.argmax(np.abs(first[targets] - first[source])))]


def case_of(name: str, data: CaseData) -> Case:
    """The case that a data set's case is for an evaluation; what is unusual about its files is told in a warning.

    Raises:
        InputError: fewer than two frames with labels, or no structure that was looked for in all of them.
    """
    if data.notes:
        warnings.warn(f"{name}: {'; '.join(data.notes)}", GeometryWarning, stacklevel=2)
    cine = Cine(data.cine.frames, data.cine.affine, data.cine.frame_times, name=name)
    labels = np.zeros(cine.shape, np.uint8)
    for frame, drawn in data.labels.items():
        labels[frame] = drawn
    return Case.of(cine, labels, is_pair=data.is_pair, ed=data.ed, es=data.es, structures=data.drawn_everywhere)
