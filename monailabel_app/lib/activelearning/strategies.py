"""Which case to label next: MONAI Label's strategies, with a score and a suggestion where to begin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from monailabel.interfaces.tasks.strategy import Strategy
from monailabel.tasks.activelearning.first import First
from monailabel.tasks.activelearning.random import Random

from monailabel_app.lib.datastore import LocalDatastore


class _Suggesting(Strategy):
    """A strategy of MONAI Label, its answer completed.

    It knows nothing of the images, so that it has no score, and suggests to begin where readers do: at the first
    frame, end diastole.
    """

    def __init__(self, picked_by: Strategy, description: str) -> None:
        super().__init__(description)
        self._picked_by = picked_by

    def __call__(self, request: Mapping[str, Any], datastore: LocalDatastore) -> dict[str, Any] | None:
        """The case as MONAI Label's strategy answers, or None if every case has a final label."""
        found = self._picked_by(request, datastore)
        if found is None:
            return None
        return {**found, "score": None, "suggest": {"frames": [0], "slices": []}}


def strategies() -> dict[str, Strategy]:
    """All of them by name."""
    return {
        "random": _Suggesting(Random(), "A case without a final label, those shown longest ago more likely"),
        "first": _Suggesting(First(), "The first case without a final label, by name"),
    }
