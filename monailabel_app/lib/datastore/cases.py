"""Images read as cines, a few of them kept in memory."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

from cardiac_motion.cine import Cine
from cardiac_motion.io import load_cine

from monailabel_app.lib.datastore.decoding import Decoding
from monailabel_app.lib.datastore.durable import Signature, signature_of
from monailabel_app.lib.datastore.images import ImageFile
from monailabel_app.lib.datastore.records import ImageRecords
from monailabel_app.lib.datastore.refusals import refusing
from monailabel_app.lib.errors import Conflict, NotFound, Unprocessable

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Case:
    """A cine of the studies folder."""

    id: str
    path: Path
    """Of its file."""
    sha256: str
    """Of its file's bytes."""
    cine: Cine
    notes: tuple[str, ...]
    """What is unusual about the file and was understood, or had to be guessed."""


def read_cine_within(path: Path, *, max_voxels: int, max_frames: int) -> tuple[Cine, tuple[str, ...]]:
    """Read a stranger's cine.

    Raises:
        Unprocessable: whatever is wrong with it, or it is larger than allowed; never a place of this machine.
    """
    with refusing(path, "image"):
        cine, notes = load_cine(path, max_voxels=max_voxels)
    if cine.n_frames > max_frames:
        raise Unprocessable(
            f"expected a cine of at most {max_frames} frames; got {cine.n_frames}",
            code="too_many_frames",
            field="image",
        )
    return cine, notes


class CaseReader:
    """Reads images as cases; several threads that ask for one wait for one reading of it.

    Args:
        records: for checksums.
        max_voxels: over all frames; an image that promises more is refused before it is unpacked.
        max_frames: of a cine.
        max_bytes: of cines held in memory; one that is larger is read each time.
        decoding: so many at once.
    """

    def __init__(
        self, records: ImageRecords, *, max_voxels: int, max_frames: int, max_bytes: int, decoding: Decoding
    ) -> None:
        self._records, self._decoding = records, decoding
        self._max_voxels, self._max_frames, self._max_bytes = max_voxels, max_frames, max_bytes
        self._lock = threading.Lock()
        self._held: OrderedDict[Path, tuple[Signature, Case]] = OrderedDict()
        self._reading: dict[tuple[Path, Signature], Future[Case]] = {}
        self._unreadable: dict[Path, Signature] = {}

    def is_unreadable(self, image: ImageFile) -> bool:
        """Whether the image, as it is now, has been tried and is no cine, or too large."""
        with self._lock:
            tried = self._unreadable.get(image.path)
        return tried is not None and tried == signature_of(image.path)

    def read(self, image: ImageFile) -> Case:
        """The case of an image.

        Raises:
            NotFound: its file is gone.
            Unprocessable: its file is no cine, or too large.
            Conflict: its file is being changed.
        """
        signature = signature_of(image.path)
        if signature is None:
            raise NotFound(f"there is no image {image.id} any more", field="image")
        key = (image.path, signature)
        with self._lock:
            held = self._held.get(image.path)
            if held is not None and held[0] == signature:
                self._held.move_to_end(image.path)
                return held[1]
            reading = self._reading.get(key)
            is_mine = reading is None
            if reading is None:
                reading = self._reading[key] = Future()
        if is_mine:
            self._fulfil(reading, image, signature)
        return reading.result()

    def _fulfil(self, reading: Future[Case], image: ImageFile, signature: Signature) -> None:
        key = (image.path, signature)
        try:
            case = self._read(image, signature)
        except BaseException as error:
            with self._lock:
                del self._reading[key]
                is_news = isinstance(error, Unprocessable) and self._unreadable.get(image.path) != signature
                if is_news:
                    self._unreadable[image.path] = signature
            if is_news:
                # No name, which may be a patient's; by its size whoever keeps the folder finds the file.
                _log.warning(
                    "an image of the studies folder, of %d bytes, is no cine that can be read; it is not offered",
                    signature.size,
                )
            reading.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        with self._lock:
            del self._reading[key]
            self._hold(case, signature)
        reading.set_result(case)

    def _read(self, image: ImageFile, signature: Signature) -> Case:
        with self._decoding():
            cine, notes = read_cine_within(image.path, max_voxels=self._max_voxels, max_frames=self._max_frames)
        sha256 = self._records.sha256(image)
        if signature_of(image.path) != signature:
            raise Conflict(f"the image {image.id} is being changed; try again", field="image")
        return Case(image.id, image.path, sha256, replace(cine, name=image.id), notes)

    def _hold(self, case: Case, signature: Signature) -> None:
        self._held.pop(case.path, None)
        if case.cine.frames.nbytes > self._max_bytes:
            return
        self._held[case.path] = (signature, case)
        while sum(held.cine.frames.nbytes for _, held in self._held.values()) > self._max_bytes:
            self._held.popitem(last=False)
