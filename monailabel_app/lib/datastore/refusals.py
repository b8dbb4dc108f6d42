"""Errors of reading and writing files as the answers of a server."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cardiac_motion.errors import InputError

from monailabel_app.lib.errors import RequestError, Unprocessable, full_disk


@contextmanager
def refusing(path: Path, kind: str) -> Iterator[None]:
    """Make an InputError about a file a RequestError that names the file's kind, never its place.

    Args:
        path: the file, from the root; its place is cut out of the message.
        kind: ``image`` or ``label``: also the field of the request.

    Raises:
        StorageFull: the disk has no room.
        Unprocessable: whatever else is wrong.
    """
    try:
        yield
    except InputError as error:
        full = full_disk(error)
        if full is not None:
            raise full from error
        message = str(error)
        for place in (path, path.resolve()):
            message = message.replace(str(place), f"the {kind}").replace(f"{place.parent}{os.sep}", "")
        raise Unprocessable(message, field=kind) from error


@contextmanager
def storing() -> Iterator[None]:
    """Make an OSError for lack of room StorageFull."""
    try:
        yield
    except RequestError:
        raise
    except (OSError, InputError) as error:
        full = full_disk(error)
        if full is not None:
            raise full from error
        raise


def plain_json(value: object, *, field: str) -> dict[str, Any]:
    """A JSON object as what a file and an answer can hold: a copy of its own.

    Raises:
        Unprocessable: no object, numbers that are not finite, other things than JSON's, text that is no Unicode.
    """
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        text.encode()
        content = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise Unprocessable(
            "expected a JSON object with finite numbers; got something else", field=field
        ) from error
    if not isinstance(content, dict):
        raise Unprocessable(f"expected a JSON object; got {type(value).__name__}", field=field)
    return content
