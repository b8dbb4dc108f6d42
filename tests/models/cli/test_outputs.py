"""Outputs of the commands: refused before any work, and all there or none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cardiac_motion.cli import main
from cardiac_motion.cli.outputs import Output, check_output_folder, check_outputs, make_output_folder, staged
from cardiac_motion.errors import InputError
from cardiac_motion.io import write_cine, write_labels
from cardiac_motion.phantom import TEST_SEEDS, PhantomOptions, make_study


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = PhantomOptions(frames=4, slices=2, matrix=(64, 64), pixel_spacing=3.6, motion_truth=False)
    study = make_study(TEST_SEEDS[1], options)
    path = tmp_path_factory.mktemp("case")
    write_cine(path / "cine.nii.gz", study.cine)
    write_labels(path / "ed.nii.gz", study.labels[0], study.cine)
    write_labels(path / "all.nii.gz", study.labels, study.cine)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stop:
        main([str(a) for a in arguments])
    assert isinstance(stop.value.code, int)
    return stop.value.code, capsys.readouterr().err


def content(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")
    }


def never(*args: object, **kwargs: object) -> None:
    raise AssertionError("the registration was started")


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["-o", "{out}/l.nii.gz", "--table", "{out}/folder"], ["folder: expected a file or nothing there"]),
        (["-o", "{out}/l.nii.gz", "--motion", "{out}/file"], ["file: expected a folder or nothing there"]),
        (["-o", "{out}/l.nii.gz", "--motion", "{out}/folder"], ["it holds 'mine.txt'"]),
        (["-o", "{out}/folder"], ["it holds 'mine.txt'"]),
        (["-o", "{out}/out.txt"], ["out.txt: expected a name that ends in .nii"]),
        (["-o", "{out}/l.nii.gz", "--table", "{out}/file/no/t.csv"], ["expected a folder", "file is a file"]),
        (["-o", "{out}/l.nii.gz", "--table", "{out}/../{name}/l.nii.gz"], ["the table cannot", "the labels is"]),
        (["-o", "{out}/l", "--motion", "{out}/l"], ["the motion cannot", "the labels is"]),
        (["-o", "{out}/link.nii.gz"], ["the labels cannot", "the cine is"]),
        (["-o", "{out}/l.nii.gz", "--table", "{case}/ed.nii.gz"], ["the table cannot", "ed.nii.gz"]),
    ],
)
def test_bad_outputs_are_refused_before_the_registration(
    capsys: pytest.CaptureFixture[str],
    case: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    messages: list[str],
) -> None:
    monkeypatch.setattr("cardiac_motion.cli.propagate.propagate_cine", never)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link.nii.gz").symlink_to(case / "cine.nii.gz")
    before = content(tmp_path), content(case)
    given = [a.format(out=tmp_path, case=case, name=tmp_path.name) for a in arguments]
    code, err = run(capsys, "propagate", case / "cine.nii.gz", "--labels", f"{case}/ed.nii.gz@0", *given)
    assert code == 2
    assert all(message in err for message in messages), err
    assert err.count("\n") == 1
    assert (content(tmp_path), content(case)) == before


def arguments_for_all(case: Path, out: Path) -> list[object]:
    labels = ["--labels", f"{case}/ed.nii.gz@0", "--option", "iterations=1"]
    outputs = ["-o", out / "l.nii.gz", "--motion", out / "m", "--table", out / "t.csv"]
    return ["propagate", case / "cine.nii.gz", *labels, *outputs]


def test_a_later_output_that_fails_leaves_no_earlier_one(
    capsys: pytest.CaptureFixture[str], case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *args: object) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    (tmp_path / "l.nii.gz").write_text("before")
    monkeypatch.setattr("cardiac_motion.cli.propagate.write_volume_table", full)
    code, err = run(capsys, *arguments_for_all(case, tmp_path))
    assert code == 2
    assert "No space left" in err
    assert content(tmp_path) == {"l.nii.gz": b"before"}


@pytest.mark.parametrize("where", ["propagate_cine", "write_volume_table"])
def test_ctrl_c_ends_in_130_and_leaves_the_folder_as_it_was(
    capsys: pytest.CaptureFixture[str], case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def stop(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    (tmp_path / "l.nii.gz").write_text("before")
    monkeypatch.setattr(f"cardiac_motion.cli.propagate.{where}", stop)
    code, err = run(capsys, *arguments_for_all(case, tmp_path))
    assert (code, err) == (130, "cardiac-motion: error: interrupted\n")
    assert content(tmp_path) == {"l.nii.gz": b"before"}


def test_a_frame_folder_and_everything_else_at_once_and_again(
    capsys: pytest.CaptureFixture[str], case: Path, tmp_path: Path
) -> None:
    given = ["--labels", f"{case}/ed.nii.gz@0", "--option", "iterations=1", "-o", tmp_path / "l"]
    for _ in range(2):  # the second time it replaces its own
        code, err = run(capsys, "propagate", case / "cine.nii.gz", *given, "--motion", tmp_path / "m")
        assert (code, err) == (0, "")
        assert {path.name for path in tmp_path.iterdir()} == {"l", "m"}
        assert len(list((tmp_path / "l").iterdir())) == 4


def test_staged_outputs_appear_together_and_errors_use_their_names(tmp_path: Path) -> None:
    outputs = {"a": Output(tmp_path / "a.txt"), "b": Output(tmp_path / "b", is_folder=True)}
    with staged(outputs) as paths:
        paths["a"].write_text("a")
        (paths["b"] / "c").write_text("c")
        assert not (tmp_path / "a.txt").exists()
    assert content(tmp_path) == {"a.txt": b"a", "b": None, "b/c": b"c"}

    def fail() -> None:
        with staged(outputs) as paths:
            paths["a"].write_text("new")
            raise InputError(f"cannot write {paths['a']}: no")

    with pytest.raises(InputError, match="cannot write") as caught:
        fail()
    assert str(caught.value) == f"cannot write {tmp_path / 'a.txt'}: no"
    assert content(tmp_path) == {"a.txt": b"a", "b": None, "b/c": b"c"}


NAMES = ("a.csv", "b", "c.csv")
"""Two files and a folder; the folder is put in place first."""


def write_all(folder: Path) -> None:
    outputs = {name: Output(folder / name, is_folder=name == "b") for name in NAMES}
    with staged(outputs) as paths:
        (paths["b"] / "c").write_text("new")
        for name in ("a.csv", "c.csv"):
            paths[name].write_text("new")


def test_folders_above_are_made_and_go_again_where_nothing_is_written(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    outputs = {"one": Output(deep / "one.txt"), "two": Output(tmp_path / "a" / "c" / "two", is_folder=True)}
    check_outputs(outputs, [])
    assert content(tmp_path) == {}
    for failure in (InputError("bad"), KeyboardInterrupt()):
        with pytest.raises(type(failure)), staged(outputs):  # noqa: PT012 - they are there meanwhile
            assert deep.is_dir()
            raise failure
        assert content(tmp_path) == {}
    with staged(outputs) as paths:
        paths["one"].write_text("1")
        (paths["two"] / "x").write_text("2")
    assert {name for name, held in content(tmp_path).items() if held} == {"a/b/one.txt", "a/c/two/x"}
    with pytest.raises(InputError, match="bad"), staged({"one": Output(deep / "d" / "one.txt")}):
        raise InputError("bad")
    assert (deep / "one.txt").read_text() == "1"
    assert not (deep / "d").exists()


@pytest.mark.parametrize("failing", NAMES)
@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), KeyboardInterrupt()])
@pytest.mark.parametrize("before", [(), NAMES, ("a.csv",), ("b", "c.csv")])
def test_all_outputs_take_their_names_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, error: BaseException, before: tuple[str, ...]
) -> None:
    for name in before:
        if name == "b":
            (tmp_path / name).mkdir()
        (tmp_path / name / "c" if name == "b" else tmp_path / name).write_text(f"old {name}")
    was = content(tmp_path)
    rename, replace = Path.rename, Path.replace
    failed: list[Path] = []

    def fail(self: Path, target: Path, move: Callable[[Path, Path], Path]) -> Path:
        if target == tmp_path / failing and not failed:
            failed.append(self)
            raise error
        return move(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", lambda self, target: fail(self, target, rename))
        patch.setattr(Path, "replace", lambda self, target: fail(self, target, replace))
        with pytest.raises((InputError, KeyboardInterrupt)) as caught:
            write_all(tmp_path)
    assert len(failed) == 1
    assert content(tmp_path) == was
    if isinstance(error, OSError):
        assert str(caught.value) == f"cannot write {tmp_path / failing}: Permission denied"
    write_all(tmp_path)
    assert content(tmp_path) == {"a.csv": b"new", "b": None, "b/c": b"new", "c.csv": b"new"}


def test_a_folder_that_appears_meanwhile_is_spared_and_nothing_else_appears(tmp_path: Path) -> None:
    outputs = {name: Output(tmp_path / name) for name in ("a.csv", "c.csv")}

    def write() -> None:
        with staged(outputs) as paths:
            for path in paths.values():
                path.write_text("new")
            (tmp_path / "c.csv").mkdir()
            (tmp_path / "c.csv" / "mine").write_text("mine")

    with pytest.raises(InputError, match=r"c\.csv: expected a file or nothing there, found a folder"):
        write()
    assert content(tmp_path) == {"c.csv": None, "c.csv/mine": b"mine"}


def test_what_cannot_be_put_back_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.csv").write_text("old")
    outputs = {name: Output(tmp_path / name) for name in ("a.csv", "c.csv")}
    rename = Path.rename

    def away(self: Path, target: Path) -> Path:
        # Only the older file can still be moved: away from its name, and not back.
        if self == tmp_path / "a.csv":
            return rename(self, target)
        raise OSError(5, "Input/output error")

    def write() -> None:
        with staged(outputs) as paths:
            for path in paths.values():
                path.write_text("new")

    monkeypatch.setattr(Path, "rename", away)
    with pytest.raises(InputError, match=r"Input/output error; what was at .*a\.csv before is now ") as caught:
        write()
    kept = Path(str(caught.value).rsplit("is now ", 1)[1])
    assert kept.read_text() == "old"
    assert list(tmp_path.iterdir()) == [kept]


def test_an_output_within_an_input_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    with pytest.raises(InputError, match="the cine is"):
        check_outputs({"labels": Output(tmp_path / "frames" / "x.nii")}, [("cine", tmp_path / "frames")])
    check_outputs({"labels": Output(tmp_path / "x.nii")}, [("cine", tmp_path / "frames")])


def test_output_folders(capsys: pytest.CaptureFixture[str], case: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(InputError, match="is a file"):
            check_output_folder(path)
        code, err = run(capsys, "demo", "-o", path)
        assert code == 2
        assert "is a file" in err
        assert run(capsys, "phantom", "-o", path)[0] == 2
    sparse = ["--labels", f"{case}/all.nii.gz", "--truth", case / "all.nii.gz"]
    code, err = run(capsys, "demo", "-o", tmp_path / "d", "--cine", case / "cine.nii.gz", *sparse)
    assert code == 2
    assert "besides the key frames 0, 1, 2, 3" in err
    assert content(tmp_path) == {"file": b"mine"}
    make_output_folder(tmp_path / "x" / "y")
    assert (tmp_path / "x" / "y").is_dir()
