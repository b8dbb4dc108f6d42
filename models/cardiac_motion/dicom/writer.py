"""Cines as DICOM files, as a scanner would have made them of a phantom."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydicom.dataset import Dataset, FileDataset

from cardiac_motion import __version__
from cardiac_motion.atomic import atomic_path
from cardiac_motion.dicom import modules
from cardiac_motion.dicom.cine_series import CineSeries
from cardiac_motion.dicom.enhanced import enhanced as enhanced_image
from cardiac_motion.dicom.modules import SeriesIdentity, StudyIdentity
from cardiac_motion.dicom.single_frame import place_frame, single_frame
from cardiac_motion.errors import InputError
from cardiac_motion.progress import Progress, silent


class Layout(StrEnum):
    """How the slices of a stack are spread over series, and the frames of a series over its numbers.

    All occur: one series for each slice (most scanners), or one for the stack, in which all slices of one
    frame come first, or all frames of one slice.
    """

    SERIES_PER_SLICE = "series-per-slice"
    FRAME_MAJOR = "frame-major"
    SLICE_MAJOR = "slice-major"


@dataclass(frozen=True)
class _Part:
    """One series of the study: some slices of a cine, its frames (t, z) in the order of their numbers."""

    series: CineSeries
    identity: SeriesIdentity
    frames: tuple[tuple[int, int], ...]

    @property
    def folder(self) -> str:
        plain = "".join(c if c.isalnum() else "_" for c in self.series.name)
        return f"{self.identity.number:03d}_{plain}"


def write_dicom(
    cines: Sequence[CineSeries],
    folder: Path | str,
    *,
    seed: int,
    enhanced: bool = False,
    layout: Layout = Layout.SERIES_PER_SLICE,
    progress: Progress = silent,
) -> int:
    """Write cines as one DICOM study of the patient ``Phantom^<seed>``, whole or not at all.

    Each series has a folder of its own, ``001_sax/0001.dcm`` and so on. The same arguments give the same bytes,
    identifiers included; another seed or another content gives others.

    Args:
        cines: at least one.
        folder: made; its parent must exist.
        seed: names the patient.
        enhanced: one Enhanced MR object per series, rather than one MR image per frame.
        layout: of slices in series.
        progress: called for every series; may raise `Cancelled`.

    Returns:
        The number of files.

    Raises:
        InputError: nothing to write, a cine that DICOM cannot hold, or the folder cannot be written.
        Cancelled: from the progress callback.
    """
    if not cines:
        raise InputError("expected at least one cine to write, got none")
    if not 0 <= seed < 10**12:
        raise InputError(f"expected a seed from 0 up, of at most 12 digits, got {seed}")
    content = hashlib.sha256(repr((layout.value, enhanced)).encode())
    for cine in cines:
        content.update(
            repr((cine.cine.content_hash, cine.name, cine.slice_thickness_mm, cine.rr_seconds)).encode()
        )
    parts = _parts(cines, StudyIdentity(seed, content.hexdigest()), layout)
    count = 0
    with atomic_path(folder, is_folder=True) as temporary:
        for number, part in enumerate(parts):
            progress(number / len(parts), f"series {number + 1} of {len(parts)}")
            place = temporary / part.folder
            place.mkdir()
            for name, dataset in enumerate(_datasets(part, enhanced=enhanced), start=1):
                _save(dataset, place / f"{name:04d}.dcm")
                count += 1
        progress(1.0, f"{count} files")
    return count


def _parts(cines: Sequence[CineSeries], study: StudyIdentity, layout: Layout) -> list[_Part]:
    parts: list[_Part] = []
    slices_before = 0
    for cine in cines:
        frames, slices = cine.cine.shape[:2]
        if layout is Layout.SERIES_PER_SLICE:
            orders = [[(t, z) for t in range(frames)] for z in range(slices)]
        elif layout is Layout.FRAME_MAJOR:
            orders = [[(t, z) for t in range(frames) for z in range(slices)]]
        else:
            orders = [[(t, z) for z in range(slices) for t in range(frames)]]
        for order in orders:
            identity = SeriesIdentity(study, len(parts) + 1, order[0][1], slices_before)
            parts.append(_Part(cine, identity, tuple(order)))
        slices_before += slices
    return parts


def _datasets(part: _Part, *, enhanced: bool) -> Iterator[Dataset]:
    if enhanced:
        yield enhanced_image(part.series, part.identity, __version__, part.frames)
        return
    shared = single_frame(part.series, part.identity, __version__)
    for number, frame in enumerate(part.frames, start=1):
        yield place_frame(shared, part.series, part.identity, frame, number)


def _save(dataset: Dataset, path: Path) -> None:
    meta = modules.file_meta(dataset.SOPClassUID, dataset.SOPInstanceUID, __version__)
    whole = FileDataset(str(path), dataset, preamble=b"\0" * 128, file_meta=meta)
    whole.is_little_endian, whole.is_implicit_VR = True, False
    whole.save_as(path, write_like_original=False)
