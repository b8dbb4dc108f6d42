"""A stack of slices to a cine: geometry from positions, frames matched by phase, pixels read."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cardiac_motion.cine import Cine
from cardiac_motion.dicom.decoding import UnreadablePixels
from cardiac_motion.dicom.phases import TimedSlice, Unusable, resample_in_phase
from cardiac_motion.dicom.pixels import PixelReader
from cardiac_motion.dicom.stacks import Stack
from cardiac_motion.errors import InputError
from cardiac_motion.io import RAS_TO_LPS
from cardiac_motion.io.image_file import MAX_VOXELS
from cardiac_motion.progress import Progress, silent

USUAL_THICKNESS_MM = 8.0
"""Of a single slice whose file does not say it."""


def assemble(
    stack: Stack, name: str, reader: PixelReader, *, progress: Progress = silent
) -> tuple[Cine, tuple[str, ...]]:
    """Read the pixels of a stack; the cine, and what was changed on the way in sentences.

    Slices of equal numbers of frames are matched by the index of the phase, unchanged. Others are interpolated in
    phase to the number that most slices have. Frame times are those of the middle slice with that number.

    Args:
        stack: at least one slice.
        name: of the cine.
        reader: of the pixels.
        progress: called for every slice; may raise `Cancelled`.

    Raises:
        Unusable: pixels that cannot be read, or more than memory is expected for.
    """
    reference = _reference(stack)
    first = stack.first.first
    shape = (reference.n_frames, len(stack.slices), first.rows, first.columns)
    if np.prod(shape, dtype=np.int64) > MAX_VOXELS:
        text = f"expected at most {MAX_VOXELS} voxels in a cine, got (T, Z, Y, X) = {shape}"
        raise Unusable(text, [first], is_error=True)
    frames = np.empty(shape, dtype=np.float32)
    others: list[TimedSlice] = []
    for z, each in enumerate(stack.slices):
        progress(z / len(stack.slices), f"reading {name}, slice {z + 1} of {len(stack.slices)}")
        if each.n_frames == reference.n_frames:
            for t in range(each.n_frames):
                frames[t, z] = _pixels(each, t, reader)
        else:
            others.append(each)
            own = np.stack([_pixels(each, t, reader) for t in range(each.n_frames)])
            frames[:, z] = resample_in_phase(own, each.phases, reference.phases)
    notes = []
    if others:
        counts = ", ".join(str(each.n_frames) for each in stack.slices)
        notes.append(
            f"slices have different numbers of frames ({counts}): {len(others)} of them were interpolated in "
            f"phase to {reference.n_frames}"
        )
    affine, guessed = _affine(stack)
    if guessed:
        notes.append(guessed)
    times = (reference.times_ms - reference.times_ms[0]) / 1000
    try:
        return Cine(frames, affine, times, name=name), tuple(notes)
    except InputError as error:
        raise Unusable(str(error), [first], is_error=True) from error


def _reference(stack: Stack) -> TimedSlice:
    """The middle one of the slices with the commonest number of frames, the larger number where two are."""
    counts = [each.n_frames for each in stack.slices]
    wanted = max(counts, key=lambda n: (counts.count(n), n))
    same = [each for each in stack.slices if each.n_frames == wanted]
    return same[(len(same) - 1) // 2]


def _pixels(each: TimedSlice, t: int, reader: PixelReader) -> npt.NDArray[np.float32]:
    try:
        return reader.read(each.records[t])
    except UnreadablePixels as error:
        raise Unusable(str(error), [each.records[t]], is_error=True) from error


def _affine(stack: Stack) -> tuple[npt.NDArray[np.float64], str | None]:
    """(4, 4) voxel (i, j, k), which is (x, y, z), to RAS; and what had to be guessed."""
    first, last = stack.first, stack.slices[-1]
    lps = np.eye(4)
    lps[:3, 0] = first.orientation[:3] * first.pixel_spacing[1]
    lps[:3, 1] = first.orientation[3:] * first.pixel_spacing[0]
    lps[:3, 3] = first.position
    guessed = None
    if len(stack.slices) > 1:
        lps[:3, 2] = (last.position - first.position) / (len(stack.slices) - 1)
    else:
        # A single slice has no distance to another; its extent is the thickness of what it shows.
        thickness = first.first.thickness_mm
        if thickness is None:
            thickness = USUAL_THICKNESS_MM
            guessed = f"its thickness is not stated: {USUAL_THICKNESS_MM:g} mm is taken"
        lps[:3, 2] = first.normal * thickness
    return RAS_TO_LPS @ lps, guessed
