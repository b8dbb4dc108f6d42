"""The server killed in the middle of saving, again and again: nothing that was answered may be lost.

    python -m benchmarks.server_kills [--kills 50] [--clients 3] [--seed 0] [--markdown FILE]

On one studies folder: clients save labels and upload images without a pause, the server is killed (SIGKILL) at a
random moment, a new one starts. Then every label that was answered with a version is there under that version, and
every image that was answered; every version that is listed downloads and is what somebody sent; versions count up
from 1; the files in ``labels/<tag>`` are whole and are the newest versions; nothing temporary is left. A kill ends
the process as the system does when memory runs out; it is no power cut, after which the disk may have forgotten.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import torch
from cardiac_motion.atomic import atomic_path
from cardiac_motion.cine import Cine
from CardiacMotionLib.client import Client, ClientError, ServerUnreachable

from benchmarks.server_process import ServerProcess, running_server, start_server
from benchmarks.small_cines import cine_bytes, label_bytes, label_values, numbered_labels, small_cine

CASE = "case-a"
TAGS = ("final", "original")
_SHAPE = (3, 2, 32, 32)
_LONGEST_SECONDS = 1.0
"""Of saving, from its beginning to the kill."""


def _cine(number: int) -> Cine:
    return small_cine(number, _SHAPE)


@dataclass
class Ledger:
    """What was sent and what was answered.

    Attributes:
        folder: for files.
        labels: number of the label by tag and version, as they were answered.
        images: numbers of the images that were answered.
        sent: number of labels that were sent, answered or not.
        refused: answers that are no success.
        wrong: what is not as it should be.
    """

    folder: Path
    labels: dict[tuple[str, int], int] = field(default_factory=dict)
    images: set[int] = field(default_factory=set)
    sent: int = 0
    refused: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _checked: set[tuple[str, int]] = field(default_factory=set)
    _checked_images: set[str] = field(default_factory=set)

    @staticmethod
    def label(number: int) -> npt.NDArray[np.uint8]:
        """A label by its number."""
        return numbered_labels(_cine(0), number)

    @staticmethod
    def write_case(studies: Path) -> None:
        """Write the image that the labels belong to."""
        (studies / f"{CASE}.nii.gz").write_bytes(cine_bytes(_cine(0)))

    def save_until_killed(self, address: str, client_number: int, is_uploading: bool) -> None:
        """Save labels, or upload images, until the server is gone."""
        file = self.folder / f"client-{client_number}.nii.gz"
        with Client(address) as client:
            try:
                while True:
                    number = next(self._numbers)
                    if is_uploading:
                        file.write_bytes(cine_bytes(_cine(number)))
                        client.put_image(_image_id(number), file)
                        self.images.add(number)
                    else:
                        self._save(client, number, file)
            except ServerUnreachable:
                return
            except ClientError as error:
                self.refused.append(str(error))

    def _save(self, client: Client, number: int, file: Path) -> None:
        file.write_bytes(label_bytes(self.label(number), _cine(0)))
        self.sent += 1
        saved = client.save_label(CASE, TAGS[number % 2], file, {"note": str(number)})
        if self.labels.setdefault((saved.tag, saved.version), number) != number:
            self.wrong.append(f"two labels were answered with version {saved.version} of {saved.tag}")

    def check(self, server: ServerProcess) -> None:
        """Compare what the server has with what was answered; what was right before is not read again."""
        data = server.studies / ".cardiac_motion"
        left = [path.name for path in (data / "scratch").iterdir()]
        if left:
            self.wrong.append(f"scratch holds {left}")
        with Client(server.address) as client:
            listed = client.label_versions(CASE)
            for tag in TAGS:
                self._check_tag(client, server.studies, tag, [each for each in listed if each["tag"] == tag])
            self._check_images(client, server.studies)

    def _check_tag(self, client: Client, studies: Path, tag: str, listed: list[dict[str, object]]) -> None:
        notes = {int(str(each["version"])): int(str(each["note"])) for each in listed}
        if [each["version"] for each in listed] != list(range(1, len(listed) + 1)):
            self.wrong.append(f"{tag}: versions do not count up from 1: {list(notes)}")
        for (answered, version), number in self.labels.items():
            if answered == tag and notes.get(version) != number:
                self.wrong.append(
                    f"{tag}: version {version} was answered for label {number}, it is {notes.get(version)}"
                )
        for version, number in notes.items():
            if (tag, version) not in self._checked:
                self._check_label(client, tag, version, number)
        files = sorted(path.name for path in (studies / "labels" / tag).iterdir())
        if files != ([f"{CASE}.nii.gz"] if listed else []):
            self.wrong.append(f"labels/{tag} holds {files}")
        if listed:
            newest = label_values((studies / "labels" / tag / f"{CASE}.nii.gz").read_bytes())
            if not np.array_equal(newest, self.label(notes[len(listed)])):
                self.wrong.append(f"labels/{tag} does not hold the newest version")
        kept = sorted(path.name for path in (studies / ".cardiac_motion" / "labels" / tag / CASE).glob("*"))
        expected = sorted(f"{version:06d}{ending}" for version in notes for ending in (".json", ".nii.gz"))
        if kept != expected:
            self.wrong.append(f"{tag}: files without a version: {sorted(set(kept) ^ set(expected))}")

    def _check_label(self, client: Client, tag: str, version: int, number: int) -> None:
        file = self.folder / "check.nii.gz"
        client.get_label(CASE, tag, file, version=version)
        try:
            is_whole = np.array_equal(label_values(file.read_bytes()), self.label(number))
        except ValueError:
            is_whole = False
        if not is_whole:
            self.wrong.append(f"{tag}: version {version} is not the label {number} that was sent")
        self._checked.add((tag, version))

    def _check_images(self, client: Client, studies: Path) -> None:
        found = {path.name.removesuffix(".nii.gz") for path in studies.glob("image-*.nii.gz")}
        lost = {_image_id(number) for number in self.images} - found
        if lost:
            self.wrong.append(f"images were answered and are gone: {sorted(lost)}")
        for image in sorted(found - self._checked_images):
            file = self.folder / "check.nii.gz"
            client.get_image(image, file)
            if file.read_bytes() != cine_bytes(_cine(int(image.removeprefix("image-")))):
                self.wrong.append(f"the image {image} is not what was sent")
            self._checked_images.add(image)

    def check_again(self) -> None:
        """Forget what was right before, so that the next check reads everything."""
        self._checked.clear()
        self._checked_images.clear()


def _image_id(number: int) -> str:
    return f"image-{number}"


def kill_often(folder: Path, *, kills: int, clients: int, seed: int) -> Ledger:
    """Start, look, save and kill, this many times.

    Args:
        folder: an empty folder.
        kills: how often.
        clients: that save labels; one more uploads images.
        seed: of the moments.
    """
    luck = random.Random(seed)
    studies = folder / "studies"
    studies.mkdir()
    ledger = Ledger(folder)
    ledger.write_case(studies)
    for kill in range(kills):
        server = start_server(studies, folder)
        try:
            ledger.check(server)
            _save_and_kill(server, ledger, clients, luck.uniform(0, _LONGEST_SECONDS))
        finally:
            server.kill()
        print(f"  kill {kill + 1}: {len(ledger.labels)} labels answered", file=sys.stderr)
    return ledger


def check_all(folder: Path, ledger: Ledger) -> None:
    """Start a server on what `kill_often` left, and look at everything."""
    ledger.check_again()
    with running_server(folder / "studies", folder) as server:
        ledger.check(server)


def _save_and_kill(server: ServerProcess, ledger: Ledger, clients: int, seconds: float) -> None:
    before = ledger.sent
    threads = [
        threading.Thread(target=ledger.save_until_killed, args=(server.address, number, number == clients))
        for number in range(clients + 1)
    ]
    for thread in threads:
        thread.start()
    while ledger.sent == before and any(thread.is_alive() for thread in threads):
        time.sleep(0.001)
    time.sleep(seconds)
    server.kill()
    for thread in threads:
        thread.join()


def table(ledger: Ledger, kills: int) -> str:
    """For people, Markdown."""
    rows = {
        "kills": kills,
        "labels sent": ledger.sent,
        "labels answered": len(ledger.labels),
        "images answered": len(ledger.images),
        "refused": len(ledger.refused),
        "lost, half-written or mixed up": len(ledger.wrong),
    }
    lines = ["| what | number |", "| --- | --- |", *(f"| {name} | {number} |" for name, number in rows.items())]
    problems = [f"- {each}" for each in (*ledger.wrong, *ledger.refused)]
    return "\n".join([*lines, *(["", *problems] if problems else [])])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 0 if nothing was lost, else 1."""
    parser = argparse.ArgumentParser(description="The server killed in the middle of saving.")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--clients", type=int, default=3, help="that save labels")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--markdown", type=Path, help="write the table to this file, too")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(1)
    with TemporaryDirectory(prefix="kills-") as name:
        ledger = kill_often(Path(name), kills=chosen.kills, clients=chosen.clients, seed=chosen.seed)
        check_all(Path(name), ledger)
    text = table(ledger, chosen.kills)
    print(text)
    if chosen.markdown:
        with atomic_path(chosen.markdown) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    return int(bool(ledger.wrong or ledger.refused))


if __name__ == "__main__":
    raise SystemExit(main())
