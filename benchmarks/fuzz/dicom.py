"""DICOM folders: elements that lie, damaged files and pixels, compared with what pydicom reads."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import gdcm
from cardiac_motion.dicom.cine_series import CineSeries
from cardiac_motion.dicom.importer import DicomImport, import_dicom
from cardiac_motion.dicom.writer import Layout, write_dicom
from pydicom.dataset import FileDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from benchmarks.dicom_folders import Files, content_of, edited, parse, read_files
from benchmarks.fuzz.damage import damaged
from benchmarks.fuzz.dicom_elements import with_changed_elements
from benchmarks.fuzz.dicom_oracle import difference
from benchmarks.fuzz.hearts import heart, whole_numbers
from benchmarks.fuzz.target import Mutant, Sample

STRICT, KEEP_GOING = "strict", "keep going"
_COMPRESSED = "compressed"
_SYNTAXES = (
    "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.102", "1.2.3.4", "", "x",
)  # fmt: skip


class DicomTarget:
    """Short-axis cines: single-frame and enhanced, in all codings."""

    name = "dicom"

    def samples(self) -> list[Sample]:
        """Of whole numbers and rescaled; of every coding."""
        plain = _written(enhanced=False)
        enhanced = _written(enhanced=True)
        codings = (ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
        return [
            Sample(plain, STRICT),
            Sample(enhanced, STRICT),
            Sample(_written(enhanced=False, rescaled=True), STRICT),
            *(Sample(_each(plain, _recoded(syntax)), STRICT) for syntax in codings),
            *(Sample(_each(enhanced, _recoded(syntax)), STRICT) for syntax in codings),
            *(
                Sample(_compressed(enhanced, kind), _COMPRESSED)
                for kind in ("JPEGLosslessProcess14_1", "JPEG2000")
            ),
            Sample(_compressed(enhanced, "JPEGLSLossless"), _COMPRESSED),
            *(Sample(_each(files, _recoded(RLELossless)), _COMPRESSED) for files in (plain, enhanced)),
        ]

    def mutate(self, samples: Sequence[Sample], luck: random.Random) -> Mutant:
        """Elements changed, bytes damaged, pixels cut, files gone or twice."""
        # A decoder starts anew for every compressed folder; they are a tenth.
        is_compressed = luck.random() < 0.1
        sample = luck.choice([each for each in samples if (each.kind == _COMPRESSED) == is_compressed])
        files = dict(sample.files)
        what = "untouched"
        if luck.random() > 0.02:
            what = luck.choice(_CHANGES)(files, luck)
        return Mutant(files, what, KEEP_GOING if luck.random() < 0.4 else STRICT)

    def read(self, folder: Path, kind: str) -> DicomImport:
        """Import it."""
        return import_dicom(folder, keep_going=kind == KEEP_GOING, all_stacks=kind == KEEP_GOING)

    def judge(self, folder: Path, kind: str, result: DicomImport) -> str | None:  # noqa: ARG002 - one form for all
        """Every frame of every slice is that of a file at its place, at its turn."""
        return difference(folder, result)


def _written(*, enhanced: bool, rescaled: bool = False) -> Files:
    cine = heart().cine if rescaled else whole_numbers(heart().cine)
    with tempfile.TemporaryDirectory() as folder:
        series = CineSeries(cine, "sax", slice_thickness_mm=6.0)
        layout = Layout.FRAME_MAJOR if enhanced else Layout.SERIES_PER_SLICE
        write_dicom([series], Path(folder) / "study", seed=1, enhanced=enhanced, layout=layout)
        return read_files(Path(folder) / "study")


def _each(files: Files, change: Callable[[FileDataset], None]) -> Files:
    return {name: edited(content, change) for name, content in files.items()}


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


def _compressed(files: Files, kind: str) -> Files:
    with tempfile.TemporaryDirectory() as folder:
        found: Files = {}
        for name, content in files.items():
            source, target = Path(folder) / "source", Path(folder) / "target"
            source.write_bytes(content)
            reader = gdcm.ImageReader()
            reader.SetFileName(str(source))
            change = gdcm.ImageChangeTransferSyntax()
            change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, kind)))
            if not reader.Read():
                raise RuntimeError(f"GDCM does not read {name}")
            change.SetInput(reader.GetImage())
            writer = gdcm.ImageWriter()
            writer.SetFileName(str(target))
            writer.SetFile(reader.GetFile())
            if not change.Change():
                raise RuntimeError(f"GDCM does not compress {name} as {kind}")
            writer.SetImage(change.GetOutput())
            if not writer.Write():
                raise RuntimeError(f"GDCM does not write {name}")
            # Of what it writes only the pixels: it changes the geometry of enhanced images.
            other, ds = parse(target.read_bytes()), parse(content)
            ds.file_meta.TransferSyntaxUID = other.file_meta.TransferSyntaxUID
            ds["PixelData"] = other["PixelData"]
            found[name] = content_of(ds)
        return found


def _some(files: Files, luck: random.Random) -> list[str]:
    """One file, a few, or all."""
    names = sorted(files)
    return luck.choice(
        ([luck.choice(names)], [luck.choice(names)], luck.sample(names, len(names) // 2 + 1), names)
    )


def _elements_changed(files: Files, luck: random.Random) -> str:
    """The same change in each of the files, or another one in each."""
    names = _some(files, luck)
    seed = luck.randrange(10**9)
    is_same = luck.random() < 0.7
    what = ""
    for number, name in enumerate(names):
        files[name], what = with_changed_elements(files[name], random.Random(seed if is_same else seed + number))
    return f"{len(names)} files: {what}"


def _bytes_damaged(files: Files, luck: random.Random) -> str:
    name = luck.choice(sorted(files))
    files[name], what = damaged(files[name], luck, head=2000)
    return what


def _pixels_damaged(files: Files, luck: random.Random) -> str:
    """Another length, or other values; damaged streams of compressed images."""
    name = luck.choice(sorted(files))
    content = files[name]
    start = max(content.find(b"\xe0\x7f\x10\x00"), content.find(b"\x7f\xe0\x00\x10")) + 12
    pixels, what = damaged(content[start:], luck, head=200)
    files[name] = content[:start] + pixels
    return f"pixels: {what}"


def _other_syntax(files: Files, luck: random.Random) -> str:
    syntax = luck.choice(_SYNTAXES).encode()
    for name in _some(files, luck):
        content = files[name]
        place = content.find(b"\x02\x00\x10\x00UI")
        if place >= 0:
            length = int.from_bytes(content[place + 6 : place + 8], "little")
            new = (
                syntax[:length].ljust(length, b"\0") if luck.random() < 0.5 else syntax + b"\0" * (len(syntax) % 2)
            )
            head = content[:place] + b"\x02\x00\x10\x00UI" + len(new).to_bytes(2, "little") + new
            files[name] = head + content[place + 8 + length :]
    return f"transfer syntax {syntax.decode()}"


def _files_changed(files: Files, luck: random.Random) -> str:
    names = sorted(files)
    name, other = luck.choice(names), luck.choice(names)
    kind = luck.randrange(5)
    if kind == 0 and len(names) > 1:
        del files[name]
        return "a file gone"
    if kind == 1:
        files["copy"] = files[name]
        return "a file twice"
    if kind == 2:
        files["junk"] = luck.choice((b"", b"DICM" * 100, bytes(128) + b"DICM", bytes(200), luck.randbytes(999)))
        return "a file of junk"
    if kind == 3:
        files[name], files[other] = files[other], files[name]
        return "names swapped"
    files[name] = files[name] + files[other]
    return "one file after the other"


_CHANGES = (
    *[_elements_changed] * 8,
    *[_bytes_damaged] * 4,
    *[_pixels_damaged] * 3,
    _other_syntax,
    _files_changed,
)
