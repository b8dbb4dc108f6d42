"""The loop: it learns, it ends when it should, it keeps the best, and it refuses what it cannot do."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from cardiac_motion.errors import Cancelled, CardiacMotionError, InputError
from cardiac_motion.training.checkpoint import Checkpoint
from cardiac_motion.training.fit import fit
from cardiac_motion.training.recipes.segmentation import SegmentationTask
from cardiac_motion.training.task import Batch, TrainingTask
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn


def test_it_learns_and_writes_what_tensorboard_reads(make_task: Any, tmp_path: Path) -> None:
    task = make_task()
    as_protocol: TrainingTask = task
    assert isinstance(as_protocol, TrainingTask)
    options = replace(task.recipe.fit, steps=90, validate_every=30, learning_rate=1e-2)
    result = fit(task, tmp_path / "run", options=options)
    assert (result.steps, result.reason, len(result.losses)) == (90, "steps", 90)
    assert sum(result.losses[-10:]) < 0.6 * sum(result.losses[:10])
    assert result.scores["dice"] > 0.6
    assert [step for step, _ in result.validations] == [30, 60, 90]
    assert result.scores["dice"] == max(scores["dice"] for _, scores in result.validations)
    events = EventAccumulator(str(tmp_path / "run")).Reload()
    assert [e.step for e in events.Scalars("loss")] == list(range(1, 91))
    assert [e.value for e in events.Scalars("loss")] == pytest.approx(result.losses, abs=1e-6)
    assert [e.value for e in events.Scalars("validation/dice")] == pytest.approx(
        [scores["dice"] for _, scores in result.validations], abs=1e-6
    )
    # What is given back scores as it says.
    network = task.network()
    network.load_state_dict(result.state)
    assert task.validate(network.eval()) == result.scores


@pytest.mark.parametrize("amp", [False, True])
def test_a_cancelled_run_resumes_as_if_nothing_had_been(make_task: Any, tmp_path: Path, *, amp: bool) -> None:
    task = make_task()  # with dropout
    options = replace(task.recipe.fit, amp=amp)
    whole = fit(task, tmp_path / "whole", options=options)

    def stop(fraction: float, message: str) -> None:
        assert "left" in message
        if fraction >= 5 / 8:
            raise Cancelled

    torch.manual_seed(7)
    with pytest.raises(Cancelled):
        fit(task, tmp_path / "parts", options=options, progress=stop)
    parts = fit(make_task(), tmp_path / "parts", options=options, resume=True)
    assert parts.losses == whole.losses
    assert parts.validations == whole.validations
    assert parts.kept_step == whole.kept_step
    assert all(torch.equal(parts.state[name], whole.state[name]) for name in whole.state)
    ends = [Checkpoint.read(tmp_path / name) for name in ("whole", "parts")]
    assert all(torch.equal(ends[0].network[name], ends[1].network[name]) for name in ends[0].network)
    assert ends[0].scaler == ends[1].scaler
    assert bool(ends[0].scaler) == amp


def test_a_run_killed_between_checkpoints_goes_back_to_the_last(
    make_task: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task()
    whole = fit(task, tmp_path / "whole", options=task.recipe.fit)

    class Killed(BaseException):
        """Nothing of the program's own sees this coming."""

    original, made = SegmentationTask.loss, []

    def loss(self: SegmentationTask, network: nn.Module, batch: Batch) -> Tensor:
        made.append(1)
        if len(made) == 8 * task.recipe.fit.parts:
            raise Killed
        return original(self, network, batch)

    monkeypatch.setattr(SegmentationTask, "loss", loss)
    with pytest.raises(Killed):
        fit(task, tmp_path / "parts", options=task.recipe.fit)
    assert Checkpoint.read(tmp_path / "parts").course.step == 6
    # Event files are read in the order of their names, which have the second in them.
    time.sleep(1.0)
    parts = fit(task, tmp_path / "parts", options=task.recipe.fit, resume=True)
    assert parts.losses == whole.losses
    assert all(torch.equal(parts.state[name], whole.state[name]) for name in whole.state)
    events = EventAccumulator(str(tmp_path / "parts")).Reload()
    assert [e.step for e in events.Scalars("loss")] == list(range(1, 9))
    # A run that is over gives its result again.
    again = fit(task, tmp_path / "parts", options=task.recipe.fit, resume=True)
    assert again.losses == whole.losses
    assert again.scores == whole.scores


def test_batches_made_ahead_by_processes_are_the_same(make_task: Any, tmp_path: Path) -> None:
    task = make_task()
    options = replace(task.recipe.fit, steps=3)
    one = fit(task, tmp_path / "one", options=options)
    ahead = fit(task, tmp_path / "ahead", options=replace(options, workers=1))
    assert ahead.losses == one.losses


@pytest.mark.parametrize("amp", [False, True])
def test_gradients_are_clipped_at_their_true_size(
    make_task: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, amp: bool
) -> None:
    original, used = torch.optim.AdamW.step, []

    def step(self: torch.optim.AdamW, *arguments: Any) -> Any:
        gradients = [p.grad for group in self.param_groups for p in group["params"]]
        used.append(float(torch.cat([g.flatten() for g in gradients]).norm()))
        return original(self, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    task = make_task()
    fit(task, tmp_path / "run", options=replace(task.recipe.fit, amp=amp, clip_norm=0.01))
    events = EventAccumulator(str(tmp_path / "run")).Reload()
    before = [e.value for e in events.Scalars("gradient_norm")]
    assert len(used) == len(before)
    assert used == pytest.approx([0.01] * len(used), rel=1e-3)
    # Those of a scaled loss are thousands of times as large.
    assert all(0.01 < norm < 100 for norm in before)


def test_other_seeds_give_other_runs_and_the_caller_keeps_its_own(make_task: Any, tmp_path: Path) -> None:
    task = make_task()
    options = replace(task.recipe.fit, steps=2)
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    one = fit(task, tmp_path / "one", options=options)
    assert torch.equal(torch.random.get_rng_state(), before)
    other = fit(task, tmp_path / "other", options=replace(options, seed=1))
    third = fit(make_task(seed=1), tmp_path / "third", options=options)
    assert len({tuple(result.losses) for result in (one, other, third)}) == 3


class _Scripted(SegmentationTask):
    """Validation gives the scores of a list, and losses turn to NaN in the second part of a step's batch."""

    scores: list[float]
    nan_at: int = -1
    made: int = 0

    def validate(self, network: nn.Module) -> dict[str, float]:
        assert not network.training
        return {"score": self.scores.pop(0)}

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        assert network.training
        self.made += 1
        return super().loss(network, batch) * (math.nan if self.made == self.nan_at * self.recipe.fit.parts else 1)


def _scripted(task: SegmentationTask, scores: list[float], nan_at: int = -1) -> _Scripted:
    made = _Scripted(task.recipe, training=task.training, validation=task.validation)
    made.scores, made.nan_at = scores, nan_at
    return made


def test_it_stops_when_nothing_gets_better_and_keeps_the_best(make_task: Any, tmp_path: Path) -> None:
    task = _scripted(make_task(), [0.2, math.nan, 0.5, 0.5, 0.4, 0.6])
    options = replace(task.recipe.fit, steps=50, validate_every=1, patience=2)
    result = fit(task, tmp_path / "run", options=options)
    assert (result.reason, result.steps, result.kept_step) == ("patience", 5, 3)
    assert result.scores == {"score": 0.5}
    assert not torch.equal(
        result.state["heads.0.weight"], Checkpoint.read(tmp_path / "run").network["heads.0.weight"]
    )


def test_the_last_weights_are_kept_if_asked_for(make_task: Any, tmp_path: Path) -> None:
    task = _scripted(make_task(), [0.5, 0.3])
    options = replace(task.recipe.fit, steps=2, validate_every=1, keep="last")
    result = fit(task, tmp_path / "run", options=options)
    assert (result.kept_step, result.scores) == (2, {"score": 0.3})
    last = Checkpoint.read(tmp_path / "run").network
    assert all(torch.equal(result.state[name], last[name]) for name in last)
    # A run that has ended gives the others, too.
    best = fit(task, tmp_path / "run", options=replace(options, keep="best"), resume=True)
    assert (best.kept_step, best.scores) == (1, {"score": 0.5})
    assert not all(torch.equal(best.state[name], last[name]) for name in last)


@pytest.mark.parametrize("keep", ["best", "last"])
def test_a_resumed_run_that_is_over_at_once_has_weights_and_their_score(
    make_task: Any, tmp_path: Path, keep: Any
) -> None:
    task = _scripted(make_task(), [0.4])
    options = replace(task.recipe.fit, steps=50, validate_every=50, checkpoint_every=3, keep=keep)

    def stop(_fraction: float, message: str) -> None:
        if message.startswith("step 3 "):
            raise Cancelled

    with pytest.raises(Cancelled):
        fit(task, tmp_path / "run", options=options, progress=stop)
    result = fit(task, tmp_path / "run", options=replace(options, minutes=1e-9), resume=True)
    assert (result.reason, result.kept_step, result.scores) == ("minutes", 3, {"score": 0.4})
    assert result.state
    assert Checkpoint.read(tmp_path / "run").course.best_step == 3


@pytest.mark.parametrize("scores", [[math.nan, 0.5, 0.9, 0.95], [math.nan, math.nan, 0.1, 0.2]])
def test_any_score_is_better_than_one_that_is_no_number(
    make_task: Any, tmp_path: Path, scores: list[float]
) -> None:
    task = _scripted(make_task(), list(scores))
    result = fit(task, tmp_path / "run", options=replace(task.recipe.fit, steps=4, validate_every=1, patience=3))
    assert (result.kept_step, result.scores) == (4, {"score": scores[-1]})


def test_a_loss_that_is_no_number_is_one_error_and_the_last_checkpoint_stays(
    make_task: Any, tmp_path: Path
) -> None:
    task = _scripted(make_task(), [0.1], nan_at=7)
    with pytest.raises(CardiacMotionError, match=r"step 7: the loss is nan.*last checkpoint"):
        fit(task, tmp_path / "run", options=task.recipe.fit)
    kept = Checkpoint.read(tmp_path / "run")
    assert kept.course.step == 6
    assert all(bool(value.isfinite().all()) for value in kept.network.values())


def test_minutes_end_the_run_as_its_steps_would(
    make_task: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 1.0
        return now[0]

    monkeypatch.setattr("cardiac_motion.training.fit.time.perf_counter", clock)
    task = make_task()
    options = replace(task.recipe.fit, steps=100_000, minutes=1.0, warmup=0)
    result = fit(task, tmp_path / "run", options=options)
    assert result.reason == "minutes"
    assert result.steps < 40
    assert result.validations[-1][0] == result.steps
    events = EventAccumulator(str(tmp_path / "run")).Reload()
    rates = [e.value for e in events.Scalars("learning_rate")]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.05 * options.learning_rate


def test_it_starts_from_weights_and_never_gives_worse_ones(make_task: Any, tmp_path: Path) -> None:
    task = make_task()
    start = fit(task, tmp_path / "first", options=replace(task.recipe.fit, steps=40, learning_rate=1e-2)).state
    task = _scripted(task, [0.9, 0.3])
    options = replace(task.recipe.fit, steps=2)
    result = fit(task, tmp_path / "second", options=options, start_from=start)
    assert result.kept_step == 0
    assert all(torch.equal(result.state[name], start[name]) for name in start)
    assert result.validations == [(0, {"score": 0.9}), (2, {"score": 0.3})]
    with pytest.raises(InputError, match=r"another network: no heads\.0\.bias"):
        fit(
            task,
            tmp_path / "third",
            options=options,
            start_from={k: v for k, v in start.items() if k != "heads.0.bias"},
        )


def _damage(folder: Path) -> None:
    path = folder / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:500])


def _other_format(folder: Path) -> None:
    torch.save({"format": 99}, folder / "checkpoint.pt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "no checkpoint.pt"),
        (_damage, "cannot be read"),
        (_other_format, "format 2 .* got format 99"),
    ],
)
def test_a_folder_without_a_run_to_resume_is_refused(
    make_task: Any, tmp_path: Path, change: Any, message: str
) -> None:
    task = make_task()
    options = replace(task.recipe.fit, steps=1)
    (tmp_path / "run").mkdir()
    if change is not None:
        fit(task, tmp_path / "run", options=options)
        change(tmp_path / "run")
    with pytest.raises(InputError, match=message):
        fit(task, tmp_path / "run", options=options, resume=True)


def test_a_folder_that_cannot_be_used_is_refused_before_the_first_step(make_task: Any, tmp_path: Path) -> None:
    task = _scripted(make_task(), [])
    options = task.recipe.fit
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="got the file"):
        fit(task, tmp_path / "file", options=options)
    with pytest.raises(InputError, match="cannot make or write the folder"):
        fit(task, tmp_path / "file" / "run", options=options)
    (tmp_path / "odd" / "checkpoint.pt").mkdir(parents=True)
    with pytest.raises(InputError, match="holds a run already"):
        fit(task, tmp_path / "odd", options=options)
    assert task.made == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"steps": 9}, r"steps 8 \(now 9\)"), ({"batch": 8, "seed": 2}, r"batch 4 \(now 8\), seed 0 \(now 2\)")],
)
def test_another_run_is_not_resumed(
    make_task: Any, tmp_path: Path, changes: Mapping[str, Any], message: str
) -> None:
    task = make_task()

    def stop(_fraction: float, _message: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        fit(task, tmp_path / "run", options=task.recipe.fit, progress=stop)
    with pytest.raises(InputError, match="holds a run already"):
        fit(task, tmp_path / "run", options=task.recipe.fit)
    with pytest.raises(InputError, match=message):
        fit(task, tmp_path / "run", options=replace(task.recipe.fit, **changes), resume=True)
    with pytest.raises(InputError, match="config differ"):
        fit(make_task(dropout=0.5), tmp_path / "run", options=task.recipe.fit, resume=True)
    # Others may change: how often it is written, and how long it may take.
    allowed = replace(task.recipe.fit, checkpoint_every=1, minutes=60.0)
    assert fit(task, tmp_path / "run", options=allowed, resume=True).steps == 8


def test_the_mean_over_parts_is_that_of_the_batch(make_task: Any, tmp_path: Path) -> None:
    task = make_task(dropout=0.0)
    options = replace(task.recipe.fit, batch=6, steps=4)
    whole = fit(task, tmp_path / "whole", options=replace(options, parts=1))
    for parts in (2, 3, 6):
        found = fit(task, tmp_path / str(parts), options=replace(options, parts=parts))
        assert found.losses == pytest.approx(whole.losses, abs=2e-4)
