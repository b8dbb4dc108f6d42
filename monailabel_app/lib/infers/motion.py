"""The infer task `motion`: labels of some frames carried through the whole cycle."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from cardiac_motion.cine import Cine
from cardiac_motion.errors import InputError
from cardiac_motion.io import write_labels
from cardiac_motion.io.motion_folder import write_motion
from cardiac_motion.pipeline import KnownMotion, estimate_aligned, motion_key, whole_number
from cardiac_motion.pipeline_alignment import (
    MotionAlignment,
    alignment_for_motion,
    check_stack,
    kept_alignment,
    model_for_shifts,
)
from cardiac_motion.registration.base import MotionModel, check_reference, with_options
from cardiac_motion.registration.registry import DEFAULT_MOTION_MODEL, motion_model, motion_model_names
from cardiac_motion.shift_files import ShiftCache
from pydantic import Field, TypeAdapter

from monailabel_app.lib.errors import NotFound, Unprocessable
from monailabel_app.lib.infers.base import CineTask, ModelEntry, Outcome, RunContext, TaskParams
from monailabel_app.lib.infers.key_frames import given_key_frames
from monailabel_app.lib.memory import KnownMotions

Labels = npt.NDArray[np.uint8]

LABELS_FILE = "labels.nii.gz"
_ALIGNING = 0.2
"""Share of the progress that the segmentation has by which slices are aligned."""


class MotionParams(TaskParams):
    """Parameters of `MotionTask`.

    Attributes:
        model: motion model; see ``/info/``.
        options: of the model, by name.
        reference: frame that the motion is relative to.
        key_frames: frames of the label that count; of a 3D label exactly one, its frame. By default those that a
            saved label was saved with, else the frames of a 4D label that are not empty.
        label_tag: take the saved label of this tag, instead of one that comes with the request.
        align: estimate the motion with the slices aligned, by shifts from a segmentation that is made once.
        refine: steps of refinement.
        output: the labels alone, or also the motion.
    """

    model: str = DEFAULT_MOTION_MODEL
    options: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
    reference: int = 0
    key_frames: list[int] | None = None
    label_tag: str | None = None
    align: bool = False
    refine: int = 0
    output: Literal["labels", "all"] = "labels"


class MotionTask(CineTask):
    """Estimate the motion of a case, or take the known one, and carry labels along.

    Args:
        motions: that are known already, shared by all requests.
    """

    params_model: ClassVar[type[TaskParams]] = MotionParams

    def __init__(self, motions: KnownMotions) -> None:
        # No type that the stock plug-in of Slicer knows: it would send one 3D volume.
        super().__init__(
            task_type="motion", description="Carries the contours of one or several frames through the whole cycle"
        )
        self._motions = motions

    def models(self) -> list[ModelEntry]:
        """All motion models of the registry."""
        return [_entry(motion_model(name)) for name in motion_model_names()]

    def run(self, context: RunContext, params: MotionParams) -> Outcome:
        """See `CineTask.run`; the file is the 4D label, or a zip with the motion."""
        _refuse_what_is_not_there(params)
        if params.model not in motion_model_names():
            raise NotFound(
                f"there is no motion model {params.model!r}; there are {', '.join(motion_model_names())}",
                code="unknown_model",
                field="model",
            )
        model = motion_model(params.model)
        options = with_options(model.default_options, params.options)
        cine = context.case.cine
        check_reference(cine, params.reference)
        # Before anything that takes long: a label that does not fit is told at once.
        keys = given_key_frames(context, params.label_tag, params.key_frames)
        start = time.perf_counter()
        aligned = self._alignment(context, keys) if params.align else None
        known, from_cache = self._known_motion(context, model, params.reference, options, aligned)
        found = known.carry(keys, motion_seconds=time.perf_counter() - start, from_cache=from_cache)
        self._motions.trim()
        context.progress(0.97, "writing")
        labels = context.folder / LABELS_FILE
        write_labels(labels, found.labels, cine)
        file = labels if params.output == "labels" else _zipped(context.folder, labels, known)
        summary = found.summary()
        notes = [] if aligned is None else aligned.warnings(known.motion)
        summary["warnings"] = [*context.case.notes, *notes, *summary["warnings"]]
        if aligned is not None:
            summary["slice_shifts"] = aligned.summary()
        return Outcome(summary, file)

    def _alignment(self, context: RunContext, drawn: Mapping[int, Labels] | None = None) -> MotionAlignment:
        """How the slices are aligned; the shifts are estimated once and kept with the motions.

        Raises:
            Unprocessable: a single slice, or a server without what segments it.
        """
        cine = context.case.cine
        stack_to_align(cine)
        try:
            segmentation = model_for_shifts()
        except InputError as error:
            raise Unprocessable(str(error), field="align") from None
        cache = ShiftCache.beside(self._motions.on_disk)
        known = kept_alignment(cine, segmentation, cache, drawn=drawn)
        if known is not None:
            return known
        with context.hold_device():
            return alignment_for_motion(
                cine,
                model=segmentation,
                drawn=drawn,
                cache=cache,
                progress=lambda fraction, message: context.progress(_ALIGNING * fraction, message),
            )

    def _known_motion(
        self,
        context: RunContext,
        model: MotionModel,
        reference: int,
        options: Any,
        aligned: MotionAlignment | None,
    ) -> tuple[KnownMotion, bool]:
        cine = context.case.cine
        alignment = None if aligned is None else aligned.of(cine)
        key = motion_key(cine, model, reference=reference, options=options, alignment=alignment)
        known = self._motions.get(key)
        if known is not None:
            return known, True
        begin = 0.0 if aligned is None else _ALIGNING
        with context.hold_device():
            # While this request waited, another one may have estimated it.
            known = self._motions.get(key)
            if known is not None:
                return known, True
            motion = estimate_aligned(
                cine,
                model,
                reference=reference,
                options=options,
                alignment=alignment,
                progress=lambda share, message: context.progress(begin + (0.95 - begin) * share, message),
            )
            return self._motions.put(key, motion), False


def stack_to_align(cine: Cine) -> None:
    """Refuse a single slice, which has no neighbours to be aligned with.

    Raises:
        Unprocessable: says so.
    """
    try:
        check_stack(cine)
    except InputError as error:
        raise Unprocessable(str(error), field="align") from None


def _refuse_what_is_not_there(params: MotionParams) -> None:
    if params.refine:
        raise Unprocessable("this server cannot refine a motion; expected refine = 0", field="refine")


def _zipped(folder: Path, labels: Path, known: KnownMotion) -> Path:
    """The answer with everything in it."""
    motion = folder / "motion"
    write_motion(motion, known.motion)
    path = folder / "motion.zip"
    # Everything in it is compressed already.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.write(labels, labels.name)
        for file in sorted(motion.iterdir()):
            archive.write(file, f"motion/{file.name}")
    return path


def _entry(model: MotionModel) -> ModelEntry:
    return ModelEntry(
        name=model.name,
        kinds=("motion",),
        views=model.views,
        version=whole_number(model.version),
        default_for=("motion",) if model.name == DEFAULT_MOTION_MODEL else (),
        options=TypeAdapter(type(model.default_options)).json_schema(),
    )
