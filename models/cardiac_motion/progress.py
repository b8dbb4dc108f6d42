"""How long work tells how far it has come."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Called with the fraction done, 0 to 1, and a message; may raise `Cancelled`."""


def silent(fraction: float, message: str) -> None:
    """A progress callback that shows nothing."""
