from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cardiac_motion.errors import InputError
from cardiac_motion.evaluation import evaluate_folder
from cardiac_motion.evaluation import run as run_module
from cardiac_motion.evaluation.gallery import Gallery, write_figures
from cardiac_motion.evaluation.output_folder import merged_into
from cardiac_motion.io import write_cine, write_labels

Known = Callable[[float], Any]


@pytest.fixture
def data(tmp_path: Path, study: Any) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    write_cine(folder / "only.nii.gz", study.cine)
    write_labels(folder / "only_labels.nii.gz", study.labels, study.cine)
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize(
    "output", ["file", "file/sub", "file/sub/deep", "figures-is-a-file", "summary-is-a-folder"]
)
def test_an_output_that_cannot_be_written_is_told_first(
    data: Path, tmp_path: Path, known: Known, output: str
) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "figures-is-a-file").mkdir()
    (tmp_path / "figures-is-a-file" / "figures").write_text("mine, too")
    (tmp_path / "summary-is-a-folder" / "summary.md").mkdir(parents=True)
    heard: list[str] = []
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=r"write to"):
        evaluate_folder(
            data,
            models={"true": known(1.0)},
            output=tmp_path / output,
            figures=True,
            progress=lambda _, message: heard.append(message),
        )
    assert heard == [], "nothing is computed for nothing"
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError])
def test_a_report_that_is_stopped_leaves_the_old_one(
    data: Path, tmp_path: Path, known: Known, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    output = tmp_path / "output"
    (output / "figures").mkdir(parents=True)
    (output / "summary.md").write_text("old")
    (output / "notes.txt").write_text("mine")
    before = contents(output)

    def stopped(folder: Path, *_: object) -> tuple[str, ...]:
        folder.mkdir()
        (folder / "half.png").write_text("half")
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "write_figures", stopped)
        for target in (output, tmp_path / "new" / "one"):
            with pytest.raises(error):
                evaluate_folder(data, models={"true": known(1.0)}, output=target, figures=True)
    assert contents(output) == before
    assert not (tmp_path / "new").exists()
    evaluate_folder(data, models={"true": known(1.0)}, output=output)
    after = contents(output)
    assert after["notes.txt"] == "mine"
    assert after["summary.md"].startswith("# Evaluation")
    assert not [name for name in after if name.startswith(".")]


def test_files_are_put_back_if_moving_them_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "output"
    output.mkdir()
    (output / "a.txt").write_text("old a")
    (output / "c.txt").write_text("old c")
    before = contents(output)
    rename = Path.rename

    def full(self: Path, target: Path) -> Path:
        if self.parent.name == "new" and self.name == "c.txt":
            raise OSError("no space left")
        return rename(self, target)

    def write(folder: Path) -> None:
        (folder / "b").mkdir()
        for name in ("a.txt", "b/b.txt", "c.txt"):
            (folder / name).write_text("new")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", full)
        with pytest.raises(InputError, match="no space left"), merged_into(output, files=["a.txt"]) as folder:
            write(folder)
    assert contents(output) == before
    assert not (output / "b").exists()
    with merged_into(output, files=["a.txt"], folders=["b"]) as folder:
        write(folder)
    assert contents(output) == {"a.txt": "new", "b/b.txt": "new", "c.txt": "new"}


def test_a_new_report_takes_the_place_of_the_old_one_with_its_figures(
    data: Path, tmp_path: Path, known: Known
) -> None:
    output = tmp_path / "output"
    models = {"one": known(1.0), "two": known(0.5)}
    evaluate_folder(data, models=models, output=output, figures=True)
    first = {path.name for path in (output / "figures").iterdir()}
    assert "overlays_two.png" in first
    assert json.loads((output / "report.json").read_text())["figures"]
    (output / "figures" / "overlays_mine.png").write_bytes(b"mine")
    (output / "ejection.txt").write_text("mine")
    del models["two"]
    evaluate_folder(data, models=models, output=output, figures=True)
    second = {path.name for path in (output / "figures").iterdir()}
    assert second == {name for name in first if "two" not in name} | {"overlays_mine.png"}
    evaluate_folder(data, models=models, output=output)
    assert [path.name for path in (output / "figures").iterdir()] == ["overlays_mine.png"]
    assert (output / "ejection.txt").read_text() == "mine"
    (output / "figures" / "overlays_mine.png").unlink()
    evaluate_folder(data, models=models, output=output, figures=True)
    evaluate_folder(data, models=models, output=output)
    assert not (output / "figures").exists()


@pytest.mark.parametrize(
    "report",
    ["{", "[]", '{"figures": 3}', '{"figures": ["../notes.txt", "notes.txt", "figures/../notes.png", 1]}'],
)
def test_a_strange_report_removes_nothing_of_others(data: Path, tmp_path: Path, known: Known, report: str) -> None:
    output = tmp_path / "output"
    (output / "figures").mkdir(parents=True)
    (output / "report.json").write_text(report)
    others = [tmp_path / "notes.txt", output / "notes.txt", output / "notes.png", output / "figures" / "dice.png"]
    for path in others:
        path.write_text("mine")
    evaluate_folder(data, models={"true": known(1.0)}, output=output)
    assert all(path.read_text() == "mine" for path in others)


def test_files_of_an_earlier_run_come_back_if_moving_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "output"
    (output / "figures").mkdir(parents=True)
    (output / "figures" / "old.png").write_text("old")
    before = contents(output)
    rename = Path.rename

    def full(self: Path, target: Path) -> Path:
        if self.parent.name == "new":
            raise OSError("no space left")
        return rename(self, target)

    def replace() -> None:
        with merged_into(output, files=["a.txt"], earlier=["figures/old.png", "none.png"]) as folder:
            (folder / "a.txt").write_text("new")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", full)
        with pytest.raises(InputError, match="no space left"):
            replace()
    assert contents(output) == before
    replace()
    assert contents(output) == {"a.txt": "new"}
    assert not (output / "figures").exists()


def test_figures_cannot_go_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write figures to"):
        write_figures(tmp_path / "file" / "figures", [], Gallery())
    with pytest.raises(InputError, match="cannot write figures to"):
        write_figures(tmp_path / "file", [], Gallery())
