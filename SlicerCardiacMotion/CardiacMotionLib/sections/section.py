"""What the sections of the panel have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Protocol, TypeVar

import slicer
from slicer.i18n import tr as _

from CardiacMotionLib.background import Timer
from CardiacMotionLib.client import Offer
from CardiacMotionLib.measures import Measures
from CardiacMotionLib.messages import sentence
from CardiacMotionLib.session import Session
from CardiacMotionLib.signals import Signal
from CardiacMotionLib.workspace import Workspace

T = TypeVar("T")
Condition = tuple[object, str]
"""What must hold before a button can do something, and what to tell the reader where it does not."""


class Panel(Protocol):
    """What a section may ask of the panel; whatever else it needs, it makes itself of the session.

    Attributes:
        session: what the module is doing.
        parameters: `Parameters`, kept with the scene; others after it was closed.
        measures: of the case that is worked on, or None without one.
        start_timer: see `background.Timer`.
        owner: the section below which the last message or progress was shown, or None.
    """

    session: Session
    parameters: Any
    measures: Measures | None
    start_timer: Timer

    @property
    def owner(self) -> Section | None:
        """See above."""

    def resource(self, name: str) -> str:
        """Path of a file of the module's resources."""

    def say(self, text: str, section: Section, *, is_error: bool = False) -> None:
        """Show a message below a section; "" for none."""

    def show_progress(self, section: Section, cancel: Callable[[], None]) -> None:
        """What is under way was asked for in this section; its progress is shown below it."""

    def set_progress(self, progress: tuple[float, str]) -> None:
        """Fraction and message of what is under way."""

    def telling(self, section: Section) -> AbstractContextManager[None]:
        """What is raised inside becomes a message below the section."""

    def update(self) -> None:
        """Have every section show how things stand."""

    def update_soon(self) -> None:
        """Have every section show how things stand, when Slicer is idle."""


class Section:
    """A part of the panel, with its .ui file; it knows neither the others nor the panel's widget.

    Attributes:
        UI: name of the .ui file, and of the section.
        ORDER: its place; those with smaller numbers are above it.
        TASK: of the server, without which the section is not shown; "" where it needs none.
        widget: of the section.
        ui: its named widgets.
    """

    UI: ClassVar[str]
    ORDER: ClassVar[int]
    TASK: ClassVar[str] = ""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self.widget = slicer.util.loadUI(panel.resource(f"UI/{self.UI}.ui"))
        self.widget.setMRMLScene(slicer.mrmlScene)
        self.ui: Any = slicer.util.childWidgetVariables(self.widget)
        self._disconnects: list[Callable[[], None]] = []

    @property
    def session(self) -> Session:
        """What the module is doing."""
        return self.panel.session

    @property
    def workspace(self) -> Workspace | None:
        """The case that is worked on."""
        return self.panel.session.workspace

    @property
    def offer(self) -> Offer | None:
        """Of the server; None without a connection."""
        return self.panel.session.link.offer

    @property
    def is_offered(self) -> bool:
        """Whether the server has the section's task, or it needs none."""
        return not self.TASK or (self.offer is not None and self.TASK in self.offer.tasks)

    @property
    def is_busy(self) -> bool:
        """Whether what was asked for here is under way."""
        return False

    @property
    def no_case_under_way(self) -> Condition:
        """That no case is being sent or fetched."""
        return not self.session.cases.is_busy, _("A case is being sent or fetched; wait, or cancel it")

    def is_wanted(self) -> bool:
        """Whether the section has anything to show now."""
        return self.is_offered

    def update(self) -> None:
        """Show how things stand."""

    def enter(self) -> None:
        """The module is looked at now."""

    def leave(self) -> None:
        """The module is not looked at any more; also before the scene is closed."""

    def scene_closes(self) -> None:
        """The case is closed, and the scene about to be: let go of nodes, want no more of what is under way."""

    def close(self) -> None:
        """The panel goes away."""
        for disconnect in self._disconnects:
            disconnect()

    def listen(self, signal: Signal[T], call: Callable[[T], None]) -> None:
        """Call this on every emit, until the panel goes away."""
        self._disconnects.append(signal.connect(call))

    def fail(self, error: BaseException) -> None:
        """What was asked for here went wrong."""
        self.panel.say(sentence(error), self, is_error=True)
        self.panel.update_soon()

    def on_click(self, button: Any, action: Callable[[], None]) -> None:
        """Do something when a button is pressed; an error becomes a message below the section."""

        def clicked() -> None:
            with self.panel.telling(self):
                action()
            self.panel.update()

        button.connect("clicked()", clicked)


class Hints:
    """Enables buttons; one that can do nothing says why in its tool tip."""

    def __init__(self) -> None:
        self._usual: dict[str, str] = {}

    def allow(self, button: Any, *conditions: Condition) -> None:
        """Enable a button if every condition holds.

        Args:
            button: with its usual tool tip.
            conditions: each with why nothing can be done where it does not hold; the first of these is shown.
        """
        usual = self._usual.setdefault(button.objectName, button.toolTip)
        reason = next((why for holds, why in conditions if not holds), None)
        button.enabled = reason is None
        button.toolTip = usual if reason is None else reason


def fill_combo(combo: Any, entries: Mapping[str, str], chosen: str) -> str:
    """Offer these (value: text), and choose one of them, or the first; returns which."""
    values = list(entries)
    if [combo.itemData(index) for index in range(combo.count)] != values:
        was = combo.blockSignals(True)
        combo.clear()
        for value, text in entries.items():
            combo.addItem(text, value)
        combo.blockSignals(was)
    if not values:
        return ""
    value = chosen if chosen in entries else values[0]
    if combo.currentIndex != values.index(value):
        was = combo.blockSignals(True)
        combo.setCurrentIndex(values.index(value))
        combo.blockSignals(was)
    return value
