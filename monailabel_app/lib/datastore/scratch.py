"""Temporary files of requests, all in one folder that is emptied when the server starts."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from monailabel_app.lib.datastore.gate import Gate

_log = logging.getLogger(__name__)


class Scratch:
    """A folder for temporary files.

    What cannot be removed, such as a file that is open on Windows, stays until the next start.

    Args:
        folder: of the files.
        gate: once it is shut there are no new ones, and blocks that miss theirs raise Stopping.
    """

    def __init__(self, folder: Path, gate: Gate) -> None:
        self.path = folder
        self._gate = gate

    @contextmanager
    def file(self, suffix: str = "") -> Iterator[Path]:
        """A path that nothing has; what is there at the end of the block is removed."""
        path = self._unused(suffix)
        try:
            with self._gate.explaining():
                yield path
        finally:
            _remove(path)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A new, empty folder, removed with all it holds at the end of the block."""
        path = self._unused("")
        path.mkdir()
        try:
            with self._gate.explaining():
                yield path
        finally:
            _remove(path)

    def clear(self) -> None:
        """Remove everything; what belongs to a request still running goes too."""
        try:
            entries = list(self.path.iterdir())
        except OSError as error:
            _log.warning("the temporary files cannot be listed: %s", type(error).__name__)
            return
        for entry in entries:
            _remove(entry)

    def _unused(self, suffix: str) -> Path:
        if "/" in suffix or "\\" in suffix:
            raise ValueError(f"expected the ending of a name, got {suffix!r}")
        self._gate.check()
        return self.path / f"{secrets.token_hex(12)}{suffix}"


def _remove(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            # Of what is in it as much as can be.
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    except OSError:
        pass
    if os.path.lexists(path):
        _log.warning("a temporary file could not be removed; the next start tries again")
