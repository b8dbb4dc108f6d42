"""Many clients at once: every answer checked, and the memory of the server watched.

    python -m benchmarks.server_concurrency [--clients 8] [--requests 100] [--markdown FILE]

Each client does, in an order of its own: ask for the description, download an image and compare its bytes,
download a version of a label that some client saved, carry a label by a known motion and compare it with what the
package itself computes, the same as a job, save a label and read that version back, ask for the next case. Memory
is flat if its median in the last quarter of the run exceeds that of the first quarter by less than 5 % or 30 MB.
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import psutil
import torch
from cardiac_motion.atomic import atomic_path
from cardiac_motion.cine import Cine
from cardiac_motion.io import read_cine
from cardiac_motion.pipeline import propagate_cine
from cardiac_motion.registration.base import with_options
from cardiac_motion.registration.registry import motion_model
from CardiacMotionLib.client import Client, InferAnswer

from benchmarks.server_process import running_server
from benchmarks.small_cines import (
    QUICK_OPTIONS,
    cine_bytes,
    label_bytes,
    label_values,
    numbered_labels,
    small_cine,
    small_labels,
)

Labels = npt.NDArray[np.uint8]

CASES = {"case-a": "case-a.nii.gz", "case-b": "case-b.seq.nrrd"}
SHRINKS = (0.0, 1.0, 2.0, 3.0)
"""By how many mm the cavity is made smaller: labels that differ, and so do their answers."""

PARAMS = {"key_frames": [0], "options": QUICK_OPTIONS}

FLAT_SHARE = 0.05
FLAT_BYTES = 30 * 2**20
_SAMPLE_SECONDS = 0.1
_WARM_UP_SHARE = 0.1


class WrongAnswerError(Exception):
    """An answer that came without an error, and is not what it should be."""


def _expect(is_right: bool, what: str) -> None:
    if not is_right:
        raise WrongAnswerError(what)


@dataclass
class Known:
    """What clients know of the server, shared between them.

    Attributes:
        folder: for files.
        images: bytes of the images, by id.
        cines: the same, read.
        label_files: 3D labels of the first frame to send, by how much they are shrunk.
        carried: what the package makes of them, by image and shrinkage.
        saved: labels by image and version.
    """

    folder: Path
    images: dict[str, bytes] = field(default_factory=dict)
    cines: dict[str, Cine] = field(default_factory=dict)
    label_files: dict[float, Path] = field(default_factory=dict)
    carried: dict[tuple[str, float], Labels] = field(default_factory=dict)
    saved: dict[tuple[str, int], Labels] = field(default_factory=dict)
    numbers: itertools.count[int] = field(default_factory=itertools.count)


def prepare(folder: Path, studies: Path) -> Known:
    """Write the images, and compute what the server is to answer."""
    known = Known(folder)
    model = motion_model("recursive")
    options = with_options(model.default_options, QUICK_OPTIONS)
    for seed, (case, name) in enumerate(CASES.items()):
        known.images[case] = cine_bytes(small_cine(seed), name)
        (studies / name).write_bytes(known.images[case])
        cine = known.cines[case] = read_cine(studies / name)
        for shrink in SHRINKS:
            labels = small_labels(small_cine(seed), 0, shrink_mm=shrink)
            found = propagate_cine(cine, {0: labels}, model, options=options)
            known.carried[case, shrink] = found.labels
            path = known.label_files[shrink] = folder / f"shrunk-{shrink}.nii.gz"
            path.write_bytes(label_bytes(labels, cine))
    return known


@dataclass
class Visitor:
    """One client with its own connection, files and luck."""

    number: int
    client: Client
    known: Known
    luck: random.Random

    @property
    def _file(self) -> Path:
        return self.known.folder / f"client-{self.number}.nii.gz"

    def _case(self) -> str:
        return self.luck.choice(list(CASES))

    def info(self) -> None:
        """The description."""
        found = self.client.info()
        _expect(found["cardiac_motion"]["labels"]["LV"] == 3, "/info/ has other labels")
        _expect(
            [each["name"] for each in found["cardiac_motion"]["models"]][:1] == ["recursive"], "/info/: models"
        )

    def image(self) -> None:
        """An image, byte by byte."""
        case = self._case()
        self.client.get_image(case, self._file)
        _expect(self._file.read_bytes() == self.known.images[case], "an image has other bytes")

    def label(self) -> None:
        """A version of a label that somebody saved."""
        (case, version), labels = self.luck.choice(list(self.known.saved.items()))
        self._compare(case, version, labels)

    def save(self) -> None:
        """A new label, read back."""
        case = self._case()
        labels = numbered_labels(self.known.cines[case], next(self.known.numbers))
        self._file.write_bytes(label_bytes(labels, self.known.cines[case]))
        saved = self.client.save_label(case, "final", self._file, {"verified_frames": [0]})
        _expect((saved.label, saved.tag) == (case, "final"), "a label was saved under another name")
        _expect((case, saved.version) not in self.known.saved, "two labels have one version")
        self.known.saved[case, saved.version] = labels
        self._compare(case, saved.version, labels)

    def infer(self) -> None:
        """A label carried by a known motion."""
        self._carry(self.client.infer)

    def job(self) -> None:
        """The same as a job."""
        self._carry(self.client.run_job)

    def next_case(self) -> None:
        """The next case; there is none, as all have a final label."""
        _expect(self.client.next_case("random") is None, "there is a next case")

    def _carry(self, run: Callable[..., InferAnswer]) -> None:
        case, shrink = self._case(), self.luck.choice(SHRINKS)
        answer = run("motion", case, PARAMS, label=self.known.label_files[shrink])
        _expect(answer.params["motion_from_cache"] is True, "a known motion was estimated again")
        labels = label_values(answer.file)
        _expect(np.array_equal(labels, self.known.carried[case, shrink]), "a label was carried otherwise")

    def _compare(self, case: str, version: int, labels: Labels) -> None:
        self.client.get_label(case, "final", self._file, version=version)
        _expect(np.array_equal(label_values(self._file.read_bytes()), labels), "a version has other labels")


ACTIONS: dict[str, Callable[[Visitor], None]] = {
    "description": Visitor.info,
    "image, byte by byte": Visitor.image,
    "version of a label": Visitor.label,
    "infer with a known motion": Visitor.infer,
    "job with a known motion": Visitor.job,
    "save, and read back": Visitor.save,
    "next case": Visitor.next_case,
}


@dataclass
class Outcome:
    """What happened.

    Attributes:
        done: requests by action.
        errors: that failed, by action.
        wrong: answers that are not right, by action.
        messages: of both.
        memory: resident bytes of the server over the run, after the warm-up.
    """

    done: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    messages: list[str] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: str, *, wrong: str | None, error: str | None) -> None:
        """Count a request; threads may call it."""
        with self._lock:
            self.done[name] += 1
            self.wrong[name] += wrong is not None
            self.errors[name] += error is not None
            self.messages += [f"{name}: {each}" for each in (wrong, error) if each is not None]

    @property
    def growth(self) -> tuple[float, float] | None:
        """Median memory of the first and of the last quarter, bytes; None where there are too few samples."""
        quarter = len(self.memory) // 4
        if quarter < 1:
            return None
        return statistics.median(self.memory[:quarter]), statistics.median(self.memory[-quarter:])

    @property
    def is_flat(self) -> bool:
        """Whether the server's memory has not grown."""
        if self.growth is None:
            return True
        first, last = self.growth
        return last - first <= max(FLAT_SHARE * first, FLAT_BYTES)

    @property
    def is_right(self) -> bool:
        """Whether nothing went wrong."""
        return not self.messages and self.is_flat

    def table(self) -> str:
        """For people, Markdown."""
        lines = ["| action | requests | errors | wrong answers |", "| --- | --- | --- | --- |"]
        lines += [f"| {n} | {self.done[n]} | {self.errors[n]} | {self.wrong[n]} |" for n in ACTIONS]
        totals = [sum(counts.values()) for counts in (self.done, self.errors, self.wrong)]
        lines.append(f"| all | {totals[0]} | {totals[1]} | {totals[2]} |")
        if self.growth is not None:
            first, last = (bytes_ / 2**20 for bytes_ in self.growth)
            lines += ["", f"Memory of the server, median of the first and of the last quarter: {first:.0f} MB, "
                      f"{last:.0f} MB: {'flat' if self.is_flat else 'it grows'}."]  # fmt: skip
        return "\n".join([*lines, *(["", *(f"- {each}" for each in self.messages)] if self.messages else [])])


def visit(address: str, known: Known, *, clients: int, requests: int, pid: int) -> Outcome:
    """Let many clients at the server.

    Args:
        address: of the server.
        known: from `prepare`.
        clients: at a time.
        requests: of each.
        pid: of the server's process.
    """
    outcome = Outcome()
    _begin(address, known)
    threads = [
        threading.Thread(target=_visit_often, args=(address, known, outcome, number, requests))
        for number in range(clients)
    ]
    for thread in threads:
        thread.start()
    server = psutil.Process(pid)
    while any(thread.is_alive() for thread in threads):
        if sum(outcome.done.values()) >= _WARM_UP_SHARE * clients * requests:
            outcome.memory.append(server.memory_info().rss)
        time.sleep(_SAMPLE_SECONDS)
    for thread in threads:
        thread.join()
    outcome.messages += _wrong_versions(address, known)
    return outcome


def _begin(address: str, known: Known) -> None:
    """Have all motions estimated, and a first label on every image."""
    with Client(address) as client:
        visitor = Visitor(-1, client, known, random.Random(0))
        for case in CASES:
            client.infer("motion", case, PARAMS, label=known.label_files[SHRINKS[0]])
        while {case for case, _ in known.saved} != set(CASES):
            visitor.save()


def _visit_often(address: str, known: Known, outcome: Outcome, number: int, requests: int) -> None:
    luck = random.Random(number + 1)
    plan = list(itertools.islice(itertools.cycle(ACTIONS), number, number + requests))
    luck.shuffle(plan)
    with Client(address) as client:
        visitor = Visitor(number, client, known, luck)
        for name in plan:
            wrong = error = None
            try:
                ACTIONS[name](visitor)
            except WrongAnswerError as raised:
                wrong = str(raised)
            except Exception:  # noqa: BLE001 - counted and shown
                error = traceback.format_exc(limit=4)
            outcome.add(name, wrong=wrong, error=error)


def _wrong_versions(address: str, known: Known) -> list[str]:
    found = []
    with Client(address) as client:
        for case in CASES:
            listed = [each["version"] for each in client.label_versions(case)]
            saved = sorted(version for each, version in known.saved if each == case)
            if listed != saved or listed != list(range(1, len(listed) + 1)):
                found.append(f"{case}: the versions {saved} were saved, and {listed} are listed")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 0 if every answer is right and memory is flat, else 1."""
    parser = argparse.ArgumentParser(description="Many clients at once on one server.")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--requests", type=int, default=100, help="of each client")
    parser.add_argument("--markdown", type=Path, help="write the table to this file, too")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with TemporaryDirectory(prefix="concurrency-") as name:
        folder = Path(name)
        studies = folder / "studies"
        studies.mkdir()
        known = prepare(folder, studies)
        with running_server(studies, folder) as server:
            outcome = visit(
                server.address,
                known,
                clients=chosen.clients,
                requests=chosen.requests,
                pid=server.process.pid,
            )
    text = outcome.table()
    print(text)
    if chosen.markdown:
        with atomic_path(chosen.markdown) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    return 0 if outcome.is_right else 1


if __name__ == "__main__":
    sys.exit(main())
