"""Pixels of DICOM frames as intensities."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from pydicom.uid import ExplicitVRBigEndian

from cardiac_motion.dicom.decoding import Decoder, Encoded, UnreadablePixels
from cardiac_motion.dicom.header import PARSER_ERRORS, data_set
from cardiac_motion.dicom.records import FrameRecord


class PixelReader:
    """Reads frames; of compressed files it keeps the last one, since all of its frames are decoded at once.

    A context manager: what decodes is a process, which ends with it.
    """

    def __init__(self) -> None:
        self._decoder = Decoder()
        self._decoded: tuple[object, npt.NDArray[Any]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._decoder.close()

    def read(self, record: FrameRecord) -> npt.NDArray[np.float32]:
        """The intensities of a frame: (Y, X), float32; slope and intercept are applied in double precision.

        Raises:
            UnreadablePixels: why they cannot be read.
        """
        if record.problem:
            raise UnreadablePixels(record.problem)
        is_native = record.layout.header.pixel_length is not None
        try:
            stored = _native(record) if is_native else self._encapsulated(record)
        except PARSER_ERRORS as error:
            raise UnreadablePixels(f"its pixels cannot be read ({type(error).__name__})") from error
        values = _stored_bits(stored, record)
        with np.errstate(over="ignore", invalid="ignore"):
            if (record.slope, record.intercept) != (1.0, 0.0):
                values = values * np.float64(record.slope) + np.float64(record.intercept)
            intensities = values.astype(np.float32)
        if not np.isfinite(intensities).all():
            raise UnreadablePixels(f"its slope {record.slope:g} makes intensities that are not finite")
        return intensities

    def _encapsulated(self, record: FrameRecord) -> npt.NDArray[Any]:
        layout = record.layout
        if self._decoded is None or self._decoded[0] is not layout:
            self._decoded = None
            with data_set(record.path, layout.header) as stream:
                stream.seek(layout.header.pixel_offset or 0)
                content = stream.read()
            shape = (layout.n_frames, record.rows, record.columns)
            encoded = Encoded(layout.header.syntax, shape, layout.bits, layout.is_signed)
            self._decoded = layout, self._decoder.decode(encoded, content)
        return self._decoded[1][record.frame]


def _native(record: FrameRecord) -> npt.NDArray[Any]:
    """Stored numbers of a frame that is not compressed, unsigned: (Y, X)."""
    layout = record.layout
    order = ">" if layout.header.syntax == ExplicitVRBigEndian else "<"
    dtype = np.dtype(f"{order}u{layout.bits[0] // 8}")
    size = record.rows * record.columns * dtype.itemsize
    with data_set(record.path, layout.header) as stream:
        stream.seek((layout.header.pixel_offset or 0) + record.frame * size)
        content = stream.read(size)
    if len(content) < size:
        raise UnreadablePixels(f"truncated: expected {size} bytes of pixels, got {len(content)}")
    return np.frombuffer(content, dtype).reshape(record.rows, record.columns)


def _stored_bits(stored: npt.NDArray[Any], record: FrameRecord) -> npt.NDArray[Any]:
    """The bits that belong to the pixel, signed or not: older files keep overlays in the others."""
    allocated, bits, high = record.layout.bits
    kind = "i" if record.layout.is_signed else "u"
    values = stored.astype(f"=u{allocated // 8}", copy=False) << (allocated - 1 - high)
    return values.view(f"={kind}{allocated // 8}") >> (allocated - bits)
