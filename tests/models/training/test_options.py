from __future__ import annotations

from typing import Any

import pytest
from cardiac_motion.errors import InputError
from cardiac_motion.training.options import FitOptions


def test_the_learning_rate_rises_then_falls() -> None:
    options = FitOptions(steps=100, warmup=10, learning_rate=1.0)
    rates = [options.learning_rate_at(step, step / 100) for step in range(100)]
    assert rates[:9] == sorted(rates[:9])
    assert rates[0] == pytest.approx(0.1, rel=0.01)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert options.learning_rate_at(50, 0.5) == pytest.approx(0.505)
    assert options.learning_rate_at(99, 1.0) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps: expected a whole number from 1, got 0"),
        ({"batch": 2.5}, "batch: expected a whole number from 1, got 2.5"),
        ({"learning_rate": 0.0}, "learning_rate: expected a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate: expected a number above 0, got nan"),
        ({"batch": 9}, "batch: expected samples that 2 parts share evenly, got 9"),
        ({"parts": 0}, "parts: expected a whole number from 1, got 0"),
        ({"seed": -1}, "seed: expected a whole number from 0 to"),
        ({"minutes": 0}, "minutes: expected a number above 0"),
        ({"patience": True}, "patience: expected a whole number from 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FitOptions(**changes)
