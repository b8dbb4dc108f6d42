"""A process that reads mutants under limits, and says at every step what it is about to do."""

from __future__ import annotations

import os
import pickle
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from cardiac_motion.errors import GeometryWarning, InputError

from benchmarks.dicom_folders import write_files
from benchmarks.fuzz.outcome import Job, Kind, Outcome
from benchmarks.fuzz.target import CannotTellError, Mutant, Sample, Target, same_refusal

ADDRESS_SPACE = 2 * 2**30
"""Bytes that a process may ask for beyond what it has once it is ready."""

READY, MADE, READ, DONE = "ready", "made", "read", "done"
"""What a process says: ready for jobs; a mutant is made, and will be read; it was, and will be judged; done."""

_DECODER = "cardiac_motion.dicom.decoding"
"""The one program that a reader starts."""
_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


def serve(connection: Connection, work_file: Path) -> None:
    """Read mutants until there are no more jobs.

    Says tuples (step, CPU seconds so far, what). A crash after `MADE` and before `READ` is the reader's; after
    `READ` it is that of the reader which the result is compared with.

    Args:
        connection: jobs come in and steps go out; None as a job ends it.
        work_file: pickled (target, samples) by name of the target.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # A file that this program has just written; nobody else's.
    work: Mapping[str, tuple[Target, list[Sample]]] = pickle.loads(work_file.read_bytes())
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name, _silence(Path(name) / "noise") as noise:
        reader = _Reader(Path(name) / "files", Path(name) / "noise", connection)
        for target, samples in work.values():
            for number, sample in enumerate(samples):
                _warm_up(target, sample, reader, number)
        _limit_memory()
        connection.send((READY, time.process_time(), None))
        while (job := connection.recv()) is not None:
            target, samples = work[job.target]
            mutant = target.mutate(samples, job.luck())
            connection.send((MADE, time.process_time(), (mutant.what, mutant.kind)))
            outcome = reader.outcome(target, job, mutant)
            os.ftruncate(noise, 0)
            connection.send((DONE, time.process_time(), outcome))


def _warm_up(target: Target, sample: Sample, reader: _Reader, number: int) -> None:
    """Read a sample, so that libraries are loaded; it must be read, and be right."""
    outcome = reader.outcome(target, Job(target.name, -1, number), Mutant(sample.files, "untouched", sample.kind))
    if outcome.kind is not Kind.RESULT or not outcome.checked:
        raise RuntimeError(f"sample {number} of {target.name} is not read as it is: {outcome}")


class _Reader:
    """Writes mutants into a folder, reads and judges them."""

    def __init__(self, folder: Path, noise: Path, connection: Connection) -> None:
        self._folder, self._noise, self._connection = folder, noise, connection
        self._opened: list[str] = []
        self._is_watched = False
        self._own = tuple({str(Path(p).resolve()) for p in (sys.prefix, sys.base_prefix, *sys.path) if p})
        sys.addaudithook(self._watch)

    def outcome(self, target: Target, job: Job, mutant: Mutant) -> Outcome:
        """What comes of a mutant."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        write_files(mutant.files, self._folder)
        outcome = Outcome(job, Kind.RESULT, mutant.what, mutant.kind)
        before = _reset_peak()
        result: Any = None
        self._opened.clear()
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            start = time.process_time()
            self._is_watched = True
            try:
                result = target.read(self._folder, mutant.kind)
            except InputError as error:
                wrong = same_refusal(error)
                outcome = outcome.turned(Kind.NOISE if wrong else Kind.REFUSAL, wrong or str(error))
            except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
                outcome = outcome.turned(Kind.FOREIGN, traceback.format_exc())
            finally:
                self._is_watched = False
            seconds = time.process_time() - start
        peak = max(_peak() - before, 0.0)
        outcome = replace(outcome, seconds=seconds, megabytes=peak)
        noise = self._noises(warned)
        if noise and outcome.kind in {Kind.RESULT, Kind.REFUSAL}:
            outcome = outcome.turned(Kind.NOISE, noise)
        if outcome.kind is not Kind.RESULT:
            return outcome
        self._connection.send((READ, time.process_time(), outcome))
        return self._judged(target, mutant, result, outcome)

    def _judged(self, target: Target, mutant: Mutant, result: Any, outcome: Outcome) -> Outcome:
        own = mutant.check(result) if mutant.check else None
        checked, wrong = mutant.check is not None, own
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the other reader
            try:
                wrong = own or target.judge(self._folder, mutant.kind, result)
                checked = True
            except CannotTellError as error:
                outcome = outcome.turned(Kind.RESULT, f"not compared: {error}")
            except Exception as error:  # noqa: BLE001 - a fault of the judge is none of the reader
                outcome = outcome.turned(
                    Kind.RESULT, f"not compared: the judge failed, {type(error).__name__}: {error}"
                )
        if wrong:
            return outcome.turned(Kind.WRONG, wrong)
        return replace(outcome, checked=checked)

    def _watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._is_watched:
            return
        if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            path = str(Path(os.fsdecode(arguments[0])).resolve())
            if not path.startswith((str(self._folder), *self._own, "/proc", "/dev", "/sys")):
                self._opened.append(path)
        elif event == "subprocess.Popen" and _DECODER in map(str, arguments[1]):
            return
        elif event in {"socket.connect", "subprocess.Popen", "os.system", "os.exec", "urllib.Request"}:
            self._opened.append(event)

    def _noises(self, warned: Sequence[warnings.WarningMessage]) -> str:
        """What a reader said or did that it should not have."""
        found = [f"{w.category.__name__}: {w.message}" for w in warned if w.category is not GeometryWarning]
        found += [f"opened {path}" for path in self._opened]
        sys.stdout.flush()
        sys.stderr.flush()
        if self._noise.stat().st_size:
            found.append(f"wrote {self._noise.read_text(errors='replace')[:500]!r}")
        return "; ".join(found)


@contextmanager
def _silence(path: Path) -> Iterator[int]:
    """Send what is written to standard output and error, by any library, into a file."""
    with path.open("ab") as file:
        kept = os.dup(2)
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield file.fileno()
        except BaseException:
            os.dup2(kept, 2)
            raise


def _limit_memory() -> None:
    size = _megabytes("VmSize") or 0.0
    limit = int(size * 2**20) + ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _reset_peak() -> float:
    """Start to measure the largest memory anew, where the system can; the memory now, MiB."""
    try:
        _CLEAR_REFS.write_text("5")
    except OSError:
        return _peak()
    return _megabytes("VmRSS") or _peak()


def _peak() -> float:
    """The largest memory since `_reset_peak`, MiB."""
    return _megabytes("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def _megabytes(name: str) -> float | None:
    try:
        text = _STATUS.read_text()
    except OSError:
        return None
    line = next((line for line in text.splitlines() if line.startswith(f"{name}:")), None)
    return int(line.split()[1]) / 2**10 if line else None
