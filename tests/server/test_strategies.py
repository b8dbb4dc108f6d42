"""Which case comes next."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any, cast

import pytest

from monailabel_app.lib.activelearning.strategies import Random, strategies
from monailabel_app.lib.datastore import LocalDatastore


class Cases:
    """A datastore of cases without labels, as far as a strategy asks."""

    def __init__(self, shown: dict[str, float | None]) -> None:
        self.shown = shown

    def get_unlabeled_images(self, _tag: str | None = None, _labels: Any = None) -> list[str]:
        return list(self.shown)

    def get_image_info(self, case: str) -> dict[str, Any]:
        when = self.shown[case]
        return {} if when is None else {"strategy": {"random": {"ts": when}}}


def pick(name: str, shown: dict[str, float | None]) -> dict[str, Any] | None:
    return strategies()[name]({"strategy": name}, cast(LocalDatastore, Cases(shown)))


@pytest.mark.parametrize("ahead", [0, 3600])
def test_a_case_that_was_shown_just_now_or_by_a_clock_set_back_can_come_again(ahead: float) -> None:
    found = pick("random", {"only": time.time() + ahead})
    assert found is not None
    assert (found["id"], found["weight"]) == ("only", 1)


def test_cases_shown_long_ago_come_first_but_not_alone() -> None:
    now = time.time()
    cases = cast(LocalDatastore, Cases({"new": now - 100, "old": now - 400}))
    strategy = Random()
    seen = Counter(cast(dict[str, Any], strategy({"strategy": "random"}, cases))["id"] for _ in range(400))
    assert 240 < seen["old"] < 390


def test_first_goes_by_name_and_both_say_where_to_begin() -> None:
    for name in ("first", "random"):
        found = pick(name, {"b": None, "a": None})
        assert found is not None
        assert (found["score"], found["suggest"]) == (None, {"frames": [0], "slices": []})
        assert pick(name, {}) is None
    first = pick("first", {"b": None, "a": None})
    assert first is not None
    assert first["id"] == "a"
