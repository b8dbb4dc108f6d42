from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.errors import Cancelled, InputError
from cardiac_motion.evaluation import UNREGISTERED, Case, evaluate_case, evaluate_folder
from cardiac_motion.io import write_cine, write_labels
from cardiac_motion.labels import Label
from cardiac_motion.metrics import dice_shared_slices, dice_stack, hausdorff_3d, temporal_gradient

Known = Callable[[float], Any]


@pytest.fixture
def folder(tmp_path: Path, study: Any) -> Path:
    """Two cines; the second lacks labels on frame 1."""
    data = tmp_path / "data"
    data.mkdir()
    for name in ("first", "second"):
        labels = study.labels.copy()
        if name == "second":
            labels[1] = 0
        write_cine(data / f"{name}.nii.gz", study.cine)
        write_labels(data / f"{name}_labels.nii.gz", labels, study.cine)
    return data


def test_scores_are_those_of_the_metrics(study: Any, known: Known) -> None:
    result = evaluate_case(Case.of(study.cine, study.labels), {"half": known(0.5)})
    before = result.methods[UNREGISTERED].structures[2][Label.LV]
    masks = (study.labels[2] == Label.LV, study.labels[0] == Label.LV)
    assert before.dice_stack == pytest.approx(dice_stack(*masks))
    assert before.dice_shared == pytest.approx(dice_shared_slices(*masks, masks[1]))
    assert before.hausdorff_3d == pytest.approx(hausdorff_3d(*masks, study.cine.spacing))
    assert result.value(UNREGISTERED, Label.LV, "dice_stack") == before.dice_stack
    assert result.mean(UNREGISTERED, "dice_stack") == pytest.approx(
        np.mean([result.value(UNREGISTERED, s, "dice_stack") for s in (Label.RV, Label.MYO, Label.LV)])
    )
    motion = known(0.5).estimate(study.cine)
    gradient = temporal_gradient(motion.from_reference, study.labels[0] == Label.MYO)
    assert result.methods["half"].temporal_gradient[Label.MYO] == pytest.approx(gradient)


def test_the_true_motion_beats_half_of_it_and_that_none(study: Any, known: Known) -> None:
    models = {"true": known(1.0), "half": known(0.5), "none": known(0.0)}
    result = evaluate_case(Case.of(study.cine, study.labels), models)
    for all_frames in (False, True):
        dice = [result.mean(name, "dice_shared", all_frames=all_frames) for name in models]
        assert dice[0] > 0.92
        assert dice[0] > dice[1] + 0.05 > dice[2] + 0.1
        distance = [result.mean(name, "mean_contour_distance", all_frames=all_frames) for name in models]
        assert distance[0] < 0.5 < distance[1] < distance[2]
        likeness = [result.frame_value(name, "ssim", all_frames=all_frames) for name in models]
        assert likeness[0] > likeness[1] > likeness[2]
        error = [result.frame_value(name, "rmse", all_frames=all_frames) for name in models]
        assert error[0] < error[1] < error[2]
    # A model without motion is the unregistered, whatever the measure.
    for measure in ("dice_stack", "hausdorff_3d", "hausdorff95_3d", "assd_3d", "hausdorff_2d"):
        assert result.mean("none", measure) == pytest.approx(result.mean(UNREGISTERED, measure))
    for measure in ("rmse", "ssim"):
        assert result.frame_value("none", measure) == pytest.approx(result.frame_value(UNREGISTERED, measure))
    ejection = {name: result.methods[name].ejection[Label.LV] for name in (*models, UNREGISTERED)}
    # The ring keeps its length: the cavity shrinks in the plane alone.
    assert ejection["true"].truth == pytest.approx(100 * (1 - 0.65**2), abs=2)
    assert abs(ejection["true"].error) < 3
    assert ejection[UNREGISTERED].found == 0.0
    field = result.methods["true"].motion_fields[2]
    assert field.folded_voxels == 0
    assert field.sd_log_jacobian == pytest.approx(0.0, abs=1e-3), "the same contraction everywhere"


def test_everything_is_written_with_the_unregistered_beside(folder: Path, tmp_path: Path, known: Known) -> None:
    output = tmp_path / "deep" / "output"
    heard: list[tuple[float, str]] = []
    report = evaluate_folder(
        folder,
        models={"true": known(1.0), "half": known(1.0)},
        options={"half": 0.5},
        output=output,
        progress=lambda fraction, message: heard.append((fraction, message)),
    )
    assert sorted(path.name for path in output.iterdir()) == [
        "ejection.csv",
        "fields.csv",
        "report.json",
        "structures.csv",
        "summary.md",
        "temporal_gradient.csv",
    ]
    fractions = [fraction for fraction, _ in heard]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert any("second, half" in message for _, message in heard)
    with (output / "structures.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    # 3 target frames of the one and 2 of the other, 3 methods, 3 structures.
    assert len(rows) == (3 + 2) * 3 * 3
    assert {row["method"] for row in rows} == {UNREGISTERED, "true", "half"}
    chosen = [
        r for r in rows if (r["case"], r["method"], r["frame"], r["structure"]) == ("first", "true", "2", "LV")
    ]
    assert float(chosen[0]["dice_shared"]) == pytest.approx(report.cases[0].value("true", Label.LV, "dice_shared"))
    written = json.loads((output / "report.json").read_text())
    assert [case["name"] for case in written["cases"]] == ["first", "second"]
    assert len(written["structures"]) == len(rows)
    assert all(row["folds"] is None for row in written["fields"] if row["method"] == UNREGISTERED)
    text = (output / "summary.md").read_text()
    sections = text.split("### ")[1:]
    tables = [section for section in sections if "| method |" in section]
    assert len(tables) > 14
    assert all("| unregistered |" in table for table in tables)
    values = [case.value("true", Label.LV, "dice_shared") for case in report.cases]
    assert f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}" in text
    assert "true against unregistered | 2 |" in text


def test_nothing_is_written_if_it_is_stopped(folder: Path, tmp_path: Path, known: Known) -> None:
    def stop(fraction: float, _message: str) -> None:
        if fraction > 0.6:
            raise Cancelled

    with pytest.raises(Cancelled):
        evaluate_folder(folder, models={"true": known(1.0)}, output=tmp_path / "output", progress=stop)
    assert not (tmp_path / "output").exists()


def test_one_case_has_no_tests_of_significance(tmp_path: Path, study: Any, known: Known) -> None:
    write_cine(tmp_path / "only.nii.gz", study.cine)
    write_labels(tmp_path / "only_gt.nii.gz", study.labels, study.cine)
    evaluate_folder(tmp_path, models={"true": known(1.0)}, output=tmp_path / "output")
    text = (tmp_path / "output" / "summary.md").read_text()
    rows = [line for line in text.splitlines() if "true against unregistered" in line]
    assert rows
    assert all(line.endswith("| - | - |") for line in rows)
    assert "nan" not in text


def test_a_single_slice_has_no_ejection_fraction(folder: Path, tmp_path: Path, study: Any, known: Known) -> None:
    class FirstSlice:
        """`KnownMotion` for the first slice alone."""

        def estimate(self, cine: Any, **given: Any) -> Any:
            motion = known(1.0).estimate(study.cine, **given)
            rows = {
                name: getattr(motion, name)[:, :, : cine.shape[1]] for name in ("to_reference", "from_reference")
            }
            return replace(motion, **rows, image_hash=cine.content_hash)

    single = Cine(study.cine.frames[:, :1], study.cine.affine, study.cine.frame_times)
    alone = tmp_path / "alone"
    alone.mkdir()
    for place in (folder, alone):
        write_cine(place / "2ch.nii.gz", single)
        write_labels(place / "2ch_labels.nii.gz", study.labels[:, :1], single)
    models: Any = {"true": FirstSlice()}
    both, output = tmp_path / "both", tmp_path / "output"
    report = evaluate_folder(folder, models=models, output=both)
    assert {case.name: case.slices for case in report.cases} == {"2ch": 1, "first": 3, "second": 3}
    with (both / "ejection.csv").open(newline="") as file:
        assert {row["case"] for row in csv.DictReader(file)} == {"first", "second"}
    text = (both / "summary.md").read_text()
    assert "| LV (n = 2) |" in text.split("### Ejection fraction")[1]
    assert "Single slices, which have no volume, are left out: 2ch\n" in text
    # What was in the folder before is of another report.
    evaluate_folder(folder, models=models, output=output)
    assert (output / "ejection.csv").exists()
    report = evaluate_folder(alone, models=models, output=output)
    assert not (output / "ejection.csv").exists()
    assert report.to_json()["ejection"] == []
    section = (output / "summary.md").read_text().split("### Ejection fraction")[1].split("##")[0]
    assert section.strip() == "Single slices, which have no volume, are left out: 2ch"
    assert report.cases[0].value("true", Label.LV, "dice_stack") > 0.9


def test_models_and_options_are_checked(folder: Path, tmp_path: Path, known: Known) -> None:
    with pytest.raises(InputError, match="at least one model"):
        evaluate_folder(folder, models={}, output=tmp_path)
    with pytest.raises(InputError, match="none of them called 'unregistered'"):
        evaluate_folder(folder, models={UNREGISTERED: known(1.0)}, output=tmp_path)
    with pytest.raises(InputError, match="options are given for other"):
        evaluate_folder(folder, models={"true": known(1.0)}, options={"other": 1}, output=tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="got the file"):
        evaluate_folder(folder, models={"true": known(1.0)}, output=tmp_path / "file")
