"""Slices to stacks: parallel, of one matrix size, evenly spaced by their positions."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cardiac_motion.dicom.phases import TimedSlice, missing_by_cycle
from cardiac_motion.dicom.records import Left

PARALLEL_DEGREES = 0.1
"""Axes of slices that differ by more are not those of one grid: at 180 mm from the middle, 0.3 mm."""
SAME_PLACE_MM = 1.0
"""Planes that lie closer are the same one, acquired again."""
UNEVEN = 0.1
"""Share of the slice distance by which a distance may differ."""
SIDEWAYS_MM = 0.5
"""How far a slice may lie beside the line on which the first pixels of the others lie."""
NEARLY_PARALLEL_DEGREES = 30.0
"""A slice in a gap of a stack, or at its end, that is tilted by less was meant to be part of it."""
INCOMPLETE = "its stack is not complete"
PAIR_MM = 25.0
"""Two slices alone, each a series of its own, are a stack only if they are not further apart."""

Vector = npt.NDArray[np.float64]
Recency = tuple[bool, str, int, str]


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices of one grid.

    Attributes:
        slices: (Z,) along their normal.
    """

    slices: tuple[TimedSlice, ...]

    @property
    def first(self) -> TimedSlice:
        """The slice that lies first along the normal."""
        return self.slices[0]

    @property
    def normal(self) -> Vector:
        """(3,) unit normal, LPS."""
        return self.first.normal

    @property
    def centre(self) -> Vector:
        """(3,) of the stack, LPS in mm."""
        return np.mean([each.centre for each in self.slices], axis=0)

    @property
    def thickness_mm(self) -> float:
        """Between slices, from their positions; for a single one 0, as nothing says it."""
        if len(self.slices) == 1:
            return 0.0
        return float(np.linalg.norm(self.slices[-1].position - self.first.position)) / (len(self.slices) - 1)

    @property
    def series(self) -> tuple[int, ...]:
        """Numbers of its series, increasing."""
        return series_of(self.slices)

    @property
    def recency(self) -> Recency:
        """Grows with the time of acquisition, see the function of this name."""
        return max(map(recency, self.slices))


def recency(found: TimedSlice) -> Recency:
    """Grows with the time of acquisition; by number of series where files do not tell the time.

    What was computed after the examination (SECONDARY) is behind all that the scanner made, however late it is.
    """
    first = found.first
    is_of_scanner = "SECONDARY" not in first.image_type[:2]
    number = -1 if first.series_number is None else first.series_number
    return is_of_scanner, found.acquired, number, first.series_uid


def series_of(slices: Iterable[TimedSlice]) -> tuple[int, ...]:
    """The numbers of their series, increasing."""
    numbers = {each.first.series_number for each in slices}
    return tuple(sorted(number for number in numbers if number is not None))


def make_stacks(slices: Sequence[TimedSlice]) -> tuple[list[Stack], list[Left]]:
    """Stacks of the slices of one study; what is left is a broken stack, or an older part of one.

    Slices belong together if they are parallel and their positions do not collide, whatever series they are in. Of
    slices at the same position the newest make up one stack and the older ones another.
    """
    slices = sorted(slices, key=recency)
    clusters = sorted(_by_axes(slices), key=len, reverse=True)
    lone = [cluster[0] for cluster in clusters if len(cluster) == 1]
    stacks: list[Stack] = []
    left: list[Left] = []
    for cluster in clusters:
        if len(cluster) == 1:
            continue
        tilted = [each for each in lone if _was_meant_for(each, cluster)]
        left += [_not_parallel(each, cluster) for each in tilted]
        lone = [each for each in lone if each not in tilted]
        found, broken = _arrange(cluster)
        stacks += found
        left += broken
    return stacks + [Stack((each,)) for each in lone], left


def broken_stack(reason: str, slices: Sequence[TimedSlice], *, is_error: bool = True) -> Left:
    """What is left of slices that make no stack."""
    files = sorted({record.name for each in slices for record in each.records})
    return Left(reason, tuple(files), series_of(slices), is_error)


def _by_axes(slices: Sequence[TimedSlice]) -> list[list[TimedSlice]]:
    groups: list[list[TimedSlice]] = []
    for each in slices:
        group = next((group for group in groups if _same_axes(group[0], each)), None)
        if group is None:
            groups.append([each])
        else:
            group.append(each)
    return groups


def _same_axes(one: TimedSlice, other: TimedSlice) -> bool:
    limit = np.sin(np.radians(PARALLEL_DEGREES))
    axes = zip(
        (one.orientation[:3], one.orientation[3:]), (other.orientation[:3], other.orientation[3:]), strict=True
    )
    return all(np.linalg.norm(a - b) < limit for a, b in axes)


def angle_degrees(one: Vector, other: Vector) -> float:
    """Between two planes, or two lines, given by unit vectors: 0 to 90."""
    return float(np.degrees(np.arccos(np.clip(abs(one @ other), 0, 1))))


def _was_meant_for(lone: TimedSlice, cluster: Sequence[TimedSlice]) -> bool:
    """Whether a slice that nothing is parallel to was to be one of these, which are parallel."""
    normal = cluster[0].normal
    if angle_degrees(lone.normal, normal) > NEARLY_PARALLEL_DEGREES:
        return False
    if any(lone.first.series_uid == each.first.series_uid for each in cluster):
        return True
    heights = np.sort(_heights(cluster))
    steps = np.diff(heights)
    step = float(steps[steps > SAME_PLACE_MM].min(initial=np.inf))
    width = min(cluster[0].first.rows, cluster[0].first.columns) * min(cluster[0].pixel_spacing)
    named_alike = _plain_name(lone) in {_plain_name(each) for each in cluster}
    has_gap = len(cluster) == 2 or steps.max() > (1 + UNEVEN) * step
    # It may have been tilted about its first pixel, or about its middle.
    for here, there in ((lone.position, cluster[0].position), (lone.centre, cluster[0].centre)):
        height = float((here - there + cluster[0].position) @ normal)
        sideways = here - there - ((here - there) @ normal) * normal
        beside = float(np.abs(heights - height).min())
        if np.linalg.norm(sideways) > 0.5 * width or not 0.4 * step < beside < 1.5 * step:
            continue
        if (heights[0] < height < heights[-1] and has_gap) or (
            named_alike and not heights[0] < height < heights[-1]
        ):
            return True
    return False


def _not_parallel(odd: TimedSlice, cluster: Sequence[TimedSlice]) -> Left:
    tilt = angle_degrees(odd.normal, cluster[0].normal)
    how = f"is tilted by {tilt:.1f} degrees" if tilt >= PARALLEL_DEGREES else "is turned in its plane"
    numbers = ", ".join(map(str, series_of(cluster)))
    return broken_stack(f"slices are not parallel: the {odd} {how} against those of series {numbers}", [odd])


def _plain_name(each: TimedSlice) -> str:
    """The description of its series without numbers, by which sites tell slices apart."""
    return re.sub(r"[^a-z]+", " ", each.first.description).strip()


def _arrange(cluster: Sequence[TimedSlice]) -> tuple[list[Stack], list[Left]]:
    """Stacks of slices with the same axes."""
    grids = _group(cluster, lambda each: each.grid)
    if len(grids) > 1:
        most = max(grids, key=lambda group: (len(group), max(map(recency, group))))
        for others in grids:
            odd = [] if others is most else [each for each in others if _continues(each, most)]
            if odd:
                sizes = " and ".join(
                    f"{g[1]} x {g[0]} at {g[3]:g} x {g[2]:g} mm" for g in (most[0].grid, odd[0].grid)
                )
                reason = f"slices of two matrix sizes in one stack, {sizes}: the odd one is the {odd[0]}"
                return [], [
                    broken_stack(reason, odd),
                    broken_stack(INCOMPLETE, most, is_error=False),
                ]
    stacks: list[Stack] = []
    broken: list[tuple[Left, list[TimedSlice]]] = []
    for group in grids:
        for candidate in _apart(group):
            found, gone = _evenly_spaced(candidate)
            stacks += found
            broken += [(each, candidate) for each in gone]
    whole = [each for stack in stacks for each in stack.slices]
    # An older or aborted repeat is no loss where all its places are covered.
    return stacks, [
        replace(gone, reason=f"{gone.reason}; acquired again as a whole", is_error=False)
        if whole and all(_collide([each], whole) for each in candidate)
        else gone
        for gone, candidate in broken
    ]


def _by_series(slices: Iterable[TimedSlice]) -> list[list[TimedSlice]]:
    return _group(slices, lambda each: each.first.series_uid)


def _group(slices: Iterable[TimedSlice], key: Callable[[TimedSlice], Hashable]) -> list[list[TimedSlice]]:
    groups: defaultdict[Hashable, list[TimedSlice]] = defaultdict(list)
    for each in slices:
        groups[key(each)].append(each)
    return list(groups.values())


def _heights(slices: Sequence[TimedSlice]) -> Vector:
    return np.array([each.position @ slices[0].normal for each in slices])


def _continues(each: TimedSlice, stack: Sequence[TimedSlice]) -> bool:
    """Whether a slice lies where the stack has none and would have its next, or one that it lacks."""
    heights = np.unique(np.round(_heights(stack), 1))
    height = float(each.position @ stack[0].normal)
    step = float(np.diff(heights).min(initial=np.inf))
    beside = float(np.abs(heights - height).min())
    return bool(len(heights) > 1 and 0.75 * step < beside < 1.5 * step)


def _apart(slices: Sequence[TimedSlice]) -> list[list[TimedSlice]]:
    """Groups of slices no two of which lie at the same place."""
    by_series = _by_series(slices)
    whole = [series for series in by_series if len(series) > 1]
    single = [series[0] for series in by_series if len(series) == 1]
    groups = [*whole, *_levels(single)]
    together = [each for group in groups for each in group]
    meet = any(_collide(one, other) for i, one in enumerate(groups) for other in groups[:i])
    # Series that only together are a stack, as where base and apex were taken apart.
    return [together] if whole and not meet and _is_even(together) else groups


def _collide(one: Sequence[TimedSlice], other: Sequence[TimedSlice]) -> bool:
    normal = one[0].normal
    return any(abs((a.position - b.position) @ normal) < SAME_PLACE_MM for a in one for b in other)


def _levels(single: Sequence[TimedSlice]) -> list[list[TimedSlice]]:
    """Slices that are each a series: the newest at every place, then the next, and so on."""
    levels: list[list[TimedSlice]] = []
    for each in sorted(single, key=recency, reverse=True):
        level = next((level for level in levels if not _collide([each], level)), None)
        if level is None:
            levels.append([each])
        else:
            level.append(each)
    return levels


def _is_even(slices: Sequence[TimedSlice]) -> bool:
    steps = np.diff(np.sort(_heights(slices)))
    return bool(len(steps) == 0 or (np.abs(steps - np.median(steps)) <= UNEVEN * np.median(steps)).all())


def _evenly_spaced(slices: Sequence[TimedSlice]) -> tuple[list[Stack], list[Left]]:
    """The stack of these slices; several where names tell them apart, or why they are none."""
    ordered = [slices[i] for i in np.argsort(_heights(slices))]
    if len(ordered) == 1:
        return [Stack((ordered[0],))], []
    names = _group(ordered, _plain_name)
    heights = _heights(ordered)
    if len(ordered) == len(_by_series(ordered)) == 2 and (len(names) > 1 or heights[1] - heights[0] > PAIR_MM):
        return [Stack((each,)) for each in ordered], []
    if not _is_even(ordered):
        if len(names) > 1 and max(map(len, names)) > 2 and all(_is_even(group) for group in names):
            parts = [_evenly_spaced(group) for group in names]
            stacks = [stack for found, _ in parts for stack in found]
            return stacks, [gone for _, broken in parts for gone in broken]
        return [], [broken_stack(_gap(ordered), ordered)]
    reason = _sideways(ordered)
    lost = missing_by_cycle(ordered)
    if lost:
        odd = lost[0]
        reason = (
            f"a phase is missing: the {odd} has {odd.n_frames} frames every {odd.step_ms:.1f} ms in a heart cycle "
            f"of {odd.rr_ms:.0f} ms, where the others fill theirs"
        )
        others = [each for each in ordered if each is not odd]
        return [], [broken_stack(reason, [odd]), broken_stack(INCOMPLETE, others, is_error=False)]
    return ([], [broken_stack(reason, ordered)]) if reason else ([Stack(tuple(ordered))], [])


def _gap(ordered: Sequence[TimedSlice]) -> str:
    heights = _heights(ordered)
    steps = np.diff(heights)
    usual = float(np.median(steps))
    worst = int(np.argmax(np.abs(steps - usual)))
    if steps[worst] < usual:
        usual, worst = float(steps.min()), int(np.argmax(steps))
    return (
        f"a gap in the stack: {steps[worst]:.1f} mm between the {ordered[worst]} and the {ordered[worst + 1]}, "
        f"where others are {usual:.1f} mm apart"
    )


def _sideways(ordered: Sequence[TimedSlice]) -> str | None:
    """What is wrong where the first pixels do not lie on one line."""
    positions = np.array([each.position for each in ordered])
    line = np.linspace(positions[0], positions[-1], len(ordered))
    normal = ordered[0].normal
    # Along the normal they may be uneven by a little; what counts here is aside from it.
    off = np.linalg.norm((positions - line) - ((positions - line) @ normal)[:, None] * normal, axis=1)
    worst = int(np.argmax(off))
    if off[worst] <= SIDEWAYS_MM:
        return None
    return f"slices are shifted in their plane: the {ordered[worst]} by {off[worst]:.1f} mm against the others"
