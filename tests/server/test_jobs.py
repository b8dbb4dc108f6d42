"""Jobs: states, progress, cancel, limits, what is kept and for how long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from cardiac_motion.errors import InputError

from monailabel_app.lib.errors import Busy, InternalError, NotFound, Stopping, StorageFull, Unprocessable
from monailabel_app.lib.jobs import Device, Job, Jobs, State

LONG = 20.0


def make_jobs(limit: int = 4, keep: int = 3, keep_seconds: float = 60.0) -> Jobs:
    return Jobs(limit=limit, keep=keep, keep_seconds=keep_seconds, threads=1)


def nothing() -> None:
    """Nothing to release."""


def finished(job: Job) -> Job:
    assert job.wait(LONG)
    return job


def reading_failed() -> InputError:
    """A file of the server's own that it may not read."""
    error = InputError("/studies/Smith.nii.gz: cannot be read")
    error.__cause__ = PermissionError(13, "Permission denied")
    return error


class Gate:
    """Work that goes on until it is let through, reporting all the time."""

    def __init__(self) -> None:
        self.started, self.open = threading.Event(), threading.Event()

    def __call__(self, job: Job) -> str:
        self.started.set()
        while not self.open.wait(0.005):
            job.report(0.5, "waiting at the gate")
        return "through"


def test_a_job_goes_from_its_start_to_its_result() -> None:
    jobs, gate = make_jobs(), Gate()
    job = jobs.submit(gate, nothing)
    assert gate.started.wait(LONG)
    while job.message != "waiting at the gate":
        threading.Event().wait(0.005)
    assert (job.to_json()["state"], job.progress) == ("running", 0.5)
    gate.open.set()
    assert finished(job).to_json() == {
        "job": job.id,
        "state": "done",
        "progress": 1.0,
        "message": "waiting at the gate",
        "error": None,
    }
    assert job.result == "through"
    assert jobs.get(job.id) is job


def test_progress_never_falls() -> None:
    seen = []

    def work(job: Job) -> None:
        for fraction in (0.2, 0.7, 0.4, 2.0):
            job.report(fraction, "")
            seen.append(job.progress)

    finished(make_jobs().submit(work, nothing))
    assert seen == [0.2, 0.7, 0.7, 1.0]


def test_a_cancelled_job_stops_at_its_next_report() -> None:
    jobs, gate = make_jobs(), Gate()
    job = jobs.submit(gate, nothing)
    assert gate.started.wait(LONG)
    job.cancel()
    assert finished(job).state is State.CANCELLED
    assert job.result is None


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (InputError("expected this, got that"), Unprocessable),
        (reading_failed(), InternalError),
        (NotFound("no such thing"), NotFound),
        (OSError(28, "No space left on device"), StorageFull),
        (ZeroDivisionError("at the bedside of Mrs Smith"), InternalError),
        (MemoryError(), Unprocessable),
    ],
)
def test_an_error_becomes_the_answer(raised: Exception, kind: type[Exception]) -> None:
    def work(_job: Job) -> None:
        raise raised

    job = finished(make_jobs().submit(work, nothing))
    assert job.state is State.FAILED
    assert type(job.error) is kind
    assert "Smith" not in str(job.to_json())


def test_a_full_disk_behind_another_error_is_still_a_full_disk() -> None:
    def work(_job: Job) -> None:
        raise InputError("cannot write labels") from OSError(28, "No space left on device")

    assert type(finished(make_jobs().submit(work, nothing)).error) is StorageFull


def test_more_jobs_than_allowed_are_refused_until_one_has_ended() -> None:
    jobs, gates = make_jobs(limit=2), [Gate(), Gate()]
    running = [jobs.submit(gate, nothing) for gate in gates]
    with pytest.raises(Busy, match="at most 2 jobs"):
        jobs.submit(gates[0], nothing)
    gates[0].open.set()
    finished(running[0])
    gates[1].open.set()
    finished(jobs.submit(lambda _job: None, nothing))
    finished(running[1])


def test_old_results_are_released() -> None:
    released: list[int] = []

    def release(number: int) -> Callable[[], None]:
        return lambda: released.append(number)

    jobs = make_jobs(keep=2)
    made = [finished(jobs.submit(lambda _job: None, release(number))) for number in range(4)]
    jobs.forget_old()
    with pytest.raises(NotFound):
        jobs.get(made[0].id)
    assert released == [0, 1]
    assert jobs.get(made[3].id) is made[3]
    aged = make_jobs(keep_seconds=0.0)
    job = finished(aged.submit(lambda _job: None, release(7)))
    aged.forget_old()
    with pytest.raises(NotFound):
        aged.get(job.id)
    assert released == [0, 1, 7]


def test_a_discarded_job_is_released_when_it_has_ended_and_only_once() -> None:
    released: list[str] = []
    jobs, gate = make_jobs(), Gate()
    job = jobs.submit(gate, lambda: released.append("gate"))
    assert gate.started.wait(LONG)
    jobs.discard(job)
    finished(job)
    while not released:
        threading.Event().wait(0.005)
    jobs.discard(job)
    assert set(released) == {"gate"}


def test_a_job_without_a_result_needs_no_files() -> None:
    released: list[str] = []

    def work(_job: Job) -> None:
        raise InputError("no")

    jobs = make_jobs()
    finished(jobs.submit(work, lambda: released.append("failed")))
    assert released == ["failed"]


def test_one_heavy_computation_at_a_time_and_those_that_wait_can_be_cancelled() -> None:
    jobs, device, gate = make_jobs(), Device(), Gate()

    def heavy(job: Job) -> Any:
        with device.held_by(job):
            return gate(job)

    first = jobs.submit(heavy, nothing)
    assert gate.started.wait(LONG)
    second, third = (jobs.submit(heavy, nothing) for _ in range(2))
    while second.message != "waiting for another computation":
        threading.Event().wait(0.005)
    assert second.state is State.QUEUED
    second.cancel()
    assert finished(second).state is State.CANCELLED
    assert first.state is State.RUNNING
    gate.open.set()
    assert finished(first).result == finished(third).result == "through"


def test_a_stopped_server_cancels_and_takes_no_more() -> None:
    jobs, gate = make_jobs(), Gate()
    job = jobs.submit(gate, nothing)
    assert gate.started.wait(LONG)
    assert jobs.close(LONG)
    assert job.state is State.CANCELLED
    with pytest.raises(Stopping):
        jobs.submit(gate, nothing)


def test_work_that_does_not_report_is_not_waited_for_without_end() -> None:
    jobs, deaf = make_jobs(), threading.Event()
    job = jobs.submit(lambda _job: deaf.wait(LONG), nothing)
    assert not jobs.close(0.05)
    deaf.set()
    finished(job)
