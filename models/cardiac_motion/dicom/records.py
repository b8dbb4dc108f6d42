"""What the importer knows of every image of a DICOM folder: numbers and identifiers, nothing about the patient."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from cardiac_motion.dicom.attributes import FunctionalGroups, Plain, positive
from cardiac_motion.dicom.header import PARSER_ERRORS, DamagedFile, Elements, Header, read_header
from cardiac_motion.io.image_file import MAX_VOXELS
from cardiac_motion.progress import Progress, silent

SINGLE_FRAME = "1.2.840.10008.5.1.4.1.1.4"
"""MR Image Storage."""
ENHANCED = frozenset({"1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.4.4"})
"""Enhanced MR and Legacy Converted Enhanced MR Image Storage."""

_KEYWORDS = frozenset({
    "AcquisitionDate", "AcquisitionDateTime", "AcquisitionTime", "BitsAllocated", "BitsStored",
    "CardiacNumberOfImages", "Columns", "ComplexImageComponent", "ContentDate", "ContentTime", "EchoTime",
    "HeartRate", "HighBit", "ImageOrientationPatient", "ImagePositionPatient", "ImageType", "InstanceNumber",
    "InversionTime", "Modality", "ModalityLUTSequence", "NominalInterval", "NumberOfFrames",
    "PerFrameFunctionalGroupsSequence", "PhotometricInterpretation", "PixelRepresentation", "PixelSpacing",
    "ProtocolName", "RescaleIntercept", "RescaleSlope", "Rows", "SOPClassUID", "SOPInstanceUID",
    "SamplesPerPixel", "SeriesDate", "SeriesDescription", "SeriesInstanceUID", "SeriesNumber", "SeriesTime",
    "SharedFunctionalGroupsSequence", "SliceThickness", "StudyInstanceUID", "TriggerTime",
})  # fmt: skip
_NATIVE = frozenset(
    {
        str(each)
        for each in (
            ImplicitVRLittleEndian,
            ExplicitVRLittleEndian,
            ExplicitVRBigEndian,
            DeflatedExplicitVRLittleEndian,
        )
    }
)
"""Transfer syntaxes whose pixels are not compressed."""
_LONGEST_NAME = 200
"""Characters of the name of a file that a message shows."""
_PADDING = 3
"""Bytes that may fill up the pixels to a round number."""
_NOT_MAGNITUDE = frozenset(
    {"P", "PHASE", "PHASE MAP", "VELOCITY", "VELOCITY MAP", "R", "REAL", "I", "IMAGINARY", "P_FFE", "MIXED"}
)


@dataclass(frozen=True)
class Left:
    """What was not imported, and why.

    Attributes:
        reason: without names of files.
        files: relative to the folder.
        series: their numbers, where they have any.
        is_error: part of a cine may be lost with it; otherwise it is only something else than a cine.
        series_uid: where it is one whole series, or part of one.
    """

    reason: str
    files: tuple[str, ...]
    series: tuple[int, ...] = ()
    is_error: bool = False
    series_uid: str = ""

    def __str__(self) -> str:
        numbers = ", ".join(map(str, self.series))
        where = f"series {numbers}" if numbers else ""
        name = _printable(self.files[0]) if self.files else ""
        if len(self.files) == 1:
            where = f"{name} ({where})" if where else name
        elif self.files:
            where = f"{where or 'files'} ({name} and {len(self.files) - 1} more)"
        return f"{where}: {self.reason}" if where else self.reason


def _printable(name: str) -> str:
    """The name of a file as a message shows it: on one line, without commands to a terminal, not endless."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    return text if len(text) <= _LONGEST_NAME else f"…{text[-_LONGEST_NAME:]}"


@dataclass(frozen=True)
class PixelLayout:
    """How the pixels of a file are stored.

    Attributes:
        syntax: UID of the transfer syntax.
        n_frames: in the file.
        bits: allocated, stored, high bit.
        is_signed: two's complement.
        offset: of the pixels in the data set; length: in bytes, None where they are encapsulated.
    """

    header: Header
    n_frames: int
    bits: tuple[int, int, int]
    is_signed: bool


@dataclass(frozen=True)
class FrameRecord:
    """One frame of one file.

    Attributes:
        path: of the file; ``name``: the same, relative to the folder.
        frame: in the file, from 0.
        description: of series and protocol, in lower case; only ever compared, never shown.
        component: "M" for magnitude, otherwise what the file calls it.
        position: (x, y, z) of the first pixel, LPS in mm; None where the file does not say.
        orientation: direction of the rows, then of the columns, LPS; None likewise.
        pixel_spacing: between rows, then between columns, mm.
        thickness_mm: of the slice; None likewise, and never the distance between slices.
        trigger_ms: time after the R wave, ms; None likewise.
        actual_ms: the same as measured, where a file has it beside the nominal one, which all slices share.
        rr_ms: nominal length of the heart cycle.
        expected_frames: of the heart cycle, as the file has it.
        contrast: echo and inversion time, which a cine does not vary.
        acquired: year to second as 14 digits; empty where unknown.
        slope, intercept: from stored numbers to intensities.
        problem: why its pixels cannot be read, where the header shows it.
    """

    path: Path
    name: str
    frame: int
    study_uid: str
    series_uid: str
    series_number: int | None
    sop_uid: str
    instance_number: int | None
    description: str
    image_type: tuple[str, ...]
    component: str
    rows: int
    columns: int
    position: tuple[float, ...] | None
    orientation: tuple[float, ...] | None
    pixel_spacing: tuple[float, ...] | None
    thickness_mm: float | None
    trigger_ms: float | None
    actual_ms: float | None
    rr_ms: float | None
    expected_frames: int | None
    contrast: tuple[float | None, float | None]
    acquired: str
    slope: float
    intercept: float
    layout: PixelLayout
    problem: str | None


def read_records(
    files: Sequence[Path], root: Path, *, progress: Progress = silent
) -> tuple[list[FrameRecord], list[Left]]:
    """Read the headers of all files; what is no MR image is left.

    Args:
        files: of a folder, in any order.
        root: the folder; names are relative to it.
        progress: called for every file; may raise `Cancelled`.
    """
    records: list[FrameRecord] = []
    left: defaultdict[tuple[str, tuple[int, ...], bool, str], list[str]] = defaultdict(list)
    for number, path in enumerate(files):
        progress(number / len(files), f"file {number + 1} of {len(files)}")
        name = path.relative_to(root).as_posix() if path != root else path.name
        found = _read(path, name)
        if isinstance(found, Left):
            left[found.reason, found.series, found.is_error, found.series_uid].append(name)
        else:
            records += found
    return records, [
        Left(reason, tuple(names), series, is_error, uid)
        for (reason, series, is_error, uid), names in left.items()
    ]


def _read(path: Path, name: str) -> list[FrameRecord] | Left:
    """The frames of one file, or why it has none."""
    values = Elements(lambda _: None)
    try:
        header = _whole_header(path)
        if header is None:
            return Left("not DICOM", (name,))
        values = header.values
        other = _other_kind(values)
        if other is None:
            return _frames(path, name, header)
        # An image that does not say that it is MR may be part of a cine all the same.
        is_error = _is_mr(values) and not values.text("Modality")
        return Left(other, (name,), _series_numbers(values), is_error, values.text("SeriesInstanceUID"))
    except DamagedFile as damage:
        reason = str(damage)
        values = damage.header.values if damage.header else values
    except PARSER_ERRORS as error:
        reason = f"its header is damaged ({type(error).__name__})"
    # What is certainly no MR image cannot be part of a cine, damaged or not.
    is_error = not _sop_class(values) or not values.text("Modality") or _other_kind(values) is None
    return Left(reason, (name,), _series_numbers(values), is_error)


def _whole_header(path: Path) -> Header | None:
    """The header; a file that ends between two elements is damaged, too, if it must have had more."""
    header = read_header(path, _KEYWORDS)
    if header is None or header.pixel_offset is not None:
        return header
    values = header.values
    if values.text("Modality") in {"", "MR"} and (_is_mr(values) or not _sop_class(values)):
        raise DamagedFile("truncated: it ends before its pixels", header)
    return header


def _sop_class(values: Elements) -> str:
    return values.text("SOPClassUID") or values.text("MediaStorageSOPClassUID")


def _is_mr(values: Elements) -> bool:
    return _sop_class(values) == SINGLE_FRAME or _sop_class(values) in ENHANCED


def _other_kind(values: Elements) -> str | None:
    """What a file is if it is no MR image; None if it is one."""
    modality = values.text("Modality")
    if not _is_mr(values):
        kind = f"of modality {modality}" if re.fullmatch("[A-Z]{2,10}", modality) else "of another kind"
        return f"not an MR image, but an object {kind}"
    if modality != "MR":
        shown = modality if re.fullmatch("[A-Z]{2,10}", modality) else "none"
        return f"not MR: its modality is {shown}"
    return None


def _series_numbers(values: Elements) -> tuple[int, ...]:
    number = values.whole("SeriesNumber")
    return () if number is None else (number,)


def _frames(path: Path, name: str, header: Header) -> list[FrameRecord]:
    values = header.values
    is_enhanced = _sop_class(values) in ENHANCED
    rows, columns = values.short("Rows") or 0, values.short("Columns") or 0
    groups = values.items("PerFrameFunctionalGroupsSequence") if is_enhanced else []
    n_frames = (values.whole("NumberOfFrames") or 0) if is_enhanced else 1
    if is_enhanced and not 0 < n_frames == len(groups):
        raise DamagedFile(f"damaged: {n_frames} frames, and functional groups of {len(groups)}", header)
    if not (rows and columns):
        raise DamagedFile("damaged: it does not say how many rows and columns it has", header)
    if rows * columns * n_frames > MAX_VOXELS:
        raise DamagedFile(f"expected at most {MAX_VOXELS} pixels, got {n_frames} x {rows} x {columns}", header)
    layout = PixelLayout(
        header,
        n_frames,
        (values.short("BitsAllocated") or 0, values.short("BitsStored") or 0, values.short("HighBit") or 0),
        values.short("PixelRepresentation") == 1,
    )
    problem = _pixel_problem(header, layout, rows * columns)
    number = values.whole("SeriesNumber")
    shared = values.item("SharedFunctionalGroupsSequence")
    records = []
    for frame in range(n_frames):
        attributes = FunctionalGroups(groups[frame], shared, values) if is_enhanced else Plain(values)
        image_type = tuple(part.upper() for part in attributes.image_type())
        slope, intercept = attributes.rescale()
        unscalable = (
            None if np.isfinite(slope) and slope else "expected a rescale slope and intercept, got no numbers"
        )
        records.append(
            FrameRecord(
                path=path, name=name, frame=frame,
                study_uid=values.text("StudyInstanceUID"), series_uid=values.text("SeriesInstanceUID"),
                series_number=number, sop_uid=values.text("SOPInstanceUID"),
                instance_number=values.whole("InstanceNumber"),
                description=f"{values.text('SeriesDescription')} {values.text('ProtocolName')}".lower(),
                image_type=image_type,
                component=next((part for part in image_type[2:] if part in _NOT_MAGNITUDE), "M"),
                rows=rows, columns=columns,
                position=attributes.position(), orientation=attributes.orientation(),
                pixel_spacing=attributes.pixel_spacing(),
                thickness_mm=positive(attributes.thickness_mm()), trigger_ms=attributes.trigger_ms(),
                actual_ms=attributes.actual_ms(),
                rr_ms=positive(attributes.rr_ms()), expected_frames=values.whole("CardiacNumberOfImages"),
                contrast=attributes.contrast(), acquired=attributes.acquired(),
                slope=slope, intercept=intercept, layout=layout, problem=problem or unscalable,
            )
        )  # fmt: skip
    return records


def _pixel_problem(header: Header, layout: PixelLayout, pixels: int) -> str | None:
    """Why the pixels cannot be read, as far as the header tells."""
    values = header.values
    meaning = values.text("PhotometricInterpretation")
    if values.short("SamplesPerPixel") != 1 or not meaning.startswith("MONOCHROME"):
        return "expected one grey value per pixel, got a colour image"
    if meaning == "MONOCHROME1":
        # Hardly any scanner writes it. Some readers turn the values round, others do not.
        return "expected larger values for brighter pixels (MONOCHROME2), got them for darker ones (MONOCHROME1)"
    if values.items("ModalityLUTSequence"):
        return "expected intensities by slope and intercept, got a table of them"
    allocated, stored, high = layout.bits
    if allocated not in {8, 16, 32} or not 1 <= stored <= high + 1 <= allocated:
        return f"expected pixels of 8, 16 or 32 bits, got {allocated} with {stored} stored up to bit {high}"
    if values.short("PixelRepresentation") not in {0, 1}:
        return "it does not say whether its pixels are signed"
    return _length_problem(header, layout.n_frames * pixels * allocated // 8)


def _length_problem(header: Header, needed: int) -> str | None:
    """What is wrong with the number of bytes of the pixels, or with their being compressed or not."""
    if (header.pixel_length is not None) != (header.syntax in _NATIVE):
        kind = "not compressed" if header.syntax in _NATIVE else "compressed"
        return f"expected pixels that are {kind}, as its transfer syntax {header.syntax[:64]!r} has it, got others"
    if header.pixel_length is None:
        return None
    there = min(header.available, header.pixel_length)
    if there < needed:
        return f"truncated: expected {needed} bytes of pixels, got {there}"
    # With more than a filling, the matrix is another one than the header has.
    return f"expected {needed} bytes of pixels, got {there}" if there > needed + _PADDING else None
