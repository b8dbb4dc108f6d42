"""How long work tells how far it has come."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Called with the fraction done, 0 to 1, and a message; may raise `Cancelled`."""


def silent(fraction: float, message: str) -> None:
    """A progress callback that shows nothing."""


def part_of(progress: Progress, number: int, count: int, *, share: float = 1.0, name: str = "") -> Progress:
    """The progress of one part of work that has several of the same length.

    Args:
        progress: of the whole.
        number: of the part, counted from 0.
        count: of parts.
        share: of the part that its own progress tells; the rest is for what comes after it.
        name: before every message.
    """

    def report(fraction: float, message: str) -> None:
        progress((number + share * fraction) / count, f"{name}: {message}" if name else message)

    return report
