"""Pixels of DICOM frames as intensities."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, AllTransferSyntaxes, ExplicitVRBigEndian

from cardiac_motion.dicom.header import PARSER_ERRORS, data_set
from cardiac_motion.dicom.records import FrameRecord

_DECODER_ERRORS: tuple[type[Exception], ...] = (*PARSER_ERRORS, ImportError)
_SAMPLES = {8: "u1", 16: "u2", 32: "u4"}


class UnreadablePixels(Exception):  # noqa: N818 - becomes an InputError where it matters
    """The pixels of a file cannot be read; the message says why."""


class PixelReader:
    """Reads frames; of encapsulated files it keeps the last one, since all of its frames are decoded at once."""

    def __init__(self) -> None:
        self._decoded: tuple[object, npt.NDArray[Any]] | None = None

    def read(self, record: FrameRecord) -> npt.NDArray[np.float32]:
        """The intensities of a frame: (Y, X), float32; slope and intercept are applied in double precision.

        Raises:
            UnreadablePixels: why they cannot be read.
        """
        if record.problem:
            raise UnreadablePixels(record.problem)
        try:
            stored = (
                _native(record) if record.layout.header.pixel_length is not None else self._encapsulated(record)
            )
        except UnreadablePixels:
            raise
        except _DECODER_ERRORS as error:
            syntax = UID(record.layout.header.syntax)
            raise UnreadablePixels(
                f"its pixels cannot be decoded ({syntax.name}): {_first_line(error)}"
            ) from error
        values = _stored_bits(stored, record)
        if (record.slope, record.intercept) != (1.0, 0.0):
            values = values * np.float64(record.slope) + np.float64(record.intercept)
        with np.errstate(over="ignore"):
            intensities = values.astype(np.float32)
        if not np.isfinite(intensities).all():
            raise UnreadablePixels(f"its slope {record.slope:g} makes intensities that are not finite")
        return intensities

    def _encapsulated(self, record: FrameRecord) -> npt.NDArray[Any]:
        layout = record.layout
        if self._decoded is None or self._decoded[0] is not layout:
            self._decoded = None
            self._decoded = layout, _decode(record)
        return self._decoded[1][record.frame]


def _native(record: FrameRecord) -> npt.NDArray[Any]:
    """Stored numbers of a frame that is not compressed, unsigned: (Y, X)."""
    layout = record.layout
    order = ">" if layout.header.syntax == ExplicitVRBigEndian else "<"
    dtype = np.dtype(order + _SAMPLES[layout.bits[0]])
    size = record.rows * record.columns * dtype.itemsize
    with data_set(record.path, layout.header) as stream:
        stream.seek((layout.header.pixel_offset or 0) + record.frame * size)
        content = stream.read(size)
    if len(content) < size:
        raise UnreadablePixels(f"truncated: expected {size} bytes of pixels, got {len(content)}")
    return np.frombuffer(content, dtype).reshape(record.rows, record.columns)


def _decode(record: FrameRecord) -> npt.NDArray[Any]:
    """All frames of a compressed file, through pydicom's handlers: (frames, Y, X)."""
    layout = record.layout
    syntax = UID(layout.header.syntax)
    if syntax not in AllTransferSyntaxes:
        raise UnreadablePixels(f"its transfer syntax is not known: {syntax}")
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.is_little_endian, ds.is_implicit_VR = True, False
    ds.Rows, ds.Columns, ds.NumberOfFrames = record.rows, record.columns, layout.n_frames
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = layout.bits
    ds.PixelRepresentation = int(layout.is_signed)
    with data_set(record.path, layout.header) as stream:
        stream.seek(layout.header.pixel_offset or 0)
        ds.PixelData = stream.read()
    ds["PixelData"].is_undefined_length = True
    decoded = ds.pixel_array
    expected = (layout.n_frames, record.rows, record.columns)
    if decoded.size != np.prod(expected):
        raise UnreadablePixels(f"expected (frames, rows, columns) = {expected}, its pixels are {decoded.shape}")
    return decoded.reshape(expected)


def _stored_bits(stored: npt.NDArray[Any], record: FrameRecord) -> npt.NDArray[Any]:
    """The bits that belong to the pixel, signed or not: older files keep overlays in the others."""
    allocated, bits, high = record.layout.bits
    kind = "i" if record.layout.is_signed else "u"
    values = stored.astype(f"=u{allocated // 8}", copy=False) << (allocated - 1 - high)
    return values.view(f"={kind}{allocated // 8}") >> (allocated - bits)


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
