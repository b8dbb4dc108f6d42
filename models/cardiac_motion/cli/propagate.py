"""`cardiac-motion propagate`."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Annotated

import typer

from cardiac_motion.atomic import atomic_path
from cardiac_motion.cine import Cine
from cardiac_motion.cli.console import answer, parse_settings, progress_bar
from cardiac_motion.errors import InputError
from cardiac_motion.io import read_cine, write_labels
from cardiac_motion.io.motion_folder import write_motion
from cardiac_motion.motion_cache import MotionCache
from cardiac_motion.pipeline import Propagated, propagate_cine, read_key_frames
from cardiac_motion.registration.base import with_options
from cardiac_motion.registration.registry import DEFAULT_MOTION_MODEL, motion_model


def write_volume_table(path: Path, cine: Cine, found: Propagated) -> None:
    """Write a CSV file with a row per frame: time in seconds, volumes in ml, whether it is a key frame."""
    volumes = found.volumes_ml
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["frame", "time_s", *(f"{structure.name}_ml" for structure in volumes), "key_frame"])
        for t, seconds in enumerate(cine.frame_times):
            row = [f"{curve[t]:.3f}" for curve in volumes.values()]
            writer.writerow([t, f"{seconds:.5f}", *row, int(t in found.key_frames)])


def describe(found: Propagated) -> str:
    """What a reader wants to know first, as lines of text."""
    keys = ", ".join(map(str, found.key_frames))
    how = "read from the cache" if found.from_cache else "estimated"
    lines = [
        f"key frames {keys}; motion {how} in {found.motion_seconds:.1f} s, "
        f"labels carried in {found.propagation_seconds:.2f} s"
    ]
    function = found.function
    if function is not None:
        for structure, ventricle in function.ventricles.items():
            lines.append(
                f"{structure.name}: EDV {ventricle.end_diastolic_ml:.1f} ml (frame {function.ed}), "
                f"ESV {ventricle.end_systolic_ml:.1f} ml (frame {function.es}), "
                f"EF {ventricle.ejection_fraction:.1f} %"
            )
        if function.mass_g is not None:
            lines.append(f"LV mass {function.mass_g:.0f} g")
    lines += [f"warning: {warning}" for warning in found.warnings]
    return "\n".join(lines)


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
    cache: Annotated[bool, typer.Option(help="Keep the motion, so that a corrected label takes no time.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Carry the labels of one or several frames through the whole cycle."""
    chosen = motion_model(model)
    options = with_options(chosen.default_options, parse_settings(option or []))
    for path in (output, motion, table):
        if path is not None and not path.absolute().parent.is_dir():
            raise InputError(f"the folder to write {path.name} to does not exist: {path.absolute().parent}")
    start = time.perf_counter()
    image = read_cine(cine)
    key_frames = read_key_frames(labels, image)
    with progress_bar() as report:
        found = propagate_cine(
            image,
            key_frames,
            chosen,
            reference=reference,
            options=options,
            cache=MotionCache() if cache else None,
            progress=report,
        )
    written = {"labels": str(output)}
    write_labels(output, found.labels, image)
    if motion is not None:
        write_motion(motion, found.motion)
        written["motion"] = str(motion)
    if table is not None:
        write_volume_table(table, image, found)
        written["table"] = str(table)
    summary = found.summary()
    summary["seconds"]["all"] = round(time.perf_counter() - start, 3)
    lines = [describe(found), *(f"{what}: {where}" for what, where in written.items())]
    answer({**summary, "written": written}, "\n".join(lines), as_json=as_json)
