"""Whether a run that was killed ends as one that was not, and whether two processes train as one does.

    python -m benchmarks.training [--steps 24] [--clips 128]

The recipe of `unet` as it stands, on few synthetic clips. A process that trains is killed (SIGKILL) once it has
written a checkpoint in the middle, and resumed by another; losses, figures and weights are compared bit by bit
with those of a run in one piece. Then two processes, started by torchrun, train through gloo with the same global
batches as one process, without dropout, which draws in each process for itself; the largest difference of their
losses is given.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from cardiac_motion.training.checkpoint import NAME, Checkpoint
from cardiac_motion.training.distributed import World, process_group
from cardiac_motion.training.fit import FitResult, fit
from cardiac_motion.training.options import FitOptions
from cardiac_motion.training.recipes.segmentation import SegmentationTask, synthetic_task
from cardiac_motion.training.registry import recipe

CHECKPOINT_EVERY = 5


def task_of(model: str, clips: int, *, dropout: bool) -> SegmentationTask:
    """A model's task on few clips, which are drawn if they are not there."""
    found = recipe(model)
    config = dict(found.config) | ({} if dropout else {"dropout": 0.0})
    found = replace(found, config=config, training=replace(found.training, clips=clips))
    for pool in (found.training.pool(), found.validation.pool()):
        pool.make()
    return synthetic_task(found)


def options_of(task: SegmentationTask, steps: int) -> FitOptions:
    """The recipe's options for so few steps; the clock decides nothing."""
    return replace(
        task.recipe.fit,
        steps=steps,
        minutes=None,
        warmup=min(5, steps),
        validate_every=steps // 2,
        checkpoint_every=CHECKPOINT_EVERY,
    )


def work(folder: Path, model: str, steps: int, clips: int, *, dropout: bool, resume: bool) -> None:
    """What each process of this benchmark does."""
    task = task_of(model, clips, dropout=dropout)
    with process_group() as device:
        result = fit(task, folder / "run", options=options_of(task, steps), resume=resume, device=device or "cpu")
        if World.current().is_first:
            _keep(folder, result)


def _keep(folder: Path, result: FitResult) -> None:
    content = {"losses": result.losses, "validations": result.validations, "best_step": result.best_step}
    (folder / "result.json").write_text(json.dumps(content), encoding="utf-8")
    torch.save(result.state, folder / "state.pt")


def _command(folder: Path, arguments: argparse.Namespace, *, processes: int, dropout: bool) -> list[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return [
        sys.executable,
        *(launcher if processes > 1 else []),
        *("-m", "benchmarks.training", "--work", str(folder), "--model", arguments.model),
        *("--steps", str(arguments.steps), "--clips", str(arguments.clips)),
        *(["--dropout"] if dropout else []),
    ]


def kill_in_the_middle(folder: Path, command: Sequence[str], steps: int) -> int:
    """Start a run and kill it after a checkpoint beyond a third of its steps; the step of its last checkpoint."""
    process = subprocess.Popen(command)
    while process.poll() is None:
        if (folder / "run" / NAME).is_file() and Checkpoint.read(folder / "run").course.step > steps // 3:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return Checkpoint.read(folder / "run").course.step
        time.sleep(0.05)
    raise RuntimeError("the run ended before it could be killed: give it more steps")


def _found(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    about = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return about, torch.load(folder / "state.pt", weights_only=True)


def main(given: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if a run does not end as it should."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="unet")
    parser.add_argument("--steps", type=int, default=24, help="of each run, 18 at least")
    parser.add_argument("--clips", type=int, default=128, help="synthetic clips; they are drawn once")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--dropout", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--resume", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(given)
    if arguments.work is not None:
        of_process = (arguments.work, arguments.model, arguments.steps, arguments.clips)
        work(*of_process, dropout=arguments.dropout, resume=arguments.resume)
        return 0
    task_of(arguments.model, arguments.clips, dropout=True)
    with tempfile.TemporaryDirectory() as temporary:
        folders = {name: Path(temporary) / name for name in ("whole", "killed", "one", "two")}
        for folder in folders.values():
            folder.mkdir()
        subprocess.run(_command(folders["whole"], arguments, processes=1, dropout=True), check=True)
        killed = _command(folders["killed"], arguments, processes=1, dropout=True)
        step = kill_in_the_middle(folders["killed"], killed, arguments.steps)
        subprocess.run([*killed, "--resume"], check=True)
        (whole, state), (resumed, other) = _found(folders["whole"]), _found(folders["killed"])
        same = whole == resumed and all(torch.equal(state[name], other[name]) for name in state)
        print(
            f"killed, resumed from step {step} of {arguments.steps}: losses, figures and weights are "
            f"{'identical' if same else 'NOT identical'} to those of a run in one piece"
        )
        for name, processes in (("one", 1), ("two", 2)):
            subprocess.run(_command(folders[name], arguments, processes=processes, dropout=False), check=True)
        one, two = (_found(folders[name])[0]["losses"] for name in ("one", "two"))
        worst = max(abs(a - b) for a, b in zip(one, two, strict=True))
        print(f"two gloo processes against one, {len(one)} steps: losses differ by {worst:.1e} at most")
    return 0 if same and worst <= 1e-4 else 1


if __name__ == "__main__":
    sys.exit(main())
