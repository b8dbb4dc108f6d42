"""The commands of `cardiac-motion` and the entry point."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from cardiac_motion import __version__
from cardiac_motion.cli.align import align, align_back
from cardiac_motion.cli.average import average_weights_command
from cardiac_motion.cli.console import BAD_INPUT, FAILED, INTERRUPTED, fail, plain_warnings
from cardiac_motion.cli.evaluate import evaluate, merge_folds_command
from cardiac_motion.cli.import_ import import_
from cardiac_motion.cli.phantom import phantom
from cardiac_motion.cli.plugins import add_commands
from cardiac_motion.cli.propagate import propagate
from cardiac_motion.cli.segment import segment
from cardiac_motion.cli.split import split_command
from cardiac_motion.cli.train import train
from cardiac_motion.errors import Cancelled, CardiacMotionError, InputError


def make_app() -> typer.Typer:
    """The commands of this package, and those that other packages add."""
    app = typer.Typer(
        help="Contours on every frame of a cine cardiac MR.",
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback(invoke_without_command=True)(_common)
    for command in (propagate, segment, evaluate, phantom, train):
        app.command()(command)
    app.command("import")(import_)
    app.command("split")(split_command)
    app.command("average-weights")(average_weights_command)
    app.command("merge-folds")(merge_folds_command)
    app.command()(align)
    app.command("align-back")(align_back)
    add_commands(app)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"cardiac-motion {__version__}")
        raise typer.Exit


def _common(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - its callback acts on it
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Contours on every frame of a cine cardiac MR."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and exit: 0; with a line on stderr 2 for bad input, 1 for other failures, 130 for Ctrl-C."""
    with plain_warnings():
        try:
            status = make_app()(args=list(arguments) if arguments is not None else None, standalone_mode=False)
            if status == INTERRUPTED:
                # On Ctrl-C typer ends the command with this status itself, without a word.
                fail("interrupted")
        except TyperException as error:
            fail(error.format_message())
            status = BAD_INPUT
        except InputError as error:
            fail(str(error))
            status = BAD_INPUT
        except (Cancelled, KeyboardInterrupt, typer.Abort):
            fail("interrupted")
            status = INTERRUPTED
        except CardiacMotionError as error:
            fail(str(error))
            status = FAILED
    sys.exit(status if isinstance(status, int) else 0)
