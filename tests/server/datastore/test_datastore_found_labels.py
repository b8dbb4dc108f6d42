"""Label files that people put into the folder: taken up if they fit, left alone if not, never lost."""

from __future__ import annotations

import gzip
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from cardiac_motion.io import LabelImage, read_labels, write_labels

from monailabel_app.lib.datastore import LabelVersion, LocalDatastore
from monailabel_app.lib.errors import StorageFull

MakeLabel = Callable[..., LabelImage]
FOUND = {"source": "found in the folder"}


def drop(path: Path, label: LabelImage, *, old: bool = True, dtype: Any = np.int16) -> Path:
    """Write a label as another program would; long ago unless it is not to be old."""
    values = label.labels if label.is_4d else label.labels[0]
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.Nifti1Image(values.T.astype(dtype), label.affine).to_filename(path)
    if old:
        age(path)
    return path


def age(path: Path) -> None:
    os.utime(path, ns=(10**18, 10**18))


def content(version: LabelVersion) -> Any:
    return read_labels(version.path).labels


def numbers(store: LocalDatastore) -> list[int]:
    return [version.version for version in store.label_versions("a", "final")]


@pytest.fixture
def place(studies: Path) -> Path:
    return studies / "labels" / "final" / "a.nii.gz"


def test_a_label_that_was_there_before_the_server(
    studies: Path, files: Path, make_label: MakeLabel, place: Path
) -> None:
    shutil.copyfile(files / "a.nii.gz", studies / "a.nii.gz")
    drop(place, make_label(5))
    for _ in range(3):
        with LocalDatastore(studies) as store:
            (version,) = store.label_versions("a")
            assert (version.tag, version.version, version.info) == ("final", 1, FOUND)
            np.testing.assert_array_equal(content(version), make_label(5).labels)
            assert place.read_bytes() == version.path.read_bytes()
            assert store.status() == {"total": 1, "completed": 1, "label_tags": {"final": 1}}


def test_a_label_that_comes_while_the_server_runs(
    store: LocalDatastore, case_a: str, make_label: MakeLabel, place: Path
) -> None:
    store.save_label_version(case_a, "final", make_label(1), {})
    drop(place, make_label(2))
    store.refresh()
    assert numbers(store) == [1, 2]
    assert store.label_version(case_a, "final").info == FOUND
    np.testing.assert_array_equal(content(store.label_version(case_a, "final")), make_label(2).labels)
    store.refresh()
    assert numbers(store) == [1, 2]


def test_a_new_file_is_seen_without_being_asked_to_look(
    store: LocalDatastore, case_a: str, make_label: MakeLabel, place: Path
) -> None:
    assert store.status()["completed"] == 0
    drop(place, make_label(2))
    os.utime(place.parent, ns=(10**18 + 1, 10**18 + 1))
    assert store.status()["completed"] == 1


@pytest.mark.parametrize("name", ["a.nii", "a.NII.GZ", "a.seq.nrrd"])
def test_a_label_with_another_ending_stays_beside(
    store: LocalDatastore, studies: Path, case_a: str, make_label: MakeLabel, place: Path, name: str
) -> None:
    """And is not taken up again at each start, although a newer version exists."""
    other = place.with_name(name)
    if name.endswith(".nrrd"):
        write_labels(other, make_label(5).labels, store.case(case_a).cine)
    else:
        drop(other, make_label(5))
    store.refresh()
    assert numbers(store) == [1]
    store.save_label_version(case_a, "final", make_label(6), {})
    store.close()
    for _ in range(2):
        with LocalDatastore(studies) as again:
            assert numbers(again) == [1, 2]
            np.testing.assert_array_equal(read_labels(place).labels, make_label(6).labels)
    assert other.exists()


def bomb(path: Path, label: LabelImage) -> None:
    """A file that promises 10^18 voxels."""
    data = bytearray(gzip.decompress(drop(path, label).read_bytes()))
    data[42:50] = np.array([30000] * 4, dtype="<i2").tobytes()
    bytes_at(path, gzip.compress(bytes(data)))


def bytes_at(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    age(path)


def put_unfit(place: Path, case: str, make: MakeLabel, elsewhere: Path) -> Path:
    """Put something there, or for an unknown image beside it, that is no label of the image; where it is."""
    good = make(7)
    match case:
        case "geometry":
            drop(place, LabelImage(good.labels, np.diag([1, 1, 1, 1.0]), True))
        case "values":
            drop(place, make(7, value=77))
        case "one frame":
            drop(place, make(7, n_frames=1))
        case "garbage" | "empty":
            bytes_at(place, b"garbage" if case == "garbage" else b"")
        case "bomb":
            bomb(place, good)
        case "link":
            place.symlink_to(drop(elsewhere / "outside.nii.gz", good))
            os.utime(place, ns=(10**18, 10**18), follow_symlinks=False)
        case "folder":
            place.mkdir()
            age(place)
        case _:
            place = drop(place.with_name("John-Doe.nii.gz"), good)
    return place


@pytest.mark.parametrize(
    "case", ["geometry", "values", "one frame", "garbage", "empty", "bomb", "link", "folder", "unknown image"]
)
def test_what_does_not_fit_is_left_alone(
    store: LocalDatastore,
    studies: Path,
    case_a: str,
    make_label: MakeLabel,
    place: Path,
    case: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    good = make_label(7)
    place = put_unfit(place, case, make_label, tmp_path)
    before = None if place.is_dir() else place.read_bytes()
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            store.refresh()
    assert store.label_versions(case_a) == []
    assert before is None or place.read_bytes() == before
    assert sum("left alone" in record.message for record in caplog.records) <= 1
    assert not any(word in caplog.text for word in ("a.nii.gz", "John", str(studies)))
    # Where a version needs the name, it is moved aside, not lost.
    store.save_label_version(case_a, "final", good, {})
    store.refresh()
    assert numbers(store) == [1]
    np.testing.assert_array_equal(read_labels(studies / "labels/final/a.nii.gz").labels, good.labels)
    kept = place if case == "unknown image" else place.with_name("a.nii.gz.kept-1")
    assert kept.is_dir() if before is None else kept.read_bytes() == before


def test_a_file_that_is_still_being_copied_is_not_disturbed(
    store: LocalDatastore, case_a: str, make_label: MakeLabel, place: Path, tmp_path: Path
) -> None:
    whole = drop(tmp_path / "whole.nii.gz", make_label(9)).read_bytes()
    place.unlink(missing_ok=True)
    with place.open("wb") as file:
        file.write(whole[:60])
        file.flush()
        store.refresh()
        store.save_label_version(case_a, "final", make_label(1), {})
        store.refresh()
        assert numbers(store) == [1]
        file.write(whole[60:])
    store.refresh()
    assert numbers(store) == [1, 2]
    np.testing.assert_array_equal(content(store.label_version(case_a, "final")), make_label(9).labels)
    assert place.read_bytes() == store.label_version(case_a, "final").path.read_bytes()
    assert [path.name for path in place.parent.iterdir()] == ["a.nii.gz"]


def test_a_label_that_changes_while_it_is_read(
    store: LocalDatastore, case_a: str, make_label: MakeLabel, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(place, make_label(1))

    def changed_meanwhile(path: Path, **limits: int) -> LabelImage:
        read = read_labels(path, **limits)
        drop(place, make_label(2), old=False)
        return read

    with monkeypatch.context() as patch:
        patch.setattr("monailabel_app.lib.datastore.labels.read_labels", changed_meanwhile)
        store.refresh()
    assert store._versions.of("final", case_a) == ()
    store.refresh()
    np.testing.assert_array_equal(content(store.label_version(case_a, "final")), make_label(2).labels)


def test_a_dropped_label_counts_before_the_one_that_is_saved_over_it(
    store: LocalDatastore, case_a: str, make_label: MakeLabel, place: Path
) -> None:
    store.refresh()
    drop(place, make_label(3), old=False)
    assert store.save_label_version(case_a, "final", make_label(4), {}).version == 2
    np.testing.assert_array_equal(content(store.label_version(case_a, "final", 1)), make_label(3).labels)
    np.testing.assert_array_equal(read_labels(place).labels, make_label(4).labels)


@pytest.mark.parametrize("state", ["older", "missing", "other link"])
def test_the_copy_of_the_newest_version_is_restored(
    store: LocalDatastore, studies: Path, case_a: str, make_label: MakeLabel, place: Path, state: str
) -> None:
    """As after a crash between a version and its copy."""
    first = store.save_label_version(case_a, "final", make_label(1), {})
    second = store.save_label_version(case_a, "final", make_label(2), {})
    store.close()
    place.unlink()
    if state == "older":
        shutil.copy2(first.path, place)  # with its time, as it was put there
    elif state == "other link":
        place.symlink_to(first.path)
    with LocalDatastore(studies) as again:
        assert numbers(again) == [1, 2]
        assert place.read_bytes() == second.path.read_bytes()
        assert not place.is_symlink()
        assert first.path.read_bytes() != second.path.read_bytes()
        place.unlink()
        again.refresh()
        assert place.read_bytes() == second.path.read_bytes()


def test_a_folder_of_labels_that_is_removed_comes_back(
    store: LocalDatastore, studies: Path, case_a: str, make_label: MakeLabel, place: Path
) -> None:
    store.save_label_version(case_a, "final", make_label(1), {})
    shutil.rmtree(studies / "labels")
    assert store.status()["completed"] == 1
    assert place.exists()


def test_only_files_that_changed_are_looked_at(
    store: LocalDatastore, case_a: str, make_label: MakeLabel, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(place.with_name("a.nii"), make_label(1, value=99))
    store.save_label_version(case_a, "final", make_label(2), {})
    store.refresh()

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("read again")

    monkeypatch.setattr("monailabel_app.lib.datastore.labels.read_labels", never)
    monkeypatch.setattr("monailabel_app.lib.datastore.labels.sha256_of", never)
    store.refresh()
    assert store.status()["completed"] == 1


def test_a_label_that_did_not_fit_is_looked_at_again_with_another_image(
    store: LocalDatastore, studies: Path, make_label: MakeLabel, place: Path, files: Path
) -> None:
    (studies / "a.nii.gz").write_bytes(b"half an image")
    drop(place, make_label(1))
    store.refresh()
    assert store.label_versions("a") == []
    shutil.copyfile(files / "a.nii.gz", studies / "a.nii.gz")
    store.refresh()
    assert numbers(store) == [1]


def test_a_full_disk_does_not_keep_anyone_from_asking(
    store: LocalDatastore,
    studies: Path,
    case_a: str,
    make_label: MakeLabel,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drop(place, make_label(1))

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("cardiac_motion.io.images.write_nifti", full)
        store.refresh()
        assert store.status() == {"total": 1, "completed": 0, "label_tags": {}}
        with pytest.raises(StorageFull):
            store.save_label_version(case_a, "final", make_label(2), {})
    np.testing.assert_array_equal(read_labels(place).labels, make_label(1).labels)
    store.refresh()
    assert numbers(store) == [1]


def test_an_earlier_version_that_is_put_back_becomes_the_newest(
    store: LocalDatastore, studies: Path, case_a: str, make_label: MakeLabel
) -> None:
    first, second = (store.save_label_version(case_a, "final", make_label(number), {}) for number in (1, 2))
    copy = studies / "labels/final/a.nii.gz"
    copy.write_bytes(first.path.read_bytes())
    later = second.path.with_name("000002.json").stat().st_mtime_ns + 10**9
    os.utime(copy, ns=(later, later))
    store.refresh()
    versions = store.label_versions(case_a, "final")
    assert [each.version for each in versions] == [1, 2, 3]
    assert (content(versions[2]) == content(versions[0])).all()
    # What a crash has left behind is older than the newest version, and no wish of anybody's.
    copy.write_bytes(second.path.read_bytes())
    os.utime(copy, ns=(10**18, 10**18))
    store.refresh()
    assert len(store.label_versions(case_a, "final")) == 3
    assert copy.read_bytes() == versions[2].path.read_bytes()
