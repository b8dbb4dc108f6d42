"""`cardiac-motion evaluate --segmentation` and `merge-folds` from end to end, with untrained networks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from cardiac_motion.cli import main
from cardiac_motion.datasets import find_dataset, folds, write_split
from cardiac_motion.networks.deunet import DeUNet
from cardiac_motion.networks.unet import ModifiedUNet
from cardiac_motion.phantom import TEST_SEEDS, AppearanceOptions, PhantomOptions, make_study
from cardiac_motion.weights import save_weights

from tests.models.datasets import layouts


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ACDC with two patients, a split, and weights."""
    root = tmp_path_factory.mktemp("place")
    options = PhantomOptions(
        frames=4,
        slices=2,
        matrix=(64, 60),
        pixel_spacing=3.0,
        motion_truth=False,
        appearance=AppearanceOptions.clean(),
    )
    layouts.write_acdc(root / "data", [make_study(seed, options) for seed in TEST_SEEDS[:2]])
    write_split(root / "split.json", folds(find_dataset(root / "data").cases, 2))
    torch.manual_seed(0)
    plain = {"classes": 4, "width": 4, "levels": 3}
    save_weights(root / "a.pt", ModifiedUNet(**plain).state_dict(), model="unet", network="unet", config=plain)
    variant = {"classes": 4, "width": 4, "levels": 3, "fusion": "none"}
    network = DeUNet(4, width=4, levels=3, fusion="none")
    save_weights(root / "b.pt", network.state_dict(), model="deunet_t", network="deunet", config=variant)
    told = {"classes": 6, "width": 4, "levels": 3, "views": 4}
    save_weights(root / "c.pt", ModifiedUNet(**told).state_dict(), model="unet_views", network="unet", config=told)
    return root


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    captured = capsys.readouterr()
    assert isinstance(stop.value.code, int)
    return stop.value.code, captured.out, captured.err


def test_folds_are_evaluated_and_merged(capsys: pytest.CaptureFixture[str], place: Path, tmp_path: Path) -> None:
    models = ("--segmentation", f"plain={place}/a.pt", "--segmentation", f"DeU-Net(t)={place}/b.pt")
    for fold in (0, 1):
        given = ("-o", tmp_path / str(fold), "--split", place / "split.json", "--fold", fold, "--json")
        code, out, err = run(capsys, "evaluate", place / "data", *models, "--option", "tidy=false", *given)
        assert (code, err) == (0, "")
        result = json.loads(out)
        assert [(m["name"], m["model"]) for m in result["methods"]] == [
            ("plain", "unet"),
            ("DeU-Net(t)", "deunet_t"),
        ]
        assert result["fold"] == {"number": fold, "of": 2}
        (case,) = result["cases"]
        assert case["structures"] == ["LV", "MYO", "RV"]
        scores = case["methods"]["DeU-Net(t)"]["scores"]
        assert all(0 <= score["dice_stack"] < 1 for score in scores)
        assert {score["frame"] for score in scores} == {case["ed"], case["es"]}
    code, out, err = run(capsys, "merge-folds", tmp_path / "0", tmp_path / "1", "-o", tmp_path / "all")
    assert (code, err) == (0, "")
    assert "LV (n = 2)" in out
    assert f"written to {tmp_path / 'all'}" in out
    code, _, err = run(capsys, "merge-folds", tmp_path / "0", place, "-o", tmp_path / "none")
    assert (code, err.count("\n"), "report.json" in err) == (2, 1, True)


def test_what_cannot_be_evaluated_is_bad_input(
    capsys: pytest.CaptureFixture[str], place: Path, tmp_path: Path
) -> None:
    for given, message in (
        (("--segmentation", "unet", "--model", "recursive"), "expected either --model (motion) or --segmentation"),
        (("--segmentation", "nothing"), "expected a segmentation model that has weights"),
        (("--segmentation", "mine="), "expected --segmentation NAME or NAME=FILE, got 'mine='"),
        (
            ("--segmentation", f"x={place}/a.pt") * 2,
            "expected every segmentation under a name of its own, got x twice",
        ),
        (("--segmentation", f"x={place}/d.pt"), "there is no such file"),
        (
            ("--segmentation", f"x={place}/c.pt"),
            "segments by the image alone, got unet_views (unet, told the view)",
        ),
        (("--segmentation", f"x={place}/a.pt", "--option", "size=3"), "unknown option size"),
    ):
        code, out, err = run(capsys, "evaluate", place / "data", "-o", tmp_path / "e", *given)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert message in err
    assert not (tmp_path / "e").exists()
