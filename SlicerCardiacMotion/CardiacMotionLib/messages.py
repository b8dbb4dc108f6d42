"""What went wrong, in one sentence for the reader."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

from slicer.i18n import tr as _

from CardiacMotionLib.client.errors import ClientError, ServerRefused
from CardiacMotionLib.errors import InputError

_CONFLICT = 409


def sentence(error: BaseException) -> str:
    """The message of an error; what nobody expected is logged as well."""
    if isinstance(error, ServerRefused):
        hint = _hint(error)
        return _upper(f"{error}; {hint}" if hint else str(error))
    if isinstance(error, ClientError | InputError):
        return _upper(str(error))
    if isinstance(error, OSError):
        where = error.filename or _("A file of this computer")
        return f"{where}: {error.strerror or error}"
    logging.error("CardiacMotion: unexpected error", exc_info=error)
    return _("This should not have happened, please report it: {kind}: {error}").format(
        kind=type(error).__name__, error=error
    )


def sentences(notes: Sequence[object]) -> list[str]:
    """What the server has to say, each note as a sentence."""
    texts = [str(each).strip() for each in notes]
    return [_upper(text).rstrip(".") + "." for text in texts if text]


def _hint(error: ServerRefused) -> str:
    """What the reader can do about a refusal, or ""."""
    if error.retry_seconds is not None:
        return _("try again in {seconds} s").format(seconds=max(1, math.ceil(error.retry_seconds)))
    if error.status == _CONFLICT and error.field == "image":
        # Of an upload: two cines may well have the same file name.
        return _("choose another id for it in the section Case, and try again")
    hints = {
        401: _("check the token"),
        413: _("the server's manager can raise its limits"),
        429: _("try again in a moment"),
        503: _("try again in a moment"),
        507: _("its disk is full"),
    }
    return hints.get(error.status or 0, "")


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
