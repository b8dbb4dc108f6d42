"""`cardiac-motion evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cardiac_motion.cli.console import answer, parse_settings, progress_bar
from cardiac_motion.datasets import read_split
from cardiac_motion.evaluation import evaluate_folder
from cardiac_motion.registration.base import with_options
from cardiac_motion.registration.registry import DEFAULT_MOTION_MODEL, motion_model


def evaluate(
    data: Annotated[
        Path,
        typer.Argument(
            help="Folder of a data set, told by its files: ACDC, M&Ms, Sunnybrook, ukbb_cardiac, studies of a "
            "server; or of cines with labels (NAME, NAME_labels), of folders of studies (cine, labels) or of "
            "pairs (NAME_ED and NAME_ES, each with _gt or _endo)."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for tables and figures.")],
    model: Annotated[list[str] | None, typer.Option(help="Motion model; may be repeated.")] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="Option as NAME=VALUE, of every model that is evaluated.")
    ] = None,
    split: Annotated[
        Path | None, typer.Option(help="Only some patients, by a file of `cardiac-motion split`.")
    ] = None,
    fold: Annotated[int | None, typer.Option(help="Of a split into folds: the one held out, from 0.")] = None,
    part: Annotated[str | None, typer.Option(help="Of another split: the part; test by default.")] = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Leave out cases that cannot be read, and list them.")
    ] = False,
    figures: Annotated[bool, typer.Option("--figures", help="Also draw the figures.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Carry ED labels to every labelled frame and score them, the unregistered labels beside them."""
    models = {name: motion_model(name) for name in model or [DEFAULT_MOTION_MODEL]}
    changes = parse_settings(option or [])
    options = {name: with_options(each.default_options, changes) for name, each in models.items()}
    with progress_bar() as report:
        found = evaluate_folder(
            data,
            models=models,
            output=output,
            figures=figures,
            options=options,
            split=read_split(split) if split is not None else None,
            fold=fold,
            part=part,
            keep_going=keep_going,
            progress=report,
        )
    answer(
        {**found.to_json(), "written": str(output)},
        f"{found.markdown(figures=False)}\nwritten to {output}",
        as_json=as_json,
    )
