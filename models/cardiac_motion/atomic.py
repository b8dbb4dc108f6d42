"""Output that appears whole or not at all."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
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
    try:
        with temporary_beside(path, is_folder=is_folder) as temporary:
            yield temporary
            put_in_place([(temporary, path)])
    except OSError as error:
        raise InputError(f"cannot write {path}: {error}") from error


@contextmanager
def temporary_beside(path: Path | str, *, is_folder: bool = False) -> Iterator[Path]:
    """Yield a hidden path beside ``path``, as `atomic_path` does; what is there when the block ends is removed.

    Args:
        path: where the output is to be.
        is_folder: the output is a folder; it is made before the block starts.

    Raises:
        InputError: the output cannot be written there.
    """
    check_target(path, is_folder=is_folder)
    temporary = _hidden_beside(Path(path).resolve())
    try:
        if is_folder:
            temporary.mkdir()
        yield temporary
    finally:
        # What was put in place is gone from here.
        if is_folder:
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def put_in_place(moves: Sequence[tuple[Path, Path | str]]) -> None:
    """Let complete outputs take their names, all of them or none.

    What they replace is kept beside them under a hidden name until all have taken theirs, and put back if one
    cannot. The last one, if it is a file, needs no such step: it replaces the older one at once.

    Args:
        moves: for each output its path from `temporary_beside` and the one that it is to have; folders replace
            only what `atomic_path` lets them.

    Raises:
        InputError: an output that cannot take its name; everything is as before.
    """
    done: list[tuple[Path, Path, Path | None]] = []
    for new, path in moves:
        names = [entry.name for entry in new.iterdir()] if new.is_dir() else []
        check_target(path, is_folder=new.is_dir(), names=names)
    try:
        for number, (new, path) in enumerate(moves, start=1):
            final = Path(path).resolve()
            if number == len(moves) and not new.is_dir():
                new.replace(final)
                break
            old = _hidden_beside(final) if final.exists() else None
            done.append((new, final, old))
            if old is not None:
                final.rename(old)
            new.rename(final)
    except BaseException as error:
        lost = [place for place in reversed(done) if not _put_back(*place)]
        if isinstance(error, OSError):
            kept = "".join(f"; what was at {final} before is now {old}" for _, final, old in lost)
            raise InputError(f"cannot write {path}: {error.strerror or error}{kept}") from error
        raise
    for _, _, old in done:
        if old is not None:
            shutil.rmtree(old, ignore_errors=True) if old.is_dir() else old.unlink(missing_ok=True)


def _put_back(new: Path, final: Path, old: Path | None) -> bool:
    """Undo a step of `put_in_place`, however far it came; whether what was there before is there again."""
    try:
        if not new.exists():
            final.rename(new)
        if old is not None and old.exists():
            old.rename(final)
    except OSError:
        return old is None
    return True


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
