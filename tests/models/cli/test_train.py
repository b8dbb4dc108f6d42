"""`cardiac-motion train` with a tiny recipe: to weights, on to a data set, and on after Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from cardiac_motion import train
from cardiac_motion.cli import main
from cardiac_motion.io import write_cine, write_labels
from cardiac_motion.phantom import TEST_SEEDS, AppearanceOptions, PhantomOptions, make_study
from cardiac_motion.training import registry
from cardiac_motion.training.pool import ClipArguments
from cardiac_motion.training.recipes.segmentation import SegmentationRecipe, SegmentationTask
from cardiac_motion.weights import build_network, load_weights, save_weights
from torch import nn

from tests.models.training.conftest import free_port, tiny_recipe


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> SegmentationRecipe:
    """The recipe of `unet` made tiny, its clips drawn."""
    recipe = tiny_recipe()
    recipe = replace(
        recipe, training=replace(recipe.training, shard=2), validation=replace(recipe.validation, shard=2)
    )
    monkeypatch.setitem(registry._RECIPES, "unet", recipe)
    for pool in (recipe.training.pool(), recipe.validation.pool()):
        pool.make(workers=0)
    return recipe


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three patients, of whom one frame is labelled."""
    folder = tmp_path_factory.mktemp("data")
    for number, seed in enumerate(TEST_SEEDS[:3]):
        options = PhantomOptions(
            frames=4,
            slices=1,
            matrix=(48, 48),
            pixel_spacing=4.0,
            motion_truth=False,
            appearance=AppearanceOptions.clean(),
        )
        study = make_study(seed, options)
        write_cine(folder / f"p{number}.nii.gz", study.cine)
        write_labels(folder / f"p{number}_labels.nii.gz", study.labels, study.cine)
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["train", *(str(a) for a in arguments)])
    captured = capsys.readouterr()
    assert isinstance(stop.value.code, int)
    return stop.value.code, captured.out, captured.err


@pytest.mark.usefixtures("tiny")
def test_from_nothing_to_weights_and_on_to_a_data_set(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, data: Path
) -> None:
    code, out, err = run(capsys, "unet", "-o", tmp_path / "runs" / "first", "--json", "--option", "batch=2")
    assert (code, err) == (0, "")
    first = json.loads(out)
    assert (first["steps"], first["reason"], first["model"]) == (8, "steps", "unet")
    weights = load_weights(first["weights"])
    assert weights.checksum == first["sha256"]
    card = Path(first["card"]).read_text(encoding="utf-8")
    assert "Trained from nothing" in card
    assert "4 synthetic clips" in card
    assert "batch 2" in card
    assert "batches of" not in card
    assert "## Failures\n\nNobody has looked for any yet." in card
    assert f"| dice | {first['scores']['dice']:.3f} |" in card

    code, out, err = run(
        capsys,
        "unet",
        "-o",
        tmp_path / "second",
        "--data",
        data,
        "--from",
        first["weights"],
        "--steps",
        4,
        "--seed",
        3,
    )
    assert (code, err) == (0, "")
    assert "unet: 4 steps" in out
    card = (tmp_path / "second" / "unet.md").read_text(encoding="utf-8")
    assert f"Training went on from unet.pt (SHA-256 {first['sha256'][:12]}" in card
    assert "12 labelled slices of 3 patients; validated on the same slices" in card
    assert load_weights(tmp_path / "second" / "unet.pt").config == weights.config


@pytest.mark.usefixtures("tiny")
def test_after_ctrl_c_it_goes_on_to_the_same_weights(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ("--data", data, "--from", "nothing", "--option", "checkpoint_every=2")
    _, out, _ = run(capsys, "unet", "-o", tmp_path / "whole", *given, "--json")
    original, made = SegmentationTask.loss, []

    def loss(self: SegmentationTask, network: nn.Module, batch: Any) -> Any:
        made.append(1)
        if len(made) == 6:
            raise KeyboardInterrupt
        return original(self, network, batch)

    monkeypatch.setattr(SegmentationTask, "loss", loss)
    code, stopped, err = run(capsys, "unet", "-o", tmp_path / "parts", *given)
    assert (code, stopped) == (130, "")
    assert "interrupted" in err
    assert not (tmp_path / "parts" / "unet.pt").exists()
    code, resumed, err = run(capsys, "unet", "-o", tmp_path / "parts", "--data", data, "--resume", "--json")
    assert (code, err) == (0, "")
    assert json.loads(resumed)["sha256"] == json.loads(out)["sha256"]


def test_it_trains_itself_on_what_it_finds(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    data: Path,
    tiny: SegmentationRecipe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    larger = replace(tiny.training, arguments=ClipArguments(size=48))
    monkeypatch.setitem(registry._RECIPES, "unet", replace(tiny, training=larger))
    # By the weights that are shipped, which find these clean hearts.
    code, out, err = run(capsys, "unet", "-o", tmp_path / "run", "--unlabelled", data, "--steps", 2, "--json")
    assert (code, err) == (0, "")
    card = Path(json.loads(out)["card"]).read_text(encoding="utf-8")
    kept, looked_at = map(int, re.findall(r"Trained on (\d+) slices of 3 cines .* out of (\d+)", card)[0])
    assert looked_at == 12
    assert 3 <= kept <= 12
    assert "a score that nothing can be concluded from" in card
    code, out, err = run(
        capsys, "unet", "-o", tmp_path / "run", "--unlabelled", data, "--resume", "--json", "--option", "minutes=9"
    )
    assert (code, err, json.loads(out)["steps"]) == (0, "", 2)
    # Beside labelled cases, which alone are then validated on.
    both = ("--unlabelled", data, "--data", data, "--steps", 2, "--json")
    code, out, err = run(capsys, "unet", "-o", tmp_path / "both", *both)
    assert (code, err) == (0, "")
    card = Path(json.loads(out)["card"]).read_text(encoding="utf-8")
    assert "12 labelled slices of 3 patients" in card
    assert f"Trained on {kept} slices of 3 cines" in card
    assert "concluded" not in card


def test_a_resumed_run_has_the_clips_and_the_weights_it_has(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, tiny: SegmentationRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ("unet", "-o", tmp_path / "run")
    assert run(capsys, *where, "--clips", 2, "--steps", 2)[0] == 0

    def draw(*_: object) -> None:
        raise AssertionError("clips of another run were drawn")

    monkeypatch.setattr("cardiac_motion.training.pool._draw_shard", draw)
    code, out, err = run(capsys, *where, "--resume", "--json")
    assert (code, err) == (0, "")
    assert "2 synthetic clips" in Path(json.loads(out)["card"]).read_text(encoding="utf-8")
    code, out, err = run(capsys, *where, "--resume", "--clips", 64)
    assert (code, out) == (2, "")
    assert "expected the settings that the run was started with, samples differ: samples was" in err
    code, out, err = run(capsys, *where, "--resume", "--from", "gone.pt")
    assert (code, out) == (2, "")
    assert "goes on from its own weights, expected none to start from" in err


def test_two_processes_that_torchrun_starts_train_one_network(tmp_path: Path, data: Path) -> None:
    """The recipe as it is: a process of its own knows no tiny one."""
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc_per_node",
        "2",
        "--master_addr",
        "127.0.0.1",
    ]
    command += ["--master_port", str(free_port()), "-m", "cardiac_motion.train", "unet", "--json"]
    command += ["--data", str(data), "--from", "nothing", "--steps", "2", "--option", "batch=2", "-o", "run"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["steps"], told["reason"]) == (2, "steps")
    weights = load_weights(tmp_path / told["weights"])
    assert weights.checksum == told["sha256"]
    build_network(weights.network, weights.config).load_state_dict(dict(weights.state))
    assert "2 steps" in (tmp_path / told["card"]).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("model", "smaller", "config"),
    [
        ("deunet", "deunet_td", {"width": 4, "levels": 3}),
        ("deunet_early", "deunet_td", {"width": 4, "levels": 3}),
        ("unet_lax", "unet", {"width": 4, "levels": 3}),
        ("unet_views", "unet", {"width": 4, "levels": 3}),
    ],
)
def test_a_network_begins_as_a_smaller_one(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    data: Path,
    model: str,
    smaller: str,
    config: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Long-axis recipes read long-axis cases; the ones here stand for them.
    sees = replace(registry.recipe(model).training, arguments=ClipArguments(frames=3, step=0.04, views=("sax",)))
    monkeypatch.setitem(registry._RECIPES, model, replace(registry.recipe(model), training=sees))
    start = registry.recipe(smaller)
    small = {**start.config, **config}
    state = build_network(start.network, small).state_dict()
    checksum = save_weights(tmp_path / "small.pt", state, model=smaller, network=start.network, config=small)
    given = ("--data", data, "--from", tmp_path / "small.pt", "--steps", 1, "--option", "batch=2", "--json")
    code, out, err = run(capsys, model, "-o", tmp_path / "run", *given)
    assert (code, err) == (0, "")
    made = load_weights(json.loads(out)["weights"])
    assert made.config == {**registry.recipe(model).config, **config}
    assert f"Training went on from small.pt (SHA-256 {checksum[:12]}" in Path(json.loads(out)["card"]).read_text(
        encoding="utf-8"
    )


@pytest.mark.usefixtures("tiny")
def test_the_mean_of_weights_has_a_card_of_both(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    def average(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(["average-weights", *(str(a) for a in arguments)])
        captured = capsys.readouterr()
        assert isinstance(stop.value.code, int)
        return stop.value.code, captured.out, captured.err

    for name, seed in (("a", 0), ("b", 1)):
        options = ("--steps", 2, "--option", "batch=2", "--option", "warmup=0", "--seed", seed, "--json")
        assert run(capsys, "unet", "-o", tmp_path / name, *options)[0] == 0
    files = [tmp_path / name / "unet.pt" for name in ("a", "b")]
    code, out, err = average(*files, "-o", tmp_path / "mean" / "unet.pt", "--json")
    assert (code, err) == (0, "")
    first, second, mean = (load_weights(each) for each in (*files, tmp_path / "mean" / "unet.pt"))
    assert json.loads(out)["sha256"] == mean.checksum
    for name, value in mean.state.items():
        torch.testing.assert_close(value, (first.state[name] + second.state[name]) / 2, atol=2e-3, rtol=2e-3)
    card = (tmp_path / "mean" / "unet.md").read_text(encoding="utf-8")
    assert "The mean of 2 networks' weights" in card
    assert first.checksum[:12] in card
    assert second.checksum[:12] in card
    assert card.count("Trained from nothing") == 2
    assert "seed 1" in card

    for given, message in (
        ((files[0],), "expected weights of two networks or more, got 1"),
        ((files[0], _of_another_network(tmp_path)), "expected weights of one model with the same arguments"),
        ((*files, "gone.pt"), "expected gone.json beside the weights"),
    ):
        code, out, err = average(*given, "-o", tmp_path / "other" / "unet.pt")
        assert (code, out) == (2, "")
        assert message in err
        assert not (tmp_path / "other").exists()
    assert average(*files, "-o", files[0])[0] == 2


def test_as_a_module_it_is_the_same_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        train.main(["net"])
    assert stop.value.code == 2
    assert "unknown model 'net'" in capsys.readouterr().err


def _of_another_network(folder: Path) -> Path:
    config = registry.recipe("deunet").config
    save_weights(folder / "w.pt", {}, model="deunet", network="deunet", config=config)
    return folder / "w.pt"


def _not_what_it_says(folder: Path) -> Path:
    config = registry.recipe("deunet_td").config
    save_weights(folder / "b.pt", {}, model="deunet_td", network="deunet", config=config)
    return folder / "b.pt"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("net",), "unknown model 'net'; those that can be trained are unet"),
        (("unet", "--data", "DATA", "--from", "WEIGHTS"), "weights of the network unet, got those of deunet"),
        (
            ("deunet_d", "--data", "DATA", "--from", "WEIGHTS"),
            "attention False, got those of deunet, attention True",
        ),
        (("deunet_d", "--data", "DATA", "--from", "BROKEN"), "weights of a network without TDAM and DGPA"),
        (("unet", "--from", "gone.pt"), "expected gone.json beside the weights"),
        (("unet", "--resume"), "expected a run to resume"),
        (("unet", "--steps", "0"), "training option steps: expected a whole number from 1, got 0"),
        (("unet", "--option", "step=3"), "unknown option step"),
        (("unet", "--steps", "3", "--option", "steps=4"), "option steps is given twice"),
        (("unet", "--data", "DATA", "--clips", "4", "--from", "nothing"), "a number of synthetic clips is for"),
        (("unet", "--fold", "0"), "--fold is of a split: expected --split"),
        (("unet", "--split", "split.json"), "--split is of a data set: expected --data"),
        (("unet", "--device", "abacus", "--data", "DATA", "--from", "nothing"), "expected a device such as cpu"),
        (("unet", "--data", "EMPTY", "--from", "nothing"), "expected"),
        (("unet", "--unlabelled", "EMPTY"), "expected"),
        (
            ("unet", "--unlabelled", "DATA", "--from", "nothing"),
            "labels of unlabelled cines are found by the weights",
        ),
        (("unet_lax", "--unlabelled", "DATA"), "got none: there is no such cine"),
    ],
)
@pytest.mark.usefixtures("tiny")
def test_what_is_asked_for_wrongly_is_one_line_and_leaves_nothing(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    data: Path,
    arguments: tuple[str, ...],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    names = {"DATA": data, "EMPTY": tmp_path / "empty"}
    names |= {"WEIGHTS": _of_another_network(tmp_path), "BROKEN": _not_what_it_says(tmp_path)}
    code, out, err = run(capsys, *(names.get(each, each) for each in arguments), "-o", "run")
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "run").exists()
