"""Where the server suggests to begin with a case; kept with the scene."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from CardiacMotionLib import scene_state
from CardiacMotionLib.cine import Cine

_NAME = "Suggestion"


@dataclass(frozen=True)
class Suggestion:
    """What the strategy that chose the case says about it.

    Attributes:
        frames: to begin with, the first of them first; counted from 0.
        slices: likewise; none where the strategy says nothing of slices.
    """

    frames: tuple[int, ...] = ()
    slices: tuple[int, ...] = ()


def keep_suggestion(cine: Cine, answer: Mapping[str, Any]) -> None:
    """Remember the server's ``suggest`` with a cine; what it does not have is left out."""
    count, slices = cine.shape[:2]
    kept = {"frames": _indices(answer.get("frames"), count), "slices": _indices(answer.get("slices"), slices)}
    scene_state.set_json(cine.browser, _NAME, kept if kept["frames"] or kept["slices"] else None)


def suggestion_of(cine: Cine) -> Suggestion:
    """What was remembered with a cine; nothing in it where there is none."""
    kept = scene_state.get_json(cine.browser, _NAME)
    if not isinstance(kept, dict):
        return Suggestion()
    count, slices = cine.shape[:2]
    return Suggestion(tuple(_indices(kept.get("frames"), count)), tuple(_indices(kept.get("slices"), slices)))


def _indices(values: Any, count: int) -> list[int]:
    """Those of the values that are indices of so many."""
    if not isinstance(values, list):
        return []
    whole = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
    return list(dict.fromkeys(value for value in whole if 0 <= value < count))
