"""One small button per frame: what its contours are, and a click to go there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt

from CardiacMotionLib.frame_states import FrameState, FrameStates

COLUMNS = 15
_VERIFIED, _CURRENT = "#1b9e3e", "#000000"
_LOOKS = {
    FrameState.EMPTY: ("·", "#dcdcdc", "#333333", "empty"),
    FrameState.DRAWN: ("D", "#1f5fa8", "#ffffff", "drawn"),
    FrameState.PROPAGATED: ("P", "#f2d16b", "#222222", "propagated"),
    FrameState.CORRECTED: ("C", "#b0480c", "#ffffff", "corrected"),
}
"""Letter, colours of ground and letter, and the word for it."""
LEGEND = "D drawn, P propagated, C corrected, V verified too. The frame that is shown is edged in black."


class FrameStrip:
    """Shows the states of all frames.

    Args:
        go: called with the frame that was clicked.

    Attributes:
        widget: to be put into a layout.
    """

    def __init__(self, go: Callable[[int], None]) -> None:
        self.widget = qt.QWidget()
        self._layout = qt.QGridLayout(self.widget)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(1)
        self._go = go
        self._buttons: list[Any] = []
        self._seen: list[tuple[FrameState, bool, bool]] = []

    @property
    def buttons(self) -> list[Any]:
        """One per frame."""
        return list(self._buttons)

    def show(self, states: FrameStates, current: int) -> None:
        """Show these; only buttons that change are touched."""
        if len(self._buttons) != states.count:
            self._make(states.count)
        for frame, button in enumerate(self._buttons):
            look = (states.state(frame), frame in states.verified, frame == current)
            if look != self._seen[frame]:
                self._seen[frame] = look
                _dress(button, frame, *look)

    def _make(self, count: int) -> None:
        for button in self._buttons:
            self._layout.removeWidget(button)
            button.hide()
            button.deleteLater()
        self._buttons = [self._button(frame) for frame in range(count)]
        # Of no state: whatever is shown first is another one.
        self._seen = [(FrameState.EMPTY, True, True)] * count

    def _button(self, frame: int) -> Any:
        button = qt.QPushButton(self.widget)
        button.objectName = f"frameButton{frame}"
        button.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)
        button.setFixedHeight(2 * button.fontMetrics().height() + 8)
        button.setFocusPolicy(qt.Qt.NoFocus)
        button.connect("clicked()", lambda: self._go(frame))
        self._layout.addWidget(button, frame // COLUMNS, frame % COLUMNS)
        return button


def _dress(button: Any, frame: int, state: FrameState, is_verified: bool, is_current: bool) -> None:
    letter, ground, ink, word = _LOOKS[state]
    edge = _CURRENT if is_current else ground
    weight = "bold" if is_current else "normal"
    below = f"border-bottom: 4px solid {_VERIFIED};" if is_verified else ""
    button.text = f"{frame}\n{letter}{'V' if is_verified else ''}"
    button.styleSheet = (
        f"QPushButton {{ background: {ground}; color: {ink}; border: 3px solid {edge}; {below} padding: 0px; "
        f"font-weight: {weight}; }}"
    )
    said = f"Frame {frame}: {word}{', verified' if is_verified else ''}"
    button.toolTip = f"{said}. Shown now" if is_current else f"{said}. Click to go there"
