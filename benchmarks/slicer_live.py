"""How quickly the other frames follow an edit in Slicer, and how long its window is blocked meanwhile.

    python -m benchmarks.slicer_live [--frames 25] [--slices 10] [--size 256] [--repeats 10]

On the test bed (real MRML, Qt off the screen; not 3D Slicer itself) against a real server on this machine, the
motion being known. From the end of the edit to the last of the other frames having its labels; the quarter of a
second that the module waits for further strokes is in it. Blocks are measured as `tests/slicer/bed/blocks.py`
says: the time in which other programs had the cores is not in them. There is no panel here, so what server and
session take is seen by itself; `benchmarks.slicer_window` gives the same with the whole panel open.
"""

from __future__ import annotations

import argparse
import importlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cardiac_motion.io import write_cine
from cardiac_motion.phantom import REPORT_SEEDS, PhantomOptions, PhantomStudy, make_study

from benchmarks.propagation import corrected
from monailabel_app.local_server import local_server

_SECONDS = 60.0
_QUICK = {"options": {"iterations": 4}}


def measure(address: str, study: PhantomStudy, folder: Path, repeats: int) -> tuple[list[float], list[float]]:
    """Seconds until the frames have followed, and the longest block of the main thread, of each edit."""
    open_bed = importlib.import_module("tests.slicer.bed").open_bed
    measured = importlib.import_module("tests.slicer.bed.blocks").measured
    with open_bed(folder) as bed:
        loading = importlib.import_module("CardiacMotionLib.cine_loading")
        target = importlib.import_module("CardiacMotionLib.server_link").Target(address)
        structures = importlib.import_module("CardiacMotionLib.structures")
        session = importlib.import_module("CardiacMotionLib.session").Session(
            lambda call, ms: _timer(bed, call, ms), bed.qt.QTimer.singleShot
        )
        finished: list[Any] = []
        session.propagation.finished.connect(finished.append)
        failures: list[BaseException] = []
        session.propagation.failed.connect(failures.append)
        session.link.failed.connect(failures.append)
        session.cases.failed.connect(failures.append)

        def wait(until: Callable[[], bool]) -> None:
            bed.pump(lambda: until() or bool(failures) or bool(bed.errors), _SECONDS)
            for error in (*failures, *bed.errors):
                raise error

        session.link.connect(target)
        wait(lambda: session.link.offer is not None)
        session.motion_params = _QUICK
        path = folder / "cine.nii.gz"
        write_cine(path, study.cine)
        workspace = session.open(loading.cine_from_file(path))
        labels = np.where(study.labels <= 3, study.labels, 0).astype(np.uint8)
        workspace.take_as_drawn({0: labels[0], study.es_frame: labels[study.es_frame]})
        session.propagate()
        wait(lambda: bool(finished))
        session.live.is_on = True
        workspace.cine.frame = study.es_frame
        times, blocks = [], []
        for number in range(repeats):
            drawn = corrected(labels[study.es_frame], number)
            done = len(finished)
            proxy, volume = workspace.segmentations.proxy, workspace.cine.proxy
            for name in ("MYO", "LV"):
                part = (drawn == structures.BY_NAME[name].value).astype(np.uint8)
                bed.slicer.util.updateSegmentBinaryLabelmapFromArray(part, proxy, name, volume)
            with measured() as found:
                start = time.perf_counter()
                wait(lambda done=done: len(finished) > done)  # type: ignore[misc]
                times.append(time.perf_counter() - start)
            blocks.append(found.longest)
        session.close()
    return times, blocks


def _timer(bed: Any, call: Callable[[], None], milliseconds: int) -> Callable[[], None]:
    timer = bed.qt.QTimer()
    timer.setInterval(milliseconds)
    timer.timeout.connect(call)
    timer.start()
    return timer.stop


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the phantom, start the server, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=25)
    parser.add_argument("--slices", type=int, default=10)
    parser.add_argument("--size", type=int, default=256, help="pixels along each side of a slice")
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args(arguments)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    study = make_study(
        REPORT_SEEDS[0],
        PhantomOptions(
            frames=options.frames,
            slices=options.slices,
            matrix=(options.size, options.size),
            pixel_spacing=1.4,
            motion_truth=False,
        ),
    )
    with tempfile.TemporaryDirectory() as name:
        studies = Path(name) / "studies"
        studies.mkdir()
        with local_server(studies) as address:
            times, blocks = measure(address, study, Path(name), options.repeats)
    print("| | median s | largest | n |\n|---|---|---|---|")
    for what, values in (("other frames follow an edit", times), ("longest block of the main thread", blocks)):
        print(f"| {what} | {np.median(values):.3f} | {max(values):.3f} | {len(values)} |")


if __name__ == "__main__":
    main()
