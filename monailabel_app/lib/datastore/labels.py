"""Labels of the studies folder: versions, and the folder in which people and other tools find the newest of each.

``labels/<tag>/<id>.nii.gz`` is a copy of the newest version. Whatever else is put there and fits its image becomes
a new version; what does not fit is left alone, and moved aside, never deleted, where a version needs its name.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cardiac_motion.io import LabelImage, read_labels

from monailabel_app.lib.datastore.canonical import write_canonical
from monailabel_app.lib.datastore.cases import Case
from monailabel_app.lib.datastore.decoding import Decoding
from monailabel_app.lib.datastore.durable import Signature, copy, exchange, make_folder, sha256_of, signature_of
from monailabel_app.lib.datastore.gate import Gate
from monailabel_app.lib.datastore.images import ImageFile, is_file_within
from monailabel_app.lib.datastore.names import LABEL_ENDING, TAGS, rank, split_name
from monailabel_app.lib.datastore.refusals import refusing
from monailabel_app.lib.datastore.scratch import Scratch
from monailabel_app.lib.datastore.versions import LabelVersion, Versions, record_of
from monailabel_app.lib.errors import RequestError, Stopping

_log = logging.getLogger(__name__)

FOUND = {"source": "found in the folder"}
"""The info of a version made from a file that somebody put into the folder of labels."""

_LOOK_AGAIN_SECONDS = 2.0
"""A file overwritten in its place does not change its folder, so that files are looked at so often, if asked."""

_SETTLED_SECONDS = 2.0
"""A file that does not fit but changed less than this ago may be one that is still being written."""


class Labels:
    """Saves labels, and takes up those that are found. Threads may share it.

    Args:
        root: the studies folder, resolved.
        versions: every label ever saved.
        scratch: on the same file system.
        gate: through which every write goes.
        images: gives the images there are, by id.
        case: reads an image.
        decoding: so many at once.
        max_voxels: of a label file, over all frames.
    """

    def __init__(
        self,
        root: Path,
        versions: Versions,
        scratch: Scratch,
        gate: Gate,
        *,
        images: Callable[[], Mapping[str, ImageFile]],
        case: Callable[[str], Case],
        decoding: Decoding,
        max_voxels: int,
    ) -> None:
        self._root, self._versions, self._scratch, self._gate = root, versions, scratch, gate
        self._images, self._case, self._decoding, self._max_voxels = images, case, decoding, max_voxels
        # Nothing is decoded while it is held, so that whoever has something to save need not wait for that.
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._hashes: dict[Path, tuple[Signature, str]] = {}
        self._refused: dict[Path, tuple[Signature, Signature | None]] = {}
        self._looked: tuple[float, tuple[int, ...]] | None = None

    def folder(self, tag: str) -> Path:
        """Where the newest labels of a tag are for people and other tools."""
        return self._root / "labels" / tag

    def save(
        self, case: Case, tag: str, label: LabelImage, info: dict[str, Any], *, before: Callable[[], None]
    ) -> LabelVersion:
        """Save a label as the next version.

        Args:
            case: that it is of.
            tag: under which tag.
            label: on the case's grid.
            info: kept with it.
            before: called right before; what it raises keeps the label from being saved.

        Raises:
            Unprocessable: it does not fit the case.
            OSError, StorageFull: it cannot be stored; nothing has changed.
            Stopping: the gate is shut; nothing has changed.
        """
        with self._scratch.file(LABEL_ENDING) as file, self._scratch.file(LABEL_ENDING) as twin:
            structures = write_canonical(file, label, case, info)
            copy(file, twin)
            # What lies in the folder unseen becomes a version before this one takes its name.
            self._take_up(tag, case.id, case.path, self._found(tag).get(case.id, []))
            before()
            with self._gate, self._lock:
                version = self._versions.add(tag, case.id, file, structures=structures, info=info)
                self._show(version, twin)
        return version

    def look(self, *, wait: bool = False) -> None:
        """Take up what was put into the folder since the last time, and restore copies that are gone.

        Args:
            wait: also if the last time was a moment ago, or another thread is at it.
        """
        if not self._looking.acquire(blocking=wait):
            return
        try:
            now = time.monotonic()
            with self._gate:
                for tag in TAGS:
                    make_folder(self.folder(tag))
            changed = tuple(self.folder(tag).stat().st_mtime_ns for tag in TAGS)
            if not wait and self._looked is not None:
                before, was = self._looked
                if was == changed and now - before < _LOOK_AGAIN_SECONDS:
                    return
            for tag in TAGS:
                self._look_at(tag)
            self._looked = now, changed
        except Stopping:
            _log.debug("nothing is taken up any more: the server is being stopped")
        finally:
            self._looking.release()

    def _look_at(self, tag: str) -> None:
        found = self._found(tag)
        for image_id, image in self._images().items():
            if image_id not in found and not self._versions.of(tag, image_id):
                continue
            try:
                self._take_up(tag, image_id, image.path, found.get(image_id, []))
                self._restore(tag, image_id)
            except Stopping:
                raise
            except (OSError, RequestError) as error:
                # Whoever asked is not to blame; the next look tries again.
                _log.warning(
                    "a label of the tag %s could not be taken up or restored: %s", tag, type(error).__name__
                )

    def _found(self, tag: str) -> dict[str, list[Path]]:
        """The files of a folder of labels by id, in the order in which they count."""
        found: dict[str, list[Path]] = defaultdict(list)
        for name in sorted((entry.name for entry in self.folder(tag).iterdir()), key=rank):
            parts = split_name(name)
            if parts:
                found[parts[0]].append(self.folder(tag) / name)
        return found

    def _take_up(self, tag: str, image_id: str, image: Path, paths: Sequence[Path]) -> None:
        """Make a version of each file of an id that is none yet and fits the image; none of them is changed."""
        for path in paths:
            signature = signature_of(path)
            if signature is None or not is_file_within(path, self._root) or self._is_known(tag, image_id, path):
                continue
            state = (signature, signature_of(image))
            if self._refused.get(path) == state:
                continue
            try:
                self._adopt(tag, image_id, path, signature)
            except RequestError as error:
                if error.status >= 500:
                    raise
                self._refused[path] = state
                _log.warning("a file found among the labels of the tag %s does not fit and is left alone", tag)

    def _adopt(self, tag: str, image_id: str, path: Path, signature: Signature) -> None:
        case = self._case(image_id)
        with self._decoding(), refusing(path, "label"):
            label = read_labels(path, max_voxels=self._max_voxels)
        with self._scratch.file(LABEL_ENDING) as file:
            info = dict(FOUND)
            structures = write_canonical(file, label, case, info)
            found = sha256_of(path)
            with self._gate, self._lock:
                if signature_of(path) != signature:
                    return  # still being written; seen again at the next look
                if not self._is_known(tag, image_id, path):  # by another thread, meanwhile
                    self._versions.add(tag, image_id, file, structures=structures, info=info, found_sha256=found)

    def _is_known(self, tag: str, image_id: str, path: Path) -> bool:
        """Whether a file holds a version, or what a version was made from.

        An earlier version in the newest one's place is either a copy that a crash has left behind, which is older
        than the newest version, or somebody has put it back, and wants it.
        """
        sha256 = self._sha256(path)
        versions = self._versions.of(tag, image_id)
        if sha256 is None or not versions:
            return False
        newest = versions[-1]
        if sha256 in {newest.sha256, newest.found_sha256}:
            return True
        if path == self._copy_of(newest):
            # The record is written last: a copy of ours, also of an earlier version, is older.
            ours, theirs = signature_of(record_of(newest.path)), signature_of(path)
            if ours is not None and theirs is not None and theirs.mtime_ns > ours.mtime_ns:
                return False
        return any(sha256 in {each.sha256, each.found_sha256} for each in versions)

    def _sha256(self, path: Path) -> str | None:
        signature = signature_of(path)
        if signature is None:
            return None
        held = self._hashes.get(path)
        if held is None or held[0] != signature:
            held = self._hashes[path] = (signature, sha256_of(path))
        return held[1]

    def _restore(self, tag: str, image_id: str) -> None:
        """Make the copy of the newest version one, unless it is."""
        with self._gate, self._lock:
            newest = self._versions.newest(tag, image_id)
            if newest is None or self._sha256(self._copy_of(newest)) == newest.sha256:
                return
            self._versions.check(newest)
            with self._scratch.file(LABEL_ENDING) as twin:
                copy(newest.path, twin)
                self._put_copy(newest, twin)

    def _show(self, version: LabelVersion, twin: Path) -> None:
        try:
            self._put_copy(version, twin)
        except OSError as error:
            # The version is saved; the next look restores its copy.
            self._looked = None
            _log.warning("the newest label could not be put into labels/%s: %s", version.tag, error.strerror)

    def _put_copy(self, version: LabelVersion, twin: Path) -> None:
        target = self._copy_of(version)
        if os.path.lexists(target) and not self._is_known(version.tag, version.label, target):
            if abs(time.time() - target.lstat().st_mtime) < _SETTLED_SECONDS:
                # Somebody may be copying it there: a later look knows what it has become.
                self._looked = None
                return
            _move_aside(target)
        exchange(twin, target)
        signature = signature_of(target)
        if signature is not None:
            self._hashes[target] = (signature, version.sha256)

    def _copy_of(self, version: LabelVersion) -> Path:
        return self.folder(version.tag) / f"{version.label}{LABEL_ENDING}"


def _move_aside(path: Path) -> None:
    """Give what is at a path a name under which nothing looks for labels."""
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.name}.kept-{number}")):
        number += 1
    path.rename(aside)
