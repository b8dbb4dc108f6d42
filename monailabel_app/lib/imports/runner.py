"""The server's side of an import: starts the process that does it, follows it, and ends it."""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any

from monailabel_app.lib.errors import InternalError, RequestError, StorageFull, TooLarge, Unprocessable
from monailabel_app.lib.imports.task import ImportTask
from monailabel_app.lib.logs import log_event

_LOOK_SECONDS = 0.2
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_REFUSALS: dict[str, type[RequestError]] = {kind.__name__: kind for kind in (TooLarge, Unprocessable, StorageFull)}
_logger = logging.getLogger(__name__)


def run_import(task: ImportTask, *, seconds: float, report: Callable[[float, str], None]) -> dict[str, Any]:
    """Run an import in a process of its own.

    Args:
        task: what to do.
        seconds: that it may take.
        report: called with the share done and what is being done, several times a second; whatever it raises ends
            the process.

    Returns:
        See `worker.run`.

    Raises:
        RequestError: what cannot be done.
        Unprocessable: it took too long, or the files brought the process down.
        InternalError: a mistake of ours; the log says where.
    """
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "monailabel_app.lib.imports.worker", task.to_argument()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **dict.fromkeys(_ONE_THREAD, "1")},
        # With the processes that it may start itself it is one group, which ends as a whole.
        start_new_session=True,
    )
    assert process.stdout is not None  # noqa: S101 - for the type checker
    lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    reader = threading.Thread(target=_read, args=(process.stdout, lines), name="import-reader", daemon=True)
    reader.start()
    try:
        return _followed(lines, time.monotonic() + seconds, report)
    except _EndedWithoutAWord:
        code = process.wait()
        log_event(_logger, logging.WARNING, "import ended early", exit_code=code)
        raise Unprocessable(
            "expected DICOM files that can be read; reading these ended the process that reads them",
            code="bad_dicom",
            field="file",
        ) from None
    finally:
        _end(process)
        reader.join()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


class _EndedWithoutAWord(Exception):
    """The process is gone and has not said what came of it."""


def _end(process: subprocess.Popen[bytes]) -> None:
    if os.name == "posix" and process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _read(stream: IO[bytes], lines: queue.SimpleQueue[bytes | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _followed(
    lines: queue.SimpleQueue[bytes | None], deadline: float, report: Callable[[float, str], None]
) -> dict[str, Any]:
    share, message = 0.0, "starting"
    while True:
        report(share, message)
        if time.monotonic() > deadline:
            raise Unprocessable(
                "expected DICOM files that are imported within the time for one import; these take longer",
                code="takes_too_long",
                field="file",
            )
        try:
            line = lines.get(timeout=_LOOK_SECONDS)
        except queue.Empty:
            continue
        if line is None:
            raise _EndedWithoutAWord
        told = json.loads(line)
        if "progress" in told:
            share, message = told["progress"], told["message"]
        elif "refused" in told:
            raise _refusal(told["refused"])
        elif "failed" in told:
            log_event(_logger, logging.ERROR, "import failed", **told["failed"])
            raise InternalError("something went wrong in the server; its log says where")
        else:
            return told["result"]


def _refusal(told: dict[str, str]) -> RequestError:
    kind = _REFUSALS[told["kind"]]
    if kind is StorageFull:
        return StorageFull("the server's disk has no room left; nothing was saved")
    return kind(told["message"], code=told["code"], field="file")
