"""Readers that do what no reader may, for the fuzzer to find."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path

from cardiac_motion.errors import InputError

from benchmarks.fuzz.target import CannotTellError, Mutant, Sample

FILE = "file"


def _crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _hang() -> None:
    while True:
        pass


def _wait() -> None:
    threading.Event().wait()


def _take_memory() -> None:
    bytearray(2**32)


def _chatter() -> None:
    os.write(2, b"a word from C")


def _warn() -> None:
    warnings.warn("of something", RuntimeWarning, stacklevel=1)


def _look_elsewhere() -> None:
    Path("/etc/hosts").read_bytes()


_DEEDS = {
    "crash": _crash,
    "hang": _hang,
    "wait": _wait,
    "memory": _take_memory,
    "chatter": _chatter,
    "warning": _warn,
    "elsewhere": _look_elsewhere,
}


class LyingTarget:
    """A file of one word says what its reader does."""

    name = "lying"

    def __init__(self, words: Sequence[str], *, broken_sample: bool = False) -> None:
        self._words = tuple(words)
        self._sample = "nothing" if broken_sample else "right"

    def samples(self) -> list[Sample]:
        return [Sample({FILE: self._sample.encode()}, "")]

    def mutate(self, samples: Sequence[Sample], luck: random.Random) -> Mutant:
        word = luck.choice(self._words)
        return Mutant({FILE: word.encode()}, word, "", (lambda _: "known") if word == "known" else None)

    def read(self, folder: Path, kind: str) -> str:
        word = (folder / FILE).read_text()
        if word in {"refusal", "nothing"}:
            raise InputError("expected something else, got this")
        if word == "long refusal":
            raise InputError("x" * 5000)
        if word == "foreign":
            raise KeyError(word)
        if word in _DEEDS:
            _DEEDS[word]()
        return word

    def judge(self, folder: Path, kind: str, result: str) -> str | None:
        if result == "nobody knows":
            raise CannotTellError("nobody")
        if result == "judge crashes":
            sys.stderr.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        return "it is wrong" if result == "wrong" else None
