"""What all commands share: progress, warnings, errors, exit codes, JSON."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cardiac_motion.errors import InputError
from cardiac_motion.progress import Progress as Report

FAILED = 1
BAD_INPUT = 2
INTERRUPTED = 130


def fail(message: str) -> None:
    """One line on stderr."""
    typer.echo(f"cardiac-motion: error: {' '.join(message.split())}", err=True)


def note(message: str) -> None:
    """One line on stderr, of what a user may not expect and need not be wrong."""
    typer.echo(f"cardiac-motion: note: {' '.join(message.split())}", err=True)


@contextmanager
def plain_warnings() -> Iterator[list[str]]:
    """Warnings as one line each on stderr, the same one only once; the list gathers them."""
    seen: list[str] = []

    def show(
        message: Warning | str,
        category: type[Warning],  # noqa: ARG001 - the signature is given
        filename: str,  # noqa: ARG001
        lineno: int,  # noqa: ARG001
        file: TextIO | None = None,  # noqa: ARG001
        line: str | None = None,  # noqa: ARG001
    ) -> None:
        text = " ".join(str(message).split())
        if text not in seen:
            seen.append(text)
            typer.echo(f"cardiac-motion: warning: {text}", err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = show
        yield seen


@contextmanager
def progress_bar() -> Iterator[Report]:
    """A progress callback, drawn on stderr if that is a terminal."""
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield lambda _fraction, _message: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda fraction, message: bar.update(task, completed=fraction, description=message)


def answer(result: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """Print one JSON object, or the text for people."""
    typer.echo(json.dumps(result, allow_nan=False) if as_json else text)


def parse_settings(settings: list[str]) -> dict[str, str]:
    """Arguments NAME=VALUE as a dictionary.

    Raises:
        InputError: an argument without "=", or a name that comes twice.
    """
    found: dict[str, str] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not (name and equals):
            raise InputError(f"an option of the model is given as NAME=VALUE, got {setting!r}")
        if name in found:
            raise InputError(f"option {name} is given twice")
        found[name] = value
    return found
