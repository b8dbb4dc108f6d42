"""How fast phantoms are made.

    python -m benchmarks.phantom_speed [--workers 2]

Two-frame 128 x 128 slices for training are drawn by worker processes, as a data loader would; a full cine
(25 frames, 10 slices, labels, displacements and strain) is made in one process and one thread. Processor time is
given beside the clock's: on a machine that is doing other things it is what the work itself takes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Sequence

from cardiac_motion.phantom import TUNING_SEEDS, PhantomOptions, make_study, training_slices

COUNT = 48
"""Slices drawn by each worker."""


def _start() -> None:
    training_slices(0, 1)


def _draw(seed: int) -> float:
    """Processor seconds for the slices of one worker."""
    start = time.process_time()
    training_slices(seed, COUNT)
    return time.process_time() - start


def slice_rates(workers: int) -> tuple[float, float]:
    """Slices per second of the clock, all workers together, and of processor time; starting left aside."""
    with multiprocessing.get_context("spawn").Pool(workers, initializer=_start) as pool:
        pool.map(abs, range(workers))
        start = time.perf_counter()
        spent = pool.map(_draw, TUNING_SEEDS[:workers], chunksize=1)
        return workers * COUNT / (time.perf_counter() - start), workers * COUNT / sum(spent)


def cine_seconds(*, motion_truth: bool) -> tuple[float, float]:
    """Time for one cine of 25 frames and 10 slices: of the clock, and of the processor."""
    options = PhantomOptions(slices=10, motion_truth=motion_truth)
    clock, processor = time.perf_counter(), time.process_time()
    make_study(TUNING_SEEDS[0], options)
    return time.perf_counter() - clock, time.process_time() - processor


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2, help="processes that draw slices")
    workers = parser.parse_args(arguments).workers
    rate, per_core = slice_rates(workers)
    print(f"two-frame slices of 128 x 128: {rate:.1f} a second by {workers} processes")
    print(f"  per second of processor time: {per_core:.1f}")
    for truth in (False, True):
        name = "with displacements and strain" if truth else "images, labels and volumes"
        clock, processor = cine_seconds(motion_truth=truth)
        print(f"cine of 25 frames and 10 slices, {name}: {clock:.1f} s, of the processor {processor:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
