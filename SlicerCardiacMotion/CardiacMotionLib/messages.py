"""What went wrong, in one sentence for the reader."""

from __future__ import annotations

import logging

from CardiacMotionLib.client.errors import ClientError, ServerRefused
from CardiacMotionLib.errors import InputError

_HINTS = {
    401: "check the token",
    413: "the server's manager can raise its limits",
    429: "try again in a moment",
    507: "its disk is full",
}


def sentence(error: BaseException) -> str:
    """The message of an error; what nobody expected is logged as well."""
    if isinstance(error, ServerRefused) and error.status in _HINTS:
        return _upper(f"{error}; {_HINTS[error.status]}")
    if isinstance(error, ClientError | InputError):
        return _upper(str(error))
    if isinstance(error, OSError):
        return f"{error.filename or 'A file'}: {error.strerror or error}"
    logging.error("CardiacMotion: unexpected error", exc_info=error)
    return f"This should not have happened, please report it: {type(error).__name__}: {error}"


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
