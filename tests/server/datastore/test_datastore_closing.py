"""The end of the server while its threads are still at work."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cardiac_motion.errors import InputError
from cardiac_motion.io import LabelImage

from monailabel_app.lib.datastore import LocalDatastore
from monailabel_app.lib.datastore import canonical as canonical_module
from monailabel_app.lib.datastore import labels as labels_module
from monailabel_app.lib.datastore import local as local_module
from monailabel_app.lib.datastore import records as records_module
from monailabel_app.lib.datastore import studies as studies_module
from monailabel_app.lib.datastore import versions as versions_module
from monailabel_app.lib.datastore.gate import Gate
from monailabel_app.lib.datastore.scratch import Scratch
from monailabel_app.lib.datastore.versions import Versions
from monailabel_app.lib.errors import Stopping, Unprocessable

MakeLabel = Callable[..., LabelImage]
Action = Callable[[LocalDatastore], object]

WAIT = 20.0
"""Seconds after which a test that hangs has failed."""


def tree(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != "server.lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


class Halt:
    """Stops the thread that saves in a call until it may go on; other threads pass."""

    def __init__(self) -> None:
        self.reached, self.go = threading.Event(), threading.Event()
        self.thread: int | None = None

    def wrap(self, original: Callable[..., Any], *, after: bool = False) -> Callable[..., Any]:
        def halted(*args: Any, **options: Any) -> Any:
            done = original(*args, **options) if after else None
            if threading.get_ident() == self.thread and not self.reached.is_set():
                self.reached.set()
                assert self.go.wait(WAIT)
            return done if after else original(*args, **options)

        return halted

    def run(self, action: Callable[[], object]) -> object:
        self.thread = threading.get_ident()
        return action()


@contextmanager
def halted_in(halt: Halt, action: Callable[[], object]) -> Iterator[Future[object]]:
    """Run something in another thread, which has reached the call when the block begins."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(halt.run, action)
        try:
            assert halt.reached.wait(WAIT)
            yield running
        finally:
            halt.go.set()


def actions(files: Path, make_label: MakeLabel) -> dict[str, Action]:
    return {
        "label": lambda store: store.save_label_version("a", "final", make_label(1), {}),
        "image": lambda store: store.add_image_file("b", files / "b.nii.gz"),
        "notes": lambda store: store.update_image_info("a", {"note": 1}),
        "name": lambda store: store.set_name("x"),
        "found label": lambda store: store.refresh(),
    }


def drop(studies: Path, store: LocalDatastore, make_label: MakeLabel) -> None:
    """Put a label file where the next look finds it."""
    version = store.save_label_version("a", "original", make_label(9), {})
    (studies / "labels/final").mkdir(exist_ok=True)
    shutil.copyfile(version.path, studies / "labels/final/a.nii.gz")


HALTS: dict[str, tuple[Any, str]] = {
    "label": (canonical_module, "write_labels"),
    "image": (studies_module, "read_cine_within"),
    "notes": (studies_module.ImageRecords, "add_notes"),
    "found label": (canonical_module, "write_labels"),
}
"""A call in the middle of each, before anything is in its place."""


@pytest.mark.parametrize("what", HALTS)
def test_who_is_late_changes_nothing(
    store: LocalDatastore,
    studies: Path,
    files: Path,
    case_a: str,
    make_label: MakeLabel,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    what: str,
) -> None:
    store.case(case_a)
    if what == "found label":
        drop(studies, store, make_label)
    halt = Halt()
    owner, name = HALTS[what]
    monkeypatch.setattr(owner, name, halt.wrap(getattr(owner, name)))
    with halted_in(halt, lambda: actions(files, make_label)[what](store)) as running:
        store.close()
        with LocalDatastore(studies) as next_one:
            next_one.refresh()
            before = tree(studies)
            halt.go.set()
            error = running.exception(WAIT)
            assert isinstance(error, Stopping) if what != "found label" else error is None
            assert tree(studies) == before
            assert list(next_one.scratch_path.iterdir()) == []
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("what", ["label", "image", "notes", "name", "found label"])
def test_nothing_is_written_afterwards(
    store: LocalDatastore, studies: Path, files: Path, case_a: str, make_label: MakeLabel, what: str
) -> None:
    drop(studies, store, make_label)
    shutil.rmtree(studies / "labels" / "original")
    store.close()
    before = tree(studies), sorted(studies.rglob("*"))
    if what == "found label":
        store.refresh()
    else:
        with pytest.raises(Stopping) as caught:
            actions(files, make_label)[what](store)
        assert caught.value.status == 503
    for scratch in (store.scratch_file, store.scratch_folder):
        with pytest.raises(Stopping), scratch():
            pass
    assert store.list_images() == ["a"]
    assert store.find_image(case_a).sha256 == store.case(case_a).sha256
    assert (tree(studies), sorted(studies.rglob("*"))) == before


def test_a_checksum_is_told_though_it_cannot_be_kept(store: LocalDatastore, studies: Path, files: Path) -> None:
    shutil.copyfile(files / "a.nii.gz", studies / "a.nii.gz")
    shutil.copyfile(files / "a.nii.gz", studies / "b.nii.gz")
    known = store.find_image("b").sha256
    store.close()
    assert store.find_image("a").sha256 == known
    assert [path.name for path in (store.data_folder / "images").iterdir()] == ["b.json"]


COMMITS: dict[str, tuple[Any, str, bool]] = {
    "label": (versions_module, "put", True),
    "copy": (labels_module, "exchange", False),
    "restored copy": (labels_module, "exchange", False),
    "image": (studies_module, "put_new", False),
    "notes": (records_module, "exchange", False),
    "name": (local_module, "exchange", False),
}
"""A call in the middle of each commit, and whether to stop after it: some names are there, others not yet."""


@pytest.mark.parametrize("what", COMMITS)
def test_a_commit_under_way_ends_before_the_folder_is_free(
    store: LocalDatastore,
    studies: Path,
    files: Path,
    case_a: str,
    make_label: MakeLabel,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    store.case(case_a)
    known = actions(files, make_label)
    known |= {"copy": known["label"], "restored copy": known["found label"]}
    if what == "restored copy":
        known["label"](store)
        (studies / "labels/final/a.nii.gz").unlink()
    halt = Halt()
    owner, name, after = COMMITS[what]
    monkeypatch.setattr(owner, name, halt.wrap(getattr(owner, name), after=after))
    with halted_in(halt, lambda: known[what](store)) as running:
        closing = threading.Thread(target=store.close)
        closing.start()
        closing.join(0.1)
        assert closing.is_alive()
        with pytest.raises(InputError, match="in use by another server"):
            LocalDatastore(studies)
        halt.go.set()
        assert running.exception(WAIT) is None
        closing.join(WAIT)
        assert not closing.is_alive()
    # Before the next server could have mended it.
    if what in {"label", "copy", "restored copy"}:
        newest = store.label_version("a", "final")
        assert newest.version == 1
        assert (studies / "labels/final/a.nii.gz").read_bytes() == newest.path.read_bytes()
    with LocalDatastore(studies) as again:
        assert len(again.label_versions("a")) == (what in {"label", "copy", "restored copy"})
        assert again.list_images() == (["a", "b"] if what == "image" else ["a"])
        assert again.get_image_info("a").get("note") == (1 if what == "notes" else None)
        assert again.name() == ("x" if what == "name" else "CardiacMotion")


def test_no_version_comes_through_a_gate_that_is_shut(tmp_path: Path) -> None:
    gate = Gate()
    versions = Versions(tmp_path / "versions", Scratch(tmp_path, gate), gate)
    file = tmp_path / "label.nii.gz"
    file.write_bytes(b"x")
    assert gate.shut(0)
    with pytest.raises(Stopping):
        versions.add("final", "a", file, structures=(), info={})
    assert list(tmp_path.iterdir()) == [file]


def test_a_disk_that_does_not_answer_keeps_the_folder_locked(
    store: LocalDatastore,
    studies: Path,
    case_a: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(studies_module, "_COMMIT_SECONDS", 0.1)
    with (
        store._gate,  # as a thread in the middle of a commit, which this one is
        ThreadPoolExecutor(1) as pool,
        caplog.at_level(logging.ERROR),
    ):
        pool.submit(store.close).result(WAIT)
        assert "stays locked" in caplog.text
        assert str(studies) not in caplog.text
        with pytest.raises(InputError, match="in use by another server"):
            LocalDatastore(studies)
        # What this thread has begun it may end.
        store.update_image_info(case_a, {"note": 1})
    store.close()
    with LocalDatastore(studies) as again:
        assert again.get_image_info(case_a)["note"] == 1


def test_a_file_that_is_gone_after_the_end_is_no_fault_of_the_request(store: LocalDatastore) -> None:
    def read_after_the_end() -> None:
        with store.scratch_folder() as folder:
            (folder / "upload").write_bytes(b"x")
            store.close()
            (folder / "upload").read_bytes()

    with pytest.raises(Stopping):
        read_after_the_end()


@pytest.mark.skipif(os.name == "nt", reason="replaces what Windows does by itself")
def test_temporary_files_that_cannot_be_removed(
    store: LocalDatastore,
    studies: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As on Windows while another program has them open: no request fails, and the folder is let go."""
    garbage = studies.parent / "Mustermann.nii"
    garbage.write_bytes(b"x" * 400)

    def refuse(*_: Any, **options: Any) -> None:
        if not options.get("ignore_errors"):
            raise PermissionError(13, "in use", "Mustermann")

    with monkeypatch.context() as patch, caplog.at_level(logging.INFO):
        unlink = Path.unlink
        patch.setattr(
            Path, "unlink", lambda self, **kw: refuse() if "scratch" in str(self) else unlink(self, **kw)
        )
        patch.setattr(shutil, "rmtree", refuse)
        with store.scratch_folder() as folder:
            (folder / "Mustermann.nii").write_bytes(b"x")
        with store.scratch_file(".txt") as file:
            file.write_bytes(b"x")
        with pytest.raises(Unprocessable, match="the image"):
            store.add_image_file("a", garbage)
        store.close()
        store.close()
    assert "could not be removed" in caplog.text
    assert not any(word in caplog.text for word in ("Mustermann", str(studies)))
    with LocalDatastore(studies) as again:
        assert list(again.scratch_path.iterdir()) == []
