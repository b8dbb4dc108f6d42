"""How a busy server ends when it is asked to.

    python -m benchmarks.server_shutdown [--repeats 5] [--markdown FILE]

One job computes, a second client waits for an infer, a third is in the middle of an upload, a fourth saves labels
without a pause; then comes SIGINT or SIGTERM, or one Ctrl-C after another. The server ends by itself with exit
code 0, those who wait get 503 or a closed connection, nothing temporary and nothing half-written is left. It has
to take less than 5 s.
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from cardiac_motion.atomic import atomic_path

from benchmarks.hostile.request import as_params, sound_label
from benchmarks.hostile.wire import (
    BOUNDARY,
    Reply,
    form,
    form_headers,
    head,
    host_of,
    read_reply,
    request,
    with_defaults,
)
from benchmarks.server_kills import CASE, TAGS, Ledger
from benchmarks.server_process import ServerProcess, start_server
from benchmarks.small_cines import cine_bytes, label_values, small_cine

LONGEST_SECONDS = 5.0
SIGNALS = {
    "SIGINT": (signal.SIGINT, False),
    "SIGTERM": (signal.SIGTERM, False),
    "SIGINT twice": (signal.SIGINT, True),
}
"""Signals, and whether they come twice."""

_COMPUTED = "case-computed"
_LONG = {"key_frames": [0], "options": {"iterations": 10_000, "levels": 1}}
_UPLOAD_BYTES = 3 * 2**20
_WAIT_SECONDS = 60.0


@dataclass(frozen=True)
class Ending:
    """How a server ended.

    Attributes:
        exit_code: of its process.
        seconds: from the signal to the end.
        statuses: of the answers to the client that waited and to the one that uploaded; 0 for none.
        wrong: what is not as it should be.
    """

    exit_code: int
    seconds: float
    statuses: tuple[int, int]
    wrong: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        """Whether all is well, however long it took."""
        return self.exit_code == 0 and set(self.statuses) <= {0, 503} and not self.wrong


def end_while_busy(folder: Path, number: int, *, is_twice: bool) -> Ending:
    """Start a server, make it busy, send it a signal, and look at what is left.

    Args:
        folder: an empty folder.
        number: of the signal.
        is_twice: whether it comes a second time at once.
    """
    studies = folder / "studies"
    studies.mkdir()
    (studies / f"{_COMPUTED}.nii.gz").write_bytes(cine_bytes(small_cine()))
    ledger = Ledger(folder)
    ledger.write_case(studies)
    server = start_server(studies, folder)
    try:
        with ExitStack() as stack:
            return _end(server, ledger, stack, number, is_twice=is_twice)
    finally:
        server.kill()


def _end(server: ServerProcess, ledger: Ledger, stack: ExitStack, number: int, *, is_twice: bool) -> Ending:
    job = _start_long(server.address)
    answers: list[Reply] = []
    waiting = threading.Thread(target=lambda: answers.append(_ask_for_long(server.address, "/infer/motion")))
    saving = threading.Thread(target=ledger.save_until_killed, args=(server.address, 0, False))
    # The first to come computes; the other one is to wait.
    _wait_until(server.address, job, lambda: True)
    for thread in (waiting, saving):
        thread.start()
    upload = stack.enter_context(_half_an_upload(server.address))
    _wait_until(server.address, job, lambda: len(ledger.labels) > 1)
    start = time.perf_counter()
    exit_code = server.end(number, is_twice=is_twice)
    seconds = time.perf_counter() - start
    uploaded = read_reply(upload, "PUT")
    for thread in (waiting, saving):
        thread.join()
    wrong = [each for each in ledger.refused if "(503" not in each] + ledger.wrong
    wrong += _wrong_files(server.studies, ledger)
    if 'File \\"' in server.log_text():
        wrong.append("the log has a traceback")
    return Ending(exit_code, seconds, (answers[0].status, uploaded.status), tuple(wrong))


def _ask_for_long(address: str, path: str) -> Reply:
    body = form([sound_label(), as_params(_LONG)])
    return request(address, "POST", f"{path}?image={_COMPUTED}", headers=form_headers(), body=body)


def _start_long(address: str) -> str:
    return str(_ask_for_long(address, "/jobs/infer/motion").json()["job"])


def _half_an_upload(address: str) -> socket.socket:
    """A connection on which the first two of three megabytes of an upload have been sent."""
    name, port = host_of(address)
    headers = (*form_headers(), ("Content-Length", str(_UPLOAD_BYTES)))
    start = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.nii"\r\n\r\n'.encode()
    connection = socket.create_connection((name, port), timeout=_WAIT_SECONDS)
    whole = head("PUT", "/datastore/image?image=half", with_defaults(headers, f"{name}:{port}", None))
    connection.sendall(whole + start + bytes(2 * _UPLOAD_BYTES // 3))
    return connection


def _wait_until(address: str, job: str, is_busy: Callable[[], bool]) -> None:
    """Wait until the job is at work, and the rest too."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < deadline:
        state = request(address, "GET", f"/jobs/{job}").json()
        if state["state"] == "running" and state["progress"] > 0 and is_busy():
            return
        time.sleep(0.02)
    raise RuntimeError(f"expected a job at work and labels saved, got {state}")


def _wrong_files(studies: Path, ledger: Ledger) -> list[str]:
    """What is wrong in the folder that the server has left."""
    data = studies / ".cardiac_motion"
    wrong = [f"scratch holds {path.name}" for path in (data / "scratch").iterdir()]
    wrong += [f"the upload has left {path.name}" for path in studies.iterdir() if path.name.startswith("half")]
    wrong += [f"a temporary file: {path.name}" for path in studies.rglob("*") if "tmp" in path.name]
    for tag in TAGS:
        folder = data / "labels" / tag / CASE
        for record in sorted(folder.glob("*.json")):
            number = int(json.loads(record.read_text(encoding="utf-8"))["info"]["note"])
            values = label_values(record.with_suffix(".nii.gz").read_bytes())
            if not np.array_equal(values, ledger.label(number)):
                wrong.append(f"{tag}: {record.name} is not what was sent")
        answered = [version for each, version in ledger.labels if each == tag]
        kept = [int(path.name.split(".")[0]) for path in folder.glob("*.nii.gz")]
        for version in {*answered, *kept}:
            if not (folder / f"{version:06d}.json").exists():
                wrong.append(f"{tag}: version {version} has no record")
    return wrong


def table(endings: dict[str, list[Ending]]) -> str:
    """For people, Markdown."""
    lines = ["| signal | repeats | right | seconds, longest |", "| --- | --- | --- | --- |"]
    for name, found in endings.items():
        right = sum(each.is_right for each in found)
        lines.append(f"| {name} | {len(found)} | {right} | {max(each.seconds for each in found):.2f} |")
    wrong = [f"- {name}: {each}" for name, found in endings.items() for each in found if not each.is_right]
    return "\n".join([*lines, *(["", *wrong] if wrong else [])])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 0 if every server ended well and in time, else 1."""
    parser = argparse.ArgumentParser(description="How a busy server ends when it is asked to.")
    parser.add_argument("--repeats", type=int, default=5, help="for each signal")
    parser.add_argument("--markdown", type=Path, help="write the table to this file, too")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    endings: dict[str, list[Ending]] = {name: [] for name in SIGNALS}
    for _ in range(chosen.repeats):
        for name, (number, is_twice) in SIGNALS.items():
            with TemporaryDirectory(prefix="shutdown-") as folder:
                endings[name].append(end_while_busy(Path(folder), number, is_twice=is_twice))
    text = table(endings)
    print(text)
    if chosen.markdown:
        with atomic_path(chosen.markdown) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    every = [each for found in endings.values() for each in found]
    return int(not all(each.is_right and each.seconds < LONGEST_SECONDS for each in every))


if __name__ == "__main__":
    raise SystemExit(main())
