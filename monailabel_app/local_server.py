"""A server of one's own for as long as it is needed, in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from monailabel_app.client.errors import ClientError, printable
from monailabel_app.commands.serve import TOKEN_VARIABLE

START_SECONDS = 120.0
"""Long: where PyTorch is read from a slow disk for the first time."""
STOP_SECONDS = 10.0
_LOOK_SECONDS = 0.05
_TAIL_BYTES = 4096
_TAIL_LINES = 5


class ServerFailed(ClientError):
    """The server did not start, or ended before it was asked to; the message has the end of its log."""


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

    SIGTERM and the end of the terminal end the block as Ctrl-C does, where nothing else handles them: a server
    must not outlive who started it.

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
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="cardiac-motion-server-")))
        ready, log = folder / "ready.json", log or folder / "server.log"
        arguments = ["--studies", str(studies), "--port", "0", "--ready-file", str(ready), *options]
        if cache is not None:
            arguments += ["--cache-folder", str(cache)]
        environment = {name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE}
        if token is not None:
            # Other users may see the arguments of a process, but not its environment.
            environment[TOKEN_VARIABLE] = token
        stream = stack.enter_context(log.open("wb"))
        stack.enter_context(_ended_by_signals())
        process = subprocess.Popen(  # noqa: S603 - our own command line
            [sys.executable, "-m", "cardiac_motion.cli", "serve", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=environment,
            # Ctrl-C is for us alone: the server may have to be told to stop a job first.
            start_new_session=True,
        )
        stack.callback(_stop, process, stop_seconds)
        address = _wait_until_ready(process, ready, log, start_seconds)
        try:
            yield address
        except ClientError as error:
            if process.poll() is None:
                raise
            raise ServerFailed(f"{error}; {_how_it_ended(process, log)}") from error


def _wait_until_ready(process: subprocess.Popen[bytes], ready: Path, log: Path, seconds: float) -> str:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        # In this order: it may become ready and end between two looks.
        has_ended = process.poll() is not None
        with suppress(FileNotFoundError):
            return str(json.loads(ready.read_text(encoding="utf-8"))["address"])
        if has_ended:
            raise ServerFailed(_how_it_ended(process, log))
        time.sleep(_LOOK_SECONDS)
    raise ServerFailed(f"expected the server to answer within {seconds:g} s; its log ends with: {_tail(log)}")


def _how_it_ended(process: subprocess.Popen[bytes], log: Path) -> str:
    return f"the server ended by itself with status {process.returncode}; its log ends with: {_tail(log)}"


def _tail(log: Path) -> str:
    """The last lines of a log, as one."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
        lines = file.read().decode("utf-8", "replace").splitlines()
    return printable(" | ".join(lines[-_TAIL_LINES:])) or "nothing"


def _stop(process: subprocess.Popen[bytes], seconds: float) -> None:
    """End a process: ask, wait, then kill; also if Ctrl-C comes while waiting."""
    try:
        process.terminate()
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        pass
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


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
