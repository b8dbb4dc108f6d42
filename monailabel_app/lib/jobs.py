"""Work that takes longer than a request should: in threads, with progress, cancel and results that wait."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

import torch
from cardiac_motion.errors import Cancelled

from monailabel_app.lib.errors import Busy, NotFound, RequestError, Stopping, as_request_error
from monailabel_app.lib.logs import log_event, where_of

_WAIT_SECONDS = 0.1
_logger = logging.getLogger(__name__)


class State(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINISHED = frozenset({State.DONE, State.FAILED, State.CANCELLED})


class Device:
    """The processor or GPU that heavy computations share: one of them at a time, first come first served."""

    def __init__(self) -> None:
        self._queue: deque[Job] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def held_by(self, job: Job) -> Iterator[None]:
        """Wait for the device, then hold it.

        Raises:
            Cancelled: the job was cancelled while it waited.
        """
        with self._changed:
            self._queue.append(job)
        try:
            self._wait_for_turn(job)
            yield
        finally:
            with self._changed:
                self._queue.remove(job)
                self._changed.notify_all()

    def _wait_for_turn(self, job: Job) -> None:
        with self._changed:
            while self._queue[0] is not job:
                job.state = State.QUEUED
                job.report(job.progress, "waiting for another computation")
                # Not for ever: the job may be cancelled meanwhile.
                self._changed.wait(_WAIT_SECONDS)
            job.state = State.RUNNING


class Job:
    """One piece of work.

    Attributes:
        id: unguessable.
        state: where it stands.
        progress: 0 to 1; never falls.
        message: what is being done.
        error: what went wrong, or None.
        result: what the work gave, once it is done.
    """

    def __init__(self, release: Callable[[], None]) -> None:
        self.id = secrets.token_hex(16)
        self.state = State.QUEUED
        self.progress = 0.0
        self.message = ""
        self.error: RequestError | None = None
        self.result: Any = None
        self.release = release
        self.finished_at: float | None = None
        self._cancelled = threading.Event()
        self._finished = threading.Event()
        self._callbacks: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen."""
        return self.finished_at is not None

    def report(self, fraction: float, message: str) -> None:
        """The progress callback of the work.

        Raises:
            Cancelled: the job is to stop.
        """
        if self._cancelled.is_set():
            raise Cancelled("the job was cancelled")
        self.progress = min(1.0, max(self.progress, float(fraction)))
        self.message = message

    def cancel(self) -> None:
        """Ask the work to stop at its next report."""
        self._cancelled.set()

    def when_finished(self, callback: Callable[[], None]) -> None:
        """Call this once nothing more will happen; at once if that is so already."""
        with self._lock:
            if not self.is_finished:
                self._callbacks.append(callback)
                return
        callback()

    def wait(self, seconds: float) -> bool:
        """Wait at most this long; whether it has finished."""
        return self._finished.wait(seconds)

    def finish(self, state: State, *, error: RequestError | None = None) -> None:
        """Set the final state, and tell those who wait."""
        with self._lock:
            self.state, self.error = state, error
            if state is State.DONE:
                self.progress = 1.0
            self.finished_at = time.monotonic()
            callbacks = self._callbacks
            self._callbacks = []
        self._finished.set()
        for callback in callbacks:
            callback()

    def to_json(self) -> dict[str, Any]:
        """As ``GET /jobs/{job}`` answers."""
        return {
            "job": self.id,
            "state": str(self.state),
            "progress": round(self.progress, 4),
            "message": self.message,
            "error": self.error.to_json()["error"] if self.error else None,
        }


class Jobs:
    """All jobs of a server.

    Args:
        limit: of jobs that wait or run.
        keep: finished jobs whose results are kept.
        keep_seconds: how long they are kept.
        threads: of PyTorch in each job.
    """

    def __init__(
        self,
        *,
        limit: int,
        keep: int,
        keep_seconds: float,
        threads: int,
    ) -> None:
        self._limit, self._keep, self._keep_seconds = limit, keep, keep_seconds
        self._threads = threads
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._stopping = False

    def submit(self, work: Callable[[Job], Any], release: Callable[[], None]) -> Job:
        """Start some work in a thread of its own.

        Args:
            work: is given the job, whose `report` it calls often.
            release: called when its files are not needed any more: it is forgotten, or has no result. May be
                called twice.

        Raises:
            Busy: as many jobs as are allowed wait or run.
            Stopping: the server is being stopped.
        """
        self.forget_old()
        with self._lock:
            if self._stopping:
                raise Stopping("the server is being stopped")
            active = sum(not job.is_finished for job in self._jobs.values())
            if active >= self._limit:
                raise Busy(f"expected at most {self._limit} jobs at a time, {active} wait or run; try again later")
            job = Job(release)
            self._jobs[job.id] = job
        # A daemon, so that a computation that does not report cannot keep a stopped server alive. What it writes
        # takes its name only when it is complete.
        thread = threading.Thread(target=self._run, args=(job, work), name=f"job-{job.id[:8]}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            with self._lock:
                del self._jobs[job.id]
            raise
        return job

    def get(self, job_id: str) -> Job:
        """A job by its id.

        Raises:
            NotFound: there is none, or none any more.
        """
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None:
            raise NotFound("there is no such job; results are kept for a limited time", field="job")
        return job

    def discard(self, job: Job) -> None:
        """Cancel a job, and forget it with its files as soon as it has finished."""
        job.cancel()
        job.when_finished(lambda: self._remove(job))

    @property
    def is_stopping(self) -> bool:
        """Whether no more jobs are taken."""
        return self._stopping

    def stop(self) -> None:
        """Take no more jobs, and cancel all. Returns at once; fit for a signal handler."""
        self._stopping = True
        for job in list(self._jobs.values()):
            job.cancel()

    def close(self, seconds: float) -> bool:
        """Stop, and wait at most this long for the jobs to end; whether they all have."""
        self.stop()
        end = time.monotonic() + seconds
        for job in list(self._jobs.values()):
            job.wait(max(0.0, end - time.monotonic()))
        return all(job.is_finished for job in self._jobs.values())

    def _run(self, job: Job, work: Callable[[Job], Any]) -> None:
        torch.set_num_threads(self._threads)
        start = time.perf_counter()
        state, error = State.DONE, None
        try:
            job.report(0.0, "starting")
            job.state = State.RUNNING
            job.result = work(job)
        except Cancelled:
            state = State.CANCELLED
        except Exception as raised:  # noqa: BLE001 - whatever it is becomes the job's answer, and is logged
            state, error = State.FAILED, as_request_error(raised)
            if error.status >= 500:
                log_event(_logger, logging.ERROR, "job failed", job=job.id, **where_of(raised))
        if state is not State.DONE:
            job.release()
        # Before anybody is told, so that who reads the log has it complete.
        log_event(_logger, logging.INFO, "job", job=job.id, state=str(state), seconds=time.perf_counter() - start)
        job.finish(state, error=error)

    def _remove(self, job: Job) -> None:
        with self._lock:
            known = self._jobs.pop(job.id, None)
        if known is not None:
            job.release()

    def forget_old(self) -> None:
        """Release the results of jobs that ended too long ago, or that are too many."""
        with self._lock:
            finished = [job for job in self._jobs.values() if job.finished_at is not None]
        finished.sort(key=lambda job: job.finished_at or 0.0)
        too_many = len(finished) - self._keep
        for number, job in enumerate(finished):
            age = time.monotonic() - (job.finished_at or 0.0)
            if number < too_many or age > self._keep_seconds:
                self._remove(job)
