"""`cardiac-motion propagate`."""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer

from cardiac_motion.atomic import atomic_path
from cardiac_motion.cine import Cine
from cardiac_motion.cli.console import answer, note, parse_settings, progress_bar
from cardiac_motion.cli.outputs import Output, check_outputs, staged
from cardiac_motion.io import read_cine, write_labels
from cardiac_motion.io.images import check_ending, is_frame_folder
from cardiac_motion.io.motion_folder import MOTION_FOLDER_NAMES, write_motion
from cardiac_motion.motion_cache import MotionCache
from cardiac_motion.pipeline import Propagated, propagate_cine, read_key_frames, split_label_argument
from cardiac_motion.pipeline_alignment import MotionAlignment, alignment_for_motion, check_stack
from cardiac_motion.registration.base import Progress, with_options
from cardiac_motion.registration.registry import DEFAULT_MOTION_MODEL, motion_model
from cardiac_motion.shift_files import ShiftCache, read_shifts

Labels = npt.NDArray[np.uint8]


def write_volume_table(path: Path, cine: Cine, found: Propagated) -> None:
    """Write a CSV file with a row per frame: time in seconds, volumes in ml, whether it is a key frame.

    A single slice has no volumes, so that it gets no columns of them.
    """
    volumes = found.volumes_ml
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["frame", "time_s", *(f"{structure.name}_ml" for structure in volumes), "key_frame"])
        for t, seconds in enumerate(cine.frame_times):
            row = [f"{curve[t]:.3f}" for curve in volumes.values()]
            writer.writerow([t, f"{seconds:.5f}", *row, int(t in found.key_frames)])


def describe(summary: Mapping[str, Any]) -> str:
    """What a reader wants to know first, as lines of text.

    Args:
        summary: as `Propagated.summary` gives it, and the server.
    """
    keys = ", ".join(map(str, summary["key_frames"]))
    how = "read from the cache" if summary["motion_from_cache"] else "estimated"
    seconds = summary["seconds"]
    lines = [
        f"key frames {keys}; motion {how} in {seconds['motion']:.1f} s, "
        f"labels carried in {seconds['propagation']:.2f} s"
    ]
    volumes, ed, es = summary["volumes_ml"], summary["ed"], summary["es"]
    lines += [
        f"{name}: EDV {volumes[name][ed]:.1f} ml (frame {ed}), ESV {volumes[name][es]:.1f} ml (frame {es}), "
        f"EF {fraction:.1f} %"
        for name, fraction in summary["ejection_fraction"].items()
    ]
    lines += [f"{name} mass {mass:.0f} g" for name, mass in summary["mass_g"].items()]
    if not volumes:
        lines.append("a single slice has no volume: no volumes, ejection fraction or mass")
    lines += [f"warning: {warning}" for warning in summary["warnings"]]
    return "\n".join(lines)


def _outputs(labels: Path, motion: Path | None, table: Path | None) -> dict[str, Output]:
    check_ending(labels)
    outputs = {"labels": Output(labels, is_folder=is_frame_folder(labels), names=("label_000.nii.gz",))}
    if motion is not None:
        outputs["motion"] = Output(motion, is_folder=True, names=MOTION_FOLDER_NAMES)
    if table is not None:
        outputs["table"] = Output(table)
    return outputs


def _alignment(
    cine: Cine,
    shifts: Path | None,
    drawn: Mapping[int, Labels],
    motions: MotionCache | None,
    progress: Progress,
) -> MotionAlignment:
    """From a file of shifts, or from a segmentation."""
    check_stack(cine)
    if shifts is not None:
        return MotionAlignment(read_shifts(shifts))
    cache = None if motions is None else ShiftCache.beside(motions)
    return alignment_for_motion(cine, drawn=drawn, cache=cache, progress=progress)


def propagate(
    cine: Annotated[Path, typer.Argument(help="4D NIfTI or NRRD, .seq.nrrd, or a folder of 3D frames.")],
    labels: Annotated[
        list[str],
        typer.Option(
            help="Labels of a key frame as FILE@FRAME, frames counted from 0; may be repeated. A 4D file without "
            "@FRAME gives each of its frames that is not empty."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="4D label file to write.")],
    model: Annotated[str, typer.Option(help="Motion model.")] = DEFAULT_MOTION_MODEL,
    option: Annotated[list[str] | None, typer.Option(help="Option of the model as NAME=VALUE.")] = None,
    reference: Annotated[int, typer.Option(help="Frame that the motion is relative to.")] = 0,
    motion: Annotated[Path | None, typer.Option(help="Also write the motion, to this folder.")] = None,
    table: Annotated[Path | None, typer.Option(help="Also write volumes of every frame, as CSV.")] = None,
    align: Annotated[
        bool,
        typer.Option("--align", help="Estimate the motion with the slices aligned; a segmentation is made once."),
    ] = False,
    shifts: Annotated[
        Path | None, typer.Option(help="As --align, by shifts that `cardiac-motion align --shifts` wrote.")
    ] = None,
    cache: Annotated[bool, typer.Option(help="Keep the motion, so that a corrected label takes no time.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Carry the labels of one or several frames through the whole cycle."""
    chosen = motion_model(model)
    options = with_options(chosen.default_options, parse_settings(option or []))
    outputs = _outputs(output, motion, table)
    check_outputs(
        outputs,
        [
            ("cine", cine),
            *(("labels of a key frame", split_label_argument(text)[0]) for text in labels),
            *([("shifts", shifts)] if shifts else []),
        ],
    )
    start = time.perf_counter()
    image = read_cine(cine)
    key_frames = read_key_frames(labels, image, note=note)
    motions = MotionCache() if cache else None
    with progress_bar() as report:
        aligned = _alignment(image, shifts, key_frames, motions, report) if align or shifts else None
        found = propagate_cine(
            image,
            key_frames,
            chosen,
            reference=reference,
            options=options,
            alignment=aligned.of(image) if aligned else None,
            cache=motions,
            progress=report,
        )
    with staged(outputs) as paths:
        write_labels(paths["labels"], found.labels, image)
        if "motion" in paths:
            write_motion(paths["motion"], found.motion)
        if "table" in paths:
            write_volume_table(paths["table"], image, found)
    written = {what: str(each.path) for what, each in outputs.items()}
    summary = found.summary()
    if aligned is not None:
        summary["slice_shifts"] = aligned.summary()
        summary["warnings"] = [*aligned.warnings(found.motion), *summary["warnings"]]
    summary["seconds"]["all"] = round(time.perf_counter() - start, 3)
    lines = [describe(summary), *(f"{what}: {where}" for what, where in written.items())]
    answer({**summary, "written": written}, "\n".join(lines), as_json=as_json)
