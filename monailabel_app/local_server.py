"""A server of one's own for as long as it is needed, in a process of its own."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from CardiacMotionLib.client import ClientError
from CardiacMotionLib.local_server import START_SECONDS, STOP_SECONDS, LocalServer, ServerFailed, ServerState

_LOOK_SECONDS = 0.05


@contextmanager
def local_server(
    studies: Path,
    *,
    token: str | None = None,
    cache: Path | None = None,
    options: Sequence[str] = (),
    log: Path | None = None,
    start_seconds: float = START_SECONDS,
    stop_seconds: float = STOP_SECONDS,
) -> Iterator[str]:
    """Start a server on a free port of this machine, yield its address, and end it however the block ends.

    SIGTERM and the end of the terminal end the block as Ctrl-C does, where nothing else handles them: what was
    begun is then cleared away. The server itself ends with this process even if that is killed.

    Args:
        studies: folder of images and labels.
        token: that every request has to bring, or None.
        cache: folder of motions; by default within the studies folder.
        options: further ones of ``cardiac-motion serve``.
        log: file for the server's log; by default one that goes with the server.
        start_seconds: until it answers.
        stop_seconds: for it to end by itself, before it is killed.

    Raises:
        ServerFailed: it did not start, or ended in the middle of the block, which then failed.
    """
    with ExitStack() as stack:
        if log is None:
            folder = stack.enter_context(TemporaryDirectory(prefix="cardiac-motion-log-"))
            log = Path(folder) / "server.log"
        server = LocalServer(
            [sys.executable, "-m", "cardiac_motion.cli"],
            studies,
            environment=os.environ,
            log=log,
            token=token,
            options=[*options, *([] if cache is None else ["--cache-folder", str(cache)])],
            start_seconds=start_seconds,
            stop_seconds=stop_seconds,
        )
        stack.enter_context(_ended_by_signals())
        stack.callback(server.stop_and_wait)
        server.start()
        while (status := server.poll()).state is ServerState.STARTING:
            time.sleep(_LOOK_SECONDS)
        if status.state is ServerState.FAILED:
            raise ServerFailed(status.message)
        try:
            yield server.address
        except ClientError as error:
            status = server.poll()
            if status.state is not ServerState.FAILED:
                raise
            raise ServerFailed(f"{error}; {status.message}") from error


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let signals that end a process at once raise SystemExit instead, so that what was begun is cleared away."""

    def end(number: int, _frame: FrameType | None) -> None:
        sys.exit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    taken = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)
