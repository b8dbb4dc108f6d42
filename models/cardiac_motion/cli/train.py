"""`cardiac-motion train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cardiac_motion.cli.console import answer, parse_settings, progress_bar
from cardiac_motion.cli.outputs import check_output_folder
from cardiac_motion.datasets import read_split
from cardiac_motion.errors import InputError


def train(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the run; training/MODEL by default.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Fine-tune on the labelled cases of this data set's folder.")
    ] = None,
    unlabelled: Annotated[
        Path | None,
        typer.Option(
            help="Train the model on what it finds itself on the cines of this data set's folder, where its "
            "segmentation and the motion agree; beside --data or alone. Labels there are not looked at."
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder.")] = False,
    steps: Annotated[int | None, typer.Option(help="Updates of the weights, at most.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Of training, at most.")] = None,
    start_from: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Weights to start from: a file, the name of shipped ones, or 'nothing'. By default the shipped "
            "ones with --data or --unlabelled, nothing without.",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of first weights, dropout and batches.")] = None,
    option: Annotated[list[str] | None, typer.Option(help="Other option of training as NAME=VALUE.")] = None,
    clips: Annotated[
        int | None, typer.Option(min=1, help="Synthetic clips to train on; they are drawn once and kept.")
    ] = None,
    split: Annotated[Path | None, typer.Option(help="Train on some patients alone, by a file of `split`.")] = None,
    fold: Annotated[int | None, typer.Option(help="Of a split into folds: the one held out.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda; a GPU where there is one by default.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train a model on synthetic hearts, or fine-tune it on data sets; writes weights and their card."""
    # They take seconds to import, which no other command should.
    from cardiac_motion.training.distributed import process_group  # noqa: PLC0415
    from cardiac_motion.training.run import train_model  # noqa: PLC0415

    if fold is not None and split is None:
        raise InputError("--fold is of a split: expected --split with it")
    if split is not None and data is None:
        raise InputError("--split is of a data set: expected --data with it")
    folder = output if output is not None else Path("training") / model
    check_output_folder(folder)
    changes: dict[str, Any] = dict(parse_settings(option or []))
    for name, value in (("steps", steps), ("minutes", minutes), ("seed", seed)):
        if value is not None:
            if name in changes:
                raise InputError(f"option {name} is given twice")
            changes[name] = value
    with process_group() as own_device, progress_bar() as report:
        trained = train_model(
            model,
            folder,
            data=data,
            part=(read_split(split), fold) if split is not None else None,
            unlabelled=unlabelled,
            start_from=start_from,
            resume=resume,
            changes=changes,
            clips=clips,
            device=device if device is not None else own_device,
            progress=report,
        )
    if trained is None:
        return
    result = trained.result
    figures = ", ".join(f"{name} {value:.3f}" for name, value in trained.scores.items())
    answer(
        trained.to_json(),
        f"{trained.model}: {result.steps} steps in {result.seconds / 60:.1f} min (ended by its {result.reason}), "
        f"weights of step {result.kept_step}\nvalidation: {figures}\nwritten to {trained.weights}",
        as_json=as_json,
    )
