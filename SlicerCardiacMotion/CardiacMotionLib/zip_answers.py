"""Zips that a server sent: the files that are wanted, and no others, at places of our own."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from CardiacMotionLib.errors import InputError

_MAX_BYTES = 2**34
"""Of what is unpacked: more than anything that a server makes within its limits."""


def unpack(archive: Path, place: Callable[[tuple[str, ...]], Path | None], what: str) -> None:
    """Unpack some files.

    Args:
        archive: the zip.
        place: where the file of these path parts goes, or None for nowhere.
        what: the zip holds, for messages.

    Raises:
        InputError: it is no such archive, or too large.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            files = [each for each in file.infolist() if not each.is_dir()]
            found = [(each, place(PurePosixPath(each.filename).parts)) for each in files]
            wanted = [(each, path) for each, path in found if path is not None]
            if sum(each.file_size for each, _path in wanted) > _MAX_BYTES:
                raise InputError(f"the {what} that the server sent is larger than any can be")
            for each, path in wanted:
                with file.open(each) as source, path.open("wb") as to:
                    while chunk := source.read(2**20):
                        to.write(chunk)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise InputError(f"expected a zip with the {what} from the server: {error}") from error
    except OSError as error:
        raise InputError(f"the {what} cannot be unpacked on this computer: {error.strerror or error}") from error
