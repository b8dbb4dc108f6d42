"""Infer tasks that segment: a network on single frames, and `fused`, which has it agree with carried contours."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from cardiac_motion.cine import Cine
from cardiac_motion.io import write_labels
from cardiac_motion.io.images import write_image
from cardiac_motion.pipeline import whole_number
from cardiac_motion.pipeline_segmentation import FUSED, FUSION_VERSION, Segmented, segment_cine
from cardiac_motion.registration.base import with_options
from cardiac_motion.registration.registry import DEFAULT_MOTION_MODEL, motion_model, motion_model_names
from cardiac_motion.segmentation.network import SegmentationOptions
from cardiac_motion.segmentation.registry import DEFAULT_SEGMENTATION_MODEL, segmentation_model
from cardiac_motion.slice_alignment import TooFewSlicesError, estimate_shifts
from pydantic import Field, TypeAdapter

from monailabel_app.lib.errors import NotFound, Unprocessable
from monailabel_app.lib.infers.base import CineTask, ModelEntry, Outcome, RunContext, TaskParams
from monailabel_app.lib.infers.key_frames import checked_frames, given_key_frames
from monailabel_app.lib.infers.motion import stack_to_align
from monailabel_app.lib.memory import KnownMotions

LABELS_FILE, ENTROPY_FILE = "labels.nii.gz", "entropy.nii.gz"
_OWN = frozenset({"probabilities", "entropy"})
"""Options that are no choice of a request: the first has no file, the second is a parameter of its own."""


class SegmentationParams(TaskParams):
    """Parameters of `SegmentationTask`.

    Attributes:
        frames: to segment; the other frames of the answer are empty.
        frame: the only one to segment; the answer is a 3D label then, as MONAI Label's own clients need it.
        entropy: also send how unsure the network is at every voxel.
        options: of the model, by name.
    """

    frames: Literal["all"] | list[int] = "all"
    frame: int | None = None
    entropy: bool = False
    options: dict[str, str | int | float | bool | None] = Field(default_factory=dict)


class FusedParams(SegmentationParams):
    """Parameters of `FusedTask`.

    Attributes:
        key_frames: frames of the label that count; see `MotionParams`.
        label_tag: take the saved label of this tag, instead of one that comes with the request.
        motion_model: that carries the contours; see ``/info/``.
        motion_options: of it, by name.
        align: whether its motion is estimated with the slices aligned.
    """

    key_frames: list[int] | None = None
    label_tag: str | None = None
    motion_model: str = DEFAULT_MOTION_MODEL
    motion_options: dict[str, str | int | float | bool | None] = Field(default_factory=dict)
    align: bool = False


class SegmentationTask(CineTask):
    """Segment frames of a case with one network.

    Args:
        name: of the model, in the registry.
    """

    params_model: ClassVar[type[TaskParams]] = SegmentationParams
    takes_frame_files: ClassVar[bool] = True

    def __init__(self, name: str) -> None:
        # With this type MONAI Label's plug-in for Slicer offers it; what it sends of `config` makes the answer 3D.
        super().__init__(
            task_type="segmentation", description=f"Segments a frame of a cine by {name}", config={"frame": 0}
        )
        self.dimension = 3
        self._name = name

    def models(self) -> list[ModelEntry]:
        """The model of this task."""
        model = segmentation_model(self._name)
        return [
            ModelEntry(
                name=self._name,
                kinds=("segmentation",),
                views=model.views,
                version=whole_number(model.version),
                default_for=("segmentation",) if self._name == DEFAULT_SEGMENTATION_MODEL else (),
                options=_options_schema(),
            )
        ]

    def run(self, context: RunContext, params: SegmentationParams) -> Outcome:
        """See `CineTask.run`; the file is the label, or with entropy a zip."""
        return _answer(context, params, self._segmented(context, params, chosen_frames(context, params)))

    def _segmented(self, context: RunContext, params: SegmentationParams, frames: list[int] | None) -> Segmented:
        if context.label is not None:
            raise Unprocessable(f"{self._name} starts from no label, got one", code="bad_params", field="label")
        options = segmentation_options(params)
        with context.hold_device():
            return segment_cine(
                context.case.cine, model=self._name, frames=frames, options=options, progress=_most_of(context)
            )


class FusedTask(CineTask):
    """Segment frames of a case, and have the labels agree with contours that are carried from key frames.

    Args:
        motions: that are known already, shared by all requests.
    """

    params_model: ClassVar[type[TaskParams]] = FusedParams

    def __init__(self, motions: KnownMotions) -> None:
        super().__init__(
            task_type=FUSED, description="Segments every frame, in agreement with the contours of some of them"
        )
        self._motions = motions

    def models(self) -> list[ModelEntry]:
        """The one of this task; its options are those of the network."""
        model = segmentation_model(DEFAULT_SEGMENTATION_MODEL)
        version = whole_number(FUSION_VERSION)
        return [ModelEntry(FUSED, ("segmentation",), model.views, version, (), _options_schema())]

    def run(self, context: RunContext, params: FusedParams) -> Outcome:
        """See `CineTask.run`; the file is the label, or with entropy a zip."""
        if params.motion_model not in motion_model_names():
            raise NotFound(
                f"there is no motion model {params.motion_model!r}; there are {', '.join(motion_model_names())}",
                code="unknown_model",
                field="motion_model",
            )
        motion_options = with_options(motion_model(params.motion_model).default_options, params.motion_options)
        options, frames = segmentation_options(params), chosen_frames(context, params)
        keys = given_key_frames(context, params.label_tag, params.key_frames)
        if params.align:
            stack_to_align(context.case.cine)
        with context.hold_device():
            found = segment_cine(
                context.case.cine,
                model=FUSED,
                frames=frames,
                options=options,
                key_frames=keys,
                motion_model=params.motion_model,
                motion_options=motion_options,
                align=params.align,
                cache=self._motions.on_disk,
                progress=_most_of(context),
            )
        return _answer(context, params, found)


def chosen_frames(context: RunContext, params: SegmentationParams) -> list[int] | None:
    """The frames to segment; None for all.

    Raises:
        Unprocessable: frames that are not there, named twice, none, or said twice over.
    """
    count = 1 if context.is_single_frame else context.case.cine.n_frames
    if params.frame is not None:
        if params.frames != "all":
            raise Unprocessable("expected frames or frame, got both", code="bad_params", field="frame")
        return checked_frames([params.frame], count, field="frame")
    if params.frames == "all":
        return [0] if context.is_single_frame else None
    if not params.frames:
        raise Unprocessable("expected at least one frame, got none", field="frames")
    return checked_frames(params.frames, count, field="frames")


def segmentation_options(params: SegmentationParams) -> SegmentationOptions:
    """Options of the model.

    Raises:
        InputError: one that there is not, or a value that it cannot take.
    """
    for name in params.options:
        if name in _OWN:
            raise Unprocessable(f"{name} is no option here", code="bad_params", field=f"options.{name}")
    found: SegmentationOptions = with_options(SegmentationOptions(entropy=params.entropy), params.options)
    return found


def _options_schema() -> dict[str, Any]:
    schema = TypeAdapter(SegmentationOptions).json_schema()
    schema["properties"] = {name: each for name, each in schema["properties"].items() if name not in _OWN}
    return schema


def _most_of(context: RunContext) -> Any:
    return lambda fraction, message: context.progress(0.95 * fraction, message)


def _answer(context: RunContext, params: SegmentationParams, found: Segmented) -> Outcome:
    context.progress(0.96, "writing")
    cine, is_3d = context.case.cine, context.is_single_frame or params.frame is not None
    summary = dict(found.summary())
    summary["frames"] = list(found.frames)
    summary["warnings"] = [*context.case.notes, *summary["warnings"]]
    summary["structures"] = [structure.name for structure in found.structures]
    if not found.is_aligned:
        summary["slice_shifts"] = None
        try:
            if not is_3d:
                summary["slice_shifts"] = slice_shifts(found, cine)
        except TooFewSlicesError as error:
            summary["warnings"].append(f"no misalignment of the slices can be told: {error}")
    labels = context.folder / LABELS_FILE
    write_labels(labels, _on_all_frames(found.labels, found.frames, cine, is_3d), cine)
    if not params.entropy:
        return Outcome(summary, labels)
    if found.entropy is None:
        raise Unprocessable("this model has no entropy; expected entropy = false", field="entropy")
    summary["entropy_max"] = round(math.log(1 + len(found.structures)), 4)
    entropy = context.folder / ENTROPY_FILE
    values = _on_all_frames(found.entropy, found.frames, cine, is_3d)
    write_image(entropy, values, cine.affine, frame_times=cine.frame_times, is_label=False)
    archive = context.folder / "segmentation.zip"
    # Both are compressed already.
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for path in (labels, entropy):
            file.write(path, path.name)
    return Outcome(summary, archive)


def _on_all_frames(values: npt.NDArray[Any], frames: tuple[int, ...], cine: Cine, is_3d: bool) -> npt.NDArray[Any]:
    """Values (F, Z, Y, X) as (T, Z, Y, X), zero where nothing was asked for; or those of one frame."""
    if is_3d:
        return values[0]
    result = np.zeros(cine.shape, dtype=values.dtype)
    result[list(frames)] = values
    return result


def slice_shifts(found: Segmented, cine: Cine) -> Mapping[str, Any] | None:
    """By how much each slice appears displaced, from a segmentation of all frames; see `SliceShifts`.

    None for a single slice, which has no neighbours, and of some frames alone, in which the heart may have moved
    through the slices.

    Raises:
        TooFewSlicesError: fewer than four slices show the LV.
    """
    if len(found.frames) < cine.n_frames or cine.shape[1] == 1:
        return None
    shifts = estimate_shifts(found.labels, cine.spacing)
    return {
        "shifts_mm": [[round(float(mm), 3) for mm in pair] for pair in shifts.shifts_mm],
        "observed": shifts.observed.tolist(),
        "limited": shifts.limited.tolist(),
        "spread_mm": round(float(shifts.spread_mm), 3),
        "notes": list(shifts.notes),
    }
