"""A DICOM series of one cine as an image, with the slice and the frame that each file became."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cardiac_motion.cine import Cine
from cardiac_motion.dicom.assembly import assemble
from cardiac_motion.dicom.phases import Unusable
from cardiac_motion.dicom.pixels import PixelReader
from cardiac_motion.dicom.records import FrameRecord, Left, read_records
from cardiac_motion.dicom.slices import find_slices, left_of
from cardiac_motion.dicom.stacks import make_stacks
from cardiac_motion.errors import InputError
from cardiac_motion.io.timing import DEFAULT_CYCLE_SECONDS


@dataclass(frozen=True, eq=False)
class PlacedSeries:
    """A cine, (frame, slice) by file, and what is unusual about it in sentences."""

    cine: Cine
    places: dict[Path, tuple[int, int]]
    notes: tuple[str, ...]


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM: by its ending, or by its mark where it has none."""
    if path.suffix.lower() in {".dcm", ".ima"}:
        return True
    if path.suffix and not path.suffix[1:].isdigit():
        return False
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def read_headers(files: Sequence[Path], root: Path) -> tuple[list[FrameRecord], list[Left]]:
    """Headers of the MR images among some files, and those that are damaged."""
    records, left = read_records(files, root)
    return records, [each for each in left if each.is_error]


def read_series(records: Sequence[FrameRecord], *, name: str) -> PlacedSeries:
    """Sort the files of one cine into slices and frames as the importer does, and read their pixels.

    Where no file has a trigger time, the order of the instance numbers holds, which is told in a note.

    Args:
        records: of the files, each with one frame; names are relative to the folder that messages speak of.
        name: of the cine.

    Raises:
        InputError: files that are no one stack of slices, with the name of the file or slice.
    """
    notes: tuple[str, ...] = ()
    if all(record.trigger_ms is None for record in records):
        records = _timed_by_number(records)
        notes = (
            "its files have no trigger times: frames are in the order of their numbers, spread over a cycle of "
            f"{DEFAULT_CYCLE_SECONDS:g} s",
        )
    slices, left = find_slices(records)
    stacks, broken = make_stacks(slices)
    lost = [each for each in (*left, *broken) if each.is_error] or [*left, *broken]
    if len(stacks) != 1 or lost:
        got = str(lost[0]) if lost else f"{len(stacks)} of them"
        raise InputError(f"{records[0].path.parent}: expected one stack of slices over the heart cycle, got {got}")
    try:
        with PixelReader() as reader:
            cine, said = assemble(stacks[0], name, reader)
    except Unusable as error:
        raise InputError(f"{records[0].path.parent}: {left_of(error)}") from error
    places = {
        record.path: (t, z) for z, each in enumerate(stacks[0].slices) for t, record in enumerate(each.records)
    }
    if any(each.n_frames != cine.n_frames for each in stacks[0].slices):
        counts = ", ".join(str(each.n_frames) for each in stacks[0].slices)
        raise InputError(f"{records[0].path.parent}: expected as many frames of every slice, got {counts}")
    return PlacedSeries(cine, places, (*notes, *said))


def _timed_by_number(records: Sequence[FrameRecord]) -> list[FrameRecord]:
    """The same with trigger times in the order of the instance numbers of each plane."""
    planes: defaultdict[object, list[FrameRecord]] = defaultdict(list)
    for record in records:
        if record.instance_number is None:
            raise InputError(f"{record.path}: expected a trigger time or an instance number, got neither")
        planes[record.position].append(record)
    return [
        replace(record, trigger_ms=number * 1000 * DEFAULT_CYCLE_SECONDS / len(plane))
        for plane in planes.values()
        for number, record in enumerate(sorted(plane, key=lambda record: record.instance_number or 0))
    ]
