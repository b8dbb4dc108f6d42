"""What is known of an image beside its file: checksum, time, and notes such as the strategy that chose it."""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from monailabel_app.lib.datastore.durable import (
    Signature,
    exchange,
    make_folder,
    read_json,
    sha256_of,
    signature_of,
    write_json,
)
from monailabel_app.lib.datastore.gate import Gate
from monailabel_app.lib.datastore.images import ImageFile
from monailabel_app.lib.datastore.scratch import Scratch
from monailabel_app.lib.errors import Damaged, NotFound, Stopping

_log = logging.getLogger(__name__)

_OWN = frozenset({"ts", "name", "checksum", "path"})
"""Keys of an image's info that follow from its file, whatever anyone says."""


@dataclass(frozen=True, eq=False)
class ImageRecord:
    """An image as it is stored."""

    id: str
    path: Path
    """Of the file."""
    ts: int
    """When the file was last changed, seconds since 1970."""
    info: dict[str, Any]
    """Notes of others; a copy."""
    checksum: Callable[[], str] = field(repr=False)

    @cached_property
    def sha256(self) -> str:
        """Of the file's bytes; the first to ask may wait until they are read."""
        return self.checksum()

    def to_json(self) -> dict[str, Any]:
        """As MONAI Label tells it."""
        return {**self.info, "ts": self.ts, "name": self.path.name, "checksum": f"SHA256:{self.sha256}"}


class ImageRecords:
    """The folder of image records: one JSON file for an image that has been asked about.

    Losing it loses notes, never an image: checksums are computed again.

    Args:
        folder: of the records.
        scratch: on the same file system.
        gate: through which every write goes.
    """

    def __init__(self, folder: Path, scratch: Scratch, gate: Gate) -> None:
        self._folder, self._scratch, self._gate = folder, scratch, gate
        self._lock = threading.RLock()
        self._known: dict[str, dict[str, Any]] = {}

    def of(self, image: ImageFile) -> ImageRecord:
        """The record of an image.

        Raises:
            NotFound: the file is gone; also when its checksum is asked for and it is gone by then.
        """
        ts = _signature(image).mtime_ns // 10**9
        with self._lock:
            info = copy.deepcopy(self._readable(image.id)["info"])
        return ImageRecord(image.id, image.path, ts, info, lambda: self.sha256(image))

    def sha256(self, image: ImageFile) -> str:
        """SHA-256 of an image's bytes, computed if the file has changed.

        Raises:
            NotFound: the file is gone.
        """
        return self._sha256(image, _signature(image))

    def brief(self, image: ImageFile) -> dict[str, Any]:
        """The image's info, with its checksum if that takes no reading; nothing but a name where it is gone."""
        signature = signature_of(image.path)
        if signature is None:
            return {"name": image.path.name}
        with self._lock:
            stored = copy.deepcopy(self._readable(image.id))
        told: dict[str, Any] = {**stored["info"], "ts": signature.mtime_ns // 10**9, "name": image.path.name}
        if _fits(stored, image, signature):
            told["checksum"] = f"SHA256:{stored['sha256']}"
        return told

    def add_notes(self, image: ImageFile, notes: dict[str, Any]) -> None:
        """Add to the notes on an image, or change them, whole or not at all.

        Raises:
            Damaged: those there are cannot be read.
            OSError: they cannot be written; nothing has changed.
            Stopping: the gate is shut; nothing has changed.
        """
        with self._lock:
            stored = self._stored(image.id)
            self._write(image.id, {**stored, "info": {**stored["info"], **_without_own(notes)}})

    def prepare(self, image_id: str, name: str, sha256: str, file: Path, notes: dict[str, Any]) -> dict[str, Any]:
        """The record of an image that is about to get its place; ``file`` has its content and keeps its time.

        Raises:
            Damaged: the notes there are cannot be read.
        """
        signature = _known_signature(file)
        with self._lock:
            info = {**self._stored(image_id)["info"], **_without_own(notes)}
        return {
            "name": name,
            "sha256": sha256,
            "mtime_ns": signature.mtime_ns,
            "size": signature.size,
            "info": info,
        }

    def write(self, image_id: str, content: dict[str, Any]) -> None:
        """Write what `prepare` gave.

        Raises:
            OSError: it cannot be written; nothing has changed.
            Stopping: the gate is shut; nothing has changed.
        """
        with self._lock:
            self._write(image_id, content)

    def forget(self, image_id: str) -> None:
        """Remove the record of an image that did not get its place."""
        with self._lock:
            self._known.pop(image_id, None)
            with suppress(OSError):
                (self._folder / f"{image_id}.json").unlink(missing_ok=True)

    def _sha256(self, image: ImageFile, signature: Signature) -> str:
        with self._lock:
            stored = self._readable(image.id)
            if _fits(stored, image, signature):
                return str(stored["sha256"])
        try:
            sha256 = sha256_of(image.path)
        except FileNotFoundError as error:
            raise _gone(image.id) from error
        if signature_of(image.path) != signature:
            return sha256  # true of what was read, but of no known state of the file
        with self._lock:
            content = {
                "name": image.path.name,
                "sha256": sha256,
                "mtime_ns": signature.mtime_ns,
                "size": signature.size,
                "info": self._readable(image.id)["info"],
            }
            try:
                self._stored(image.id)  # notes that cannot be read now are not written over
                self._write(image.id, content)
            except (OSError, Damaged, Stopping) as error:
                if not isinstance(error, Damaged):
                    self._known[image.id] = content
                _log.warning("a checksum could not be kept: %s", type(error).__name__)
        return sha256

    def _readable(self, image_id: str) -> dict[str, Any]:
        """What is stored, or nothing where that cannot be read."""
        try:
            return self._stored(image_id)
        except Damaged:
            return {"info": {}}

    def _stored(self, image_id: str) -> dict[str, Any]:
        if image_id not in self._known:
            try:
                content = read_json(self._folder / f"{image_id}.json") or {}
            except OSError as error:
                _log.warning("what is kept on an image could not be read: %s", type(error).__name__)
                raise Damaged(f"what is kept on the image {image_id} cannot be read", field="image") from error
            info = content.get("info")
            self._known[image_id] = {**content, "info": info if isinstance(info, dict) else {}}
        return self._known[image_id]

    def _write(self, image_id: str, content: dict[str, Any]) -> None:
        with self._gate, self._scratch.file(".json") as temporary:
            make_folder(self._folder)
            write_json(temporary, content)
            exchange(temporary, self._folder / f"{image_id}.json")
        self._known[image_id] = content


def _fits(stored: dict[str, Any], image: ImageFile, signature: Signature) -> bool:
    return isinstance(stored.get("sha256"), str) and (
        (stored.get("name"), stored.get("mtime_ns"), stored.get("size"))
        == (image.path.name, signature.mtime_ns, signature.size)
    )


def _without_own(notes: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in notes.items() if key not in _OWN}


def _signature(image: ImageFile) -> Signature:
    signature = signature_of(image.path)
    if signature is None:
        raise _gone(image.id)
    return signature


def _known_signature(file: Path) -> Signature:
    signature = signature_of(file)
    if signature is None:
        raise FileNotFoundError("expected a file")
    return signature


def _gone(image_id: str) -> NotFound:
    return NotFound(f"there is no image {image_id} any more", field="image")
