"""One small button per frame: what its contours are, and a click to go there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import qt
from slicer.i18n import tr as _

from CardiacMotionLib.frame_states import FrameState, FrameStates

COLUMNS = 15
_VERIFIED, _CURRENT, _SUGGESTED = "#1b9e3e", "#000000", "#8a2be2"
_LOOKS = {
    FrameState.EMPTY: ("·", "#dcdcdc", "#333333"),
    FrameState.DRAWN: ("D", "#1f5fa8", "#ffffff"),
    FrameState.PROPAGATED: ("P", "#f2d16b", "#222222"),
    FrameState.SEGMENTED: ("S", "#b9dcae", "#222222"),
    FrameState.CORRECTED: ("C", "#b0480c", "#ffffff"),
}
"""Letter, colours of ground and letter."""
_VERIFIED_MARK = "V"
_STYLE = (
    "QPushButton {{ background: {ground}; color: {ink}; border: 3px solid {edge}; {lines} padding: 0px; "
    "font-weight: {weight}; }}"
)
_LINE = "border-{side}: 4px solid {colour};"


@dataclass(frozen=True)
class _Button:
    """What a frame's button shows."""

    state: FrameState
    is_verified: bool
    is_current: bool
    is_suggested: bool


def legend(*, with_suggestion: bool, with_segmented: bool = False) -> str:
    """What the letters and edges mean."""
    parts = [_("D drawn, P propagated, C corrected, V verified too. The frame that is shown is edged in black.")]
    if with_segmented:
        parts.append(_("S segmented by a model, to be looked at."))
    if with_suggestion:
        parts.append(_("Frames with a violet line are suggested by the server."))
    return " ".join(parts)


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
        self._seen: list[_Button | None] = []

    @property
    def buttons(self) -> list[Any]:
        """One per frame."""
        return list(self._buttons)

    def show(self, states: FrameStates, current: int, suggested: frozenset[int] = frozenset()) -> None:
        """Show these; only buttons that change are touched."""
        if len(self._buttons) != states.count:
            self._make(states.count)
        for frame, button in enumerate(self._buttons):
            look = _Button(states.state(frame), frame in states.verified, frame == current, frame in suggested)
            if look != self._seen[frame]:
                self._seen[frame] = look
                _dress(button, frame, look)

    def _make(self, count: int) -> None:
        for button in self._buttons:
            self._layout.removeWidget(button)
            button.hide()
            button.deleteLater()
        self._buttons = [self._button(frame) for frame in range(count)]
        self._seen = [None] * count

    def _button(self, frame: int) -> Any:
        button = qt.QPushButton(self.widget)
        button.objectName = f"frameButton{frame}"
        button.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Fixed)
        button.setFixedHeight(2 * button.fontMetrics().height() + 8)
        button.setFocusPolicy(qt.Qt.NoFocus)
        button.connect("clicked()", lambda: self._go(frame))
        self._layout.addWidget(button, frame // COLUMNS, frame % COLUMNS)
        return button


def _dress(button: Any, frame: int, look: _Button) -> None:
    letter, ground, ink = _LOOKS[look.state]
    edge = _CURRENT if look.is_current else ground
    weight = "bold" if look.is_current else "normal"
    lines = [("top", _SUGGESTED)] if look.is_suggested else []
    lines += [("bottom", _VERIFIED)] if look.is_verified else []
    mark = _VERIFIED_MARK if look.is_verified else ""
    button.text = f"{frame}\n{letter}{mark}"
    button.styleSheet = _STYLE.format(
        ground=ground,
        ink=ink,
        edge=edge,
        weight=weight,
        lines=" ".join(_LINE.format(side=side, colour=colour) for side, colour in lines),
    )
    button.toolTip = _tool_tip(frame, look)


def _tool_tip(frame: int, look: _Button) -> str:
    words = {
        FrameState.EMPTY: _("empty"),
        FrameState.DRAWN: _("drawn"),
        FrameState.PROPAGATED: _("propagated"),
        FrameState.SEGMENTED: _("segmented by a model"),
        FrameState.CORRECTED: _("corrected"),
    }
    said = [words[look.state]]
    said += [_("verified")] if look.is_verified else []
    said += [_("suggested by the server")] if look.is_suggested else []
    text = (
        _("Frame {frame}: {said}. Shown now") if look.is_current else _("Frame {frame}: {said}. Click to go there")
    )
    return text.format(frame=frame, said=", ".join(said))
