"""Whatever moment the process ends or the disk is full at: what was saved is there, and nothing else."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cardiac_motion.io.images
import numpy as np
import pytest
from cardiac_motion.io import LabelImage, read_labels, write_cine

from monailabel_app.lib.datastore import LocalDatastore
from monailabel_app.lib.errors import StorageFull

MakeLabel = Callable[..., LabelImage]
Action = Callable[[LocalDatastore], object]

STEPS: tuple[tuple[Any, str], ...] = (
    (os, "fsync"),
    (os, "link"),
    (pathlib.Path, "mkdir"),
    (pathlib.Path, "replace"),
    (pathlib.Path, "rename"),
)
"""Every way in which a name or content reaches the disk."""

WRITERS: tuple[tuple[Any, str, int], ...] = (
    (shutil, "copyfile", 1),
    (pathlib.Path, "write_text", 0),
    (cardiac_motion.io.images, "write_nifti", 0),
)
"""Those that write a file bit by bit, and which argument is its path."""


@contextmanager
def before_each_step(monkeypatch: pytest.MonkeyPatch, at: Callable[[], None]) -> Iterator[None]:
    """Call ``at`` before each step, and in the middle of each write."""

    with monkeypatch.context() as patch:
        for owner, name in STEPS:
            patch.setattr(owner, name, _watched(getattr(owner, name), at, None))
        for owner, name, index in WRITERS:
            patch.setattr(owner, name, _watched(getattr(owner, name), at, index))
        yield


def _watched(original: Callable[..., Any], at: Callable[[], None], path_index: int | None) -> Callable[..., Any]:
    def watched(*args: Any, **options: Any) -> Any:
        at()
        done = original(*args, **options)
        if path_index is not None:
            path = Path(args[path_index])
            content = path.read_bytes()
            path.write_bytes(content[: len(content) // 2])
            at()
            path.write_bytes(content)
        return done

    return watched


def tree(folder: Path) -> dict[str, bytes]:
    """The files of a folder of studies but for the lock."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != "server.lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def check_sound(store: LocalDatastore, studies: Path, earlier: dict[int, bytes]) -> list[int]:
    """Every version is what was saved, the copy is the newest's, nothing is left over. The numbers of versions."""
    versions = store.label_versions("a", "final")
    numbers = [version.version for version in versions]
    assert numbers == list(range(1, len(numbers) + 1))
    for version in versions:
        found = store.label_version("a", "final", version.version)
        expected = earlier.get(version.version)
        assert expected is None or found.path.read_bytes() == expected
    if versions:
        assert (studies / "labels/final/a.nii.gz").read_bytes() == versions[-1].path.read_bytes()
        names = sorted(path.name for path in versions[-1].path.parent.iterdir())
        assert names == sorted(f"{number:06d}.{ending}" for number in numbers for ending in ("json", "nii.gz"))
    assert list(store.scratch_path.iterdir()) == []
    assert {path.name for path in studies.iterdir()} <= {".cardiac_motion", "labels", "a.nii.gz", "b.nii.gz"}
    return numbers


def save(number: int, make_label: MakeLabel) -> Action:
    return lambda store: store.save_label_version("a", "final", make_label(number), {"n": number})


@pytest.mark.parametrize("n_before", [0, 2])
def test_the_end_at_any_moment_of_saving_a_label(
    store: LocalDatastore,
    studies: Path,
    case_a: str,
    make_label: MakeLabel,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    n_before: int,
) -> None:
    """The folder as a process leaves it that is killed before each step, opened by the next one."""
    for number in range(1, n_before + 1):
        save(number, make_label)(store)
    earlier = {each.version: each.path.read_bytes() for each in store.label_versions(case_a)}
    states: list[Path] = []

    def keep() -> None:
        states.append(tmp_path / f"state-{len(states)}")
        subprocess.run(["cp", "-a", studies, states[-1]], check=True)

    with before_each_step(monkeypatch, keep):
        save(50, make_label)(store)
    assert len(states) > 12
    counts = []
    for state in states:
        with LocalDatastore(state) as opened:
            numbers = check_sound(opened, state, earlier)
            counts.append(len(numbers))
            if len(numbers) > n_before:
                newest = read_labels(opened.label_version(case_a, "final").path).labels
                np.testing.assert_array_equal(newest, make_label(50).labels)
            assert save(60, make_label)(opened).version == len(numbers) + 1  # type: ignore[attr-defined]
    # Not there, and from one moment on there.
    assert counts == sorted(counts)
    assert set(counts) == {n_before, n_before + 1}


def test_the_end_at_any_moment_of_an_upload(
    store: LocalDatastore, studies: Path, files: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    states: list[Path] = []

    def keep() -> None:
        states.append(tmp_path / f"state-{len(states)}")
        subprocess.run(["cp", "-a", studies, states[-1]], check=True)

    with before_each_step(monkeypatch, keep):
        store.add_image_file("a", files / "a.nii.gz", info={"note": 1})
    present = []
    for state in states:
        with LocalDatastore(state) as opened:
            present.append(opened.list_images() == ["a"])
            image = opened.add_image_file("a", files / "a.nii.gz")
            assert image.path.read_bytes() == (files / "a.nii.gz").read_bytes()
            assert image.path.stat().st_nlink == 1
            check_sound(opened, state, {})
    assert present == sorted(present)
    assert set(present) == {False, True}


class Full:
    """A disk that is full from the n-th step on, or at that step alone."""

    def __init__(self, step: int, *, stays: bool) -> None:
        self.step, self.stays, self.steps, self.refused = step, stays, 0, 0

    def __call__(self) -> None:
        self.steps += 1
        if self.steps == self.step or (self.stays and self.steps > self.step):
            self.refused += 1
            raise OSError(28, "No space left on device")


@pytest.mark.parametrize("stays", [False, True])
@pytest.mark.parametrize("what", ["first label", "third label", "image", "notes", "name"])
def test_a_disk_that_is_full_at_any_step(
    store: LocalDatastore,
    studies: Path,
    files: Path,
    case_a: str,
    make_label: MakeLabel,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    stays: bool,
) -> None:
    """507 and all as before; or success, where only the copy for people had to wait."""
    actions: dict[str, Action] = {
        "first label": save(50, make_label),
        "third label": save(50, make_label),
        "image": lambda opened: opened.add_image_file("b", files / "b.nii.gz", info={"note": 1}),
        "notes": lambda opened: opened.update_image_info("a", {"strategy": {"first": 1}}),
        "name": lambda opened: opened.set_name("x"),
    }
    for number in range(1, 3 if what == "third label" else 1):
        save(number, make_label)(store)
    before = tree(studies)
    n_before = len(store.label_versions(case_a))
    earlier = {each.version: each.path.read_bytes() for each in store.label_versions(case_a)}
    for step in range(1, 100):
        full = Full(step, stays=stays)
        try:
            with before_each_step(monkeypatch, full):
                actions[what](store)
        except StorageFull:
            assert tree(studies) == before
            assert store.list_images() == ["a"]
            assert "strategy" not in store.get_image_info("a")
            assert store.name() == "CardiacMotion"
            assert len(store.label_versions(case_a)) == n_before
            check_sound(store, studies, earlier)
            continue
        break
    assert step > 3
    store.refresh()
    store.close()
    with LocalDatastore(studies) as again:
        numbers = check_sound(again, studies, earlier)
        assert len(numbers) == n_before + ("label" in what)
        assert again.list_images() == ["a", "b"][: 1 + (what == "image")]
        assert again.get_image_info("a").get("strategy") == ({"first": 1} if what == "notes" else None)
        assert again.name() == ("x" if what == "name" else "CardiacMotion")


def test_a_version_whose_copy_fails_is_saved_and_its_copy_follows(
    store: LocalDatastore,
    studies: Path,
    case_a: str,
    make_label: MakeLabel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save(1, make_label)(store)
    replace = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if target.parent == studies / "labels/final":
            raise OSError(28, "No space left on device")
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        assert save(2, make_label)(store).version == 2  # type: ignore[attr-defined]
        np.testing.assert_array_equal(read_labels(studies / "labels/final/a.nii.gz").labels, make_label(1).labels)
        assert store.status()["completed"] == 1
    store.refresh()
    check_sound(store, studies, {})
    assert len(store.label_versions(case_a)) == 2


SAVING = """
import sys, itertools
from pathlib import Path
import numpy as np
from cardiac_motion.io import LabelImage
from monailabel_app.lib.datastore import LocalDatastore
with LocalDatastore(sys.argv[1]) as store:
    cine = store.case("a").cine
    print("ready", flush=True)
    for number in itertools.count(1 + len(store.label_versions("a", "final"))):
        labels = np.random.default_rng(number).integers(0, 4, size=cine.shape).astype(np.uint8)
        version = store.save_label_version("a", "final", LabelImage(labels, cine.affine, True), {"n": number})
        print(version.version, flush=True)
"""


def test_killed_while_saving(
    store: LocalDatastore, studies: Path, make_cine: Callable[..., Any], tmp_path: Path
) -> None:
    """kill -9, again and again: every version that was answered is there with its own content."""
    write_cine(tmp_path / "a.nii.gz", make_cine(shape=(8, 4, 32, 32)))
    store.add_image_file("a", tmp_path / "a.nii.gz")
    store.close()
    rng = np.random.default_rng(0)
    answered = 0
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", SAVING, studies], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            for _ in range(rng.integers(1, 8)):
                answered = int(process.stdout.readline())
            time.sleep(rng.uniform(0, 0.02))
            process.send_signal(signal.SIGKILL)
            answered = max([answered, *map(int, process.stdout.read().split())])
        with LocalDatastore(studies) as opened:
            numbers = check_sound(opened, studies, {})
            assert answered <= len(numbers) <= answered + 1
            for version in opened.label_versions("a", "final"):
                assert version.info == {"n": version.version}
                expected = np.random.default_rng(version.version).integers(0, 4, size=(8, 4, 32, 32))
                np.testing.assert_array_equal(read_labels(version.path).labels, expected)
    assert answered >= 3


LIMITED = """
import resource, sys
from pathlib import Path
import numpy as np
from cardiac_motion.io import LabelImage
from monailabel_app.lib.datastore import LocalDatastore
from monailabel_app.lib.errors import StorageFull
with LocalDatastore(sys.argv[1]) as store:
    case = store.case("a")
    labels = np.random.default_rng(0).integers(0, 4, size=case.cine.shape).astype(np.uint8)
    label = LabelImage(labels, case.cine.affine, True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    for action in (
        lambda: store.save_label_version("a", "final", label, {}),
        lambda: store.add_image_file("b", sys.argv[2]),
        lambda: store.update_image_info("a", {"note": "x" * 3000}),
    ):
        try:
            action()
        except StorageFull as error:
            print(error.status, error.message)
"""


def test_files_larger_than_the_system_allows(
    store: LocalDatastore, studies: Path, make_cine: Callable[..., Any], tmp_path: Path
) -> None:
    write_cine(tmp_path / "a.nii.gz", make_cine(shape=(8, 4, 32, 32)))
    store.add_image_file("a", tmp_path / "a.nii.gz")
    store.close()
    before = tree(studies)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, studies, tmp_path / "a.nii.gz"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "507 the server's disk has no room left; nothing was saved\n" * 3
    assert tree(studies) == before
