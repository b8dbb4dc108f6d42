"""Outputs of the commands: checked before the work starts, and put in place together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cardiac_motion.atomic import check_target, put_in_place, temporary_beside
from cardiac_motion.errors import InputError


@dataclass(frozen=True)
class Output:
    """One output of a command.

    Attributes:
        path: where it is to be.
        is_folder: a folder, rather than a file.
        names: of the files in such a folder; numbers in them do not count.
    """

    path: Path
    is_folder: bool = False
    names: tuple[str, ...] = ()


def check_outputs(outputs: Mapping[str, Output], inputs: Sequence[tuple[str, Path]]) -> None:
    """Refuse outputs that could not be put in place, or that would replace each other or an input.

    Args:
        outputs: by what they are, as the message is to call them.
        inputs: files or folders that are read, each after what it is.

    Raises:
        InputError: names the output, and what it collides with.
    """
    for output in outputs.values():
        folder = output.path.resolve().parent
        check_output_folder(folder)
        if folder.is_dir():
            check_target(output.path, is_folder=output.is_folder, names=output.names)
    taken = list(inputs)
    for what, output in outputs.items():
        for other, path in taken:
            if _overlap(output.path, path):
                raise InputError(
                    f"the {what} cannot be written to {output.path}: the {other} is {path}; "
                    "expected a path of its own"
                )
        taken.append((what, output.path))


def _overlap(one: Path, other: Path) -> bool:
    """Whether two paths are the same, or one lies in the other."""
    one, other = one.resolve(), other.resolve()
    # The same file under two names that differ in case, on systems that do not tell these apart.
    if one.exists() and other.exists() and one.samefile(other):
        return True
    return one.is_relative_to(other) or other.is_relative_to(one)


@contextmanager
def folders_made(paths: Iterable[Path]) -> Iterator[None]:
    """Make the folders that outputs are to lie in; an error in the block removes again what was made for it.

    Raises:
        InputError: one cannot be made.
    """
    made: list[Path] = []
    try:
        for path in paths:
            folder = path.resolve().parent
            made += [place for place in (folder, *folder.parents) if not place.exists()]
            make_output_folder(folder)
        yield
    except BaseException:
        for place in sorted(made, key=lambda place: len(place.parts), reverse=True):
            # Somebody else may have put something there by now, and it stays.
            with suppress(OSError):
                place.rmdir()
        raise


@contextmanager
def staged(outputs: Mapping[str, Output]) -> Iterator[dict[str, Path]]:
    """Yield a temporary path for every output; they take their names once the block ends without an error.

    None of them appears before all are complete; an error in the block, or in taking the names, leaves everything
    as it was. Folders that they are to lie in are made.

    Raises:
        InputError: an output that cannot be written, by its final name; also in place of any OSError.
    """
    with ExitStack() as stack:
        # A folder, for which more can go wrong, comes before the files.
        order = sorted(outputs, key=lambda what: not outputs[what].is_folder)
        paths: dict[str, Path] = {}
        stack.enter_context(folders_made(output.path for output in outputs.values()))
        try:
            for what in order:
                output = outputs[what]
                paths[what] = stack.enter_context(temporary_beside(output.path, is_folder=output.is_folder))
            yield paths
            put_in_place([(paths[what], outputs[what].path) for what in order])
        except (InputError, OSError) as error:
            message = str(error) if isinstance(error, InputError) else f"cannot write the outputs: {error}"
            for what, path in paths.items():
                message = message.replace(str(path), str(outputs[what].path))
            raise InputError(message) from error


def check_output_folder(path: Path) -> None:
    """Refuse a folder for outputs that could not be made, without making it.

    Raises:
        InputError: it, or what it is to lie in, is a file.
    """
    nearest = next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())
    if not nearest.is_dir():
        raise InputError(f"expected a folder to write to, got {path}: {nearest} is a file")


def make_output_folder(path: Path) -> None:
    """Make a folder for outputs, and those above it.

    Raises:
        InputError: it cannot be made.
    """
    check_output_folder(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"expected a folder to write to, got {path}: {error.strerror}") from error
