"""Whether a run that was killed ends as one that was not, and whether two processes train as one does.

    python -m benchmarks.training [--steps 24] [--clips 128]

The recipe of `unet` as it stands, on few synthetic clips. A process that trains is killed (SIGKILL) once it has
written a checkpoint in the middle, and resumed by another; losses, figures and weights are compared bit by bit
with those of a run in one piece. Then two processes, started by torchrun, train through gloo with the same global
batches as one process, without dropout, which draws in each process for itself; the largest difference of their
losses is given. Single precision rounds sums over half a batch otherwise than over a whole one, and training lets
such differences grow, in one process that adds the halves up just as in two; double precision shows that nothing
else differs, and is what the verdict goes by.
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
from copy import deepcopy
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
from cardiac_motion.training.task import Batch
from torch import nn

CHECKPOINT_EVERY = 5


class DoubleTask(SegmentationTask):
    """A segmentation task in double precision, but for the loss itself."""

    def network(self) -> nn.Module:
        """As in single precision, its weights with more digits."""
        return super().network().double()

    def batch(self, index: int, size: int) -> Batch:
        """As in single precision."""
        images, *others = super().batch(index, size)
        return (images.double(), *others)

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Of the weights in single precision, which the samples to validate on are in."""
        return super().validate(deepcopy(network).float())


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
        validate_every=steps // 2,
        checkpoint_every=CHECKPOINT_EVERY,
    )


def work(folder: Path, model: str, steps: int, clips: int, *, kind: str, resume: bool) -> None:
    """What each process of this benchmark does."""
    task = task_of(model, clips, dropout=kind == "dropout")
    if kind == "double":
        task = DoubleTask(task.recipe, training=task.training, validation=task.validation, seed=task.seed)
    with process_group() as device:
        result = fit(task, folder / "run", options=options_of(task, steps), resume=resume, device=device or "cpu")
        if World.current().is_first:
            _keep(folder, result)


def _keep(folder: Path, result: FitResult) -> None:
    content = {"losses": result.losses, "validations": result.validations, "kept_step": result.kept_step}
    (folder / "result.json").write_text(json.dumps(content), encoding="utf-8")
    torch.save(result.state, folder / "state.pt")


def _command(folder: Path, arguments: argparse.Namespace, *, processes: int, kind: str) -> list[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return [
        sys.executable,
        *(launcher if processes > 1 else []),
        *("-m", "benchmarks.training", "--work", str(folder), "--model", arguments.model),
        *("--steps", str(arguments.steps), "--clips", str(arguments.clips)),
        *("--kind", kind),
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
    parser.add_argument("--kind", choices=("dropout", "single", "double"), help=argparse.SUPPRESS)
    parser.add_argument("--resume", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(given)
    if arguments.work is not None:
        of_process = (arguments.work, arguments.model, arguments.steps, arguments.clips)
        work(*of_process, kind=arguments.kind, resume=arguments.resume)
        return 0
    task_of(arguments.model, arguments.clips, dropout=True)
    with tempfile.TemporaryDirectory() as temporary:
        folders = {name: Path(temporary) / name for name in ("whole", "killed")}
        for folder in folders.values():
            folder.mkdir()
        subprocess.run(_command(folders["whole"], arguments, processes=1, kind="dropout"), check=True)
        killed = _command(folders["killed"], arguments, processes=1, kind="dropout")
        step = kill_in_the_middle(folders["killed"], killed, arguments.steps)
        subprocess.run([*killed, "--resume"], check=True)
        (whole, state), (resumed, other) = _found(folders["whole"]), _found(folders["killed"])
        same = whole == resumed and all(torch.equal(state[name], other[name]) for name in state)
        print(
            f"killed, resumed from step {step} of {arguments.steps}: losses, figures and weights are "
            f"{'identical' if same else 'NOT identical'} to those of a run in one piece"
        )
        worst = {}
        for kind in ("single", "double"):
            losses = []
            for processes in (1, 2):
                folder = Path(temporary) / f"{kind} {processes}"
                folder.mkdir()
                subprocess.run(_command(folder, arguments, processes=processes, kind=kind), check=True)
                losses.append(_found(folder)[0]["losses"])
            differences = [abs(a - b) for a, b in zip(*losses, strict=True)]
            worst[kind] = max(differences)
            print(
                f"two gloo processes against one, {kind} precision, {len(differences)} steps: losses differ by "
                f"{worst[kind]:.1e} at most, {max(differences[:10]):.1e} in the first 10"
            )
    return 0 if same and worst["double"] <= 1e-4 else 1


if __name__ == "__main__":
    sys.exit(main())
