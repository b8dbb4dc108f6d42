"""`cardiac-motion average-weights`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cardiac_motion.cli.console import answer, progress_bar
from cardiac_motion.cli.outputs import Output, check_outputs, folders_made


def average_weights_command(
    weights: Annotated[list[str], typer.Argument(help="Two or more: files, or names of shipped weights.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write, .pt; its card lies beside it.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write the mean of weights of one model, such as of a network before and after it was trained on."""
    # It takes seconds to import, which no other command should.
    from cardiac_motion.training.average import average_weights  # noqa: PLC0415

    inputs = [("weights", Path(each)) for each in weights if Path(each).suffix == ".pt"]
    check_outputs({"mean": Output(output)}, inputs)
    with folders_made([output]), progress_bar() as report:
        checksum, scores = average_weights(weights, output, progress=report)
    figures = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
    answer(
        {"weights": str(output), "sha256": checksum, "scores": scores},
        f"mean of {len(weights)}; validation: {figures}\nwritten to {output}",
        as_json=as_json,
    )
