from __future__ import annotations

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


def test_figures_cannot_go_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write figures to"):
        write_figures(tmp_path / "file" / "figures", [], Gallery())
    with pytest.raises(InputError, match="cannot write figures to"):
        write_figures(tmp_path / "file", [], Gallery())
