"""Files that appear whole or not at all."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from CardiacMotionLib.client.errors import BadCall

_TAIL_LENGTH = 50
"""Characters of the final name kept in the temporary one: short of any limit of names."""


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a file to write to, which takes the name ``path`` when the block ends without an error.

    It lies beside ``path`` under a hidden name. Whatever ends the block early removes it, and what was at
    ``path`` before stays.

    Raises:
        BadCall: it cannot be written there; also in place of any OSError inside the block.
    """
    temporary = path.with_name(f".{secrets.token_hex(4)}-{path.name[-_TAIL_LENGTH:]}")
    try:
        try:
            with temporary.open("xb") as file:
                yield file
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise BadCall(f"cannot write {path}: {error.strerror or error}") from error
