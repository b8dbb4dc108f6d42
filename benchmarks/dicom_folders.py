"""Folders of DICOM files as they come: shuffled, renamed, nested, with other series between the cines."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

Files = dict[str, bytes]
"""The content of a folder by names relative to it."""

_SHARED = (
    "PatientName", "PatientID", "StudyInstanceUID", "StudyDate", "StudyTime", "FrameOfReferenceUID",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness",
)  # fmt: skip
_DICOMDIR = "1.2.840.10008.1.3.10"
_REPORT = "1.2.840.10008.5.1.4.1.1.88.22"


def read_files(folder: Path) -> Files:
    """All files of a folder, however deep."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def write_files(files: Files, folder: Path) -> Path:
    """Write them; the folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def parse(content: bytes) -> FileDataset:
    """A DICOM file's content."""
    return pydicom.dcmread(io.BytesIO(content))


def content_of(ds: FileDataset) -> bytes:
    """A data set as a DICOM file."""
    buffer = io.BytesIO()
    ds.save_as(buffer, write_like_original=False)
    return buffer.getvalue()


def edited(content: bytes, change: Callable[[FileDataset], None]) -> bytes:
    """A DICOM file after a change."""
    ds = parse(content)
    change(ds)
    return content_of(ds)


def shuffled(files: Files, luck: random.Random) -> Files:
    """The same contents in another order, under other names, at other depths."""
    contents = list(files.values())
    luck.shuffle(contents)
    found: Files = {}
    for number, content in enumerate(contents):
        depth = luck.randrange(4)
        place = "/".join(luck.choice(("a", "b b", "DICOM", "série", "x.y", "0001")) for _ in range(depth))
        ending = luck.choice(("", ".dcm", ".IMA", ".txt", ".1"))
        stem = f"{luck.randrange(16**8):08X}{number:X}"
        found[f"{place}/{stem}{ending}" if place else f"{stem}{ending}"] = content
    return found


def other_series(template: bytes, luck: random.Random) -> Files:
    """What else there is in a study folder: other series of the same patient, and files that are no images.

    Args:
        template: a cine's file; the other images lie where it does, with its size.
        luck: what varies.
    """
    kinds = [_localizer, _late_enhancement, _t1_source, _t1_map, _perfusion, _flow_phase, _ct, _report]
    files: Files = {}
    for kind in kinds:
        if luck.random() < 0.85:
            for number, ds in enumerate(kind(parse(template), luck)):
                files[f"{kind.__name__.strip('_')}-{number:03d}"] = content_of(ds)
    files["DICOMDIR"] = _directory()
    files["readme.txt"] = b"\x08\x00 is no DICOM, and neither is this. " * 20
    files["empty"] = b""
    files["export.xml"] = b"<?xml version='1.0'?><study/>"
    return files


def _image(template: Dataset, series: str, number: int, *, luck: random.Random, **values: object) -> FileDataset:
    """An MR image of a new series, with nothing of a cine's timing."""
    ds = Dataset()
    for keyword in _SHARED:
        if keyword in template:
            ds[keyword] = template[keyword]
    ds.Modality, ds.SOPClassUID = "MR", MRImageStorage
    ds.SOPInstanceUID = generate_uid(entropy_srcs=[series, str(number), str(luck.random())])
    ds.SeriesInstanceUID = generate_uid(entropy_srcs=[series, str(template.StudyInstanceUID)])
    ds.SeriesNumber = sum(map(ord, series)) % 900 + 30000
    ds.InstanceNumber = number
    ds.SeriesDescription = series
    ds.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    ds.Rows = ds.Columns = 24
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    ds.EchoTime, ds.RepetitionTime = 1.3, 3.0
    ds.PixelData = np.full((24, 24), luck.randrange(4096), np.uint16).tobytes()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return _file(ds)


def _file(ds: Dataset) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset(None, ds, preamble=b"\0" * 128, file_meta=meta)  # type: ignore[arg-type]
    file.is_little_endian, file.is_implicit_VR = True, False
    return file


def _moved(template: Dataset, mm: float) -> list[float]:
    """A position further along the normal."""
    axes = np.array(template.ImageOrientationPatient, float).reshape(2, 3)
    return (np.array(template.ImagePositionPatient, float) + mm * np.cross(*axes)).round(4).tolist()


def _localizer(template: Dataset, luck: random.Random) -> Iterator[FileDataset]:
    axes = ([1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 0, -1], [0, 1, 0, 0, 0, -1])
    for number in range(9):
        yield _image(
            template, "localizer", number, luck=luck, ImageOrientationPatient=axes[number % 3],
            ImagePositionPatient=[10.0 * number, -120.0, 60.0], TriggerTime=0,
        )  # fmt: skip


def _late_enhancement(template: Dataset, luck: random.Random) -> Iterator[FileDataset]:
    for number in range(10):
        yield _image(
            template, "PSIR LGE sax", number, luck=luck, ImagePositionPatient=_moved(template, 8.0 * number),
            InversionTime=300, TriggerTime=650, NominalInterval=900, CardiacNumberOfImages=1,
        )  # fmt: skip


def _t1_source(template: Dataset, luck: random.Random) -> Iterator[FileDataset]:
    for number, inversion in enumerate((100, 180, 1000, 1080, 1900, 1980, 2800, 3700)):
        yield _image(
            template, "T1_MOLLI", number, luck=luck, InversionTime=inversion, TriggerTime=600 + 11 * number,
            NominalInterval=900,
        )  # fmt: skip


def _t1_map(template: Dataset, luck: random.Random) -> Iterator[FileDataset]:
    yield _image(template, "T1 map", 1, luck=luck, ImageType=["DERIVED", "PRIMARY", "T1", "T1 MAP"])


def _perfusion(template: Dataset, luck: random.Random) -> Iterator[FileDataset]:
    for number in range(36):
        seconds = 600 + number // 3
        yield _image(
            template, "perf stress", number, luck=luck,
            ImagePositionPatient=_moved(template, 10.0 * (number % 3)), TriggerTime=100 + 180 * (number % 3),
            AcquisitionDate="20000101", AcquisitionTime=f"10{seconds // 60:02d}{seconds % 60:02d}",
            NominalInterval=900, NumberOfTemporalPositions=12,
        )  # fmt: skip


def _flow_phase(template: Dataset, luck: random.Random) -> Iterator[FileDataset]:
    for number in range(20):
        yield _image(
            template, "flow aorta", number, luck=luck, TriggerTime=40 * number, NominalInterval=800,
            ImageType=["DERIVED", "PRIMARY", "P", "RETRO"], CardiacNumberOfImages=20,
        )  # fmt: skip


def _ct(template: Dataset, luck: random.Random) -> Iterator[FileDataset]:
    for number in range(12):
        yield _image(
            template, "thorax", number, luck=luck, Modality="CT", SOPClassUID=CTImageStorage,
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0], ImagePositionPatient=[0.0, 0.0, 5.0 * number],
        )  # fmt: skip


def _report(template: Dataset, luck: random.Random) -> Iterator[FileDataset]:
    ds = Dataset()
    ds.StudyInstanceUID, ds.Modality, ds.SOPClassUID = template.StudyInstanceUID, "SR", _REPORT
    ds.SOPInstanceUID = generate_uid(entropy_srcs=["report", str(luck.random())])
    ds.SeriesInstanceUID, ds.SeriesNumber = generate_uid(entropy_srcs=["reports"]), 999
    item = Dataset()
    item.ValueType, item.TextValue = "TEXT", "Normal function."
    ds.ContentSequence = Sequence([item])
    yield _file(ds)


def _directory() -> bytes:
    record = Dataset()
    record.OffsetOfTheNextDirectoryRecord = 0
    record.RecordInUseFlag = 0xFFFF
    record.OffsetOfReferencedLowerLevelDirectoryEntity = 0
    record.DirectoryRecordType = "PRIVATE"
    ds = Dataset()
    ds.FileSetID = "STUDY"
    ds.DirectoryRecordSequence = Sequence([record])
    ds.SOPClassUID, ds.SOPInstanceUID = _DICOMDIR, generate_uid(entropy_srcs=["directory"])
    file = _file(ds)
    del file.SOPClassUID, file.SOPInstanceUID
    return content_of(file)
