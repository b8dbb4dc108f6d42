"""A real server killed in the middle of saving: nothing that was answered is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.server_kills import kill_often
from benchmarks.server_process import running_server


@pytest.mark.skipif(os.name != "posix", reason="not run: needs SIGKILL")
def test_what_was_answered_outlives_a_kill(tmp_path: Path) -> None:
    ledger = kill_often(tmp_path, kills=2, clients=2, seed=4)
    with running_server(tmp_path / "studies", tmp_path) as server:
        ledger.check_again()
        ledger.check(server)
        assert (ledger.wrong, ledger.refused) == ([], [])
        assert ledger.labels
        assert ledger.images
        # What is lost or mixed up would be seen.
        (tag, version), number = max(ledger.labels.items())
        ledger.labels[tag, version] = number + 1
        ledger.images.add(10**6)
        ledger.check(server)
    assert len(ledger.wrong) == 2
    assert f"version {version} was answered for label {number + 1}, it is {number}" in ledger.wrong[0]
    assert "image-1000000" in ledger.wrong[1]
