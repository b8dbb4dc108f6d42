"""A folder of DICOM files into cines, one for each view."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cardiac_motion.cine import Cine
from cardiac_motion.dicom.assembly import assemble
from cardiac_motion.dicom.phases import TimedSlice, Unusable
from cardiac_motion.dicom.pixels import PixelReader
from cardiac_motion.dicom.records import Left, read_records
from cardiac_motion.dicom.slices import COPY, find_slices, left_of
from cardiac_motion.dicom.stacks import Stack, angle_degrees, broken_stack, make_stacks
from cardiac_motion.dicom.views import Plane, View, ViewFinding, tell_views
from cardiac_motion.errors import InputError
from cardiac_motion.listing import files_below
from cardiac_motion.progress import Progress, silent

COMPLETE = 2 / 3
"""A stack with a smaller share of the slices of the fullest one of its view is not complete."""
REPEAT_DEGREES, REPEAT_MM = 10.0, 10.0
"""Long-axis planes that differ by less in angle and place are the same view taken again."""
_HEADERS = 0.5
"""Share of the time that reading headers takes."""


@dataclass(frozen=True, eq=False)
class ImportedCine:
    """A cine and where it comes from.

    Attributes:
        view: what it shows.
        cine: frames of all slices, along the slices' normal; frame times are those of the middle slice.
        name: stem of its file, such as ``sax``, ``4ch`` or ``4ch_2``.
        rr_seconds: (Z,) nominal heart cycle of each slice; where the scanner does not state it, what the frames
            cover.
        series: numbers of its series, increasing.
        notes: what was decided or changed on the way, one sentence each.
        is_newest: of several of the same view and plane, the last complete one.
    """

    view: View
    cine: Cine
    name: str
    rr_seconds: tuple[float, ...]
    series: tuple[int, ...]
    notes: tuple[str, ...]
    is_newest: bool


@dataclass(frozen=True, eq=False)
class DicomImport:
    """What a folder of DICOM files held."""

    cines: tuple[ImportedCine, ...]
    left: tuple[Left, ...]


@dataclass(frozen=True, eq=False)
class _Found:
    """A stack with its view, before its pixels are read."""

    stack: Stack
    finding: ViewFinding
    is_newest: bool = True


def import_dicom(
    folder: Path | str, *, all_stacks: bool = False, keep_going: bool = False, progress: Progress = silent
) -> DicomImport:
    """Sort the files of one study into cines.

    Names, order and depth of the files play no part. What is no cine (other modalities, localizers, late
    enhancement, maps, reports, files that are not DICOM) is left and listed; what is a broken cine is an error.

    Args:
        folder: of DICOM files, or one such file.
        all_stacks: of several cines of the same view and plane all, rather than the newest complete one.
        keep_going: leave what is broken and list it, rather than stop.
        progress: called for every file and slice; may raise `Cancelled`.

    Raises:
        InputError: nothing to read, no MR, no cine, several studies, or a broken cine; names file or slice.
        Cancelled: from the progress callback.
    """
    folder = Path(folder)
    files, left = _files(folder)
    records, others = read_records(files, folder, progress=lambda done, text: progress(_HEADERS * done, text))
    left += others
    if not records and not any(each.is_error for each in left):
        raise InputError(_nothing("no MR images", folder, left))
    slices, others = find_slices(records)
    left, slices = _torn_out(left, slices)
    left += others
    slices = _one_study(slices, left, folder, keep_going=keep_going)
    stacks, broken = make_stacks(slices)
    left += broken
    _stop_at_errors(left, folder, keep_going=keep_going)
    if not stacks:
        raise InputError(_nothing("no cine", folder, left))
    findings = tell_views([Plane(s.normal, len(s.slices), s.first.first.description) for s in stacks])
    chosen, older = _choose(list(map(_Found, stacks, findings)), all_stacks=all_stacks)
    left += older
    cines = _read(chosen, left, folder, keep_going=keep_going, progress=progress)
    if not cines:
        raise InputError(_nothing("no cine", folder, left))
    return DicomImport(tuple(cines), tuple(left))


def _read(
    chosen: Sequence[_Found], left: list[Left], folder: Path, *, keep_going: bool, progress: Progress
) -> list[ImportedCine]:
    """The cines of these stacks; what turns out to be broken is added to what is left."""
    lacks = any(each.is_error and each.reason != COPY for each in left)
    cines: list[ImportedCine] = []
    total = sum(len(each.stack.slices) for each in chosen)
    done = 0
    with PixelReader() as reader:
        for each in chosen:
            slices = each.stack.slices

            def report(share: float, text: str, start: int = done, n_slices: int = len(slices)) -> None:
                progress(_HEADERS + (1 - _HEADERS) * (start + share * n_slices) / total, text)

            done += len(slices)
            name = _name(each.finding, [cine.name for cine in cines])
            try:
                cine, notes = assemble(each.stack, name, reader, progress=report)
            except Unusable as error:
                left.append(left_of(error))
                _stop_at_errors(left, folder, keep_going=keep_going)
                continue
            rr = tuple(found.rr_ms / 1000 for found in slices)
            said = (
                *_about_view(each.finding),
                *_about_size(each, is_alone=len(chosen) == 1),
                *notes,
                *(_about_ends(each.stack) if lacks else ()),
            )
            cines.append(ImportedCine(each.finding.view, cine, name, rr, each.stack.series, said, each.is_newest))
    return cines


def _files(folder: Path) -> tuple[list[Path], list[Left]]:
    """All files, and what cannot be looked at."""
    if folder.is_file():
        return [folder], []
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of DICOM files, there is nothing")
    left: list[Left] = []

    def cannot_list(place: Path, error: OSError) -> None:
        reason = f"cannot be looked at: {error.strerror or error}"
        left.append(Left(reason, (place.relative_to(folder).as_posix(),), is_error=True))

    found = files_below(folder, cannot_list=cannot_list)
    if not found:
        raise InputError(f"{folder}: expected a folder of DICOM files, {left[0] if left else 'it is empty'}")
    return found, left


def _torn_out(left: Sequence[Left], slices: Sequence[TimedSlice]) -> tuple[list[Left], list[TimedSlice]]:
    """What is no MR image though its series is a cine is an error; the slices that lack it are lost with it."""
    counts: defaultdict[str, list[int]] = defaultdict(list)
    for each in slices:
        counts[each.first.series_uid].append(each.n_frames)
    torn = {each.series_uid for each in left} & counts.keys() - {""}
    lost = [
        each
        for each in slices
        if (uid := each.first.series_uid) in torn and (len(counts[uid]) == 1 or each.n_frames < max(counts[uid]))
    ]
    found = [
        replace(each, reason=f"{each.reason}, in the series of a cine", is_error=True)
        if each.series_uid in torn
        else each
        for each in left
    ]
    found += [broken_stack(f"frames of the {each} are damaged", [each]) for each in lost]
    return found, [each for each in slices if each not in lost]


def _stop_at_errors(left: Sequence[Left], folder: Path, *, keep_going: bool) -> None:
    errors = [each for each in left if each.is_error]
    if not errors or keep_going:
        return
    more = f"; {len(errors) - 1} more such problems" if len(errors) > 1 else ""
    raise InputError(f"{folder}: {errors[0]}{more}")


def _nothing(what: str, folder: Path, left: Sequence[Left]) -> str:
    """A message that there is nothing to import, with what there is instead: the commonest first."""
    ranked = sorted(left, key=lambda each: (not each.is_error, -len(each.files)))
    shown = "; ".join(map(str, ranked[:3]))
    more = f"; and {len(ranked) - 3} more" if len(ranked) > 3 else ""
    return f"{folder}: expected a cine of MR images, found {what}: {shown}{more}"


def _one_study(slices: list[TimedSlice], left: list[Left], folder: Path, *, keep_going: bool) -> list[TimedSlice]:
    """The slices of the one study there is; with `keep_going`, of the one with most slices."""
    studies = Counter(each.first.study_uid for each in slices)
    if len(studies) < 2:
        return slices
    chosen = studies.most_common(1)[0][0]
    others = [each for each in slices if each.first.study_uid != chosen]
    left.append(broken_stack(f"expected the cines of one study, got those of {len(studies)}", others))
    _stop_at_errors(left, folder, keep_going=keep_going)
    return [each for each in slices if each.first.study_uid == chosen]


def _choose(found: list[_Found], *, all_stacks: bool) -> tuple[list[_Found], list[Left]]:
    """The stacks to import in the order of their names, and the older or smaller ones that are left."""
    groups: list[list[_Found]] = []
    for each in sorted(found, key=lambda each: -len(each.stack.slices)):
        group = next((group for group in groups if _is_repeat(each, group[0])), None)
        if group is None:
            groups.append([each])
        else:
            group.append(each)
    chosen: list[_Found] = []
    older: list[_Found] = []
    for group in groups:
        fullest = max(len(each.stack.slices) for each in group)
        complete = [each for each in group if len(each.stack.slices) >= COMPLETE * fullest]
        newest = max(complete, key=lambda each: each.stack.recency)
        chosen.append(newest)
        older += [_Found(each.stack, each.finding, is_newest=False) for each in group if each is not newest]
    ranked = sorted([*chosen, *(older if all_stacks else ())], key=_rank)
    if all_stacks:
        return ranked, []
    reason = (
        "the same view as another that is newer, fuller or the scanner's own; all stacks are imported on request"
    )
    return ranked, [broken_stack(reason, each.stack.slices, is_error=False) for each in older]


def _rank(found: _Found) -> tuple[object, ...]:
    views = list(View)
    is_named_otherwise = found.finding.view is not found.finding.by_plane
    return views.index(found.finding.view), not found.is_newest, is_named_otherwise, found.stack.recency


def _is_repeat(one: _Found, other: _Found) -> bool:
    if one.finding.view is not other.finding.view:
        return False
    if one.finding.view is View.SAX:
        return True
    apart = abs((one.stack.centre - other.stack.centre) @ other.stack.normal)
    return angle_degrees(one.stack.normal, other.stack.normal) < REPEAT_DEGREES and bool(apart < REPEAT_MM)


def _about_view(finding: ViewFinding) -> list[str]:
    if finding.view is finding.by_plane or finding.is_rvot:
        return []
    return [
        f"called {finding.view.value} by its description, as its plane left that open; by the plane alone it "
        f"would be {finding.by_plane.value}"
    ]


def _about_size(found: _Found, *, is_alone: bool) -> list[str]:
    """What to say of a short-axis cine of one slice."""
    if found.finding.view is not View.SAX or len(found.stack.slices) > 1:
        return []
    note = "a single slice, no short-axis stack: it has no volume"
    if is_alone:
        note += "; no other plane says how the heart lies, so that its view is that of its plane in a usual heart"
    return [note]


def _about_ends(stack: Stack) -> list[str]:
    """What to say of a stack where something broken was left that may have been its first or last slice."""
    if len(stack.slices) == 1:
        return []
    return ["broken images were left: slices may be missing at its ends"]


def _name(finding: ViewFinding, taken: Sequence[str]) -> str:
    stem = "rvot" if finding.is_rvot else finding.view.value
    number = 1 + sum(name == stem or name.startswith(f"{stem}_") for name in taken)
    return stem if number == 1 else f"{stem}_{number}"
