"""How long the labels of all frames take to follow a corrected key frame, the motion being known.

    python -m benchmarks.propagation [--frames 25] [--slices 10] [--size 256] [--repeats 15]

On a phantom with its true motion, at the size of a clinical short-axis cine. Times are medians of the package
alone, from the corrected label to the labels of all frames.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
from cardiac_motion.labels import Label
from cardiac_motion.motion import Motion
from cardiac_motion.phantom import REPORT_SEEDS, PhantomOptions, PhantomStudy, make_study
from cardiac_motion.propagation import Propagator

Labels = npt.NDArray[np.uint8]


def motion_of(study: PhantomStudy) -> Motion:
    """The true motion of a phantom."""
    if study.motion is None:
        raise ValueError("the phantom was made without its true motion")
    return Motion(
        *study.motion,
        reference=0,
        affine=study.cine.affine,
        frame_times=study.cine.frame_times,
        model="phantom",
        version="1",
        image_hash=study.cine.content_hash,
    )


def corrected(labels: Labels, number: int) -> Labels:
    """The label with a small piece of the cavity redrawn as wall, elsewhere each time."""
    changed = labels.copy()
    places = np.argwhere(labels == Label.LV)
    z, y, x = places[(number * 7919) % len(places)]
    piece = changed[z, max(0, y - 3) : y + 4, max(0, x - 3) : x + 4]
    piece[piece == Label.LV] = Label.MYO
    return changed


def seconds(run: Callable[[int], object], repeats: int) -> list[float]:
    """Wall-clock seconds of each run; it is given its number."""
    found = []
    for number in range(repeats):
        start = time.perf_counter()
        run(number)
        found.append(time.perf_counter() - start)
    return found


def measure(motion: Motion, labels: Labels, es_frame: int, repeats: int) -> dict[str, list[float]]:
    """Seconds of each kind of change, by its name."""
    drawn = {t: labels[t] for t in (0, es_frame)}
    # Corrections are drawn before the clock starts.
    corrections = {t: [corrected(labels[t], i) for i in range(repeats)] for t in (0, es_frame)}
    two = Propagator(motion, drawn)
    third = es_frame // 2
    first_corrections = []
    for _ in range(repeats):
        one = Propagator(motion, {0: drawn[0]})
        first_corrections += seconds(partial(_update, one, es_frame, drawn[es_frame]), 1)
    return {
        "one key frame, from nothing": seconds(lambda _: Propagator(motion, {0: drawn[0]}), repeats),
        "first correction of another frame": first_corrections,
        "further correction of that frame": seconds(
            lambda i: two.update(es_frame, corrections[es_frame][i]), repeats
        ),
        "correction of the first key frame": seconds(lambda i: two.update(0, corrections[0][i]), repeats),
        "a third key frame, and its release": seconds(
            lambda _: (two.update(third, labels[third]), two.release(third)), repeats
        ),
    }


def _update(propagator: Propagator, frame: int, labels: Labels, _: int) -> None:
    propagator.update(frame, labels)


def table(title: str, times: dict[str, list[float]]) -> str:
    """A markdown table of medians and ranges."""
    lines = [f"**{title}**", "", "| change | median s | least | largest |", "|---|---|---|---|"]
    for name, values in times.items():
        lines.append(f"| {name} | {np.median(values):.3f} | {min(values):.3f} | {max(values):.3f} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the phantoms, run everything, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=25)
    parser.add_argument("--slices", type=int, default=10)
    parser.add_argument("--size", type=int, default=256, help="pixels along each side of a slice")
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args(arguments)
    size = f"{options.slices} slices of {options.size} x {options.size} pixels"
    print(f"{options.frames} frames of {size}; {os.cpu_count()} cores; medians of {options.repeats}\n")
    for through_plane, title in ((False, "motion in-plane, slice by slice"), (True, "motion in 3D")):
        study = make_study(
            REPORT_SEEDS[0],
            PhantomOptions(
                frames=options.frames,
                slices=options.slices,
                matrix=(options.size, options.size),
                pixel_spacing=1.4,
                through_plane=through_plane,
            ),
        )
        motion = motion_of(study)
        assert motion.is_in_plane != through_plane
        print(table(title, measure(motion, study.labels, study.es_frame, options.repeats)))


if __name__ == "__main__":
    main()
