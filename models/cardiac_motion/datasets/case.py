"""What every layout gives: a data set of cases, each read when it is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from cardiac_motion.cine import Cine
from cardiac_motion.errors import InputError
from cardiac_motion.labels import STRUCTURES, Label

Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class CaseData:
    """A case as it was read, checked when it is made.

    Attributes:
        cine: (T, Z, Y, X); of a pair T = 2, end-diastole first.
        labels: (Z, Y, X) uint8, values of `Label`, by the frame that they belong to; a frame that is not there was
            not labelled.
        ed: the frame of end-diastole, None where the data set does not say.
        es: the frame of end-systole, likewise.
        drawn: structures that were looked for in each labelled frame; one that is not among them is unknown there
            rather than absent. By default all that are drawn in any frame of the case.
        is_pair: it came as two frames without times.
        notes: what is unusual about the files and was understood, or had to be guessed, a sentence each.

    Raises:
        InputError: labels that do not fit the cine, or a frame that it does not have.
    """

    cine: Cine
    labels: Mapping[int, Labels] = field(default_factory=dict)
    ed: int | None = None
    es: int | None = None
    drawn: Mapping[int, frozenset[Label]] | None = None
    is_pair: bool = False
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        frames = {"ED": self.ed, "ES": self.es, **{f"labelled frame {t}": t for t in self.labels}}
        for what, frame in frames.items():
            if frame is not None and not 0 <= frame < self.cine.n_frames:
                raise InputError(f"{what}: expected a frame from 0 to {self.cine.n_frames - 1}, got {frame}")
        if self.ed is not None and self.ed == self.es:
            raise InputError(f"expected two frames for ED and ES, got frame {self.ed} for both")
        for frame, labels in self.labels.items():
            if labels.shape != self.cine.shape[1:] or labels.dtype != np.uint8:
                raise InputError(
                    f"labels of frame {frame}: expected uint8 (Z, Y, X) = {self.cine.shape[1:]}, got "
                    f"{labels.dtype} {labels.shape}"
                )
            labels.setflags(write=False)
        drawn = self.drawn
        if drawn is None:
            found = frozenset(s for s in STRUCTURES if any((labels == s).any() for labels in self.labels.values()))
            drawn = dict.fromkeys(self.labels, found)
        elif drawn.keys() != self.labels.keys():
            raise InputError(f"expected structures of frames {sorted(self.labels)}, got {sorted(drawn)}")
        object.__setattr__(self, "labels", MappingProxyType(dict(sorted(self.labels.items()))))
        object.__setattr__(self, "drawn", MappingProxyType(dict(sorted(drawn.items()))))

    @property
    def drawn_everywhere(self) -> tuple[Label, ...]:
        """Structures that were looked for in every labelled frame, in the order of their values."""
        every = frozenset(STRUCTURES).intersection(*(self.drawn or {}).values()) if self.labels else frozenset()
        return tuple(s for s in STRUCTURES if s in every)


@dataclass(frozen=True, eq=False)
class Case:
    """One cine of a data set, not read yet.

    Attributes:
        id: its name, once in the data set.
        patient: whose it is; cases of one patient never part ways in a split.
        has_labels: whether there is a file of labels, not that there is anything in it.
        read: reads it; `load` is what to call.
        view: ``sax``, ``2ch``, ``3ch``, ``4ch``; None where the layout does not tell.
        group: of patients, such as a diagnosis; None where the data set has none.
        about: further facts by name, such as ``vendor`` and ``centre``.
    """

    id: str
    patient: str
    has_labels: bool
    read: Callable[[], CaseData] = field(repr=False)
    view: str | None = "sax"
    group: str | None = None
    about: Mapping[str, str] = field(default_factory=dict)

    def load(self) -> CaseData:
        """Read it.

        Raises:
            InputError: whatever is wrong with a file, with the names of the case and of the file.
        """
        try:
            return self.read()
        except InputError as error:
            raise InputError(f"case {self.id}: {error}") from error


def broken_case(name: str, patient: str, error: InputError) -> Case:
    """A case whose files alone show that it cannot be read, so that the others can be."""

    def read() -> CaseData:
        raise error

    return Case(name, patient, has_labels=True, read=read, view=None)


@dataclass(frozen=True)
class SkippedCase:
    """A case that could not be read and was left out on request."""

    id: str
    reason: str


@dataclass(frozen=True, eq=False)
class Dataset:
    """The cases of a folder.

    Attributes:
        name: of the layout: ``acdc``, ``mnms``, ``sunnybrook``, ``ukbb``, ``studies`` or ``folder``.
        folder: where it is.
        cases: in the order of their ids, labelled or not.

    Raises:
        InputError: two cases of one id.
    """

    name: str
    folder: Path
    cases: tuple[Case, ...]

    def __post_init__(self) -> None:
        twice = sorted(name for name, count in Counter(case.id for case in self.cases).items() if count > 1)
        if twice:
            raise InputError(f"expected one case of each name in {self.folder}, got several of {', '.join(twice)}")
        object.__setattr__(self, "cases", tuple(sorted(self.cases, key=lambda case: case.id)))

    @property
    def labelled(self) -> tuple[Case, ...]:
        """The cases with a file of labels."""
        return tuple(case for case in self.cases if case.has_labels)

    @property
    def unlabelled(self) -> tuple[Case, ...]:
        """The others."""
        return tuple(case for case in self.cases if not case.has_labels)


def load_each(
    cases: Iterable[Case], *, skipped: list[SkippedCase] | None = None
) -> Iterator[tuple[Case, CaseData]]:
    """Read one case after the other, each when it is its turn.

    Args:
        cases: to be read.
        skipped: takes the cases that cannot be read, which are then left out; without it the first ends it.

    Raises:
        InputError: a case that cannot be read.
    """
    for case in cases:
        try:
            data = case.load()
        except InputError as error:
            if skipped is None:
                raise
            skipped.append(SkippedCase(case.id, str(error)))
            continue
        yield case, data
