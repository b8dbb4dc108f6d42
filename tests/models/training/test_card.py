"""What a model card says of the machine."""

from __future__ import annotations

import os

import pytest
import torch
from cardiac_motion.training.card import machine


@pytest.mark.parametrize(
    ("threads", "processes", "expected"),
    [(1, 1, "1 thread, "), (2, 1, "2 threads, "), (1, 2, "2 processes of 1 thread, ")],
)
def test_the_machine_is_told_with_threads_and_processes(
    threads: int, processes: int, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    told = machine(torch.device("cpu"), processes)
    assert told.startswith(expected)
    assert f"{os.cpu_count()} cores" in told
