"""Strangers' files are decoded a few at a time, whatever asks for it."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from cardiac_motion.io import LabelImage, load_cine, read_labels

from monailabel_app.lib.datastore import LocalDatastore

MakeLabel = Callable[..., LabelImage]
WAIT = 20.0


class Counted:
    """Counts how many are in a call at once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.now = self.most = self.calls = 0

    def __call__(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            with self.lock:
                self.now, self.calls = self.now + 1, self.calls + 1
                self.most = max(self.most, self.now)
            time.sleep(0.05)
            try:
                return original(*args, **options)
            finally:
                with self.lock:
                    self.now -= 1

        return call


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    found = Counted()
    monkeypatch.setattr("monailabel_app.lib.datastore.cases.load_cine", found(load_cine))
    for module in ("labels", "local"):
        monkeypatch.setattr(f"monailabel_app.lib.datastore.{module}.read_labels", found(read_labels))
    return found


@contextmanager
def all_places_taken(store: LocalDatastore, number: int = 2) -> Iterator[None]:
    """Have other threads decode until the end of the block."""
    go, ready = threading.Event(), threading.Barrier(number + 1)

    def hold() -> None:
        with store.decoding():
            ready.wait(WAIT)
            go.wait(WAIT)

    with ThreadPoolExecutor(number) as pool:
        for _ in range(number):
            pool.submit(hold)
        ready.wait(WAIT)
        try:
            yield
        finally:
            go.set()


@pytest.mark.parametrize("at_once", [1, 2])
def test_so_many_at_once(
    studies: Path, files: Path, make_label: MakeLabel, tmp_path: Path, counted: Counted, at_once: int
) -> None:
    for name in ("a", "b", "c"):
        shutil.copyfile(files / "a.nii.gz", studies / f"{name}.nii.gz")
    with LocalDatastore(studies, cache_bytes=0, decoders=at_once) as store:
        label = store.save_label_version("a", "original", make_label(1), {}).path
        shutil.copyfile(label, studies / "labels/final/b.nii.gz")
        calls: list[Callable[[], object]] = [
            *(lambda name=name: store.case(name) for name in "abc"),
            *(lambda number=number: store.add_image_file(f"new-{number}", files / "b.nii") for number in range(3)),
            *(lambda: store.save_label("c", str(label), "final", {}) for _ in range(3)),
            store.refresh,
        ]
        with ThreadPoolExecutor(len(calls)) as pool:
            for done in [pool.submit(call) for call in calls]:
                done.result(WAIT)
        assert counted.most == at_once
        assert counted.calls >= len(calls)
        assert store.label_version("b", "final").version == 1


def test_only_who_decodes_waits(
    store: LocalDatastore, studies: Path, files: Path, case_a: str, make_label: MakeLabel
) -> None:
    """A label found in the folder waits for its turn; whoever saves or asks meanwhile does not."""
    store.add_image_file("b", files / "b.nii")
    case = store.case(case_a)
    label = store.save_label_version(case_a, "original", make_label(1), {}).path
    shutil.copyfile(label, studies / "labels/final/b.nii.gz")
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(2))
        stack.enter_context(all_places_taken(store))
        looking = pool.submit(store.refresh)
        time.sleep(0.1)
        asking = pool.submit(
            lambda: (store.status(), store.save_label_version("a", "final", make_label(2), {}, case=case))
        )
        assert asking.result(WAIT)[1].version == 1
        assert not looking.done()
    looking.result(WAIT)
    assert store.label_version("b", "final").version == 1


def test_uploads_wait_for_their_turn(store: LocalDatastore, files: Path) -> None:
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(1))
        stack.enter_context(all_places_taken(store))
        upload = pool.submit(store.add_image_file, "a", files / "a.nii.gz")
        time.sleep(0.1)
        assert not upload.done()
        assert store.list_images() == []
    assert upload.result(WAIT).id == "a"


def test_a_place_is_free_again_after_an_error_and_taken_once_by_a_thread(store: LocalDatastore) -> None:
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), store.decoding(), store.decoding(), store.decoding():
            raise ZeroDivisionError
    with all_places_taken(store):
        pass


def test_two_threads_that_find_one_label_make_one_version(
    store: LocalDatastore, studies: Path, case_a: str, make_label: MakeLabel, counted: Counted
) -> None:
    case = store.case(case_a)
    label = store.save_label_version(case_a, "original", make_label(1), {}).path
    shutil.copyfile(label, studies / "labels/final/a.nii.gz")
    with ThreadPoolExecutor(4) as pool:
        saved = pool.map(
            lambda number: store.save_label_version("a", "final", make_label(number), {"n": number}, case=case),
            range(2, 6),
        )
        assert sorted(version.version for version in saved) == [2, 3, 4, 5]
    infos = [version.info for version in store.label_versions("a", "final")]
    assert infos[0] == {"source": "found in the folder"}
    assert sorted(info["n"] for info in infos[1:]) == [2, 3, 4, 5]
