"""Headers of DICOM files as bytes: what pydicom finds, without its conversions and their warnings.

Files come from anywhere, so that every value is taken apart here and is either what the standard says or absent.
"""

from __future__ import annotations

import io
import math
import re
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from pydicom.dataelem import DataElement, DataElement_from_raw, RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import data_element_generator
from pydicom.tag import BaseTag, Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

PARSER_ERRORS: tuple[type[Exception], ...] = (
    ArithmeticError, AssertionError, AttributeError, EOFError, InvalidDicomError, LookupError, MemoryError,
    OSError, RuntimeError, struct.error, TypeError, ValueError, UserWarning, zlib.error,
)  # fmt: skip
"""What pydicom and its decoders raise on damaged files: they check little of what they read."""

_PIXEL_DATA = Tag("PixelData")
_SOP_CLASS = Tag("SOPClassUID")
_PIXELS = frozenset({_PIXEL_DATA, Tag("FloatPixelData"), Tag("DoubleFloatPixelData")})
_UNDEFINED = 0xFFFFFFFF
_LONG_LENGTH = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
_MAX_INFLATED = 2**30
_CHARACTER_SET = (b"\x08\x00\x05\x00", b"\x00\x08\x00\x05")
_LONGEST_CHARACTER_SET = 2**12
_ELEMENT_HEAD = 8
_PREAMBLE = 128
_DECIMAL = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
"""A decimal string; Python takes more for a number, such as 1_0."""

Element = RawDataElement | DataElement


class DamagedFile(Exception):  # noqa: N818 - becomes an InputError where it matters
    """A DICOM file that cannot be read to its end; the message says why.

    Attributes:
        header: what was read before the damage.
    """

    def __init__(self, reason: str, header: Header | None) -> None:
        super().__init__(reason)
        self.header = header


class Elements:
    """Values of a data set by keyword; None, or nothing, where they are absent or not what the standard says."""

    def __init__(self, find: Callable[[BaseTag], Element | None], *, little_endian: bool = True) -> None:
        self._find = find
        self._order = "<" if little_endian else ">"

    def texts(self, keyword: str) -> tuple[str, ...]:
        """The values of a string, without padding; none if it is empty."""
        value = self._value(keyword)
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        if not isinstance(value, str):
            return ()
        text = value.strip(" \0")
        return tuple(part.strip(" \0") for part in text.split("\\")) if text else ()

    def text(self, keyword: str) -> str:
        """The values of a string as one, in the way that DICOM joins them."""
        return "\\".join(self.texts(keyword))

    def numbers(self, keyword: str, count: int) -> tuple[float, ...] | None:
        """A decimal string of exactly this many finite numbers."""
        texts = self.texts(keyword)
        if not all(map(_DECIMAL.fullmatch, texts)):
            return None
        found = tuple(map(float, texts))
        return found if len(found) == count and all(map(math.isfinite, found)) else None

    def number(self, keyword: str) -> float | None:
        """A decimal string of one number."""
        found = self.numbers(keyword, 1)
        return found[0] if found else None

    def whole(self, keyword: str) -> int | None:
        """An integer string."""
        found = self.number(keyword)
        return int(found) if found is not None and found == round(found) else None

    def short(self, keyword: str) -> int | None:
        """An unsigned integer of 16 bits."""
        return self._binary(keyword, "H")

    def double(self, keyword: str) -> float | None:
        """A float of 64 bits, finite."""
        found = self._binary(keyword, "d")
        return found if found is not None and math.isfinite(found) else None

    def items(self, keyword: str) -> list[Elements]:
        """The items of a sequence."""
        element = self._find(Tag(keyword))
        if isinstance(element, RawDataElement):
            if not element.value:
                return []
            with warnings.catch_warnings():
                # Of character sets that pydicom does not know; nothing that is kept needs one.
                warnings.simplefilter("ignore", UserWarning)
                element = DataElement_from_raw(element._replace(VR="SQ"))
        if element is None or element.VR != "SQ":
            return []
        return [Elements(_finder(item), little_endian=self._order == "<") for item in element.value]

    def item(self, keyword: str) -> Elements:
        """The first item of a sequence; one without values if there is none."""
        return next(iter(self.items(keyword)), Elements(lambda _: None))

    def _value(self, keyword: str) -> Any:
        element = self._find(Tag(keyword))
        return None if element is None else element.value

    def _binary(self, keyword: str, kind: str) -> Any:
        value = self._value(keyword)
        size = struct.calcsize(kind)
        if not isinstance(value, bytes) or len(value) != size:
            return None
        return struct.unpack(self._order + kind, value)[0]


def _finder(item: Dataset) -> Callable[[BaseTag], Element | None]:
    return lambda tag: item.get_item(tag) if tag in item else None


@dataclass(frozen=True, eq=False)
class Header:
    """The header of a file and where its pixels are.

    Attributes:
        values: those that were asked for.
        syntax: UID of the transfer syntax.
        pixel_offset: of the value of the pixel data in the data set; None without any.
        pixel_length: of that value, or None where it is encapsulated.
        available: bytes of the file from there on.
    """

    values: Elements
    syntax: str
    pixel_offset: int | None = None
    pixel_length: int | None = None
    available: int = 0

    @property
    def is_deflated(self) -> bool:
        """Offsets count in the inflated data set."""
        return self.syntax == DeflatedExplicitVRLittleEndian


def read_header(path: Path, keywords: frozenset[str]) -> Header | None:
    """Read the header of a file, up to its pixels; None if it is not DICOM at all.

    Args:
        path: a file.
        keywords: of the elements to keep.

    Raises:
        DamagedFile: it is DICOM, and ends or breaks before its pixels.
    """
    found: dict[int, Element] = {}
    try:
        with path.open("rb") as file:
            start = _start_of(file)
            if start is None:
                return None
            file.seek(start)
            syntax = _file_meta(file, found)
            stream, size = _data_set(file, syntax)
            return _elements(stream, size, syntax, keywords, found)
    except DamagedFile:
        # What only looks like the beginning of an old file is none.
        if start == 0 and _SOP_CLASS not in found:
            return None
        raise
    except RecursionError as error:
        raise DamagedFile("sequences are nested too deep", None) from error
    except PARSER_ERRORS as error:
        raise DamagedFile(f"cannot be read as DICOM ({type(error).__name__})", None) from error


def data_set(path: Path, header: Header) -> BinaryIO:
    """The data set that a header's offsets count in, to be closed by the caller."""
    file = path.open("rb")
    if not header.is_deflated:
        return file
    with file:
        file.seek(_start_of(file) or 0)
        return _data_set(file, _file_meta(file, {}))[0]


def _start_of(file: BinaryIO) -> int | None:
    """Where the elements begin: after the preamble, or at once in old files; None if this is no DICOM."""
    beginning = file.read(_PREAMBLE + 4)
    if beginning[_PREAMBLE:] == b"DICM":
        return _PREAMBLE + 4
    if len(beginning) < 8 or beginning[:2] not in {b"\x08\x00", b"\x02\x00"}:
        return None
    element = int.from_bytes(beginning[2:4], "little")
    length = int.from_bytes(beginning[4:8], "little")
    plausible = _is_vr(beginning[4:6]) or length < 256
    return 0 if element <= 0x0018 and plausible else None


def _is_vr(two: bytes) -> bool:
    return len(two) == 2 and two.isalpha() and two.isupper()


def _file_meta(file: BinaryIO, found: dict[int, Element]) -> str:
    """Read the file meta elements, always explicit little endian; the transfer syntax."""
    beginning = file.tell()
    if file.read(2) != b"\x02\x00":
        file.seek(beginning)
        head = file.read(6)
        file.seek(beginning)
        return "1.2.840.10008.1.2.1" if _is_vr(head[4:6]) else str(ImplicitVRLittleEndian)
    file.seek(beginning)
    for element in data_element_generator(file, False, True, stop_when=lambda tag, _vr, _n: tag.group != 2):
        found[element.tag] = element
        _refuse_cut(element, Elements(found.get), "")
    return Elements(found.get).text("TransferSyntaxUID") or "1.2.840.10008.1.2.1"


def _data_set(file: BinaryIO, syntax: str) -> tuple[BinaryIO, int]:
    """The stream that the data set is read from, and its size."""
    if syntax == DeflatedExplicitVRLittleEndian:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        inflated = inflater.decompress(file.read(), _MAX_INFLATED)
        if not inflater.eof:
            what = f"more than {_MAX_INFLATED} bytes" if inflater.unconsumed_tail else "no end: truncated"
            raise DamagedFile(f"its deflated data have {what}", None)
        return io.BytesIO(inflated), len(inflated)
    position = file.tell()
    size = file.seek(0, io.SEEK_END)
    file.seek(position)
    return file, size


class _Guarded:
    """A stream of elements whose character sets are blank, since nothing that is kept needs one.

    pydicom looks up what is in that one value, warns of what it does not know, and takes the padding off byte by
    byte, copying the rest each time: hours for 100 MB.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.tell, self.seek = stream.tell, stream.seek
        self._length = 0

    def read(self, size: int = -1) -> bytes:
        """As of any stream; elements begin with a read of 8 bytes."""
        content = self._stream.read(size)
        if self._length:
            is_value, self._length = size == self._length, 0
            return b" " * len(content) if is_value else content
        if size == _ELEMENT_HEAD and content[:4] in _CHARACTER_SET:
            self._length = _length_of_character_set(content)
        return content


def _length_of_character_set(head: bytes) -> int:
    order: Literal["little", "big"] = "little" if head.startswith(b"\x08") else "big"
    is_explicit = _is_vr(head[4:6])
    length = int.from_bytes(head[6:8] if is_explicit else head[4:8], order)
    if length > _LONGEST_CHARACTER_SET or (is_explicit and head[4:6].decode() in _LONG_LENGTH):
        raise DamagedFile("its character set is longer than any", None)
    return length


def _elements(
    stream: BinaryIO, size: int, syntax: str, keywords: frozenset[str], found: dict[int, Element]
) -> Header:
    implicit = syntax == ImplicitVRLittleEndian
    little = syntax != ExplicitVRBigEndian
    values = Elements(found.get, little_endian=little)
    generator: Iterator[Element] = data_element_generator(
        cast("BinaryIO", _Guarded(stream)), implicit, little, stop_when=lambda tag, _vr, _n: tag in _PIXELS,
        specific_tags=[Tag(keyword) for keyword in sorted(keywords)],
    )  # fmt: skip
    try:
        for element in generator:
            found[element.tag] = element
            _refuse_cut(element, values, syntax)
    except (RecursionError, DamagedFile):
        raise
    except PARSER_ERRORS as error:
        reason = f"its header is damaged or truncated ({type(error).__name__})"
        raise DamagedFile(reason, Header(values, syntax)) from error
    position = stream.tell()
    tag = stream.read(4)
    if position > size or 0 < len(tag) < 4:
        raise DamagedFile("truncated: it ends within its header", Header(values, syntax))
    if not tag:
        return Header(values, syntax)
    if tag != struct.pack("<HH" if little else ">HH", _PIXEL_DATA.group, _PIXEL_DATA.element):
        raise DamagedFile("expected pixels of whole numbers, got others", Header(values, syntax))
    stream.seek(position)
    offset, length = _pixel_element(stream, implicit=implicit, little=little)
    if offset > size:
        raise DamagedFile("truncated: it ends where its pixels begin", Header(values, syntax))
    return Header(values, syntax, offset, None if length == _UNDEFINED else length, size - offset)


def _refuse_cut(element: Element, values: Elements, syntax: str) -> None:
    """Raise where the file ended before the value did."""
    length, value = getattr(element, "length", 0), element.value
    if length != _UNDEFINED and isinstance(value, bytes) and len(value) < length:
        raise DamagedFile("truncated: it ends within its header", Header(values, syntax))


def _pixel_element(stream: BinaryIO, *, implicit: bool, little: bool) -> tuple[int, int]:
    """Where the value of the element at this place begins, and its length."""
    order = "<" if little else ">"
    head = stream.read(8)
    vr = head[4:6].decode("latin-1")
    if implicit or not _is_vr(head[4:6]):
        length = struct.unpack(order + "L", head[4:8])[0]
    elif vr in _LONG_LENGTH:
        length = struct.unpack(order + "L", stream.read(4).ljust(4, b"\0"))[0]
    else:
        length = struct.unpack(order + "H", head[6:8])[0]
    return stream.tell(), length
