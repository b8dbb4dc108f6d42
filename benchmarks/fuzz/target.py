"""What the fuzzer needs to know of a kind of files: valid ones, how to damage them, who reads and who checks."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cardiac_motion.errors import InputError

from benchmarks.dicom_folders import Files


class CannotTellError(Exception):
    """No independent reader understands the file, so that nothing can be compared."""


@dataclass(frozen=True)
class Sample:
    """Valid files.

    Attributes:
        files: of a folder.
        kind: which of the target's readers they are for, and whatever else the target knows them by.
    """

    files: Files
    kind: str


@dataclass(frozen=True)
class Mutant:
    """Damaged files.

    Attributes:
        files: of a folder.
        what: was done to them, in words.
        kind: as in `Sample`.
        check: what the mutation itself knows of the result: a sentence if it is wrong.
    """

    files: Files
    what: str
    kind: str
    check: Callable[[Any], str | None] | None = None


class Target(Protocol):
    """A kind of files and its reader."""

    name: str

    def samples(self) -> list[Sample]:
        """Valid files, small; made once for all processes."""
        ...

    def mutate(self, samples: Sequence[Sample], luck: random.Random) -> Mutant:
        """One of the samples, damaged."""
        ...

    def read(self, folder: Path, kind: str) -> Any:
        """What the package makes of a folder with these files.

        Raises:
            InputError: they are refused.
        """
        ...

    def judge(self, folder: Path, kind: str, result: Any) -> str | None:
        """What is wrong with a result, by another reader of the same files; None if it is right.

        Raises:
            CannotTellError: no other reader understands them.
        """
        ...


def same_refusal(error: InputError) -> str | None:
    """What is wrong with the form of a refusal: it is one short line."""
    text = str(error)
    if not text.strip():
        return "an InputError without a message"
    if len(text) > 1500:
        return f"an InputError of {len(text)} characters"
    if "\n" in text or "\r" in text:
        return "an InputError of several lines"
    # Whoever prints or sends it would fail over it.
    return None if _can_be_written(text) else f"an InputError that cannot be printed: {text!r}"


def _can_be_written(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
