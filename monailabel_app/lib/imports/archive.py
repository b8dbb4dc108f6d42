"""A stranger's zip, unpacked under names of our own."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath

from monailabel_app.lib.errors import TooLarge, Unprocessable

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
_CHUNK_BYTES = 2**20
_SHOWN_CHARACTERS = 80

_DAMAGE = (zipfile.BadZipFile, EOFError, NotImplementedError, OverflowError, RuntimeError, ValueError)
"""What `zipfile` raises on archives that lie; encrypted ones are a RuntimeError."""


def unpack(
    archive: Path,
    folder: Path,
    *,
    max_files: int,
    max_bytes: int,
    progress: Callable[[float], None] = lambda _: None,
) -> dict[str, str]:
    """Unpack a zip into an empty folder, its files numbered in their order.

    Args:
        archive: the zip.
        folder: to write to; the names in the archive decide over nothing.
        max_files: entries, folders included.
        max_bytes: of all files unpacked, counted as they come.
        progress: called with the share that is done, 0 to 1.

    Returns:
        For each file its name in the archive, by its own.

    Raises:
        TooLarge: more files or bytes than that.
        Unprocessable: no zip, a damaged or encrypted one, or one with names that lead out of it or with links.
        OSError: the disk is full.
    """
    names: dict[str, str] = {}
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            _check(entries, max_files, max_bytes)
            total = max(1, sum(entry.file_size for entry in entries))
            done = 0
            for number, entry in enumerate(entry for entry in entries if not entry.is_dir()):
                own = f"file-{number:06d}"
                names[own] = printable_name(entry.filename)
                with opened.open(entry) as packed, (folder / own).open("xb") as target:
                    while chunk := packed.read(_CHUNK_BYTES):
                        done += len(chunk)
                        if done > max_bytes:
                            raise _too_many_bytes(max_bytes)
                        target.write(chunk)
                        progress(min(1.0, done / total))
    except (*_DAMAGE, struct.error, zlib.error) as error:
        raise _bad_zip("a whole zip without encryption; got one that cannot be read") from error
    return names


def printable_name(name: str) -> str:
    """A name from an archive as an error may show it: on one line and not endless."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    return text if len(text) <= _SHOWN_CHARACTERS else f"…{text[1 - _SHOWN_CHARACTERS :]}"


def _check(entries: Iterable[zipfile.ZipInfo], max_files: int, max_bytes: int) -> None:
    """What the directory of the archive says already, before anything is unpacked."""
    entries = list(entries)
    if len(entries) > max_files:
        raise TooLarge(
            f"expected at most {max_files} files in the zip; got {len(entries)}",
            code="too_many_files",
            field="file",
        )
    if sum(entry.file_size for entry in entries) > max_bytes:
        raise _too_many_bytes(max_bytes)
    for entry in entries:
        if _leads_out(entry.filename):
            raise _bad_zip("names of files within the zip; got one that leads out of it")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise _bad_zip("files in the zip; got a link")
        if entry.flag_bits & _ENCRYPTED:
            raise _bad_zip("a zip without encryption; got an encrypted one")
        if entry.compress_type not in _METHODS:
            raise _bad_zip("files that are stored or deflated in the zip; got another compression")


def _leads_out(name: str) -> bool:
    """Whether a name would lead out of the folder on any system."""
    windows = PureWindowsPath(name)
    return bool(windows.anchor) or PurePosixPath(name).is_absolute() or ".." in windows.parts


def _too_many_bytes(limit: int) -> TooLarge:
    return TooLarge(f"expected a zip of at most {limit} bytes unpacked; got more", field="file")


def _bad_zip(expected: str) -> Unprocessable:
    return Unprocessable(f"expected {expected}", code="bad_zip", field="file")
