"""Finds and starts `cardiac-motion serve` on this machine. Nothing here waits: a timer asks how it stands."""

from __future__ import annotations

import enum
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from CardiacMotionLib.client.errors import ClientError, printable

COMMAND = "cardiac-motion"
TOKEN_VARIABLE = "CARDIAC_MOTION_TOKEN"  # noqa: S105 - the name of a variable
START_SECONDS = 120.0
"""Long: where PyTorch is read from a slow disk for the first time."""
STOP_SECONDS = 10.0

_FOLDERS = (".", "bin", "Scripts", ".venv/bin", ".venv/Scripts")
_OF_ANOTHER_PYTHON = ("PYTHONHOME", "PYTHONPATH", "PYTHONNOUSERSITE", "PYTHONSTARTUP")
_OF_ANOTHER_PROGRAM = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LD_PRELOAD", "QT_PLUGIN_PATH", "SSL_CERT_FILE")
_TAIL_BYTES = 4096
_TAIL_LINES = 5


class ServerFailed(ClientError):
    """The server did not start, or ended before it was asked to; the message has the end of its log."""


class CommandMissing(ClientError):
    """`cardiac-motion` is not there; the message says in two lines what to do."""


class ServerState(enum.Enum):
    """How a server stands."""

    STARTING = "starting"
    READY = "ready"
    FAILED = "failed"
    STOPPING = "stopping"
    STOPPED = "stopped"


@dataclass(frozen=True)
class ServerStatus:
    """How a server stands.

    Attributes:
        state: see `ServerState`.
        message: why it failed, with the end of its log; else "".
    """

    state: ServerState
    message: str = ""


def find_command(chosen: str, environment: Mapping[str, str], *, is_windows: bool = os.name == "nt") -> Path:
    """The program `cardiac-motion`.

    Args:
        chosen: in the settings: the program itself, a folder that has it, the environment or the checkout in whose
            folder for programs it lies; "" looks on the PATH.
        environment: has the PATH.
        is_windows: programs end in ``.exe`` there.

    Raises:
        CommandMissing: it is not there.
    """
    name = f"{COMMAND}.exe" if is_windows else COMMAND
    if chosen.strip():
        place = Path(chosen.strip()).expanduser()
        candidates = [place, *(place / folder / name for folder in _FOLDERS)]
    else:
        # Nothing is started from wherever this program happens to stand.
        folders = (Path(folder) for folder in environment.get("PATH", "").split(os.pathsep) if folder)
        candidates = [folder / name for folder in folders if folder.is_absolute()]
    for candidate in candidates:
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate.absolute()
    where = f"in {chosen.strip()}" if chosen.strip() else "on the PATH"
    raise CommandMissing(
        f"The command {COMMAND} is not {where}.\n"
        "Install it as the README of CardiacMotion says, then choose the folder of its environment (.venv) here."
    )


def server_environment(startup: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables for a program that has a Python of its own.

    Args:
        startup: as they were before this program changed them, which `slicer.util.startupEnvironment` gives; None
            takes those of now, and leaves out what programs with a Python of their own change.
    """
    kept = dict(os.environ if startup is None else startup)
    for name in _OF_ANOTHER_PYTHON if startup is not None else _OF_ANOTHER_PYTHON + _OF_ANOTHER_PROGRAM:
        kept.pop(name, None)
    return kept


class LocalServer:
    """A server on a free port of this machine, in a process of its own, which ends with ours, however ours ends.

    Args:
        command: that starts `cardiac-motion`, such as ``[str(find_command(...))]``.
        studies: folder of images and labels.
        environment: variables of the process; see `server_environment`.
        log: file for the server's log; the one of an earlier run is replaced.
        token: that every request has to bring, or None.
        options: further ones of ``cardiac-motion serve``.
        start_seconds: until it answers, else it has failed.
        stop_seconds: to end by itself, else it is killed.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        command: Sequence[str],
        studies: Path,
        *,
        environment: Mapping[str, str],
        log: Path,
        token: str | None,
        options: Sequence[str] = (),
        start_seconds: float = START_SECONDS,
        stop_seconds: float = STOP_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.log, self.token = log, token
        self._command = [
            *command,
            "serve",
            "--studies",
            str(studies),
            "--port",
            "0",
            "--stop-with-parent",
            *options,
        ]
        self._environment = {name: value for name, value in environment.items() if name != TOKEN_VARIABLE}
        if token is not None:
            # Other users may see the arguments of a process, but not its environment.
            self._environment[TOKEN_VARIABLE] = token
        self._start_seconds, self._stop_seconds, self._clock = start_seconds, stop_seconds, clock
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: TemporaryDirectory[str] | None = None
        self._address: str | None = None
        self._since = 0.0
        self._status = ServerStatus(ServerState.STOPPED)

    @property
    def address(self) -> str:
        """Where it answers.

        Raises:
            ServerFailed: it never became ready.
        """
        if self._address is None:
            raise ServerFailed("expected a server that is ready, this one is not")
        return self._address

    @property
    def pid(self) -> int | None:
        """Of its process, or None if there is none."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start it; `poll` then tells how it stands.

        Raises:
            ServerFailed: the command cannot be run, or the log cannot be written.
        """
        if self._process is not None:
            raise RuntimeError("the server has been started already")
        with ExitStack() as if_failed:
            self._folder = TemporaryDirectory(prefix="cardiac-motion-server-")
            if_failed.callback(self._folder.cleanup)
            try:
                with self.log.open("wb") as stream:
                    self._process = subprocess.Popen(  # noqa: S603 - the command that the user chose
                        [*self._command, "--ready-file", str(self._ready_file)],
                        # Its end is what tells the server that we are gone.
                        stdin=subprocess.PIPE,
                        stdout=stream,
                        stderr=subprocess.STDOUT,
                        env=self._environment,
                        # Ctrl-C is for us alone: the server may have to be told to stop a job first.
                        start_new_session=True,
                        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                    )
            except OSError as error:
                raise ServerFailed(f"the server cannot be started: {error}") from error
            if_failed.pop_all()
        self._address, self._since = None, self._clock()
        self._status = ServerStatus(ServerState.STARTING)

    def poll(self) -> ServerStatus:
        """How it stands; at once. To be called now and then until it is ready, and until it has stopped."""
        if self._process is None:
            return self._status
        # In this order: it may become ready and end between two looks.
        has_ended = self._process.poll() is not None
        state = self._status.state
        if state is ServerState.STARTING:
            with suppress(FileNotFoundError):
                self._address = str(json.loads(self._ready_file.read_text(encoding="utf-8"))["address"])
                state = ServerState.READY
        if has_ended:
            self._ended(state)
        elif state is ServerState.STARTING and self._clock() - self._since > self._start_seconds:
            said = f"expected the server to answer within {self._start_seconds:g} s"
            self._kill(ServerStatus(ServerState.FAILED, f"{said}; its log ends with: {self.log_end()}"))
        elif state is ServerState.STOPPING and self._clock() - self._since > self._stop_seconds:
            self._kill(ServerStatus(ServerState.STOPPED))
        else:
            self._status = ServerStatus(state)
        return self._status

    def stop(self) -> None:
        """Ask it to end; `poll` sees to it that it does."""
        if self._process is None or self._status.state is ServerState.STOPPING:
            return
        self._status, self._since = ServerStatus(ServerState.STOPPING), self._clock()
        if os.name == "nt":
            # To terminate would be to kill there.
            self._close_stdin()
        else:
            self._process.terminate()

    def stop_and_wait(self) -> None:
        """End it: ask, wait, then kill; also if Ctrl-C comes while waiting."""
        self.stop()
        if self._process is None:
            return
        with suppress(subprocess.TimeoutExpired):
            try:
                self._process.wait(self._stop_seconds)
            finally:
                self._kill(ServerStatus(ServerState.STOPPED))

    def log_end(self) -> str:
        """The last lines of its log, as one."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
                lines = file.read().decode("utf-8", "replace").splitlines()
        except OSError as error:
            return f"(the log cannot be read: {error.strerror})"
        return printable(" | ".join(lines[-_TAIL_LINES:])) or "nothing"

    @property
    def _ready_file(self) -> Path:
        assert self._folder is not None  # noqa: S101 - made with the process
        return Path(self._folder.name) / "ready.json"

    def _ended(self, state: ServerState) -> None:
        assert self._process is not None  # noqa: S101 - checked by the caller
        if state is ServerState.STOPPING:
            self._clear(ServerStatus(ServerState.STOPPED))
        else:
            said = f"the server ended by itself with status {self._process.returncode}"
            self._clear(ServerStatus(ServerState.FAILED, f"{said}; its log ends with: {self.log_end()}"))

    def _kill(self, status: ServerStatus) -> None:
        assert self._process is not None  # noqa: S101 - checked by the caller
        if self._process.poll() is None:
            self._process.kill()
            # Nothing keeps a killed process; it is gone in a moment.
            self._process.wait()
        self._clear(status)

    def _clear(self, status: ServerStatus) -> None:
        self._close_stdin()
        self._process, self._status = None, status
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _close_stdin(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
