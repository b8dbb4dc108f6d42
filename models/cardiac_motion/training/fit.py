"""One training loop for all models of the project."""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from cardiac_motion.errors import Cancelled, CardiacMotionError, InputError
from cardiac_motion.progress import Progress, silent
from cardiac_motion.training.checkpoint import Checkpoint, Course, prepare_folder
from cardiac_motion.training.distributed import World
from cardiac_motion.training.options import FitOptions
from cardiac_motion.training.randomness import own_randomness, seed_step
from cardiac_motion.training.task import Batch, TrainingTask

with warnings.catch_warnings():
    # torch.distributed.optim, which ignite imports, scripts functions while it is imported.
    warnings.filterwarnings("ignore", message=".*torch.jit", category=DeprecationWarning)
    from ignite.engine import Engine, Events
    from torch.utils.tensorboard import SummaryWriter

Reason = Literal["steps", "minutes", "patience"]
_Parts = dict[int, Batch]
"""Parts of a batch by their number."""

_log = logging.getLogger(f"{__name__}.engine")
# Errors are raised; the engine would print them as well.
_log.setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class FitResult:
    """What a run has found.

    Attributes:
        state: the weights that are kept, by `FitOptions.keep`, on the CPU; of several processes the first alone
            has them and their scores.
        scores: of these weights, the score first.
        kept_step: after which they were.
        steps: made.
        reason: why it ended: steps or minutes used up, or no better score for too long.
        losses: of each step.
        validations: the step of each and its figures.
        seconds: of training, before resuming included.
    """

    state: dict[str, Tensor]
    scores: dict[str, float]
    kept_step: int
    steps: int
    reason: Reason
    losses: list[float]
    validations: list[tuple[int, dict[str, float]]]
    seconds: float


def fit(
    task: TrainingTask,
    folder: Path | str,
    *,
    options: FitOptions,
    resume: bool = False,
    device: torch.device | str | None = None,
    progress: Progress = silent,
    start_from: Mapping[str, Tensor] | None = None,
) -> FitResult:
    """Train a network; AdamW, warm-up and half a cosine (see `FitOptions`), gradients clipped.

    The weights with the best score are kept, unless `FitOptions.keep` says otherwise; those that it starts from
    count if they were given. Checkpoints are
    written at times, after each validation and when it is cancelled; a run that is killed resumes from the last.
    On a CPU a resumed run makes the same steps as an uninterrupted one, bit by bit, as long as the number of
    threads is the same and the clock decides nothing (`FitOptions.minutes`); on a GPU sums may have another order.

    The folder has ``checkpoint.pt`` and event files for TensorBoard: ``loss``, ``learning_rate``,
    ``gradient_norm`` and ``validation/…``.

    Args:
        task: what to train.
        folder: of this run alone; made if it is not there.
        options: how.
        resume: go on with the run in the folder.
        device: None for a GPU where there is one.
        progress: after every step, with the time left; may raise `Cancelled`.
        start_from: weights to begin with.

    Raises:
        InputError: a folder that cannot be used, holds another run, or none to resume; weights that do not fit.
        CardiacMotionError: the loss is no finite number; the last checkpoint is from before.
        Cancelled: from the progress callback; what was done can be resumed.
    """
    world = World.current()
    world.check_parts(options.parts)
    folder, device = Path(folder), training_device(device)
    found = None
    if world.is_first:
        prepare_folder(folder, resume=resume)
        if resume:
            found = Checkpoint.read(folder)
            found.check_fits(task.name, task.settings, options)
    found = world.of_first(found)
    with own_randomness():
        run = _Run(task, folder, options, device, world, progress)
        run.begin(found, start_from)
        return run.train()


class _Run:
    """The state of a run, and what is done at each event of its engine."""

    def __init__(
        self,
        task: TrainingTask,
        folder: Path,
        options: FitOptions,
        device: torch.device,
        world: World,
        progress: Progress,
    ) -> None:
        self.task, self.folder, self.options = task, folder, options
        self.device, self.world, self.progress = device, world, progress
        self.uses_amp = options.amp if options.amp is not None else device.type == "cuda"
        seed_step(options.seed, -1, 0)
        self.network = task.network().to(device)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.uses_amp)
        self.course = Course()
        self.reason: Reason | None = None
        self._start = time.perf_counter()
        self._rates: dict[str, float] = {}
        self._writer: SummaryWriter | None = None

    def begin(self, found: Checkpoint | None, start_from: Mapping[str, Tensor] | None) -> None:
        """From a checkpoint, from given weights, or from nothing."""
        if found is not None:
            self.network.load_state_dict(found.network)
            self.optimiser.load_state_dict(dict(found.optimiser))
            if found.scaler and self.uses_amp:
                self.scaler.load_state_dict(dict(found.scaler))
            self.course = found.course
        elif start_from is not None:
            _load(self.network, start_from)
        # After the weights are in their place: the processes take those of the first.
        self.loss = self.world.shared(_Loss(self.network, self.task), self.device)
        if found is None:
            if start_from is not None:
                self._validate()
            # Whatever cannot be written shows now rather than after the first hour.
            self._write()

    def train(self) -> FitResult:
        """All steps that are left."""
        self._start = time.perf_counter()
        trainer = Engine(self._update)
        trainer.logger = _log
        trainer.add_event_handler(Events.ITERATION_COMPLETED, self._after_step)
        trainer.load_state_dict(
            {"iteration": self.course.step, "epoch_length": self.options.steps, "max_epochs": 1}
        )
        if self.world.is_first:
            self._writer = SummaryWriter(str(self.folder), purge_step=self.course.step + 1)
        try:
            if self.course.step < self.options.steps and not self._is_over():
                trainer.run(self._batches())
            if self.world.of_first(not self._has_result()):
                # A run that was resumed when its time was up has made no step since its last checkpoint.
                self._validate()
                self._write()
        except Cancelled:
            self._write()
            raise
        finally:
            if self._writer is not None:
                self._writer.close()
        course = self.course
        state, scores, kept_step = course.best, course.best_scores, course.best_step
        if self.options.keep == "last" and self.world.is_first:
            state, (kept_step, scores) = self.network.state_dict(), course.validations[-1]
        return FitResult(
            state={name: value.detach().cpu().clone() for name, value in state.items()},
            scores=scores,
            kept_step=kept_step,
            steps=course.step,
            reason=self.reason or "steps",
            losses=list(course.losses),
            validations=list(course.validations),
            seconds=self._seconds(),
        )

    def _has_result(self) -> bool:
        """Whether what is kept has been validated."""
        course = self.course
        if self.options.keep == "best":
            return bool(course.best)
        return bool(course.validations) and course.validations[-1][0] == course.step

    def _batches(self) -> DataLoader[_Parts]:
        """What this process has of the batches of the steps that are left."""
        steps = range(self.course.step, self.options.steps)
        workers = self.options.workers
        return DataLoader(
            _Batches(self.task, self.options, self.world),
            batch_size=None,
            sampler=steps,
            num_workers=workers,
            # Its own, since a loader draws a seed for its workers.
            generator=torch.Generator(),
            multiprocessing_context="spawn" if workers else None,
            pin_memory=self.device.type == "cuda",
        )

    def _update(self, _engine: Engine, parts: _Parts) -> float:
        """One step; the loss, a mean over all parts of the batch."""
        step, options = self.course.step, self.options
        rate = options.learning_rate_at(step, self._share())
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.network.train()
        self.optimiser.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        for number, part in parts.items():
            seed_step(options.seed, step, number)
            is_last = number + self.world.size >= options.parts
            with nullcontext() if is_last else self.world.unshared(self.loss):
                total += self._add_gradients(part, len(parts))
        mean = float(self.world.mean(total))
        if not math.isfinite(mean):
            raise CardiacMotionError(self._not_finite(f"the loss is {mean}"))
        self.scaler.unscale_(self.optimiser)
        norm = float(nn.utils.clip_grad_norm_(self.network.parameters(), options.clip_norm))
        if not self.uses_amp and not math.isfinite(norm):
            raise CardiacMotionError(self._not_finite(f"the norm of the gradient is {norm}"))
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self._rates = {"loss": mean, "learning_rate": rate, "gradient_norm": norm}
        return mean

    def _add_gradients(self, part: Batch, parts: int) -> Tensor:
        """Add the gradients of a part of a batch, one of so many; what it adds to the loss."""
        part = tuple(each.to(self.device, non_blocking=True) for each in part)
        with torch.autocast(self.device.type, dtype=torch.float16, enabled=self.uses_amp):
            loss = self.loss(*part) / parts
        self.scaler.scale(loss).backward()
        return loss.detach()

    def _not_finite(self, what: str) -> str:
        return (
            f"training of {self.task.name} stopped at step {self.course.step + 1}: {what}; expected a finite "
            f"number. The last checkpoint in {self.folder} is from before; a smaller learning rate may help"
        )

    def _after_step(self, engine: Engine) -> None:
        course, options = self.course, self.options
        course.step += 1
        course.losses.append(self._rates["loss"])
        self._record(self._rates)
        over = self._is_over()
        is_due = course.step % options.validate_every == 0
        if is_due or over:
            self._validate()
            over = self._is_over()
        if is_due or over or course.step % options.checkpoint_every == 0:
            self._write()
        if self.world.is_first:
            self.progress(*self._message())
        if over:
            engine.terminate()

    def _is_over(self) -> bool:
        """Whether the run has ended, which the first process decides for all."""
        options, course = self.options, self.course
        reason: Reason | None = None
        if course.step >= options.steps:
            reason = "steps"
        elif options.minutes is not None and self._seconds() >= 60 * options.minutes:
            reason = "minutes"
        elif options.patience is not None and course.stale >= options.patience:
            reason = "patience"
        is_clock_asked = options.minutes is not None or options.patience is not None
        self.reason = self.world.of_first(reason) if is_clock_asked else reason
        return self.reason is not None

    def _validate(self) -> None:
        """Score the weights as they are, in the first process, and keep them if they are the best."""
        if self.world.is_first:
            course = self.course
            self.network.eval()
            with torch.no_grad():
                scores = {name: float(value) for name, value in self.task.validate(self.network).items()}
            score = next(iter(scores.values()))
            best = next(iter(course.best_scores.values()), math.nan)
            course.validations.append((course.step, scores))
            # A score that is no number is no reason to end: the run may yet recover, and any other is better.
            if not course.best or score > best or (math.isnan(best) and not math.isnan(score)):
                course.best_step, course.stale = course.step, 0
                course.best = {
                    name: value.detach().cpu().clone() for name, value in self.network.state_dict().items()
                }
            else:
                course.stale += 1
            self._record({f"validation/{name}": value for name, value in scores.items()})
        self.world.wait()

    def _write(self) -> None:
        """A checkpoint, by the first process."""
        if not self.world.is_first:
            return
        broken = [name for name, value in self.network.state_dict().items() if not bool(value.isfinite().all())]
        if broken:
            raise CardiacMotionError(self._not_finite(f"not all weights are finite, {broken[0]} for one"))
        self.course.seconds = self._seconds()
        self._start = time.perf_counter()
        Checkpoint(
            task=self.task.name,
            settings=self.task.settings,
            options=self.options,
            course=self.course,
            network=self.network.state_dict(),
            optimiser=self.optimiser.state_dict(),
            scaler=self.scaler.state_dict(),
        ).write(self.folder)

    def _record(self, values: Mapping[str, float]) -> None:
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, self.course.step)

    def _seconds(self) -> float:
        """Of training, before resuming included."""
        return self.course.seconds + time.perf_counter() - self._start

    def _share(self) -> float:
        """How much of the run is used up, by steps or by the clock of the first process."""
        share = self.course.step / self.options.steps
        if self.options.minutes is None:
            return share
        return self.world.of_first(max(share, self._seconds() / (60 * self.options.minutes)))

    def _message(self) -> tuple[float, str]:
        """How much is done, and a line that says how long it will take."""
        course, options = self.course, self.options
        spent = self._seconds()
        left = spent / course.step * (options.steps - course.step)
        share = course.step / options.steps
        if options.minutes is not None:
            share = max(share, spent / (60 * options.minutes))
            left = min(left, 60 * options.minutes - spent)
        loss = float(np.mean(course.losses[-20:]))
        text = f"step {course.step} of {options.steps}, loss {loss:.4f}, {_duration(left)} left"
        return min(1.0, share), text


class _Loss(nn.Module):
    """Network and loss as one module, so that the processes' hooks see the whole of it."""

    def __init__(self, network: nn.Module, task: TrainingTask) -> None:
        super().__init__()
        self.network, self.task = network, task

    def forward(self, *batch: Tensor) -> Tensor:
        return self.task.loss(self.network, batch)


class _Batches(Dataset[_Parts]):
    """The parts of each step's batch that are for this process."""

    def __init__(self, task: TrainingTask, options: FitOptions, world: World) -> None:
        self.task, self.options, self.world = task, options, world

    def __getitem__(self, step: int) -> _Parts:
        batch, parts = self.task.batch(step, self.options.batch), self.options.parts
        return {number: tuple(each[number::parts] for each in batch) for number in self.world.share(parts)}


def _load(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put weights into a network.

    Raises:
        InputError: says what is missing, not known or of another shape.
    """
    own = network.state_dict()
    wrong = [f"no {name}" for name in own if name not in state]
    wrong += [f"{name} is not known" for name in state if name not in own]
    wrong += [
        f"{name} is {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise InputError(f"the weights to start from are of another network: {'; '.join(wrong[:3])}{more}")
    network.load_state_dict(state)


def training_device(device: torch.device | str | None) -> torch.device:
    """The device that is asked for; by default a GPU where there is one.

    Raises:
        InputError: no such device.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"expected a device such as cpu or cuda, got {device}: {error}") from error


def _duration(seconds: float) -> str:
    seconds = max(0, round(seconds))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
