"""How quick the server is: a corrected contour's round trip, and small requests while it computes.

    python -m benchmarks.server [--frames 25] [--slices 10] [--size 256] [--repeats 30]

A real server in a process of its own, on a phantom at the size of a clinical short-axis cine; our client over HTTP
on this machine. Round trip: from the label file on disk, with a corrected frame, to the labels of all frames in
memory, the motion being known. Small requests: ``GET /info/`` while two infers that have to estimate their motion
are under way.
"""

from __future__ import annotations

import argparse
import gzip
import os
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from cardiac_motion.cine import Cine
from cardiac_motion.io import write_cine, write_labels
from cardiac_motion.phantom import REPORT_SEEDS, PhantomOptions, PhantomStudy, make_study
from CardiacMotionLib.client import Client

from benchmarks.propagation import corrected
from monailabel_app.local_server import local_server

INFO_REQUESTS = 50
QUICK = {"iterations": 4}
"""Options of the motion for the round trips, which do not depend on how it was estimated."""


def round_trips(client: Client, study: PhantomStudy, folder: Path, repeats: int) -> dict[str, list[float]]:
    """Seconds of an infer with a known motion, by what was sent."""
    es, keys = study.es_frame, [0, study.es_frame]
    client.put_image("round-trip", _written(study.cine, folder / "cine.nii.gz"))
    ed = folder / "ed.nii.gz"
    write_labels(ed, study.labels[0], study.cine)
    client.run_job("motion", "round-trip", {"key_frames": [0], "options": QUICK}, label=ed)
    first: list[float] = []
    further: list[float] = []
    for number in range(repeats):
        drawn = np.zeros_like(study.labels)
        drawn[0], drawn[es] = study.labels[0], corrected(study.labels[es], number)
        path = folder / "drawn.nii.gz"
        write_labels(path, drawn, study.cine)
        params = {"key_frames": keys, "options": QUICK}
        # The frame becomes a key frame: the server has to begin from the other one alone each time.
        client.infer("motion", "round-trip", {"key_frames": [0], "options": QUICK}, label=path)
        first.append(_seconds(client, params, path, drawn, keys))
        drawn[es] = corrected(study.labels[es], number + repeats)
        write_labels(path, drawn, study.cine)
        further.append(_seconds(client, params, path, drawn, keys))
    return {"first correction of a frame": first, "further correction of that frame": further}


def _seconds(
    client: Client, params: dict[str, Any], path: Path, drawn: npt.NDArray[np.uint8], keys: Sequence[int]
) -> float:
    start = time.perf_counter()
    answer = client.infer("motion", "round-trip", params, label=path)
    found = nib.Nifti1Image.from_bytes(gzip.decompress(answer.file or b""))
    labels = np.asarray(found.dataobj).T
    seconds = time.perf_counter() - start
    if not answer.params["motion_from_cache"] or any((labels[t] != drawn[t]).any() for t in keys):
        raise RuntimeError("expected labels by a known motion, with the key frames as they were drawn")
    return seconds


def info_while_computing(address: str, study: PhantomStudy, folder: Path) -> dict[str, Any]:
    """Seconds of `INFO_REQUESTS` times ``GET /info/`` while two infers run, and whether they ran all the time."""
    label = folder / "ed.nii.gz"
    write_labels(label, study.labels[0], study.cine)
    with Client(address) as client:
        jobs = []
        for number in range(2):
            cine = Cine(study.cine.frames + number + 1, study.cine.affine, study.cine.frame_times)
            client.put_image(f"busy-{number}", _written(cine, folder / f"busy-{number}.nii.gz"))
            jobs.append(client.start_job("motion", f"busy-{number}", {"key_frames": [0]}, label=label))
        while client.job(jobs[0]).progress == 0:
            time.sleep(0.05)
        seconds: list[float] = []
        for _ in range(INFO_REQUESTS):
            start = time.perf_counter()
            client.info()
            seconds.append(time.perf_counter() - start)
            time.sleep(0.1)
        states = [client.job(job).state for job in jobs]
        start = time.perf_counter()
        for job in jobs:
            client.cancel_job(job)
        while not all(client.job(job).is_finished for job in jobs):
            time.sleep(0.02)
        return {"seconds": seconds, "states": states, "cancel": time.perf_counter() - start}


def _written(cine: Cine, path: Path) -> Path:
    write_cine(path, cine)
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the phantom, start the server, measure, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=25)
    parser.add_argument("--slices", type=int, default=10)
    parser.add_argument("--size", type=int, default=256, help="pixels along each side of a slice")
    parser.add_argument("--repeats", type=int, default=30)
    options = parser.parse_args(arguments)
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
        folder = Path(name)
        studies = folder / "studies"
        studies.mkdir()
        with local_server(studies) as address:
            with Client(address) as client:
                trips = round_trips(client, study, folder, options.repeats)
            busy = info_while_computing(address, study, folder)
            before_stop = time.perf_counter()
        stop = time.perf_counter() - before_stop
    size = f"{options.frames} frames of {options.slices} slices of {options.size} x {options.size}"
    print(f"{size}; {os.cpu_count()} cores, {threading.active_count()} thread of the client\n")
    print("| | median s | 95th percentile | largest | n |\n|---|---|---|---|---|")
    rows = {f"round trip, {what}": values for what, values in trips.items()}
    rows[f"GET /info/ with two infers {' and '.join(sorted(busy['states']))}"] = busy["seconds"]
    for what, values in rows.items():
        print(
            f"| {what} | {np.median(values):.3f} | {np.percentile(values, 95):.3f} | {max(values):.3f} | "
            f"{len(values)} |"
        )
    print(f"\ncancelling both: {busy['cancel']:.2f} s; stopping the server: {stop:.2f} s")


if __name__ == "__main__":
    main()
