"""`cardiac-motion align` and `cardiac-motion align-back`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from cardiac_motion.aligned import SliceAlignment
from cardiac_motion.analysis.long_axis import alignment_figure
from cardiac_motion.analysis.plots import save_figure
from cardiac_motion.cine import Cine
from cardiac_motion.cli.console import answer, progress_bar
from cardiac_motion.cli.outputs import Output, check_outputs, staged
from cardiac_motion.errors import InputError
from cardiac_motion.io import LabelImage, check_labels, read_cine, read_labels, write_cine, write_labels
from cardiac_motion.io.images import check_ending, is_frame_folder
from cardiac_motion.labels import Label
from cardiac_motion.pipeline import split_label_argument
from cardiac_motion.pipeline_alignment import (
    check_stack,
    model_for_shifts,
    segment_for_shifts,
    shifts_of_labels,
    shifts_of_segmentation,
)
from cardiac_motion.segmentation.registry import DEFAULT_SEGMENTATION_MODEL
from cardiac_motion.shift_files import UNOBSERVABLE, KeptShifts, read_shifts, write_shifts

Labels = npt.NDArray[np.uint8]


def align(
    cine: Annotated[Path, typer.Argument(help="Short-axis stack over time: 4D NIfTI, NRRD, .seq.nrrd, a folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Aligned cine to write, on a larger grid.")],
    labels: Annotated[
        str | None,
        typer.Option(
            help="Labels to find the shifts by: a 4D file, or FILE@FRAME; without, a segmentation is made."
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="Segmentation model, where no labels are given.")] = (
        DEFAULT_SEGMENTATION_MODEL
    ),
    shifts: Annotated[Path | None, typer.Option(help="Also write the shifts, as JSON.")] = None,
    labels_out: Annotated[
        Path | None, typer.Option(help="Also write the given labels on the aligned grid, moved by whole pixels.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option(help="Also write planes along the long axis, before and after.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Correct the misalignment of the slices of a stack; the aligned cine is written anew.

    The mean of the shifts and their linear trend over the stack cannot be observed and are left as they are.
    """
    if labels_out is not None and labels is None:
        raise InputError("--labels-out moves the labels that are given: expected --labels, got none")
    path, frame = (None, None) if labels is None else split_label_argument(labels)
    outputs = _outputs(output, shifts, labels_out, picture, is_one_frame=frame is not None)
    check_outputs(outputs, [("cine", cine), *([("labels", path)] if path else [])])
    start = time.perf_counter()
    image = read_cine(cine)
    check_stack(image)
    if path is not None:
        given = read_labels(path)
        check_labels(given, image)
        frames, used = _labels_of(given, frame, image, needs_frame=picture is not None)
        kept = shifts_of_labels(image, used)
    else:
        with progress_bar() as report:
            chosen = model_for_shifts(model)
            frames, used = segment_for_shifts(image, chosen, progress=report)
        kept = shifts_of_segmentation(image, chosen, used)
    alignment = kept.alignment(image)
    aligned = alignment.align(image)
    with staged(outputs) as paths:
        write_cine(paths["cine"], aligned)
        if "shifts" in paths:
            write_shifts(paths["shifts"], kept)
        if "labels" in paths:
            moved = alignment.labels(used)
            write_labels(paths["labels"], moved if len(moved) > 1 else moved[0], aligned)
        if "picture" in paths:
            largest = int(np.argmax((used == Label.LV).sum(axis=(1, 2, 3))))
            what = f"{image.name}, frame {frames[largest]}, contours {'given' if path else f'by {model}'}"
            figure = alignment_figure(image, frames[largest], used[largest], alignment, kept.shifts, title=what)
            save_figure(figure, paths["picture"])
    written = {what: str(each.path) for what, each in outputs.items()}
    result = _summary(kept, alignment, time.perf_counter() - start)
    answer({**result, "written": written}, _text(result, written), as_json=as_json)


def align_back(
    cine: Annotated[Path, typer.Argument(help="The native cine that was aligned.")],
    labels: Annotated[Path, typer.Argument(help="Labels drawn on the aligned cine, 3D or 4D.")],
    shifts: Annotated[Path, typer.Option(help="Shifts that `align --shifts` wrote.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Label file to write, on the native grid.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Bring labels that were drawn on an aligned cine back to the native one, exactly."""
    check_ending(output)
    outputs = {"labels": Output(output, is_folder=is_frame_folder(output), names=("label_000.nii.gz",))}
    check_outputs(outputs, [("cine", cine), ("aligned labels", labels), ("shifts", shifts)])
    image = read_cine(cine)
    alignment = read_shifts(shifts).alignment(image)
    drawn = read_labels(labels)
    check_labels(drawn, alignment.empty_like(image))
    back = alignment.labels_back(drawn.labels)
    with staged(outputs) as paths:
        write_labels(paths["labels"], back if drawn.is_4d else back[0], image)
    written = {"labels": str(output)}
    result = {"voxels": int(np.count_nonzero(back)), "shifts_mm": alignment.shifts_mm.tolist(), "written": written}
    answer(result, f"labels: {output}", as_json=as_json)


def _outputs(
    output: Path, shifts: Path | None, labels: Path | None, picture: Path | None, *, is_one_frame: bool
) -> dict[str, Output]:
    check_ending(output)
    outputs = {"cine": Output(output, is_folder=is_frame_folder(output), names=("frame_000.nii.gz",))}
    if shifts is not None:
        outputs["shifts"] = Output(shifts)
    if labels is not None:
        check_ending(labels)
        is_folder = is_frame_folder(labels) and not is_one_frame
        outputs["labels"] = Output(labels, is_folder=is_folder, names=("label_000.nii.gz",))
    if picture is not None:
        if picture.suffix.lower() not in {".png", ".pdf", ".svg"}:
            raise InputError(f"cannot write {picture}: expected a name that ends in .png, .pdf or .svg")
        outputs["picture"] = Output(picture)
    return outputs


def _labels_of(
    given: LabelImage, frame: int | None, cine: Cine, *, needs_frame: bool
) -> tuple[tuple[int, ...], Labels]:
    """Frames and labels (F, Z, Y, X) of the file."""
    if frame is not None and not 0 <= frame < cine.n_frames:
        raise InputError(f"{given.name}@{frame}: the cine has frames 0 to {cine.n_frames - 1}, got frame {frame}")
    if given.is_4d and frame is None:
        return tuple(range(cine.n_frames)), given.labels
    if frame is None and needs_frame:
        raise InputError(f"{given.name} is a 3D label: say which frame to show, as {Path(given.name).name}@0")
    chosen = given.labels if not given.is_4d else given.labels[frame : frame + 1 if frame is not None else None]
    return (frame or 0,), chosen


def _summary(kept: KeptShifts, alignment: SliceAlignment, seconds: float) -> dict[str, Any]:
    found = kept.to_json()
    names = ("shifts_mm", "observed", "limited", "spread_mm", "source")
    warnings = [*kept.shifts.notes, f"{UNOBSERVABLE}"]
    if not alignment.moves:
        warnings.insert(0, "no misalignment was found; the cine is written as it is")
    return {
        **{name: found[name] for name in names},
        "margin": {"y": alignment.axes[0].before, "x": alignment.axes[1].before},
        "seconds": {"all": round(seconds, 3)},
        "warnings": warnings,
    }


def _text(result: dict[str, Any], written: dict[str, str]) -> str:
    rows = [
        f"slice {z}: {y:+.2f}, {x:+.2f} mm (y, x)"
        + ("" if seen else ", interpolated")
        + (", limited" if cut else "")
        for z, ((y, x), seen, cut) in enumerate(
            zip(result["shifts_mm"], result["observed"], result["limited"], strict=True)
        )
    ]
    notes = [f"note: {note}" for note in result["warnings"]]
    return "\n".join([*rows, *notes, *(f"{what}: {where}" for what, where in written.items())])
