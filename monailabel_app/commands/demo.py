"""`cardiac-motion demo`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from cardiac_motion.cli.console import answer, progress_bar
from cardiac_motion.cli.outputs import check_output_folder, make_output_folder
from cardiac_motion.cli.propagate import describe
from cardiac_motion.demo import DEMO_SEED, check_truth, phantom_demo, run_demo
from cardiac_motion.errors import InputError
from cardiac_motion.evaluation import comparison_table
from cardiac_motion.io import check_labels, read_cine, read_labels
from cardiac_motion.motion_cache import MotionCache
from cardiac_motion.pipeline import read_key_frames
from cardiac_motion.registration.registry import DEFAULT_MOTION_MODEL, motion_model


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to; made if need be.")] = Path(
        "demo_output"
    ),
    cine: Annotated[Path | None, typer.Option(help="Your own cine instead of a phantom.")] = None,
    labels: Annotated[
        list[str] | None, typer.Option(help="Labels of a key frame of your cine, as FILE@FRAME; may be repeated.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="4D labels of frames of your cine to compare with; frames may be empty.")
    ] = None,
    model: Annotated[str, typer.Option(help="Motion model.")] = DEFAULT_MOTION_MODEL,
    seed: Annotated[int, typer.Option(min=0, help="Of the phantom.")] = DEMO_SEED,
    cache: Annotated[bool, typer.Option(help="Keep the motion for the next time.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show the main job: contours carried through a cycle, one frame corrected, a table, a curve and a film."""
    chosen = motion_model(model)
    if (cine is None) != (not labels):
        raise InputError("a demo on your own cine needs both --cine and --labels FILE@FRAME")
    if cine is None and truth is not None:
        raise InputError("--truth belongs to --cine; a phantom knows its own")
    check_output_folder(output)
    start = time.perf_counter()
    store = MotionCache() if cache else None
    with progress_bar() as report:
        if cine is None:
            make_output_folder(output)
            made = phantom_demo(output, chosen, seed=seed, cache=store, progress=report)
        else:
            image = read_cine(cine)
            key_frames = read_key_frames(labels or [], image)
            known = None
            if truth is not None:
                label_image = read_labels(truth)
                check_labels(label_image, image)
                if not label_image.is_4d:
                    raise InputError(f"{truth}: expected 4D labels, got a 3D file")
                known = label_image.labels
                check_truth(known, key_frames)
            make_output_folder(output)
            made = run_demo(output, image, key_frames, chosen, truth=known, cache=store, progress=report)
    seconds = time.perf_counter() - start
    lines = [f"{name}: {describe(run)}" for name, run in made.runs.items()]
    if made.corrected_frame is not None:
        lines.append(f"corrected frame: {made.corrected_frame} (the truth stands for the reader)")
    if made.comparison:
        lines += ["", comparison_table(made.comparison), ""]
    lines += [f"{what}: {where}" for what, where in made.written.items()]
    lines.append(f"done in {seconds:.0f} s")
    answer({**made.summary(), "seconds": round(seconds, 2)}, "\n".join(lines), as_json=as_json)
