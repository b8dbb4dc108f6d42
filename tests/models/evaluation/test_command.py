"""`cardiac-motion evaluate` from end to end, on phantom studies as `cardiac-motion phantom` writes them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cardiac_motion.cli import main
from cardiac_motion.phantom import TEST_SEEDS, PhantomOptions, make_study
from cardiac_motion.phantom.write import write_study
from PIL import Image

FAST = ("--option", "iterations=1")


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two phantoms; the first with the truth of its motion and long-axis cines."""
    folder = tmp_path_factory.mktemp("studies")
    for number, seed in enumerate(TEST_SEEDS[:2]):
        options = PhantomOptions(
            frames=4,
            slices=2,
            matrix=(96, 96),
            pixel_spacing=2.4,
            long_axis_views=number == 0,
            motion_truth=number == 0,
        )
        write_study(make_study(seed, options), folder / f"heart-{number}", truth=number == 0)
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    captured = capsys.readouterr()
    assert isinstance(stop.value.code, int)
    return stop.value.code, captured.out, captured.err


def no_constant(name: str) -> Any:
    raise AssertionError(f"{name} is no JSON")


def test_json_holds_the_measurements(capsys: pytest.CaptureFixture[str], studies: Path, tmp_path: Path) -> None:
    code, out, err = run(capsys, "evaluate", studies, "-o", tmp_path / "e", "--json", *FAST)
    assert (code, err) == (0, "")
    result = json.loads(out, parse_constant=no_constant)
    assert result.pop("written") == str(tmp_path / "e")
    assert result == json.loads((tmp_path / "e" / "report.json").read_text())
    names = ["heart-0", "heart-0_2ch", "heart-0_3ch", "heart-0_4ch", "heart-1"]
    assert [case["name"] for case in result["cases"]] == names
    assert result["without_labels"] == []
    rows = result["structures"]
    assert {row["method"] for row in rows} == {"unregistered", "recursive"}
    assert {row["case"] for row in rows} == set(names)
    lv = [r for r in rows if r["structure"] == "LV" and r["is_es"] and r["case"] in ("heart-0", "heart-1")]
    assert len(lv) == 4
    assert all(0 < row["dice_shared"] < 1 for row in lv)
    # The unregistered have no field: not a number in the report, None in JSON.
    assert all((row["folds"] is None) == (row["method"] == "unregistered") for row in result["fields"])
    assert all(math.isfinite(row["truth"]) for row in result["ejection"])


def test_aligned_motion_is_scored_beside_the_native_one(
    capsys: pytest.CaptureFixture[str], studies: Path, tmp_path: Path
) -> None:
    code, out, err = run(capsys, "evaluate", studies / "heart-1", "-o", tmp_path / "e", "--json", "--align", *FAST)
    assert code == 0
    assert "the slices were not aligned: expected at least 4 slices" in err
    rows = json.loads(out)["structures"]
    dice = {m: [r["dice_shared"] for r in rows if r["method"] == m] for m in ("recursive", "recursive-aligned")}
    # Two slices cannot be aligned, and are taken as they are.
    assert dice["recursive"] == dice["recursive-aligned"] != []
    code, _, err = run(capsys, "evaluate", studies, "-o", tmp_path / "f", "--segmentation", "unet", "--align")
    assert code != 0
    assert "--align is for motion models, got it with --segmentation" in err


def test_every_kind_of_figure(capsys: pytest.CaptureFixture[str], studies: Path, tmp_path: Path) -> None:
    data = tmp_path / "short-axis"
    for study in sorted(studies.iterdir()):
        (data / study.name).mkdir(parents=True)
        for name in ("cine.nii.gz", "labels.nii.gz"):
            (data / study.name / name).hardlink_to(study / name)
    output = tmp_path / "e"
    code, out, err = run(capsys, "evaluate", data, "-o", output, "--figures", *FAST)
    assert (code, err) == (0, "")
    assert f"written to {output}" in out
    # Reliability curves, two box plots, overlays; per case: grid, map of |J| and colour wheel in one picture.
    expected = {
        "reliability.png",
        "dice.png",
        "hausdorff.png",
        "overlays_recursive.png",
        "field_recursive_heart-0.png",
        "field_recursive_heart-1.png",
    }
    assert {path.name for path in (output / "figures").iterdir()} == expected
    summary = (output / "summary.md").read_text()
    for name in expected:
        assert f"](figures/{name})" in summary
        with Image.open(output / "figures" / name) as image:
            assert np.asarray(image.convert("L")).std() > 10, f"{name} shows nothing"


def test_an_output_below_a_file_is_bad_input(
    capsys: pytest.CaptureFixture[str], studies: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    code, out, err = run(capsys, "evaluate", studies, "-o", tmp_path / "file" / "sub", *FAST)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "cannot write to the folder" in err
