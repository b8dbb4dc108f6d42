"""A label as it is stored: uint8, every frame, on its image's own grid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from cardiac_motion.io import LabelImage, check_labels, write_labels
from cardiac_motion.labels import STRUCTURES

from monailabel_app.lib.datastore.cases import Case
from monailabel_app.lib.datastore.durable import sync_file
from monailabel_app.lib.datastore.refusals import refusing
from monailabel_app.lib.errors import Unprocessable

_FRAME_LISTS = ("key_frames", "verified_frames")


def write_canonical(path: Path, label: LabelImage, case: Case, info: dict[str, Any]) -> tuple[str, ...]:
    """Write a label of a case to ``path``, a .nii.gz, and force it to the disk.

    A label of one frame fills the frame that ``info["key_frames"]`` names; the others are empty. The same label
    gives the same bytes.

    Returns:
        Names of the structures that are drawn on at least one voxel.

    Raises:
        Unprocessable: the label does not fit the image, or the lists of frames in ``info`` do not fit the two.
        StorageFull: no room.
    """
    with refusing(path, "label"):
        check_labels(replace(label, name="the label"), case.cine)
    frames = _on_all_frames(label.labels, case, info)
    with refusing(path, "label"):
        write_labels(path, frames, case.cine)
    sync_file(path)
    drawn = np.flatnonzero(sum(np.bincount(frame.ravel(), minlength=256) for frame in label.labels))
    return tuple(structure.name for structure in STRUCTURES if structure in drawn)


def _on_all_frames(labels: npt.NDArray[np.uint8], case: Case, info: dict[str, Any]) -> npt.NDArray[np.uint8]:
    n_frames = case.cine.n_frames
    for name in _FRAME_LISTS:
        if info.get(name) is not None:
            _check_frames(info[name], n_frames, name)
    if len(labels) == n_frames:
        return labels
    key_frames = info.get("key_frames")
    if key_frames is None or len(key_frames) != 1:
        got = "none" if not key_frames else f"{len(key_frames)}"
        raise Unprocessable(
            f"expected exactly one key frame for a label of one frame, as the image has {n_frames}; got {got}",
            field="key_frames",
        )
    frames = np.zeros(case.cine.shape, dtype=np.uint8)
    frames[key_frames[0]] = labels[0]
    return frames


def _check_frames(frames: object, n_frames: int, name: str) -> None:
    is_list = isinstance(frames, list) and all(type(frame) is int and 0 <= frame < n_frames for frame in frames)
    if not is_list:
        raise Unprocessable(f"expected {name} as a list of whole numbers from 0 to {n_frames - 1}", field=name)
