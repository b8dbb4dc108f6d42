"""The server on this machine, as the panel has it: started, looked after, stopped. Knows no Qt."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from CardiacMotionLib.background import Timer
from CardiacMotionLib.errors import InputError
from CardiacMotionLib.local_server import LocalServer, ServerState, ServerStatus, find_command
from CardiacMotionLib.server_link import Target
from CardiacMotionLib.signals import Signal

POLL_MILLISECONDS = 250
LOG_BYTES = 8000


class LocalRunner:
    """At most one server on this machine. Main thread only.

    Args:
        start_timer: see `background.Timer`.

    Attributes:
        changed: emitted with the status when it becomes another one.
    """

    def __init__(self, start_timer: Timer) -> None:
        self._start_timer = start_timer
        self.changed: Signal[ServerStatus] = Signal()
        self._server: LocalServer | None = None
        self._status = ServerStatus(ServerState.STOPPED)
        self._end_timer = lambda: None

    @property
    def status(self) -> ServerStatus:
        """How it stands."""
        return self._status

    @property
    def is_running(self) -> bool:
        """Whether there is a process."""
        return self._status.state in {ServerState.STARTING, ServerState.READY, ServerState.STOPPING}

    @property
    def target(self) -> Target:
        """Where it is, with its token.

        Raises:
            ServerFailed: it is not ready.
        """
        if self._server is None:
            raise InputError("expected a server on this machine, none was started")
        return Target(self._server.address, self._server.token)

    @property
    def log_text(self) -> str:
        """The end of its log."""
        if self._server is None:
            return ""
        try:
            with self._server.log.open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - LOG_BYTES))
                return file.read().decode("utf-8", "replace")
        except OSError as error:
            return f"(the log cannot be read: {error.strerror})"

    def has_token(self, token: str) -> bool:
        """Whether it is the one of the server that was started last."""
        return self._server is not None and self._server.token == token

    def start(self, chosen: str, studies: Path, environment: Mapping[str, str], log: Path) -> None:
        """Start it, with a new token.

        Args:
            chosen: see `find_command`.
            studies: folder of images and labels; it is made if it is not there.
            environment: variables of the process.
            log: its file.

        Raises:
            CommandMissing: the program is not there.
            ServerFailed: it cannot be run.
            OSError: a folder cannot be made.
        """
        if self.is_running:
            raise InputError("the server on this machine runs already")
        command = find_command(chosen, environment)
        studies.mkdir(parents=True, exist_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        server = LocalServer(
            [str(command)], studies, environment=environment, log=log, token=secrets.token_urlsafe(24)
        )
        server.start()
        self._server = server
        self._set(ServerStatus(ServerState.STARTING))
        self._end_timer = self._start_timer(self._look, POLL_MILLISECONDS)

    def stop(self) -> None:
        """Ask it to end."""
        if self._server is not None and self.is_running:
            self._server.stop()
            self._look()

    def close(self) -> None:
        """End it and wait until it has."""
        self._end_timer()
        if self._server is not None and self.is_running:
            self._server.stop_and_wait()
            self._status = ServerStatus(ServerState.STOPPED)

    def _look(self) -> None:
        if self._server is not None:
            status = self._server.poll()
            if status.state in {ServerState.FAILED, ServerState.STOPPED}:
                self._end_timer()
            self._set(status)

    def _set(self, status: ServerStatus) -> None:
        if status != self._status:
            self._status = status
            self.changed.emit(status)
