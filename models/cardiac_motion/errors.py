"""The package's own exceptions and warnings."""

from __future__ import annotations


class CardiacMotionError(Exception):
    """Anything that this package raises on purpose."""


class InputError(CardiacMotionError, ValueError):
    """Bad input: the message says what was expected and what came."""


class Cancelled(CardiacMotionError):  # noqa: N818 - not an error: the user asked for it
    """Raised by a ``progress`` callback to stop a long computation."""


class GeometryWarning(UserWarning):
    """The geometry of a file is unusual but was understood; the message says how."""


def shown(value: object, length: int = 60) -> str:
    """A value as a message shows it: on one line, and cut where it is longer than anybody reads."""
    text = repr(value)
    return text if len(text) <= length else f"{text[:length]}..."
