"""Saved labels whose files or images are no longer what they were."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cardiac_motion.errors import InputError
from cardiac_motion.io import LabelImage, read_labels

from monailabel_app.lib.datastore import LabelVersion, LocalDatastore
from monailabel_app.lib.datastore.canonical import write_canonical
from monailabel_app.lib.errors import Conflict, Damaged, NotFound

MakeLabel = Callable[..., LabelImage]


def content(version: LabelVersion) -> Any:
    return read_labels(version.path).labels


@pytest.mark.parametrize("damage", ["changed", "cut", "gone"])
def test_a_damaged_version_is_never_served(
    store: LocalDatastore, studies: Path, case_a: str, make_label: MakeLabel, damage: str
) -> None:
    store.save_label_version(case_a, "final", make_label(1), {})
    version = store.save_label_version(case_a, "final", make_label(2), {})
    store.label_version(case_a, "final", 2)
    data = bytearray(version.path.read_bytes())
    data[-9] ^= 1
    if damage == "gone":
        version.path.unlink()
    else:
        version.path.write_bytes(data if damage == "changed" else data[:40])
    for _ in range(2):
        with pytest.raises(Damaged, match="version 2 of the label a is no longer what was saved"):
            store.label_version(case_a, "final")
        with pytest.raises(Damaged):
            store.get_label(case_a, "final")
    assert store.label_version(case_a, "final", 1).version == 1
    assert store.save_label_version(case_a, "final", make_label(3), {}).version == 3
    store.close()
    with LocalDatastore(studies) as again:
        assert again.save_label_version(case_a, "final", make_label(4), {}).version == 4
        assert again.label_version(case_a, "final", 3).version == 3


def record_with(**changes: Any) -> bytes:
    """The record of version 2 with something else in it."""
    good = {
        "label": "a",
        "tag": "final",
        "version": 2,
        "ts": "2026-01-01T00:00:00+00:00",
        "sha256": "",
        "info": {},
    }
    return json.dumps(good | changes).encode()


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"{}",
        b"[]",
        b"\0" * 300,
        record_with(label="b"),
        record_with(version=3),
        record_with(tag="original"),
        record_with(ts="yesterday"),
        record_with(info=1),
        record_with(sha256=None),
    ],
)
def test_a_damaged_record_is_no_version_and_its_number_is_not_used_again(
    store: LocalDatastore, studies: Path, case_a: str, make_label: MakeLabel, record: bytes
) -> None:
    store.save_label_version(case_a, "final", make_label(1), {})
    path = store.save_label_version(case_a, "final", make_label(2), {}).path
    store.close()
    path.with_name("000002.json").write_bytes(record)
    with LocalDatastore(studies) as again:
        # The copy for people still has the label, which is taken up from there.
        assert [each.version for each in again.label_versions(case_a)] == [1, 3]
        np.testing.assert_array_equal(content(again.label_version(case_a, "final")), make_label(2).labels)
        assert again.save_label_version(case_a, "final", make_label(3), {}).version == 4
    assert path.exists()
    assert path.with_name("000002.json").read_bytes() == record


@pytest.mark.parametrize("name", ["a", "A"])
def test_a_folder_of_versions_may_be_spelled_in_another_case(
    store: LocalDatastore, studies: Path, case_a: str, make_label: MakeLabel, name: str
) -> None:
    """As where a disk folds case, and an image with the other spelling of an id was there before."""
    for number in (1, 2):
        store.save_label_version(case_a, "final", make_label(number), {"n": number})
    store.close()
    folder = studies / ".cardiac_motion/labels/final/a"
    record = json.loads((folder / "000001.json").read_text())
    (folder / "000001.json").write_text(json.dumps(record | {"label": "A"}))
    folder = folder.rename(folder.with_name(name))
    with LocalDatastore(studies) as again:
        assert [(each.version, each.info) for each in again.label_versions("a")] == [(2, {"n": 2})]
        np.testing.assert_array_equal(content(again.label_version("a", "final")), make_label(2).labels)
        (studies / "a.nii.gz").rename(studies / "A.nii.gz")
        again.refresh()
        assert [(each.version, each.info) for each in again.label_versions("A")] == [(1, {"n": 1})]
    assert sorted(path.name for path in folder.glob("*.json")) == ["000001.json", "000002.json"]


def test_a_record_that_is_a_folder_is_no_version(
    store: LocalDatastore, studies: Path, case_a: str, make_label: MakeLabel
) -> None:
    path = store.save_label_version(case_a, "final", make_label(1), {}).path.with_name("000002.json")
    store.close()
    path.mkdir()
    with LocalDatastore(studies) as again:
        assert [each.version for each in again.label_versions(case_a)] == [1]
        assert again.save_label_version(case_a, "final", make_label(3), {}).version == 3


@pytest.mark.parametrize("what", ["record", "folder of versions", "folder of labels"])
def test_a_start_that_may_not_read_says_so_and_names_nobody(
    store: LocalDatastore,
    studies: Path,
    files: Path,
    make_label: MakeLabel,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    """A version that cannot be read now must not be missed, and the older one be served in its place."""
    store.add_image_file("Mustermann", files / "a.nii.gz")
    store.save_label_version("Mustermann", "final", make_label(1), {})
    store.close()
    read_bytes, iterdir = Path.read_bytes, Path.iterdir
    refused = {
        "record": studies / ".cardiac_motion/labels/final/Mustermann/000001.json",
        "folder of versions": studies / ".cardiac_motion/labels/final/Mustermann",
        "folder of labels": studies / "labels/final",
    }[what]

    def guarded(original: Callable[[Path], Any]) -> Callable[[Path], Any]:
        def call(self: Path) -> Any:
            if self == refused:
                raise PermissionError(13, "Permission denied", str(self))
            return original(self)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", guarded(read_bytes))
        patch.setattr(Path, "iterdir", guarded(iterdir))
        with pytest.raises(InputError) as caught:
            LocalDatastore(studies)
    assert str(caught.value) == f"cannot use the studies folder {studies}: Permission denied"
    with LocalDatastore(studies) as again:  # nothing is left locked
        assert again.label_version("Mustermann", "final").version == 1


def test_the_case_that_was_checked_is_not_read_again(
    studies: Path, files: Path, make_label: MakeLabel, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copyfile(files / "a.nii.gz", studies / "a.nii.gz")
    with LocalDatastore(studies, cache_bytes=0) as store:
        case = store.case("a")

        def never(*_: Any, **__: Any) -> Any:
            raise AssertionError("read again")

        monkeypatch.setattr("monailabel_app.lib.datastore.cases.load_cine", never)
        assert store.save_label_version("a", "final", make_label(1), {}, case=case).version == 1
        with pytest.raises(NotFound):
            store.save_label_version("b", "final", make_label(1), {}, case=case)


@pytest.mark.parametrize("swapped", ["before", "meanwhile", "another file of the id"])
@pytest.mark.parametrize("given", [True, False])
def test_an_image_that_is_swapped_before_its_label_is_saved(
    store: LocalDatastore,
    studies: Path,
    files: Path,
    case_a: str,
    make_label: MakeLabel,
    monkeypatch: pytest.MonkeyPatch,
    swapped: str,
    given: bool,
) -> None:
    case = store.case(case_a)

    def swap() -> None:
        if swapped == "another file of the id":
            (studies / "a.nii.gz").unlink()
            shutil.copyfile(files / "b.nii", studies / "a.nii")
        else:
            shutil.copyfile(files / "b.nii.gz", studies / "a.nii.gz")

    def late(*args: Any) -> Any:
        swap()
        return write_canonical(*args)

    if swapped == "before" and given:
        swap()
    else:
        monkeypatch.setattr("monailabel_app.lib.datastore.labels.write_canonical", late)
    with pytest.raises(Conflict, match="the image a is another one by now") as caught:
        store.save_label_version(case_a, "final", make_label(1), {}, case=case if given else None)
    assert (caught.value.code, caught.value.field) == ("other_image", "image")
    assert store.label_versions(case_a) == []
    assert not (studies / "labels/final/a.nii.gz").exists()


def test_an_image_that_was_only_touched_is_the_same(
    store: LocalDatastore, studies: Path, case_a: str, make_label: MakeLabel
) -> None:
    case = store.case(case_a)
    (studies / "a.nii.gz").touch()
    assert store.save_label_version(case_a, "final", make_label(1), {}, case=case).version == 1
