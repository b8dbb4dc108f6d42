"""What single-frame and enhanced images have in common: patient, study, series, equipment, pixels, identifiers.

The patient does not exist. The phantom has no pulse sequence either; where the standard demands one, the values
are typical of a breath-hold bSSFP cine at 1.5 T, and the content is qualified as RESEARCH.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from cardiac_motion.dicom.cine_series import CineSeries, decimal

REPETITION_TIME_MS = 3.0
ECHO_TIME_MS = 1.5
FLIP_ANGLE_DEGREES = 60.0
FIELD_STRENGTH_TESLA = 1.5
PIXEL_BANDWIDTH_HZ = 930.0
LINES_PER_HEARTBEAT = 12
_START = datetime(2000, 1, 1, 10, 0, 0)
_PER_SLICE = timedelta(seconds=20)


@dataclass(frozen=True)
class StudyIdentity:
    """Who and what all files of one study belong to.

    Attributes:
        seed: names the patient.
        content: digest of all that the study holds, so that another content never has the same identifiers.
    """

    seed: int
    content: str

    def uid(self, *what: str | int) -> UID:
        """The identifier of a thing within the study, under 2.25: it follows from seed, content and thing."""
        digest = hashlib.sha256(repr((self.seed, self.content, what)).encode()).digest()
        # The bits that make it a UUID of version 8 (RFC 9562), of which 2.25 is to hold the number.
        number = uuid.UUID(bytes=digest[:16]).int
        number &= ~(0xF000 << 64) & ~(0xC000 << 48)
        return UID(f"2.25.{number | (0x8000 << 64) | (0x8000 << 48)}")


@dataclass(frozen=True)
class SeriesIdentity:
    """Which series an image belongs to.

    Attributes:
        study: its study.
        number: of the series, from 1.
        first_slice: of its cine.
        slices_before: slices of the cines that the study has before this one; one slice is acquired after another.
    """

    study: StudyIdentity
    number: int
    first_slice: int
    slices_before: int

    def acquired(self, z: int | None = None) -> datetime:
        """When slice ``z`` of the cine was acquired, by default the first of the series."""
        return _START + (self.slices_before + (self.first_slice if z is None else z)) * _PER_SLICE


def date(moment: datetime) -> str:
    """As DICOM writes a date (DA)."""
    return moment.strftime("%Y%m%d")


def time(moment: datetime) -> str:
    """As DICOM writes a time of day (TM)."""
    return moment.strftime("%H%M%S")


def file_meta(sop_class: UID, instance: UID, version: str) -> FileMetaDataset:
    """The header of a file; ``version`` is that of this package."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = instance
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(f"2.25.{uuid.uuid5(uuid.NAMESPACE_URL, 'cardiac-motion').int}")
    meta.ImplementationVersionName = f"CARDMOT_{version}"[:16]
    return meta


def common(series: CineSeries, identity: SeriesIdentity, version: str) -> Dataset:
    """Patient, study, series, frame of reference and equipment."""
    study, seed = identity.study, identity.study.seed
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName = f"Phantom^{seed}"
    ds.PatientID = f"PHANTOM-{seed}"
    ds.PatientBirthDate = ""
    ds.PatientSex = ""
    ds.QualityControlSubject = "YES"
    ds.StudyInstanceUID = study.uid("study")
    ds.StudyID = "1"
    ds.StudyDate = date(_START)
    ds.StudyTime = time(_START)
    ds.StudyDescription = "Synthetic beating heart"
    ds.AccessionNumber = ""
    ds.ReferringPhysicianName = ""
    ds.Modality = "MR"
    ds.SeriesInstanceUID = study.uid("series", identity.number)
    ds.SeriesNumber = identity.number
    ds.SeriesDescription = f"cine {series.name}"
    ds.SeriesDate = date(identity.acquired())
    ds.SeriesTime = time(identity.acquired())
    ds.ProtocolName = "cine bSSFP"
    ds.BodyPartExamined = "HEART"
    ds.PatientPosition = "HFS"
    ds.FrameOfReferenceUID = study.uid("frame of reference")
    ds.PositionReferenceIndicator = ""
    ds.Manufacturer = "cardiac-motion"
    ds.ManufacturerModelName = "phantom"
    ds.DeviceSerialNumber = "0"
    ds.SoftwareVersions = version
    ds.MagneticFieldStrength = decimal(FIELD_STRENGTH_TESLA)
    ds.BurnedInAnnotation = "NO"
    ds.LossyImageCompression = "00"
    ds.PresentationLUTShape = "IDENTITY"
    return ds


def image_pixels(series: CineSeries) -> Dataset:
    """How pixels are stored, without them: 16 bits unsigned."""
    _, _, rows, columns = series.cine.shape
    ds = Dataset()
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows = rows
    ds.Columns = columns
    ds.BitsAllocated = 16
    ds.BitsStored = series.stored.bits
    ds.HighBit = series.stored.bits - 1
    ds.PixelRepresentation = 0
    return ds


def plane_position(series: CineSeries, z: int) -> Dataset:
    """Where the first pixel of a slice is."""
    ds = Dataset()
    ds.ImagePositionPatient = [decimal(value) for value in series.position(z)]
    return ds


def plane_orientation(series: CineSeries) -> Dataset:
    """How rows and columns lie."""
    ds = Dataset()
    ds.ImageOrientationPatient = [decimal(value) for value in series.orientation]
    return ds


def pixel_measures(series: CineSeries) -> Dataset:
    """Size of pixels, thickness and distance of slices."""
    ds = Dataset()
    ds.PixelSpacing = [decimal(value) for value in series.pixel_spacing]
    ds.SliceThickness = decimal(series.thickness)
    ds.SpacingBetweenSlices = decimal(series.slice_spacing)
    return ds


def rescaling(series: CineSeries) -> Dataset:
    """From stored numbers to intensities."""
    ds = Dataset()
    ds.RescaleIntercept = decimal(series.stored.intercept)
    ds.RescaleSlope = decimal(series.stored.slope)
    return ds


def window(series: CineSeries) -> Dataset:
    """How bright to show the image."""
    ds = Dataset()
    ds.WindowCenter, ds.WindowWidth = (decimal(value) for value in series.window)
    return ds
