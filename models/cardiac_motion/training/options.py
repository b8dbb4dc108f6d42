"""How a model is trained, apart from what it is trained on."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Literal

from cardiac_motion.errors import InputError

MAY_CHANGE = frozenset({"minutes", "patience", "checkpoint_every", "workers", "keep"})
"""Options that a resumed run may have otherwise; the others decide what every step does."""


@dataclass(frozen=True)
class FitOptions:
    """Settings of one run of `fit`, checked when they are made.

    The learning rate rises evenly over the warm-up, then falls as half a cosine to a hundredth of its largest
    value. How far it has fallen is decided by the steps or, with a limit of time, by whichever is further used up,
    steps or minutes: a run that is cut short by its minutes ends with the small learning rate that it would have
    had after its last step. What is exact about resuming then holds for everything but the learning rate, which
    follows the clock.

    Attributes:
        steps: updates of the weights, at most.
        batch: samples of one update, of all processes together.
        parts: into which a batch is divided. They go through the network one after the other, each with random
            numbers of its own, and several processes share them out: what an update does depends on the parts and
            not on how many processes there are.
        learning_rate: the largest.
        weight_decay: of AdamW.
        warmup: steps over which the learning rate rises.
        clip_norm: largest norm of the gradient of all weights together.
        validate_every: steps.
        patience: validations without a better score after which the run ends; None for never.
        checkpoint_every: steps.
        seed: of the first weights and of dropout.
        minutes: of training, what was spent before resuming included; None for no limit.
        amp: mixed precision; None for on a GPU only.
        workers: processes that make batches ahead; 0 for none. The batches are the same.
        keep: which weights a run gives: those of the best score, or the last, as when runs are to be compared that
            are too short for their scores to tell.
    """

    steps: int = 4000
    batch: int = 16
    parts: int = 2
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    warmup: int = 100
    clip_norm: float = 5.0
    validate_every: int = 250
    patience: int | None = None
    checkpoint_every: int = 100
    seed: int = 0
    minutes: float | None = None
    amp: bool | None = None
    workers: int = 0
    keep: Literal["best", "last"] = "best"

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "parts", "validate_every", "checkpoint_every"):
            _check(name, getattr(self, name), 1, whole=True)
        if self.batch % self.parts:
            raise InputError(
                f"training option batch: expected samples that {self.parts} parts share evenly, got {self.batch}"
            )
        for name in ("warmup", "workers"):
            _check(name, getattr(self, name), 0, whole=True)
        _check("seed", self.seed, 0, 2**63 - 1, whole=True)
        for name in ("learning_rate", "clip_norm"):
            _check(name, getattr(self, name), 0, is_open=True)
        _check("weight_decay", self.weight_decay, 0)
        if self.patience is not None:
            _check("patience", self.patience, 1, whole=True)
        if self.minutes is not None:
            _check("minutes", self.minutes, 0, is_open=True)
        if self.keep not in ("best", "last"):
            raise InputError(f"training option keep: expected best or last, got {self.keep!r}")

    def learning_rate_at(self, step: int, share: float) -> float:
        """The learning rate of a step, counted from 0.

        Args:
            step: for the warm-up.
            share: how much of the run is used up, 0 to 1.
        """
        rise = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        fall = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(max(share, 0.0), 1.0)))
        return self.learning_rate * rise * fall

    def check_same(self, other: FitOptions) -> None:
        """Refuse to resume with options that would make another run.

        Args:
            other: those that the run was started with.

        Raises:
            InputError: names the options that differ.
        """
        different = [
            f"{field.name} {getattr(other, field.name)} (now {getattr(self, field.name)})"
            for field in fields(self)
            if field.name not in MAY_CHANGE and getattr(self, field.name) != getattr(other, field.name)
        ]
        if different:
            raise InputError(f"expected the options that the run was started with: {', '.join(different)}")


def _check(
    name: str, value: Any, low: float, high: float = math.inf, *, whole: bool = False, is_open: bool = False
) -> None:
    """Raise unless a value is a number from low to high; is_open leaves low out."""
    kind = (int,) if whole else (int, float)
    fits = isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)
    if not fits or not low <= value <= high or (is_open and value == low):
        number = "whole number" if whole else "number"
        limit = f"above {low:g}" if is_open else f"from {low:g}" + ("" if high == math.inf else f" to {high:g}")
        raise InputError(f"training option {name}: expected a {number} {limit}, got {value!r}")
