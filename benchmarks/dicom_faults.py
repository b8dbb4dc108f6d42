"""Folders of cines in which one thing is broken, as happens on the way from a scanner."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import FileDataset
from pydicom.uid import CTImageStorage, generate_uid

from benchmarks.dicom_folders import Files, content_of, edited, parse

SAX = frozenset({"sax"})


@dataclass(frozen=True)
class Broken:
    """A folder with a fault.

    Attributes:
        files: of the folder.
        expected: words of the message that it must lead to.
        named: names of files one of which the message must hold, or the place of a slice; empty where it is the
            folder that is wrong.
        lost: stems of the cines that are lost with it; None where nothing can be imported.
    """

    files: Files
    expected: str
    named: tuple[str, ...]
    lost: frozenset[str] | None = SAX


@dataclass(frozen=True)
class Stack:
    """The short-axis stack of a folder: names of the files of each slice along the normal, in order of time."""

    slices: tuple[tuple[str, ...], ...]


def short_axis(files: Files) -> Stack:
    """The slices at the commonest orientation of single-frame files."""
    by_axes: dict[tuple[float, ...], dict[tuple[float, ...], list[tuple[float, str]]]] = {}
    for name, content in files.items():
        ds = parse(content)
        place = tuple(map(float, ds.ImagePositionPatient))
        axes = tuple(round(float(value), 4) for value in ds.ImageOrientationPatient)
        by_axes.setdefault(axes, {}).setdefault(place, []).append((float(ds.TriggerTime), name))
    axes, places = max(by_axes.items(), key=lambda item: len(item[1]))
    normal = np.cross(*np.array(axes).reshape(2, 3))
    ordered = sorted(places.items(), key=lambda item: float(np.array(item[0]) @ normal))
    return Stack(tuple(tuple(name for _, name in sorted(frames)) for _, frames in ordered))


def _place(content: bytes) -> str:
    x, y, z = (float(value) for value in parse(content).ImagePositionPatient)
    return f"({x:.1f}, {y:.1f}, {z:.1f}) mm"


def _inner(luck: random.Random, names: tuple[str, ...]) -> int:
    return luck.randrange(1, len(names) - 1)


def missing_phase(files: Files, luck: random.Random) -> Broken:
    """One file of a slice is not there, the first and the last included."""
    frames = luck.choice(short_axis(files).slices)
    gone = luck.choice(frames)
    rest = {name: content for name, content in files.items() if name != gone}
    return Broken(rest, "a phase is missing", (_place(files[gone]),))


def duplicate(files: Files, luck: random.Random) -> Broken:
    """A file is there twice, the second time as an instance of its own or not; if not, nothing is lost with it."""
    name = luck.choice(luck.choice(short_axis(files).slices))
    is_other = luck.random() < 0.5
    copy = edited(files[name], _new_instance) if is_other else files[name]
    lost = SAX if is_other else frozenset()
    return Broken({**files, "copy": copy}, "same position and trigger time", (name, "copy"), lost)


def _new_instance(ds: FileDataset) -> None:
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()


def tied_times(files: Files, luck: random.Random) -> Broken:
    """A frame has the trigger time of another, or all have the same."""
    frames = luck.choice(short_axis(files).slices)
    time = parse(files[frames[0]]).TriggerTime
    chosen = frames if luck.random() < 0.5 else (luck.choice(frames[1:]),)
    changed = {name: edited(files[name], lambda ds: setattr(ds, "TriggerTime", time)) for name in chosen}
    return Broken(files | changed, "trigger times are tied", frames)


def absent_times(files: Files, luck: random.Random) -> Broken:
    """One frame of a slice, or all, have no trigger time."""
    frames = luck.choice(short_axis(files).slices)
    chosen = frames if luck.random() < 0.5 else (luck.choice(frames),)
    changed = {name: edited(files[name], _without("TriggerTime")) for name in chosen}
    return Broken(files | changed, "no trigger time", chosen)


def _without(keyword: str) -> Callable[[FileDataset], None]:
    return lambda ds: ds.__delattr__(keyword)


def _cropped(ds: FileDataset) -> None:
    pixels = ds.pixel_array[: ds.Rows // 2 // 2 * 2]
    ds.Rows = len(pixels)
    ds.PixelData = pixels.tobytes()


def two_matrix_sizes(files: Files, luck: random.Random) -> Broken:
    """One slice, or one frame of it, has fewer rows."""
    frames = luck.choice(short_axis(files).slices)
    chosen = frames if luck.random() < 0.5 else (luck.choice(frames),)
    changed = {name: edited(files[name], _cropped) for name in chosen}
    return Broken(files | changed, "two matrix sizes", chosen)


def truncated(files: Files, luck: random.Random) -> Broken:
    """A file ends in its pixels, or in its header."""
    name = luck.choice(luck.choice(short_axis(files).slices))
    share = luck.uniform(0.2, 0.99) if luck.random() < 0.5 else 0.0
    length = int(len(files[name]) * share) or luck.randrange(200, 900)
    return Broken(files | {name: files[name][:length]}, "truncated", (name,))


def not_mr(files: Files, luck: random.Random) -> Broken:  # noqa: ARG001 - all faults have the same form
    """All images are CT."""
    return Broken({name: edited(content, _as_ct) for name, content in files.items()}, "modality CT", (), None)


def _as_ct(ds: FileDataset) -> None:
    ds.Modality = "CT"
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = CTImageStorage


def not_a_cine(files: Files, luck: random.Random) -> Broken:
    """One frame of every slice: still images."""
    planes: dict[tuple[float, ...], str] = {}
    names = list(files)
    luck.shuffle(names)
    for name in names:
        planes[tuple(map(float, parse(files[name]).ImagePositionPatient))] = name
    return Broken({name: files[name] for name in planes.values()}, "not a cine", (), None)


def gap(files: Files, luck: random.Random) -> Broken:
    """A slice within the stack is not there."""
    slices = short_axis(files).slices
    place = luck.randrange(1, len(slices) - 1)
    rest = {name: content for name, content in files.items() if name not in slices[place]}
    beside = (_place(files[slices[place - 1][0]]), _place(files[slices[place + 1][0]]))
    return Broken(rest, "a gap in the stack", beside)


def not_parallel(files: Files, luck: random.Random) -> Broken:
    """A slice is tilted by 1 to 20 degrees, about its first pixel or its middle."""
    frames = luck.choice(short_axis(files).slices)
    angle = np.radians(luck.uniform(1, 20)) * luck.choice((-1, 1))
    about_middle = luck.random() < 0.5

    def tilt(ds: FileDataset) -> None:
        row, column = np.array(ds.ImageOrientationPatient, float).reshape(2, 3)
        turned = column * np.cos(angle) + np.cross(row, column) * np.sin(angle)
        if about_middle:
            half = (ds.Rows - 1) / 2 * float(ds.PixelSpacing[0])
            position = np.array(ds.ImagePositionPatient, float) + half * (column - turned)
            ds.ImagePositionPatient = position.round(4).tolist()
        ds.ImageOrientationPatient = np.concatenate([row, turned]).round(7).tolist()

    changed = {name: edited(files[name], tilt) for name in frames}
    return Broken(files | changed, "not parallel", (_place(changed[frames[0]]),))


def unknown_syntax(files: Files, luck: random.Random) -> Broken:
    """A file is compressed in a way that nobody knows, or its compressed pixels are damaged."""
    name = luck.choice(luck.choice(short_axis(files).slices))

    def compress(ds: FileDataset) -> None:
        ds.compress("1.2.840.10008.1.2.5", encoding_plugin="pydicom")

    content = edited(files[name], compress)
    syntax = b"1.2.840.10008.1.2.5"
    if luck.random() < 0.5:
        content = content.replace(syntax, b"1.2.840.99999.1.2.5", 1)
        return Broken(files | {name: content}, "transfer syntax", (name,))
    damaged = bytearray(content)
    start = content.index(b"\xe0\x7f\x10\x00") + 40
    damaged[start : start + 400] = bytes(luck.randrange(256) for _ in range(400))
    return Broken(files | {name: bytes(damaged)}, "cannot be decoded", (name,))


def no_position(files: Files, luck: random.Random) -> Broken:
    """A file does not say where its image lies."""
    name = luck.choice(luck.choice(short_axis(files).slices))
    keyword = luck.choice(("ImagePositionPatient", "ImageOrientationPatient"))
    changed = {name: edited(files[name], _without(keyword))}
    return Broken(files | changed, "does not say where its image lies", (name,))


def two_studies(files: Files, luck: random.Random) -> Broken:  # noqa: ARG001 - all faults have the same form
    """The cines of another study lie in the same folder."""

    def of_another(content: bytes) -> bytes:
        ds = parse(content)
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            setattr(ds, keyword, generate_uid(entropy_srcs=[ds[keyword].value]))
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        return content_of(ds)

    others = {f"other/{name}": of_another(files[name]) for name in short_axis(files).slices[0]}
    return Broken(files | others, "expected the cines of one study", tuple(others), frozenset())


FAULTS: dict[str, Callable[[Files, random.Random], Broken]] = {
    "missing phase": missing_phase,
    "duplicate position and time": duplicate,
    "tied trigger times": tied_times,
    "absent trigger times": absent_times,
    "two matrix sizes": two_matrix_sizes,
    "truncated file": truncated,
    "not MR": not_mr,
    "not a cine": not_a_cine,
    "gap in the stack": gap,
    "non-parallel slices": not_parallel,
    "unknown or damaged compression": unknown_syntax,
    "no position": no_position,
    "two studies": two_studies,
}
