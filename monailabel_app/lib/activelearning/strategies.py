"""Which case to label next: MONAI Label's strategies, with a score and a suggestion where to begin."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any

from monailabel.interfaces.tasks.strategy import Strategy
from monailabel.tasks.activelearning.first import First

from monailabel_app.lib.datastore import LocalDatastore


class Random(Strategy):
    """A case without a final label, those shown longest ago more likely.

    MONAI Label's own fails where all of them were shown within the same second.
    """

    def __init__(self) -> None:
        super().__init__("A case without a final label, those shown longest ago more likely")

    def __call__(self, request: Mapping[str, Any], datastore: LocalDatastore) -> dict[str, Any] | None:
        """Its id and weight, or None if every case has a final label."""
        cases = datastore.get_unlabeled_images()
        if not cases:
            return None
        now = time.time()
        shown = (datastore.get_image_info(case).get("strategy", {}).get(request["strategy"], {}) for case in cases)
        weights = [max(1, int(now - when.get("ts", 0))) for when in shown]
        chosen = random.choices(range(len(cases)), weights=weights)[0]  # noqa: S311 - not for secrets
        return {"id": cases[chosen], "weight": weights[chosen]}


class _Suggesting(Strategy):
    """Another strategy, its answer completed.

    It knows nothing of the images, so that it has no score, and suggests to begin where readers do: at the first
    frame, end diastole.
    """

    def __init__(self, picked_by: Strategy, description: str | None = None) -> None:
        super().__init__(description or picked_by.description)
        self._picked_by = picked_by

    def __call__(self, request: Mapping[str, Any], datastore: LocalDatastore) -> dict[str, Any] | None:
        """The case as that strategy answers, or None if every case has a final label."""
        found = self._picked_by(request, datastore)
        if found is None:
            return None
        return {**found, "score": None, "suggest": {"frames": [0], "slices": []}}


def strategies() -> dict[str, Strategy]:
    """All of them by name."""
    return {
        "random": _Suggesting(Random()),
        "first": _Suggesting(First(), "The first case without a final label, by name"),
    }
