"""Folders as exports and disks leave them: links, files twice, copies that were computed, flow beside cines."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.dicom.importer import import_dicom
from cardiac_motion.dicom.writer import Layout
from cardiac_motion.errors import InputError
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from benchmarks.dicom_folders import Files, edited, read_files, write_files
from benchmarks.dicom_import import differences

Write = Callable[..., Path]


def test_linked_folders_are_read_once(study: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "patient").symlink_to(study, target_is_directory=True)
    (folder / "again").symlink_to(study, target_is_directory=True)
    (folder / "circle").symlink_to(folder, target_is_directory=True)
    found = import_dicom(folder)
    assert differences(found, import_dicom(study)) == []
    assert found.left == ()


def test_a_link_to_nothing_is_a_file_that_cannot_be_read(study: Path, tmp_path: Path) -> None:
    write_files(read_files(study), tmp_path)
    (tmp_path / "gone.dcm").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"gone\.dcm: cannot be read"):
        import_dicom(tmp_path)
    found = import_dicom(tmp_path, keep_going=True)
    assert differences(found, import_dicom(study)) == []
    assert [each.files for each in found.left] == [("gone.dcm",)]


@pytest.mark.skipif(os.name != "posix", reason="not run: only POSIX systems make paths that they cannot open")
def test_a_folder_that_cannot_be_listed_is_told(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(read_files(study), tmp_path)
    monkeypatch.chdir(tmp_path)
    for _ in range(20):
        Path("d" * 250).mkdir()
        os.chdir("d" * 250)
    with pytest.raises(InputError, match="cannot be looked at: File name too long") as caught:
        import_dicom(tmp_path)
    assert len(str(caught.value)) < 600
    found = import_dicom(tmp_path, keep_going=True)
    assert differences(found, import_dicom(study)) == []


def test_names_of_files_command_no_terminal(study: Path, tmp_path: Path) -> None:
    write_files(read_files(study), tmp_path)
    (tmp_path / "\x1b[2J\nno image").write_text("no image")
    (left,) = import_dicom(tmp_path).left
    assert left.files == ("\x1b[2J\nno image",)
    assert str(left).isprintable()


@pytest.mark.parametrize("enhanced", [False, True])
def test_a_folder_with_all_files_twice(
    views: dict[str, Cine], write_study: Write, tmp_path: Path, enhanced: bool
) -> None:
    folder = write_study(views, tmp_path / "study", layout=Layout.SLICE_MAJOR, enhanced=enhanced)
    files = read_files(folder)
    expected = import_dicom(folder)
    write_files({f"export 2/{name}": content for name, content in files.items()}, folder)
    with pytest.raises(InputError, match=r"export 2/.* same content .* same position and trigger time"):
        import_dicom(folder)
    found = import_dicom(folder, keep_going=True)
    assert differences(found, expected) == []
    assert all(cine.notes == () for cine in found.cines)
    assert {name for each in found.left for name in each.files} == {f"export 2/{name}" for name in files}
    assert all(each.is_error for each in found.left)


def _other(series: str, change: Callable[[FileDataset], None]) -> Callable[[FileDataset], None]:
    def edit(ds: FileDataset) -> None:
        for keyword in ("SeriesInstanceUID", "SOPInstanceUID"):
            setattr(ds, keyword, generate_uid(entropy_srcs=[ds[keyword].value, series]))
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.SeriesNumber = int(ds.SeriesNumber) + 500
        ds.SeriesDescription = ds.ProtocolName = series
        change(ds)

    return edit


def test_what_was_computed_later_does_not_take_the_place_of_what_was_acquired(study: Path, tmp_path: Path) -> None:
    def computed(ds: FileDataset) -> None:
        ds.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
        ds.AcquisitionTime = "235900"
        ds.PixelData = (ds.pixel_array // 2).tobytes()

    files = read_files(study)
    copies: Files = {f"copy/{name}": edited(each, _other("copy", computed)) for name, each in files.items()}
    found = import_dicom(write_files({**files, **copies}, tmp_path))
    assert differences(found, import_dicom(study)) == []
    assert {name for each in found.left for name in each.files} == set(copies)
    # Alone it is what there is.
    assert len(import_dicom(write_files(copies, tmp_path / "alone")).cines) == 4


def test_magnitude_and_velocity_that_nothing_tells_apart_stop_no_cine(study: Path, tmp_path: Path) -> None:
    def moved(ds: FileDataset) -> None:
        axes = np.array(ds.ImageOrientationPatient, float).reshape(2, 3)
        ds.ImagePositionPatient = (np.array(ds.ImagePositionPatient, float) + 70 * np.cross(*axes)).tolist()
        ds.SeriesInstanceUID = "1.2.3"

    files = read_files(study)
    aorta = [each for name, each in files.items() if "4ch" in name]
    flow = {
        f"flow {kind}-{t}": edited(edited(each, _other("2d pc aorta", moved)), _instance(kind))
        for kind in "mv"
        for t, each in enumerate(aorta)
    }
    found = import_dicom(write_files({**files, **flow}, tmp_path))
    assert differences(found, import_dicom(study)) == []
    (left,) = found.left
    assert "same position and trigger time" in left.reason


def _instance(kind: str) -> Callable[[FileDataset], None]:
    def edit(ds: FileDataset) -> None:
        ds.SOPInstanceUID = generate_uid(entropy_srcs=[ds.SOPInstanceUID, kind])
        ds.InstanceNumber = int(ds.InstanceNumber) + 100 * ord(kind)

    return edit
