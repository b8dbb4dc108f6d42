"""Processes that read mutants; one that crashes or hangs is replaced, and its mutant is known."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection as connections
from pathlib import Path
from typing import Any

import psutil

from benchmarks.fuzz import worker
from benchmarks.fuzz.outcome import Job, Kind, Outcome
from benchmarks.fuzz.target import Sample, Target

CPU_SECONDS = 10.0
"""Of one mutant: more is a hang."""
STILL_SECONDS = 120.0
"""A process that for so long had nothing to compute waits for something that does not come."""
_POLL_SECONDS = 0.5
_DEAD, _IDLE = "dead", "idle"

Work = Mapping[str, tuple[Target, list[Sample]]]


@dataclass
class _Process:
    """One process and what it is at."""

    pipe: connections.Connection
    process: Any
    job: Job | None = None
    step: str = ""
    cpu: float = 0.0
    since: float = field(default_factory=time.monotonic)
    mutant: tuple[str, str] = ("", "")
    read: Outcome | None = None
    hang: str = ""


def run(
    jobs: Sequence[Job],
    work: Work,
    *,
    processes: int | None = None,
    cpu_seconds: float = CPU_SECONDS,
    still_seconds: float = STILL_SECONDS,
) -> Iterator[Outcome]:
    """Outcomes of mutants, each as it is known.

    Args:
        jobs: the mutants.
        work: target and samples by name of the target.
        processes: that work at once; by default one for each core.
        cpu_seconds: of one mutant; more is a hang.
        still_seconds: without anything to compute; more is a hang.

    Raises:
        RuntimeError: the fuzzer itself failed: a sample that is not read, or a mutant that cannot be made.
    """
    waiting = list(reversed(jobs))
    needed = {job.target for job in jobs}
    with tempfile.TemporaryDirectory(prefix="fuzz-work-") as folder:
        path = Path(folder) / "work.pickle"
        path.write_bytes(pickle.dumps({name: each for name, each in work.items() if name in needed}))
        pool = [_start(path) for _ in range(min(processes or os.cpu_count() or 1, len(jobs)))]
        try:
            while pool:
                for each in _ready(pool, cpu_seconds, still_seconds):
                    outcome = _advance(each, waiting)
                    if outcome is not None:
                        yield outcome
                    if each.step in {_DEAD, _IDLE}:
                        pool.remove(each)
                    if each.step == _DEAD and waiting:
                        pool.append(_start(path))
        finally:
            for each in pool:
                each.process.kill()


def _start(work: Path) -> _Process:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=worker.serve, args=(theirs, work), daemon=True)
    process.start()
    theirs.close()
    return _Process(ours, process)


def _ready(pool: list[_Process], cpu_seconds: float, still_seconds: float) -> list[_Process]:
    """Those that said something or ended; those that hang are ended here."""
    found = connections.wait([each.pipe for each in pool], _POLL_SECONDS)
    for each in pool:
        if each.pipe in found or each.step not in {worker.MADE, worker.READ}:
            continue
        each.hang = _hang(each, cpu_seconds, still_seconds)
        if each.hang:
            each.process.kill()
            each.process.join()
            each.step = f"{each.step}, hangs"
    return [each for each in pool if each.pipe in found or each.step.endswith("hangs")]


def _hang(each: _Process, cpu_seconds: float, still_seconds: float) -> str:
    """How a process hangs; empty if it does not."""
    try:
        process = psutil.Process(each.process.pid)
        family = (process, *process.children(recursive=True))
        times = [one.cpu_times() for one in family]
        is_still = all(one.status() != psutil.STATUS_RUNNING for one in family)
    except psutil.NoSuchProcess:
        return ""
    if sum(one.user + one.system for one in times) - each.cpu > cpu_seconds:
        return f"more than {cpu_seconds:g} s of CPU"
    if not is_still:
        # On a machine that is busy with other things a process may be ready for long and get no turn.
        each.since = time.monotonic()
    return f"still for {still_seconds:g} s" if time.monotonic() - each.since > still_seconds else ""


def _advance(each: _Process, waiting: list[Job]) -> Outcome | None:
    """Take what a process said, and give it its next job; an outcome if there is one."""
    outcome: Outcome | None = None
    said = _said(each)
    if said is None:
        outcome = _ended(each)
        each.step = _DEAD
        return outcome
    step, each.cpu, content = said
    each.step, each.since = step, time.monotonic()
    if step == worker.MADE:
        each.mutant = content
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
    each.read, each.mutant = None, ("", "")
    each.pipe.send(each.job)
    if each.job is None:
        each.process.join()
        each.step = _IDLE


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
        return Outcome(each.job, Kind.HANG, *each.mutant, each.hang)
    return Outcome(each.job, Kind.CRASH, *each.mutant, f"the process ended with {code}")
