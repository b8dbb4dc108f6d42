"""A report put into a folder that may hold other files, whole or not at all."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cardiac_motion.errors import InputError


@contextmanager
def merged_into(
    output: Path, *, files: Iterable[str], folders: Iterable[str] = (), earlier: Iterable[str] = ()
) -> Iterator[Path]:
    """Yield a temporary folder; what it holds is moved into ``output`` when the block ends without an error.

    Whether ``output`` can be written is found out before the block starts. Files of the same name are replaced,
    those of an earlier run removed, all others kept. Whatever ends the block early, Ctrl-C included, leaves
    everything as it was before, folders that were made for it included.

    Args:
        output: a folder, made with those above it if need be.
        files: names that may be written in it, none of which may be a folder now.
        folders: names of folders that may be written in it, none of which may be a file now.
        earlier: paths in it of what an earlier run has written, to be removed where the new one has none of that
            name, with the folder that is empty then.

    Raises:
        InputError: it cannot be written; also in place of any OSError of moving.
    """
    made = [path for path in (output, *output.parents) if not path.exists()]
    try:
        try:
            temporary = _prepare(output, files, folders)
        except OSError as error:
            raise InputError(f"cannot write to the folder {output}: {error}") from error
        try:
            yield temporary / "new"
            try:
                outdated = _outdated(temporary / "new", output, earlier)
                _move_in(temporary / "new", output, outdated, replaced=temporary / "replaced")
                _remove_empty({path.parent for path in outdated} - {output})
            except OSError as error:
                raise InputError(f"cannot write to the folder {output}: {error}") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except BaseException:
        _remove_empty(made)
        raise


def _prepare(output: Path, files: Iterable[str], folders: Iterable[str]) -> Path:
    if output.exists() and not output.is_dir():
        raise InputError(f"expected a folder to write to, got the file {output}")
    for name in files:
        if (output / name).is_dir():
            raise InputError(f"cannot write to the folder {output}: expected {name} to be a file, got a folder")
    for name in folders:
        if (output / name).exists() and not (output / name).is_dir():
            raise InputError(f"cannot write to the folder {output}: expected {name} to be a folder, got a file")
    output.mkdir(parents=True, exist_ok=True)
    # Inside rather than beside it: on the same disk for sure, and the folder above may be closed to the user.
    temporary = output / f".{secrets.token_hex(4)}-report"
    for part in (temporary, temporary / "new", temporary / "replaced"):
        part.mkdir()
    return temporary


def _outdated(new: Path, output: Path, earlier: Iterable[str]) -> list[Path]:
    """The files of an earlier run that the new one has not written again."""
    gone = (output / name for name in sorted(set(earlier)) if not (new / name).exists())
    return [path for path in gone if path.is_file()]


def _move_in(new: Path, output: Path, outdated: Iterable[Path], *, replaced: Path) -> None:
    """Move every file to its place and the outdated ones away, or put everything back as it was."""
    sources = sorted(path for path in new.rglob("*") if path.is_file())
    made: list[Path] = []
    moved: list[Path] = []
    kept: list[tuple[Path, Path]] = []

    def put_away(target: Path) -> None:
        backup = replaced / str(len(kept))
        kept.append((backup, target))
        target.rename(backup)

    try:
        for path in outdated:
            put_away(path)
        for source in sources:
            target = output / source.relative_to(new)
            if not target.parent.is_dir():
                target.parent.mkdir()
                made.append(target.parent)
            if target.exists():
                put_away(target)
            moved.append(target)
            source.rename(target)
    except BaseException:
        for target in moved:
            target.unlink(missing_ok=True)
        for backup, target in kept:
            if backup.exists():
                backup.rename(target)
        _remove_empty(reversed(made))
        raise


def _remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders, given the deepest first, as far as nobody has put anything into them."""
    for folder in folders:
        # Not there, or in use by now: either way it is not ours to remove, nor are those above it.
        with suppress(OSError):
            folder.rmdir()
