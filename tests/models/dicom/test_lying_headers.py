"""Headers that say what cannot be, as fuzzing found them: refused rather than passed over, and without noise."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from cardiac_motion.cine import Cine
from cardiac_motion.dicom.header import Elements
from cardiac_motion.dicom.importer import import_dicom
from cardiac_motion.errors import InputError
from pydicom.dataset import FileDataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, RLELossless

from benchmarks.dicom_folders import edited

Write = Callable[..., Path]
Change = Callable[[FileDataset], None]


@pytest.fixture
def folder(make_cine: Callable[..., Cine], write_study: Write, tmp_path: Path) -> Path:
    """Three slices of four frames, a series for each slice."""
    return write_study({"sax": make_cine(None, slices=3, frames=4)}, tmp_path / "study")


def change(folder: Path, what: Change, *, every: int = 1) -> Path:
    """Change each, or every so-manieth, file of the middle slice."""
    for number, path in enumerate(sorted(folder.glob("002_sax/*"))):
        if number % every == 0:
            path.write_bytes(edited(path.read_bytes(), what))
    return folder


def put(keyword: str, value: object) -> Change:
    return lambda ds: setattr(ds, keyword, value)


def drop(keyword: str) -> Change:
    return lambda ds: ds.__delattr__(keyword)


def raw(keyword: str, vr: str, value: bytes) -> Change:
    """A value that pydicom would not write of itself."""

    def replace(ds: FileDataset) -> None:
        ds._dict[pydicom.tag.Tag(keyword)] = pydicom.dataelem.RawDataElement(
            pydicom.tag.Tag(keyword), vr, len(value), value, 0, False, True
        )

    return replace


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (raw("RescaleSlope", "DS", b"inf "), "rescale slope and intercept"),
        (raw("RescaleIntercept", "DS", b"none"), "rescale slope and intercept"),
        (put("RescaleSlope", 0), "rescale slope and intercept"),
        (drop("PixelRepresentation"), "whether its pixels are signed"),
        (put("PixelRepresentation", 7), "whether its pixels are signed"),
        (put("Rows", 10), "expected 480 bytes of pixels, got 960"),
        (drop("Modality"), "not MR: its modality is none"),
    ],
)
def test_values_without_which_pixels_mean_nothing(folder: Path, what: Change, message: str) -> None:
    with pytest.raises(InputError, match=message):
        import_dicom(change(folder, what))


@pytest.mark.parametrize("syntax", ["1.2.840.113619.5.2", "1.2.840.10008.1.2.4.102", RLELossless])
def test_pixels_that_are_not_compressed_as_the_file_says(folder: Path, syntax: str) -> None:
    for path in folder.glob("002_sax/*"):
        content = path.read_bytes()
        ds = pydicom.dcmread(path)
        ds.file_meta.TransferSyntaxUID = UID(syntax)
        start = 132 + 12 + int(ds.file_meta.FileMetaInformationGroupLength)
        pydicom.filewriter.write_file_meta_info(meta := pydicom.filebase.DicomBytesIO(), ds.file_meta)
        path.write_bytes(content[:132] + meta.getvalue() + content[start:])
    with pytest.raises(InputError, match="expected pixels that are compressed, as its transfer syntax"):
        import_dicom(folder)


@pytest.mark.parametrize("what", [put("Modality", "CT"), put("SOPClassUID", "1.2.3")])
def test_half_of_a_cine_that_calls_itself_something_else(folder: Path, what: Change) -> None:
    """Two of four frames, evenly spaced over the heart cycle, would otherwise be a cine of two."""
    with pytest.raises(InputError, match="in the series of a cine"):
        import_dicom(change(folder, what, every=2))
    found = import_dicom(folder, keep_going=True)
    assert [each.cine.shape[:2] for each in found.cines] == [(4, 2)]
    assert any("are damaged" in each.reason for each in found.left)


def test_a_frame_missing_of_few(folder: Path) -> None:
    """With two steps between three frames, the longer one must not count as the usual one."""
    for path in folder.glob("*/0002.dcm"):
        path.write_bytes(edited(path.read_bytes(), put("Modality", "CT")))
        path.write_bytes(edited(path.read_bytes(), put("SeriesInstanceUID", "1.2.3")))
    with pytest.raises(InputError, match="a phase is missing"):
        import_dicom(folder)


def test_two_orders_of_the_frames(make_cine: Callable[..., Cine], write_study: Write, tmp_path: Path) -> None:
    folder = write_study({"sax": make_cine(None, slices=3, frames=4)}, tmp_path / "study", enhanced=True)

    def contradict(ds: FileDataset) -> None:
        group = ds.PerFrameFunctionalGroupsSequence[3].CardiacSynchronizationSequence[0]
        group.NominalCardiacTriggerDelayTime = 20.0

    for path in folder.glob("002_sax/*"):
        path.write_bytes(edited(path.read_bytes(), contradict))
    with pytest.raises(InputError, match="nominal and actual trigger times put its frames in different orders"):
        import_dicom(folder)


def test_two_pixel_sizes_in_one_slice(folder: Path) -> None:
    path = sorted(folder.glob("002_sax/*"))[3]
    path.write_bytes(edited(path.read_bytes(), put("PixelSpacing", [4.0, 2.0])))
    with pytest.raises(InputError, match="two pixel sizes in one slice"):
        import_dicom(folder)


def test_directions_that_are_rounded_keep_the_pixel_size(folder: Path) -> None:
    expected = import_dicom(folder).cines[0].cine
    for path in folder.rglob("*.dcm"):
        ds = pydicom.dcmread(path)
        rounded = [round(float(value), 3) for value in ds.ImageOrientationPatient]
        path.write_bytes(edited(path.read_bytes(), put("ImageOrientationPatient", rounded)))
    found = import_dicom(folder).cines[0].cine
    np.testing.assert_allclose(found.spacing, expected.spacing, rtol=1e-6)
    np.testing.assert_allclose(found.affine, expected.affine, atol=0.02)


def test_directions_that_are_none(folder: Path) -> None:
    path = next(folder.glob("002_sax/*"))
    wrong = [float(value) * 1.008 for value in pydicom.dcmread(path).ImageOrientationPatient]
    with pytest.raises(InputError, match="does not say where its image lies"):
        import_dicom(change(folder, put("ImageOrientationPatient", wrong)))


@pytest.mark.parametrize("value", [b"MR", b"inf ", b"ISO_IR 9", b"\\\\", b"ISO 2022 IR 87\\ISO_IR 100 "])
def test_character_sets_that_nobody_knows_make_no_noise(folder: Path, value: bytes) -> None:
    expected = import_dicom(folder).cines[0].cine.content_hash
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pydicom, which writes the files
        change(folder, raw("SpecificCharacterSet", "CS", value))
    assert import_dicom(folder).cines[0].cine.content_hash == expected


def test_a_deflated_file_without_its_end(folder: Path) -> None:
    def deflate(ds: FileDataset) -> None:
        ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian

    change(folder, deflate)
    path = next(folder.glob("002_sax/*"))
    content = path.read_bytes()
    start = 132 + 12 + int(pydicom.dcmread(path).file_meta.FileMetaInformationGroupLength)
    whole = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content[start:])
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    # All of the data, and not the mark after them.
    path.write_bytes(content[:start] + packer.compress(whole) + packer.flush(zlib.Z_SYNC_FLUSH))
    with pytest.raises(InputError, match="deflated data have no end: truncated"):
        import_dicom(folder)


def test_numbers_of_python_alone_are_no_decimal_strings(folder: Path) -> None:
    with pytest.raises(InputError, match="rescale slope and intercept"):
        import_dicom(change(folder, raw("RescaleIntercept", "DS", b"1_000 ")))


def test_character_sets_within_sequences_make_no_noise() -> None:
    tag = pydicom.tag.Tag("PixelMeasuresSequence")
    inner = b"\x08\x00\x05\x00\x04\x00\x00\x00RGB " + b"\x28\x00\x30\x00\x04\x00\x00\x001\\2 "
    item = b"\xfe\xff\x00\xe0" + len(inner).to_bytes(4, "little") + inner
    element = pydicom.dataelem.RawDataElement(tag, "UN", len(item), item, 0, True, True)
    (found,) = Elements(lambda _: element).items("PixelMeasuresSequence")
    assert found.numbers("PixelSpacing", 2) == (1.0, 2.0)
