"""Commands that other packages add: the server's, which this package does not know."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer

from cardiac_motion.errors import CardiacMotionError

GROUP = "cardiac_motion.commands"
"""Group of entry points; each names a function as `typer.Typer.command` takes it."""


def add_commands(app: typer.Typer) -> None:
    """Add the commands of all installed packages, except those whose names are taken.

    A command that cannot be loaded is there all the same and says so when called; the others are not harmed.
    """
    taken = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    for entry in entry_points(group=GROUP):
        if entry.name in taken:
            warnings.warn(
                f"the command {entry.name} of {entry.value} is left out: the name is taken", stacklevel=2
            )
            continue
        taken.add(entry.name)
        try:
            app.command(entry.name)(_loaded(entry))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with another package
            _add_broken(app, entry, error)


def _loaded(entry: EntryPoint) -> Callable[..., Any]:
    command = entry.load()
    if not callable(command):
        raise TypeError(f"expected a function, got {type(command).__name__}")
    return command


def _add_broken(app: typer.Typer, entry: EntryPoint, error: Exception) -> None:
    reason = f"the command {entry.name} cannot be loaded from {entry.value}: {type(error).__name__}: {error}"

    def broken() -> None:
        raise CardiacMotionError(reason)

    settings = {"allow_extra_args": True, "ignore_unknown_options": True}
    app.command(entry.name, help="Cannot be loaded; calling it says why.", context_settings=settings)(broken)
