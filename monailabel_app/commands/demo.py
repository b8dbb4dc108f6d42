"""`cardiac-motion demo`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import typer
from cardiac_motion.cine import Cine
from cardiac_motion.cli.console import answer, note, progress_bar
from cardiac_motion.cli.outputs import check_output_folder, make_output_folder
from cardiac_motion.cli.propagate import describe
from cardiac_motion.demo import DEMO_SEED, Labels, check_truth
from cardiac_motion.errors import CardiacMotionError, InputError
from cardiac_motion.evaluation import comparison_table
from cardiac_motion.io import check_labels, read_cine, read_labels
from cardiac_motion.motion_cache import default_cache_folder
from cardiac_motion.pipeline import read_key_frames
from cardiac_motion.registration.registry import DEFAULT_MOTION_MODEL, motion_model


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to; made if need be.")] = Path(
        "demo_output"
    ),
    cine: Annotated[Path | None, typer.Option(help="Your own cine instead of a phantom.")] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            help="Labels of a key frame of your cine as FILE@FRAME; may be repeated. A 4D file "
            "without @FRAME gives each of its frames that is not empty."
        ),
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="4D labels of frames of your cine to compare with; frames may be empty.")
    ] = None,
    model: Annotated[str, typer.Option(help="Motion model.")] = DEFAULT_MOTION_MODEL,
    seed: Annotated[int, typer.Option(min=0, help="Of the phantom.")] = DEMO_SEED,
    cache: Annotated[bool, typer.Option(help="Keep the motion for the next time.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show the main job over HTTP: contours carried through a cycle, a frame corrected; table, curve and film."""
    # Other commands need not wait for what only this one imports.
    from monailabel_app.demo import demo_server, describe_exchange, phantom_demo, run_demo  # noqa: PLC0415

    name = motion_model(model).name
    if (cine is None) != (not labels):
        raise InputError("a demo on your own cine needs both --cine and --labels FILE@FRAME")
    if cine is None and truth is not None:
        raise InputError("--truth belongs to --cine; a phantom knows its own")
    check_output_folder(output)
    start = time.perf_counter()
    own = None if cine is None else _read_own(cine, labels or [], truth)
    make_output_folder(output)
    with _failures_as_ours(), ExitStack() as stack:
        report = stack.enter_context(progress_bar())
        report(0.0, "starting the server")
        client = stack.enter_context(demo_server(default_cache_folder() if cache else None))
        if own is None:
            made = phantom_demo(client, output, seed=seed, model=name, progress=report)
        else:
            image, key_frames, known = own
            made = run_demo(
                client, output, image, key_frames, source=cine, model=name, truth=known, progress=report
            )
    seconds = time.perf_counter() - start
    lines = [f"{run_name}: {describe(run.summary)}" for run_name, run in made.runs.items()]
    if made.corrected_frame is not None:
        lines.append(f"corrected frame: {made.corrected_frame} (the truth stands for the reader)")
    lines.append(describe_exchange(made))
    if made.comparison:
        lines += ["", comparison_table(made.comparison), ""]
    lines += [f"{what}: {where}" for what, where in made.written.items()]
    lines.append(f"done in {seconds:.0f} s")
    answer({**made.summary(), "seconds": round(seconds, 2)}, "\n".join(lines), as_json=as_json)


@contextmanager
def _failures_as_ours() -> Iterator[None]:
    """Errors of the client as those that the command line tells in one line."""
    from CardiacMotionLib.client import BadCall, ClientError  # noqa: PLC0415 - as above

    try:
        yield
    except BadCall as error:
        raise InputError(str(error)) from error
    except ClientError as error:
        raise CardiacMotionError(str(error)) from error


def _read_own(cine: Path, labels: list[str], truth: Path | None) -> tuple[Cine, dict[int, Labels], Labels | None]:
    """The user's own cine, key frames, and truth if there is one."""
    image = read_cine(cine)
    key_frames = read_key_frames(labels, image, note=note)
    if truth is None:
        return image, key_frames, None
    label_image = read_labels(truth)
    check_labels(label_image, image)
    if not label_image.is_4d:
        raise InputError(f"{truth}: expected 4D labels, got a 3D file")
    check_truth(label_image.labels, key_frames)
    return image, key_frames, label_image.labels
