"""Two real servers, what is around them and must stay as it is, and a look at everything after a request."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cardiac_motion

import monailabel_app
from benchmarks.hostile.request import (
    BROKEN,
    CASE,
    HOST,
    LINKED,
    ORIGIN,
    OTHER,
    OUTSIDE,
    SECRET,
    STUDIES,
    TOKEN,
    Hostile,
    as_params,
    quick,
    sound_label,
)
from benchmarks.hostile.wire import (
    Reply,
    exchange,
    form,
    form_headers,
    head,
    host_of,
    request,
    with_defaults,
)
from benchmarks.server_process import ServerProcess, start_server, stop
from benchmarks.small_cines import cine_bytes, small_cine

LIMITS = (
    "--max-upload-mb",
    "4",
    "--max-voxels",
    "2000000",
    "--max-frames",
    "40",
    "--max-jobs",
    "4",
    "--max-dicom-mb",
    "16",
    "--max-dicom-files",
    "300",
)
_SETTLE_SECONDS = 30.0
"""Files of a request go a moment after its answer; a server that never clears them is found out after this."""

_OWN = ".cardiac_motion"
_LIVING = (f"{_OWN}/scratch", f"{_OWN}/server.lock", f"{_OWN}/motions")
"""Parts of the studies folder that change by themselves; the first has to be empty in the end."""

_CODE_FOLDERS = tuple(str(Path(str(module.__file__)).parent) for module in (cardiac_motion, monailabel_app))
_TELLTALES = (b"Traceback", b'File "', b".py:", b"site-packages", *(folder.encode() for folder in _CODE_FOLDERS))
_PASSWD = b"root:x:0:0"

State = dict[str, tuple[int, int]]


def state_of(folder: Path) -> State:
    """Size and time of change of everything in a folder; links are not followed."""
    found: State = {}
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place) / name
            try:
                info = path.lstat()
            except FileNotFoundError:
                continue
            is_folder = name in folders
            found[str(path.relative_to(folder))] = (0, 0) if is_folder else (info.st_size, info.st_mtime_ns)
    return found


def changes(before: State, after: State) -> list[str]:
    """Paths that were added, changed or removed."""
    return sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def _fill(studies: Path, secret: Path) -> None:
    cine = small_cine()
    (studies / f"{CASE}.nii.gz").write_bytes(cine_bytes(cine))
    (studies / f"{OTHER}.seq.nrrd").write_bytes(cine_bytes(small_cine(1), "cine.seq.nrrd"))
    (studies / f"{BROKEN}.nii.gz").write_bytes(b"\x1f\x8b this is no image")
    (studies / ".hidden.nii.gz").write_bytes(cine_bytes(small_cine(2)))
    (studies / "notes.txt").write_text("not for clients\n", encoding="utf-8")
    (studies / f"{LINKED}.nii.gz").symlink_to(secret)


@dataclass
class _One:
    """A server with what is known of it."""

    process: ServerProcess
    headers: tuple[tuple[str, str], ...]
    info: Any = None
    studies_state: State = field(default_factory=dict)


class Site:
    """Both servers.

    Args:
        around: the folder around the studies folders.
        open_server: takes everybody's requests.
        guarded: has a token and an allowed origin.
    """

    def __init__(self, around: Path, open_server: ServerProcess, guarded: ServerProcess) -> None:
        self._around = around
        self._servers = {
            "open": _One(open_server, ()),
            "guarded": _One(guarded, (("Authorization", f"Bearer {TOKEN}"),)),
        }
        self._schema: Any = None
        self._save_label()
        for one in self._servers.values():
            self._warm_up(one)
            one.info = self._get_info(one)
            one.studies_state = self._studies_state(one)
        self._outside = self._state_outside()
        self._code = _names_of_code()

    # What preparations use

    def start_job(self, *, params: Mapping[str, Any]) -> str:
        """The id of a new job on `CASE`."""
        # A reference that no motion is known for.
        body = form([sound_label(), as_params({"reference": 2, **params})])
        reply = self._ask("POST", f"/jobs/infer/motion?image={CASE}", body, statuses=(202,))
        return str(reply.json()["job"])

    def wait_for_job(self, job: str, states: Iterable[str]) -> None:
        """Until a job has one of these states."""
        wanted = set(states)
        self._until(
            lambda: self._ask("GET", f"/jobs/{job}", statuses=(200,)).json()["state"] in wanted,
            f"the job is {wanted}",
        )

    def cancel_job(self, job: str) -> None:
        """Cancel a job, or forget it."""
        self._ask("DELETE", f"/jobs/{job}", statuses=(200, 404))

    # Sending and looking

    def schema(self) -> Any:
        """What the open server says of its routes (OpenAPI)."""
        if self._schema is None:
            self._schema = self._ask("GET", "/openapi.json", statuses=(200,)).json()
        return self._schema

    def send(self, hostile: Hostile, names: Mapping[str, str]) -> tuple[bytes, Reply]:
        """Send a request as it is; what went over the wire, and the answer."""
        address = self._servers[hostile.server].process.address
        host, port = host_of(address)
        replaced = {
            **names,
            HOST: f"{host}:{port}",
            OUTSIDE: str(self._around),
            STUDIES: str(self._studies(hostile)),
        }

        def fill(data: bytes) -> bytes:
            for name, value in replaced.items():
                data = data.replace(name.encode(), value.encode())
            return data

        if hostile.wire is not None:
            whole = fill(hostile.wire())
        else:
            body = None if hostile.body is None else fill(hostile.body())
            headers = with_defaults(hostile.headers, f"{host}:{port}", body)
            whole = fill(head(hostile.method, hostile.target, headers)) + (body or b"")
        return whole, exchange(address, whole, method=hostile.method, hang_up=hostile.hang_up)

    def problems(self, hostile: Hostile) -> list[str]:
        """Send a request; everything that is wrong with the answer or the server afterwards."""
        names = hostile.prepare(self) if hostile.prepare else {}
        sent, reply = self.send(hostile, names)
        found = [*_wrong_answer(hostile, reply), *self._leaks(sent, reply)]
        for job in (*names.values(), *_started_jobs(reply)):
            self.cancel_job(job)
            self._until(partial(self._is_forgotten, job), "the job is forgotten")
        return [*found, *self._wrong_server(hostile)]

    def _is_forgotten(self, job: str) -> bool:
        self.cancel_job(job)
        return self._ask("GET", f"/jobs/{job}", statuses=(200, 404)).status == 404

    def _leaks(self, sent: bytes, reply: Reply) -> list[str]:
        whole = reply.body + repr(reply.headers).encode()
        place = str(self._around).encode()
        telling = [SECRET, _PASSWD, b"not for clients", TOKEN.encode()]
        # What the client has said itself, an answer may repeat.
        telling += [each for each in (*_TELLTALES, place) if each not in sent]
        return [f"the answer tells {each.decode()!r}" for each in telling if each in whole]

    def _wrong_server(self, hostile: Hostile) -> list[str]:
        one = self._servers[hostile.server]
        if not one.process.is_running():
            return ["the server has ended"]
        found = []
        info = self._get_info(one)
        if not isinstance(info, dict) or (info != one.info and not hostile.may_add):
            found.append("/info/ has changed")
        one.info = info
        scratch = self._studies(hostile) / _OWN / "scratch"
        deadline = time.monotonic() + _SETTLE_SECONDS
        while (left := sorted(path.name for path in scratch.iterdir())) and time.monotonic() < deadline:
            time.sleep(0.01)
        if left:
            found.append(f"scratch still holds {left}")
        state = self._studies_state(one)
        changed = [
            path for path in changes(one.studies_state, state) if not path.startswith(hostile.may_add or "\0")
        ]
        if changed:
            found.append(f"the studies folder has changed: {changed[:5]}")
        one.studies_state = state
        outside = self._state_outside()
        if changed := changes(self._outside, outside):
            found.append(f"something was written outside: {changed[:5]}")
        self._outside = outside
        return found

    def wrong_in_the_end(self) -> list[str]:
        """Files beside the code, and what the log should not have: errors, and what could name a patient."""
        found = [f"a file beside the code: {name}" for name in sorted(set(_names_of_code()) - set(self._code))]
        for name, one in self._servers.items():
            text = one.process.log_text()
            found += [
                f"{name}: the log has {word!r}" for word in (CASE, OTHER, TOKEN, "Traceback") if word in text
            ]
            # What was printed before the log was set up is no part of it.
            for line in text[max(0, text.find("{")) :].splitlines():
                wrong = _wrong_line(line)
                found += [f"{name}: {wrong}: {line[:1000]}"] if wrong else []
        return found

    # How it is done

    def _ask(self, method: str, target: str, body: bytes | None = None, *, statuses: tuple[int, ...]) -> Reply:
        one = self._servers["open"]
        headers = form_headers() if body is not None else ()
        reply = request(one.process.address, method, target, headers=headers, body=body)
        if reply.status not in statuses:
            raise RuntimeError(f"{method} {target} answered {reply.status}: {reply.body[:500]!r}")
        return reply

    def _save_label(self) -> None:
        body = form([sound_label(), as_params({"key_frames": [0]})])
        self._ask("PUT", f"/datastore/label?image={CASE}", body, statuses=(200,))
        body = form([sound_label(), as_params(quick())])
        self._ask("POST", f"/infer/motion?image={CASE}", body, statuses=(200,))

    def _warm_up(self, one: _One) -> None:
        """Ask for what is written down on first request: checksums of images."""
        for image in (CASE, OTHER, BROKEN):
            target = f"/datastore/image/info?image={image}"
            request(one.process.address, "GET", target, headers=one.headers)

    def _get_info(self, one: _One) -> Any:
        reply = request(one.process.address, "GET", "/info/", headers=one.headers)
        return reply.json() if reply.status == 200 else reply

    def _studies(self, hostile: Hostile) -> Path:
        return self._servers[hostile.server].process.studies

    def _studies_state(self, one: _One) -> State:
        return {path: info for path, info in state_of(one.process.studies).items() if not path.startswith(_LIVING)}

    def _state_outside(self) -> State:
        skipped = tuple(str(one.process.studies.relative_to(self._around)) for one in self._servers.values())
        logs = {str(one.process.log.relative_to(self._around)) for one in self._servers.values()}
        return {
            path: info
            for path, info in state_of(self._around).items()
            if path not in logs and not path.startswith(tuple(f"{name}{os.sep}" for name in skipped))
        }

    def _until(self, is_done: Any, what: str) -> None:
        deadline = time.monotonic() + _SETTLE_SECONDS
        while not is_done():
            if time.monotonic() > deadline:
                raise RuntimeError(f"expected that {what}")
            time.sleep(0.02)


def _wrong_line(line: str) -> str | None:
    try:
        level = json.loads(line)["level"]
    except (ValueError, KeyError, TypeError):
        return "a line that is no log record"
    return "an error" if level in {"error", "critical"} else None


def _names_of_code() -> list[str]:
    return [
        f"{folder}/{path}"
        for folder in _CODE_FOLDERS
        for path in state_of(Path(folder))
        if "__pycache__" not in path
    ]


def _started_jobs(reply: Reply) -> list[str]:
    return [str(reply.json()["job"])] if reply.status == 202 else []


def _wrong_answer(hostile: Hostile, reply: Reply) -> list[str]:
    found = []
    if reply.status not in hostile.statuses:
        found.append(f"answered {reply.status}, expected one of {sorted(hostile.statuses)}: {reply.body[:300]!r}")
    if reply.status >= 400 and not hostile.by_parser and hostile.method != "HEAD":
        wrong = wrong_error(reply)
        found += [wrong] if wrong else []
    allowed = hostile.answer_has.get("access-control-allow-origin")
    if reply.headers.get("access-control-allow-origin") not in {None, allowed}:
        found.append("pages of another origin may read the answer")
    if "access-control-allow-credentials" in reply.headers or "set-cookie" in reply.headers:
        found.append("the answer deals in cookies")
    for name, value in hostile.answer_has.items():
        if reply.headers.get(name) != value:
            found.append(f"expected the header {name}: {value}, got {reply.headers.get(name)}")
    return found


def wrong_error(reply: Reply) -> str | None:
    """What is wrong with the body of an error, or None: it has code, message and field, and nothing else."""
    try:
        body = reply.json()
    except ValueError:
        return f"the error is no JSON: {reply.body[:200]!r}"
    match body:
        case {"error": {"code": str(code), "message": str(message), "field": str() | None, **others}, **more}:
            if code and message and not others and not more:
                return None
    return f"the error has not the form that the contract says: {reply.body[:200]!r}"


@contextmanager
def hostile_site(around: Path) -> Iterator[Site]:
    """Both servers, with a home, a folder for temporary files and a secret around them.

    Args:
        around: an empty folder.
    """
    around = around.resolve()
    secret = around / "secret.nii.gz"
    secret.write_bytes(cine_bytes(small_cine(3)))
    (around / "secret.txt").write_bytes(SECRET + b"\n")
    prepared = [_prepared(around / name, secret, is_guarded=name == "guarded") for name in ("open", "guarded")]
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        # Both at once, as a start is mostly imports.
        starts = [pool.submit(_started, place, options, variables) for place, options, variables in prepared]
        servers = []
        for start in starts:
            servers.append(start.result())
            stack.callback(stop, servers[-1])
        try:
            yield Site(around, *servers)
        finally:
            for server in servers:
                server.process.terminate()


def _prepared(place: Path, secret: Path, *, is_guarded: bool) -> tuple[Path, list[str], dict[str, str]]:
    """Folder, options and environment of a server."""
    for folder in ("studies", "home", "tmp"):
        (place / folder).mkdir(parents=True)
    _fill(place / "studies", secret)
    variables = {
        "HOME": str(place / "home"),
        "XDG_CACHE_HOME": str(place / "home" / ".cache"),
        "TMPDIR": str(place / "tmp"),
    }
    options = list(LIMITS)
    if is_guarded:
        variables["CARDIAC_MOTION_TOKEN"] = TOKEN
        options += ["--allow-origin", ORIGIN]
    return place, options, variables


def _started(place: Path, options: Sequence[str], variables: Mapping[str, str]) -> ServerProcess:
    return start_server(place / "studies", place, options=options, variables=variables)
