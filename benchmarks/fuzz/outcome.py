"""What came of one mutant."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from enum import StrEnum


class Kind(StrEnum):
    """How reading a mutant ended."""

    RESULT = "result"
    REFUSAL = "refusal"
    CRASH = "crash"
    HANG = "hang"
    FOREIGN = "foreign exception"
    NOISE = "noise"
    WRONG = "wrong image"


FAULTS = frozenset(Kind) - {Kind.RESULT, Kind.REFUSAL}


@dataclass(frozen=True)
class Job:
    """One mutant: the target, the seed of the run and the number of the mutant."""

    target: str
    seed: int
    number: int

    def __str__(self) -> str:
        return f"{self.target}:{self.seed}:{self.number}"

    def luck(self) -> random.Random:
        """What the mutant is made of: the same in every process."""
        return random.Random(str(self))

    @classmethod
    def parse(cls, text: str) -> Job:
        """From what `str` makes of it; ValueError for anything else."""
        target, seed, number = text.split(":")
        return cls(target, int(seed), int(number))


@dataclass(frozen=True)
class Outcome:
    """How reading a mutant ended.

    Attributes:
        job: the mutant.
        kind: of outcome.
        what: was done to the files.
        reader: which of the target's, as in `Sample.kind`.
        text: message of a refusal, or what is wrong.
        checked: an independent reader gave the same.
        seconds: CPU time of the process while it read.
        megabytes: by which its memory grew at most.
    """

    job: Job
    kind: Kind
    what: str = ""
    reader: str = ""
    text: str = ""
    checked: bool = False
    seconds: float = 0.0
    megabytes: float = 0.0

    def turned(self, kind: Kind, text: str) -> Outcome:
        """The same mutant with another end."""
        return replace(self, kind=kind, text=text)
