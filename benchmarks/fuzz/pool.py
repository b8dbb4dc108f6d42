"""Processes that read mutants; one that crashes or hangs is replaced, and its mutant is known."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection as connections
from pathlib import Path
from typing import Any

import psutil

from benchmarks.fuzz import worker
from benchmarks.fuzz.outcome import Job, Kind, Outcome
from benchmarks.fuzz.target import Sample

CPU_SECONDS = 10.0
"""Of one mutant: more is a hang."""
_STILL_SECONDS = 120.0
"""A process that has used no CPU time for so long waits for something."""
_POLL_SECONDS = 0.5


@dataclass
class _Process:
    """One process and what it is at."""

    pipe: connections.Connection
    process: Any
    job: Job | None = None
    step: str = ""
    cpu: float = 0.0
    since: float = field(default_factory=time.monotonic)
    what: str = ""
    read: Outcome | None = None


def run(
    jobs: Sequence[Job], samples: dict[str, list[Sample]], *, processes: int | None = None
) -> Iterator[Outcome]:
    """Outcomes of mutants, each as it is known.

    Args:
        jobs: the mutants.
        samples: valid files by name of the target.
        processes: that work at once; by default one for each core.

    Raises:
        RuntimeError: the fuzzer itself failed: samples that are not read, or a judge that raises.
    """
    count = min(processes or os.cpu_count() or 1, len(jobs))
    waiting = list(reversed(jobs))
    names = sorted({job.target for job in jobs})
    with tempfile.TemporaryDirectory(prefix="fuzz-samples-") as folder:
        path = Path(folder) / "samples.pickle"
        path.write_bytes(pickle.dumps(samples))
        pool = [_start(path, names) for _ in range(count)]
        try:
            while pool:
                for each in _ready(pool):
                    outcome = _advance(each, waiting)
                    if outcome is not None:
                        yield outcome
                    if each.step == "dead":
                        pool.remove(each)
                        if waiting:
                            pool.append(_start(path, names))
                    elif each.step == "idle":
                        pool.remove(each)
        finally:
            for each in pool:
                each.process.kill()


def _start(samples: Path, names: Sequence[str]) -> _Process:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=worker.serve, args=(theirs, samples, names), daemon=True)
    process.start()
    theirs.close()
    return _Process(ours, process)


def _ready(pool: list[_Process]) -> list[_Process]:
    """Those that said something or ended; those that hang are ended here."""
    found = connections.wait([each.pipe for each in pool], _POLL_SECONDS)
    for each in pool:
        if each.pipe not in found and each.step in {worker.MADE, worker.READ} and _hangs(each):
            each.process.kill()
            each.process.join()
            each.step = f"{each.step}, hangs"
    return [each for each in pool if each.pipe in found or each.step.endswith("hangs")]


def _hangs(each: _Process) -> bool:
    try:
        process = psutil.Process(each.process.pid)
        times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    except psutil.NoSuchProcess:
        return False
    used = sum(one.user + one.system for one in times) - each.cpu
    return used > CPU_SECONDS or (time.monotonic() - each.since > _STILL_SECONDS and used < 1.0)


def _advance(each: _Process, waiting: list[Job]) -> Outcome | None:
    """Take what a process said, and give it its next job; an outcome if there is one."""
    outcome: Outcome | None = None
    said = _said(each)
    if said is None:
        outcome = _ended(each)
        each.step = "dead"
        return outcome
    step, each.cpu, content = said
    each.step, each.since = step, time.monotonic()
    if step == worker.MADE:
        each.what = content
    elif step == worker.READ:
        each.read = content
    else:
        outcome = content if step == worker.DONE else None
        _next(each, waiting)
    return outcome


def _said(each: _Process) -> tuple[str, float, Any] | None:
    """What a process says; None if it is no more."""
    if each.step.endswith("hangs"):
        return None
    try:
        return each.pipe.recv()
    except (EOFError, OSError):
        return None


def _next(each: _Process, waiting: list[Job]) -> None:
    each.job = waiting.pop() if waiting else None
    each.read, each.what = None, ""
    each.pipe.send(each.job)
    if each.job is None:
        each.process.join()
        each.step = "idle"


def _ended(each: _Process) -> Outcome:
    """The outcome of a mutant at which a process ended."""
    each.process.join()
    code = each.process.exitcode
    if each.job is None or each.step in {worker.READY, worker.DONE}:
        raise RuntimeError(f"a process of the fuzzer ended with {code} where it made {each.job or 'no mutant'}")
    if each.step.startswith(worker.READ) and each.read is not None:
        # The other reader's crash or hang says nothing about ours.
        return each.read.turned(each.read.kind, f"not compared: the other reader ended with {code}")
    if each.step.endswith("hangs"):
        return Outcome(each.job, Kind.HANG, each.what, f"more than {CPU_SECONDS:g} s of CPU", seconds=CPU_SECONDS)
    return Outcome(each.job, Kind.CRASH, each.what, f"the process ended with {code}")
