"""Whether a run that was killed ends as one that was not, and whether two processes train as one does.

    python -m benchmarks.training [--steps 24] [--clips 128] [--option NAME=VALUE]

The recipe of `unet` as it stands, on few synthetic clips. A process that trains is killed (SIGKILL) once it has
written a checkpoint in the middle, and resumed by another; losses, figures and weights are compared bit by bit
with those of a run in one piece. Then two processes, started by torchrun, train through gloo with the same global
batches; the largest difference of their losses from those of the one process is given. All have one thread: sums
are rounded otherwise in two, and training lets such differences grow.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from cardiac_motion.cli.console import parse_settings
from cardiac_motion.registration.base import with_options
from cardiac_motion.training.checkpoint import NAME, Checkpoint
from cardiac_motion.training.distributed import World, process_group
from cardiac_motion.training.fit import FitResult, fit
from cardiac_motion.training.options import FitOptions
from cardiac_motion.training.recipes.segmentation import SegmentationTask, synthetic_task
from cardiac_motion.training.registry import recipe

CHECKPOINT_EVERY = 5


def task_of(model: str, clips: int) -> SegmentationTask:
    """A model's task on few clips, which are drawn if they are not there."""
    found = recipe(model)
    found = replace(found, training=replace(found.training, clips=clips))
    for pool in (found.training.pool(), found.validation.pool()):
        pool.make()
    return synthetic_task(found)


def options_of(task: SegmentationTask, steps: int, changes: Mapping[str, Any]) -> FitOptions:
    """The recipe's options for so few steps; the clock decides nothing."""
    return replace(
        with_options(task.recipe.fit, changes),
        steps=steps,
        minutes=None,
        validate_every=steps // 2,
        checkpoint_every=CHECKPOINT_EVERY,
    )


def work(arguments: argparse.Namespace) -> None:
    """What each process of this benchmark does."""
    folder, task = arguments.work, task_of(arguments.model, arguments.clips)
    torch.set_num_threads(1)
    with process_group() as device:
        options = options_of(task, arguments.steps, parse_settings(arguments.option))
        result = fit(task, folder / "run", options=options, resume=arguments.resume, device=device or "cpu")
        if World.current().is_first:
            _keep(folder, result)


def _keep(folder: Path, result: FitResult) -> None:
    content = {"losses": result.losses, "validations": result.validations, "kept_step": result.kept_step}
    (folder / "result.json").write_text(json.dumps(content), encoding="utf-8")
    torch.save(result.state, folder / "state.pt")


def _command(folder: Path, arguments: argparse.Namespace, *, processes: int = 1) -> list[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return [
        sys.executable,
        *(launcher if processes > 1 else []),
        *("-m", "benchmarks.training", "--work", str(folder), "--model", arguments.model),
        *("--steps", str(arguments.steps), "--clips", str(arguments.clips)),
        *(part for option in arguments.option for part in ("--option", option)),
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
    parser.add_argument("--option", action="append", default=[], help="of training, as NAME=VALUE")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--resume", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(given)
    if arguments.work is not None:
        work(arguments)
        return 0
    # Drawn once, by all cores.
    task_of(arguments.model, arguments.clips)
    with tempfile.TemporaryDirectory() as temporary:
        folders = {name: Path(temporary) / name for name in ("whole", "killed", "two")}
        for folder in folders.values():
            folder.mkdir()
        subprocess.run(_command(folders["whole"], arguments), check=True)
        killed = _command(folders["killed"], arguments)
        step = kill_in_the_middle(folders["killed"], killed, arguments.steps)
        subprocess.run([*killed, "--resume"], check=True)
        subprocess.run(_command(folders["two"], arguments, processes=2), check=True)
        (whole, state), (resumed, other), (two, _) = map(_found, folders.values())
    same = whole == resumed and all(torch.equal(state[name], other[name]) for name in state)
    print(
        f"killed, resumed from step {step} of {arguments.steps}: losses, figures and weights are "
        f"{'identical' if same else 'NOT identical'} to those of a run in one piece"
    )
    worst = max(abs(a - b) for a, b in zip(whole["losses"], two["losses"], strict=True))
    print(f"two gloo processes against one, {len(two['losses'])} steps: losses differ by {worst:.1e} at most")
    return 0 if same and worst <= 1e-4 else 1


if __name__ == "__main__":
    sys.exit(main())
