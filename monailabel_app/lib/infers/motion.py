"""The infer task `motion`: labels of some frames carried through the whole cycle."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path
from typing import Any, ClassVar, Literal

from cardiac_motion.io import write_labels
from cardiac_motion.io.motion_folder import write_motion
from cardiac_motion.pipeline import KnownMotion, motion_key, whole_number
from cardiac_motion.registration.base import MotionModel, check_reference, with_options
from cardiac_motion.registration.registry import DEFAULT_MOTION_MODEL, motion_model, motion_model_names
from pydantic import Field, TypeAdapter

from monailabel_app.lib.errors import NotFound, Unprocessable
from monailabel_app.lib.infers.base import CineTask, ModelEntry, Outcome, RunContext, TaskParams
from monailabel_app.lib.infers.key_frames import given_key_frames
from monailabel_app.lib.memory import KnownMotions

LABELS_FILE = "labels.nii.gz"


class MotionParams(TaskParams):
    """Parameters of `MotionTask`.

    Attributes:
        model: motion model; see ``/info/``.
        options: of the model, by name.
        reference: frame that the motion is relative to.
        key_frames: frames of the label that count; of a 3D label exactly one, its frame. By default those that a
            saved label was saved with, else the frames of a 4D label that are not empty.
        label_tag: take the saved label of this tag, instead of one that comes with the request.
        align: correct the slices' misalignment first.
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
        known, from_cache = self._known_motion(context, model, params.reference, options)
        found = known.carry(keys, motion_seconds=time.perf_counter() - start, from_cache=from_cache)
        self._motions.trim()
        context.progress(0.97, "writing")
        labels = context.folder / LABELS_FILE
        write_labels(labels, found.labels, cine)
        file = labels if params.output == "labels" else _zipped(context.folder, labels, known)
        summary = found.summary()
        summary["warnings"] = [*context.case.notes, *summary["warnings"]]
        return Outcome(summary, file)

    def _known_motion(
        self, context: RunContext, model: MotionModel, reference: int, options: Any
    ) -> tuple[KnownMotion, bool]:
        cine = context.case.cine
        key = motion_key(cine, model, reference=reference, options=options)
        known = self._motions.get(key)
        if known is not None:
            return known, True
        with context.hold_device():
            # While this request waited, another one may have estimated it.
            known = self._motions.get(key)
            if known is not None:
                return known, True
            motion = model.estimate(
                cine,
                reference=reference,
                options=options,
                progress=lambda fraction, message: context.progress(0.95 * fraction, message),
            )
            return self._motions.put(key, motion), False


def _refuse_what_is_not_there(params: MotionParams) -> None:
    if params.align:
        raise Unprocessable("this server cannot align slices; expected align = false", field="align")
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
