"""NRRD files, cines, sequences and labels: headers that lie, damaged voxels, compared with pynrrd and ITK."""

from __future__ import annotations

import gzip
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nrrd
import numpy as np
import numpy.typing as npt
import SimpleITK as sitk  # noqa: N813 - the customary name
from cardiac_motion.cine import Cine
from cardiac_motion.io import LabelImage, load_cine, read_labels, write_cine, write_labels

from benchmarks.fuzz.compare import Independent, compare
from benchmarks.fuzz.damage import damaged, damaged_gzip
from benchmarks.fuzz.hearts import heart, whole_numbers
from benchmarks.fuzz.target import CannotTellError, Mutant, Sample

Array = npt.NDArray[Any]

_VALUES = {
    "type": ("uchar", "short", "ushort", "int", "float", "double", "block", "int64", "signed char", "longlong"),
    "dimension": ("0", "1", "3", "4", "5", "16", "-1", "four", "1e3", "99999999999"),
    "space": (
        "left-posterior-superior", "RAS", "LAS", "LPS", "right-anterior-superior", "scanner-xyz",
        "3D-right-handed", "left-posterior-superior-time", "right-anterior-superior-time", "LPST", "outer", "",
    ),
    "encoding": ("raw", "gzip", "gz", "RAW", "bzip2", "bz2", "hex", "text", "ascii", "zrl", ""),
    "endian": ("little", "big", "middle", ""),
    "space units": ('"mm" "mm" "mm"', '"cm" "cm" "cm"', '"" "" ""', '"mm"', "mm mm mm", '"m" "mm" "mm" "s"'),
    "measurement frame": ("(1,0,0) (0,1,0) (0,0,1)", "(0,1,0) (1,0,0) (0,0,1)", "(nan,0,0) (0,1,0) (0,0,1)"),
}  # fmt: skip
_KINDS = (
    "domain",
    "space",
    "list",
    "vector",
    "time",
    "none",
    "???",
    "3-vector",
    "RGB-color",
    "complex",
    "stub",
    "x",
)
_NUMBERS = (
    "0", "1", "-1", "2", "4", "0.5", "nan", "inf", "-inf", "1e-30", "1e300", "2147483648", "9" * 30, "abc", "",
    "1e400", "4.5",
)  # fmt: skip
_EXTRA = (
    "byte skip: 5", "byte skip: -1", "line skip: 1", "line skip: 100000000000", "byteskip: 0", "data file: x.raw",
    "data file: /etc/passwd", "datafile: ../x.raw", "data file: LIST", "data file: http://127.0.0.1/x",
    "data file: %03d.raw 0 4 1", "data file:=x", "# a comment", "content: anything", "old min: 3", "oldmax: 1e9",
    "min: -5", "max: 5", "thicknesses: nan nan 8 nan", "centerings: cell cell cell cell", "spacings: 1 1 1 1",
    "axis mins: 0 0 0 0", "axis maxs: nan nan nan nan", "labels: \"a\" \"b\" \"c\" \"d\"", "number: 5",
    "sample units: ms", "block size: 4", "rubbish", ":", ": :", "=", "key:=value", "sizes:=1 1 1 1", "TYPE: x",
    "axis 0 index values:=1 2 3 4", "axis 0 index values:=4 3 2 1", "axis 0 index values:=a b", "kinds: ",
    "axis 0 index unit:=ms", "units: \"s\" \"\" \"\" \"\"", "Segment0_ID:=x", "space dimension: 3",
    "\u00e9: \u00e9",
    "space directions: none (1,0,0) (0,1,0) (0,0,1)", "modality: MR", "DWMRI_b-value:=1000",
)  # fmt: skip


class NrrdTarget:
    """Cines with the frames on the first or the last axis, Slicer's sequences, what ITK writes, and labels."""

    name = "nrrd"

    def samples(self) -> list[Sample]:
        """Written by this package, by pynrrd and by ITK; gzip and raw."""
        study = heart()
        cine = whole_numbers(study.cine)
        ours = _ours(lambda path: write_cine(path, cine), "cine.seq.nrrd")
        labels = _ours(lambda path: write_labels(path, study.labels[0], cine), "labels.nrrd")
        series = _ours(lambda path: write_labels(path, study.labels, cine), "labels.seq.nrrd")
        raw = _as_raw(ours)
        return [
            Sample({"cine.seq.nrrd": ours}, "cine.seq.nrrd"),
            Sample({"cine.nrrd": raw}, "cine.nrrd"),
            Sample({"cine.nrrd": _by_pynrrd(study.cine)}, "cine.nrrd"),
            Sample({"cine.nrrd": _ours(lambda path: _by_itk(path, study.cine), "cine.nrrd")}, "cine.nrrd"),
            Sample({"labels.nrrd": labels}, "labels.nrrd"),
            Sample({"labels.seq.nrrd": series}, "labels.seq.nrrd"),
        ]

    def mutate(self, samples: Sequence[Sample], luck: random.Random) -> Mutant:
        """A header that lies, damaged bytes, or damaged compression."""
        sample = luck.choice(samples)
        ((name, content),) = sample.files.items()
        content, what = mutated(content, luck)
        return Mutant({name: content}, what, name)

    def read(self, folder: Path, kind: str) -> Cine | LabelImage:
        """As the kind of file is read."""
        return read_labels(folder / kind) if kind.startswith("labels") else load_cine(folder / kind)[0]

    def judge(self, folder: Path, kind: str, result: Cine | LabelImage) -> str | None:
        """Voxels as ITK or pynrrd has them, the place likewise."""
        return compare(result, independent(folder / kind))


def _ours(write: Any, name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        return path.read_bytes()


def _as_raw(content: bytes) -> bytes:
    head, data = content.split(b"\n\n", 1)
    return head.replace(b"encoding: gzip", b"encoding: raw") + b"\n\n" + gzip.decompress(data)


def _by_pynrrd(cine: Cine) -> bytes:
    """The frames on the last axis, RAS."""
    header = {
        "space": "right-anterior-superior",
        "space directions": np.vstack([cine.affine[:3, :3].T, np.full(3, np.nan)]),
        "space origin": cine.affine[:3, 3],
        "kinds": ["domain", "domain", "domain", "list"],
        "encoding": "raw",
    }
    content = _ours(lambda path: nrrd.write(str(path), cine.frames.T, header, index_order="F"), "cine.nrrd")
    head, data = content.split(b"\n\n", 1)
    # It notes the time.
    return b"\n".join(line for line in head.split(b"\n") if not line.startswith(b"#")) + b"\n\n" + data


def _by_itk(path: Path, cine: Cine) -> None:
    """A fourth dimension of space, which stands for time."""
    image = sitk.GetImageFromArray(cine.frames, isVector=False)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ cine.affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    direction = np.eye(4)
    direction[:3, :3] = lps[:3, :3] / spacing
    image.SetSpacing([*spacing, 0.04])
    image.SetOrigin([*lps[:3, 3], 0.0])
    image.SetDirection(direction.ravel())
    sitk.WriteImage(image, str(path), useCompression=True)


def mutated(content: bytes, luck: random.Random) -> tuple[bytes, str]:
    """A NRRD file with something wrong; now and then with nothing wrong."""
    head, data = content.split(b"\n\n", 1)
    lines = head.decode("ascii").split("\n")
    chance = luck.random()
    what = "untouched"
    if 0.03 < chance < 0.65:
        done = [luck.choice(_EDITS)(lines, luck) for _ in range(luck.choice((1, 1, 1, 2, 3)))]
        what = ", ".join(done)
    elif chance > 0.95:
        content, what = damaged(head, luck, head=len(head))
        return content + b"\n\n" + data, f"header: {what}"
    elif chance > 0.88:
        return damaged(content, luck, head=len(head))
    head = "\n".join(lines).encode("utf-8")
    if luck.random() < (0.6 if chance > 0.65 else 0.1):
        if "encoding: gzip" in lines:
            data, more = damaged_gzip(gzip.decompress(data), luck)
        else:
            data, more = damaged(data, luck, head=16)
        what = f"{what}; voxels: {more}"
    ending = "\r\n" if luck.random() < 0.02 else "\n"
    return head.replace(b"\n", ending.encode()) + ending.encode() * 2 + data, what


def _field(lines: list[str], luck: random.Random) -> int:
    return luck.randrange(1, len(lines))


def _value_changed(lines: list[str], luck: random.Random) -> str:
    number = _field(lines, luck)
    name, _, value = lines[number].partition(":")
    if name in _VALUES:
        new = luck.choice(_VALUES[name])
    elif name == "kinds":
        kinds = value.split() or [""]
        kinds[luck.randrange(len(kinds))] = luck.choice(_KINDS)
        new = " ".join(kinds)
    else:
        new = _with_number(value, luck)
    lines[number] = f"{name}: {new}" if not value.startswith("=") else f"{name}:={new.removeprefix('=')}"
    return f"{name}:{value} -> {new}"[:200]


def _with_number(value: str, luck: random.Random) -> str:
    """A value with one of its numbers changed, a number more, or one fewer."""
    separators = " ,"
    marks = [i for i, c in enumerate(value) if c in separators]
    start = luck.choice([0, *(mark + 1 for mark in marks)]) if value else 0
    end = next((i for i in range(start, len(value)) if value[i] in " ,)"), len(value))
    start += value[start:end].startswith("(")
    old = value[start:end]
    kind = luck.random()
    if kind < 0.2:
        return value + " " + luck.choice(_NUMBERS)
    if kind < 0.3:
        return value[: max(start - 1, 0)] + value[end:]
    try:
        near = [f"{float(old) * factor:g}" for factor in (0.5, 2, -1, 1.01)] + [str(int(float(old)) + 1)]
    except (ValueError, OverflowError):
        near = ["(1,0,0)", "none"]
    return value[:start] + luck.choice((*_NUMBERS, *near, *near, *near)) + value[end:]


def _dropped(lines: list[str], luck: random.Random) -> str:
    return f"without {lines.pop(_field(lines, luck))}" if len(lines) > 3 else "nothing dropped"


def _doubled(lines: list[str], luck: random.Random) -> str:
    line = lines[_field(lines, luck)]
    lines.insert(_field(lines, luck), line)
    return f"twice {line}"


def _moved(lines: list[str], luck: random.Random) -> str:
    line = lines.pop(_field(lines, luck)) if len(lines) > 3 else lines[-1]
    lines.insert(luck.choice((0, _field(lines, luck))), line)
    return f"moved {line}"


def _added(lines: list[str], luck: random.Random) -> str:
    line = luck.choice(_EXTRA) if luck.random() < 0.95 else "x" * luck.choice((10**4, 5 * 10**6))
    lines.insert(_field(lines, luck), line)
    return f"with {line[:60]}"


def _other_version(lines: list[str], luck: random.Random) -> str:
    lines[0] = luck.choice(("NRRD0001", "NRRD0004", "NRRD0006", "NRRD9999", "NRRD", "nrrd0004", "NRRD0005 "))
    return lines[0]


def _axes_shuffled(lines: list[str], luck: random.Random) -> str:
    """Sizes in another order, the number of voxels unchanged."""
    number = next((i for i, line in enumerate(lines) if line.startswith("sizes:")), 1)
    name, _, value = lines[number].partition(":")
    sizes = value.split()
    luck.shuffle(sizes)
    lines[number] = f"{name}: {' '.join(sizes)}"
    return lines[number]


_EDITS = (
    (_value_changed,) * 6
    + (_dropped, _dropped, _doubled, _moved, _added, _added, _added, _other_version)
    + (_axes_shuffled,) * 2
)


def independent(path: Path) -> Independent:
    """The image as ITK reads it; where it refuses, as pynrrd does.

    Raises:
        CannotTellError: both refuse the file.
    """
    try:
        return _itk(path)
    except RuntimeError as error:
        return _pynrrd(path, str(error).splitlines()[-1][-200:])


def _itk(path: Path) -> Independent:
    """ITK takes a list axis for the components of a vector, wherever it is."""
    image = sitk.ReadImage(str(path))
    values = sitk.GetArrayFromImage(image)
    if image.GetNumberOfComponentsPerPixel() > 1:
        values = np.moveaxis(values, -1, 0)
    n = image.GetDimension()
    lps = np.eye(4)
    direction = np.reshape(image.GetDirection(), (n, n))[:3, :3]
    lps[:3, :3], lps[:3, 3] = direction * image.GetSpacing()[:3], image.GetOrigin()[:3]
    return Independent(values, np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps)


def _pynrrd(path: Path, reason: str) -> Independent:
    """Pynrrd gives what the header says; without a space it is LPS, as ITK has it, without an origin 0."""
    try:
        values, header = nrrd.read(str(path), index_order="F")
    except (nrrd.NRRDError, ValueError, OSError, EOFError, IndexError, TypeError, KeyError) as error:
        raise CannotTellError(f"ITK: {reason}; pynrrd: {type(error).__name__} {error}") from error
    directions = np.array(header.get("space directions", np.zeros((0, 0))), float)
    if directions.shape == (4, 4):
        directions = np.where(directions[:, 3:] != 0, np.nan, directions[:, :3])
    spatial = np.isfinite(directions).all(axis=1)
    if spatial.sum() != 3 or directions.shape[1] != 3:
        raise CannotTellError(f"ITK: {reason}; pynrrd has directions {directions.tolist()}")
    affine = np.eye(4)
    affine[:3, :3] = directions[spatial].T
    affine[:3, 3] = np.array(header.get("space origin", np.zeros(3)), float)[:3]
    space = str(header.get("space", "LPS"))
    axes = space.lower().split("-")[:2] if "-" in space else space.lower()[:2]
    affine[:2] *= np.array([-1 if axis[0] in "lp" else 1 for axis in axes])[:, None]
    affine[:2] *= np.array([1 if axes[0][0] in "rl" else np.nan, 1 if axes[1][0] in "ap" else np.nan])[:, None]
    frames = np.flatnonzero(~spatial)
    values = np.moveaxis(values, int(frames[0]), -1) if len(frames) else values
    return Independent(values.T, None, [affine])
