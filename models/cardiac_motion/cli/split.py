"""`cardiac-motion split`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cardiac_motion.cli.console import answer
from cardiac_motion.cli.outputs import Output, check_outputs, folders_made
from cardiac_motion.datasets import FRACTIONS, Split, find_dataset, folds, read_split, split, write_split
from cardiac_motion.errors import InputError


def split_command(
    data: Annotated[Path, typer.Argument(help="Folder of a data set, as `evaluate` takes it.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="JSON file to write.")],
    k: Annotated[int | None, typer.Option("--folds", help="Folds of nearly one size instead of parts.")] = None,
    fraction: Annotated[
        list[str] | None,
        typer.Option(help="Share of a part as NAME=NUMBER, for every part; train 0.7, validation and test 0.15."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another one gives another split.")] = 0,
    keep: Annotated[
        Path | None, typer.Option(help="An earlier split: its patients stay where they are, new ones are added.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Part a data set by patient, each group of patients alike, and write down who is where."""
    check_outputs({"split": Output(output)}, [])
    dataset = find_dataset(data)
    earlier = read_split(keep) if keep is not None else None
    if k is not None and fraction:
        raise InputError("expected either --folds or --fraction, got both")
    made = (
        folds(dataset.cases, k, seed=seed, earlier=earlier)
        if k is not None
        else split(dataset.cases, seed=seed, fractions=_fractions(fraction or []), earlier=earlier)
    )
    with folders_made([output]):
        write_split(output, made)
    answer(
        {"data_set": dataset.name, "parts": _counts(made), "written": str(output)},
        f"{dataset.name}: patients in " + ", ".join(f"{n}: {count}" for n, count in _counts(made).items())
        + f"; written to {output}",
        as_json=as_json,
    )  # fmt: skip


def _counts(made: Split) -> dict[str, int]:
    return {name: len(patients) for name, patients in made.parts.items()}


def _fractions(given: list[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for each in given:
        name, _, value = each.partition("=")
        try:
            share = float(value)
        except ValueError as error:
            raise InputError(f"expected the share of a part as NAME=NUMBER, got {each!r}") from error
        if not name or name in found:
            raise InputError(f"expected the share of each part once, got {each!r}")
        found[name] = share
    return found or dict(FRACTIONS)
