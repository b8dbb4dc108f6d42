"""Every label ever saved. A version exists from the moment its record has its name, and never changes."""

from __future__ import annotations

import logging
import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from monailabel_app.lib.datastore.durable import (
    Signature,
    make_folder,
    put,
    read_json,
    sha256_of,
    signature_of,
    write_json,
)
from monailabel_app.lib.datastore.gate import Gate
from monailabel_app.lib.datastore.names import LABEL_ENDING, TAGS, is_id
from monailabel_app.lib.datastore.scratch import Scratch
from monailabel_app.lib.errors import Damaged

_log = logging.getLogger(__name__)

_RECORD = re.compile(r"(\d{6,})\.json")
_LABEL = re.compile(r"(\d{6,})" + re.escape(LABEL_ENDING))


@dataclass(frozen=True)
class LabelVersion:
    """A label as it was saved."""

    label: str
    """The id of the label, which is that of its image."""
    tag: str
    version: int
    """From 1."""
    saved: str
    """When it was saved, ISO 8601, UTC."""
    sha256: str
    """Of the label file's bytes."""
    structures: tuple[str, ...]
    """Names of what is drawn on at least one voxel."""
    info: dict[str, Any] = field(hash=False)
    path: Path
    """Of the label file: uint8 (T, Z, Y, X) on the image's grid, as .nii.gz."""
    found_sha256: str | None = None
    """Of the file that it was made from, where that was found in the folder."""

    def to_json(self) -> dict[str, Any]:
        """What an answer says of it: everything but places of this machine."""
        return {
            "label": self.label,
            "tag": self.tag,
            "version": self.version,
            "ts": self.saved,
            "sha256": self.sha256,
            "structures": list(self.structures),
            "info": self.info,
        }


class Versions:
    """The versions of all labels. One process has the folder to itself; its threads may share this.

    A version is ``<tag>/<id>/<number>.nii.gz`` and ``.json``. The label gets its name first, the record second; a
    label without a record is what a crash left, and is removed.

    Args:
        folder: of the versions.
        scratch: on the same file system.
        gate: through which every write goes.

    Raises:
        OSError: a record cannot be read.
    """

    def __init__(self, folder: Path, scratch: Scratch, gate: Gate) -> None:
        self._folder, self._scratch, self._gate = folder, scratch, gate
        self._lock = threading.Lock()
        self._of: dict[tuple[str, str], tuple[LabelVersion, ...]] = {}
        self._sound: dict[Path, Signature] = {}
        for tag in TAGS:
            self._load(tag)

    def of(self, tag: str, label: str) -> tuple[LabelVersion, ...]:
        """The versions of a label, oldest first."""
        return self._of.get((tag, label), ())

    def newest(self, tag: str, label: str) -> LabelVersion | None:
        """The newest version of a label, if there is one."""
        versions = self.of(tag, label)
        return versions[-1] if versions else None

    def check(self, version: LabelVersion) -> None:
        """Make sure that a version's file is still what was saved.

        Raises:
            Damaged: it is not.
        """
        signature = signature_of(version.path)
        if signature is not None and self._sound.get(version.path) == signature:
            return
        if signature is None or sha256_of(version.path) != version.sha256:
            raise Damaged(
                f"version {version.version} of the label {version.label} is no longer what was saved",
                field="version",
            )
        self._sound[version.path] = signature

    def add(
        self,
        tag: str,
        label: str,
        file: Path,
        *,
        structures: tuple[str, ...],
        info: dict[str, Any],
        found_sha256: str | None = None,
    ) -> LabelVersion:
        """Make a finished label file the newest version; it is moved.

        Raises:
            OSError: it cannot be stored; nothing has changed.
            Stopping: the gate is shut; nothing has changed.
        """
        folder = self._folder / tag / label
        sha256 = sha256_of(file)
        with self._gate, self._lock:
            make_folder(folder)
            earlier = self.of(tag, label)
            number = 1 + max([*(version.version for version in earlier), *_numbers(folder, _RECORD)], default=0)
            version = LabelVersion(
                label=label,
                tag=tag,
                version=number,
                saved=datetime.now(UTC).isoformat(timespec="milliseconds"),
                sha256=sha256,
                structures=structures,
                info=info,
                path=folder / f"{number:06d}{LABEL_ENDING}",
                found_sha256=found_sha256,
            )
            self._commit(version, file)
            self._of[tag, label] = (*earlier, version)
            return version

    def _commit(self, version: LabelVersion, file: Path) -> None:
        record = record_of(version.path)
        with self._scratch.file(".json") as temporary:
            write_json(temporary, {**version.to_json(), "found_sha256": version.found_sha256})
            try:
                put(file, version.path)
                put(temporary, record)
            except BaseException:
                # The name may be there although the disk failed to confirm it.
                for path in (record, version.path):
                    with suppress(OSError):
                        path.unlink(missing_ok=True)
                raise

    def _load(self, tag: str) -> None:
        folder = self._folder / tag
        if not folder.is_dir():
            return
        unreadable = 0
        loaded: dict[str, list[LabelVersion]] = defaultdict(list)
        for entry in sorted(folder.iterdir()):
            if not (is_id(entry.name) and entry.is_dir()):
                continue
            numbers = sorted(_numbers(entry, _RECORD))
            _remove_orphans(entry, numbers)
            versions = [_version(entry, tag, number) for number in numbers]
            unreadable += versions.count(None)
            for version in filter(None, versions):
                loaded[version.label].append(version)
        for label, found in loaded.items():
            self._of[tag, label] = tuple(sorted(found, key=lambda version: version.version))
        if unreadable:
            _log.error("%d label versions of the tag %s are damaged and left out", unreadable, tag)


def _numbers(folder: Path, pattern: re.Pattern[str]) -> Iterator[int]:
    for entry in folder.iterdir():
        match = pattern.fullmatch(entry.name)
        if match:
            yield int(match[1])


def _remove_orphans(folder: Path, recorded: list[int]) -> None:
    for number in set(_numbers(folder, _LABEL)) - set(recorded):
        (folder / f"{number:06d}{LABEL_ENDING}").unlink(missing_ok=True)


def record_of(label: Path) -> Path:
    """The record beside a version's label file."""
    return label.with_name(label.name.removesuffix(LABEL_ENDING) + ".json")


def _version(folder: Path, tag: str, number: int) -> LabelVersion | None:
    path = folder / f"{number:06d}{LABEL_ENDING}"
    content = read_json(record_of(path)) or {}
    match content:
        case {"label": str(label), "tag": str(), "version": int(), "ts": str(saved), "sha256": str(sha256)}:
            structures, info, found = (content.get(key) for key in ("structures", "info", "found_sha256"))
        case _:
            return None
    # Where a disk folds case, the folder of a label may have been made for one of the same letters.
    if not is_id(label) or label.lower() != folder.name.lower():
        return None
    if (content["tag"], content["version"]) != (tag, number) or not path.is_file() or not isinstance(info, dict):
        return None
    try:
        datetime.fromisoformat(saved)
    except ValueError:
        return None
    return LabelVersion(
        label=label,
        tag=tag,
        version=number,
        saved=saved,
        sha256=sha256,
        structures=tuple(map(str, structures)) if isinstance(structures, list) else (),
        info=info,
        path=path,
        found_sha256=found if isinstance(found, str) else None,
    )
