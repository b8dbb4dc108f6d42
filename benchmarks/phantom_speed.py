"""How fast phantoms are made.

    python -m benchmarks.phantom_speed [--workers 2]

Two-frame 128 x 128 slices for training are drawn by worker processes of one thread each, as a data loader would;
a full cine (25 frames, 10 slices, labels, displacements and strain) is made in one process.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Sequence

import torch
from cardiac_motion.phantom import TUNING_SEEDS, PhantomOptions, make_study, training_slices

COUNT = 48


def _start() -> None:
    torch.set_num_threads(1)
    training_slices(0, 1)


def _draw(seed: int) -> int:
    return len(training_slices(seed, COUNT).images)


def slices_per_second(workers: int) -> float:
    """Rate of drawing over all workers, their start left aside."""
    with multiprocessing.get_context("spawn").Pool(workers, initializer=_start) as pool:
        pool.map(abs, range(workers))
        start = time.perf_counter()
        drawn = sum(pool.map(_draw, TUNING_SEEDS[:workers], chunksize=1))
        return drawn / (time.perf_counter() - start)


def cine_seconds(*, motion_truth: bool) -> float:
    """Time for one cine of 25 frames and 10 slices."""
    options = PhantomOptions(slices=10, motion_truth=motion_truth)
    start = time.perf_counter()
    make_study(TUNING_SEEDS[0], options)
    return time.perf_counter() - start


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2, help="processes, and threads for the cine")
    workers = parser.parse_args(arguments).workers
    print(f"two-frame slices of 128 x 128: {slices_per_second(workers):.1f} a second ({workers} processes)")
    torch.set_num_threads(workers)
    for truth in (False, True):
        name = "with displacements and strain" if truth else "images, labels and volumes"
        print(
            f"cine of 25 frames, 10 slices, {name}: {cine_seconds(motion_truth=truth):.1f} s ({workers} threads)"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
