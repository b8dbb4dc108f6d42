"""Elements of DICOM files that lie: values, representations, lengths, and sequences without end."""

from __future__ import annotations

import io
import random
import struct
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from benchmarks.fuzz.damage import damaged

_READ = tuple(
    Tag(keyword)
    for keyword in (
        "AcquisitionDate", "AcquisitionTime", "AcquisitionDateTime", "BitsAllocated", "BitsStored", "HighBit",
        "PixelRepresentation", "CardiacNumberOfImages", "Columns", "Rows", "ComplexImageComponent", "HeartRate",
        "ImageOrientationPatient", "ImagePositionPatient", "ImageType", "FrameType", "InstanceNumber", "Modality",
        "NominalInterval", "NumberOfFrames", "PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence",
        "PhotometricInterpretation", "PixelSpacing", "RescaleIntercept", "RescaleSlope", "SOPClassUID",
        "SOPInstanceUID", "SamplesPerPixel", "SeriesDescription", "SeriesInstanceUID", "SeriesNumber",
        "SliceThickness", "StudyInstanceUID", "TriggerTime", "NominalCardiacTriggerDelayTime",
        "RRIntervalTimeNominal", "ActualCardiacTriggerDelayTime", "SpecificCharacterSet", "EffectiveEchoTime",
        "ModalityLUTSequence", "PixelData", "InversionTimes", "EchoTime",
    )
)  # fmt: skip
_VRS = (
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO", b"OB", b"OW", b"PN", b"SH", b"SL",
    b"SQ", b"SS", b"ST", b"TM", b"UI", b"UL", b"UN", b"US", b"UT", b"XX", b"\0\0",
)  # fmt: skip
_NUMBERS = (
    b"", b" ", b"0", b"-1", b"1", b"4", b"nan", b"inf", b"-inf", b"1e400", b"1e-300", b"1e30", b"abc", b"1,5",
    b"65535", b"4294967296", b"9" * 400, b"1\\2", b"1\\2\\3", b"0\\0\\0", b"1\\0\\0\\0\\1\\0", b"1\\0\\0\\0\\1\\",
    b"nan\\0\\0\\0\\1\\0", b"1_000", b"0x10", b"+1.5E+2",
)  # fmt: skip
_TEXTS = (
    b"", b" ", b"MR", b"CT", b"x" * 5000, b"\xff\xfe", b"\\" * 50, b"a\0b", b"ISO_IR 100", b"ISO 2022 IR 87",
    b"GB18030",
    b"1.2.840.10008.5.1.4.1.1.4", b"1.2.840.10008.5.1.4.1.1.4.1", b"ORIGINAL\\PRIMARY\\P", b"MONOCHROME1", b"RGB",
    b"PALETTE COLOR", b"20000101", b"99999999999999", b"000000.000000", b"PSIR", b"\x1b$B",
)  # fmt: skip
_DEPTHS = (3, 50, 900, 5000, 60_000)


def with_changed_elements(content: bytes, luck: random.Random) -> tuple[bytes, str]:
    """A file with one to three elements changed, and which."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds = pydicom.dcmread(io.BytesIO(content))
            done = [luck.choice(_EDITS)(ds, luck) for _ in range(luck.choice((1, 1, 2, 3)))]
            buffer = io.BytesIO()
            ds.save_as(buffer)
    except Exception:  # noqa: BLE001 - pydicom does not write everything; then bytes are damaged
        return damaged(content, luck, head=2000)
    return buffer.getvalue(), ", ".join(done)


def _data_sets(ds: Dataset) -> Iterator[Dataset]:
    yield ds
    for element in list(ds._dict.values()):
        if element.VR == "SQ":
            for item in ds[element.tag].value:
                yield from _data_sets(item)


def _chosen(ds: Dataset, luck: random.Random) -> tuple[Dataset, BaseTag]:
    """A data set and the tag of an element in it, most often one that is read."""
    places = [(each, tag) for each in _data_sets(ds) for tag in each._dict]
    wanted = [place for place in places if place[1] in _READ]
    return luck.choice(wanted if luck.random() < 0.8 else places)


def _raw(tag: BaseTag, vr: str | None, value: bytes, ds: Dataset) -> RawDataElement:
    value += b" " * (len(value) % 2)
    return RawDataElement(tag, vr, len(value), value, 0, bool(ds.is_implicit_VR), bool(ds.is_little_endian))


def _value_changed(ds: Dataset, luck: random.Random) -> str:
    place, tag = _chosen(ds, luck)
    element = place[tag]
    vr = element.VR if len(str(element.VR)) == 2 else "US"
    value = _value(vr, element.value, luck, "<" if ds.is_little_endian else ">")
    place._dict[tag] = _raw(tag, vr, value, ds)
    return f"{element.keyword} {str(element.value)[:40]} -> {value[:40]!r}"


def _value(vr: str, old: Any, luck: random.Random, order: str) -> bytes:
    if vr == "US":
        near = [int(old) + step for step in (-1, 1, 8, -8)] if isinstance(old, int) else [5]
        return struct.pack(order + "H", luck.choice((0, 1, 2, 8, 11, 12, 16, 32, 255, 65535, *near)) % 2**16)
    if vr in {"FD", "FL"}:
        numbers = (float("nan"), float("inf"), 0.0, -1.0, 1e300, 1e30, 100.0, 33.3, luck.uniform(0, 1000))
        number = luck.choice(numbers)
        form = "d" if vr == "FD" else "f"
        return struct.pack(order + form, number if form == "d" or number < 1e38 else float("inf"))
    if vr in {"DS", "IS"}:
        return luck.choice((*_NUMBERS, *_near(old, luck)))
    if vr in {"OB", "OW", "UN"}:
        return luck.choice((b"", bytes(2), luck.randbytes(400), bytes(5000)))
    if vr == "SQ":
        return luck.choice(
            (b"", _nested(luck.choice(_DEPTHS)), luck.randbytes(40), b"\xfe\xff\x00\xe0" + b"\xff" * 4)
        )
    return luck.choice((*_TEXTS, *_NUMBERS))


def _near(old: Any, luck: random.Random) -> list[bytes]:
    """The number or numbers as they were, one of them a little or much different."""
    try:
        values = [
            float(each) for each in (old if hasattr(old, "__iter__") and not isinstance(old, str) else [old])
        ]
    except (TypeError, ValueError):
        return [b"7"]
    found = []
    for change in (0.01, 0.3, 5.0, -50.0):
        changed = list(values)
        changed[luck.randrange(len(changed))] += change
        found.append("\\".join(f"{each:.9g}" for each in changed).encode())
    return found * 2


def _removed(ds: Dataset, luck: random.Random) -> str:
    place, tag = _chosen(ds, luck)
    del place._dict[tag]
    return f"without {pydicom.datadict.keyword_for_tag(tag) or tag}"


def _other_representation(ds: Dataset, luck: random.Random) -> str:
    place, tag = _chosen(ds, luck)
    vr = luck.choice(_VRS)
    old = place._dict[tag]
    value = (
        old.value if isinstance(old.value, bytes) else _value(str(place[tag].VR)[:2], place[tag].value, luck, "<")
    )
    place._dict[tag] = _raw(tag, vr.decode("latin-1"), value, ds)
    return f"{pydicom.datadict.keyword_for_tag(tag) or tag} as {vr!r}"


def _added(ds: Dataset, luck: random.Random) -> str:
    """An element that belongs elsewhere, or to nobody."""
    tag = Tag(luck.choice((*_READ, Tag(0x00090010), Tag(0x00091001), Tag(0x7FE00001), Tag(0xFFFEE000))))
    vr = luck.choice(("DS", "US", "SQ", "LO", "UN", "OB", "FD"))
    place = luck.choice(list(_data_sets(ds)))
    place._dict[tag] = _raw(tag, vr, _value(vr, 1, luck, "<"), ds)
    return f"with {tag} as {vr}"


def _nested(depth: int) -> bytes:
    """Sequences in sequences, all of open length."""
    head = b"\x40\x00\x75\x02SQ\0\0" + b"\xff" * 4
    item = b"\xfe\xff\x00\xe0" + b"\xff" * 4
    return item + (head + item) * depth


_EDITS: tuple[Callable[[Dataset, random.Random], str], ...] = (
    *[_value_changed] * 6,
    *[_removed] * 2,
    _other_representation,
    _added,
)
