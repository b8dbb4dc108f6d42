"""A studies folder as MONAI Label's datastore."""

from __future__ import annotations

import io
import logging
from datetime import datetime
from pathlib import Path
from typing import Any

from cardiac_motion.io import read_labels
from monailabel.interfaces.datastore import Datastore

from monailabel_app.lib.datastore.durable import exchange, read_json, write_json
from monailabel_app.lib.datastore.images import ImageFile
from monailabel_app.lib.datastore.names import LABEL_ENDING, TAGS, check_tag
from monailabel_app.lib.datastore.refusals import plain_json, refusing, storing
from monailabel_app.lib.datastore.studies import Studies
from monailabel_app.lib.datastore.versions import LabelVersion
from monailabel_app.lib.errors import NotAllowed

_log = logging.getLogger(__name__)

_DEFAULT_NAME = "CardiacMotion"


class LocalDatastore(Studies, Datastore):
    """`Studies` with the methods that MONAI Label expects of a datastore.

    Of something unknown these tell an empty value, as MONAI Label's own do; the methods of `Studies` raise.
    """

    def name(self) -> str:
        """A name for people."""
        return str(self._names().get("name", _DEFAULT_NAME))

    def set_name(self, name: str) -> None:
        """Change the name for people."""
        self._set_name("name", name)

    def description(self) -> str:
        """A description for people."""
        return str(self._names().get("description", ""))

    def set_description(self, description: str) -> None:
        """Change the description for people."""
        self._set_name("description", description)

    def datalist(self) -> list[dict[str, Any]]:
        """Paths of each image that has a final label, and of that label's newest version, which never changes."""
        pairs = ((image, self._versions.newest("final", image.id)) for image in self._files().values())
        return [{"image": str(image.path), "label": str(label.path)} for image, label in pairs if label]

    def get_labels_by_image_id(self, image_id: str) -> dict[str, str]:
        """The label's id by each tag that an image has labels of."""
        return {tag: image_id for tag in TAGS if self._newest(image_id, tag)}

    def get_label_by_image_id(self, image_id: str, tag: str) -> str:
        """The label's id, or ""."""
        return self.get_labels_by_image_id(image_id).get(tag, "")

    def get_image(self, image_id: str, params: dict[str, Any] | None = None) -> io.BytesIO | None:  # noqa: ARG002
        """The bytes of an image, or None."""
        image = self._folder.files().get(image_id)
        try:
            return io.BytesIO(image.path.read_bytes()) if image else None
        except FileNotFoundError:
            return None

    def get_image_uri(self, image_id: str) -> str:
        """Path of an image, or ""."""
        image = self._folder.files().get(image_id)
        return str(image.path) if image else ""

    def get_label(self, label_id: str, label_tag: str, params: dict[str, Any] | None = None) -> io.BytesIO | None:  # noqa: ARG002
        """The bytes of the newest version of a label, or None.

        Raises:
            Damaged: they are no longer what was saved.
        """
        newest = self._newest(label_id, label_tag)
        if newest is None:
            return None
        self._versions.check(newest)
        return io.BytesIO(newest.path.read_bytes())

    def get_label_uri(self, label_id: str, label_tag: str) -> str:
        """Path of the newest version of a label, or ""."""
        newest = self._newest(label_id, label_tag)
        return str(newest.path) if newest else ""

    def get_image_info(self, image_id: str) -> dict[str, Any]:
        """Time, name and notes of an image, its checksum if that is known already; empty where there is none.

        Strategies ask this of every image: no file is read for it. `find_image` tells the checksum of any.
        """
        image = self._folder.files().get(image_id)
        return self._records.brief(image) if image else {}

    def get_label_info(self, label_id: str, label_tag: str) -> dict[str, Any]:
        """Info of the newest version of a label; empty where there is none."""
        newest = self._newest(label_id, label_tag)
        return _label_info(newest) if newest else {}

    def get_labeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """Ids of images whose newest label of a tag, by default final, has all of these structures."""
        tag, wanted = label_tag or "final", set(labels or ())
        newest = ((image_id, self._versions.newest(tag, image_id)) for image_id in self._files())
        return [image_id for image_id, label in newest if label and wanted <= set(label.structures)]

    def get_unlabeled_images(self, label_tag: str | None = None, labels: list[str] | None = None) -> list[str]:
        """Ids of the other images, without those that turned out to be unreadable."""
        labeled = set(self.get_labeled_images(label_tag, labels))
        return [
            image_id
            for image_id, image in self._files().items()
            if image_id not in labeled and not self._cases.is_unreadable(image)
        ]

    def list_images(self) -> list[str]:
        """Ids of all images, in their order."""
        return list(self._folder.files())

    def get_dataset_archive(self, limit_cases: int | None) -> str:  # noqa: ARG002
        """Never done here.

        Raises:
            NotAllowed: always.
        """
        raise NotAllowed("this server does not give away all of its cases at once")

    def refresh(self) -> None:
        """List images and labels again."""
        self._folder.files(again=True)
        self._labels.look(wait=True)

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        """Store an image, as `add_image_file` does; its id."""
        return self.add_image_file(image_id, image_filename, info=image_info).id

    def remove_image(self, image_id: str) -> None:  # noqa: ARG002
        """Never done here.

        Raises:
            NotAllowed: always.
        """
        raise NotAllowed("this server never deletes an image", field="image")

    def save_label(self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any]) -> str:
        """Save a label file as the next version; the label's id. Raises as `save_label_version`."""
        check_tag(label_tag)
        self._image(image_id)
        path = Path(label_filename).absolute()
        with self.decoding(), refusing(path, "label"):
            label = read_labels(path, max_voxels=self._max_voxels)
        return self.save_label_version(image_id, label_tag, label, label_info or {}).label

    def remove_label(self, label_id: str, label_tag: str) -> None:  # noqa: ARG002
        """Never done here.

        Raises:
            NotAllowed: always.
        """
        raise NotAllowed("this server never deletes a label", field="label")

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        """Add to the notes on an image, or change them.

        Raises:
            RequestError: 400 for the id.
            NotFound: no such image.
            Unprocessable: no JSON object.
            StorageFull: no room; nothing has changed.
        """
        image = self._image(image_id)
        notes = plain_json(info, field="info")
        with storing():
            self._records.add_notes(image, notes)

    def update_label_info(self, label_id: str, label_tag: str, info: dict[str, Any]) -> None:  # noqa: ARG002
        """Never done here, but for adding nothing: what was said of a version stays as it was said.

        Raises:
            NotAllowed: there is something to add.
        """
        if info:
            raise NotAllowed(
                "this server never changes what was saved with a label; save a new version", field="info"
            )

    def status(self) -> dict[str, Any]:
        """Numbers of images, of those with a final label, and of labels of each tag."""
        counts = {tag: len(self.get_labeled_images(tag)) for tag in TAGS}
        return {
            "total": len(self._folder.files()),
            "completed": counts["final"],
            "label_tags": {tag: count for tag, count in counts.items() if count},
        }

    def json(self) -> dict[str, Any]:
        """All images and labels with their info; checksums of images as far as they are known already."""
        return {
            "name": self.name(),
            "description": self.description(),
            "images_dir": "",
            "labels_dir": "labels",
            "objects": {image.id: self._object(image) for image in self._files().values()},
        }

    def _object(self, image: ImageFile) -> dict[str, Any]:
        newest = {tag: self._versions.newest(tag, image.id) for tag in TAGS}
        return {
            "image": {"ext": image.ending, "info": self._records.brief(image)},
            "labels": {
                tag: {"ext": LABEL_ENDING, "info": _label_info(label)} for tag, label in newest.items() if label
            },
        }

    def _names(self) -> dict[str, Any]:
        try:
            return read_json(self.data_folder / "datastore.json") or {}
        except OSError as error:
            _log.warning("the names for people could not be read: %s", type(error).__name__)
            return {}

    def _set_name(self, what: str, text: str) -> None:
        with self._gate, self._lock_of_names, storing(), self._scratch.file(".json") as file:
            write_json(file, {**self._names(), what: text})
            exchange(file, self.data_folder / "datastore.json")


def _label_info(label: LabelVersion) -> dict[str, Any]:
    return {
        **label.info,
        "ts": int(datetime.fromisoformat(label.saved).timestamp()),
        "name": f"{label.label}{LABEL_ENDING}",
        "version": label.version,
        "checksum": f"SHA256:{label.sha256}",
    }
