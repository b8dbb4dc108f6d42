"""A server in a process of its own, which benchmarks and tests may watch, starve and kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 180.0
"""A server that does not answer by then has failed; generous, as many run beside each other."""

END_SECONDS = 60.0
"""A process that does not end by then hangs."""

_LOOK_SECONDS = 0.02
_RUN = "from cardiac_motion.cli import main; main()"
_RUN_WITHIN = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({0}, {0})); " + _RUN


class ServerFailedError(RuntimeError):
    """The server did not start."""


@dataclass(frozen=True)
class ServerProcess:
    """A running server.

    Attributes:
        process: its process.
        address: http://127.0.0.1:port.
        studies: its folder.
        log: file with its log.
    """

    process: subprocess.Popen[bytes]
    address: str
    studies: Path
    log: Path

    def log_text(self) -> str:
        """The log so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def kill(self) -> None:
        """End it at once, as a power cut would end its process."""
        self.process.kill()
        self.process.wait()

    def end(self, number: int, *, is_twice: bool = False) -> int:
        """Send a signal, or one and at once another, and give the exit code.

        Raises:
            subprocess.TimeoutExpired: it hangs.
        """
        self.process.send_signal(number)
        if is_twice:
            time.sleep(_LOOK_SECONDS)
            self.process.send_signal(number)
        return self.process.wait(END_SECONDS)


def environment(**changed: str) -> dict[str, str]:
    """Of a server that computes with one thread, leaves no byte code, and has no token."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CARDIAC_MOTION_")}
    return {**kept, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1", **changed}


def start_server(
    studies: Path,
    folder: Path,
    *,
    options: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
    max_file_bytes: int | None = None,
) -> ServerProcess:
    """Start a server on a free port and wait until it answers.

    Args:
        studies: its folder.
        folder: for its log; one server at a time.
        options: of ``cardiac-motion serve``.
        variables: of its environment, beside those of `environment`.
        max_file_bytes: no file grows beyond this, as on a full disk; POSIX only.

    Raises:
        ServerFailedError: it ended, or does not answer.
    """
    ready, log = folder / "ready.json", folder / "server.log"
    ready.unlink(missing_ok=True)
    code = _RUN if max_file_bytes is None else _RUN_WITHIN.format(max_file_bytes)
    arguments = ["serve", "--studies", str(studies), "--port", "0", "--ready-file", str(ready), "--threads", "1"]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments, *options],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=environment(**(variables or {})),
            # Ctrl-C is for the benchmark alone.
            start_new_session=True,
        )
    try:
        return ServerProcess(process, _wait_until_ready(process, ready, log), studies, log)
    except BaseException:
        process.kill()
        process.wait()
        raise


def _wait_until_ready(process: subprocess.Popen[bytes], ready: Path, log: Path) -> str:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        has_ended = process.poll() is not None
        with suppress(FileNotFoundError):
            return str(json.loads(ready.read_text(encoding="utf-8"))["address"])
        if has_ended:
            break
        time.sleep(_LOOK_SECONDS)
    raise ServerFailedError(
        f"the server did not start: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}"
    )


@contextmanager
def running_server(
    studies: Path,
    folder: Path,
    *,
    options: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
    max_file_bytes: int | None = None,
) -> Iterator[ServerProcess]:
    """`start_server`, and the end of the server however the block ends."""
    server = start_server(studies, folder, options=options, variables=variables, max_file_bytes=max_file_bytes)
    try:
        yield server
    finally:
        stop(server)


def stop(server: ServerProcess) -> None:
    """End a server that has not ended yet.

    Raises:
        subprocess.TimeoutExpired: it hangs; it is killed.
    """
    if not server.is_running():
        return
    server.process.terminate()
    try:
        server.process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        raise
