"""`cardiac-motion segment`."""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import typer

from cardiac_motion.atomic import atomic_path
from cardiac_motion.cine import Cine
from cardiac_motion.cli.console import answer, note, parse_settings, progress_bar
from cardiac_motion.cli.outputs import Output, check_outputs, staged
from cardiac_motion.errors import InputError
from cardiac_motion.io import (
    PROBABILITY_STEPS,
    check_probabilities_ending,
    read_cine,
    write_cine,
    write_labels,
    write_probabilities,
)
from cardiac_motion.io.images import check_ending, is_frame_folder
from cardiac_motion.motion_cache import MotionCache
from cardiac_motion.pipeline import read_key_frames, split_label_argument
from cardiac_motion.pipeline_segmentation import FUSED, Segmented, segment_cine
from cardiac_motion.registration.base import with_options
from cardiac_motion.registration.registry import DEFAULT_MOTION_MODEL
from cardiac_motion.registration.registry import motion_model as get_motion_model
from cardiac_motion.segmentation.network import SegmentationOptions
from cardiac_motion.segmentation.registry import DEFAULT_SEGMENTATION_MODEL
from cardiac_motion.working_grid import Region

Floats = npt.NDArray[np.float32]
View = Literal["auto", "sax", "lax"]


def read_frames(text: str) -> list[int] | None:
    """Frames from "all", which is None, or from numbers with commas between them.

    Raises:
        InputError: anything else.
    """
    if text.strip().lower() == "all":
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() for part in parts):
        raise InputError(f"expected all, or frames as 0,9 counted from 0, got {text!r}")
    return [int(part) for part in parts]


def write_volume_table(path: Path, cine: Cine, found: Segmented) -> None:
    """Write a CSV file with a row per frame that was segmented: time in seconds, voxels and ml of each structure.

    A single slice has no volumes, and gets no columns of them.
    """
    millilitres = float(np.prod(cine.spacing)) / 1000
    is_stack = cine.shape[1] > 1
    names = [s.name for s in found.structures]
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        volumes = [f"{name}_ml" for name in names] if is_stack else []
        writer.writerow(["frame", "time_s", *(f"{name}_voxels" for name in names), *volumes, "key_frame"])
        for t, labels in zip(found.frames, found.labels, strict=True):
            counts = [int(np.count_nonzero(labels == s)) for s in found.structures]
            row = [f"{count * millilitres:.3f}" for count in counts] if is_stack else []
            writer.writerow([t, f"{cine.frame_times[t]:.5f}", *counts, *row, int(t in found.key_frames)])


def describe(summary: Mapping[str, Any], n_frames: int) -> str:
    """What a reader wants to know first, as lines of text.

    Args:
        summary: as `Segmented.summary` gives it.
        n_frames: of the cine.
    """
    frames, seconds = summary["frames"], summary["seconds"]
    steps = ", ".join(f"{step} {value:.1f} s" for step, value in seconds.items() if step != "all")
    lines = [f"{summary['model']['name']}: {len(frames)} of {n_frames} frames; {steps}"]
    if summary["key_frames"]:
        lines.append(f"key frames {', '.join(map(str, summary['key_frames']))}, kept as they were drawn")
    volumes, ed, es = summary["volumes_ml"], summary["ed"], summary["es"]
    lines += [
        f"{name}: EDV {volumes[name][ed]:.1f} ml (frame {ed}), ESV {volumes[name][es]:.1f} ml (frame {es}), "
        f"EF {fraction:.1f} %"
        for name, fraction in summary["ejection_fraction"].items()
    ]
    lines += [f"{name} mass {mass:.0f} g" for name, mass in summary["mass_g"].items()]
    if ed is not None and not volumes:
        lines.append(f"ED frame {ed}, ES frame {es}, by the area of the ventricle")
    return "\n".join([*lines, *(f"warning: {warning}" for warning in summary["warnings"])])


def _notes(cine: Cine, found: Segmented) -> list[str]:
    """What the outputs do not hold."""
    notes = []
    if len(found.frames) < cine.n_frames:
        notes.append(
            f"frames other than {', '.join(map(str, found.frames))} were not asked for and are empty; volumes "
            "over the cycle and ejection fraction need all"
        )
    if cine.shape[1] == 1:
        notes.append("a single slice has no volume: no volumes, ejection fraction or mass")
    return notes


def _all_frames(found: Segmented, values: Any, cine: Cine) -> Any:
    """Values (F, Z, Y, X) of some frames as (T, Z, Y, X), zero in the others."""
    whole = np.zeros(cine.shape, dtype=values.dtype)
    whole[list(found.frames)] = values
    return whole


def probability_steps(found: Segmented, probabilities: Floats, cine: Cine) -> npt.NDArray[np.uint8]:
    """Probabilities (K, T, Z, Y, X) on the grid of the cine, times `PROBABILITY_STEPS`.

    A class has the place of its label's value; labels below the highest one that were not looked for are zero.
    Outside the region that was looked at there is background. Frames that were not asked for are zero in all
    classes.

    Args:
        found: what the probabilities belong to.
        probabilities: as `Segmented.probabilities`.
        cine: that was segmented.
    """
    classes = [0, *found.structures]
    steps = np.zeros((1 + max(classes), *cine.shape), np.uint8)
    region = found.region or Region(0, cine.shape[2], 0, cine.shape[3])
    for t, given in zip(found.frames, probabilities, strict=True):
        steps[0, t] = PROBABILITY_STEPS
        region.crop(steps[:, t])[classes] = np.rint(given.clip(0, 1) * PROBABILITY_STEPS)
    return steps


def _outputs(
    labels: Path, entropy: Path | None, probabilities: Path | None, table: Path | None
) -> dict[str, Output]:
    outputs = {}
    for what, path, name in (("labels", labels, "label_000.nii.gz"), ("entropy", entropy, "frame_000.nii.gz")):
        if path is not None:
            check_ending(path)
            outputs[what] = Output(path, is_folder=is_frame_folder(path), names=(name,))
    if probabilities is not None:
        check_probabilities_ending(probabilities)
        outputs["probabilities"] = Output(probabilities)
    if table is not None:
        outputs["table"] = Output(table)
    return outputs


def _inputs(cine: Path, labels: Sequence[str], weights: Path | None) -> list[tuple[str, Path]]:
    inputs = [("cine", cine), *(("labels of a key frame", split_label_argument(text)[0]) for text in labels)]
    return inputs if weights is None else [*inputs, ("weights", weights)]


def segment(
    cine: Annotated[Path, typer.Argument(help="4D NIfTI or NRRD, .seq.nrrd, or a folder of 3D frames.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="4D label file to write.")],
    model: Annotated[
        str, typer.Option(help=f"Segmentation model, or {FUSED}: unet made to agree with labels of key frames.")
    ] = DEFAULT_SEGMENTATION_MODEL,
    frames: Annotated[str, typer.Option(help="all, or frames as 0,9 counted from 0.")] = "all",
    labels: Annotated[
        list[str] | None,
        typer.Option(
            help=f"For {FUSED}: labels of a key frame as FILE@FRAME; may be repeated. A 4D file without @FRAME "
            "gives each of its frames that is not empty."
        ),
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="File of weights in place of the shipped ones.")] = None,
    flips: Annotated[bool, typer.Option(help="Mean over mirror images: four times the work.")] = False,
    view: Annotated[
        View, typer.Option(help="sax, lax, or auto: a single slice is of the long axis, several of the short one.")
    ] = "auto",
    motion_model: Annotated[str, typer.Option(help=f"Motion model of {FUSED}.")] = DEFAULT_MOTION_MODEL,
    motion_option: Annotated[
        list[str] | None, typer.Option(help="Option of the motion model as NAME=VALUE.")
    ] = None,
    align: Annotated[
        bool, typer.Option("--align", help=f"Estimate the motion of {FUSED} with the slices aligned.")
    ] = False,
    entropy: Annotated[Path | None, typer.Option(help="Also write the entropy, 4D, in nats.")] = None,
    probabilities: Annotated[
        Path | None,
        typer.Option(
            help="Also write the probability of every class, as NIfTI (X, Y, Z, T, class), class 0 the background "
            f"and the others by their label, in steps of 1/{PROBABILITY_STEPS}; zero in frames not asked for."
        ),
    ] = None,
    table: Annotated[Path | None, typer.Option(help="Also write volumes of every frame, as CSV.")] = None,
    cache: Annotated[bool, typer.Option(help=f"Keep the motion of {FUSED}.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Segment the heart in all frames of a cine, or in some.

    ED and ES are read from the volume curve smoothed over the cycle; volumes are those of the frames themselves.
    """
    chosen = read_frames(frames)
    given = labels or []
    if given and model != FUSED:
        raise InputError(f"--labels is for --model {FUSED}; {model} segments from the image alone")
    if not given and model == FUSED:
        raise InputError(f"--model {FUSED} needs --labels FILE@FRAME, got none")
    if motion_option and model != FUSED:
        raise InputError(f"--motion-option is for --model {FUSED}; {model} estimates no motion")
    if align and model != FUSED:
        raise InputError(f"--align is for --model {FUSED}; {model} estimates no motion")
    estimator = get_motion_model(motion_model)
    motion_options = with_options(estimator.default_options, parse_settings(motion_option or []))
    outputs = _outputs(output, entropy, probabilities, table)
    check_outputs(outputs, _inputs(cine, given, weights))
    start = time.perf_counter()
    image = read_cine(cine)
    key_frames = read_key_frames(given, image, note=note) if given else None
    with progress_bar() as report:
        found = segment_cine(
            image,
            model=model,
            frames=chosen,
            options=SegmentationOptions(
                flips=flips, probabilities=probabilities is not None, entropy=entropy is not None, view=view
            ),
            key_frames=key_frames,
            motion_model=motion_model,
            motion_options=motion_options,
            align=align,
            cache=MotionCache() if cache and model == FUSED else None,
            weights=weights,
            progress=report,
        )
    with staged(outputs) as paths:
        write_labels(paths["labels"], _all_frames(found, found.labels, image), image)
        if "entropy" in paths and found.entropy is not None:
            doubts = _all_frames(found, found.entropy, image)
            write_cine(paths["entropy"], Cine(doubts, image.affine, image.frame_times))
        if "probabilities" in paths and found.probabilities is not None:
            steps = probability_steps(found, found.probabilities, image)
            write_probabilities(paths["probabilities"], steps, image)
        if "table" in paths:
            write_volume_table(paths["table"], image, found)
    written = {what: str(each.path) for what, each in outputs.items()}
    summary = found.summary()
    summary["seconds"]["all"] = round(time.perf_counter() - start, 3)
    summary["warnings"] += _notes(image, found)
    lines = [describe(summary, image.n_frames), *(f"{what}: {where}" for what, where in written.items())]
    answer({**summary, "written": written}, "\n".join(lines), as_json=as_json)
