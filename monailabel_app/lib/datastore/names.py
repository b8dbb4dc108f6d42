"""Ids, tags and names of files: what a request may name, and which file of the studies folder it means."""

from __future__ import annotations

import re

from monailabel_app.lib.errors import RequestError

ENDINGS = (".nii.gz", ".nii", ".seq.nrrd", ".nrrd")
"""Of images and labels; where two files have one id, the first in this order counts."""

LABEL_ENDING = ".nii.gz"
"""Of every label that the server writes."""

TAGS = ("final", "original")

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_ID_ENDINGS = (*ENDINGS, ".seq", ".gz")
"""An id that ends so would share its file with another: ``a.seq`` + ``.nrrd`` is ``a`` + ``.seq.nrrd``."""

_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
"""Names of devices on Windows, whatever follows a dot; a folder of studies is to work on any system."""


def is_id(value: object) -> bool:
    """Whether a value is the id of an image that there may be."""
    return (
        isinstance(value, str)
        and _ID.fullmatch(value) is not None
        and not value.lower().endswith((*_ID_ENDINGS, "."))
        and _DEVICE.fullmatch(value) is None
    )


def check_id(value: object, *, field: str = "image") -> str:
    """The id, or RequestError 400: what was expected, and the parameter ``field`` that is wrong."""
    if is_id(value):
        return str(value)
    raise RequestError(
        "expected an id of 1 to 128 letters, digits, '.', '_' or '-' that begins with a letter or digit and "
        "ends in neither '.' nor an image ending such as .nii.gz, and no name of a device such as CON or NUL.x; "
        "got another",
        code="bad_id",
        field=field,
    )


def check_tag(value: object, *, field: str = "tag") -> str:
    """The tag, or RequestError 400."""
    if isinstance(value, str) and value in TAGS:
        return value
    raise RequestError(f"expected a tag, {' or '.join(TAGS)}; got another", code="bad_tag", field=field)


def check_ending(name: str, *, field: str = "image") -> str:
    """The image ending of a file name or of itself, in lower case, or RequestError 400."""
    ending = ending_of(name)
    if ending is None:
        raise RequestError(
            f"expected a file whose name ends in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}; got another",
            code="bad_ending",
            field=field,
        )
    return ending.lower()


def ending_of(name: str) -> str | None:
    """The image ending of a file name as it is spelled there, the longest that fits; None where there is none."""
    fitting = [ending for ending in ENDINGS if name.lower().endswith(ending)]
    return name[-max(map(len, fitting)) :] if fitting else None


def split_name(name: str) -> tuple[str, str] | None:
    """Id and ending of a file name; None where it is no name of an image or label."""
    ending = ending_of(name)
    if ending is None:
        return None
    stem = name[: -len(ending)]
    return (stem, ending) if is_id(stem) else None


def rank(name: str) -> tuple[int, str]:
    """Sorts the names of one id: the first counts."""
    return ENDINGS.index((ending_of(name) or ENDINGS[-1]).lower()), name
