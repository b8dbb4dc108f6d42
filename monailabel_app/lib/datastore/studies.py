"""A studies folder: images, every version of their labels. The file system is the only truth."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cardiac_motion.errors import InputError
from cardiac_motion.io import LabelImage
from filelock import FileLock, Timeout

from monailabel_app.lib.datastore.cases import Case, CaseReader, read_cine_within
from monailabel_app.lib.datastore.durable import make_folder, put_new, sha256_of
from monailabel_app.lib.datastore.images import ImageFile, ImageFolder
from monailabel_app.lib.datastore.labels import Labels
from monailabel_app.lib.datastore.names import TAGS, check_ending, check_id, check_tag
from monailabel_app.lib.datastore.records import ImageRecord, ImageRecords
from monailabel_app.lib.datastore.refusals import plain_json, storing
from monailabel_app.lib.datastore.scratch import Scratch
from monailabel_app.lib.datastore.versions import LabelVersion, Versions
from monailabel_app.lib.errors import Conflict, NotFound

_DATA = ".cardiac_motion"


class Studies:
    """The images of a folder, their labels in every version, and notes on them.

    Safe against threads that call it at once, and against the end of the process at any moment: what was answered
    as saved is there, what was not leaves no trace. Nothing is ever deleted.

    Args:
        studies: the folder; no other server may have it.
        max_voxels: of an image or label, over all frames.
        max_frames: of an image.
        cache_bytes: of images held in memory.

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
    ) -> None:
        self._root = Path(studies).resolve()
        self._max_voxels, self._max_frames = max_voxels, max_frames
        if not self._root.is_dir():
            raise InputError(f"expected a folder of studies, got {studies}, which is none")
        data = self._root / _DATA
        try:
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
        except OSError as error:
            raise InputError(f"cannot use the studies folder {self._root}: {error.strerror or error}") from error
        self._lock_of_images = threading.Lock()
        self._lock_of_names = threading.Lock()
        self._scratch = Scratch(data / "scratch")
        self._folder = ImageFolder(self._root)
        try:
            self._scratch.clear()
            self._records = ImageRecords(data / "images", self._scratch)
            self._cases = CaseReader(
                self._records, max_voxels=max_voxels, max_frames=max_frames, max_bytes=cache_bytes
            )
            self._versions = Versions(data / "labels", self._scratch)
            self._labels = Labels(
                self._root,
                self._versions,
                self._scratch,
                images=self._folder.files,
                case=self.case,
                max_voxels=max_voxels,
            )
            self._labels.look(wait=True)
        except BaseException:
            self._lock.release()
            raise

    def close(self) -> None:
        """Remove temporary files and let another server have the folder. More than once is fine."""
        if self._lock.is_locked:
            self._scratch.clear()
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

    @staticmethod
    def check_tag(tag: str) -> str:
        """The tag, or RequestError 400."""
        return check_tag(tag)

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
            Conflict: there is another image of that id.
            StorageFull: no room; nothing has changed.
        """
        check_id(image_id)
        source = Path(path).absolute()
        ending = check_ending(ending or source.name)
        notes = plain_json(info or {}, field="info")
        with storing(), self._scratch.file(ending) as file:
            self._stage(source, file)
            read_cine_within(file, max_voxels=self._max_voxels, max_frames=self._max_frames)
            sha256 = sha256_of(file)
            with self._lock_of_images:
                present = self._folder.files(again=True).get(image_id)
                if present is None:
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

    def save_label_version(self, image_id: str, tag: str, label: LabelImage, info: dict[str, Any]) -> LabelVersion:
        """Save a label as the next version.

        Args:
            image_id: of which image.
            tag: one of `names.TAGS`.
            label: on the image's grid; one frame or all.
            info: kept with it; ``key_frames`` names the frame of a label that has one frame.

        Raises:
            RequestError: 400 for id or tag.
            NotFound: no such image.
            Unprocessable: it does not fit the image.
            StorageFull: no room; nothing has changed.
        """
        check_tag(tag)
        kept = plain_json(info, field="label_info")
        case = self.case(image_id)
        with storing():
            return self._labels.save(case, tag, label, kept)

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


def _locked(path: Path, root: Path) -> FileLock:
    lock = FileLock(path, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise InputError(f"the studies folder {root} is in use by another server") from error
    except NotImplementedError as error:
        raise InputError(f"the disk of the studies folder {root} knows no locks") from error
    return lock
