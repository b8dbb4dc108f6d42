"""The frames of a slice in the order of the heart cycle, and slices with different numbers of frames."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from cardiac_motion.cine import cycle_seconds
from cardiac_motion.dicom.records import FrameRecord

MIN_FRAMES = 4
"""Fewer images of one plane are a cine only if the file says how many the cycle has, and they are as many."""
HOLE = 1.5
"""Times the usual step between trigger times from which on a phase is missing in between."""
MIN_STEP_MS = 0.5
"""Trigger times that lie closer are the same: scanners round to whole milliseconds at worst."""

_SAME_SPACING = 1e-3

_NO_CINE = re.compile(
    r"lge|psir|\bmde\b|delayed|late.?gad|molli|\bt[12][\b_* ]|t[12].?map|mapping|perf|scout|locali[sz]|haste"
)
_FLOW = re.compile(r"flow(?!.?comp)|venc|velocity|phase.?contrast|\bpc\b")
"""Some scanners keep magnitude and velocity in one series and do not say which is which."""
_CINE = re.compile(r"cine|trufi|fiesta|b-?tfe|b-?ssfp")
_CINE_TYPES = frozenset({"RETRO", "CINE", "CARDIAC_GATED"})
_MAPS = re.compile(r"T[12]( |_|\*)?(STAR )?MAP|PERFUSION|LOCALIZER|PSIR")


class Unusable(Exception):  # noqa: N818 - becomes an InputError where it matters
    """Images that make no cine; the message says why, without names of files.

    Attributes:
        records: those that the reason is about.
        is_error: they are part of a cine that is broken; otherwise they are something else.
    """

    def __init__(self, reason: str, records: Sequence[FrameRecord], *, is_error: bool) -> None:
        super().__init__(reason)
        self.records = tuple(records)
        self.is_error = is_error


@dataclass(frozen=True, eq=False)
class TimedSlice:
    """One slice of a cine: its frames in the order of their trigger times.

    Attributes:
        records: (T,) in that order.
        times_ms: (T,) trigger times, increasing.
        rr_ms: nominal length of the heart cycle; without one, what the frames themselves cover.
    """

    records: tuple[FrameRecord, ...]
    times_ms: npt.NDArray[np.float64]
    position: npt.NDArray[np.float64]
    orientation: npt.NDArray[np.float64]
    pixel_spacing: tuple[float, float]

    @property
    def first(self) -> FrameRecord:
        """The first frame, for what all of them share."""
        return self.records[0]

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.records)

    @property
    def step_ms(self) -> float:
        """Usual time between frames: the median; of an even number of times the lower of the two in the middle.

        A missing frame makes one time longer, and of two times that one must not count.
        """
        steps = np.sort(np.diff(self.times_ms))
        return float(steps[(len(steps) - 1) // 2])

    @property
    def nominal_rr_ms(self) -> float | None:
        """Length of the heart cycle as the scanner states it."""
        stated = [record.rr_ms for record in self.records if record.rr_ms]
        return float(np.median(stated)) if stated else None

    @property
    def rr_ms(self) -> float:
        """Length of the heart cycle; where the scanner does not state it, what the frames cover."""
        return self.nominal_rr_ms or 1000 * cycle_seconds(self.times_ms / 1000)

    @property
    def normal(self) -> npt.NDArray[np.float64]:
        """(3,) unit normal, LPS: rows times columns."""
        normal = np.cross(self.orientation[:3], self.orientation[3:])
        return normal / np.linalg.norm(normal)

    @property
    def grid(self) -> tuple[int, int, float, float]:
        """Rows, columns, and the pixel's size in mm rounded to what scanners are exact to."""
        return (
            self.first.rows,
            self.first.columns,
            round(self.pixel_spacing[0], 3),
            round(self.pixel_spacing[1], 3),
        )

    @property
    def centre(self) -> npt.NDArray[np.float64]:
        """(3,) middle of the image, LPS in mm."""
        row, column = self.orientation[:3], self.orientation[3:]
        across = (self.first.columns - 1) / 2 * self.pixel_spacing[1]
        down = (self.first.rows - 1) / 2 * self.pixel_spacing[0]
        return self.position + row * across + column * down

    @property
    def acquired(self) -> str:
        """When the last of its frames was, as 14 digits; empty where unknown."""
        return max(record.acquired for record in self.records)

    @property
    def misses_by_cycle(self) -> int:
        """Frames that its step leaves room for in its heart cycle."""
        rr = self.nominal_rr_ms
        return max(round(rr / self.step_ms) - self.n_frames, 0) if rr else 0

    @property
    def phases(self) -> npt.NDArray[np.float64]:
        """(T,) from 0 to 1: where in the cycle each frame is, the first at 0."""
        covered = 1000 * cycle_seconds(self.times_ms / 1000)
        # A stated cycle that the frames do not fit into is another one than theirs.
        cycle = self.rr_ms if covered <= 1.02 * self.rr_ms else covered
        return (self.times_ms - self.times_ms[0]) / cycle

    def __str__(self) -> str:
        x, y, z = self.position
        return f"slice at ({x:.1f}, {y:.1f}, {z:.1f}) mm"


def claims_cine(records: Sequence[FrameRecord]) -> bool:
    """Whether the images of a series are meant as a cine, so that a fault in them is a broken cine.

    Type, name and number of frames of the heart cycle say so, or several trigger times in one plane; what is
    named as something else (late enhancement, maps, perfusion, flow, localizers) is none.
    """
    first = records[0]
    if any(_MAPS.search(part) for record in records for part in record.image_type):
        return False
    if _FLOW.search(first.description):
        return False
    if _NO_CINE.search(first.description) and not _CINE.search(first.description):
        return False
    if any(_CINE_TYPES & set(record.image_type) or (record.expected_frames or 0) > 1 for record in records):
        return True
    if _CINE.search(first.description):
        return True
    times: defaultdict[object, set[float]] = defaultdict(set)
    for record in records:
        if record.trigger_ms is not None:
            times[record.position].add(record.trigger_ms)
    return any(len(found) >= MIN_FRAMES for found in times.values())


def in_time_order(records: Sequence[FrameRecord], *, is_cine: bool) -> TimedSlice:
    """The frames of one plane by trigger time.

    Args:
        records: of one series, at one position.
        is_cine: they are meant as a cine, see `claims_cine`.

    Raises:
        Unusable: they are no cine, or a broken one: pixels cut off, two matrix sizes, trigger times that are
            absent or tied, an image twice, a phase missing.
    """
    _refuse_other_kinds(records, is_cine=is_cine)
    for record in records:
        if record.problem:
            raise Unusable(record.problem, [record], is_error=is_cine)
    first = records[0]
    for record in records:
        if (record.rows, record.columns) != (first.rows, first.columns):
            sizes = sorted({f"{each.columns} x {each.rows}" for each in records})
            odd = _minority(records)
            raise Unusable(f"two matrix sizes in one slice, {' and '.join(sizes)}", odd, is_error=is_cine)
    spacing = _pixel_spacing(records, is_cine=is_cine)
    ordered = sorted(
        records, key=lambda record: (record.trigger_ms or 0.0, record.instance_number or 0, record.frame)
    )
    times = np.array([record.trigger_ms for record in ordered], dtype=np.float64)
    _refuse_ties(ordered, times, is_cine=is_cine)
    if not is_cine and len(records) < MIN_FRAMES:
        raise Unusable(f"not a cine: {len(records)} images of one plane", records, is_error=False)
    actual = np.array([np.nan if record.actual_ms is None else record.actual_ms for record in ordered])
    if (np.diff(actual) >= MIN_STEP_MS).all():
        times = actual
    elif (np.diff(actual) <= -MIN_STEP_MS).any():
        text = "nominal and actual trigger times put its frames in different orders"
        raise Unusable(text, records, is_error=is_cine)
    found = TimedSlice(tuple(ordered), times, np.array(first.position), _at_right_angles(first), spacing)
    _refuse_missing(found, is_cine=is_cine)
    return found


def _pixel_spacing(records: Sequence[FrameRecord], *, is_cine: bool) -> tuple[float, float]:
    """The pixel size that all frames share, between rows and between columns."""
    first = records[0].pixel_spacing or ()
    for record in records:
        spacing = record.pixel_spacing or ()
        if len(spacing) != 2 or not all(0.05 <= value <= 50 for value in spacing):
            raise Unusable("it does not say how large its pixels are", [record], is_error=is_cine)
        if not np.allclose(spacing, first, rtol=_SAME_SPACING):
            sizes = " and ".join(f"{each[0]:g} x {each[1]:g} mm" for each in (first, spacing))
            raise Unusable(f"two pixel sizes in one slice, {sizes}", [record], is_error=is_cine)
    return first[0], first[1]


def _at_right_angles(record: FrameRecord) -> npt.NDArray[np.float64]:
    """(6,) directions of rows and columns without the rounding of the file: unit vectors at a right angle."""
    row, column = np.reshape(record.orientation or (), (2, 3))
    row = row / np.linalg.norm(row)
    column = column - (column @ row) * row
    return np.concatenate([row, column / np.linalg.norm(column)])


def _minority(records: Sequence[FrameRecord]) -> list[FrameRecord]:
    """The images of the matrix size that fewest have."""
    by_size: defaultdict[tuple[int, int], list[FrameRecord]] = defaultdict(list)
    for record in records:
        by_size[record.rows, record.columns].append(record)
    return min(by_size.values(), key=len)


def _refuse_other_kinds(records: Sequence[FrameRecord], *, is_cine: bool) -> None:
    if len(records) == 1:
        raise Unusable("not a cine: one image of its plane", records, is_error=False)
    for what, values in zip(("echo", "inversion"), zip(*(r.contrast for r in records), strict=True), strict=True):
        known = sorted({value for value in values if value is not None})
        if len(known) > 1 and known[-1] > 1.05 * known[0]:
            text = f"not a cine: {what} times from {known[0]:g} to {known[-1]:g} ms in one plane"
            raise Unusable(text, records, is_error=False)
    seconds = _seconds(records)
    rr = next((record.rr_ms for record in records if record.rr_ms), None) or 1000.0
    if seconds is not None and len(records) >= MIN_FRAMES and seconds > 0.5 * len(records) * rr / 1000:
        text = f"not a cine: its {len(records)} images of one plane were taken one by one over {seconds:.0f} s"
        raise Unusable(text, records, is_error=False)
    silent = [record for record in records if record.trigger_ms is None]
    if silent:
        text = (
            "no trigger time" if len(silent) == len(records) else f"no trigger time in {len(silent)} of its images"
        )
        raise Unusable(text if is_cine else f"not a cine: {text}", silent, is_error=is_cine)
    if len({record.trigger_ms for record in records}) == 1 and not is_cine:
        raise Unusable("not a cine: all images of a plane have the same trigger time", records, is_error=False)


def _seconds(records: Sequence[FrameRecord]) -> float | None:
    """Time from the first acquisition to the last; None where not all say when."""
    try:
        moments = [datetime.strptime(record.acquired, "%Y%m%d%H%M%S") for record in records]
    except ValueError:
        return None
    return (max(moments) - min(moments)).total_seconds()


def _refuse_ties(ordered: Sequence[FrameRecord], times: npt.NDArray[np.float64], *, is_cine: bool) -> None:
    ties = np.flatnonzero(np.diff(times) < MIN_STEP_MS)
    if not len(ties):
        return
    pair = ordered[ties[0] : ties[0] + 2]
    at = f"{times[ties[0]]:.1f} ms"
    expected = max((record.expected_frames or 0 for record in ordered), default=0)
    same = (pair[0].sop_uid, pair[0].frame) == (pair[1].sop_uid, pair[1].frame)
    same = same or (pair[0].instance_number is not None and pair[0].instance_number == pair[1].instance_number)
    is_twice = (same and pair[0].layout is not pair[1].layout) or 0 < expected < len(ordered)
    reason = (
        f"two images have the same position and trigger time, {at}" if is_twice
        else f"trigger times are tied: {len(ties) + 1} images share {at}" if len(ties) == len(ordered) - 1
        else f"trigger times are tied: two frames have {at}"
    )  # fmt: skip
    raise Unusable(reason, pair, is_error=is_cine)


def _refuse_missing(found: TimedSlice, *, is_cine: bool) -> None:
    steps = np.diff(found.times_ms)
    step = found.step_ms
    holes = np.flatnonzero(steps > HOLE * step)
    rr = found.nominal_rr_ms
    if not is_cine and len(holes):
        raise Unusable("not a cine: its trigger times are not evenly spaced", found.records, is_error=False)
    expected = max((record.expected_frames or 0 for record in found.records), default=0)
    of = f"{found.n_frames} of {expected} frames" if expected > found.n_frames else f"{found.n_frames} frames"
    if len(holes):
        before, after = found.times_ms[holes[0]], found.times_ms[holes[0] + 1]
        text = f"a phase is missing: {of}, none between {before:.0f} and {after:.0f} ms"
        raise Unusable(text, found.records[holes[0] : holes[0] + 2], is_error=is_cine)
    # Frames that fill the heart cycle are all there, whatever number a scanner states.
    fills = rr is not None and abs(found.n_frames * step - rr) < 0.5 * step
    if expected > found.n_frames and not fills:
        raise Unusable(f"a phase is missing: {of}", found.records, is_error=is_cine)


def missing_in_series(slices: Sequence[TimedSlice]) -> list[TimedSlice]:
    """Slices of one series that have lost a frame at either end: fewer than the others, at the same step."""
    most = max(each.n_frames for each in slices)
    full = [each.step_ms for each in slices if each.n_frames == most]
    step = float(np.median(full))
    return [each for each in slices if each.n_frames < most and abs(each.step_ms - step) < 0.2 * step / most]


def missing_by_cycle(slices: Sequence[TimedSlice]) -> list[TimedSlice]:
    """Slices of a stack with fewer frames than those, the most, that fill their heart cycle, and room for more."""
    filled = [each.n_frames for each in slices if each.nominal_rr_ms and not each.misses_by_cycle]
    if 2 * len(filled) <= len(slices):
        return []
    return [each for each in slices if each.misses_by_cycle and each.n_frames < max(filled)]


def resample_in_phase(
    frames: npt.NDArray[np.float32], phases: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """Frames at other phases of the cycle, linear between neighbours and across its end.

    Args:
        frames: (T, Y, X).
        phases: (T,) of these frames, increasing, the first 0, all below 1.
        wanted: (N,) phases, from 0 to below 1.

    Returns:
        (N, Y, X).
    """
    after = np.searchsorted(phases, wanted, side="right")
    before = after - 1
    ends = np.append(phases, 1.0)
    weight = ((wanted - ends[before]) / (ends[after] - ends[before])).astype(np.float32)[:, None, None]
    return frames[before] * (1 - weight) + frames[after % len(frames)] * weight
