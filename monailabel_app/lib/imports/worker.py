"""The process in which DICOM files of strangers are read: ``python -m monailabel_app.lib.imports.worker``.

Takes its task as one JSON argument, says on its standard output how far it is, a JSON object a line, and in the
last line what came of it. It ends with its parent. Nothing else may be printed: libraries may name patients.
"""

from __future__ import annotations

import json
import os
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cardiac_motion.errors import InputError

from monailabel_app.lib.errors import RequestError, StorageFull, TooLarge, Unprocessable, full_disk
from monailabel_app.lib.imports.archive import unpack
from monailabel_app.lib.imports.bounds import bound_memory, bound_processor
from monailabel_app.lib.imports.task import ImportTask
from monailabel_app.lib.logs import where_of
from monailabel_app.parent import when_parent_ends

if TYPE_CHECKING:
    from cardiac_motion.cine import Cine
    from cardiac_motion.dicom.importer import DicomImport, ImportedCine
    from cardiac_motion.dicom.records import Left

_UNPACKED, _READ = 0.3, 0.9
"""Shares of the time until the files are unpacked, and read."""
_SHOWN_CHARACTERS = 2000
_SHOWN_FILES = 20
_OWN_NAME = re.compile(r"file-\d{6}")
_TOO_MUCH_MEMORY = "expected DICOM files that fit into the memory for one import; they take more"


class Messages:
    """Lines for the parent; a progress that says nothing new is not sent."""

    def __init__(self) -> None:
        # Whatever a library prints, in C too, goes nowhere.
        self._to_parent = os.fdopen(os.dup(1), "w", encoding="ascii")
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        self._percent = -1

    def send(self, **content: Any) -> None:
        """Send one object."""
        self._to_parent.write(json.dumps(content) + "\n")
        self._to_parent.flush()

    def progress(self, share: float, message: str) -> None:
        """How far it is; ``message`` is our own words."""
        if int(100 * share) > self._percent:
            self._percent = int(100 * share)
            self.send(progress=share, message=message)


def run(task: ImportTask, messages: Messages) -> dict[str, Any]:
    """Unpack, read, and write the cines.

    Returns:
        ``cines``: of each its file, name, view, shape, RR, series and notes; ``left``: what was left out, and why.

    Raises:
        RequestError: what cannot be done.
        InputError: no cine in it, or files that do not fit; names its files by our numbers.
    """
    unpacked, cines = Path(task.folder) / "dicom", Path(task.folder) / "cines"
    unpacked.mkdir()
    cines.mkdir()
    names = unpack(
        Path(task.archive),
        unpacked,
        max_files=task.max_files,
        max_bytes=task.max_bytes,
        progress=lambda share: messages.progress(_UNPACKED * share, "unpacking"),
    )

    def told(text: str) -> str:
        return _told(text, unpacked, names)

    bound_memory(None)
    # Takes most of a second, which an archive that is refused need not wait for.
    import numpy as np  # noqa: PLC0415
    from cardiac_motion.dicom.importer import import_dicom  # noqa: PLC0415
    from cardiac_motion.io import write_cine  # noqa: PLC0415

    # OpenBLAS takes its working memory with its first larger task; where it gets none, it asks for ever.
    np.linalg.det(np.eye(256))
    bound_memory(task.memory_bytes)
    try:
        found = import_dicom(
            unpacked,
            all_stacks=task.all_stacks,
            keep_going=task.keep_going,
            progress=lambda share, _message: messages.progress(
                _UNPACKED + (_READ - _UNPACKED) * share, "reading DICOM"
            ),
        )
        messages.progress(_READ, "writing")
        _check_sizes(found, task)
        return {
            "cines": [
                _written(each, cines / f"{number:03d}.nii.gz", write_cine, told)
                for number, each in enumerate(found.cines)
            ],
            "left": [_left(each, told) for each in found.left],
        }
    except InputError as error:
        if full_disk(error) is not None:
            raise
        raise Unprocessable(told(str(error)), code="bad_dicom", field="file") from error


def _check_sizes(found: DicomImport, task: ImportTask) -> None:
    """Before anything is written."""
    for each in found.cines:
        shape = each.cine.shape
        if each.cine.frames.size > task.max_voxels or shape[0] > task.max_frames:
            raise TooLarge(
                f"expected cines of at most {task.max_voxels} voxels and {task.max_frames} frames; "
                f"got one of (T, Z, Y, X) = {shape}",
                field="file",
            )


def _written(
    found: ImportedCine, path: Path, write: Callable[[Path, Cine], None], told: Callable[[str], str]
) -> dict[str, Any]:
    """Write a cine; what there is to say of it."""
    write(path, replace(found.cine, name=found.name))
    return {
        "file": path.name,
        "name": found.name,
        "view": found.view.value,
        "shape": list(found.cine.shape),
        "rr_seconds": [float(rr) for rr in found.rr_seconds],
        "series": list(found.series),
        "is_newest": found.is_newest,
        "notes": [told(note) for note in found.notes],
    }


def _left(left: Left, told: Callable[[str], str]) -> dict[str, Any]:
    return {
        "reason": told(left.reason),
        "files": [told(name) for name in left.files[:_SHOWN_FILES]],
        "n_files": len(left.files),
        "series": list(left.series),
        "is_error": left.is_error,
    }


def _told(text: str, folder: Path, names: Mapping[str, str]) -> str:
    """A message with the names of the archive in place of ours, and without places of this machine."""
    text = text.replace(f"{folder}{os.sep}", "").replace(str(folder), "the zip")
    return _OWN_NAME.sub(lambda own: names.get(own[0], own[0]), text)[:_SHOWN_CHARACTERS]


def main(argument: str) -> int:
    """Do the task; 0 whatever came of it, as long as the parent was told."""
    task = ImportTask(**json.loads(argument))
    messages = Messages()
    warnings.simplefilter("ignore")
    with when_parent_ends(lambda: os._exit(1)):
        bound_processor(task.seconds)
        bound_memory(task.memory_bytes)
        try:
            messages.send(result=run(task, messages))
        except RequestError as error:
            messages.send(refused={"kind": type(error).__name__, "code": error.code, "message": error.message})
        except MemoryError:
            messages.send(refused={"kind": TooLarge.__name__, "code": "too_large", "message": _TOO_MUCH_MEMORY})
        except Exception as error:  # noqa: BLE001 - whatever it is, the parent is told
            if full_disk(error) is not None:
                messages.send(refused={"kind": StorageFull.__name__, "code": "storage_full", "message": ""})
            else:
                messages.send(failed=where_of(error))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
