"""What can go wrong between a client and its server."""

from __future__ import annotations

from cardiac_motion.errors import CardiacMotionError

_LONGEST = 1000


class ClientError(CardiacMotionError):
    """A call that did not succeed."""


class ServerUnreachable(ClientError):
    """No connection, or one that broke or fell silent before the answer was complete."""


class BadAnswer(ClientError):
    """An answer that the server's interface does not have: another server, or a mistake in this one."""


class ServerRefused(ClientError):
    """The server understood the call and cannot do it.

    Attributes:
        status: of HTTP; None for a job that failed after it had been accepted.
        code: a short name for programs.
        message: what was expected and what came.
        field: the parameter that is wrong, or None.
    """

    def __init__(self, status: int | None, code: str, message: str, field: str | None = None) -> None:
        self.status, self.code, self.message, self.field = status, code, printable(message), field
        where = code if status is None else f"{status} {code}"
        super().__init__(f"the server refused: {self.message} ({where})")


def printable(text: str) -> str:
    """A text from elsewhere, fit for a terminal: one line, of bounded length, without control characters."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
