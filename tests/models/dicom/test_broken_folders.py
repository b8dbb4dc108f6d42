"""Folders in which one thing is broken: one error that names it, and the rest on request."""

from __future__ import annotations

import random
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

from benchmarks.dicom_faults import FAULTS, short_axis
from benchmarks.dicom_folders import Files, edited, read_files, write_files
from benchmarks.dicom_import import check_broken

Write = Callable[..., Path]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("fault", FAULTS)
def test_one_error_and_the_rest_on_request(study: Path, fault: str, seed: int) -> None:
    broken = FAULTS[fault](read_files(study), random.Random(seed))
    assert check_broken(fault, broken, import_dicom(study)) == []


def message_of(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        import_dicom(folder)
    return str(caught.value)


@pytest.fixture(params=[Layout.FRAME_MAJOR, Layout.SERIES_PER_SLICE])
def stack(request: pytest.FixtureRequest, views: dict[str, Cine], write_study: Write, tmp_path: Path) -> Path:
    return write_study({"sax": views["sax"]}, tmp_path / "study", layout=request.param)


@pytest.mark.parametrize("place", [0, 3, -1])
def test_a_missing_phase_without_any_count(stack: Path, place: int) -> None:
    def uncounted(ds: FileDataset) -> None:
        del ds.CardiacNumberOfImages, ds.NumberOfTemporalPositions

    files = {name: edited(each, uncounted) for name, each in read_files(stack).items()}
    write_files(files, stack)
    gone = short_axis(files).slices[1][place]
    (stack / gone).unlink()
    assert "a phase is missing" in message_of(stack)


@pytest.mark.parametrize("place", [0, -1])
def test_a_tilted_slice_at_either_end(stack: Path, place: int) -> None:
    files = read_files(stack)
    for name in short_axis(files).slices[place]:

        def tilt(ds: FileDataset) -> None:
            row, column = np.array(ds.ImageOrientationPatient, float).reshape(2, 3)
            turned = column + 0.1 * np.cross(row, column)
            ds.ImageOrientationPatient = np.concatenate([row, turned / np.linalg.norm(turned)]).round(6).tolist()

        files[name] = edited(files[name], tilt)
    assert "tilted by 5.7 degrees" in message_of(write_files(files, stack))


def test_a_slice_turned_in_its_plane(stack: Path) -> None:
    files = read_files(stack)
    for name in short_axis(files).slices[2]:

        def turn(ds: FileDataset) -> None:
            row, column = np.array(ds.ImageOrientationPatient, float).reshape(2, 3)
            ds.ImageOrientationPatient = np.concatenate([column, -row]).tolist()

        files[name] = edited(files[name], turn)
    assert "is turned in its plane" in message_of(write_files(files, stack))


def test_a_slice_shifted_in_its_plane(stack: Path) -> None:
    files = read_files(stack)
    for name in short_axis(files).slices[3]:

        def shift(ds: FileDataset) -> None:
            moved = np.array(ds.ImagePositionPatient, float) + 2 * np.array(ds.ImageOrientationPatient, float)[:3]
            ds.ImagePositionPatient = moved.round(4).tolist()

        files[name] = edited(files[name], shift)
    message = message_of(write_files(files, stack))
    assert "shifted in their plane" in message
    assert "by 2.0 mm" in message


def test_a_slice_moved_along_the_stack_leaves_a_gap(stack: Path) -> None:
    files = read_files(stack)
    for name in short_axis(files).slices[-1]:

        def move(ds: FileDataset) -> None:
            axes = np.array(ds.ImageOrientationPatient, float).reshape(2, 3)
            ds.ImagePositionPatient = (np.array(ds.ImagePositionPatient, float) + 4 * np.cross(*axes)).tolist()

        files[name] = edited(files[name], move)
    message = message_of(write_files(files, stack))
    assert "a gap in the stack: 13.0 mm" in message
    assert "9.0 mm apart" in message


def test_a_negative_among_the_images(stack: Path) -> None:
    files = read_files(stack)
    name = short_axis(files).slices[1][2]
    files[name] = edited(files[name], lambda ds: setattr(ds, "PhotometricInterpretation", "MONOCHROME1"))
    message = message_of(write_files(files, stack))
    assert name in message
    assert "MONOCHROME1" in message


def test_enhanced_without_or_with_tied_delays(views: dict[str, Cine], write_study: Write, tmp_path: Path) -> None:
    folder = write_study({"sax": views["sax"]}, tmp_path / "study", layout=Layout.SLICE_MAJOR, enhanced=True)
    (path,) = folder.rglob("*.dcm")
    content = path.read_bytes()

    def tie(ds: FileDataset) -> None:
        groups = ds.PerFrameFunctionalGroupsSequence
        time = groups[3].CardiacSynchronizationSequence[0].NominalCardiacTriggerDelayTime
        groups[4].CardiacSynchronizationSequence[0].NominalCardiacTriggerDelayTime = time

    path.write_bytes(edited(content, tie))
    assert "trigger times are tied" in message_of(folder)

    def strip(ds: FileDataset) -> None:
        del ds.PerFrameFunctionalGroupsSequence[5].CardiacSynchronizationSequence

    path.write_bytes(edited(content, strip))
    assert "no trigger time" in message_of(folder)
    path.write_bytes(content[: len(content) // 2])
    assert "truncated" in message_of(folder)


def test_a_broken_other_series_stops_nothing(study: Path, tmp_path: Path) -> None:
    files = read_files(study)
    template = next(iter(files.values()))

    def still(number: int, description: str, **values: object) -> bytes:
        def change(ds: FileDataset) -> None:
            ds.SeriesInstanceUID = generate_uid(entropy_srcs=[description])
            ds.SOPInstanceUID = generate_uid(entropy_srcs=[description, str(number)])
            ds.SeriesDescription, ds.SeriesNumber, ds.InstanceNumber = description, 901, number
            ds.ProtocolName = description
            for keyword, value in values.items():
                setattr(ds, keyword, value)

        return edited(template, change)

    # Made from a cine's header, so that they still say how many frames a cycle has.
    others: Files = {f"lge-{z}": still(z, "psir lge", ImagePositionPatient=[0, 0, 8 * z]) for z in range(3)}
    others |= {f"perf-{t}": still(t, "perfusion rest", TriggerTime=100) for t in range(10)}
    others |= {f"map-{t}": still(t, "t1 molli", InversionTime=100 * t + 90) for t in range(8)}
    others["cut.dcm"] = still(1, "t2 map")[:-50]
    found = import_dicom(write_files({**files, **others}, tmp_path))
    assert [each.name for each in found.cines] == ["sax", "2ch", "3ch", "4ch"]
    assert sum(len(each.files) for each in found.left) == len(others)


def test_damaged_headers_end_in_a_result_or_in_one_error(study: Path, tmp_path: Path) -> None:
    content = bytearray(next(iter(read_files(study).values())))
    luck = random.Random(5)
    path = tmp_path / "image.dcm"
    outcomes = set()
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(luck.choice((1, 3, 10))):
            damaged[luck.randrange(128, 1900)] = luck.randrange(256)
        path.write_bytes(damaged[: luck.choice((len(content), luck.randrange(len(content))))])
        with pytest.raises(InputError, match=r"image\.dcm|no cine|no MR"):
            import_dicom(tmp_path)
        outcomes.add(message_of(tmp_path).split(": ")[-1][:20])
    assert len(outcomes) > 3
