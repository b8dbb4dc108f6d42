"""Many clients at once on one real server: every answer is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.server_concurrency import ACTIONS, FLAT_BYTES, Outcome, prepare, visit
from benchmarks.server_process import running_server


def test_every_client_gets_right_answers(tmp_path: Path) -> None:
    studies = tmp_path / "studies"
    studies.mkdir()
    known = prepare(tmp_path, studies)
    with running_server(studies, tmp_path) as server:
        outcome = visit(server.address, known, clients=8, requests=7, pid=server.process.pid)
        assert list((studies / ".cardiac_motion" / "scratch").iterdir()) == []
        assert outcome.messages == []
        assert {name: outcome.done[name] for name in ACTIONS} == dict.fromkeys(ACTIONS, 8)
        # An answer that is not what is expected is seen.
        for key, labels in known.carried.items():
            known.carried[key] = labels[::-1]
        outcome = visit(server.address, known, clients=2, requests=7, pid=server.process.pid)
    assert (sum(outcome.wrong.values()), sum(outcome.errors.values())) == (4, 0)
    assert not outcome.is_right


@pytest.mark.parametrize("growth", [0, FLAT_BYTES // 2, -(10**8)])
def test_memory_that_stays_is_flat(growth: int) -> None:
    outcome = Outcome(memory=[10**9] * 10 + [10**9 + growth] * 10)
    assert outcome.is_flat
    assert outcome.is_right


def test_memory_that_grows_is_seen() -> None:
    outcome = Outcome(memory=[10**8 + number * 10**7 for number in range(20)])
    assert not outcome.is_flat
    assert "it grows" in outcome.table()
