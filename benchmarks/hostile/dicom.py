"""Archives of DICOM files that lead out, blow up, lie, or hold no cine."""

from __future__ import annotations

import io
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pydicom
from cardiac_motion.dicom.cine_series import CineSeries
from cardiac_motion.dicom.writer import write_dicom
from pydicom.dataset import Dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from benchmarks.hostile.request import Hostile, as_params, plain, posted
from benchmarks.hostile.wire import Part, form, form_headers
from benchmarks.small_cines import cine_bytes, small_cine

Build = Callable[[], bytes]
Change = Callable[[Dataset], None]

ROUTE = "/datastore/dicom"
_LINK = 0o120777 << 16
_NAMES = {
    "parents": "../../../evil",
    "parents within": "a/../../evil",
    "absolute": "/tmp/evil",
    "backslashes": "..\\..\\evil",
    "drive": "C:\\evil",
    "drive alone": "C:evil",
    "share": "\\\\host\\share\\evil",
}


@cache
def files() -> dict[str, bytes]:
    """A sound cine as DICOM files, by their names."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "dicom"
        write_dicom([CineSeries(small_cine(3), "sax")], folder, seed=1)
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.dcm"))}


def zipped(content: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as target:
        for name, data in content.items():
            target.writestr(name, data)
    return buffer.getvalue()


def _entry(name: str, *, attributes: int = 0, flags: int = 0, method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of the sound files and one more entry."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for other, data in files().items():
            target.writestr(other, data)
        entry = zipfile.ZipInfo(name)
        entry.external_attr = attributes
        target.writestr(entry, b"/etc/passwd", compress_type=method)
    whole = bytearray(buffer.getvalue())
    if flags:
        last = whole.rindex(b"PK\x01\x02")
        whole[last + 8] |= flags
    return bytes(whole)


def _lying(size: int) -> bytes:
    """One file that says another unpacked size than it has, in both places."""
    whole = bytearray(zipped({"evil": bytes(2**23)}))
    for place in (22, whole.index(b"PK\x01\x02") + 24):
        whole[place : place + 4] = struct.pack("<I", size)
    return bytes(whole)


def _overlapping(count: int) -> bytes:
    """A directory of many entries that all are the same megabyte of zeros."""
    squeezed = zlib.compress(bytes(2**20), 9)[2:-4]
    crc = zlib.crc32(bytes(2**20))
    numbers = struct.pack("<HHHIII", 8, 0, 0, crc, len(squeezed), 2**20)
    name = b"evil"
    local = b"PK\x03\x04\x14\x00\x00\x00" + numbers + struct.pack("<HH", len(name), 0) + name + squeezed
    one = (
        b"PK\x01\x02\x14\x00\x14\x00\x00\x00"
        + numbers
        + struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, 0)
        + name
    )
    directory = one * count
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, count, count, len(directory), len(local), 0)
    return local + directory + end


ARCHIVES: dict[str, tuple[Build, int]] = {
    "nothing": (lambda: b"", 422),
    "garbage": (lambda: bytes(range(256)) * 40, 422),
    "mark alone": (lambda: b"PK", 422),
    "mark and garbage": (lambda: b"PK\x03\x04" + bytes(range(256)) * 40, 422),
    "of nothing": (lambda: zipped({}), 422),
    "of a folder alone": (lambda: zipped({"a/": b""}), 422),
    "of empty files": (lambda: zipped(dict.fromkeys("abc", b"")), 422),
    "of texts": (lambda: zipped({"a.txt": b"no heart", "b.dcm": b"none either"}), 422),
    "of a NIfTI": (lambda: zipped({"cine.nii.gz": cine_bytes(small_cine(3))}), 422),
    "within a zip": (lambda: zipped({"dicom.zip": zipped(files())}), 422),
    "cut in half": (lambda: zipped(files())[: len(zipped(files())) // 2], 422),
    "without its end": (lambda: zipped(files())[:-30], 422),
    "damaged": (lambda: _damaged(zipped(files())), 422),
    "of a link": (lambda: _entry("link", attributes=_LINK), 422),
    "encrypted": (lambda: _entry("secret", flags=1), 422),
    "compressed with bzip2": (lambda: _entry("evil", method=zipfile.ZIP_BZIP2), 422),
    "compressed with LZMA": (lambda: _entry("evil", method=zipfile.ZIP_LZMA), 422),
    "bomb": (lambda: zipped({"evil": bytes(2**27)}), 413),
    "bomb of many": (lambda: zipped({str(n): bytes(2**18) for n in range(200)}), 413),
    "bomb that overlaps": (lambda: _overlapping(250), 413),
    "size that lies, small": (lambda: _lying(1000), 422),
    "size that lies, 4 GB": (lambda: _lying(2**32 - 2), 413),
    "too many files": (lambda: zipped({str(n): b"" for n in range(301)}), 413),
    "too many folders": (lambda: zipped({f"{n}/": b"" for n in range(301)}), 413),
    "thirty thousand entries": (lambda: _overlapping(30_000), 413),
    "name of 60,000 characters": (lambda: zipped({"x" * 60_000: b"no heart"}), 422),
    "names of control characters": (lambda: zipped({"\x01\x1b[31m\n": b"no heart"}), 422),
    **{f"name: {what}": (lambda name=name: _entry(name), 422) for what, name in _NAMES.items()},  # type: ignore[misc]
}


def _damaged(whole: bytes) -> bytes:
    return whole[:3000] + bytes(500) + whole[3500:]


def _changed(change: Change, *, only: int | None = None) -> Build:
    """The sound files with something else in all of them, or in one."""

    def build() -> bytes:
        content: dict[str, bytes] = {}
        for number, (name, data) in enumerate(files().items()):
            ds = pydicom.dcmread(io.BytesIO(data))
            if only is None or number == only:
                change(ds)
            buffer = io.BytesIO()
            pydicom.dcmwrite(buffer, ds, write_like_original=True)
            content[name] = buffer.getvalue()
        return zipped(content)

    return build


def _set(**values: Any) -> Change:
    def change(ds: Dataset) -> None:
        for name, value in values.items():
            setattr(ds, name, value)

    return change


def _without(*names: str) -> Change:
    def change(ds: Dataset) -> None:
        for name in names:
            delattr(ds, name)

    return change


def _syntax(uid: str, pixels: bytes) -> Change:
    def change(ds: Dataset) -> None:
        ds.file_meta.TransferSyntaxUID = UID(uid)
        ds.PixelData = pydicom.encaps.encapsulate([pixels])
        ds["PixelData"].is_undefined_length = True

    return change


def _nested(data: bytes) -> bytes:
    """Three thousand sequences of open length, each in the one before, ahead of the pixels."""
    at = data.rindex(b"\xe0\x7f\x10\x00OW")
    one = b"\x40\x00\x75\x02SQ\x00\x00\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    ends = b"\xfe\xff\x0d\xe0\x00\x00\x00\x00" + b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    return data[:at] + one * 3000 + ends * 3000 + data[at:]


def _cut(share: float) -> Build:
    def build() -> bytes:
        return zipped({name: data[: int(share * len(data))] for name, data in files().items()})

    return build


def _deflated_bomb() -> bytes:
    """A data set that inflates to 256 MB of one text, in a file of a quarter of one."""
    (data, *_) = files().values()
    ds = pydicom.dcmread(io.BytesIO(data))
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, ds)
    whole = buffer.getvalue()
    start = 132 + 12 + int(ds.file_meta.FileMetaInformationGroupLength)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    element = b"\x08\x00\x05\x00UT\x00\x00" + struct.pack("<I", 2**28)
    bomb = packer.compress(element) + b"".join(packer.compress(bytes(2**20)) for _ in range(256)) + packer.flush()
    return zipped({"a": whole[:start] + bomb, "b": whole[:start] + bomb})


DICOM: dict[str, Build] = {
    "headers alone": _changed(_without("PixelData")),
    "cut off": _cut(0.6),
    "cut off in the header": _cut(0.05),
    "another modality": _changed(_set(Modality="CT", SOPClassUID="1.2.840.10008.5.1.4.1.1.2")),
    "one frame": lambda: zipped(dict(list(files().items())[:1])),
    "no trigger times": _changed(_without("TriggerTime")),
    "trigger times all alike": _changed(_set(TriggerTime="0")),
    "trigger times NaN": _changed(lambda ds: ds.__setitem__("TriggerTime", _raw(ds, "TriggerTime", b"nan "))),
    "65535 rows and columns": _changed(_set(Rows=65535, Columns=65535)),
    "no rows": _changed(_set(Rows=0)),
    "64 bits a pixel": _changed(_set(BitsAllocated=64, BitsStored=64, HighBit=63)),
    "colours": _changed(_set(SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0)),
    "another size in one file": _changed(_set(Rows=32, Columns=128), only=4),
    "position of zeros": _changed(_set(ImageOrientationPatient=[0, 0, 0, 0, 0, 0])),
    "position infinite": _changed(
        lambda ds: ds.__setitem__("ImagePositionPatient", _raw(ds, "ImagePositionPatient", b"inf\\0\\0 "))
    ),
    "pixels of size zero": _changed(_set(PixelSpacing=[0, 0])),
    "pixels of size 1e300": _changed(_set(PixelSpacing=["1e300", "1e300"])),
    "slope that overflows": _changed(_set(RescaleSlope="1e300")),
    "the same file twice": lambda: zipped({f"{n}/{name}": data for n in "ab" for name, data in files().items()}),
    "JPEG that is none": _changed(_syntax(JPEGBaseline8Bit, b"\xff\xd8\xff\xe0garbage" * 20)),
    "JPEG 2000 that is none": _changed(_syntax(JPEG2000Lossless, b"\x00\x00\x00\x0cjP  garbage" * 20)),
    "JPEG 2000 of 2^32 pixels": _changed(
        _syntax(JPEG2000Lossless, bytes.fromhex("ff4fff51002f0000ffffffffffffffff") + bytes(200))
    ),
    "RLE that is none": _changed(_syntax(RLELossless, b"\x02\x00\x00\x00" + b"\xff" * 100)),
    "unknown syntax": _changed(_syntax("1.2.3.4.5", b"garbage" * 20)),
    "sequences in sequences": lambda: zipped({name: _nested(data) for name, data in files().items()}),
    "deflated bomb": _deflated_bomb,
}


def _raw(ds: Dataset, keyword: str, value: bytes) -> Any:
    return pydicom.dataelem.RawDataElement(ds[keyword].tag, "DS", len(value), value, 0, False, True)


def _posted(what: str, build: Build, *statuses: int, route: str = ROUTE, **more: Any) -> Hostile:
    params = more.pop("params", None)

    def parts() -> list[Part]:
        return [Part("file", build(), "dicom.zip"), *([as_params(params)] if params is not None else [])]

    return posted(f"DICOM: {what}", "POST", route, *statuses, parts=parts, **more)


def _sound() -> bytes:
    return zipped(files())


_CASE = ("imported_sax.nii.gz", ".cardiac_motion/images")

REQUESTS = [
    *(_posted(f"zip {what}", build, status) for what, (build, status) in ARCHIVES.items()),
    *(_posted(what, build, 422) for what, build in DICOM.items()),
    _posted("bomb as a job", ARCHIVES["bomb"][0], 202, route="/jobs/datastore/dicom"),
    _posted("sound, left before its end", _sound, 0, hang_up=True, params={"case": "imported"}, may_add=_CASE),
    _posted("sound", _sound, 200, params={"case": "imported"}, may_add=_CASE),
    _posted("sound once more", _sound, 200, params={"case": "imported"}),
    _posted("id: parents", _sound, 400, params={"case": "../evil"}),
    _posted("id: ending", _sound, 400, params={"case": "evil.nii.gz"}),
    _posted("id: device", _sound, 400, params={"case": "NUL.x"}),
    _posted("id: too long", _sound, 422, params={"case": "e" * 101}),
    _posted("id: null", _sound, 400, params={"case": "evil\0"}),
    _posted("id: empty", _sound, 400, params={"case": ""}),
    _posted("id: number", _sound, 422, params={"case": 3}),
    _posted("unknown parameter", _sound, 422, params={"folder": "/etc"}),
    _posted("parameters that are no JSON", _sound, 422, params="{"),
    plain("DICOM: without a body", "POST", ROUTE, 422),
    plain("DICOM: read", "GET", ROUTE, 405),
    plain(
        "DICOM: text in the place of the file",
        "POST",
        ROUTE,
        422,
        headers=form_headers(),
        body=lambda: form([Part("file", b"PK")]),
    ),
    plain("DICOM: guarded", "POST", ROUTE, 401, server="guarded", headers=form_headers(), body=lambda: b""),
]
