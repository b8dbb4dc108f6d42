"""Output appears whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from cardiac_motion.atomic import atomic_path
from cardiac_motion.errors import Cancelled, InputError


def entries(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.mark.parametrize("name", ["cine.nii.gz", "cine.seq.nrrd", "table.csv", "plain", "x" * 240 + ".nii.gz"])
def test_a_file_appears_with_its_name_and_the_temporary_one_ends_alike(tmp_path: Path, name: str) -> None:
    target = tmp_path / name
    with atomic_path(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.name.startswith(".")
        assert temporary.name.endswith(name[-12:])
        temporary.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"
    assert entries(tmp_path) == [name]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit, Cancelled])
@pytest.mark.parametrize("existed", [False, True])
def test_failure_leaves_what_was_there(tmp_path: Path, failure: type[BaseException], existed: bool) -> None:
    target = tmp_path / "out.nii.gz"
    if existed:
        target.write_text("before")

    def write_half() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise failure

    with pytest.raises(failure):
        write_half()
    assert entries(tmp_path) == (["out.nii.gz"] if existed else [])
    if existed:
        assert target.read_text() == "before"


def test_an_existing_file_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("before")
    with atomic_path(str(target)) as temporary:
        temporary.write_text("after")
    assert target.read_text() == "after"


def test_a_link_is_followed(tmp_path: Path) -> None:
    target = tmp_path / "real" / "out.csv"
    target.parent.mkdir()
    target.write_text("before")
    link = tmp_path / "link.csv"
    link.symlink_to(target)
    with atomic_path(link) as temporary:
        temporary.write_text("after")
    assert link.is_symlink()
    assert target.read_text() == "after"


def test_os_errors_become_input_errors_that_name_the_output(tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    with pytest.raises(InputError, match=r"out\.csv.*No space left"), atomic_path(target):
        raise OSError(28, "No space left on device")


def test_a_missing_parent_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere does not exist"), atomic_path(tmp_path / "nowhere" / "x.csv"):
        pytest.fail("the block must not start")


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot write"), atomic_path(tmp_path / "x.csv"):
        pass


@pytest.mark.parametrize("is_folder", [False, True])
def test_file_and_folder_do_not_replace_each_other(tmp_path: Path, is_folder: bool) -> None:
    target = tmp_path / "thing"
    if is_folder:
        target.write_text("a file")
    else:
        target.mkdir()
    with pytest.raises(InputError, match="expected a"), atomic_path(target, is_folder=is_folder):
        pytest.fail("the block must not start")


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "motion", is_folder=True) as temporary:
        (temporary / "motion.json").write_text("{}")
        assert not (tmp_path / "motion").exists()
    assert entries(tmp_path) == ["motion"]
    assert entries(tmp_path / "motion") == ["motion.json"]


def test_a_folder_replaces_an_older_one_of_its_kind_whole(tmp_path: Path) -> None:
    target = tmp_path / "motion"
    target.mkdir()
    for name in ("motion.json", "frame_000.nrrd", "frame_024.nrrd", ".DS_Store"):
        (target / name).write_text("old")
    with atomic_path(target, is_folder=True) as temporary:
        for name in ("motion.json", "frame_000.nrrd"):
            (temporary / name).write_text("new")
    assert entries(tmp_path) == ["motion"]
    assert entries(target) == ["frame_000.nrrd", "motion.json"]
    assert (target / "motion.json").read_text() == "new"


def test_a_folder_that_holds_something_else_is_spared(tmp_path: Path) -> None:
    target = tmp_path / "home"
    target.mkdir()
    (target / "thesis.txt").write_text("years of work")
    with (
        pytest.raises(InputError, match=r"holds 'thesis\.txt'"),
        atomic_path(target, is_folder=True) as temporary,
    ):
        (temporary / "motion.json").write_text("{}")
    assert entries(tmp_path) == ["home"]
    assert entries(target) == ["thesis.txt"]


def test_a_failed_folder_leaves_the_older_one(tmp_path: Path) -> None:
    target = tmp_path / "motion"
    target.mkdir()
    (target / "motion.json").write_text("old")

    def write_half() -> None:
        with atomic_path(target, is_folder=True) as temporary:
            (temporary / "motion.json").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert entries(tmp_path) == ["motion"]
    assert (target / "motion.json").read_text() == "old"


def test_the_older_folder_is_put_back_when_the_swap_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "motion"
    target.mkdir()
    (target / "motion.json").write_text("old")
    rename = Path.rename

    def fail_for_the_new(self: Path, to: Path) -> Path:
        if to == target and (self / "motion.json").read_text() == "new":
            raise PermissionError(13, "Permission denied")
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", fail_for_the_new)
    with pytest.raises(InputError, match="Permission denied"), atomic_path(target, is_folder=True) as temporary:
        (temporary / "motion.json").write_text("new")
    assert entries(tmp_path) == ["motion"]
    assert (target / "motion.json").read_text() == "old"
