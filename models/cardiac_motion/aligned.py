"""Slices put where they belong, and back: images, labels, and the motion that is estimated in between.

Each slice is moved in its plane by its own shift, the same in every frame. Nothing is lost by it: the aligned grid
is larger than the native one by a margin, and an image, or labels, moved there and back are what they were.

- Images are moved by Fourier's shift theorem, which is what the sampling of magnetic resonance allows and does not
  blur. The period of the transform is the whole aligned grid, odd along each axis, so that no frequency is cut
  off and the way back is exact to rounding. Beyond its border a slice goes on as its mirror image, faded into
  that of the opposite border: nothing wraps around, and there is no edge to ring.
- Labels are moved to the nearest pixel, so that they lie within half a pixel of their image.
- A motion of the aligned cine is conjugated with the shifts. Where slice z appears displaced by s(z), between
  slices by linear interpolation, the point x of the aligned grid is seen at x + s(z) of the native one. A native
  point therefore moves by what its aligned point moves, and by s(z') - s(z), where z' is the height at which it
  arrives: with motion through the planes it comes to lie in a neighbour that has a shift of its own. Without
  such motion only the place changes. Its Jacobian determinant is that of the aligned motion; differences between
  slices that are displaced compare different places, though, so that `folds` of it can be a little above zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import fft

from cardiac_motion.cine import Cine
from cardiac_motion.errors import InputError
from cardiac_motion.motion import FloatField, Motion
from cardiac_motion.slice_alignment import LARGEST_MM

FloatImage = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]

VERSION = 1
"""Of what is done to images and motions, for the keys of what is kept."""
_GUARD = 4
"""Pixels of the margin beyond the largest shift."""


@dataclass(frozen=True)
class Axis:
    """One in-plane axis of the aligned grid.

    Attributes:
        before: pixels before the first native one.
        size: pixels in all; odd, unless nothing moves.
    """

    before: int
    size: int


@dataclass(frozen=True, eq=False)
class SliceAlignment:
    """The way from the native grid of a stack to the aligned one, and back.

    Attributes:
        shifts_mm: (Z, 2), (y, x): by how much each slice appears displaced, as `estimate_shifts` gives it. The
            aligned slice is moved the other way.
        spacing: of the stack, (z, y, x) in mm.
        plane: (Y, X) of the native grid.

    Raises:
        InputError: shifts of another shape, that are not finite, or longer than `LARGEST_MM`; a single slice.
    """

    shifts_mm: npt.NDArray[np.float64]
    spacing: tuple[float, float, float]
    plane: tuple[int, int]

    def __post_init__(self) -> None:
        shifts = np.array(self.shifts_mm, dtype=np.float64)
        if shifts.ndim != 2 or shifts.shape[1] != 2:
            raise InputError(f"expected shifts (Z, 2) in mm, got shape {shifts.shape}")
        if len(shifts) < 2:
            raise InputError("a single slice has no neighbours to be aligned with; expected a stack of slices")
        if not np.isfinite(shifts).all() or np.linalg.norm(shifts, axis=1).max() > LARGEST_MM + 1e-6:
            raise InputError(
                f"expected shifts of at most {LARGEST_MM:g} mm, got {np.abs(shifts).max():.4g} mm along an axis"
            )
        shifts.setflags(write=False)
        object.__setattr__(self, "shifts_mm", shifts)

    @classmethod
    def of(cls, cine: Cine, shifts_mm: npt.ArrayLike) -> SliceAlignment:
        """The alignment of a cine by these shifts (Z, 2) in mm.

        Raises:
            InputError: another number of slices; and as the class.
        """
        shifts = np.asarray(shifts_mm, dtype=np.float64)
        if len(shifts) != cine.shape[1]:
            raise InputError(f"expected a shift for each of the {cine.shape[1]} slices, got {len(shifts)}")
        return cls(shifts, cine.spacing, cine.shape[2:])

    @property
    def moves(self) -> bool:
        """Whether any slice is moved."""
        return bool(self.shifts_mm.any())

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that an aligned motion depends on besides its model, as JSON can hold it."""
        return {"version": VERSION, "shifts_mm": self.shifts_mm.tolist()}

    @cached_property
    def _pixels(self) -> npt.NDArray[np.float64]:
        return self.shifts_mm / np.array(self.spacing[1:])

    @cached_property
    def axes(self) -> tuple[Axis, Axis]:
        """The aligned grid, y and x."""
        found = []
        for n, largest in zip(self.plane, np.abs(self._pixels).max(axis=0), strict=True):
            margin = int(np.ceil(largest)) + _GUARD if self.moves else 0
            # An odd period has no highest frequency that stands for two, of which half would be lost.
            found.append(Axis(margin, n + 2 * margin + (1 if margin and n % 2 == 0 else 0)))
        return found[0], found[1]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(Z, Y, X) of the aligned grid."""
        return len(self.shifts_mm), self.axes[0].size, self.axes[1].size

    def affine(self, native: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The affine of the aligned grid, for that of the native one."""
        moved = np.array(native, dtype=np.float64)
        moved[:3, 3] -= native[:3, 1] * self.axes[0].before + native[:3, 0] * self.axes[1].before
        return moved

    def align(self, cine: Cine) -> Cine:
        """The cine with its slices where they belong, on the aligned grid; a new one."""
        self._check(cine.frames, self.plane)
        return Cine(self.image(cine.frames), self.affine(cine.affine), cine.frame_times, name=cine.name)

    def empty_like(self, cine: Cine) -> Cine:
        """A cine of the aligned grid without an image, to compare the place of labels with."""
        self._check(cine.frames, self.plane)
        frames = np.broadcast_to(np.float32(0), (cine.n_frames, *self.shape))
        return Cine(frames, self.affine(cine.affine), cine.frame_times, name=f"{cine.name}, aligned")

    def image(self, native: npt.NDArray[np.floating]) -> FloatImage:
        """Images (..., Z, Y, X) of the native grid on the aligned one, float32.

        Raises:
            InputError: another shape.
        """
        self._check(native, self.plane)
        result = np.empty((*native.shape[:-2], *self.shape[1:]), dtype=np.float32)
        for z, shift in enumerate(self._pixels):
            extended = _extended(native[..., z, :, :].astype(np.float64), self.axes)
            result[..., z, :, :] = _fourier_shifted(extended, -shift)
        return result

    def image_back(self, aligned: npt.NDArray[np.floating]) -> FloatImage:
        """Images (..., Z, Y, X) of the aligned grid on the native one, float32.

        Raises:
            InputError: another shape.
        """
        self._check(aligned, self.shape[1:])
        result = np.empty((*aligned.shape[:-2], *self.plane), dtype=np.float32)
        y, x = (slice(axis.before, axis.before + n) for axis, n in zip(self.axes, self.plane, strict=True))
        for z, shift in enumerate(self._pixels):
            result[..., z, :, :] = _fourier_shifted(aligned[..., z, :, :].astype(np.float64), shift)[..., y, x]
        return result

    def labels(self, native: Labels) -> Labels:
        """Labels (..., Z, Y, X) of the native grid on the aligned one, moved by whole pixels.

        Raises:
            InputError: another shape.
        """
        self._check(native, self.plane)
        result = np.zeros((*native.shape[:-2], *self.shape[1:]), dtype=native.dtype)
        for z in range(len(self.shifts_mm)):
            result[(..., z, *self._seen(z))] = native[..., z, :, :]
        return result

    def labels_back(self, aligned: Labels) -> Labels:
        """Labels (..., Z, Y, X) of the aligned grid on the native one: exactly what `labels` was given.

        Raises:
            InputError: another shape, or labels where the native slice does not reach.
        """
        self._check(aligned, self.shape[1:])
        result = np.empty((*aligned.shape[:-2], *self.plane), dtype=aligned.dtype)
        for z in range(len(self.shifts_mm)):
            plane = aligned[..., z, :, :]
            result[..., z, :, :] = plane[(..., *self._seen(z))]
            beyond = np.count_nonzero(plane) - np.count_nonzero(result[..., z, :, :])
            if beyond:
                raise InputError(
                    f"the labels of slice {z} reach {beyond} pixels beyond the image, into the margin of the "
                    "aligned grid; expected labels within it"
                )
        return result

    def motion_back(self, motion: Motion, cine: Cine) -> Motion:
        """The motion of the aligned cine as one of the native cine; see the head of this file.

        Displacements between pixels are interpolated linearly, as `Motion` has them.

        Args:
            motion: estimated on `align(cine)`.
            cine: the native one.

        Raises:
            InputError: a motion or a cine of another grid.
        """
        self._check(cine.frames, self.plane)
        self._check(motion.to_reference, self.shape[1:])
        native = Motion(
            self._field_back(motion.to_reference),
            self._field_back(motion.from_reference),
            reference=motion.reference,
            affine=cine.affine,
            frame_times=cine.frame_times,
            model=motion.model,
            version=motion.version,
            image_hash=cine.content_hash,
            settings={**motion.settings, "align": self.settings},
        )
        if motion.inverse_residual_mm is None:
            return native
        errors = np.concatenate([native.inverse_error_mm(t).ravel() for t in range(native.n_frames)])
        known = errors[np.isfinite(errors)]
        return replace(native, inverse_residual_mm=float(known.max()) if known.size else 0.0)

    def _field_back(self, fields: FloatField) -> FloatField:
        result = np.empty((*fields.shape[:-2], *self.plane), dtype=np.float32)
        for z, shift in enumerate(self._pixels):
            values = fields[:, :, z]
            for axis, grid, n, pixels in zip((-2, -1), self.axes, self.plane, shift, strict=True):
                values = _sampled(values, axis, grid.before - float(pixels), n)
            result[:, :, z] = values
        heights = np.arange(len(self.shifts_mm), dtype=np.float64)
        for frame in result:
            if frame[0].any():
                arrival = heights[:, None, None] + frame[0] / self.spacing[0]
                for k in range(2):
                    there = np.interp(arrival, heights, self.shifts_mm[:, k])
                    frame[1 + k] += there - self.shifts_mm[:, k, None, None]
        return result

    def _seen(self, z: int) -> tuple[slice, slice]:
        """Where the native slice lies on the aligned grid, to the nearest pixel."""
        start = [axis.before - int(np.rint(s)) for axis, s in zip(self.axes, self._pixels[z], strict=True)]
        return slice(start[0], start[0] + self.plane[0]), slice(start[1], start[1] + self.plane[1])

    def _check(self, array: npt.NDArray[Any], plane: tuple[int, int]) -> None:
        expected = (len(self.shifts_mm), *plane)
        if array.shape[-3:] != expected:
            raise InputError(f"expected (Z, Y, X) = {expected}, got {array.shape[-3:]}")


def _extended(images: npt.NDArray[np.float64], axes: tuple[Axis, Axis]) -> npt.NDArray[np.float64]:
    """Images (..., Y, X) on the aligned grid, continued beyond their borders so that they are periodic."""
    for axis, grid in zip((-2, -1), axes, strict=True):
        along = np.moveaxis(images, axis, -1)
        n, gap = along.shape[-1], grid.size - along.shape[-1]
        if gap == 0:
            continue
        wide = np.pad(along, [(0, 0)] * (along.ndim - 1) + [(gap, gap)], mode="symmetric")
        fade = 0.5 - 0.5 * np.cos(np.pi * (np.arange(gap) + 0.5) / gap)
        between = (1 - fade) * wide[..., gap + n :] + fade * wide[..., :gap]
        periodic = np.concatenate([along, between], axis=-1)
        images = np.moveaxis(np.roll(periodic, grid.before, axis=-1), -1, axis)
    return images


def _fourier_shifted(images: npt.NDArray[np.float64], by: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Periodic images (..., Y, X) moved by (y, x) pixels; as they are for none."""
    if not by.any():
        return images
    n_y, n_x = images.shape[-2:]
    phase = by[0] * fft.fftfreq(n_y)[:, None] + by[1] * fft.rfftfreq(n_x)
    spectrum = fft.rfft2(images) * np.exp(-2j * np.pi * phase)
    return np.asarray(fft.irfft2(spectrum, s=(n_y, n_x)))


def _sampled(values: FloatField, axis: int, start: float, n: int) -> FloatField:
    """Values at start, start + 1, ... along an axis, n of them, by linear interpolation."""
    first = int(np.floor(start))
    share = np.float32(start - first)
    along = np.moveaxis(values, axis, -1)
    if share == 0:
        found = along[..., first : first + n]
    else:
        found = (1 - share) * along[..., first : first + n] + share * along[..., first + 1 : first + 1 + n]
    return np.moveaxis(found, -1, axis)
