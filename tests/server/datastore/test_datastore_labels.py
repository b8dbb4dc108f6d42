"""Labels: what is saved is what comes back, every version of it, and what does not fit is refused."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.errors import InputError
from cardiac_motion.io import LabelImage, load_cine, read_labels, write_labels

from monailabel_app.lib.datastore import LabelVersion, LocalDatastore
from monailabel_app.lib.errors import NotFound, RequestError, Unprocessable

MakeLabel = Callable[..., LabelImage]


def content(version: LabelVersion) -> Any:
    return read_labels(version.path).labels


def test_a_label_of_all_frames(store: LocalDatastore, studies: Path, case_a: str, make_label: MakeLabel) -> None:
    label = make_label(0b1011)
    info = {"verified_frames": [0, 2], "model": {"name": "recursive", "version": 1}, "note": "ü"}
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    version = store.save_label_version(case_a, "final", label, info)
    assert (version.label, version.tag, version.version, version.structures) == ("a", "final", 1, ("LV",))
    assert before <= datetime.fromisoformat(version.saved) <= datetime.now(UTC)
    assert version.info == info
    info["note"] = "changed by the caller later"
    assert store.label_version(case_a, "final").info["note"] == "ü"
    stored = nib.Nifti1Image.from_filename(version.path)
    assert stored.get_data_dtype() == np.uint8
    assert stored.header["pixdim"][4] == pytest.approx(0.03)
    np.testing.assert_array_equal(content(version), label.labels)
    np.testing.assert_allclose(read_labels(version.path).affine, store.case(case_a).cine.affine)
    assert (studies / "labels" / "final" / "a.nii.gz").read_bytes() == version.path.read_bytes()
    assert not (studies / "labels" / "final" / "a.nii.gz").samefile(version.path)
    assert list(store.scratch_path.iterdir()) == []


def test_a_label_of_one_frame_fills_that_frame(store: LocalDatastore, case_a: str, make_label: MakeLabel) -> None:
    label = make_label(7, n_frames=1)
    version = store.save_label_version(case_a, "original", label, {"key_frames": [2]})
    np.testing.assert_array_equal(content(version)[2], label.labels[0])
    assert not content(version)[[0, 1, 3]].any()


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({}, "exactly one key frame .* as the image has 4; got none"),
        ({"key_frames": None}, "got none"),
        ({"key_frames": []}, "got none"),
        ({"key_frames": [0, 1]}, "got 2"),
        ({"key_frames": [4]}, "key_frames as a list of whole numbers from 0 to 3"),
        ({"key_frames": [-1]}, "from 0 to 3"),
        ({"key_frames": [1.0]}, "from 0 to 3"),
        ({"key_frames": [True]}, "from 0 to 3"),
        ({"key_frames": 1}, "from 0 to 3"),
        ({"key_frames": "0"}, "from 0 to 3"),
        ({"key_frames": [0], "verified_frames": [9]}, "verified_frames as a list"),
        ({"key_frames": [0], "note": float("nan")}, "finite numbers"),
    ],
)
def test_frames_that_do_not_fit(
    store: LocalDatastore, case_a: str, make_label: MakeLabel, info: dict[str, Any], message: str
) -> None:
    with pytest.raises(Unprocessable, match=message):
        store.save_label_version(case_a, "final", make_label(7, n_frames=1), info)
    assert store.label_versions(case_a) == []


def shifted(label: LabelImage) -> LabelImage:
    affine = label.affine.copy()
    affine[:3, 3] += affine[:3, 0]
    return LabelImage(label.labels, affine, label.is_4d, name="/srv/secret/label.nii")


def flipped(label: LabelImage) -> LabelImage:
    affine = label.affine.copy()
    affine[:3, 0] *= -1
    return LabelImage(label.labels, affine, label.is_4d)


WRONG: dict[str, tuple[Callable[[MakeLabel], LabelImage], str]] = {
    "another place": (lambda make: shifted(make(7)), "does not lie on the voxels of the cine a"),
    "another direction": (lambda make: flipped(make(7)), "does not lie on the voxels"),
    "another size": (
        lambda make: LabelImage(make(7).labels[:, :, :, 1:], make(7).affine, True),
        r"has size \(X, Y, Z\) = \(5, 8, 2\)",
    ),
    "too few frames": (lambda make: make(7, n_frames=3), "has 3 frames; expected one, or 4"),
    "too many frames": (lambda make: make(7, n_frames=5), "has 5 frames"),
    "unknown values": (lambda make: make(7, value=9), r"has the label values \[9\]"),
}


@pytest.mark.parametrize("case", WRONG)
def test_labels_that_do_not_fit(store: LocalDatastore, case_a: str, make_label: MakeLabel, case: str) -> None:
    make, message = WRONG[case]
    with pytest.raises(Unprocessable, match=f"^the label: {message}") as caught:
        store.save_label_version(case_a, "final", make(make_label), {"key_frames": [0]})
    assert caught.value.field == "label"
    assert store.label_versions(case_a) == []
    assert store.status()["completed"] == 0


def test_label_files(store: LocalDatastore, case_a: str, make_label: MakeLabel, tmp_path: Path) -> None:
    """Through MONAI Label's own method; values stored as numbers of another type are labels all the same."""
    label = make_label(9)
    image = nib.Nifti1Image(label.labels.T.astype(np.float32), label.affine)
    image.to_filename(tmp_path / "label.nii")
    assert store.save_label(case_a, str(tmp_path / "label.nii"), "final", {"note": "x"}) == "a"
    version = store.label_version(case_a, "final")
    np.testing.assert_array_equal(content(version), label.labels)
    assert nib.Nifti1Image.from_filename(version.path).get_data_dtype() == np.uint8
    assert version.info == {"note": "x"}


@pytest.mark.parametrize("damage", ["garbage", "truncated", "half values", "promise"])
def test_bad_label_files(
    store: LocalDatastore, case_a: str, make_label: MakeLabel, tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "Mustermann.nii.gz"
    label = make_label(9)
    values = label.labels.astype(np.float32) + (0.5 if damage == "half values" else 0)
    nib.Nifti1Image(values.T, label.affine).to_filename(path)
    if damage == "garbage":
        path.write_bytes(b"PK\3\4" * 100)
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-20])
    elif damage == "promise":
        data = bytearray(gzip.decompress(path.read_bytes()))
        data[42:50] = np.array([30000] * 4, dtype="<i2").tobytes()
        path.write_bytes(gzip.compress(bytes(data)))
    with pytest.raises(Unprocessable) as caught:
        store.save_label(case_a, str(path), "final", {})
    assert caught.value.message.startswith("the label: ")
    assert str(tmp_path) not in caught.value.message
    assert "Mustermann" not in caught.value.message
    assert store.label_versions(case_a) == []


def test_every_version_stays(store: LocalDatastore, studies: Path, case_a: str, make_label: MakeLabel) -> None:
    for number in range(1, 5):
        assert store.save_label_version(case_a, "final", make_label(number), {"n": number}).version == number
    store.save_label_version(case_a, "original", make_label(99), {})
    store.close()
    with LocalDatastore(studies) as opened:
        assert [(each.tag, each.version) for each in opened.label_versions(case_a)] == [
            *(("final", number) for number in range(1, 5)),
            ("original", 1),
        ]
        for number in range(1, 5):
            version = opened.label_version(case_a, "final", number)
            assert version.info == {"n": number}
            np.testing.assert_array_equal(content(version), make_label(number).labels)
        assert opened.label_version(case_a, "final").version == 4
        np.testing.assert_array_equal(read_labels(studies / "labels/final/a.nii.gz").labels, make_label(4).labels)
        assert [each.version for each in opened.label_versions(case_a, "original")] == [1]


def test_what_is_not_there(store: LocalDatastore, case_a: str, make_label: MakeLabel) -> None:
    assert store.label_versions(case_a) == []
    with pytest.raises(NotFound, match="no label a with the tag final"):
        store.label_version(case_a, "final")
    store.save_label_version(case_a, "final", make_label(1), {})
    for version in (0, 2, -1, 10**30):
        with pytest.raises(NotFound, match=f"no version {version} of the label a"):
            store.label_version(case_a, "final", version)
    with pytest.raises(NotFound):
        store.label_version(case_a, "original")
    for ask in (store.label_versions, lambda image: store.label_version(image, "final")):
        with pytest.raises(NotFound, match="no image b"):
            ask("b")
    with pytest.raises(NotFound, match="no image b"):
        store.save_label_version("b", "final", make_label(1), {})


def test_labels_wait_for_their_image(
    store: LocalDatastore, studies: Path, case_a: str, make_label: MakeLabel
) -> None:
    store.save_label_version(case_a, "final", make_label(1), {})
    (studies / "a.nii.gz").rename(studies / "a.away")
    assert store.status() == {"total": 0, "completed": 0, "label_tags": {}}
    assert store.get_label_uri(case_a, "final") == ""
    assert store.datalist() == []
    (studies / "a.away").rename(studies / "a.nii.gz")
    assert store.label_version(case_a, "final").version == 1


def test_skewed_grids_are_brought_onto_the_images_own(
    store: LocalDatastore, make_label: MakeLabel, tmp_path: Path
) -> None:
    """Labels drawn where a program had straightened the image: their voxels count, on the image's grid."""
    affine = np.array([[1.4, 0, 0.05, 0], [0, 1.4, 0, 0], [0, 0, 8, 0], [0, 0, 0, 1.0]])
    cine = Cine(np.ones((4, 2, 8, 6), dtype=np.float32), affine, np.arange(4) * 0.03)
    image = nib.Nifti1Image(cine.frames.T, affine)
    image.header.set_xyzt_units("mm", "sec")
    image.to_filename(tmp_path / "s.nii")
    store.add_image_file("s", tmp_path / "s.nii")
    straight = np.diag([1.4, 1.4, 8, 1.0])
    version = store.save_label_version("s", "final", LabelImage(make_label(7).labels, straight, True), {})
    np.testing.assert_allclose(read_labels(version.path).affine, store.case("s").cine.affine, atol=1e-6)


def test_threads_that_save_at_once(
    store: LocalDatastore, studies: Path, case_a: str, make_label: MakeLabel
) -> None:
    """No version is lost, none is saved twice, and each holds the label that came with its info."""
    start = threading.Barrier(6)

    def save(thread: int) -> list[tuple[int, int]]:
        start.wait()
        numbers = range(1 + 5 * thread, 6 + 5 * thread)
        return [
            (number, store.save_label_version(case_a, "final", make_label(number), {"n": number}).version)
            for number in numbers
        ]

    with ThreadPoolExecutor(6) as pool:
        saved = [pair for pairs in pool.map(save, range(6)) for pair in pairs]
    assert sorted(version for _, version in saved) == list(range(1, 31))
    store.close()
    with LocalDatastore(studies) as again:
        for number, at in saved:
            version = again.label_version(case_a, "final", at)
            assert version.info == {"n": number}
            np.testing.assert_array_equal(content(version), make_label(number).labels)
        newest = again.label_version(case_a, "final")
        assert (studies / "labels/final/a.nii.gz").read_bytes() == newest.path.read_bytes()


def test_a_second_server_is_kept_out(studies: Path, store: LocalDatastore) -> None:
    with pytest.raises(InputError, match="in use by another server"):
        LocalDatastore(studies)
    # Another thread may be the one that closes.
    closing = threading.Thread(target=store.close)
    closing.start()
    closing.join()
    store.close()
    LocalDatastore(studies).close()


@pytest.mark.parametrize("what", ["missing", "file", ".cardiac_motion", "labels/final", "read-only"])
def test_folders_that_cannot_be_used(tmp_path: Path, what: str) -> None:
    folder, elsewhere = tmp_path / "studies", tmp_path / "elsewhere"
    elsewhere.mkdir()
    if what == "file":
        folder.write_text("x")
    elif what != "missing":
        folder.mkdir()
        place = folder / what
        if what == "read-only":
            (folder / "labels").write_text("a file in the way")
        else:
            place.parent.mkdir(exist_ok=True)
            place.symlink_to(elsewhere)
    with pytest.raises(InputError, match=r"expected a folder of studies|leads elsewhere|cannot use the studies"):
        LocalDatastore(folder)
    assert [path.name for path in elsewhere.rglob("*") if path.is_file()] == []


def test_temporary_files(store: LocalDatastore, studies: Path) -> None:
    with store.scratch_file(".nii.gz") as file, store.scratch_folder() as folder:
        assert file.parent == folder.parent == store.scratch_path == studies / ".cardiac_motion/scratch"
        assert file.name.endswith(".nii.gz")
        assert not file.exists()
        file.write_text("x")
        (folder / "deep").mkdir()
        (folder / "deep" / "x").write_text("x")
        assert len(list(store.scratch_path.iterdir())) == 2
    assert list(store.scratch_path.iterdir()) == []
    with pytest.raises(ValueError, match="ending of a name"), store.scratch_file("/../x"):
        pass
    (store.scratch_path / "left").write_text("by a crash")
    (store.scratch_path / "folder").mkdir()
    (store.scratch_path / "folder" / "left").write_text("by a crash")
    (store.scratch_path / "link").symlink_to(studies)
    store.close()
    with LocalDatastore(studies) as again:
        assert list(again.scratch_path.iterdir()) == []
    assert studies.is_dir()


def test_the_record_on_disk_is_the_documented_one(
    store: LocalDatastore, studies: Path, case_a: str, make_label: MakeLabel
) -> None:
    version = store.save_label_version(case_a, "final", make_label(1), {"n": 1})
    folder = studies / ".cardiac_motion/labels/final/a"
    assert sorted(path.name for path in folder.iterdir()) == ["000001.json", "000001.nii.gz"]
    record = json.loads((folder / "000001.json").read_text())
    assert record == {**version.to_json(), "found_sha256": None}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", record["ts"])
    assert str(studies) not in (folder / "000001.json").read_text()


def test_a_label_without_its_image_on_disk_is_an_error_of_the_request(
    store: LocalDatastore, studies: Path, files: Path, make_label: MakeLabel
) -> None:
    shutil.copyfile(files / "a.nii.gz", studies / "bad.nii.gz")
    (studies / "bad.nii.gz").write_bytes(b"garbage")
    with pytest.raises(RequestError) as caught:
        store.save_label_version("bad", "final", make_label(1), {})
    assert caught.value.status == 422
    assert not (studies / "labels/final/bad.nii.gz").exists()


def test_the_same_label_gives_the_same_bytes(
    store: LocalDatastore, files: Path, case_a: str, make_label: MakeLabel, tmp_path: Path
) -> None:
    first = store.save_label_version(case_a, "final", make_label(3), {})
    second = store.save_label_version(case_a, "final", make_label(3), {})
    assert (first.sha256, second.version) == (second.sha256, 2)
    write_labels(tmp_path / "x.nii.gz", make_label(3).labels, load_cine(files / "a.nii.gz")[0])
    assert (tmp_path / "x.nii.gz").read_bytes() == first.path.read_bytes()
