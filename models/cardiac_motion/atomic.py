"""Output that appears whole or not at all."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cardiac_motion.errors import InputError

_TAIL_LENGTH = 50
"""Characters of the final name kept in the temporary one: enough for every suffix, short of any name limit."""

_DESKTOP_FILES = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""What file managers leave behind; no reason to spare a folder."""


@contextmanager
def atomic_path(path: Path | str, *, is_folder: bool = False) -> Iterator[Path]:
    """Yield a temporary path to write to; it takes the name ``path`` when the block ends without an error.

    The temporary path is hidden, lies in the same folder and ends as ``path`` does (``.nii.gz`` included), so
    that writers choose the same format. Whatever ends the block early, Ctrl-C included, removes it, and what
    was at ``path`` before stays. A link at ``path`` is followed, not replaced.

    Args:
        path: where the output is to be; its folder must exist.
        is_folder: the output is a folder; it is made before the block starts. A folder that is already at
            ``path`` is replaced as a whole, but only if everything in it has a namesake in the new one
            (numbers in names do not count), so that nobody's unrelated files are ever deleted.

    Raises:
        InputError: the output cannot be written there; also in place of any OSError inside the block.
    """
    check_target(path, is_folder=is_folder)
    final = Path(path).resolve()
    temporary = _hidden_beside(final)
    try:
        if is_folder:
            temporary.mkdir()
        yield temporary
        if is_folder:
            _swap_folder(temporary, final)
        else:
            temporary.replace(final)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error}") from error
    finally:
        # After success the temporary name is gone already.
        if is_folder:
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def check_target(path: Path | str, *, is_folder: bool = False, names: Iterable[str] = ()) -> None:
    """Refuse a path that `atomic_path` would refuse, before there is anything to write.

    Args:
        path: where the output is to be.
        is_folder: the output is a folder.
        names: of what will be in that folder, if known; numbers in them do not count.

    Raises:
        InputError: its folder does not exist, or there is something that must not be replaced.
    """
    final = Path(path).resolve()
    if not final.parent.is_dir():
        raise InputError(f"cannot write {path}: the folder {final.parent} does not exist")
    if final.exists() and final.is_dir() != is_folder:
        expected, found = ("a folder", "a file") if is_folder else ("a file", "a folder")
        raise InputError(f"cannot write {path}: expected {expected} or nothing there, found {found}")
    names = list(names)
    if is_folder and names and final.exists():
        _refuse_strangers(final, names)


def _hidden_beside(path: Path) -> Path:
    return path.with_name(f".{secrets.token_hex(4)}-{path.name[-_TAIL_LENGTH:]}")


def _swap_folder(new: Path, final: Path) -> None:
    """Put the folder ``new`` in the place of ``final``; the old one is back there if that fails."""
    if not final.exists():
        new.rename(final)
        return
    _refuse_strangers(final, (entry.name for entry in new.iterdir()))
    old = _hidden_beside(final)
    final.rename(old)
    try:
        new.rename(final)
    except BaseException:
        old.rename(final)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _refuse_strangers(folder: Path, names: Iterable[str]) -> None:
    """Raise if something in the folder has no namesake among the names."""
    known = {_without_numbers(name) for name in names}
    strange = sorted(
        entry.name
        for entry in folder.iterdir()
        if entry.name not in _DESKTOP_FILES and _without_numbers(entry.name) not in known
    )
    if strange:
        raise InputError(
            f"cannot replace the folder {folder}: it holds {strange[0]!r}, which is no part of the new output; "
            "choose a new or an empty folder"
        )


def _without_numbers(name: str) -> str:
    return re.sub(r"\d+", "", name)
