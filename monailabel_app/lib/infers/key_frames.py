"""The labels that a request starts from: those that came with it, or saved ones that it names."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from cardiac_motion.io.labels import LabelImage

from monailabel_app.lib.errors import Conflict, Unprocessable
from monailabel_app.lib.infers.base import RunContext
from monailabel_app.lib.uploads import read_uploaded_labels

Labels = npt.NDArray[np.uint8]


def given_key_frames(context: RunContext, label_tag: str | None, wanted: list[int] | None) -> dict[int, Labels]:
    """Labels (Z, Y, X) of the key frames by frame.

    Args:
        context: with the label that came with the request.
        label_tag: of the saved label to take instead, or None.
        wanted: frames of the label that count; None for those that it was saved with, else those of a 4D label
            that are not empty.

    Raises:
        Unprocessable: no label, two of them, or frames that do not fit it.
        Conflict: a label that was saved for another image.
        NotFound: no saved label of that tag.
    """
    label, wanted = _label(context, label_tag, wanted)
    return key_frames_of(label, context.case.cine.n_frames, wanted)


def _label(
    context: RunContext, label_tag: str | None, wanted: list[int] | None
) -> tuple[LabelImage, list[int] | None]:
    """The labels to start from, and which of their frames count, if that is said."""
    if context.label is not None and label_tag is not None:
        raise Unprocessable("expected a label or label_tag, got both", code="bad_params", field="label_tag")
    if context.label is not None:
        return context.label, wanted
    if label_tag is None:
        raise Unprocessable(
            "expected a label of at least one frame: the file `label`, or `label_tag` for a saved one",
            code="label_missing",
            field="label",
        )
    saved = context.datastore.label_version(context.case.id, label_tag)
    if saved.info.get("image_sha256", context.case.sha256) != context.case.sha256:
        raise Conflict(
            "the label was saved for another image than the one of that id by now",
            code="other_image",
            field="label_tag",
        )
    # What was carried to the other frames when it was saved is carried anew.
    wanted = wanted if wanted is not None else saved.info.get("key_frames") or None
    return read_uploaded_labels(saved.path, context.case), wanted


def key_frames_of(label: LabelImage, n_frames: int, wanted: list[int] | None) -> dict[int, Labels]:
    """Labels (Z, Y, X) of the key frames by frame.

    Raises:
        Unprocessable: frames that are not there, named twice, empty, or not the one of a 3D label.
    """
    field = "key_frames"
    frames = checked_frames([] if wanted is None else wanted, n_frames, field=field)
    if not label.is_4d:
        if len(frames) != 1:
            raise Unprocessable(f"a 3D label needs exactly one key frame, got {len(frames)}", field=field)
        found = {frames[0]: label.labels[0]}
    else:
        if wanted is None:
            frames = [int(t) for t in np.flatnonzero(label.labels.any(axis=(1, 2, 3)))]
        found = {t: label.labels[t] for t in frames}
    if not found:
        raise Unprocessable("expected labels on at least one frame, every frame is empty", field="label")
    empty = [t for t, labels in found.items() if not labels.any()]
    if empty:
        raise Unprocessable(f"expected labels on key frame {empty[0]}, it is empty", field=field)
    return found


def checked_frames(frames: list[int], n_frames: int, *, field: str) -> list[int]:
    """The frames, each of which is there and named once.

    Raises:
        Unprocessable: they are not.
    """
    outside = [t for t in frames if not 0 <= t < n_frames]
    if outside:
        raise Unprocessable(f"expected frames from 0 to {n_frames - 1}, got {outside[0]}", field=field)
    if len(set(frames)) < len(frames):
        raise Unprocessable(f"expected every frame of {field} once, got {frames}", field=field)
    return frames
