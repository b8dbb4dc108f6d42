"""The image files of a studies folder, by id."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from monailabel_app.lib.datastore.names import ending_of, rank, split_name

_log = logging.getLogger(__name__)

_SETTLED_NS = 2 * 10**9
"""After this a folder's time of change tells of every change: the tick of the coarsest clock, that of FAT."""


@dataclass(frozen=True)
class ImageFile:
    """An image of the studies folder."""

    id: str
    ending: str
    """As it is spelled in the name."""
    path: Path


class ImageFolder:
    """What images lie directly in a folder; it is listed again only where it may have changed.

    A file counts if its name is an id with an image ending and it is a regular file within the folder; links that
    lead out of it do not.

    Args:
        root: the folder, resolved.
        folds_case: whether names that differ only in case are one for its disk. Then so are ids, because labels of
            two such images would have one name.
    """

    def __init__(self, root: Path, *, folds_case: bool = False) -> None:
        self._root, self._folds_case = root, folds_case
        self._lock = threading.Lock()
        self._files: Mapping[str, ImageFile] = MappingProxyType({})
        self._changed_ns: int | None = None
        self._ignored: set[str] = set()

    def files(self, *, again: bool = False) -> Mapping[str, ImageFile]:
        """Every image by id, in the order of ids.

        Args:
            again: list the folder even if it seems unchanged.
        """
        with self._lock:
            now = time.time_ns()
            changed = self._root.stat().st_mtime_ns
            if again or changed != self._changed_ns:
                self._files = self._listed()
                # A change in the same tick of the clock as the last one would go unseen.
                self._changed_ns = changed if now - changed > _SETTLED_NS else None
            return self._files

    def _listed(self) -> Mapping[str, ImageFile]:
        files: dict[str, ImageFile] = {}
        ignored: set[str] = set()
        taken: set[str] = set()
        with os.scandir(self._root) as entries:
            names = {entry.name: entry for entry in entries if ending_of(entry.name) and entry.name[0] != "."}
        for name in sorted(names, key=rank):
            parts = split_name(name)
            # What the listing says of an entry that is no link saves asking for each.
            is_file = names[name].is_file(follow_symlinks=False)
            if (
                parts is None
                or self._folded(parts[0]) in taken
                or not (is_file or is_file_within(self._root / name, self._root))
            ):
                ignored.add(name)
                continue
            files[parts[0]] = ImageFile(*parts, self._root / name)
            taken.add(self._folded(parts[0]))
        if new := ignored - self._ignored:
            # Names of files may be names of people.
            _log.warning(
                "%d more files of the studies folder are ignored: no id, an id twice, or no file", len(new)
            )
        self._ignored = ignored
        return MappingProxyType(dict(sorted(files.items())))

    def _folded(self, image_id: str) -> str:
        return image_id.lower() if self._folds_case else image_id


def is_file_within(path: Path, root: Path) -> bool:
    """Whether a path is a regular file that, links followed, lies within a (resolved) folder."""
    try:
        return path.is_file() and (not path.is_symlink() or path.resolve().is_relative_to(root))
    except OSError:
        return False
