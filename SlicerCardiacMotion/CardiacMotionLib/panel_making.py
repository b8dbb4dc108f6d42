"""The panel made bit by bit, so that the window is drawn in between. This file reads none of the others."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from CardiacMotionLib.panel import Panel

_READ_FIRST = ("client", "session", "panel")
"""Files that take long to read with all that they need, those that need the others last."""


class PanelMaking:
    """Reads what the panel needs, begins the panel, and has it make itself. Main thread only.

    Args:
        begin: makes the panel, without its sections.
        single_shot: calls something after so many milliseconds on the main thread.

    Attributes:
        begun: the panel, as far as it is made; None before.
    """

    def __init__(self, begin: Callable[[], Panel], single_shot: Callable[[int, Callable[[], None]], None]) -> None:
        self._begin_panel, self._single_shot = begin, single_shot
        self.begun: Panel | None = None
        self._is_entered = False
        reading = [partial(import_module, f"CardiacMotionLib.{name}") for name in _READ_FIRST]
        self._calls: list[Callable[[], object]] = [*reading, self._begin]
        self._single_shot(0, self._next)

    def whole(self) -> Panel | None:
        """The whole panel: what is not there yet is made now. None if making it has failed, or was given up."""
        while self._calls:
            self._calls.pop(0)()
        if self.begun is not None:
            self.begun.make_all()
        return self.begun

    def enter(self) -> None:
        """The module is looked at now."""
        self._is_entered = True
        if self.begun is not None:
            self.begun.enter()

    def leave(self) -> None:
        """The module is not looked at any more."""
        self._is_entered = False
        if self.begun is not None:
            self.begun.leave()

    def close(self) -> None:
        """The panel goes away, or never comes."""
        self._calls.clear()
        if self.begun is not None:
            self.begun.close()

    def _next(self) -> None:
        if self._calls:
            self._calls.pop(0)()
            self._single_shot(0, self._next)

    def _begin(self) -> None:
        self.begun = self._begin_panel()
        if self._is_entered:
            self.begun.enter()
