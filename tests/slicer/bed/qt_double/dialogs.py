"""Message boxes and file dialogs that never block: the test says beforehand what the user answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from PySide6 import QtWidgets

_Buttons = QtWidgets.QMessageBox.StandardButton


@dataclass(frozen=True)
class Shown:
    """One thing that a user would have seen and had to close."""

    kind: str
    """``message``, ``file`` or the class of another dialog."""
    title: str
    text: str
    details: str = ""
    buttons: tuple[str, ...] = ()
    icon: str = ""


@dataclass
class _Answer:
    value: Any
    containing: str


@dataclass
class Dialogs:
    """What was shown, what is answered, and what was asked without an answer at hand."""

    shown: list[Shown] = field(default_factory=list)
    unanswered: list[Shown] = field(default_factory=list)
    opened_urls: list[str] = field(default_factory=list)
    status_messages: list[str] = field(default_factory=list)
    _answers: list[_Answer] = field(default_factory=list)

    def answer(self, value: Any, *, containing: str = "") -> None:
        """The next dialog (the next whose text or title contains the words) is answered with `value`.

        A button's name ("Yes") for a message box; a path, a list of paths or "" (cancel) for a file dialog; for
        any other dialog True, False or a function that gets the dialog, fills it in, and returns one of them.
        """
        self._answers.append(_Answer(value, containing))

    @property
    def left_over(self) -> list[Any]:
        """Answers to questions that nobody asked."""
        return [answer.value for answer in self._answers]

    @property
    def texts(self) -> list[str]:
        """The text of everything shown."""
        return [each.text for each in self.shown]

    def clear(self) -> None:
        """Forgets everything."""
        for each in (self.shown, self.unanswered, self.opened_urls, self.status_messages, self._answers):
            each.clear()

    def ask(self, shown: Shown) -> Any:
        """Records the dialog and returns its answer; fails where there is none."""
        self.shown.append(shown)
        for answer in self._answers:
            if answer.containing in f"{shown.title}\n{shown.text}":
                self._answers.remove(answer)
                return answer.value
        self.unanswered.append(shown)
        raise AssertionError(f"nobody said what the user answers: {shown}")


DIALOGS = Dialogs()
"""The one record; emptied before each test."""


def standard_button(name: Any) -> Any:
    """``"Yes"`` as the enumerator; anything else as it is."""
    return getattr(_Buttons, name) if isinstance(name, str) else name


def message(title: str, text: str, buttons: Any, icon: str, details: str = "") -> Any:
    """Records a message box; asks only where there is a choice. Returns the button pressed."""
    named = [each for each in _Buttons.__members__.values() if each in buttons and each not in _NOT_BUTTONS]
    distinct = list(dict.fromkeys(named))
    shown = Shown("message", title.strip(), text, details, tuple(str(each.name) for each in distinct), icon)
    if len(distinct) <= 1:
        DIALOGS.shown.append(shown)
        return distinct[0] if distinct else _Buttons.Ok
    pressed = standard_button(DIALOGS.ask(shown))
    if pressed not in distinct:
        raise AssertionError(f"{pressed} is no button of {shown}")
    return pressed


_NOT_BUTTONS = (
    _Buttons.NoButton,
    *(
        _Buttons.__members__[name]
        for name in ("FirstButton", "LastButton", "Default", "Escape", "FlagMask", "ButtonMask")
        if name in _Buttons.__members__ and name not in {"FirstButton", "LastButton"}
    ),
)


class NeverBlocks:
    """Mixed into every dialog's double: ``exec`` asks the test instead of waiting for a user."""

    def exec(self) -> int:
        dialog: Any = self
        answer = DIALOGS.ask(Shown(dialog.className(), dialog.windowTitle, ""))
        accepted = answer(dialog) if callable(answer) else answer
        dialog.done(int(bool(accepted)))
        return int(bool(accepted))


class Menu:
    """Mixed into QMenu's double: the answer is the text of the entry chosen, or "" for none."""

    def exec(self, *_: Any) -> Any:
        menu: Any = self
        entries = [action for action in menu.actions() if action.text]
        chosen = DIALOGS.ask(Shown("menu", menu.title, ", ".join(action.text for action in entries)))
        action = next((each for each in entries if each.text == chosen), None)
        if chosen and action is None:
            raise AssertionError(f"the menu has no entry {chosen!r}")
        if action is not None:
            action.trigger()
        return action


class EventLoop:
    """Mixed into QEventLoop's double: a module that waits in a loop of its own blocks the user."""

    def exec(self, *_: Any) -> int:
        raise AssertionError("the module waits in an event loop of its own")


def _static(icon: str, default: Any) -> Callable[..., Any]:
    def show(parent: Any, title: str, text: str, buttons: Any = default, _default: Any = None) -> Any:
        return message(title, text, buttons, icon)

    return show


class MessageBox:
    """Mixed into QMessageBox's double."""

    information = staticmethod(_static("Information", _Buttons.Ok))
    warning = staticmethod(_static("Warning", _Buttons.Ok))
    critical = staticmethod(_static("Critical", _Buttons.Ok))
    question = staticmethod(_static("Question", _Buttons.Yes | _Buttons.No))

    @staticmethod
    def about(parent: Any, title: str, text: str) -> None:
        message(title, text, _Buttons.Ok, "About")

    def exec(self) -> Any:
        box: Any = self
        title = f"{box.windowTitle}".strip()
        return message(title, box.text, box.standardButtons, str(box.icon.name), box.detailedText)


class FileDialog:
    """Mixed into QFileDialog's double. PythonQt returns the path alone, without the chosen filter."""

    @staticmethod
    def _ask(title: str, empty: Any) -> Any:
        answer = DIALOGS.ask(Shown("file", title, title))
        if type(answer) is not type(empty):
            raise AssertionError(f"{title!r} expects {type(empty).__name__} as its answer, not {answer!r}")
        return answer

    @staticmethod
    def getOpenFileName(parent: Any = None, title: str = "", *_: Any) -> str:
        return str(FileDialog._ask(title, ""))

    @staticmethod
    def getSaveFileName(parent: Any = None, title: str = "", *_: Any) -> str:
        return str(FileDialog._ask(title, ""))

    @staticmethod
    def getExistingDirectory(parent: Any = None, title: str = "", *_: Any) -> str:
        return str(FileDialog._ask(title, ""))

    @staticmethod
    def getOpenFileNames(parent: Any = None, title: str = "", *_: Any) -> list[str]:
        return list(FileDialog._ask(title, []))


class InputDialog:
    """Mixed into QInputDialog's double."""

    @staticmethod
    def getText(parent: Any, title: str, label: str, *_: Any) -> str:
        return str(DIALOGS.ask(Shown("input", title, label)))

    @staticmethod
    def getItem(parent: Any, title: str, label: str, *_: Any) -> str:
        return str(DIALOGS.ask(Shown("input", title, label)))

    @staticmethod
    def getInt(parent: Any, title: str, label: str, *_: Any) -> int:
        return int(DIALOGS.ask(Shown("input", title, label)))


class DesktopServices:
    """Stands for QDesktopServices: nothing is opened, the address is kept."""

    @staticmethod
    def openUrl(url: Any) -> bool:
        DIALOGS.opened_urls.append(url.toString())
        return True
