"""What a propagation has overwritten, so that it can be brought back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from CardiacMotionLib.frame_states import FrameStates

Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Step:
    """The state before something was changed.

    Attributes:
        states: of all frames.
        labels: (Z, Y, X) of the frames that were overwritten.
    """

    states: FrameStates
    labels: Mapping[int, Labels]

    @property
    def nbytes(self) -> int:
        """Memory of the labels."""
        return sum(each.nbytes for each in self.labels.values())


class UndoStack:
    """Steps, the newest on top; the oldest go where they are too many.

    Args:
        max_bytes: of all labels together; the newest step is kept in any case.
    """

    def __init__(self, max_bytes: int = 2**28) -> None:
        self._max_bytes = max_bytes
        self._steps: list[Step] = []

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, step: Step) -> None:
        """Keep a step."""
        self._steps.append(step)
        while len(self._steps) > 1 and sum(each.nbytes for each in self._steps) > self._max_bytes:
            self._steps.pop(0)

    def pop(self) -> Step:
        """The newest step, which is forgotten.

        Raises:
            IndexError: there is none.
        """
        return self._steps.pop()

    def clear(self) -> None:
        """Forget everything."""
        self._steps.clear()
