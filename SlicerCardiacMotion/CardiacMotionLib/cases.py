"""Cases between the scene and the server: the next one, an upload, the labels that are sent back."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from CardiacMotionLib.background import Task, Tasks
from CardiacMotionLib.client import BadAnswer, SavedLabel
from CardiacMotionLib.errors import InputError
from CardiacMotionLib.nifti import write_nifti
from CardiacMotionLib.server_link import OnGone, ServerLink, failing
from CardiacMotionLib.signals import Signal
from CardiacMotionLib.structures import BY_NAME
from CardiacMotionLib.uploads import take_upload
from CardiacMotionLib.workspace import CaseOnServer, Workspace

TAG = "final"
_KEY = "case"
_ID = re.compile(r"[^A-Za-z0-9._-]+")
_ENDINGS = (".seq.nrrd", ".nii.gz", ".nii", ".nrrd")
_MAX_ID = 100


@dataclass(frozen=True)
class Downloaded:
    """A case that was fetched.

    Attributes:
        path: of its image.
        case: what it is on the server.
        suggestion: frames and slices to begin with, as the server has it.
    """

    path: Path
    case: CaseOnServer
    suggestion: Mapping[str, Any]


def image_id_of(name: str) -> str:
    """An id that the server takes, made of a node's or a file's name."""
    for ending in _ENDINGS:
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
    cleaned = _ID.sub("-", name).strip(".-_")[:_MAX_ID].rstrip(".-_")
    return cleaned or "cine"


def id_to_send(workspace: Workspace) -> str:
    """The id that a cine has on a server once it is sent: the reader's, or one made of its name."""
    return image_id_of(workspace.chosen_id or workspace.cine.name)


class Cases:
    """Fetches and sends cases; one at a time. Main thread only.

    Args:
        tasks: runs the work.
        link: to the server.

    Attributes:
        progress: emitted with fraction and message.
        failed: emitted with what went wrong; scene and server are as they were.
        done: emitted when something has come to its end.
    """

    def __init__(self, tasks: Tasks, link: ServerLink) -> None:
        self._tasks, self._link = tasks, link
        self.progress: Signal[tuple[float, str]] = Signal()
        self.failed: Signal[BaseException] = Signal()
        self.done: Signal[None] = Signal()

    @property
    def is_busy(self) -> bool:
        """Whether something is under way."""
        return self._tasks.newest(_KEY) is not None

    def cancel(self) -> None:
        """Want no more of what is under way."""
        task = self._tasks.newest(_KEY)
        if task is not None:
            task.cancel()

    def next_case(self, strategy: str, folder: Path, on_done: Callable[[Downloaded | None], None]) -> None:
        """Fetch the next case to label.

        Args:
            strategy: one that the server offers.
            folder: for the image; what was fetched before and is still the same is not fetched again.
            on_done: called with it, or None if every case has a label.

        Raises:
            InputError: there is no connection.
        """
        target = self._link.target

        def work(task: Task[Downloaded | None]) -> Downloaded | None:
            with target.client() as client:
                found = client.next_case(strategy, cancelled=task.cancelled)
                if found is None:
                    return None
                image_id = str(found["id"])
                name = str(found.get("name", ""))
                ending = next((each for each in _ENDINGS if name.lower().endswith(each)), ".nii.gz")
                sha256 = str(found.get("checksum", "")).rpartition(":")[2] or None
                path = folder / f"{image_id_of(image_id)}{ending}"  # no path of the server's choosing
                if sha256 is None or not path.is_file() or _sha256(path) != sha256:
                    folder.mkdir(parents=True, exist_ok=True)
                    client.get_image(
                        image_id,
                        path,
                        progress=lambda done, all_: task.report(_share(done, all_), f"fetching {image_id}"),
                        cancelled=task.cancelled,
                    )
                    if sha256 is not None and _sha256(path) != sha256:
                        path.unlink()
                        raise BadAnswer(
                            f"expected the image {image_id} with the checksum that the server gave, got others; "
                            "it may have been replaced just now, so try again"
                        )
                case = CaseOnServer(image_id, sha256, target.address)
                suggestion = found.get("suggest")
                return Downloaded(path, case, suggestion if isinstance(suggestion, dict) else {})

        self._start(work, on_done)

    def upload(self, workspace: Workspace, image_id: str, on_done: Callable[[CaseOnServer], None]) -> None:
        """Send the cine to the server under an id; the same one again is no error.

        Raises:
            InputError: there is no connection.
        """
        target, upload = self._link.target, take_upload(workspace.cine)

        def work(task: Task[CaseOnServer]) -> CaseOnServer:
            with target.client() as client, tempfile.TemporaryDirectory(prefix="CardiacMotion-") as folder:
                task.report(0.0, f"sending {image_id}")
                path = upload.write(folder, image_id)
                sha256 = client.put_image(
                    image_id,
                    path,
                    progress=lambda done, all_: task.report(_share(done, all_), f"sending {image_id}"),
                    cancelled=task.cancelled,
                )
                return CaseOnServer(image_id, sha256, target.address)

        def done(case: CaseOnServer) -> None:
            if workspace.is_alive:
                workspace.case = case
                on_done(case)

        self._start(work, done)

    def on_server(self, workspace: Workspace, start: Callable[[OnGone | None], None]) -> None:
        """Start something for which the server needs the cine; the cine is sent first where it is not there.

        Args:
            workspace: the case.
            start: called when the server has the cine. What it is given is to be called where the server turns out
                not to have it any more: the cine is then sent anew, and `start` called again, with None.

        Raises:
            InputError: there is no connection.
        """
        self._link.target  # noqa: B018 - raises without a connection
        known = self.known(workspace)

        def send() -> None:
            image_id = id_to_send(workspace) if known is None else known.image_id
            self.upload(workspace, image_id, lambda _case: start(None))

        def again() -> None:
            if workspace.is_alive:
                workspace.case = None
                send()

        if known is None:
            send()
        else:
            start(again)

    def known(self, workspace: Workspace) -> CaseOnServer | None:
        """The case on the server that there is a connection to; None if it is not known there."""
        case, target = workspace.case, self._link.current_target
        return case if case is not None and target is not None and case.address == target.address else None

    def submit(
        self,
        workspace: Workspace,
        on_done: Callable[[SavedLabel], None],
        *,
        model: Mapping[str, Any] | None = None,
        note: str = "",
        on_gone: OnGone | None = None,
    ) -> None:
        """Send the labels of all frames back, with the frames that were verified.

        Args:
            workspace: the case.
            on_done: called with the version that they became.
            model: name and version of the one that carried the labels.
            note: of the reader.
            on_gone: called in place of `failed` where the server does not have the image any more.

        Raises:
            InputError: there is no connection, the image is not on the server, or there are no labels.
        """
        target, case, cine = self._link.target, workspace.case, workspace.cine
        if case is None:
            raise InputError("expected the cine to be on the server; upload it first")
        workspace.segmentations.look_now()
        labels = np.stack([workspace.labels(t) for t in range(cine.n_frames)])
        if not labels.any():
            raise InputError("expected labels on at least one frame, there are none")
        states, affine, seconds = workspace.states, cine.affine, cine.frame_seconds
        params: dict[str, Any] = {
            "verified_frames": sorted(states.verified),
            "key_frames": list(states.key_frames),
            "label_info": [{"name": name, "idx": BY_NAME[name].value} for name in workspace.segmentations.names],
        }
        params |= {"image_sha256": case.sha256} if case.sha256 else {}
        params |= {"model": dict(model)} if model else {}
        params |= {"note": note} if note else {}

        def work(task: Task[SavedLabel]) -> SavedLabel:
            with target.client() as client, tempfile.TemporaryDirectory(prefix="CardiacMotion-") as folder:
                task.report(0.0, f"sending the labels of {case.image_id}")
                path = Path(folder) / "labels.nii.gz"
                write_nifti(path, labels, affine, frame_seconds=seconds)
                return client.save_label(case.image_id, TAG, path, params, cancelled=task.cancelled)

        self._start(work, on_done, on_gone)

    def _start(
        self, work: Callable[[Task[Any]], Any], on_done: Callable[[Any], None], on_gone: OnGone | None = None
    ) -> None:
        def done(result: Any) -> None:
            self.done.emit(None)
            on_done(result)

        self._tasks.start(
            _KEY,
            work,
            on_progress=lambda fraction, message: self.progress.emit((fraction, message)),
            on_done=done,
            on_error=failing(self.failed, on_gone),
        )


def _share(done: int, of: int | None) -> float:
    return done / of if of else 0.0


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()
