"""Files that came with a request: on disk under a name of our own, read within the limits."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import BinaryIO

import numpy as np
from cardiac_motion.cine import Cine
from cardiac_motion.io import LabelImage, check_labels, load_frame, read_labels

from monailabel_app.lib.datastore import ENDINGS, Case
from monailabel_app.lib.datastore.names import ending_of
from monailabel_app.lib.datastore.refusals import refusing
from monailabel_app.lib.errors import Unprocessable

_MAGIC = {b"\x1f\x8b": ".nii.gz", b"NR": ".nrrd"}
_SHOWN_CHARACTERS = 20


def _ending(name: str | None, stream: BinaryIO, *, field: str) -> str:
    """The ending that says how an upload is to be read: its name's, or by its first bytes if that has none.

    Raises:
        Unprocessable: another ending.
    """
    # A stock client sends the whole path, of its own system.
    last = (name or "").replace("\\", "/").rsplit("/", 1)[-1]
    ending = ending_of(last)
    if ending is not None:
        return ending.lower()
    if "." in last:
        found = last[last.rindex(".") :][:_SHOWN_CHARACTERS]
        raise Unprocessable(
            f"expected a file whose name ends in {', '.join(ENDINGS)}, got one that ends in {found!r}",
            code="bad_file",
            field=field,
        )
    start = stream.read(2)
    stream.seek(0)
    return _MAGIC.get(start, ".nii")


def keep_upload(name: str | None, stream: BinaryIO, folder: Path, *, field: str) -> Path:
    """Copy an upload into a folder, under a name of our own with its ending.

    Raises:
        Unprocessable: a file of another kind.
        OSError: the disk is full.
    """
    path = folder / f"{field}{_ending(name, stream, field=field)}"
    with path.open("wb") as target:
        shutil.copyfileobj(stream, target, 2**20)
    return path


def read_uploaded_labels(path: Path, case: Case) -> LabelImage:
    """Read labels that are to belong to a case.

    Raises:
        Unprocessable: no labels, or they do not fit the case.
    """
    with refusing(path, "label"):
        image = read_labels(path, max_voxels=case.cine.frames.size)
        image = LabelImage(image.labels, image.affine, image.is_4d, name="the label")
        check_labels(image, case.cine)
    return image


def read_uploaded_frame(path: Path, *, max_voxels: int) -> Case:
    """Read a 3D image that came with a request, as a case that is in no datastore: a cine that stands still.

    Raises:
        Unprocessable: whatever is wrong with it, or it is no 3D image.
    """
    with refusing(path, "file"):
        frame, affine, notes = load_frame(path, max_voxels=max_voxels)
        cine = Cine(np.stack([frame, frame]), affine, np.array([0.0, 1.0]), name="the image")
    unknown = "of a single image it cannot be told what moves: the heart is taken to lie in its middle"
    return Case("", path, "", cine, (*notes, unknown))
