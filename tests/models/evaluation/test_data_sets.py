"""`evaluate` on small copies of every layout, on parts of them, and past cases that cannot be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.cli import main
from cardiac_motion.datasets import find_dataset, folds, split, write_split
from cardiac_motion.errors import InputError
from cardiac_motion.evaluation import evaluate_folder
from cardiac_motion.evaluation.selection import Selection
from cardiac_motion.motion import Motion
from cardiac_motion.phantom import TEST_SEEDS, AppearanceOptions, PhantomOptions, PhantomStudy, make_study
from cardiac_motion.registration.base import Progress, silent

from tests.models.datasets import layouts


@dataclass(frozen=True)
class Still:
    """A model that finds no motion, from any frame."""

    name: str = "still"
    version: str = "1"
    views: tuple[str, ...] = ("sax", "lax")
    weights_checksum: str | None = None
    default_options: Any = None

    def estimate(
        self, cine: Cine, *, reference: int = 0, options: Any = None, progress: Progress = silent
    ) -> Motion:
        field = np.zeros((cine.n_frames, 3, *cine.shape[1:]), np.float32)
        return Motion(
            field,
            field,
            reference=reference,
            affine=cine.affine,
            frame_times=cine.frame_times,
            model=self.name,
            version=self.version,
            image_hash=cine.content_hash,
        )


@pytest.fixture(scope="module")
def studies() -> list[PhantomStudy]:
    options = PhantomOptions(
        frames=4,
        slices=2,
        matrix=(64, 60),
        pixel_spacing=3.0,
        motion_truth=False,
        appearance=AppearanceOptions.clean(),
    )
    return [make_study(seed, options) for seed in TEST_SEEDS[:2]]


def write_server(root: Path, studies: list[PhantomStudy]) -> None:
    layouts.write_studies(root, studies, verified=[0, studies[0].es_frame])


WRITERS: dict[str, Callable[[Path, list[PhantomStudy]], None]] = {
    "acdc": layouts.write_acdc,
    "mnms": layouts.write_mnms,
    "sunnybrook": layouts.write_sunnybrook,
    "ukbb": layouts.write_ukbb,
    "studies": write_server,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_layout_is_evaluated(tmp_path: Path, studies: list[PhantomStudy], name: str) -> None:
    WRITERS[name](tmp_path / "data", studies)
    dataset = find_dataset(tmp_path / "data")
    report = evaluate_folder(tmp_path / "data", models={"still": Still()}, output=tmp_path / "e")
    written = json.loads((tmp_path / "e" / "report.json").read_text())
    assert (written["data_set"], written["selection"], written["skipped"]) == (name, None, [])
    assert [case.name for case in report.cases] == [case.id for case in dataset.labelled]
    assert written["without_labels"] == [case.id for case in dataset.unlabelled]
    for result, case in zip(report.cases, dataset.labelled, strict=True):
        data = case.load()
        assert result.source == (data.ed or 0)
        assert result.targets == tuple(frame for frame in data.labels if frame != result.source)
        assert result.structures == data.drawn_everywhere
        # A model without motion is the unregistered, so that every figure is what the labels alone give.
        ejection = {v: e.found for v, e in result.methods["still"].ejection.items()}
        assert set(ejection.values()) == {0.0}
        assert all(e.truth > 5 for e in result.methods["still"].ejection.values())
    if name == "sunnybrook":
        assert {row["structure"] for row in written["structures"]} == {"LV"}, "no myocardium was drawn at ES"


@pytest.fixture
def data(tmp_path: Path, studies: list[PhantomStudy]) -> Path:
    """ACDC with four patients."""
    layouts.write_acdc(tmp_path / "data", [*studies, *studies])
    return tmp_path / "data"


def test_a_fold_or_a_part_alone(data: Path, tmp_path: Path) -> None:
    cases = find_dataset(data).cases
    made = folds(cases, 2)
    for fold in (0, 1):
        output = tmp_path / f"e{fold}"
        report = evaluate_folder(data, models={"still": Still()}, output=output, selection=Selection(made, fold))
        assert tuple(case.name for case in report.cases) == made.parts[str(fold)]
        assert report.selection == f"fold {fold} of 2"
        assert f"Of the data set: fold {fold} of 2" in (output / "summary.md").read_text()
    parts = split(cases, fractions={"train": 0.5, "test": 0.5})
    report = evaluate_folder(data, models={"still": Still()}, output=tmp_path / "e", selection=Selection(parts))
    assert tuple(case.name for case in report.cases) == parts.parts["test"]
    with pytest.raises(InputError, match="expected a split that the fold or part is of, got none"):
        evaluate_folder(data, models={"still": Still()}, output=tmp_path / "e", selection=Selection(fold=0))


def test_bad_cases_are_left_out_on_request_and_listed(data: Path, tmp_path: Path) -> None:
    (data / "training" / "patient002" / "Info.cfg").write_text("ED: 1\n")
    models = {"still": Still()}
    with pytest.raises(InputError, match=r"case patient002: .*Info.cfg: expected a line 'ES: NUMBER'"):
        evaluate_folder(data, models=models, output=tmp_path / "e")
    assert not (tmp_path / "e").exists()
    report = evaluate_folder(data, models=models, output=tmp_path / "e", selection=Selection(keep_going=True))
    assert [case.name for case in report.cases] == ["patient001", "patient003", "patient004"]
    assert [case.id for case in report.skipped] == ["patient002"]
    assert "- case patient002: " in (tmp_path / "e" / "summary.md").read_text()
    for info in data.rglob("Info.cfg"):
        info.write_text("ED: 1\n")
    with pytest.raises(InputError, match="expected a case that can be read, got none"):
        evaluate_folder(data, models=models, output=tmp_path / "none", selection=Selection(keep_going=True))
    assert not (tmp_path / "none").exists()


def test_a_data_set_without_labels_says_so(data: Path, tmp_path: Path) -> None:
    for path in data.rglob("*_gt.nii.gz"):
        path.unlink()
    with pytest.raises(InputError, match=r"expected a case with labels in this data set \(layout: acdc\), got 4"):
        evaluate_folder(data, models={"still": Still()}, output=tmp_path / "e")


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    captured = capsys.readouterr()
    assert isinstance(stop.value.code, int)
    return stop.value.code, captured.out, captured.err


def test_the_commands_part_and_evaluate(capsys: pytest.CaptureFixture[str], data: Path, tmp_path: Path) -> None:
    path = tmp_path / "new" / "split.json"
    code, out, err = run(capsys, "split", data, "-o", path, "--folds", 4, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "data_set": "acdc",
        "parts": {"0": 1, "1": 1, "2": 1, "3": 1},
        "written": str(path),
    }
    held = json.loads(path.read_text())["parts"]["3"]
    fast = ("--option", "iterations=1")
    code, out, err = run(
        capsys, "evaluate", data, "-o", tmp_path / "e", "--split", path, "--fold", 3, "--json", *fast
    )
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert [case["name"] for case in result["cases"]] == held
    assert result["selection"] == "fold 3 of 4"
    code, _, err = run(capsys, "evaluate", data, "-o", tmp_path / "f", "--split", path, *fast)
    assert (code, err.count("\n")) == (2, 1)
    assert "expected a fold of the split (0, 1, 2, 3), got none" in err
    code, _, err = run(capsys, "split", data, "-o", path, "--fraction", "train=0.5", "--fraction", "test=half")
    assert (code, "expected the share of a part as NAME=NUMBER, got 'test=half'" in err) == (2, True)
    code, out, _ = run(capsys, "split", data, "-o", path, "--fraction", "train=0.5", "--fraction", "test=0.5")
    assert code == 0
    assert "train: 2, test: 2" in out
    write_split(path, folds(find_dataset(data).cases, 2))
    code, _, err = run(capsys, "split", data, "-o", tmp_path / "again.json", "--keep", path)
    assert (code, "expected an earlier split into train, validation, test, got 0, 1" in err) == (2, True)
