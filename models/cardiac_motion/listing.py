"""Files of a folder, however deep, and nothing passed over in silence."""

from __future__ import annotations

import errno
import stat
from collections.abc import Callable
from pathlib import Path

_LEADS_NOWHERE = {errno.ENOENT, errno.ELOOP}
"""Errors of links to nothing and to themselves."""


def files_below(folder: Path, *, cannot_list: Callable[[Path, OSError], None], hidden: bool = True) -> list[Path]:
    """Every file in a folder and below it, in order.

    Links to folders are followed, each folder once, so that links in a circle have an end. A link to nothing is
    among the files: whoever reads it will say so. What is no plain file, as a pipe, is not: reading it may never
    end.

    Args:
        folder: to begin with.
        cannot_list: called with what cannot be looked at, a folder as a rule, and why.
        hidden: also what is hidden, by a name that begins with a full stop.
    """
    found: list[Path] = []
    seen: set[Path] = set()
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        try:
            # By its path without links: not every file system numbers its folders.
            itself = place.resolve(strict=True)
            paths = sorted(place.iterdir()) if itself not in seen else []
        except OSError as error:
            cannot_list(place, error)
            continue
        seen.add(itself)
        for path in paths:
            if not hidden and path.name.startswith("."):
                continue
            try:
                mode = path.stat().st_mode
            except OSError as error:
                if error.errno not in _LEADS_NOWHERE:
                    cannot_list(path, error)
                    continue
                mode = stat.S_IFREG
            if stat.S_ISDIR(mode):
                waiting.append(path)
            elif stat.S_ISREG(mode):
                found.append(path)
    return sorted(found)
