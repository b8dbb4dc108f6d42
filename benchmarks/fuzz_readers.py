"""The readers of files against files that lie: mutations of valid ones, in processes with limits.

    python -m benchmarks.fuzz_readers [--count 20000] [--seed 1] [--format NAME ...] [--keep DIR] [--markdown FILE]
    python -m benchmarks.fuzz_readers --replay FORMAT:SEED:NUMBER, or the folder of a fault

Every outcome has to be a result or an `InputError`, within 10 s of CPU and 2 GiB; a result has to be what another
reader (nibabel, pynrrd, ITK, pydicom ...) makes of the same file. What else comes is a fault: its files are kept,
with a name by which it is read again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from cardiac_motion.atomic import atomic_path

from benchmarks.fuzz.outcome import FAULTS, Job, Outcome
from benchmarks.fuzz.pool import Work, run
from benchmarks.fuzz.report import KeptTarget, faults, keep, table
from benchmarks.fuzz.targets import TARGETS


def make_work(names: Iterable[str]) -> Work:
    """Targets with valid files."""
    return {name: (TARGETS[name], TARGETS[name].samples()) for name in names}


def jobs_of(names: Sequence[str], count: int, seed: int) -> list[Job]:
    """So many mutants in all, equally many of each target."""
    return [Job(names[number % len(names)], seed, number // len(names)) for number in range(count)]


def replayed(fault: str) -> tuple[list[Job], Work]:
    """A mutant by the name of its fault, or by the folder in which it was kept."""
    folder = Path(fault)
    if not folder.is_dir():
        job = Job.parse(fault)
        return [job], make_work([job.target])
    job = Job.parse(json.loads((folder / "outcome.json").read_text(encoding="utf-8"))["job"])
    return [job], {job.target: (KeptTarget(TARGETS[job.target], folder), [])}


def _run(jobs: Sequence[Job], work: Work, keep_in: Path, processes: int | None) -> list[Outcome]:
    outcomes = []
    for outcome in run(jobs, work, processes=processes):
        outcomes.append(outcome)
        if outcome.kind in FAULTS:
            target, samples = work[outcome.job.target]
            # Made anew, as the processes made it.
            place = keep(outcome, target.mutate(samples, outcome.job.luck()).files, keep_in)
            print(f"{place}: {outcome.kind}: {outcome.what}: {outcome.text}", file=sys.stderr, flush=True)
        if len(outcomes) % 1000 == 0:
            print(f"{len(outcomes)} of {len(jobs)}", file=sys.stderr, flush=True)
    return outcomes


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 0 if there is no fault, else 1."""
    parser = argparse.ArgumentParser(description="The readers of files against files that lie.")
    parser.add_argument("--count", type=int, default=20_000, help="mutants in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--format", choices=sorted(TARGETS), action="append", help="all by default")
    parser.add_argument("--processes", type=int, help="at once; by default one for each core")
    parser.add_argument("--keep", type=Path, default=Path("results/fuzz"), help="where faults are kept")
    parser.add_argument("--replay", help="one mutant: FORMAT:SEED:NUMBER, or the folder in which it was kept")
    parser.add_argument("--verbose", action="store_true", help="say what came of every mutant")
    parser.add_argument("--markdown", type=Path, help="write the table to this file, too")
    chosen = parser.parse_args(arguments)
    names = chosen.format or list(TARGETS)
    if chosen.replay:
        jobs, work = replayed(chosen.replay)
    else:
        jobs, work = jobs_of(names, chosen.count, chosen.seed), make_work(names)
    outcomes = _run(jobs, work, chosen.keep, chosen.processes)
    if chosen.replay or chosen.verbose:
        for outcome in outcomes:
            checked = " (compared)" if outcome.checked else ""
            print(f"{outcome.job} {outcome.kind}{checked}: {outcome.what}: {outcome.text}")
    text = table(outcomes)
    print(text)
    if chosen.markdown:
        with atomic_path(chosen.markdown) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    return int(bool(faults(outcomes)))


if __name__ == "__main__":
    raise SystemExit(main())
