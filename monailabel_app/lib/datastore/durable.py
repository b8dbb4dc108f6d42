"""Files that survive a crash: content first, then the name, then the folder, each forced to the disk."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS, errno.EXDEV})
"""What file systems without hard links answer."""


class Signature(NamedTuple):
    """What tells one content of a file from the next without reading it."""

    mtime_ns: int
    size: int
    inode: int


def signature_of(path: Path) -> Signature | None:
    """The signature of a regular file, links followed; None for anything else, or nothing."""
    try:
        found = path.stat()
    except OSError:
        return None
    return Signature(found.st_mtime_ns, found.st_size, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_file(path: Path) -> None:
    """Force a file's content to the disk."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Force a folder's names to the disk, where the system has a way to."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, that outlive a crash."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)


def put(temporary: Path, final: Path) -> None:
    """Give a finished file its name, in place of what was there; both on one file system.

    Raises:
        OSError: it failed. If that was the last step, to force the name to the disk, the file has it already.
    """
    sync_file(temporary)
    temporary.replace(final)
    sync_folder(final.parent)


def exchange(temporary: Path, final: Path) -> None:
    """Give a file another content. After a crash it has the old one or the new one, whole.

    Raises:
        OSError: it failed; the content is the old one.
    """
    sync_file(temporary)
    temporary.replace(final)
    with suppress(OSError):
        sync_folder(final.parent)


def put_new(temporary: Path, final: Path) -> None:
    """Give a finished file a name that nothing has.

    Raises:
        FileExistsError: something has it.
        OSError: it failed; nothing has the name.
    """
    sync_file(temporary)
    try:
        # Unlike a rename, a link never replaces a file that somebody put there a moment ago.
        os.link(temporary, final)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(final):
            raise FileExistsError(errno.EEXIST, "exists") from error
        temporary.replace(final)
    try:
        temporary.unlink(missing_ok=True)
        sync_folder(final.parent)
    except BaseException:
        with suppress(OSError):
            final.unlink()
        raise


def copy(source: Path, target: Path) -> None:
    """Copy a file's content; a link where the system has them would let one change the other."""
    shutil.copyfile(source, target)
    sync_file(target)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON, finite numbers only."""
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="ascii")


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object from a file; None where there is no file, or no object in it.

    Raises:
        OSError: there is a file, but it cannot be read.
    """
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    except OSError:
        # Windows answers as to a file without permission where there is a folder.
        if path.is_dir():
            return None
        raise
    return content if isinstance(content, dict) else None
