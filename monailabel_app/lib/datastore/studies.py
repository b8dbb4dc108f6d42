"""A studies folder: images, every version of their labels. The file system is the only truth."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cardiac_motion.errors import InputError
from cardiac_motion.io import LabelImage
from filelock import FileLock, Timeout

from monailabel_app.lib.datastore.cases import Case, CaseReader, read_cine_within
from monailabel_app.lib.datastore.decoding import Decoding
from monailabel_app.lib.datastore.durable import make_folder, put_new, sha256_of
from monailabel_app.lib.datastore.gate import Gate
from monailabel_app.lib.datastore.images import ImageFile, ImageFolder
from monailabel_app.lib.datastore.labels import Labels
from monailabel_app.lib.datastore.names import TAGS, check_ending, check_id, check_tag
from monailabel_app.lib.datastore.records import ImageRecord, ImageRecords
from monailabel_app.lib.datastore.refusals import plain_json, storing
from monailabel_app.lib.datastore.scratch import Scratch
from monailabel_app.lib.datastore.versions import LabelVersion, Versions
from monailabel_app.lib.errors import Conflict, NotFound

_log = logging.getLogger(__name__)

_DATA = ".cardiac_motion"

_COMMIT_SECONDS = 2.0
"""Giving a file its name takes milliseconds; longer waits are for a disk that may never answer."""


class Studies:
    """The images of a folder, their labels in every version, and notes on them.

    Safe against threads that call it at once, and against the end of the process at any moment: what was answered
    as saved is there, what was not leaves no trace. Nothing is ever deleted.

    Args:
        studies: the folder; no other server may have it.
        max_voxels: of an image or label, over all frames.
        max_frames: of an image.
        cache_bytes: of images held in memory.
        decoders: files that are decoded at once; who brings another one waits.

    Raises:
        InputError: no such folder, it cannot be written to, or another server has it.
    """

    def __init__(
        self,
        studies: Path | str,
        *,
        max_voxels: int = 2**27,
        max_frames: int = 200,
        cache_bytes: int = 2**30,
        decoders: int = 2,
    ) -> None:
        self._root = Path(studies).resolve()
        self._max_voxels, self._max_frames = max_voxels, max_frames
        if not self._root.is_dir():
            raise InputError(f"expected a folder of studies, got {studies}, which is none")
        data = self._root / _DATA
        with _starting(self._root):
            for folder in (
                data,
                data / "scratch",
                data / "labels",
                data / "images",
                *map(self._label_folder, TAGS),
            ):
                make_folder(folder)
                self._check_place(folder)
            self._lock = _locked(data / "server.lock", self._root)
        self._lock_of_images = threading.Lock()
        self._lock_of_names = threading.Lock()
        self._gate = Gate()
        self._decoding = Decoding(decoders)
        self._scratch = Scratch(data / "scratch", self._gate)
        self._folder = ImageFolder(self._root, folds_case=(self._root / _DATA.upper()).exists())
        try:
            self._scratch.clear()
            self._records = ImageRecords(data / "images", self._scratch, self._gate)
            self._cases = CaseReader(
                self._records,
                max_voxels=max_voxels,
                max_frames=max_frames,
                max_bytes=cache_bytes,
                decoding=self._decoding,
            )
            with _starting(self._root):
                self._versions = Versions(data / "labels", self._scratch, self._gate)
                self._labels = Labels(
                    self._root,
                    self._versions,
                    self._scratch,
                    self._gate,
                    images=self._folder.files,
                    case=self.case,
                    decoding=self._decoding,
                    max_voxels=max_voxels,
                )
                self._labels.look(wait=True)
        except BaseException:
            self._lock.release()
            raise

    def close(self) -> None:
        """End every write, remove temporary files and let another server have the folder. Again is fine.

        Threads that save afterwards get `Stopping`; what they were saving is not there. One that is in the middle
        of giving a file its name ends that first. If its disk does not answer, the folder stays locked until that
        process ends, so that no two ever write at once.
        """
        if not self._gate.shut(_COMMIT_SECONDS):
            _log.error("a file is still being saved: the studies folder stays locked until this process ends")
            return
        if self._lock.is_locked:
            try:
                self._scratch.clear()
            finally:
                self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def data_folder(self) -> Path:
        """The server's own folder in the studies folder."""
        return self._root / _DATA

    # Temporary files

    @property
    def scratch_path(self) -> Path:
        """The folder of temporary files, emptied at the start and at the end."""
        return self._scratch.path

    def scratch_file(self, suffix: str = "") -> AbstractContextManager[Path]:
        """A path on the same disk that nothing has; what is there at the end of the block is removed."""
        return self._scratch.file(suffix)

    def scratch_folder(self) -> AbstractContextManager[Path]:
        """A new, empty folder on the same disk, removed at the end of the block."""
        return self._scratch.folder()

    def decoding(self) -> AbstractContextManager[None]:
        """Wait for a place among those that decode a stranger's file, and have it for the block.

        Whoever waits is to hold no lock, and the block is to do no more than decode.
        """
        return self._decoding()

    # Images

    def add_image_file(
        self, image_id: str, path: Path | str, *, ending: str | None = None, info: dict[str, Any] | None = None
    ) -> ImageRecord:
        """Store an image, its bytes as they are; the same bytes again change nothing.

        Args:
            image_id: under which id.
            path: the file, which stays; one among the temporary files is not copied.
            ending: one of `names.ENDINGS`; by default that of the file's name.
            info: notes to keep with it.

        Raises:
            RequestError: 400 for the id or ending.
            Unprocessable: no cine, or too large.
            Conflict: there is another image of that id, or of one that differs only in case.
            StorageFull: no room; nothing has changed.
            Stopping: the store was closed; nothing has changed.
        """
        check_id(image_id)
        source = Path(path).absolute()
        ending = check_ending(ending or source.name)
        notes = plain_json(info or {}, field="info")
        with storing(), self._scratch.file(ending) as file:
            self._stage(source, file)
            with self._decoding():
                read_cine_within(file, max_voxels=self._max_voxels, max_frames=self._max_frames)
            sha256 = sha256_of(file)
            with self._lock_of_images, self._gate:
                images = self._folder.files(again=True)
                present = images.get(image_id)
                if present is None:
                    _check_case(image_id, images)
                    present = self._place(image_id, f"{image_id}{ending}", file, sha256, notes)
            record = self._records.of(present)
        if record.sha256 != sha256:
            raise Conflict(f"there is another image {image_id} already", field="image")
        return record

    def case(self, image_id: str) -> Case:
        """An image, read.

        Raises:
            RequestError: 400 for the id.
            NotFound: no such image.
            Unprocessable: its file is no cine, or too large.
            Conflict: its file is being changed.
        """
        return self._cases.read(self._image(image_id))

    def find_image(self, image_id: str) -> ImageRecord:
        """What is known of an image; its checksum may take reading it.

        Raises:
            RequestError: 400 for the id.
            NotFound: no such image.
        """
        return self._records.of(self._image(image_id))

    # Labels

    def save_label_version(
        self, image_id: str, tag: str, label: LabelImage, info: dict[str, Any], *, case: Case | None = None
    ) -> LabelVersion:
        """Save a label as the next version.

        Args:
            image_id: of which image.
            tag: one of `names.TAGS`.
            label: on the image's grid; one frame or all.
            info: kept with it; ``key_frames`` names the frame of a label that has one frame.
            case: the image as `case` gave it, which the label was checked against; by default it is read.

        Raises:
            RequestError: 400 for id or tag.
            NotFound: no such image.
            Unprocessable: it does not fit the image.
            Conflict: the image is another one by now; nothing has changed.
            StorageFull: no room; nothing has changed.
            Stopping: the store was closed; nothing has changed.
        """
        check_tag(tag)
        kept = plain_json(info, field="label_info")
        image = self._image(image_id)
        fitting = self._cases.read(image) if case is None else case
        if fitting.id != image.id:
            raise ValueError("expected the case of the image")
        with storing():
            return self._labels.save(fitting, tag, label, kept, before=lambda: self._check_same(fitting))

    def label_versions(self, image_id: str, tag: str | None = None) -> list[LabelVersion]:
        """Every version of an image's labels, by tag and number.

        Raises:
            RequestError: 400 for id or tag.
            NotFound: no such image.
        """
        tags = TAGS if tag is None else (check_tag(tag),)
        self._image(image_id, field="label")
        self._labels.look()
        return [version for each in tags for version in self._versions.of(each, image_id)]

    def label_version(self, image_id: str, tag: str, version: int | None = None) -> LabelVersion:
        """One version of a label, by default the newest; its file never changes.

        Raises:
            RequestError: 400 for id or tag.
            NotFound: no such image, label or version.
            Damaged: its file is no longer what was saved.
        """
        versions = self.label_versions(image_id, check_tag(tag))
        found = next((each for each in reversed(versions) if version in {None, each.version}), None)
        if found is None:
            what = "label" if version is None else f"version {version} of the label"
            raise NotFound(
                f"there is no {what} {image_id} with the tag {tag}",
                field="label" if version is None else "version",
            )
        self._versions.check(found)
        return found

    def _files(self) -> Mapping[str, ImageFile]:
        """The images, once labels that were found beside them are taken up."""
        self._labels.look()
        return self._folder.files()

    def _image(self, image_id: str, *, field: str = "image") -> ImageFile:
        image = self._folder.files().get(check_id(image_id, field=field))
        if image is None:
            raise NotFound(f"there is no image {image_id}", field=field)
        return image

    def _check_same(self, case: Case) -> None:
        if self._records.sha256(self._image(case.id)) != case.sha256:
            raise Conflict(
                f"the image {case.id} is another one by now",
                code="other_image",
                field="image",
            )

    def _newest(self, image_id: str, tag: str) -> LabelVersion | None:
        return self._versions.newest(tag, image_id) if image_id in self._folder.files() else None

    def _stage(self, source: Path, target: Path) -> None:
        if source.is_relative_to(self._scratch.path):
            with suppress(OSError):
                os.link(source, target)
                return
        shutil.copyfile(source, target)

    def _place(self, image_id: str, name: str, file: Path, sha256: str, notes: dict[str, Any]) -> ImageFile:
        """Give a checked file its name among the images, its record first."""
        final = self._root / name
        if os.path.lexists(final):
            raise Conflict(f"there is something else under the name of the image {image_id}", field="image")
        self._records.write(image_id, self._records.prepare(image_id, name, sha256, file, notes))
        try:
            put_new(file, final)
        except BaseException as error:
            self._records.forget(image_id)
            if isinstance(error, FileExistsError):  # put there by hand a moment ago
                raise Conflict(f"there is another image {image_id} already", field="image") from error
            raise
        return self._folder.files(again=True)[image_id]

    def _label_folder(self, tag: str) -> Path:
        return self._root / "labels" / tag

    def _check_place(self, folder: Path) -> None:
        """Files are moved between the folders, and nothing is written anywhere else."""
        if not folder.resolve().is_relative_to(self._root) or folder.stat().st_dev != self._root.stat().st_dev:
            raise InputError(
                f"expected {folder} within the studies folder and on the same disk; it leads elsewhere"
            )


def _check_case(image_id: str, images: Iterable[str]) -> None:
    twin = next((other for other in images if other.lower() == image_id.lower()), None)
    if twin is not None:
        raise Conflict(
            f"there is an image {twin} already, whose id differs from {image_id} only in upper and lower case",
            field="image",
        )


@contextmanager
def _starting(root: Path) -> Iterator[None]:
    """Make an OSError an InputError that names the folder and nothing in it, which may be named after patients."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(f"cannot use the studies folder {root}: {reason}") from error


def _locked(path: Path, root: Path) -> FileLock:
    lock = FileLock(path, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise InputError(f"the studies folder {root} is in use by another server") from error
    except NotImplementedError as error:
        raise InputError(f"the disk of the studies folder {root} knows no locks") from error
    return lock
