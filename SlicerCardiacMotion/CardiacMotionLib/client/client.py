"""The calls of the server's interface."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from CardiacMotionLib.client.answers import (
    InferAnswer,
    SavedLabel,
    entry,
    parse_infer_answer,
    parse_json,
    parse_object,
)
from CardiacMotionLib.client.cancelling import Cancel, check
from CardiacMotionLib.client.connection import Connection, Query, repeated
from CardiacMotionLib.client.dicom import DicomCalls
from CardiacMotionLib.client.errors import BadAnswer
from CardiacMotionLib.client.forms import ByteProgress, FormBody
from CardiacMotionLib.client.job_calls import PATIENCE_SECONDS, Progress, quoted
from CardiacMotionLib.client.offer import Offer, check_api, parse_offer


class Client(DicomCalls):
    """Talks to one server. Use it in a ``with`` statement, or call `close`.

    One client to a thread: two threads must not use the same one at a time. What `cancelled` asks may be set by
    any thread; the call then raises `Cancelled` within a second or so, wherever it waits, a connection in the
    making apart.

    Calls that may be made twice, which are those that read and the upload of an image, are made again if the
    connection breaks; no other is.

    Args:
        address: as ``http://127.0.0.1:8000``.
        token: that the server asks for, or None. It is never logged, nor shown in an error.
        timeout: seconds until there is a connection, and of silence. A few dozen kB may take twice as long as a
            silence. `infer` answers when it is done: `run_job` is for what may take longer.
        verify: True, or a file with certificates (PEM) to trust instead of the usual authorities'.

    Raises:
        BadCall: no address of a server, a token that cannot be sent, or no such file.
    """

    def __init__(
        self,
        address: str,
        *,
        token: str | None = None,
        timeout: tuple[float, float] = (5.0, 60.0),
        verify: bool | Path = True,
    ) -> None:
        super().__init__(Connection(address, token, timeout, verify))

    def __repr__(self) -> str:
        return f"Client({self.address!r})"

    @property
    def address(self) -> str:
        """Of the server."""
        return self._connection.address

    def close(self) -> None:
        """Close connections that are kept open."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def info(self, *, cancelled: Cancel | None = None) -> dict[str, Any]:
        """The server's description.

        Raises:
            BadAnswer: a server of another kind, or of an interface that this client does not know.
            ClientError: whatever else went wrong; as with every other call.
            Cancelled: `cancelled` said so; as with every other call.
        """
        answer = parse_object(self._connection.get("/info/", cancelled=cancelled))
        check_api(answer, self.address)
        return answer

    def offer(self, *, cancelled: Cancel | None = None) -> Offer:
        """What the server offers; raises as `info` does."""
        return parse_offer(check_api(self.info(cancelled=cancelled), self.address))

    def next_case(
        self, strategy: str, *, client_id: str | None = None, cancelled: Cancel | None = None
    ) -> dict[str, Any] | None:
        """The case to label next, by a strategy of the offer; None if there is none left.

        Args:
            strategy: its name.
            client_id: kept with the case, so that others see who was given it.
            cancelled: see the class.
        """
        content = self._connection.call(
            "POST",
            f"/activelearning/{quoted(strategy)}",
            body=json.dumps({} if client_id is None else {"client_id": client_id}).encode(),
            content_type="application/json",
            cancelled=cancelled,
        )
        answer = parse_object(content)
        if not answer:
            return None
        entry(answer, "id", str)
        return answer

    def put_image(
        self,
        image_id: str,
        path: Path,
        *,
        progress: ByteProgress | None = None,
        cancelled: Cancel | None = None,
    ) -> str:
        """Upload an image, from the file as it is; returns the SHA-256 of its bytes.

        Args:
            image_id: that it is to have.
            path: of the file; it is read while it is sent.
            progress: called with the bytes sent; begins anew if the connection broke.
            cancelled: see the class.

        Raises:
            BadCall: the file cannot be read.
            ServerRefused: 409 if there is another image of that id, 422 if it is no cine.
            BadAnswer: other bytes have arrived than were sent.
        """
        form = FormBody(None, {"file": path}, progress=progress, cancelled=cancelled)

        def once() -> bytes:
            return self._send("PUT", "/datastore/image", {"image": image_id}, form, cancelled)

        arrived = parse_object(repeated(once, cancelled)).get("sha256")
        sha256 = form.sha256.hexdigest()
        if arrived not in {None, sha256}:
            raise BadAnswer(f"expected the server to have the bytes of {path}, it has others")
        return sha256

    def get_image(
        self,
        image_id: str,
        to: Path,
        *,
        progress: ByteProgress | None = None,
        cancelled: Cancel | None = None,
    ) -> None:
        """Download an image as it was uploaded.

        Args:
            image_id: on the server.
            to: the file to write, whole or not at all.
            progress: called with the bytes received; begins anew if the connection broke.
            cancelled: see the class.

        Raises:
            BadCall: the file cannot be written.
        """
        query = {"image": image_id}
        self._connection.download("/datastore/image", query, to, progress=progress, cancelled=cancelled)

    def save_label(
        self, image_id: str, tag: str, path: Path, params: Mapping[str, Any], *, cancelled: Cancel | None = None
    ) -> SavedLabel:
        """Save a label as a new version.

        Args:
            image_id: of the image that it belongs to.
            tag: "final" or "original".
            path: of the label file.
            params: ``verified_frames``, ``key_frames``, ``model``, ``image_sha256``, ``note`` ...
            cancelled: see the class; the label may be saved all the same.

        Raises:
            BadCall: the file cannot be read.
            ServerRefused: 422 if it does not fit the image.
        """
        query = {"image": image_id, "tag": tag}
        form = FormBody(params, {"label": path}, cancelled=cancelled)
        answer = parse_object(self._send("PUT", "/datastore/label", query, form, cancelled))
        return SavedLabel(entry(answer, "label", str), entry(answer, "tag", str), entry(answer, "version", int))

    def label_versions(self, label_id: str, *, cancelled: Cancel | None = None) -> list[dict[str, Any]]:
        """Every version of a label ever saved, oldest first, with what was kept with it."""
        query = {"label": label_id}
        answer = parse_json(self._connection.get("/datastore/label/versions", query, cancelled=cancelled))
        if not isinstance(answer, list) or not all(isinstance(version, dict) for version in answer):
            raise BadAnswer("expected a list of versions from the server, got something else")
        return answer

    def get_label(
        self,
        label_id: str,
        tag: str,
        to: Path,
        *,
        version: int | None = None,
        cancelled: Cancel | None = None,
    ) -> None:
        """Download a label: the newest version, or that one."""
        query = {"label": label_id, "tag": tag, "version": version}
        self._connection.download("/datastore/label", query, to, cancelled=cancelled)

    def infer(
        self,
        model: str,
        image_id: str,
        params: Mapping[str, Any],
        *,
        label: Path | None = None,
        cancelled: Cancel | None = None,
    ) -> InferAnswer:
        """Run a task and wait for its answer; for short work. The server cancels what nobody waits for any more.

        Args:
            model: name of the task's route, such as "motion".
            image_id: on the server.
            params: of the task.
            label: file with labels of one frame or of several.
            cancelled: see the class.
        """
        form = _form(params, label, cancelled)
        return self._receive(
            "POST", f"/infer/{quoted(model)}", {"image": image_id}, form=form, cancelled=cancelled
        )

    def start_job(
        self,
        model: str,
        image_id: str,
        params: Mapping[str, Any],
        *,
        label: Path | None = None,
        cancelled: Cancel | None = None,
    ) -> str:
        """Start a task as a job; returns the job's id.

        When the caller wants no more while the form is being sent, no job is started. After that the answer is
        still waited for, for two seconds: without the id nobody could cancel the job.
        """
        form = _form(params, label, cancelled)
        content = self._send(
            "POST",
            f"/jobs/infer/{quoted(model)}",
            {"image": image_id},
            form,
            cancelled,
            patience=PATIENCE_SECONDS,
        )
        return entry(parse_object(content), "job", str)

    def job_result(self, job: str, *, cancelled: Cancel | None = None) -> InferAnswer:
        """The answer of a job that is done."""

        def once() -> InferAnswer:
            return self._receive("GET", f"/jobs/{quoted(job)}/result", {}, cancelled=cancelled)

        return repeated(once, cancelled)

    def follow_job(
        self,
        job: str,
        *,
        progress: Progress | None = None,
        cancelled: Cancel | None = None,
        poll_seconds: float = 0.5,
    ) -> InferAnswer:
        """Wait for a job's answer; looks often at first, then less so. See `run_job`, which also starts it."""
        return self._followed(
            job,
            lambda: self.job_result(job, cancelled=cancelled),
            progress=progress,
            cancelled=cancelled,
            poll_seconds=poll_seconds,
        )

    def run_job(
        self,
        model: str,
        image_id: str,
        params: Mapping[str, Any],
        *,
        label: Path | None = None,
        progress: Progress | None = None,
        cancelled: Cancel | None = None,
        poll_seconds: float = 0.5,
    ) -> InferAnswer:
        """Run a task as a job, and wait for its answer.

        Args:
            model: name of the task's route.
            image_id: on the server.
            params: of the task.
            label: file with labels of one frame or of several.
            progress: called with the fraction done at every look.
            cancelled: see the class.
            poll_seconds: longest time between two looks.

        Raises:
            ServerRefused: the job failed, or somebody else cancelled it.
            Cancelled: `cancelled` said so. Like whatever else ends the wait, an error of the progress callback
                and Ctrl-C included, it cancels the job.
        """
        job = self.start_job(model, image_id, params, label=label, cancelled=cancelled)
        return self.follow_job(job, progress=progress, cancelled=cancelled, poll_seconds=poll_seconds)

    def _receive(
        self, method: str, path: str, query: Query, *, form: FormBody | None = None, cancelled: Cancel | None
    ) -> InferAnswer:
        content_type = None if form is None else form.content_type
        with self._connection.answer(
            method, path, query, body=form, content_type=content_type, cancelled=cancelled
        ) as answer:
            return parse_infer_answer(answer.pieces(), answer.content_type)


def _form(params: Mapping[str, Any], label: Path | None, cancelled: Cancel | None) -> FormBody:
    check(cancelled)
    return FormBody(params, {} if label is None else {"label": label}, cancelled=cancelled)
