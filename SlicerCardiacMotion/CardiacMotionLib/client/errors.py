"""What can go wrong between a client and its server."""

from __future__ import annotations

_LONGEST = 1000


class ClientError(Exception):
    """A call that did not succeed."""


class BadCall(ClientError, ValueError):
    """The call itself: no address, a file that cannot be read or written; the message says what was expected."""


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
        retry_seconds: after which it may be asked again, or None if it did not say.
    """

    def __init__(
        self,
        status: int | None,
        code: str,
        message: str,
        field: str | None = None,
        retry_seconds: float | None = None,
    ) -> None:
        self.status, self.code, self.message, self.field = status, code, printable(message), field
        self.retry_seconds = retry_seconds
        where = code if status is None else f"{status} {code}"
        super().__init__(f"the server refused: {self.message} ({where})")

    @property
    def is_missing_image(self) -> bool:
        """Whether the server does not have the image (any more)."""
        return self.code == "not_found" and self.field == "image"


class Cancelled(Exception):
    """The caller wanted no more of it."""


def printable(text: str) -> str:
    """A text from elsewhere, fit for a terminal: one line, of bounded length, without control characters."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
