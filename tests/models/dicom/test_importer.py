"""Folders into cines: every layout, coding and habit of scanners; values, geometry, times and heart cycles."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.dicom.importer import import_dicom
from cardiac_motion.dicom.views import View
from cardiac_motion.dicom.writer import Layout
from cardiac_motion.errors import Cancelled, InputError
from pydicom.dataset import FileDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    generate_uid,
)

from benchmarks.dicom_faults import short_axis
from benchmarks.dicom_folders import Files, edited, other_series, parse, read_files, shuffled, write_files
from benchmarks.dicom_import import differences, same_grid

MakeCine = Callable[..., Cine]
Write = Callable[..., Path]
Compress = Callable[[Path, str, Path], FileDataset]


def assert_same(found: Cine, expected: Cine) -> None:
    is_equal, apart = same_grid(found, expected)
    assert is_equal
    assert apart < 1e-3
    np.testing.assert_allclose(found.frame_times, expected.frame_times, atol=1e-6)


@pytest.mark.parametrize("enhanced", [False, True])
@pytest.mark.parametrize("layout", list(Layout))
def test_every_layout(
    views: dict[str, Cine], write_study: Write, tmp_path: Path, layout: Layout, enhanced: bool
) -> None:
    rr = (0.9, 0.8, 0.85, 0.95, 0.7)
    folder = write_study(views, tmp_path / "study", layout=layout, enhanced=enhanced, rr=rr)
    found = import_dicom(folder)
    assert found.left == ()
    assert {each.name: each.view.value for each in found.cines} == {name: name for name in views}
    for each in found.cines:
        is_equal, apart = same_grid(each.cine, views[each.name])
        assert is_equal
        assert apart < 1e-3
        assert (each.notes, each.is_newest) == ((), True)
    sax = next(each for each in found.cines if each.name == "sax")
    assert sax.rr_seconds == pytest.approx(rr)
    # The middle slice's own times.
    np.testing.assert_allclose(sax.cine.frame_times, 0.85 / 8 * np.arange(8), atol=1e-6)
    assert len(sax.series) == (5 if layout is Layout.SERIES_PER_SLICE else 1)


@pytest.mark.parametrize("seed", range(4))
def test_shuffled_renamed_nested_and_mixed(study: Path, tmp_path: Path, seed: int) -> None:
    luck = random.Random(seed)
    files = read_files(study)
    others = other_series(next(iter(files.values())), luck)
    found = import_dicom(write_files(shuffled({**files, **others}, luck), tmp_path))
    assert differences(found, import_dicom(study)) == []
    assert sum(len(each.files) for each in found.left) == len(others)
    assert not any(each.is_error for each in found.left)
    reasons = " ".join(each.reason for each in found.left)
    for part in ("not DICOM", "not a cine", "another kind"):
        assert part in reasons


def test_one_file_alone(make_cine: MakeCine, write_study: Write, tmp_path: Path) -> None:
    cine = make_cine(None, slices=3)
    folder = write_study({"sax": cine}, tmp_path / "study", layout=Layout.FRAME_MAJOR, enhanced=True)
    (path,) = folder.rglob("*.dcm")
    assert_same(import_dicom(path).cines[0].cine, cine)


# Codings


def _recoded(syntax: str) -> Callable[[FileDataset], None]:
    def change(ds: FileDataset) -> None:
        if syntax == RLELossless:
            ds.compress(RLELossless, encoding_plugin="pydicom")
            return
        if syntax == ExplicitVRBigEndian:
            ds.PixelData = ds.pixel_array.astype(">u2").tobytes()
        ds.file_meta.TransferSyntaxUID = UID(syntax)
        ds.is_implicit_VR = syntax == ImplicitVRLittleEndian
        ds.is_little_endian = syntax != ExplicitVRBigEndian

    return change


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless]
)
def test_transfer_syntaxes_of_pydicom(study: Path, tmp_path: Path, syntax: str) -> None:
    files = {name: edited(content, _recoded(syntax)) for name, content in read_files(study).items()}
    assert differences(import_dicom(write_files(files, tmp_path)), import_dicom(study)) == []


@pytest.mark.parametrize("kind", ["JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEG2000Lossless"])
@pytest.mark.parametrize("enhanced", [False, True])
def test_transfer_syntaxes_of_gdcm(
    make_cine: MakeCine, write_study: Write, compressed: Compress, tmp_path: Path, kind: str, enhanced: bool
) -> None:
    cine = make_cine(None, slices=2, frames=4)
    folder = write_study({"sax": cine}, tmp_path / "study", layout=Layout.FRAME_MAJOR, enhanced=enhanced)
    for path in folder.rglob("*.dcm"):
        small = compressed(path, kind, tmp_path / "small")
        path.write_bytes(edited(path.read_bytes(), partial(_with_pixels_of, small)))
    assert_same(import_dicom(folder).cines[0].cine, cine)


def _with_pixels_of(other: FileDataset, ds: FileDataset) -> None:
    ds.file_meta.TransferSyntaxUID = other.file_meta.TransferSyntaxUID
    ds["PixelData"] = other["PixelData"]


def test_old_files_without_preamble(study: Path, tmp_path: Path) -> None:
    files = {}
    for name, content in read_files(study).items():
        ds = parse(edited(content, _recoded(ImplicitVRLittleEndian)))
        length = 132 + 12 + ds.file_meta.FileMetaInformationGroupLength
        files[name] = edited(content, _recoded(ImplicitVRLittleEndian))[length:]
    assert differences(import_dicom(write_files(files, tmp_path)), import_dicom(study)) == []


def test_slope_intercept_sign_and_unused_bits(study: Path, tmp_path: Path) -> None:
    def rescale(ds: FileDataset) -> None:
        pixels = ds.pixel_array.astype(np.int16) - 1500
        ds.PixelRepresentation, ds.BitsStored, ds.HighBit = 1, 12, 11
        # Older files keep an overlay in the bits above; they are no part of the pixel.
        ds.PixelData = ((pixels & 0x0FFF) | 0x4000).astype("<u2").tobytes()
        ds.RescaleSlope, ds.RescaleIntercept = "0.5", "-10"

    files = {name: edited(content, rescale) for name, content in read_files(study).items()}
    ours = {each.name: each.cine for each in import_dicom(write_files(files, tmp_path)).cines}
    for each in import_dicom(study).cines:
        np.testing.assert_array_equal(ours[each.name].frames, (each.cine.frames - 1500) * 0.5 - 10)


# Stacks


def _all(ds: FileDataset, change: dict[str, object]) -> None:
    for keyword, value in change.items():
        setattr(ds, keyword, value)


def _repeat(files: Files, *, later: bool, **change: object) -> Files:
    """The same series acquired again, brighter by one."""

    def again(ds: FileDataset) -> None:
        for keyword in ("SeriesInstanceUID", "SOPInstanceUID"):
            setattr(ds, keyword, generate_uid(entropy_srcs=[ds[keyword].value, str(later)]))
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.SeriesNumber = int(ds.SeriesNumber) + 50
        ds.AcquisitionDate, ds.AcquisitionTime = "20300101" if later else "19900101", "120000"
        ds.PixelData = (ds.pixel_array + 1).tobytes()
        _all(ds, change)

    return {f"again/{name}": edited(content, again) for name, content in files.items()}


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("layout", [Layout.SERIES_PER_SLICE, Layout.SLICE_MAJOR])
def test_the_newest_of_several_stacks(
    views: dict[str, Cine], write_study: Write, tmp_path: Path, layout: Layout, later: bool
) -> None:
    folder = write_study({"sax": views["sax"], "4ch": views["4ch"]}, tmp_path / "study", layout=layout)
    write_files(_repeat(read_files(folder), later=later), folder)
    found = import_dicom(folder)
    assert [each.name for each in found.cines] == ["sax", "4ch"]
    for each in found.cines:
        expected = Cine(
            views[each.name].frames + int(later), views[each.name].affine, views[each.name].frame_times
        )
        assert_same(each.cine, expected)
    assert [each.is_error for each in found.left] == [False, False]
    both = import_dicom(folder, all_stacks=True)
    assert [(each.name, each.is_newest) for each in both.cines] == [
        ("sax", True), ("sax_2", False), ("4ch", True), ("4ch_2", False),
    ]  # fmt: skip
    assert both.left == ()


def test_an_aborted_repeat_takes_no_ones_place(study: Path, tmp_path: Path) -> None:
    files = read_files(study)
    slices = short_axis(files).slices
    aborted = _repeat({name: files[name] for frames in slices[1:3] for name in frames}, later=True)
    del aborted[f"again/{slices[2][3]}"]
    found = import_dicom(write_files({**files, **aborted}, tmp_path))
    sax = next(each for each in found.cines if each.name == "sax")
    # The repeated slice that is whole is the newest of its place; the other one is left.
    assert sax.cine.shape[1] == 5
    assert [each.is_error for each in found.left] == [False, False]
    assert any("acquired again as a whole" in each.reason for each in found.left)


def test_planes_of_one_view_that_differ_are_no_repeats(
    make_cine: MakeCine, views: dict[str, Cine], write_study: Write, tmp_path: Path
) -> None:
    cines = {**views, "2ch": make_cine(80.0), "2ch far": make_cine(80.0, shift=40.0), "2ch near": make_cine(84.0)}
    found = import_dicom(write_study(cines, tmp_path / "study"))
    assert [each.name for each in found.cines] == ["sax", "2ch", "2ch_2", "3ch", "4ch"]
    assert len(found.left) == 1


def test_base_and_apex_as_two_series(make_cine: MakeCine, write_study: Write, tmp_path: Path) -> None:
    cine = make_cine(None, slices=6)
    folder = write_study({"sax": cine}, tmp_path / "study", layout=Layout.SLICE_MAJOR)
    files = read_files(folder)
    apex = {name for frames in short_axis(files).slices[:3] for name in frames}

    def other(ds: FileDataset) -> None:
        ds.SeriesInstanceUID, ds.SeriesNumber = generate_uid(entropy_srcs=["apex"]), 77

    files = {name: edited(each, other) if name in apex else each for name, each in files.items()}
    found = import_dicom(write_files(files, folder))
    assert_same(found.cines[0].cine, cine)
    assert len(found.cines[0].series) == 2


# Phases


def test_different_numbers_of_frames_are_interpolated_in_phase(
    make_cine: MakeCine, write_study: Write, tmp_path: Path
) -> None:
    whole = make_cine(None, slices=4, frames=12)
    # A smooth cycle, which linear interpolation between 24 frames follows closely.
    for frames, slices in ((12, (0, 1, 3)), (24, (2,))):
        phase = 2 * np.pi * np.arange(frames) / frames
        values = 1000 + 500 * np.cos(phase)[:, None, None, None] * np.ones(whole.shape[1:])
        cine = Cine(values.astype(np.float32), whole.affine, np.arange(frames) * 0.9 / frames)
        folder = write_study({"sax": cine}, tmp_path / f"of {frames}")
        for z, series in enumerate(sorted(folder.iterdir())):
            if z in slices:
                series.rename(tmp_path / f"{z}")
        for path in sorted(folder.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        folder.rmdir()
    for path in tmp_path.rglob("*.dcm"):
        path.write_bytes(edited(path.read_bytes(), lambda ds: setattr(ds, "StudyInstanceUID", "1.2.3")))
    (found,) = import_dicom(tmp_path).cines
    assert found.cine.shape[:2] == (12, 4)
    assert len(found.notes) == 1
    assert "24" in found.notes[0]
    expected = 1000 + 500 * np.cos(2 * np.pi * np.arange(12) / 12)
    np.testing.assert_allclose(found.cine.frames[..., 5, 5], np.repeat(expected[:, None], 4, 1), atol=0.6)


def test_triggers_that_begin_late_and_scanners_without_a_count(study: Path, tmp_path: Path) -> None:
    def like_another_scanner(ds: FileDataset) -> None:
        ds.TriggerTime = float(ds.TriggerTime) + 17
        del ds.CardiacNumberOfImages, ds.NominalInterval, ds.HeartRate, ds.AcquisitionTime

    files = {name: edited(each, like_another_scanner) for name, each in read_files(study).items()}
    found = import_dicom(write_files(files, tmp_path))
    for ours, expected in zip(found.cines, import_dicom(study).cines, strict=True):
        np.testing.assert_allclose(ours.cine.frame_times, expected.cine.frame_times, atol=1e-6)
        np.testing.assert_allclose(ours.rr_seconds, 0.8, atol=1e-6)


def test_magnitude_and_phase_in_one_series(study: Path, tmp_path: Path) -> None:
    def phase(ds: FileDataset) -> None:
        ds.ImageType = ["ORIGINAL", "PRIMARY", "P", "RETRO"]
        ds.SOPInstanceUID = generate_uid(entropy_srcs=[ds.SOPInstanceUID])

    files = read_files(study)
    files |= {f"p/{name}": edited(each, phase) for name, each in files.items()}
    found = import_dicom(write_files(files, tmp_path))
    assert differences(found, import_dicom(study)) == []
    assert {each.reason for each in found.left} == {"not magnitude images"}


# Geometry of single slices, and the folder itself


def test_a_slice_alone_is_as_thick_as_its_file_says(
    make_cine: MakeCine, write_study: Write, tmp_path: Path
) -> None:
    folder = write_study({"4ch": make_cine(20.0)}, tmp_path / "study")
    (found,) = import_dicom(folder).cines
    assert (found.view, found.cine.spacing) == (View.FOUR_CHAMBER, pytest.approx((6.0, 2.5, 2.0)))
    files = {
        name: edited(each, lambda ds: ds.__delattr__("SliceThickness"))
        for name, each in read_files(folder).items()
    }
    (guessed,) = import_dicom(write_files(files, folder)).cines
    assert guessed.cine.spacing[0] == pytest.approx(8.0)
    assert "thickness" in guessed.notes[0]


def test_a_short_axis_slice_alone_is_told_to_be_no_stack(
    make_cine: MakeCine, write_study: Write, views: dict[str, Cine], tmp_path: Path
) -> None:
    slice_alone = make_cine(None, slices=1)
    (found,) = import_dicom(write_study({"sax": slice_alone}, tmp_path / "alone")).cines
    assert (found.view, found.cine.shape[1]) == (View.SAX, 1)
    (note,) = found.notes
    assert "a single slice, no short-axis stack" in note
    assert "no other plane says how the heart lies" in note
    others = import_dicom(write_study({**views, "sax": slice_alone}, tmp_path / "study")).cines
    notes = {each.name: each.notes for each in others}
    assert notes.pop("sax") == ("a single slice, no short-axis stack: it has no volume",)
    assert set(notes.values()) == {()}


def test_slice_thickness_says_nothing_about_a_stack(study: Path, tmp_path: Path) -> None:
    files = {
        name: edited(each, lambda ds: _all(ds, {"SliceThickness": 1.0, "SpacingBetweenSlices": 3.0}))
        for name, each in read_files(study).items()
    }
    sax = next(each for each in import_dicom(write_files(files, tmp_path)).cines if each.name == "sax")
    assert sax.cine.spacing[0] == pytest.approx(9.0)


def test_folders_without_a_cine(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is nothing"):
        import_dicom(tmp_path / "none")
    with pytest.raises(InputError, match="it is empty"):
        import_dicom(tmp_path)
    (tmp_path / "letter.txt").write_text("no image")
    with pytest.raises(InputError, match=r"no MR images: letter.txt: not DICOM"):
        import_dicom(tmp_path)


def test_progress_grows_and_cancels(study: Path) -> None:
    seen: list[float] = []
    import_dicom(study, progress=lambda share, _: seen.append(share))
    assert seen == sorted(seen)
    assert seen[0] >= 0
    assert 0.9 < seen[-1] <= 1

    def cancel(share: float, _: str) -> None:
        if share > 0.6:
            raise Cancelled

    with pytest.raises(Cancelled):
        import_dicom(study, progress=cancel)
