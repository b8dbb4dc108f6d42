"""Runs the server: binds its port, says when it is ready, and ends it cleanly."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import types
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import torch
import uvicorn
from cardiac_motion.atomic import atomic_path
from cardiac_motion.errors import InputError

from monailabel_app.lib.logs import configure_logs, log_event
from monailabel_app.lib.settings import ServerSettings
from monailabel_app.lib.web.protocol import PromptHeadProtocol
from monailabel_app.lib.web.state import ServerState
from monailabel_app.parent import when_parent_ends
from monailabel_app.server import SHUTDOWN_SECONDS, create_app

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_KEEP_ALIVE_SECONDS = 75
_logger = logging.getLogger(__name__)


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens on an address; port 0 takes a free one.

    Raises:
        InputError: the address does not exist, or something else listens there.
    """
    with ExitStack() as if_refused:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            listening = if_refused.enter_context(socket.socket(family, kind, protocol))
            if os.name == "posix":
                # A port that was left a moment ago can be taken again. On Windows this would share it.
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            # From now on nobody else can have the port.
            listening.listen()
        except OSError as error:
            raise InputError(f"cannot listen on {host}, port {port}: {error.strerror or error}") from error
        if_refused.pop_all()
    return listening


class _Server(uvicorn.Server):
    """uvicorn's server, which says when it is ready, and cancels jobs as soon as it is asked to stop."""

    def __init__(self, config: uvicorn.Config, state: ServerState, ready_file: Path | None, address: str) -> None:
        super().__init__(config)
        self._state, self._ready_file, self._address = state, ready_file, address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._ready_file is not None and not self.should_exit:
            with atomic_path(self._ready_file) as temporary:
                temporary.write_text(json.dumps({"address": self._address, "pid": os.getpid()}), encoding="utf-8")

    def handle_exit(self, sig: int, frame: types.FrameType | None) -> None:
        self._state.jobs.stop()
        super().handle_exit(sig, frame)

    def leave(self) -> None:
        """End as on SIGTERM; from any thread."""
        log_event(_logger, logging.INFO, "parent_ended")
        self.handle_exit(signal.SIGTERM, None)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn raises the signals again at the end, and the process would end by them; here it ends with 0.
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run_server(
    settings: ServerSettings,
    *,
    ready_file: Path | None = None,
    log_level: str = "INFO",
    stop_with_parent: bool = False,
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        settings: of the server.
        ready_file: gets ``{"address", "pid"}`` once the server answers; it goes with the server.
        log_level: of the log on stderr.
        stop_with_parent: also end when the process that started this one has ended or closed our standard input.

    Raises:
        InputError: the folder or the address cannot be used.
    """
    configure_logs(log_level)
    torch.set_num_threads(settings.threads)
    listening = bind(settings.host, settings.port)
    if ready_file is not None:
        # What an earlier server left there would be taken for this one's.
        ready_file.unlink(missing_ok=True)
    try:
        app = create_app(settings)
        state: ServerState = app.state.server
        # Uploads that do not fit in memory go to disk: within the studies folder, as everything does.
        tempfile.tempdir = str(state.datastore.scratch_path)
        # PyTorch would make its own folder among the temporary files.
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(state.datastore.data_folder / "torch"))
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            ws="none",
            http=PromptHeadProtocol,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=int(SHUTDOWN_SECONDS),
        )
        address = f"http://{_written(settings.host)}:{listening.getsockname()[1]}"
        log_event(_logger, logging.INFO, "starting", address=address, host=settings.host, threads=settings.threads)
        if settings.token is None and not settings.is_local:
            log_event(_logger, logging.WARNING, "open to everybody who can reach this machine", host=settings.host)
        server = _Server(config, state, ready_file, address)
        watched = when_parent_ends(server.leave) if stop_with_parent else nullcontext()
        try:
            with watched:
                server.run(sockets=[listening])
        finally:
            # Has been done already, unless a second Ctrl-C cut it short.
            state.jobs.close(0.0)
            state.datastore.close()
    finally:
        listening.close()
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)
    log_event(_logger, logging.INFO, "stopped")
    if len(threading.enumerate()) > 1:
        # A computation that has not come to its next report, or a request that is still being worked on. The
        # datastore takes nothing more from them, and what they have begun has no name yet.
        sys.stderr.flush()
        os._exit(0)


def _written(host: str) -> str:
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - is told, not listened on
    return f"[{reachable}]" if ":" in reachable else reachable
