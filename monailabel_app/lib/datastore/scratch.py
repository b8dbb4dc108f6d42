"""Temporary files of requests, all in one folder that is emptied when the server starts."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Scratch:
    """A folder for temporary files."""

    def __init__(self, folder: Path) -> None:
        self.path = folder

    @contextmanager
    def file(self, suffix: str = "") -> Iterator[Path]:
        """A path that nothing has; what is there at the end of the block is removed."""
        path = self._unused(suffix)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A new, empty folder, removed with all it holds at the end of the block."""
        path = self._unused("")
        path.mkdir()
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def clear(self) -> None:
        """Remove everything; what belongs to a request still running goes too."""
        for entry in self.path.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)

    def _unused(self, suffix: str) -> Path:
        if "/" in suffix or "\\" in suffix:
            raise ValueError(f"expected the ending of a name, got {suffix!r}")
        return self.path / f"{secrets.token_hex(12)}{suffix}"
