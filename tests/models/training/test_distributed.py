"""Two processes that talk through gloo, as torchrun starts them, against one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from cardiac_motion.errors import InputError
from cardiac_motion.training.distributed import World, process_group
from cardiac_motion.training.fit import fit

from tests.models.training.conftest import free_port
from tests.models.training.gloo import KINDS, shared_run

SCRIPT = Path(__file__).with_name("gloo.py")


def _run(folder: Path, size: int) -> list[dict[str, Any]]:
    """Train with so many processes; what each of them found."""
    folder.mkdir(exist_ok=True)
    port = str(free_port())
    processes = []
    for rank in range(size):
        world = {
            "RANK": rank,
            "LOCAL_RANK": rank,
            "WORLD_SIZE": size,
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
        }
        environment = os.environ | {name: str(value) for name, value in world.items()} | {"OMP_NUM_THREADS": "1"}
        processes.append(
            subprocess.Popen(
                [sys.executable, "-W", "error::FutureWarning", str(SCRIPT), str(folder)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    for process in processes:
        output, _ = process.communicate(timeout=240)
        assert process.returncode == 0, output
    return [json.loads((folder / f"rank_{rank}.json").read_text()) for rank in range(size)]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """What two processes found, and their folder."""
    folder = tmp_path_factory.mktemp("both")
    return folder, _run(folder, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_train_as_one_does(
    both: tuple[Path, list[dict[str, Any]]], tmp_path: Path, kind: str
) -> None:
    task, options = shared_run(kind)
    one = fit(task, tmp_path / "one", options=options)
    folder, found = both
    first, second = (each[kind] for each in found)
    assert first["size"] == 2
    assert len(first["losses"]) == options.steps
    assert first["losses"] == second["losses"]
    if kind == "two parts each":
        # Added up in another order: (1 + 3) + (2 + 4) instead of ((1 + 2) + 3) + 4.
        assert first["losses"] == pytest.approx(one.losses, abs=1e-4)
    else:
        # Dropout included: each part of a batch has its own random numbers, whoever works on it.
        assert first["losses"] == one.losses
        assert [(step, scores) for step, scores in first["validations"]] == one.validations
    # The first alone reports, validates and writes.
    assert (first["messages"], second["messages"]) == (options.steps, 0)
    assert (first["has_state"], second["has_state"]) == (True, False)
    assert second["validations"] == []
    assert sorted(path.name.split(".")[0] for path in (folder / kind).iterdir()) == [
        "checkpoint",
        "events",
    ]


def test_parts_of_a_batch_are_shared_evenly() -> None:
    assert [list(World(rank, 3).share(6)) for rank in range(3)] == [[0, 3], [1, 4], [2, 5]]
    World(0, 3).check_parts(6)
    with pytest.raises(InputError, match="parts that 4 processes can share evenly, got 6: give --option parts=4"):
        World(0, 4).check_parts(6)


def test_a_single_process_needs_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with process_group() as device:
        assert device is None
        world = World.current()
    assert world == World()
    assert world.of_first([1]) == [1]
    assert world.mean(torch.tensor(2.0)) == 2
