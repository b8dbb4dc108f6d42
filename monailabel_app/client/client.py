"""The calls of the server's interface."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from cardiac_motion.errors import InputError
from cardiac_motion.progress import Progress, silent
from requests_toolbelt import MultipartEncoder

from monailabel_app.client.answers import (
    InferAnswer,
    JobState,
    SavedLabel,
    entry,
    parse_infer_answer,
    parse_job,
    parse_json,
    parse_object,
)
from monailabel_app.client.connection import Connection, repeated
from monailabel_app.client.errors import BadAnswer, ClientError, ServerRefused

API_VERSION = 1
"""Of the server's interface."""

_FIRST_POLL_SECONDS = 0.05
_ENDINGS = (".seq.nrrd", ".nii.gz", ".nii", ".nrrd")


class Client:
    """Talks to one server. Use it in a ``with`` statement, or call `close`; threads need one each.

    Calls that may be made twice, which are those that read and the upload of an image, are made again if the
    connection breaks; no other is.

    Args:
        address: as ``http://127.0.0.1:8000``.
        token: that the server asks for, or None. It is never logged, nor shown in an error.
        timeout: seconds until there is a connection, and between two pieces of an answer. `infer` answers when
            it is done: `run_job` is for what may take longer.

    Raises:
        InputError: no address of a server, or a token that cannot be sent.
    """

    def __init__(
        self, address: str, *, token: str | None = None, timeout: tuple[float, float] = (5.0, 60.0)
    ) -> None:
        self._connection = Connection(address, token, timeout)

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

    def info(self) -> dict[str, Any]:
        """What the server offers.

        Raises:
            BadAnswer: a server of another kind, or of an interface that this client does not know.
            ClientError: whatever else went wrong; as with every other call.
        """
        answer = parse_object(self._connection.get("/info/")[0])
        api = answer.get("cardiac_motion", {})
        if not isinstance(api, dict) or api.get("api") != API_VERSION:
            found = api.get("api") if isinstance(api, dict) else api
            raise BadAnswer(
                f"expected a server of CardiacMotion with interface {API_VERSION} at {self.address}, got "
                f"{'another server' if found is None else f'interface {found!r}'}"
            )
        return answer

    def next_case(self, strategy: str) -> dict[str, Any] | None:
        """The case to label next, by a strategy of ``/info/``; None if there is none left."""
        content, _ = self._connection.call(
            "POST", f"/activelearning/{_quoted(strategy)}", data=b"{}", content_type="application/json"
        )
        answer = parse_object(content)
        if not answer:
            return None
        entry(answer, "id", str)
        return answer

    def put_image(self, image_id: str, path: Path) -> str:
        """Upload an image, from the file as it is; returns the SHA-256 of its bytes.

        Raises:
            InputError: the file cannot be read.
            ServerRefused: 409 if there is another image of that id, 422 if it is no cine.
            BadAnswer: other bytes have arrived than were sent.
        """
        with _reading(path):
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()

            def once() -> bytes:
                return self._send("PUT", "/datastore/image", {"image": image_id}, file=path)[0]

            arrived = parse_object(repeated(once)).get("sha256", sha256)
        if arrived != sha256:
            raise BadAnswer(f"expected the server to have the bytes of {path}, it has others")
        return sha256

    def get_image(self, image_id: str, to: Path) -> None:
        """Download an image as it was uploaded."""
        self._connection.download("/datastore/image", {"image": image_id}, to)

    def save_label(self, image_id: str, tag: str, path: Path, params: Mapping[str, Any]) -> SavedLabel:
        """Save a label as a new version.

        Args:
            image_id: of the image that it belongs to.
            tag: "final" or "original".
            path: of the label file.
            params: ``verified_frames``, ``key_frames``, ``model``, ``image_sha256``, ``note`` ...

        Raises:
            InputError: the file cannot be read.
            ServerRefused: 422 if it does not fit the image.
        """
        query = {"image": image_id, "tag": tag}
        with _reading(path):
            answer = parse_object(self._send("PUT", "/datastore/label", query, label=path, params=params)[0])
        return SavedLabel(entry(answer, "label", str), entry(answer, "tag", str), entry(answer, "version", int))

    def label_versions(self, label_id: str) -> list[dict[str, Any]]:
        """Every version of a label ever saved, oldest first, with what was kept with it."""
        answer = parse_json(self._connection.get("/datastore/label/versions", {"label": label_id})[0])
        if not isinstance(answer, list) or not all(isinstance(version, dict) for version in answer):
            raise BadAnswer("expected a list of versions from the server, got something else")
        return answer

    def get_label(self, label_id: str, tag: str, to: Path, *, version: int | None = None) -> None:
        """Download a label: the newest version, or that one."""
        self._connection.download("/datastore/label", {"label": label_id, "tag": tag, "version": version}, to)

    def infer(
        self, model: str, image_id: str, params: Mapping[str, Any], *, label: Path | None = None
    ) -> InferAnswer:
        """Run a task and wait for its answer; for short work.

        Args:
            model: name of the task's route, such as "motion".
            image_id: on the server.
            params: of the task.
            label: file with labels of one frame or of several.
        """
        return parse_infer_answer(*self._start(f"/infer/{_quoted(model)}", image_id, params, label))

    def start_job(self, model: str, image_id: str, params: Mapping[str, Any], *, label: Path | None = None) -> str:
        """Start a task as a job; returns the job's id."""
        content, _ = self._start(f"/jobs/infer/{_quoted(model)}", image_id, params, label)
        return entry(parse_object(content), "job", str)

    def job(self, job: str) -> JobState:
        """Where a job stands."""
        return parse_job(parse_object(self._connection.get(f"/jobs/{_quoted(job)}")[0]))

    def job_result(self, job: str) -> InferAnswer:
        """The answer of a job that is done."""
        return parse_infer_answer(*self._connection.get(f"/jobs/{_quoted(job)}/result"))

    def cancel_job(self, job: str) -> None:
        """Cancel a job, or have the server forget its result."""
        self._connection.call("DELETE", f"/jobs/{_quoted(job)}")

    def run_job(
        self,
        model: str,
        image_id: str,
        params: Mapping[str, Any],
        *,
        label: Path | None = None,
        progress: Progress = silent,
        poll_seconds: float = 0.5,
    ) -> InferAnswer:
        """Run a task as a job, and wait for its answer.

        Args:
            model: name of the task's route.
            image_id: on the server.
            params: of the task.
            label: file with labels of one frame or of several.
            progress: called with the fraction done at every look; may raise `Cancelled`.
            poll_seconds: longest time between two looks.

        Raises:
            ServerRefused: the job failed, or somebody else cancelled it.
            Cancelled: from the progress callback. Like whatever else ends the wait, Ctrl-C included, it cancels
                the job.
        """
        job = self.start_job(model, image_id, params, label=label)
        try:
            pause = _FIRST_POLL_SECONDS
            while not (state := self.job(job)).is_finished:
                progress(state.progress, state.message)
                time.sleep(min(pause, poll_seconds))
                pause *= 1.5
            if state.error is not None:
                raise state.error
            if state.state != "done":
                raise ServerRefused(None, state.state, f"the job was {state.state} on the server")
            answer = self.job_result(job)
            progress(1.0, state.message)
            return answer
        finally:
            # A result that has been fetched, or that nobody waits for any more, need not take up room.
            with suppress(ClientError):
                self.cancel_job(job)

    def _start(self, path: str, image_id: str, params: Mapping[str, Any], label: Path | None) -> tuple[bytes, str]:
        if label is None:
            return self._send("POST", path, {"image": image_id}, params=params)
        with _reading(label):
            return self._send("POST", path, {"image": image_id}, params=params, label=label)

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        *,
        params: Mapping[str, Any] | None = None,
        **files: Path,
    ) -> tuple[bytes, str]:
        """Send a form: the parameters, and files by the names of their fields."""
        fields: dict[str, Any] = {} if params is None else {"params": _as_json(params)}
        opened = {name: file.open("rb") for name, file in files.items()}
        try:
            for name, stream in opened.items():
                # Names of files may be names of people: only the ending is told.
                fields[name] = (f"{name}{_ending(files[name])}", stream, "application/octet-stream")
            form = MultipartEncoder(fields)
            return self._connection.call(method, path, query, data=form, content_type=form.content_type)
        finally:
            for stream in opened.values():
                stream.close()


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def _as_json(params: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(params), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"expected parameters that JSON can hold: {error}") from error


def _ending(path: Path) -> str:
    name = path.name.lower()
    return next((ending for ending in _ENDINGS if name.endswith(ending)), path.suffix)


def _quoted(part: str) -> str:
    return quote(part, safe="")
