"""What the figures of every evaluation share: the folder they are saved in, and which cases they show."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from matplotlib.figure import Figure

from cardiac_motion.analysis.plots import save_figure
from cardiac_motion.errors import InputError

C = TypeVar("C")


class FigureFolder:
    """A folder that figures are saved in.

    Args:
        folder: made if need be.

    Attributes:
        names: paths of the figures relative to the folder's parent, in the order they were saved in.

    Raises:
        InputError: it cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot write figures to {folder}: {error}") from error
        self._folder = folder
        self.names: list[str] = []

    def save(self, name: str, figure: Figure) -> None:
        """Save a figure under this name.

        Raises:
            InputError: it cannot be written.
        """
        save_figure(figure, self._folder / name)
        self.names.append(f"{self._folder.name}/{name}")


def best_median_worst(cases: Sequence[C], score: Callable[[C], float]) -> list[tuple[str, C]]:
    """The best, the median and the worst case by a score; fewer of fewer cases; without a score is worst."""
    ranked = sorted(cases, key=lambda case: np.nan_to_num(score(case), nan=-np.inf), reverse=True)
    if len(ranked) == 1:
        return [("the only case", ranked[0])]
    if len(ranked) == 2:
        return [("best", ranked[0]), ("worst", ranked[1])]
    return [("best", ranked[0]), ("median", ranked[len(ranked) // 2]), ("worst", ranked[-1])]


def safe_name(name: str) -> str:
    """A name that any file system takes."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)
