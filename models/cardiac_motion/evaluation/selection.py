"""Which cases of a data set an evaluation goes through, and going through them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cardiac_motion.datasets import Case, CaseData, Dataset, SkippedCase, Split, find_dataset
from cardiac_motion.datasets.splits import held_out
from cardiac_motion.errors import InputError
from cardiac_motion.progress import Progress, part_of

C = TypeVar("C")


@dataclass(frozen=True)
class Selection:
    """Which labelled cases of a data set are evaluated on; by default all.

    Attributes:
        split: some patients only.
        fold: of a split into folds, the one whose patients are held out.
        part: of another split, ``test`` by default.
        keep_going: leave out cases that cannot be read, and list them in the report.
    """

    split: Split | None = None
    fold: int | None = None
    part: str | None = None
    keep_going: bool = False


class LabelledCases:
    """The selected cases of a folder.

    Args:
        folder: images and labels in any layout that `cardiac_motion.datasets.find_dataset` knows.
        selection: which of them.

    Attributes:
        data: the data set.
        words: say what the cases are of the whole; None for all of it.
        skipped: what `read` has left out so far.

    Raises:
        InputError: no labelled case, or a fold or part without a split or that it does not have.
    """

    def __init__(self, folder: Path | str, selection: Selection) -> None:
        self.data = find_dataset(folder)
        self._chosen, self.words = _chosen(self.data, selection)
        self._keep_going = selection.keep_going
        self.skipped: list[SkippedCase] = []

    @property
    def without_labels(self) -> tuple[str, ...]:
        """Names of images that no labels belong to."""
        return tuple(case.id for case in self.data.unlabelled)

    def read(self, case_of: Callable[[Case, CaseData], C], progress: Progress) -> Iterator[tuple[C, Progress]]:
        """Each case as `case_of` makes it, with the progress of the work on it.

        Raises:
            InputError: whatever is wrong with a case, unless it is to be left out.
        """
        for number, each in enumerate(self._chosen):
            try:
                case = case_of(each, each.load())
            except InputError as error:
                if not self._keep_going:
                    raise
                self.skipped.append(SkippedCase(each.id, str(error)))
                continue
            yield case, part_of(progress, number, len(self._chosen))


def _chosen(data: Dataset, selection: Selection) -> tuple[tuple[Case, ...], str | None]:
    if not data.labelled:
        raise InputError(
            f"{data.folder}: expected a case with labels in this data set (layout: {data.name}), got "
            f"{len(data.cases)} without"
        )
    if selection.split is None:
        if selection.fold is not None or selection.part is not None:
            raise InputError("expected a split that the fold or part is of, got none")
        return data.labelled, None
    return held_out(selection.split, data.labelled, fold=selection.fold, part=selection.part)
